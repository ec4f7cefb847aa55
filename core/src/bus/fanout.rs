//! From the log to the channels of drop-newest readers.
//!
//! Readers are spread over a few shards. A shard has a lock, which a publisher only ever *tries*, and a
//! position: the next seq that its channels have not been offered. Whoever holds the lock takes a bounded
//! turn, so that no publisher works for the others for long; what a turn leaves, the next publisher or a
//! reader that finds its channel empty takes up. Shards let two publishers fan out side by side.
//!
//! Order: the lock makes a shard's channels see one order, the log's.

use std::sync::Arc;

use arrayvec::ArrayVec;

use super::index::{Index, KeyHasher};
use super::log::{Fresh, Log};
use super::row::{Meta, Row};
use crate::event::{Event, Shares};
use crate::sync::{
    AtomicI64, AtomicU64, Mutex, MutexGuard, Ordering, Padded, Sender, TrySend, fence,
};

/// Events that one publisher offers to one shard before it leaves the rest to others.
const TURN: usize = 4;
/// How many shards.
const SHARDS: usize = 4;

/// One drop-newest reader, as the fan-out sees it. The reader has the other end of the channel.
pub(super) struct Outlet {
    channel: Sender<Queued>,
    /// Ordinal of the newest event of the row that was offered in this shard; shared by the row's outlets.
    pub(super) fanned: Arc<AtomicI64>,
    /// Events up to this ordinal are not for the channel: the reader gets them from the log, or came later.
    join: i64,
    /// Nor are events after this one, the end of a closed reader. Written under the shard's lock.
    end: AtomicI64,
    max_bytes: u64,
    /// These four are written by the holder of the shard's lock only, hence plain stores; Relaxed, because
    /// nothing else is read on their account (statistics take the lock).
    pushed_bytes: AtomicU64,
    /// The reader's `popped_bytes` as the fan-out last looked, so that it seldom touches that line.
    popped_seen: AtomicU64,
    lost_full: AtomicU64,
    lost_evicted: AtomicU64,
    /// Written by the reader only. Relaxed: seen late, a queue is judged fuller than it is.
    pub(super) popped_bytes: Padded<AtomicU64>,
}

/// A message: the event, its ordinal, and the losses before it, so that the reader can say where the hole is.
pub(super) struct Queued {
    pub(super) event: Event,
    pub(super) ordinal: i64,
    pub(super) size: u32,
    pub(super) lost_full: u64,
}

/// The outlets of one row in one shard.
struct Group {
    row: Arc<Row>,
    fanned: Arc<AtomicI64>,
    outlets: Box<[Arc<Outlet>]>,
}

/// One shard.
pub(super) struct Shard {
    state: Padded<Mutex<ShardState>>,
    /// The next seq to offer; `u64::MAX` while nobody is here. Written under the lock; read without it by
    /// publishers that decide whether to try, ordered by the fences in [`Fanout::turn`].
    next: Padded<AtomicU64>,
}

/// What a shard's lock guards.
pub(super) struct ShardState {
    groups: Index<Arc<Group>>,
    readers: usize,
}

impl Outlet {
    pub(super) fn new(
        channel: Sender<Queued>,
        fanned: Arc<AtomicI64>,
        join: i64,
        max_bytes: usize,
    ) -> Self {
        Self {
            channel,
            fanned,
            join,
            end: AtomicI64::new(i64::MAX),
            max_bytes: max_bytes as u64,
            pushed_bytes: AtomicU64::new(0),
            popped_seen: AtomicU64::new(0),
            lost_full: AtomicU64::new(0),
            lost_evicted: AtomicU64::new(0),
            popped_bytes: Padded::default(),
        }
    }

    pub(super) fn fanned(&self) -> i64 {
        self.fanned.load(Ordering::Relaxed)
    }

    /// The reader ends at this ordinal; under the shard's lock.
    pub(super) fn end_at(&self, ordinal: i64) {
        self.end.store(ordinal, Ordering::Relaxed);
    }

    pub(super) fn lost_full(&self) -> u64 {
        self.lost_full.load(Ordering::Relaxed)
    }

    pub(super) fn lost_evicted(&self) -> u64 {
        self.lost_evicted.load(Ordering::Relaxed)
    }

    /// Whether `size` more bytes are over the limit. An event that finds the queue empty is not.
    #[inline]
    fn is_over(&self, pushed: u64, size: u64) -> bool {
        if pushed + size - self.popped_seen.load(Ordering::Relaxed) <= self.max_bytes {
            return false;
        }
        let popped = self.popped_bytes.load(Ordering::Relaxed);
        self.popped_seen.store(popped, Ordering::Relaxed);
        popped < pushed && pushed + size - popped > self.max_bytes
    }

    #[inline]
    fn offer(&self, shares: &mut Shares, ordinal: i64, size: u32) {
        if ordinal <= self.join || ordinal > self.end.load(Ordering::Relaxed) {
            return;
        }
        let pushed = self.pushed_bytes.load(Ordering::Relaxed);
        if self.is_over(pushed, u64::from(size)) {
            return self.count_full();
        }
        let Some(event) = shares.take() else { return };
        let queued = Queued {
            event,
            ordinal,
            size,
            lost_full: self.lost_full(),
        };
        match self.channel.try_send(queued) {
            TrySend::Sent => {
                self.pushed_bytes
                    .store(pushed + u64::from(size), Ordering::Relaxed);
            }
            TrySend::Refused(queued) => {
                shares.put_back(queued.event);
                self.count_full();
            }
        }
    }

    /// How many of the events after `from` and up to `to` are for this outlet.
    fn between(&self, from: i64, to: i64) -> u64 {
        let end = self.end.load(Ordering::Relaxed);
        (to.min(end) - from.max(self.join)).max(0) as u64
    }

    fn count_full(&self) {
        self.lost_full
            .store(self.lost_full() + 1, Ordering::Relaxed);
    }
}

impl ShardState {
    #[inline]
    fn offer(&self, event: &Event, meta: Meta) {
        self.groups.for_each(meta.key_hash, event, |group| {
            if !group.row.all && !group.row.matches_kind(meta, event) {
                return;
            }
            let ordinal = group.fanned.load(Ordering::Relaxed) + 1;
            group.fanned.store(ordinal, Ordering::Relaxed);
            let mut shares = Shares::new(event, group.outlets.len());
            for outlet in &*group.outlets {
                outlet.offer(&mut shares, ordinal, meta.size);
            }
        });
    }

    /// The counter of the newest offered event of `row`, if it has readers here.
    pub(super) fn fanned(&self, row: &Arc<Row>) -> Option<Arc<AtomicI64>> {
        self.groups
            .all()
            .find(|group| Arc::ptr_eq(&group.row, row))
            .map(|g| g.fanned.clone())
    }

    /// The log has let go of events before they were offered: they are lost for everybody here.
    fn skip_evicted(&self, tail: u64) {
        for group in self.groups.all() {
            let evicted = group.row.evicted(tail);
            let fanned = group.fanned.load(Ordering::Relaxed);
            if evicted <= fanned {
                continue; // also at the second place of a filter with several keys
            }
            for outlet in &*group.outlets {
                let missed = outlet.between(fanned, evicted);
                outlet
                    .lost_evicted
                    .store(outlet.lost_evicted() + missed, Ordering::Relaxed);
            }
            group.fanned.store(evicted, Ordering::Relaxed);
        }
    }

    fn edit(
        &mut self,
        hasher: &KeyHasher,
        outlet: &Arc<Outlet>,
        row: &Arc<Row>,
        edit: impl Fn(&mut Vec<Arc<Outlet>>),
    ) {
        let keys = row.filter().keys();
        let mut change = self.groups.change(hasher, keys, |groups| {
            let (ours, others): (Vec<_>, Vec<_>) = groups
                .iter()
                .cloned()
                .partition(|group| Arc::ptr_eq(&group.row, row));
            let mut outlets = ours
                .first()
                .map_or_else(Vec::new, |group| group.outlets.to_vec());
            edit(&mut outlets);
            let mut groups = others;
            if !outlets.is_empty() {
                groups.push(Arc::new(Group {
                    row: row.clone(),
                    fanned: outlet.fanned.clone(),
                    outlets: outlets.into(),
                }));
            }
            groups
        });
        self.groups.apply(&mut change);
    }
}

impl Shard {
    fn new() -> Self {
        Self {
            state: Padded(Mutex::new(ShardState {
                groups: Index::new(),
                readers: 0,
            })),
            next: Padded(AtomicU64::new(u64::MAX)),
        }
    }

    /// Blocks while somebody else takes a turn: for readers, never for publishers.
    pub(super) fn lock(&self) -> MutexGuard<'_, ShardState> {
        self.state.lock()
    }

    /// The next seq to be offered, `u64::MAX` while nobody is here; under the lock.
    pub(super) fn next(&self) -> u64 {
        self.next.load(Ordering::Relaxed)
    }

    /// Offers up to [`TURN`] events from the log.
    fn offer_from(&self, state: &ShardState, log: &Log) {
        let mut events = ArrayVec::<(Event, Meta), TURN>::new();
        let mut held = log.lock();
        if self.next() < held.tail() {
            while !held.is_reaped() {
                drop(held);
                log.reap_all();
                held = log.lock();
            }
            // Loss is counted before the position moves (B7).
            state.skip_evicted(held.tail());
            self.next.store(held.tail(), Ordering::Relaxed);
        }
        let mut seq = self.next();
        while seq <= held.head() && !events.is_full() {
            let meta = held.meta(seq);
            let Some(event) = held.ring.lend_one(seq) else {
                break;
            };
            events.push((event, meta));
            seq += 1;
        }
        drop(held);
        for (event, meta) in &events {
            state.offer(event, *meta);
        }
        // Release: for publishers that read it without the lock.
        self.next.store(seq, Ordering::Release);
    }

    /// Offers everything that is in the log now, until `enough` (of the row that the caller reads) was offered:
    /// what a reader does before it says "empty", and what close does.
    pub(super) fn complete(&self, state: &ShardState, log: &Log, outlet: &Outlet, enough: i64) {
        while outlet.fanned() < enough && self.next() <= log.head() {
            self.offer_from(state, log);
        }
    }

    /// One publisher's turn. `fresh` is its own event.
    #[inline]
    fn turn(&self, log: &Log, fresh: &Fresh) {
        // Ours first. It may be offered already, by somebody who looks at the head after unlocking.
        let mut up_to = fresh.seq;
        for _ in 0..TURN {
            if self.next.load(Ordering::Relaxed) > up_to {
                return;
            }
            let Some(state) = self.state.try_lock() else {
                return;
            };
            match &fresh.event {
                Some(event) if self.next() == fresh.seq => {
                    state.offer(event, fresh.meta);
                    self.next.store(fresh.seq + 1, Ordering::Release);
                }
                _ if self.next() <= log.head() => self.offer_from(&state, log),
                _ => {}
            }
            drop(state);
            // Between unlocking and looking at the head again: a publisher that moved the head and then
            // failed to get the lock has left its event to us.
            fence(Ordering::SeqCst);
            up_to = log.head();
        }
    }

    /// Adds a reader. The caller holds this shard's lock and passes the shard's next seq as it is to be.
    pub(super) fn add(
        &self,
        state: &mut ShardState,
        hasher: &KeyHasher,
        row: &Arc<Row>,
        outlet: &Arc<Outlet>,
        next: u64,
    ) {
        state.edit(hasher, outlet, row, |outlets| outlets.push(outlet.clone()));
        state.readers += 1;
        self.next.store(next, Ordering::Release);
    }

    /// Removes a reader; after this the fan-out has forgotten it.
    pub(super) fn remove(
        &self,
        state: &mut ShardState,
        hasher: &KeyHasher,
        row: &Arc<Row>,
        outlet: &Arc<Outlet>,
    ) {
        state.edit(hasher, outlet, row, |outlets| {
            outlets.retain(|o| !Arc::ptr_eq(o, outlet))
        });
        state.readers = state.readers.saturating_sub(1);
        if state.readers == 0 {
            self.next.store(u64::MAX, Ordering::Relaxed);
        }
    }
}

/// All shards of a bus.
pub(super) struct Fanout {
    shards: [Shard; SHARDS],
    /// How many readers there are. Written under the log's lock, so that a publisher which appends an
    /// event for a reader sees that there is one.
    readers: AtomicU64,
    /// Spreads readers over the shards.
    turn: AtomicU64,
}

impl Fanout {
    pub(super) fn new() -> Self {
        Self {
            shards: std::array::from_fn(|_| Shard::new()),
            readers: AtomicU64::new(0),
            turn: AtomicU64::new(0),
        }
    }

    /// Whether anybody reads from a channel; under the log's lock.
    #[inline]
    pub(super) fn is_idle(&self) -> bool {
        self.readers.load(Ordering::Relaxed) == 0
    }

    /// Counts a reader in (`true`) or out; under the log's lock.
    pub(super) fn count(&self, comes: bool) {
        let readers = self.readers.load(Ordering::Relaxed);
        let readers = if comes {
            readers + 1
        } else {
            readers.saturating_sub(1)
        };
        self.readers.store(readers, Ordering::Relaxed);
    }

    /// The shard for a new reader, and its number.
    pub(super) fn assign(&self) -> usize {
        // Relaxed: any spread will do.
        self.turn.fetch_add(1, Ordering::Relaxed) as usize % SHARDS
    }

    pub(super) fn shard(&self, at: usize) -> &Shard {
        let [first, ..] = &self.shards;
        self.shards.get(at).unwrap_or(first)
    }

    /// A publisher's turn over the shards, beginning at another one each time.
    pub(super) fn turn(&self, log: &Log, fresh: &Fresh) {
        // Between moving the head (in the append) and trying a lock: a holder that unlocks and looks at the
        // head again either sees our event, or unlocked early enough for our try.
        fence(Ordering::SeqCst);
        for at in 0..SHARDS {
            self.shard((fresh.seq as usize + at) % SHARDS)
                .turn(log, fresh);
        }
    }

    /// The least seq that is still to be offered to somebody, if any.
    pub(super) fn needed_from(&self) -> u64 {
        let next = self
            .shards
            .iter()
            .map(|shard| shard.next.load(Ordering::Acquire));
        next.min().unwrap_or(u64::MAX)
    }
}
