//! When a blocking wait ends.

use std::sync::Arc;
use std::task::Wake;
#[cfg(any(test, feature = "test-clock"))]
use std::task::Waker;
use std::time::{Duration, Instant};

use super::clock::Clock;
use super::timer::TimerHandle;
use crate::error::Result;

/// When a blocking wait ends: on the system's clock the park itself knows, on a driven one a timer wakes it.
pub(crate) enum Deadline {
    /// Never.
    Never,
    /// At an instant of the system's clock.
    At(Instant),
    /// At a time of the driven clock.
    #[cfg(any(test, feature = "test-clock"))]
    Driven(u64),
}

impl Deadline {
    /// `timeout` from now; `None` is never.
    pub(crate) fn new(clock: &Clock, timeout: Option<Duration>) -> Self {
        let Some(timeout) = timeout else {
            return Self::Never;
        };
        #[cfg(any(test, feature = "test-clock"))]
        if clock.is_driven() {
            return Self::Driven(clock.deadline_after(timeout));
        }
        let _ = clock;
        // A deadline beyond what an `Instant` holds is never.
        Instant::now()
            .checked_add(timeout)
            .map_or(Self::Never, Self::At)
    }

    /// At `at_ns` of [`Clock::now_ns`].
    pub(crate) fn at(clock: &Clock, at_ns: u64) -> Self {
        #[cfg(any(test, feature = "test-clock"))]
        if clock.is_driven() {
            return Self::Driven(at_ns);
        }
        let left_ns = at_ns.saturating_sub(clock.now_ns());
        Self::new(clock, Some(Duration::from_nanos(left_ns)))
    }

    /// Until when a park may last.
    pub(crate) fn instant(&self) -> Option<Instant> {
        match self {
            Self::At(at) => Some(*at),
            _ => None,
        }
    }

    /// Whether time is up.
    pub(crate) fn has_passed(&self, clock: &Clock) -> bool {
        let _ = clock;
        match self {
            Self::Never => false,
            Self::At(at) => Instant::now() >= *at,
            #[cfg(any(test, feature = "test-clock"))]
            Self::Driven(at_ns) => clock.now_ns() >= *at_ns,
        }
    }

    /// What ends a park that knows no instant; keep it as long as the wait lasts.
    pub(crate) fn timer<W>(&self, clock: &Clock, sleeper: &Arc<W>) -> Result<Option<TimerHandle>>
    where
        W: Wake + Send + Sync + 'static,
    {
        let _ = (clock, sleeper);
        match self {
            #[cfg(any(test, feature = "test-clock"))]
            Self::Driven(at_ns) => {
                let waker = Waker::from(sleeper.clone());
                clock.schedule(*at_ns, waker).map(Some)
            }
            _ => Ok(None),
        }
    }
}
