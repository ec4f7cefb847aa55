//! When to try again: a delay that grows.

use std::time::Duration;

use crate::error::{Error, ErrorKind, Result};
use crate::random::{next_random, random_seed};

/// Delays between tries: the first, then each half as long again, up to a cap, each spread by a jitter.
///
/// The nth base is `min(cap, first × 1.5ⁿ)`, n from 0, never compounded by the jitter; a delay is
/// `clamp(base × U[0.8, 1.2), first, cap)`. Without jitter 100, 150, 225, 337.5 … 2,000 ms by default.
///
/// It knows no clock and waits for nobody. One owner at a time.
#[derive(Clone, Debug)]
pub struct Backoff {
    first: Duration,
    cap: Duration,
    base: Duration,
    attempt: u32,
    /// State of the generator; `None` without jitter.
    random: Option<u64>,
}

impl Backoff {
    /// The default first delay.
    pub const FIRST: Duration = Duration::from_millis(100);
    /// The default cap.
    pub const CAP: Duration = Duration::from_secs(2);
    /// By how much a delay grows.
    pub const FACTOR: f64 = 1.5;

    /// 100 ms to 2 s, with jitter from a random seed.
    ///
    /// [`ErrorKind::System`] when the system has no random numbers.
    pub fn new() -> Result<Self> {
        Ok(Self::seeded(random_seed()?))
    }

    /// 100 ms to 2 s, with the jitter that belongs to `seed`: the same delays each time.
    #[must_use]
    pub const fn seeded(seed: u64) -> Self {
        Self {
            random: Some(seed),
            ..Self::exact()
        }
    }

    /// 100 ms to 2 s without jitter.
    #[must_use]
    pub const fn exact() -> Self {
        Self {
            first: Self::FIRST,
            cap: Self::CAP,
            base: Self::FIRST,
            attempt: 0,
            random: None,
        }
    }

    /// The same with another first delay and cap, begun anew. [`ErrorKind::InvalidArgument`] for a first delay of zero,
    /// or one above the cap.
    pub fn between(self, first: Duration, cap: Duration) -> Result<Self> {
        if first.is_zero() {
            return Err(Error::fixed(
                ErrorKind::InvalidArgument,
                "first",
                "the first delay is zero, and would never grow",
            ));
        }
        if first > cap {
            return Err(Error::fixed(
                ErrorKind::InvalidArgument,
                "cap",
                "it is below the first delay",
            ));
        }
        Ok(Self {
            first,
            cap,
            base: first,
            attempt: 0,
            random: self.random,
        })
    }

    /// The next delay.
    pub fn next_delay(&mut self) -> Duration {
        let base = self.base;
        self.attempt = self.attempt.saturating_add(1);
        // Compared before the product, which might not fit.
        self.base = if base >= self.cap.div_f64(Self::FACTOR) {
            self.cap
        } else {
            let longer = base.as_secs_f64() * Self::FACTOR;
            Duration::try_from_secs_f64(longer).map_or(self.cap, |longer| longer.min(self.cap))
        };
        let Some(state) = &mut self.random else {
            return base;
        };
        // 53 bits make a number in [0, 1) exactly.
        let unit = (next_random(state) >> 11) as f64 / (1_u64 << 53) as f64;
        let seconds = base.as_secs_f64() * (0.8 + 0.4 * unit);
        Duration::try_from_secs_f64(seconds)
            .unwrap_or(self.cap)
            .clamp(self.first, self.cap)
    }

    /// How many delays were taken since the beginning, or the last reset.
    #[must_use]
    pub const fn attempt(&self) -> u32 {
        self.attempt
    }

    /// Begins again with the first delay; the jitter goes on.
    pub fn reset(&mut self) {
        self.base = self.first;
        self.attempt = 0;
    }
}
