//! The cleanup guard of an audience.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::audience::Seat;

/// How long a cleanup guard is in force unless its taker says otherwise.
pub(crate) const GUARD_LIMIT: Duration = Duration::from_secs(30);

/// Keeps newcomers out of an audience while what its members shared is torn down.
///
/// The sole member of an audience takes it; that ends its membership and reports it as the last.
/// Until the guard is dropped, [released](Self::release) or [given back](Self::abort), whoever
/// subscribes to that audience waits (till its own deadline). Then newcomers join, the earliest as
/// first: it sets up anew what was torn down.
///
/// A guard is in force for 30 s. After that newcomers join as if it had been dropped, and its holder
/// learns so by [`is_expired`](Self::is_expired) or from what `release` and `abort` return; ending it
/// then disturbs nobody. A tear-down that may take longer looks at `is_expired` before each step that
/// would undo a newcomer's work.
///
/// Nothing here blocks; any thread may hold it.
#[must_use = "dropping the guard admits newcomers at once"]
pub struct CleanupGuard {
    seat: Arc<Seat>,
    /// Tells this guard from any that follows it.
    owner: u64,
    limit_ns: u64,
    ended: bool,
}

impl CleanupGuard {
    pub(in crate::bus) const fn new(seat: Arc<Seat>, owner: u64, limit_ns: u64) -> Self {
        Self {
            seat,
            owner,
            limit_ns,
            ended: false,
        }
    }

    /// The audience's name.
    #[must_use]
    pub fn audience(&self) -> &str {
        &self.seat.name
    }

    /// Whether the guard is over its limit: newcomers may have joined, and what they set up must not
    /// be torn down. Once true, always true. One read of the clock.
    #[must_use]
    pub fn is_expired(&self) -> bool {
        self.seat.now_ns() >= self.limit_ns
    }

    /// The tear-down is done: admits newcomers. Says whether the guard was in force until now; if not,
    /// newcomers may have joined before. A drop does the same without saying.
    pub fn release(mut self) -> bool {
        self.end(false)
    }

    /// Nothing was torn down: gives the membership back, and newcomers join beside it, not as first.
    ///
    /// Says whether the membership lives again. If not (the guard was over its limit, or its
    /// subscription has been closed since), this was a [`release`](Self::release).
    pub fn abort(mut self) -> bool {
        self.end(true)
    }

    fn end(&mut self, give_back: bool) -> bool {
        if std::mem::replace(&mut self.ended, true) {
            return false;
        }
        let seat = &self.seat;
        seat.registry.end_guard(seat, self.owner, give_back)
    }
}

impl Drop for CleanupGuard {
    fn drop(&mut self) {
        self.end(false);
    }
}

impl fmt::Debug for CleanupGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CleanupGuard")
            .field("audience", &self.audience())
            .field("expired", &self.is_expired())
            .finish_non_exhaustive()
    }
}
