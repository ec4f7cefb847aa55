//! What a batch holds.

use std::sync::Arc;

use crate::event::{Event, EventId};

/// Why events were lost for a subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum LostReason {
    /// A drop-newest reader's queue was full.
    Full = 0,
    /// A drop-oldest reader lagged by more than its window.
    Window = 1,
    /// The log let go of events before the reader came to them.
    Evicted = 2,
}

impl LostReason {
    /// The name on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Window => "window",
            Self::Evicted => "evicted",
        }
    }
}

/// Why a resume was not possible.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum ResyncReason {
    /// The text is no event id.
    Malformed = 0,
    /// The id is another bus's, or of an earlier life of this one.
    Epoch = 1,
    /// The id is newer than the newest event.
    Ahead = 2,
    /// An event after it has left the log or is too old.
    Expired = 3,
}

impl ResyncReason {
    /// The name on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Epoch => "epoch",
            Self::Ahead => "ahead",
            Self::Expired => "expired",
        }
    }
}

/// One item of a batch, borrowed from it.
#[derive(Clone, Copy, Debug)]
pub enum Item<'a> {
    /// An event.
    Event {
        /// The event; clone it to keep it longer than the batch.
        event: &'a Event,
        /// The subscription's own number of it, from 1: a hole is loss.
        n: u64,
    },
    /// Events were lost here.
    Lost {
        /// How many.
        missed: u64,
        /// Why.
        reason: LostReason,
        /// The number that the next matching event has.
        next_n: u64,
    },
    /// The resume was not possible; reading goes on live, after `head`.
    Resync {
        /// Why.
        reason: ResyncReason,
        /// The newest event at that moment.
        head: EventId,
    },
    /// The latest state of a status source.
    Status {
        /// Its name.
        source: &'a str,
        /// Its state; `gone` when the source was removed.
        state: &'a str,
        /// Free text.
        detail: &'a str,
    },
}

/// One item, owned: what streams yield.
#[derive(Clone, Debug)]
pub enum OwnedItem {
    /// See [`Item::Event`].
    Event {
        /// The event.
        event: Event,
        /// The subscription's own number of it.
        n: u64,
    },
    /// See [`Item::Lost`].
    Lost {
        /// How many.
        missed: u64,
        /// Why.
        reason: LostReason,
        /// The number that the next matching event has.
        next_n: u64,
    },
    /// See [`Item::Resync`].
    Resync {
        /// Why.
        reason: ResyncReason,
        /// The newest event at that moment.
        head: EventId,
    },
    /// See [`Item::Status`].
    Status {
        /// Its name.
        source: Arc<str>,
        /// Its state.
        state: Arc<str>,
        /// Free text.
        detail: Arc<str>,
    },
}

impl OwnedItem {
    /// The item, borrowed.
    #[must_use]
    pub fn as_item(&self) -> Item<'_> {
        match self {
            Self::Event { event, n } => Item::Event { event, n: *n },
            Self::Lost {
                missed,
                reason,
                next_n,
            } => Item::Lost {
                missed: *missed,
                reason: *reason,
                next_n: *next_n,
            },
            Self::Resync { reason, head } => Item::Resync {
                reason: *reason,
                head: *head,
            },
            Self::Status {
                source,
                state,
                detail,
            } => Item::Status {
                source,
                state,
                detail,
            },
        }
    }
}
