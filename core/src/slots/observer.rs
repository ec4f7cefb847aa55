//! Who hears what happens to waits and slots.

use std::sync::Arc;
use std::time::Duration;

use super::key::Key;
use super::load::Holder;
use super::lost_reason::LostReason;
use super::outcome::Refusal;

/// Hears what happens in a pool ([`super::PoolOptions::observer`]).
///
/// Called after it happened, on the thread on which it did, under no lock: two threads may be in it at once, and what
/// two of them did may be heard in either order. It must not block for long: the thread may be a request's, or the one
/// that fires timers. A panic of it is caught: no call fails by it.
pub trait PoolObserver: Send + Sync {
    /// Whether it wants to hear of such events. Asked once, when the pool is made.
    fn wants(&self, kind: PoolEventKind) -> bool;

    /// Hears of one.
    fn observe(&self, event: &PoolEvent<'_>);
}

/// What can happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PoolEventKind {
    /// A call found no room, and waits.
    WaitBegun,
    /// A call got its slot.
    Granted,
    /// A call ended without a slot.
    Refused,
    /// A slot was taken from its holder.
    Lost,
    /// A slot has been held for longer than [`super::PoolOptions::held_long`].
    HeldLong,
}

impl PoolEventKind {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::WaitBegun,
        Self::Granted,
        Self::Refused,
        Self::Lost,
        Self::HeldLong,
    ];

    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// What happened.
#[derive(Clone, Copy, Debug)]
pub enum PoolEvent<'a> {
    /// A call found no room, and waits.
    WaitBegun {
        /// What it asked for, in the pool's order.
        keys: &'a [Key<'a>],
        /// What the caller called itself.
        label: &'a str,
        /// Where it stands in the queue, from 1; 0 if that is not known yet.
        position: u32,
    },
    /// A call got its slot: at once, or when its owner looked after a wait.
    Granted {
        /// What it got, in the pool's order.
        keys: &'a [Key<'a>],
        /// What the caller called itself.
        label: &'a str,
        /// How long it waited; zero if the slot was there at once.
        waited: Duration,
        /// Pings that it wrote meanwhile.
        pings: u32,
    },
    /// A call ended without a slot. Not told of calls that are wrong ([`super::Outcome::Invalid`]).
    Refused {
        /// The key that refused, or was waited for.
        key: Key<'a>,
        /// What the caller called itself.
        label: &'a str,
        /// Why.
        refusal: &'a Refusal,
    },
    /// A slot was taken from its holder.
    Lost {
        /// Who held it, and for how long.
        holder: &'a Holder,
        /// Why.
        reason: LostReason,
    },
    /// A slot has been held for longer than [`super::PoolOptions::held_long`]. Told once for each holder and key.
    HeldLong {
        /// Who holds it.
        holder: &'a Holder,
    },
}

impl PoolEvent<'_> {
    /// What sort of event it is.
    #[must_use]
    pub const fn kind(&self) -> PoolEventKind {
        match self {
            Self::WaitBegun { .. } => PoolEventKind::WaitBegun,
            Self::Granted { .. } => PoolEventKind::Granted,
            Self::Refused { .. } => PoolEventKind::Refused,
            Self::Lost { .. } => PoolEventKind::Lost,
            Self::HeldLong { .. } => PoolEventKind::HeldLong,
        }
    }
}

/// A pool's observer, and what it wants to hear of.
pub(super) struct Observation {
    observer: Arc<dyn PoolObserver>,
    wants: u8,
}

impl Observation {
    pub(super) fn new(observer: &Arc<dyn PoolObserver>) -> Self {
        let wanted = PoolEventKind::ALL.into_iter();
        Self {
            wants: wanted
                .filter(|kind| observer.wants(*kind))
                .fold(0, |wants, kind| wants | kind.bit()),
            observer: observer.clone(),
        }
    }

    #[inline]
    pub(super) const fn wants(&self, kind: PoolEventKind) -> bool {
        self.wants & kind.bit() != 0
    }

    pub(super) fn tell(&self, event: &PoolEvent<'_>) {
        self.observer.observe(event);
    }
}
