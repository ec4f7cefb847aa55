//! Why a slot was lost.

/// Why a slot was lost. The work that it was for may still be running: nothing of the host's is cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LostReason {
    /// Its lease ended, because nobody renewed it in time.
    Expired,
    /// Somebody took it away ([`super::SlotPool::force`]).
    Forced,
    /// The store forgot it.
    Store,
}

impl LostReason {
    /// The stable name, in snake case.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::Forced => "forced",
            Self::Store => "store",
        }
    }
}
