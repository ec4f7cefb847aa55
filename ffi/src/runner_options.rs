//! What hosts choose when they make an admission or a runner.

use std::sync::Arc;
use std::time::Duration;

use reqbus_core::runner::{CheckObserver, RunnerOptions};

use crate::failure::Failure;
use crate::sized::{check_flags, sized_struct};
use crate::teller::{reqbus_teller, teller_of};

/// A bit of reqbus_runner_options.flags: the jitter is drawn from `seed`, and so is the same each time.
pub const REQBUS_RUNNER_SEEDED: u32 = 1;

/// How an admission or a runner goes. Zero is every default, and NULL options are all defaults.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct reqbus_runner_options {
    /// sizeof(reqbus_runner_options).
    pub size: usize,
    /// From the beginning of one round to that of the next, in milliseconds, at most a day. Default 5000.
    pub every_ms: u64,
    /// After how many milliseconds a check is stuck, at most a day. Default 63000.
    pub limit_ms: u64,
    /// The first round begins within so many milliseconds, at most a day. Default 0: at once.
    pub jitter_ms: u64,
    /// What the jitter is drawn from, with REQBUS_RUNNER_SEEDED. Without, the system's random numbers.
    pub seed: u64,
    /// How many checks run at once, at most 1024; as many again may be stuck. Default 5.
    pub at_once: u32,
    /// REQBUS_RUNNER_SEEDED, or 0.
    pub flags: u32,
    /// Tells on its bus how checks end. NULL for none.
    pub teller: *const reqbus_teller,
}

sized_struct!(reqbus_runner_options);

impl reqbus_runner_options {
    /// The options as core takes them, which checks them where they are used.
    ///
    /// # Safety
    /// The teller is NULL or alive.
    pub(crate) unsafe fn to_core(self) -> Result<RunnerOptions, Failure> {
        check_flags(self.flags, REQBUS_RUNNER_SEEDED, "flags")?;
        // SAFETY: this function's contract.
        let teller = unsafe { teller_of(self.teller) }?;
        let default = RunnerOptions::default();
        let time = |ms: u64, default: Duration| match ms {
            0 => default,
            ms => Duration::from_millis(ms),
        };
        Ok(RunnerOptions {
            every: time(self.every_ms, default.every),
            limit: time(self.limit_ms, default.limit),
            jitter: time(self.jitter_ms, default.jitter),
            at_once: match self.at_once {
                0 => default.at_once,
                at_once => at_once,
            },
            seed: (self.flags & REQBUS_RUNNER_SEEDED != 0).then_some(self.seed),
            observer: teller.map(|teller| -> Arc<dyn CheckObserver> { teller }),
            ..default
        })
    }
}
