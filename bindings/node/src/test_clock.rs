//! A clock that tests drive, and the store of tests. No published package carries this.

use std::time::Duration;

use napi_derive::napi;
use reqbus_core::slots::FaultOptions;
use reqbus_core::time::{Clock, ClockDriver};

use crate::admission::{NativeAdmission, NativeRunnerOptions};
use crate::bus::NativeBus;
use crate::failure::OrThrow;
use crate::looping::ringing;
use crate::options::NativeBusOptions;
use crate::pool::{NativePool, NativePoolOptions};
use crate::teller::NativeTeller;
use crate::whole::to_duration;

/// A clock that stands still until it is advanced.
#[napi]
pub struct NativeTestClock {
    clock: Clock,
    driver: ClockDriver,
}

/// How bad the line to the store of tests is; chances are out of 1,000.
#[napi(object, object_to_js = false)]
pub struct NativeFault {
    /// What is drawn is drawn from this.
    pub seed: u32,
    /// A message takes up to this long.
    pub latest_ms: f64,
    /// A message is lost.
    pub lost: u32,
    /// A message comes twice.
    pub doubled: u32,
    /// A lease is lost.
    pub lost_lease: u32,
    /// It refuses half of what it is asked as unavailable, and does not hear the rest.
    pub is_down: bool,
}

#[napi]
impl NativeTestClock {
    /// A clock.
    #[napi(constructor)]
    pub fn new() -> Self {
        let (clock, driver) = Clock::driven();
        Self { clock, driver }
    }

    /// Moves it. Whether this thread must drain.
    #[napi]
    pub fn advance(&self, by_ms: f64) -> napi::Result<bool> {
        let by: Duration = to_duration(by_ms, "by").or_throw()?;
        Ok(ringing(|| self.driver.advance(by)).1)
    }

    /// A bus on this clock.
    #[napi]
    pub fn bus(&self, options: NativeBusOptions) -> napi::Result<NativeBus> {
        let mut options = options.to_core().or_throw()?;
        options.clock = self.clock.clone();
        NativeBus::make(options)
    }

    /// A pool on this clock, and with `fault` on the store of tests.
    #[napi]
    pub fn pool(
        &self,
        options: NativePoolOptions,
        fault: Option<NativeFault>,
        teller: Option<&NativeTeller>,
    ) -> napi::Result<NativePool> {
        let mut options = options.to_core().or_throw()?;
        options.clock = self.clock.clone();
        options.fault = fault.map(|fault| {
            let line = FaultOptions {
                seed: u64::from(fault.seed),
                latest: Duration::from_secs_f64(fault.latest_ms.max(0.0) / 1_000.0),
                lost: fault.lost,
                doubled: fault.doubled,
                lost_lease: fault.lost_lease,
                ..FaultOptions::default()
            };
            if fault.is_down {
                line.fault.go_down();
            }
            line
        });
        NativePool::make(options, teller)
    }

    /// An admission on this clock.
    #[napi]
    pub fn admission(
        &self,
        options: NativeRunnerOptions,
        teller: Option<&NativeTeller>,
    ) -> napi::Result<NativeAdmission> {
        let mut options = options.to_core()?;
        options.clock = self.clock.clone();
        NativeAdmission::make(options, teller)
    }
}
