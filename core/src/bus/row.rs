//! One row per distinct filter: what all its subscriptions share.

use super::filter::Filter;
use super::kinds::{Kind, Kinds, OTHER};
use crate::bell::ArmList;
use crate::event::Event;
use crate::sync::{AtomicI64, AtomicU64, Ordering};

/// What is known of an event without touching its block.
#[derive(Clone, Copy)]
pub(super) struct Meta {
    pub(super) kind: Kind,
    pub(super) key_hash: u32,
    pub(super) size: u32,
}

/// A filter's account of the log.
///
/// Matching events are numbered: their *ordinals*. Ordinal 0 stands at the newest event at the row's
/// birth, so that events after it are 1, 2, 3 … and a reader that resumes before it counts downwards. The
/// row of all events is the exception: its ordinals are the sequence numbers.
///
/// The counters are written under the log's lock only, by plain stores; they are atomics so that statistics
/// can read them.
pub(super) struct Row {
    filter: Filter,
    kinds: u64,
    /// Whether every event matches.
    pub(super) all: bool,
    /// Ordinal of the newest matching event.
    matched: AtomicI64,
    /// Ordinal of the newest matching event that was reaped, or that stands before `covers_from`.
    evicted: AtomicI64,
    /// Events from this seq on are in the account.
    covers_from: AtomicU64,
    /// Who is rung at the next match.
    pub(super) armed: ArmList,
}

impl Row {
    /// A row without an account yet.
    pub(super) fn new(filter: Filter, kinds: &Kinds) -> Self {
        let mask = filter
            .kinds()
            .iter()
            .fold(0, |mask, kind| mask | kinds.register(kind).mask());
        Self {
            kinds: if filter.kinds().is_empty() {
                u64::MAX
            } else {
                mask
            },
            all: filter.is_all(),
            filter,
            matched: AtomicI64::new(0),
            evicted: AtomicI64::new(0),
            covers_from: AtomicU64::new(u64::MAX),
            armed: ArmList::default(),
        }
    }

    /// Begins the account after `head`, under the log's lock.
    pub(super) fn begin(&self, head: u64) {
        self.covers_from.store(head + 1, Ordering::Relaxed);
    }

    pub(super) fn filter(&self) -> &Filter {
        &self.filter
    }

    /// The kinds that can match.
    pub(super) fn kinds(&self) -> u64 {
        self.kinds
    }

    /// Whether the kind of an event matches; `event` is looked at only for kinds without a bit.
    #[inline]
    pub(super) fn matches_kind(&self, meta: Meta, event: &Event) -> bool {
        if meta.kind.0 == OTHER && !self.filter.kinds().is_empty() {
            // A kind that got its bit after this event, or never: only its text tells.
            return self.filter.has_kind(event.kind());
        }
        self.kinds & meta.kind.mask() != 0
    }

    /// Whether an event matches.
    #[inline]
    pub(super) fn matches(&self, meta: Meta, event: &Event) -> bool {
        self.all
            || (self.matches_kind(meta, event)
                && (self.filter.keys().is_empty() || self.filter.has_key(event.key())))
    }

    /// Ordinal of the newest matching event; `head` is the newest seq. Under the log's lock, or at a quiet
    /// moment.
    #[inline]
    pub(super) fn matched(&self, head: u64) -> i64 {
        if self.all {
            head as i64
        } else {
            self.matched.load(Ordering::Relaxed)
        }
    }

    /// Ordinal of the newest matching event that has left the log, when everything before `tail` is
    /// reaped.
    #[inline]
    pub(super) fn evicted(&self, tail: u64) -> i64 {
        if self.all {
            tail as i64 - 1
        } else {
            self.evicted.load(Ordering::Relaxed)
        }
    }

    /// Counts a matching event that was appended.
    #[inline]
    pub(super) fn count_match(&self) {
        if !self.all {
            self.matched
                .store(self.matched.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        }
    }

    /// Counts a matching event that was reaped.
    #[inline]
    pub(super) fn count_reaped(&self, seq: u64) {
        if !self.all && seq >= self.covers_from.load(Ordering::Relaxed) {
            self.evicted
                .store(self.evicted.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        }
    }

    /// Extends the account backwards: `ordinal` is that of the newest matching event before `seq`.
    pub(super) fn extend_back(&self, seq: u64, ordinal: i64) {
        if seq < self.covers_from.load(Ordering::Relaxed) {
            self.covers_from.store(seq, Ordering::Relaxed);
            self.evicted.store(ordinal, Ordering::Relaxed);
        }
    }
}
