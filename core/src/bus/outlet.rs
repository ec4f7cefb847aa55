//! One drop-newest reader, as the fan-out sees it.

use std::collections::VecDeque;

use super::item::LostReason;
use crate::sync::{AtomicBool, AtomicI64, AtomicU64, Mutex, Ordering, Padded};

/// What the fan-out keeps of a reader besides the sending half of its channel. Touched when something is lost or
/// the queue may be too full, not for an event that simply goes into the channel.
///
/// Written by the holder of the shard's lock, but for `popped_bytes`, which is the reader's. Relaxed throughout,
/// because nothing else is read on these values' account: statistics take the shard's lock, and what the reader must
/// see before it takes a message, its losses, the channel's own ordering shows it.
pub(super) struct Outlet {
    /// Events up to this ordinal are not for the channel: the reader gets them from the log, or came later.
    pub(super) join: i64,
    /// Nor are events after this one, the end of a closed reader.
    end: AtomicI64,
    max_bytes: u64,
    /// The group's bytes that did not go into this channel.
    not_pushed: AtomicU64,
    lost_full: AtomicU64,
    lost_evicted: AtomicU64,
    /// Losses the reader has not come to yet, in their order.
    losses: Mutex<VecDeque<Loss>>,
    has_losses: AtomicBool,
    popped_bytes: Padded<AtomicU64>,
}

/// Neighbouring events that were lost for one reason.
#[derive(Clone, Copy)]
pub(super) struct Loss {
    /// Ordinal of the first.
    pub(super) first: i64,
    pub(super) count: u64,
    pub(super) reason: LostReason,
}

impl Outlet {
    /// The outlet of a reader that joins after ordinal `join`, with a channel for `events` events; `bytes` is what
    /// its group counts already.
    pub(super) fn new(join: i64, events: usize, max_bytes: usize, bytes: u64) -> Self {
        Self {
            join,
            end: AtomicI64::new(i64::MAX),
            max_bytes: max_bytes as u64,
            not_pushed: AtomicU64::new(bytes),
            lost_full: AtomicU64::new(0),
            lost_evicted: AtomicU64::new(0),
            // Between two losses stands an event in the channel: room enough that a publisher which notes a
            // loss does not allocate.
            losses: Mutex::new(VecDeque::with_capacity(events + 2)),
            has_losses: AtomicBool::new(false),
            popped_bytes: Padded::default(),
        }
    }

    /// The reader ends at this ordinal.
    pub(super) fn end_at(&self, ordinal: i64) {
        self.end.store(ordinal, Ordering::Relaxed);
    }

    /// Whether the event with this ordinal is for this reader's channel.
    pub(super) fn wants(&self, ordinal: i64) -> bool {
        ordinal > self.join && ordinal <= self.end.load(Ordering::Relaxed)
    }

    /// Whether an event of `size` bytes is too much for the queue, when its group has counted `bytes` before
    /// it. An event that finds the queue empty never is.
    pub(super) fn is_over(&self, bytes: u64, size: u64) -> bool {
        let pushed = bytes - self.not_pushed.load(Ordering::Relaxed);
        let popped = self.popped_bytes.load(Ordering::Relaxed);
        popped < pushed && pushed - popped + size > self.max_bytes
    }

    /// Counts bytes of the group that do not go into this channel.
    pub(super) fn pass_over(&self, size: u64) {
        let not_pushed = self.not_pushed.load(Ordering::Relaxed);
        self.not_pushed.store(not_pushed + size, Ordering::Relaxed);
    }

    /// The reader has taken an event of `size` bytes out of the channel.
    #[inline]
    pub(super) fn popped(&self, size: u64) {
        let popped = self.popped_bytes.load(Ordering::Relaxed);
        self.popped_bytes.store(popped + size, Ordering::Relaxed);
    }

    /// The event with this ordinal found the queue full.
    pub(super) fn lose_full(&self, ordinal: i64, size: u64) {
        self.pass_over(size);
        self.lost_full
            .store(self.lost_full() + 1, Ordering::Relaxed);
        self.note(Loss {
            first: ordinal,
            count: 1,
            reason: LostReason::Full,
        });
    }

    /// The events after ordinal `from` and up to `to` left the log before they were offered.
    pub(super) fn lose_evicted(&self, from: i64, to: i64) {
        let from = from.max(self.join);
        let to = to.min(self.end.load(Ordering::Relaxed));
        if to > from {
            let count = (to - from) as u64;
            self.lost_evicted
                .store(self.lost_evicted() + count, Ordering::Relaxed);
            self.note(Loss {
                first: from + 1,
                count,
                reason: LostReason::Evicted,
            });
        }
    }

    fn note(&self, loss: Loss) {
        let mut losses = self.losses.lock();
        match losses.back_mut() {
            Some(last)
                if last.reason == loss.reason && last.first + last.count as i64 == loss.first =>
            {
                last.count += loss.count;
            }
            _ => losses.push_back(loss),
        }
        self.has_losses.store(true, Ordering::Relaxed);
    }

    /// The loss that begins right after `ordinal`, if one does. A reader asks before it takes the next message as
    /// the next event: a loss is noted before a later event is sent.
    #[inline]
    pub(super) fn loss_after(&self, ordinal: i64) -> Option<Loss> {
        if !self.has_losses.load(Ordering::Relaxed) {
            return None;
        }
        let mut losses = self.losses.lock();
        let loss = losses.pop_front_if(|loss| loss.first == ordinal + 1);
        self.has_losses.store(!losses.is_empty(), Ordering::Relaxed);
        loss
    }

    pub(super) fn lost_full(&self) -> u64 {
        self.lost_full.load(Ordering::Relaxed)
    }

    pub(super) fn lost_evicted(&self) -> u64 {
        self.lost_evicted.load(Ordering::Relaxed)
    }
}
