//! One timer, on either side.

#[cfg(any(test, feature = "test-clock"))]
use std::sync::Arc;
use std::task::Waker;

#[cfg(any(test, feature = "test-clock"))]
use super::driven::{Driven, DrivenTimer};
#[cfg(not(loom))]
use super::system_timer::SystemTimer;
use crate::error::Result;

/// A timer that [`Clock::schedule`](super::Clock::schedule) has set. Dropping it cancels the timer,
/// from any thread, without waiting. It needs no cancelling after it has fired.
#[must_use = "dropping the handle cancels the timer"]
pub(crate) struct TimerHandle {
    /// Held for its drop.
    _armed: Armed,
}

enum Armed {
    /// Never fires, or has fired as it was set.
    Not,
    #[cfg(not(loom))]
    System { _timer: SystemTimer },
    #[cfg(any(test, feature = "test-clock"))]
    Driven { _timer: DrivenTimer },
}

impl TimerHandle {
    /// A timer that never fires.
    pub(super) const fn never() -> Self {
        Self { _armed: Armed::Not }
    }

    /// A timer on the system's clock.
    #[cfg(not(loom))]
    pub(super) fn system(deadline_ns: u64, waker: Waker) -> Result<Self> {
        let _timer = SystemTimer::set(deadline_ns, waker)?;
        Ok(Self {
            _armed: Armed::System { _timer },
        })
    }

    /// A timer on the system's clock: time stands still in a model.
    #[cfg(loom)]
    pub(super) fn system(_deadline_ns: u64, _waker: Waker) -> Result<Self> {
        Ok(Self::never())
    }

    /// A timer on a driven clock.
    #[cfg(any(test, feature = "test-clock"))]
    pub(super) fn driven(line: &Arc<Driven>, deadline_ns: u64, waker: Waker) -> Self {
        match DrivenTimer::set(line, deadline_ns, waker) {
            Some(_timer) => Self {
                _armed: Armed::Driven { _timer },
            },
            None => Self::never(),
        }
    }
}
