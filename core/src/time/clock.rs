//! The clock that a bus reads.

#[cfg(any(test, feature = "test-clock"))]
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

#[cfg(any(test, feature = "test-clock"))]
use super::driven::{ClockDriver, Driven};
use super::nanos::nanos;
use super::timer::TimerHandle;
use crate::error::Result;

/// Where a bus takes its time from, and where its timers are set.
///
/// [`Clock::system`] reads the operating system: `CLOCK_REALTIME` for event times,
/// `CLOCK_MONOTONIC_COARSE` (a few milliseconds grain) for ages, `CLOCK_MONOTONIC` for deadlines.
/// With the feature `test-clock`, `Clock::driven` gives one that stands still until it is advanced.
/// A clone is the same clock.
#[derive(Clone, Debug, Default)]
pub struct Clock {
    #[cfg(any(test, feature = "test-clock"))]
    driven: Option<Arc<Driven>>,
}

impl Clock {
    /// The operating system's clock.
    #[must_use]
    pub const fn system() -> Self {
        Self {
            #[cfg(any(test, feature = "test-clock"))]
            driven: None,
        }
    }

    /// A clock that stands still until its driver advances it.
    #[cfg(any(test, feature = "test-clock"))]
    #[must_use]
    pub fn driven() -> (Self, ClockDriver) {
        let line = Arc::new(Driven::new());
        let clock = Self {
            driven: Some(line.clone()),
        };
        (clock, ClockDriver::new(line))
    }

    /// Nanoseconds since 1970 UTC; 0 if the system's clock stands before that.
    #[inline]
    pub(crate) fn wall_ns(&self) -> u64 {
        #[cfg(any(test, feature = "test-clock"))]
        if let Some(driven) = &self.driven {
            return driven.wall_ns();
        }
        read(libc::CLOCK_REALTIME)
    }

    /// Coarse monotonic nanoseconds, for ages. Not to be compared with [`Clock::now_ns`]: it may lag
    /// behind that by a few milliseconds.
    #[inline]
    pub(crate) fn coarse_ns(&self) -> u64 {
        #[cfg(any(test, feature = "test-clock"))]
        if let Some(driven) = &self.driven {
            return driven.now_ns();
        }
        read(COARSE)
    }

    /// Monotonic nanoseconds, for deadlines.
    #[inline]
    pub(crate) fn now_ns(&self) -> u64 {
        #[cfg(any(test, feature = "test-clock"))]
        if let Some(driven) = &self.driven {
            return driven.now_ns();
        }
        read(libc::CLOCK_MONOTONIC)
    }

    /// Whether tests drive it.
    #[cfg(any(test, feature = "test-clock"))]
    pub(crate) fn is_driven(&self) -> bool {
        self.driven.is_some()
    }

    /// The deadline `after` from now, on the line of [`Clock::now_ns`]; `u64::MAX`, which never
    /// comes, if it lies too far ahead for the line (some 500 years).
    #[inline]
    pub(crate) fn deadline_after(&self, after: Duration) -> u64 {
        let after_ns = nanos(after);
        self.now_ns().saturating_add(after_ns)
    }

    /// Wakes `waker` once [`Clock::now_ns`] has reached `deadline_ns`, unless the handle is dropped
    /// before. A drop does not wait for a wake that is under way: a late one is possible, and harmless
    /// to whoever looks again after each wake.
    ///
    /// A deadline that has passed wakes at once, on the calling thread; `u64::MAX` never does. Else the
    /// wake comes from the thread `reqbus-timer` (system clock), which it must not block, or from the
    /// one that advances the clock (driven). Neither blocks here.
    ///
    /// Errors: [`ErrorKind::System`](crate::error::ErrorKind::System) if the timer's thread cannot be
    /// started; nothing was set.
    pub(crate) fn schedule(&self, deadline_ns: u64, waker: Waker) -> Result<TimerHandle> {
        if deadline_ns == u64::MAX {
            return Ok(TimerHandle::never());
        }
        #[cfg(any(test, feature = "test-clock"))]
        if let Some(driven) = &self.driven {
            return Ok(TimerHandle::driven(driven, deadline_ns, waker));
        }
        if deadline_ns <= self.now_ns() {
            waker.wake();
            return Ok(TimerHandle::never());
        }
        TimerHandle::system(deadline_ns, waker)
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
const COARSE: libc::clockid_t = libc::CLOCK_MONOTONIC_COARSE;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const COARSE: libc::clockid_t = libc::CLOCK_MONOTONIC;

#[inline]
pub(super) fn read(clock: libc::clockid_t) -> u64 {
    let mut now = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `now` is a valid place for one timespec, and these clocks exist on every supported
    // system; should the call fail all the same, `now` stays zero.
    unsafe { libc::clock_gettime(clock, &mut now) };
    u64::try_from(now.tv_sec)
        .unwrap_or(0)
        .saturating_mul(1_000_000_000)
        .saturating_add(now.tv_nsec as u64)
}
