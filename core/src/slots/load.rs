//! How keys stand, and who holds them.

use std::time::Duration;

use super::key::OwnedKey;
use super::limit::Limit;

/// How a key stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Slots in use, offers included.
    pub in_use: u32,
    /// Waiters in its queue.
    pub waiting: u32,
    /// Of these, those whose offer lapsed: each gets no other until its owner looks, and keeps nobody out meanwhile.
    pub lapsed: u32,
    /// Its limit; `None` for a key that has none, or is not known.
    pub limit: Option<Limit>,
    /// Refuses as closed.
    pub is_closed: bool,
    /// How long the first in its queue has waited.
    pub oldest_wait: Option<Duration>,
    /// How long its oldest holder has held; by a coarse clock, a few milliseconds grain.
    pub oldest_hold: Option<Duration>,
}

impl Load {
    /// `(in use + waiting) × 100 ÷ limit`, which may pass 100; 0 without a limit, or with limit 0.
    #[must_use]
    pub fn rate(&self) -> u64 {
        let limit = self.limit.unwrap_or(Limit::Unlimited);
        limit.load_rate(self.in_use, self.waiting)
    }

    /// Whether a newcomer would get a slot now. Yes for a key without a limit: a call brings its own.
    #[must_use]
    pub fn has_room(&self) -> bool {
        let limit = self.limit.unwrap_or(Limit::Unlimited);
        !self.is_closed && self.waiting == self.lapsed && limit.has_room(self.in_use)
    }
}

/// Names a holder of a key. Never given twice for one key while the pool knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct HolderId(pub(super) u64);

impl HolderId {
    /// As a number, for other languages.
    #[must_use]
    pub const fn to_u64(self) -> u64 {
        self.0
    }

    /// From its number.
    #[must_use]
    pub const fn from_u64(number: u64) -> Self {
        Self(number)
    }
}

/// One who holds a slot of a key.
#[derive(Clone, Debug)]
pub struct Holder {
    /// For [`super::SlotPool::force`].
    pub id: HolderId,
    /// What it holds.
    pub key: OwnedKey,
    /// What its host called it; empty if nothing.
    pub label: Box<str>,
    /// For how long; by a coarse clock, a few milliseconds grain.
    pub age: Duration,
}
