//! A place in an audience.

use std::sync::Arc;
use std::time::Duration;

use super::registry::Registry;
use crate::bus::guard::CleanupGuard;
use crate::sync::{AtomicU8, Ordering};

/// What has become of a membership.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum SeatState {
    /// It counts.
    Live = 0,
    /// It ended by a cleanup guard, which may give it back.
    Guarded = 1,
    /// It ended for good.
    Left = 2,
}

/// What a membership and its cleanup guard share.
pub(in crate::bus) struct Seat {
    pub(in crate::bus) registry: Arc<Registry>,
    pub(in crate::bus) name: Arc<str>,
    /// A [`SeatState`]. Relaxed: read and written under the registry's lock only, which orders it.
    state: AtomicU8,
}

impl Seat {
    /// A live one.
    pub(super) fn new(registry: Arc<Registry>, name: Arc<str>) -> Self {
        Self {
            registry,
            name,
            state: AtomicU8::new(SeatState::Live as u8),
        }
    }

    /// The time on the line of the guard's limit.
    pub(in crate::bus) fn now_ns(&self) -> u64 {
        self.registry.clock.now_ns()
    }

    pub(super) fn get(&self) -> SeatState {
        SeatState::from_number(self.state.load(Ordering::Relaxed))
    }

    /// Sets the state and returns the one before. The registry's lock is held.
    pub(super) fn set(&self, state: SeatState) -> SeatState {
        let before = self.get();
        self.state.store(state as u8, Ordering::Relaxed);
        before
    }
}

impl SeatState {
    const fn from_number(number: u8) -> Self {
        match number {
            0 => Self::Live,
            1 => Self::Guarded,
            _ => Self::Left,
        }
    }
}

/// A membership. It ends by the first of [`Membership::leave`], [`Membership::guard`] and drop.
pub(crate) struct Membership {
    seat: Arc<Seat>,
    first: bool,
}

impl Membership {
    pub(super) fn new(seat: Seat, first: bool) -> Self {
        Self {
            seat: Arc::new(seat),
            first,
        }
    }

    /// Whether the audience was empty when this member joined. Does not change.
    pub(crate) const fn is_first(&self) -> bool {
        self.first
    }

    /// The audience's name.
    pub(crate) fn audience(&self) -> &str {
        &self.seat.name
    }

    /// Ends the membership: whether it was the audience's last, `None` if it had ended before or if
    /// this is a forked child. Does not block; any thread, any number of times.
    pub(crate) fn leave(&self) -> Option<bool> {
        self.seat.registry.leave(&self.seat)
    }

    /// The cleanup guard, in force for `limit` from now. Taking it ends this membership and *reports
    /// it as the last*. `None`, without effect, unless this is the sole member (several members, a guard
    /// that is out, a membership that has ended). Does not block.
    pub(crate) fn guard(&self, limit: Duration) -> Option<CleanupGuard> {
        let registry = &self.seat.registry;
        registry.check_fork().ok()?;
        let limit_ns = registry.clock.deadline_after(limit);
        let owner = registry.take_guard(&self.seat, limit_ns)?;
        Some(CleanupGuard::new(self.seat.clone(), owner, limit_ns))
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        self.leave();
    }
}
