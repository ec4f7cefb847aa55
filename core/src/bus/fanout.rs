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

use super::group::{Counts, Group, Member};
use super::index::{Index, KeyHasher};
use super::log::{Fresh, Log};
use super::outlet::Outlet;
use super::row::{Meta, Row};
use crate::event::Event;
use crate::sync::{AtomicU64, Mutex, MutexGuard, Ordering, Padded, fence};

/// Events that one publisher offers to one shard before it leaves the rest to others.
pub(super) const TURN: usize = 4;
/// How many shards: each costs a publish a try of its lock, measured 5 % of a fan-out to 64 readers.
const SHARDS: usize = 2;

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

impl ShardState {
    #[inline]
    fn offer(&self, event: &Event, meta: Meta) {
        self.groups.for_each(meta.key_hash, event, |group| {
            if group.row.all || group.row.matches_kind(meta, event) {
                group.offer(event, meta);
            }
        });
    }

    /// The counts of `row`, if it has readers here.
    pub(super) fn counts(&self, row: &Arc<Row>) -> Option<Arc<Counts>> {
        let mut groups = self.groups.all();
        groups
            .find(|group| Arc::ptr_eq(&group.row, row))
            .map(|group| group.counts().clone())
    }

    /// The log has let go of events before they were offered: they are lost for everybody here.
    fn skip_evicted(&self, tail: u64) {
        for group in self.groups.all() {
            group.skip_to(group.row.evicted(tail));
        }
    }

    /// Replaces the group of `row` by one with other members.
    fn edit(
        &mut self,
        hasher: &KeyHasher,
        row: &Arc<Row>,
        counts: &Arc<Counts>,
        edit: impl Fn(&mut Vec<Member>),
    ) {
        let mut change = self.groups.change(hasher, row.filter().keys(), |groups| {
            let (ours, mut groups): (Vec<_>, Vec<_>) = groups
                .iter()
                .cloned()
                .partition(|group| Arc::ptr_eq(&group.row, row));
            let mut members: Vec<_> = ours.iter().flat_map(|group| group.members()).collect();
            edit(&mut members);
            if !members.is_empty() {
                groups.push(Arc::new(Group::new(row.clone(), counts.clone(), &members)));
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

    /// Offers everything that is in the log now, until the ordinal `enough` of the row that the caller reads:
    /// what a reader does before it says "empty", and what close does.
    pub(super) fn complete(&self, state: &ShardState, log: &Log, counts: &Counts, enough: i64) {
        while counts.fanned() < enough && self.next() <= log.head() {
            self.offer_from(state, log);
        }
    }

    /// One publisher's turn. `fresh` is its own event.
    #[inline]
    fn turn(&self, log: &Log, fresh: &Fresh, visits: usize) {
        // Ours first. It may be offered already, by somebody who looks at the head after unlocking.
        let mut up_to = fresh.seq;
        for _ in 0..visits {
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
        (row, counts): (&Arc<Row>, &Arc<Counts>),
        member: &Member,
        next: u64,
    ) {
        state.edit(hasher, row, counts, |members| members.push(member.clone()));
        state.readers += 1;
        self.next.store(next, Ordering::Release);
    }

    /// Removes a reader; after this the fan-out has forgotten it.
    pub(super) fn remove(
        &self,
        state: &mut ShardState,
        hasher: &KeyHasher,
        (row, counts): (&Arc<Row>, &Arc<Counts>),
        outlet: &Arc<Outlet>,
    ) {
        state.edit(hasher, row, counts, |members| {
            members.retain(|member| !Arc::ptr_eq(&member.outlet, outlet));
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

    /// A publisher's turn over the shards, beginning at another one each time: at most `visits` to each.
    pub(super) fn turn(&self, log: &Log, fresh: &Fresh, visits: usize) {
        // Between moving the head (in the append) and trying a lock: a holder that unlocks and looks at the
        // head again either sees our event, or unlocked early enough for our try.
        fence(Ordering::SeqCst);
        for at in 0..SHARDS {
            self.shard((fresh.seq as usize + at) % SHARDS)
                .turn(log, fresh, visits);
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
