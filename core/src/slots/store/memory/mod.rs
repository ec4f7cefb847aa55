//! The store of one process: answers inside the call.
//!
//! Keys are spread over shards by their hash. A key that was in use before is tried and released without an allocation:
//! its row keeps its memory, and so does the table.

mod holders;
mod lessor;
mod loads;
mod name;
mod queue;
mod row;
mod shard;
mod table;
mod trying;

use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;
use std::time::Duration;

use hashbrown::DefaultHashBuilder;

use self::holders::Extra;
use self::queue::Queue;
use self::row::Row;
use self::shard::{Shard, ShardState, holder_id};
use super::{Answer, Change, Grant, Grants, Note, Refused, Store, Ticket, Token, TryAll};
use crate::slots::key::Key;
use crate::slots::load::{Holder, HolderId, Load};
use crate::slots::lost_reason::LostReason;
use crate::slots::outcome::{Outcome, Standing};
use crate::slots::reply::Reply;
use crate::slots::shared::Shared;
use crate::slots::stats::{KeyStats, Ledger, ScopeStats};
use crate::sync::MutexGuard;

/// How many shards. Models have one.
#[cfg(not(loom))]
const SHARDS: usize = 64;
#[cfg(loom)]
const SHARDS: usize = 1;
/// Idle keys that a pool remembers.
pub(in crate::slots) const MAX_IDLE: usize = 4_096;
/// For how long.
pub(in crate::slots) const MAX_IDLE_AGE: Duration = Duration::from_secs(5 * 60);

/// Memory.
pub(in crate::slots) struct MemoryStore {
    shards: Box<[Arc<Shard>]>,
    hasher: DefaultHashBuilder,
    shared: Arc<Shared>,
}

/// A key's shard and hash.
#[derive(Clone, Copy)]
struct Spot {
    shard: usize,
    hash: u64,
}

impl MemoryStore {
    pub(in crate::slots) fn new(shared: &Arc<Shared>) -> Self {
        let max_idle_ns = MAX_IDLE_AGE.as_nanos() as u64;
        let shard = |_| Shard::new(shared, MAX_IDLE / SHARDS, max_idle_ns);
        Self {
            shards: (0..SHARDS).map(shard).collect(),
            hasher: DefaultHashBuilder::default(),
            shared: shared.clone(),
        }
    }

    #[inline]
    fn spot(&self, key: &Key<'_>) -> Spot {
        let mut hasher = self.hasher.build_hasher();
        hasher.write(key.scope.as_bytes());
        // No UTF-8 text holds this byte, so that ("ab", "c") is not ("a", "bc").
        hasher.write_u8(0xff);
        hasher.write(key.id.as_bytes());
        let hash = hasher.finish();
        Spot {
            // Bits from the middle: the tables use those at both ends.
            shard: (hash >> 32) as usize % SHARDS,
            hash,
        }
    }

    #[inline]
    fn shard(&self, at: usize) -> &Arc<Shard> {
        // A number below SHARDS always; the first stands in for what cannot be.
        self.shards.get(at).unwrap_or(&self.shards[0])
    }

    /// The shard of a grant, which is one of ours.
    fn shard_of(&self, ticket: &Arc<dyn Ticket>) -> &Arc<Shard> {
        self.shard(self.spot(&ticket.ask().key).shard)
    }

    /// Refuses everybody who waits in some rows as closed. The lock is held at first, and not after.
    fn refuse_waiters(
        &self,
        mut state: MutexGuard<'_, ShardState>,
        mut which: impl FnMut(&Row) -> bool,
    ) {
        let mut refused = Vec::new();
        let processes = self.shared.processes;
        for row in state.table.rows_mut().filter(|row| which(row)) {
            let waiters = row.waiters().map(Queue::drain);
            for ticket in waiters.into_iter().flatten() {
                // Counted with the end of the wait.
                refused.push((ticket, row.refuse(Outcome::Closed, false, processes)));
            }
        }
        drop(state);
        for (ticket, refusal) in refused {
            ticket.answer(Answer::Refused(refusal));
        }
    }
}

impl Store for MemoryStore {
    #[inline]
    fn try_all(&self, call: &TryAll<'_, '_>) -> Option<Result<Grants, Refused>> {
        Some(match call.asks {
            [ask] => self
                .try_one(ask, call.label, call.is_final)
                .map(Grants::one)
                .map_err(|refused| *refused),
            _ => self.try_several(call, call.asks.len()),
        })
    }

    fn acquire(&self, ticket: &Arc<dyn Ticket>) -> Option<Answer> {
        let ask = ticket.ask();
        let spot = self.spot(&ask.key);
        let now_ns = self.shared.clock.coarse_ns();
        let label = Extra::of_label(ticket.label());
        let shard = self.shard(spot.shard);
        let mut has_offered = false;
        let (mut state, at, outcome) = loop {
            let mut state = shard.lock();
            let at = state.table.find_or_add(spot.hash, &ask.key);
            if let Some(row) = state.table.get_mut(at)
                && ticket.order() > 0
                && row.queue().wake(ticket)
            {
                let position = row.queue().position(ticket);
                // May offer to this very ticket; then the place it had is old news to it.
                shard.hand_over(state, at);
                return Some(Answer::Queued(position));
            }
            let outcome = match state.admit(at, &ask, &self.shared) {
                Ok(()) => {
                    let token = state.take(at, now_ns, label)?;
                    drop(state);
                    return Some(Answer::Granted(shard.grant(token)));
                }
                Err(outcome) => outcome,
            };
            let may_fit = outcome == Outcome::Busy && self.has_unoffered(&state, at);
            if !may_fit || has_offered {
                break (state, at, outcome);
            }
            // The call raised the limit: first those who wait, then itself.
            has_offered = true;
            shard.hand_over(state, at);
        };
        let row = state.table.get_mut(at)?;
        let outcome = match outcome {
            Outcome::Busy if ticket.max_waiting() == 0 => Outcome::Busy,
            Outcome::Busy if row.limit() == Some(crate::slots::Limit::Of(0)) => Outcome::Busy,
            Outcome::Busy if row.waiting() >= ticket.max_waiting() => Outcome::QueueFull,
            Outcome::Busy => {
                row.queue().join(ticket);
                let position = row.waiting();
                // What came free since the last look is for those before it, or for it.
                shard.hand_over(state, at);
                return Some(Answer::Queued(position));
            }
            outcome => outcome,
        };
        Some(Answer::Refused(
            self.refuse(shard, state, at, outcome, false),
        ))
    }

    fn claim(&self, _ticket: &Arc<dyn Ticket>, grant: &Grant) -> Option<Answer> {
        // What decided it is the wait's own state, under its lock.
        Some(Answer::Granted(grant.clone()))
    }

    fn cancel(&self, ticket: &Arc<dyn Ticket>) -> Option<Answer> {
        let key = ticket.ask().key;
        let spot = self.spot(&key);
        let shard = self.shard(spot.shard);
        let mut state = shard.lock();
        let Some(at) = state.table.find(spot.hash, &key) else {
            return Some(Answer::Cancelled(Standing::default(), 0));
        };
        let row = state.table.get_mut(at)?;
        let position = row.waiters().map_or(0, |queue| queue.leave(ticket));
        let standing = row.standing(self.shared.processes);
        state.table.settle(at, self.shared.clock.coarse_ns());
        Some(Answer::Cancelled(standing, position))
    }

    fn lapse(&self, ticket: &Arc<dyn Ticket>, grant: &Grant) {
        self.shard_of(ticket).lapse(ticket, grant);
    }

    fn is_lossy(&self) -> bool {
        false
    }

    fn set(&self, key: Key<'_>, change: Change) -> Reply<()> {
        let spot = self.spot(&key);
        let shard = self.shard(spot.shard);
        let mut state = shard.lock();
        let at = state.table.find_or_add(spot.hash, &key);
        if let Some(row) = state.table.get_mut(at) {
            match change {
                Change::Limit(limit) => row.set_limit(Some(limit)),
                Change::ClearLimit => row.set_limit(None),
                Change::Close => row.is_closed = true,
                Change::Open => row.is_closed = false,
            }
        }
        match change {
            Change::Close => {
                state.table.begin_use(at);
                self.refuse_waiters(state, |row| row.is(&key));
            }
            _ => shard.hand_over(state, at),
        }
        Reply::here(Ok(()))
    }

    fn load(&self, keys: &[Key<'_>]) -> Reply<Vec<Load>> {
        let (now_ns, coarse_ns) = (self.shared.clock.now_ns(), self.shared.clock.coarse_ns());
        let loads = if keys.len() < SHARDS {
            let loads = keys.iter().map(|key| {
                let spot = self.spot(key);
                let state = self.shard(spot.shard).lock();
                self.load_in(&state, spot.hash, key, now_ns, coarse_ns)
            });
            loads.collect()
        } else {
            self.load_many(keys, now_ns, coarse_ns)
        };
        Reply::here(Ok(loads))
    }

    fn holders(&self, key: Option<Key<'_>>, at_least: Duration) -> Reply<Vec<Holder>> {
        let now_ns = self.shared.clock.coarse_ns();
        let mut found = Vec::new();
        let mut list = |row: &Row| {
            for (entry, generation, since_ns, label) in row.holders.iter() {
                let age = Duration::from_nanos(now_ns.saturating_sub(since_ns));
                if age < at_least {
                    break; // the rest came later
                }
                found.push(Holder {
                    id: holder_id(entry, generation),
                    key: row.key().into(),
                    label: label.into(),
                    age,
                });
            }
        };
        match key {
            Some(key) => {
                let spot = self.spot(&key);
                let state = self.shard(spot.shard).lock();
                let at = state.table.find(spot.hash, &key);
                if let Some(row) = at.and_then(|at| state.table.get(at)) {
                    list(row);
                }
            }
            None => {
                for shard in &self.shards {
                    shard.lock().table.rows().for_each(&mut list);
                }
            }
        }
        Reply::here(Ok(found))
    }

    fn force(&self, key: Key<'_>, id: HolderId) -> Reply<bool> {
        let spot = self.spot(&key);
        let shard = self.shard(spot.shard);
        let state = shard.lock();
        let was_held = state.table.find(spot.hash, &key).is_some_and(|row| {
            let token = Token {
                row,
                entry: id.0 as u32,
                generation: (id.0 >> 32) as u32,
            };
            shard.lose_in(state, token, LostReason::Forced)
        });
        Reply::here(Ok(was_held))
    }

    fn key_stats(&self, key: Key<'_>) -> Option<KeyStats> {
        let spot = self.spot(&key);
        let state = self.shard(spot.shard).lock();
        let row = state.table.get(state.table.find(spot.hash, &key)?)?;
        Some(row.stats())
    }

    fn scope_stats(&self, scope: &str) -> ScopeStats {
        let mut sum = Ledger::default();
        for shard in &self.shards {
            let mut state = shard.lock();
            state.table.forget(self.shared.clock.coarse_ns());
            if let Some(forgotten) = state.table.scope_ledger(scope) {
                sum.fold(forgotten);
            }
            for row in state.table.rows().filter(|row| *row.scope == *scope) {
                row.fold_into(&mut sum);
            }
        }
        ScopeStats {
            counters: sum.counters,
            waits: sum.wait_times(),
        }
    }

    fn keys(&self) -> usize {
        let count = |shard: &Arc<Shard>| {
            let mut state = shard.lock();
            state.table.forget(self.shared.clock.coarse_ns());
            state.table.len()
        };
        self.shards.iter().map(count).sum()
    }

    fn note(&self, key: Key<'_>, note: Note) {
        let spot = self.spot(&key);
        let mut state = self.shard(spot.shard).lock();
        // A wait may end at a key that it never came to ask for.
        let at = state.table.find_or_add(spot.hash, &key);
        let Some(row) = state.table.get_mut(at) else {
            return;
        };
        let ledger = row.ledger();
        match note {
            Note::Waited(time) => {
                ledger.counters.granted += 1;
                ledger.waited(time);
            }
            Note::Ended(outcome) => ledger.counters.count(outcome),
        }
        state.table.settle(at, self.shared.clock.coarse_ns());
    }

    fn close(&self) {
        // All, before the first is refused: what a wait held then goes to none of another shard.
        for shard in &self.shards {
            shard.lock().is_closed = true;
        }
        for shard in &self.shards {
            self.refuse_waiters(shard.lock(), |_| true);
        }
    }
}
