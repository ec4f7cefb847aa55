//! How a runner goes.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::observer::CheckObserver;
use crate::error::{Error, ErrorKind, Result};
use crate::random::{next_random, random_seed};
use crate::time::Clock;

/// How a runner goes.
#[derive(Clone)]
pub struct RunnerOptions {
    /// From the beginning of one round to that of the next; 1 ms to a day. 5 s by default.
    pub every: Duration,
    /// How many checks run at once, 1 to 1,024; as many again may be stuck. 5 by default.
    pub at_once: u32,
    /// After how long a check is stuck; 1 ms to a day. 63 s by default: a request of 45 s, a ping of 8 s, 10 s to spare.
    pub limit: Duration,
    /// The first round begins within this time of the start, drawn from `seed`; the others follow it. At most a day. Zero
    /// by default: at once.
    pub jitter: Duration,
    /// What the jitter is drawn from: the same seed, the same time. `None` by default: the system's random numbers, so that
    /// processes that start together do not ask together.
    pub seed: Option<u64>,
    /// Hears of each check that ended. None by default.
    pub observer: Option<Arc<dyn CheckObserver>>,
    /// The clock of rounds, limits and ages.
    pub clock: Clock,
}

impl fmt::Debug for RunnerOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunnerOptions")
            .field("every", &self.every)
            .field("at_once", &self.at_once)
            .field("limit", &self.limit)
            .field("jitter", &self.jitter)
            .field("seed", &self.seed)
            .field("observer", &self.observer.is_some())
            .field("clock", &self.clock)
            .finish()
    }
}

impl RunnerOptions {
    /// How far rounds are apart by default.
    pub const EVERY: Duration = Duration::from_secs(5);
    /// How many checks run at once by default.
    pub const AT_ONCE: u32 = 5;
    /// After how long a check is stuck by default.
    pub const LIMIT: Duration = Duration::from_secs(63);

    const MAX_AT_ONCE: u32 = 1_024;
    const SHORTEST: Duration = Duration::from_millis(1);
    const LONGEST: Duration = Duration::from_secs(24 * 3_600);

    pub(super) fn check(&self) -> Result<()> {
        check_time("every", self.every)?;
        check_time("limit", self.limit)?;
        if self.jitter > Self::LONGEST {
            return Err(out_of_range("jitter", "it is longer than a day"));
        }
        if self.at_once == 0 || self.at_once > Self::MAX_AT_ONCE {
            let sentence = "it must be 1 to 1,024";
            return Err(out_of_range("at_once", sentence));
        }
        Ok(())
    }

    /// How long after the beginning the first round is due. [`ErrorKind::System`] when the system has no random numbers.
    pub(super) fn draw_first_ns(&self) -> Result<u64> {
        let jitter_ns = self.jitter.as_nanos() as u64;
        if jitter_ns == 0 {
            return Ok(0);
        }
        let mut state = match self.seed {
            Some(seed) => seed,
            None => random_seed()?,
        };
        Ok(next_random(&mut state) % jitter_ns)
    }
}

fn check_time(context: &'static str, time: Duration) -> Result<()> {
    if time < RunnerOptions::SHORTEST || time > RunnerOptions::LONGEST {
        return Err(out_of_range(context, "it must be 1 ms to a day"));
    }
    Ok(())
}

fn out_of_range(context: &'static str, sentence: &'static str) -> Error {
    Error::fixed(ErrorKind::InvalidArgument, context, sentence)
}

impl Default for RunnerOptions {
    fn default() -> Self {
        Self {
            every: Self::EVERY,
            at_once: Self::AT_ONCE,
            limit: Self::LIMIT,
            jitter: Duration::ZERO,
            seed: None,
            observer: None,
            clock: Clock::system(),
        }
    }
}
