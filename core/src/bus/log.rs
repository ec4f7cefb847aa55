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
use super::ring::Ring;
use super::row::{Meta, Row};
use crate::bell::{Chain, LockToken};
use crate::event::{Draft, Event, EventId, LogRef};
use crate::sync::{AtomicI64, AtomicU64, Mutex, MutexGuard, Ordering, Padded};

/// Most events that are reaped, or copied for a reader, in one hold of the lock.
pub(super) const REAP: usize = 64;

/// How often a thread looks for the lock before it sleeps: a few microseconds.
#[cfg(not(loom))]
const LOOKS: usize = 100;

/// Evicted events on their way out: dropped without the lock.
#[derive(Default)]
pub(super) struct Reaped(ArrayVec<(LogRef, i32), REAP>);

/// Numbers logs from 1. Relaxed: only distinctness counts. Never loom's: a static cannot be modelled.
fn next_log_id() -> u64 {
    static LAST: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
    LAST.fetch_add(1, std::sync::atomic::Ordering::Relaxed) + 1
}

/// The ring and its lock.
pub(super) struct Log {
    state: Padded<Mutex<LogState>>,
    /// The newest seq, for those who ask without the lock. Written under it; Release, so that whoever
    /// sees a seq sees its event once it takes the lock (and fences stand where a decision hangs on it).
    head: Padded<AtomicU64>,
    /// Bytes of the texts made of events that the log holds. Relaxed: an account, see `event::block`.
    text_bytes: AtomicI64,
    /// Tells logs apart: a batch remembers whose references it holds.
    id: u64,
}

/// What the lock guards.
pub(super) struct LogState {
    pub(super) ring: Ring,
    head: u64,
    tail: u64,
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
        let state = LogState {
            ring: Ring::new(max_events),
            head: 0,
            tail: 1,
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
            id: next_log_id(),
        }
    }

    /// Takes the lock. Nobody holds it for longer than a few hundred instructions: it is worth to look again for a
    /// while (measured: a third less at the 99th percentile of two publishers) before the thread is put to sleep.
    #[inline]
    pub(super) fn lock(&self) -> MutexGuard<'_, LogState> {
        // In a model the try is one more step to no end.
        let free = if cfg!(loom) {
            None
        } else {
            self.state.try_lock()
        };
        match free {
            Some(state) => state,
            None => self.lock_contended(),
        }
    }

    #[cold]
    fn lock_contended(&self) -> MutexGuard<'_, LogState> {
        #[cfg(not(loom))]
        for _ in 0..LOOKS {
            std::hint::spin_loop();
            if let Some(state) = self.state.try_lock() {
                return state;
            }
        }
        self.state.lock()
    }

    /// The newest seq, without the lock.
    #[inline]
    pub(super) fn head(&self) -> u64 {
        self.head.load(Ordering::Acquire)
    }

    /// This log's number in this process, never given twice.
    #[inline]
    pub(super) fn id(&self) -> u64 {
        self.id
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
        state.ring.put(seq, event, meta);
        let own = if lend { state.ring.lend_one(seq) } else { None };
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
        while let Some((event, lent)) = reaped.0.pop() {
            let text = event.retire(lent);
            if text > 0 {
                self.text_bytes.fetch_sub(text, Ordering::Relaxed);
            }
        }
    }

    /// Evicts what texts that were made meanwhile put over the bound.
    pub(super) fn keep_bounds(&self) {
        self.lock().evict(self.text_bytes());
        self.reap_all();
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
        self.ring.first() == self.tail
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
        let size = i64::from(self.ring.meta(self.tail).size);
        // The texts are only asked for where bytes decide: it touches the event's own memory.
        let texts = match self.ring.get(self.tail) {
            Some(event) if count_texts => event.text_bytes(),
            _ => 0,
        };
        self.ring
            .set_size(self.tail, u32::try_from(texts).unwrap_or(u32::MAX));
        self.unreaped_text += texts.min(i64::from(u32::MAX));
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
        while self.ring.first() < self.tail {
            if reaped.0.is_full() {
                return false;
            }
            let seq = self.ring.first();
            let meta = self.ring.meta(seq);
            let Some((event, lent, texts)) = self.ring.take_first() else {
                return true;
            };
            self.unreaped_text -= i64::from(texts);
            self.index.for_each(meta.key_hash, &event.peek(), |row| {
                if !row.all && row.matches_kind(meta, &event.peek()) {
                    row.count_reaped(seq);
                }
            });
            reaped.0.push((event, lent));
        }
        true
    }

    /// Whether the event with this seq, which must be kept, matches.
    #[inline]
    pub(super) fn matches(&self, seq: u64, row: &Row) -> bool {
        row.all
            || self
                .ring
                .get(seq)
                .is_some_and(|event| row.matches(self.ring.meta(seq), &event.peek()))
    }

    /// What is known of the event with this seq, which must be kept, without touching it.
    #[inline]
    pub(super) fn meta(&self, seq: u64) -> Meta {
        self.ring.meta(seq)
    }

    /// When the event with this seq, which must be kept, arrived.
    pub(super) fn arrived_ns(&self, seq: u64) -> Option<u64> {
        Some(self.ring.get(seq)?.peek().arrived_ns())
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
