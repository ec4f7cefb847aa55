//! The log: the one bounded ring of recent events, live buffer and replay store at once.
//!
//! ```text
//!      reaped      tail                    head
//!        |  evicted  |  kept: readable       |
//!   -----+-----------+-----------------------+----> seq
//! ```
//!
//! Eviction moves the tail at once, as far as the bounds ask. What was evicted is *reaped* (taken out of its
//! slot, counted for the rows it matched, freed after unlocking) at most [`REAP`] events a time, by the next
//! publishers, or by a reader that fell behind and needs exact counts.
//!
//! Everything here runs under one short lock: no allocation, no free, no wake, no user code.

use std::sync::Arc;

use arrayvec::ArrayVec;

use super::index::{Change, Index};
use super::kinds::Kind;
use super::row::{Meta, Row};
use crate::bell::{Chain, LockToken};
use crate::event::{Draft, Event, EventId, LogRef};
use crate::sync::{AtomicI64, AtomicU64, Mutex, MutexGuard, Ordering, Padded};

/// Most events that are reaped, or copied for a reader, in one hold of the lock.
pub(super) const REAP: usize = 64;

/// Evicted events on their way out: dropped without the lock.
#[derive(Default)]
pub(super) struct Reaped(ArrayVec<(LogRef, i32), REAP>);

/// The ring and its lock.
pub(super) struct Log {
    state: Padded<Mutex<LogState>>,
    /// The newest seq, for those who ask without the lock. Written under it; Release, so that whoever
    /// sees a seq sees its event once it takes the lock (and fences stand where a decision hangs on it).
    head: Padded<AtomicU64>,
    /// Bytes of the texts made of events that the log holds. Relaxed: an account, see `event::block`.
    text_bytes: AtomicI64,
}

#[derive(Default)]
struct Slot {
    event: Option<LogRef>,
    /// References lent from this slot, less those given back to it.
    lent: i32,
    /// Size of the block while kept; once evicted, the text bytes that eviction reckoned with.
    size: u32,
    key_hash: u32,
    kind: u8,
}

impl Slot {
    fn meta(&self) -> Meta {
        Meta {
            kind: Kind(self.kind),
            key_hash: self.key_hash,
            size: self.size,
        }
    }
}

/// What the lock guards.
pub(super) struct LogState {
    slots: Box<[Slot]>,
    mask: u64,
    head: u64,
    tail: u64,
    reaped: u64,
    /// Bytes of the blocks from tail to head.
    bytes: i64,
    /// Text bytes of events that are evicted and not reaped.
    unreaped_text: i64,
    max_events: u64,
    max_bytes: i64,
    pub(super) closed: bool,
    epoch: u64,
    index: Index<Arc<Row>>,
    pub(super) token: LockToken,
}

/// An event as the fan-out wants it.
pub(super) struct Fresh {
    pub(super) seq: u64,
    pub(super) meta: Meta,
    /// A reference of the publisher's own, if it asked for one.
    pub(super) event: Option<Event>,
}

impl Log {
    pub(super) fn new(epoch: u64, max_events: usize, max_bytes: usize) -> Self {
        // One slot more than is kept: the newest is written before the oldest is reaped.
        let slots = (max_events + 1).next_power_of_two();
        let state = LogState {
            slots: (0..slots).map(|_| Slot::default()).collect(),
            mask: slots as u64 - 1,
            head: 0,
            tail: 1,
            reaped: 1,
            bytes: 0,
            unreaped_text: 0,
            max_events: max_events as u64,
            max_bytes: max_bytes as i64,
            closed: false,
            epoch,
            index: Index::new(),
            token: LockToken::new(),
        };
        Self {
            state: Padded(Mutex::new(state)),
            head: Padded::default(),
            text_bytes: AtomicI64::new(0),
        }
    }

    #[inline]
    pub(super) fn lock(&self) -> MutexGuard<'_, LogState> {
        self.state.lock()
    }

    /// The newest seq, without the lock.
    #[inline]
    pub(super) fn head(&self) -> u64 {
        self.head.load(Ordering::Acquire)
    }

    /// Counts the bytes of a text that was made of an event which the log still holds.
    pub(super) fn add_text(&self, bytes: i64) {
        self.text_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(super) fn text_bytes(&self) -> i64 {
        self.text_bytes.load(Ordering::Relaxed)
    }

    /// Appends an event: gives it its seq, counts it for the rows it matches, moves whoever is armed there to
    /// `chain`, evicts what the bounds ask for, and reaps.
    #[inline]
    pub(super) fn append(
        &self,
        state: &mut LogState,
        (draft, meta, arrived_ns): (Draft, Meta, u64),
        lend: bool,
        chain: &mut Chain,
        reaped: &mut Reaped,
    ) -> Fresh {
        let seq = state.head + 1;
        let event = draft.seal(
            EventId {
                epoch: state.epoch,
                seq,
            },
            arrived_ns,
        );
        let LogState { index, token, .. } = state;
        index.for_each(meta.key_hash, &event.peek(), |row| {
            if row.all || row.matches_kind(meta, &event.peek()) {
                row.count_match();
                if !row.armed.is_empty(token) {
                    row.armed.take(token, chain);
                }
            }
        });
        let own = lend.then(|| event.lend());
        if let Some(slot) = state.slots.get_mut((seq & state.mask) as usize) {
            *slot = Slot {
                event: Some(event),
                lent: i32::from(lend),
                size: meta.size,
                key_hash: meta.key_hash,
                kind: meta.kind.0,
            };
        }
        state.head = seq;
        state.bytes += i64::from(meta.size);
        self.head.store(seq, Ordering::Release);
        state.evict(self.text_bytes());
        state.reap(reaped);
        Fresh {
            seq,
            meta,
            event: own,
        }
    }

    /// Drops what was reaped, and takes its texts out of the account.
    #[inline]
    pub(super) fn free(&self, reaped: &mut Reaped) {
        for (event, lent) in reaped.0.drain(..) {
            let text = event.retire(lent);
            if text > 0 {
                self.text_bytes.fetch_sub(text, Ordering::Relaxed);
            }
        }
    }

    /// Waits for nothing and leaves nothing evicted unreaped: what a reader calls that fell behind.
    pub(super) fn reap_all(&self) {
        let mut reaped = Reaped::default();
        loop {
            let done = self.lock().reap(&mut reaped);
            self.free(&mut reaped);
            if done {
                return;
            }
        }
    }
}

impl LogState {
    pub(super) fn head(&self) -> u64 {
        self.head
    }

    /// The oldest seq that is kept; head + 1 when nothing is.
    pub(super) fn tail(&self) -> u64 {
        self.tail
    }

    /// Whether the rows' `evicted` counts reach up to the tail.
    pub(super) fn is_reaped(&self) -> bool {
        self.reaped == self.tail
    }

    pub(super) fn kept_bytes(&self) -> i64 {
        self.bytes
    }

    /// Moves the tail as far as the bounds ask. The newest event stays.
    #[inline]
    fn evict(&mut self, text_bytes: i64) {
        let mut over = self.bytes + text_bytes - self.unreaped_text - self.max_bytes;
        while self.tail < self.head && (self.head - self.tail >= self.max_events || over > 0) {
            over -= self.evict_one(over > 0);
        }
    }

    /// Evicts the oldest kept event; the bytes that frees in the end.
    #[inline]
    fn evict_one(&mut self, count_texts: bool) -> i64 {
        let at = (self.tail & self.mask) as usize;
        let Some(slot) = self.slots.get_mut(at) else {
            return 0;
        };
        let size = i64::from(slot.size);
        // The texts are only asked for where bytes decide: it touches the event's own memory.
        let texts = match &slot.event {
            Some(event) if count_texts => event.text_bytes(),
            _ => 0,
        };
        slot.size = u32::try_from(texts).unwrap_or(u32::MAX);
        self.unreaped_text += i64::from(slot.size);
        self.bytes -= size;
        self.tail += 1;
        size + texts
    }

    /// Evicts everything before `seq`.
    pub(super) fn evict_before(&mut self, seq: u64) {
        while self.tail < seq && self.tail <= self.head {
            self.evict_one(false);
        }
    }

    /// Takes up to [`REAP`] evicted events out of their slots. Whether all are out.
    #[inline]
    pub(super) fn reap(&mut self, reaped: &mut Reaped) -> bool {
        while self.reaped < self.tail {
            if reaped.0.is_full() {
                return false;
            }
            let seq = self.reaped;
            let Some(slot) = self.slots.get_mut((seq & self.mask) as usize) else {
                return true;
            };
            self.unreaped_text -= i64::from(slot.size);
            if let Some(event) = slot.event.take() {
                let meta = slot.meta();
                self.index.for_each(meta.key_hash, &event.peek(), |row| {
                    if !row.all && row.matches_kind(meta, &event.peek()) {
                        row.count_reaped(seq);
                    }
                });
                reaped.0.push((event, slot.lent));
            }
            self.reaped += 1;
        }
        true
    }

    #[inline]
    fn slot(&mut self, seq: u64) -> Option<&mut Slot> {
        self.slots.get_mut((seq & self.mask) as usize)
    }

    /// Whether the event with this seq, which must be kept, matches.
    #[inline]
    pub(super) fn matches(&mut self, seq: u64, row: &Row) -> bool {
        row.all
            || self.slot(seq).is_some_and(|slot| {
                let meta = slot.meta();
                slot.event
                    .as_ref()
                    .is_some_and(|event| row.matches(meta, &event.peek()))
            })
    }

    /// A reference to the event with this seq, which must be kept, if it matches; with its size.
    #[inline]
    pub(super) fn lend_if(&mut self, seq: u64, row: &Row) -> Option<(Event, u32)> {
        let slot = self.slot(seq)?;
        let held = slot.event.as_ref()?;
        if !row.all && !row.matches(slot.meta(), &held.peek()) {
            return None;
        }
        let event = held.lend();
        slot.lent += 1;
        Some((event, slot.size))
    }

    /// A reference to the event with this seq, which must be kept.
    #[inline]
    pub(super) fn lend(&mut self, seq: u64) -> Option<(Event, Meta)> {
        let slot = self.slot(seq)?;
        let event = slot.event.as_ref()?.lend();
        slot.lent += 1;
        Some((event, slot.meta()))
    }

    /// Takes back a reference that a reader is done with, if the log still holds the event; else it comes
    /// back, to be dropped without the lock.
    #[inline]
    pub(super) fn take_back(&mut self, event: Event) -> Option<Event> {
        let seq = event.id().seq;
        let Some(slot) = self.slot(seq) else {
            return Some(event);
        };
        match &slot.event {
            Some(held) if held.is(&event) => {
                held.take_back(event);
                slot.lent -= 1;
                None
            }
            _ => Some(event),
        }
    }

    /// When the event with this seq, which must be kept, arrived.
    pub(super) fn arrived_ns(&mut self, seq: u64) -> Option<u64> {
        Some(self.slot(seq)?.event.as_ref()?.peek().arrived_ns())
    }

    /// Moves everybody who is armed to `chain`.
    pub(super) fn take_all_armed(&mut self, chain: &mut Chain) {
        for row in self.index.all() {
            row.armed.take(&mut self.token, chain);
        }
    }

    pub(super) fn apply(&mut self, change: &mut Change<Arc<Row>>) {
        self.index.apply(change);
    }
}

impl Drop for LogState {
    fn drop(&mut self) {
        for slot in &mut *self.slots {
            if let Some(event) = slot.event.take() {
                event.retire(slot.lent);
            }
        }
    }
}
