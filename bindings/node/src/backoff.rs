//! Delays that grow.

use napi_derive::napi;
use reqbus_core::slots::Backoff;

use crate::failure::OrThrow;
use crate::whole::{Whole, ms, to_duration, to_u64};

/// Delays that grow.
#[napi]
pub struct NativeBackoff {
    backoff: Backoff,
}

#[napi]
impl NativeBackoff {
    /// With jitter from a seed, from a random one, or without.
    #[napi(constructor)]
    pub fn new(
        jitter: bool,
        seed: Option<Whole>,
        first_ms: Option<f64>,
        cap_ms: Option<f64>,
    ) -> napi::Result<Self> {
        let backoff = match (jitter, &seed) {
            (false, _) => Backoff::exact(),
            (true, Some(seed)) => Backoff::seeded(to_u64(seed, "seed").or_throw()?),
            (true, None) => Backoff::new().or_throw()?,
        };
        let time = |time_ms: Option<f64>, context, default| match time_ms {
            Some(time_ms) => to_duration(time_ms, context).or_throw(),
            None => Ok(default),
        };
        let first = time(first_ms, "first", Backoff::FIRST)?;
        let cap = time(cap_ms, "cap", Backoff::CAP)?;
        let backoff = backoff.between(first, cap).or_throw()?;
        Ok(Self { backoff })
    }

    /// The next delay in milliseconds.
    #[napi]
    pub fn next_delay(&mut self) -> f64 {
        ms(self.backoff.next_delay())
    }

    /// How many were taken.
    #[napi]
    pub fn attempt(&self) -> u32 {
        self.backoff.attempt()
    }

    /// Begins again.
    #[napi]
    pub fn reset(&mut self) {
        self.backoff.reset();
    }
}
