//! The store of one process: answers inside the call.
//!
//! Keys are spread over shards by their hash. A key that was in use before is tried and released without an allocation:
//! its row keeps its memory, and so does the table.

mod holders;
mod name;
mod queue;
mod row;
mod shard;
mod table;

use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;
use std::time::Duration;

use arrayvec::ArrayVec;
use hashbrown::DefaultHashBuilder;

use self::holders::Extra;
use self::queue::Queue;
use self::row::Row;
use self::shard::{Shard, ShardState, holder_id};
use super::{Answer, Change, Grant, Grants, Note, Refused, Store, Ticket, Token, TryAll};
use crate::slots::ask::{Ask, MAX_KEYS};
use crate::slots::key::Key;
use crate::slots::load::{Holder, HolderId, Load};
use crate::slots::outcome::{Outcome, Standing};
use crate::slots::reply::Reply;
use crate::slots::shared::Shared;
use crate::slots::slot::LostReason;
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

/// Shards that are locked together, by their number.
type Locked<'a> = ArrayVec<(usize, MutexGuard<'a, ShardState>), MAX_KEYS>;

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

    /// [`Store::try_all`] of one key: the hot path.
    #[inline]
    pub(in crate::slots) fn try_one(
        &self,
        ask: &Ask<'_>,
        label: &str,
        is_final: bool,
    ) -> Result<Grant, Box<Refused>> {
        let extra = Extra::of_label(label);
        let now_ns = self.shared.clock.coarse_ns();
        let spot = self.spot(&ask.key);
        let shard = self.shard(spot.shard);
        // Before the lock: it is counted on the lock's own line, which is fetched to be written to.
        let lessor = shard.clone();
        let mut state = shard.lock();
        let at = state.table.find_or_add(spot.hash, &ask.key);
        match state.admit_and_take(at, ask, &self.shared, now_ns, extra) {
            Ok(token) => Ok(Grant { lessor, token }),
            Err(Outcome::Busy) if self.has_unoffered(&state, at) => {
                shard.hand_over(state, at);
                self.try_behind(ask, label, is_final)
            }
            Err(outcome) => Err(Box::new(self.refuse(shard, state, at, outcome, is_final))),
        }
    }

    /// Whether there is room that those who wait have not been offered yet: the call itself raised the limit.
    fn has_unoffered(&self, state: &ShardState, at: u32) -> bool {
        let row = state.table.get(at);
        row.is_some_and(|row| row.is_awaited() && row.has_room(self.shared.processes))
    }

    /// A try again, after those who waited were offered what they could be.
    #[cold]
    fn try_behind(
        &self,
        ask: &Ask<'_>,
        label: &str,
        is_final: bool,
    ) -> Result<Grant, Box<Refused>> {
        let extra = Extra::of_label(label);
        let now_ns = self.shared.clock.coarse_ns();
        let spot = self.spot(&ask.key);
        let shard = self.shard(spot.shard);
        let mut state = shard.lock();
        let at = state.table.find_or_add(spot.hash, &ask.key);
        match state.admit_and_take(at, ask, &self.shared, now_ns, extra) {
            Ok(token) => Ok(shard.grant(token)),
            Err(outcome) => Err(Box::new(self.refuse(shard, state, at, outcome, is_final))),
        }
    }

    /// A refusal by the row `at`, whose limit the call may have raised: whoever waits there is offered what is free.
    #[cold]
    fn refuse<'a>(
        &self,
        shard: &'a Shard,
        mut state: MutexGuard<'a, ShardState>,
        at: u32,
        outcome: Outcome,
        is_final: bool,
    ) -> Refused {
        let processes = self.shared.processes;
        let refused = match state.table.get_mut(at) {
            Some(row) => row.refuse(outcome, is_final, processes),
            None => Refused {
                outcome,
                scope: "".into(),
                standing: Standing::default(),
                cause: None,
            },
        };
        shard.hand_over(state, at);
        refused
    }

    /// Locks the shards of some spots, in the order of their numbers.
    fn lock_all(&self, spots: &[Spot]) -> Locked<'_> {
        let mut numbers: ArrayVec<usize, MAX_KEYS> = spots.iter().map(|spot| spot.shard).collect();
        numbers.sort_unstable();
        let mut locked = Locked::new();
        for number in numbers {
            if locked.last().is_none_or(|(last, _)| *last != number) {
                locked.push((number, self.shard(number).lock()));
            }
        }
        locked
    }

    /// Several keys: all or none, in one step. As often anew as there may be keys whose limit the call has raised, each
    /// time after those who wait for one of them.
    fn try_several(&self, call: &TryAll<'_, '_>, anew: usize) -> Result<Grants, Refused> {
        let spots: ArrayVec<Spot, MAX_KEYS> =
            call.asks.iter().map(|ask| self.spot(&ask.key)).collect();
        let mut labels: ArrayVec<Option<Box<Extra>>, MAX_KEYS> = call
            .asks
            .iter()
            .map(|_| Extra::of_label(call.label))
            .collect();
        let now_ns = self.shared.clock.coarse_ns();
        let mut locked = self.lock_all(&spots);
        let mut rows = ArrayVec::<u32, MAX_KEYS>::new();
        let mut refusal = None;
        for (ask, spot) in call.asks.iter().zip(&spots) {
            let Some(state) = state_of(&mut locked, spot.shard) else {
                continue;
            };
            let at = state.table.find_or_add(spot.hash, &ask.key);
            rows.push(at);
            if let Err(outcome) = state.admit(at, ask, &self.shared) {
                refusal = Some((spot.shard, at, outcome));
                break;
            }
        }
        if let Some((number, at, outcome)) = refusal {
            let may_fit = outcome == Outcome::Busy
                && anew > 0
                && state_of(&mut locked, number).is_some_and(|state| self.has_unoffered(state, at));
            for (spot, &row) in spots.iter().zip(&rows) {
                if let Some(state) = state_of(&mut locked, spot.shard) {
                    state.table.settle(row, now_ns);
                }
            }
            drop(locked);
            let shard = self.shard(number);
            if may_fit {
                shard.hand_over(shard.lock(), at);
                return self.try_several(call, anew - 1);
            }
            return Err(self.refuse(shard, shard.lock(), at, outcome, call.is_final));
        }
        let mut tokens = ArrayVec::<(usize, Token), MAX_KEYS>::new();
        for ((spot, &at), label) in spots.iter().zip(&rows).zip(labels.iter_mut()) {
            if let Some(state) = state_of(&mut locked, spot.shard)
                && let Some(token) = state.take(at, now_ns, label.take())
            {
                tokens.push((spot.shard, token));
            }
        }
        drop(locked);
        let mut grants = Grants::new();
        for (shard, token) in tokens {
            grants.push(self.shard(shard).grant(token));
        }
        Ok(grants)
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

    /// Many keys: those of a shard under one lock.
    fn load_many(&self, keys: &[Key<'_>], now_ns: u64, coarse_ns: u64) -> Vec<Load> {
        /// Keys that one hold of a lock looks up.
        const AT_ONCE: usize = 64;
        let mut loads = vec![Load::default(); keys.len()];
        // The keys of each shard as a list: its first, and after each key the next.
        let mut firsts = [usize::MAX; SHARDS];
        let mut spots = Vec::with_capacity(keys.len());
        for (at, key) in keys.iter().enumerate() {
            let spot = self.spot(key);
            let first = firsts.get_mut(spot.shard);
            let next = first.map_or(usize::MAX, |first| std::mem::replace(first, at));
            spots.push((spot.hash, next));
        }
        for (shard, mut at) in self.shards.iter().zip(firsts) {
            while at < keys.len() {
                let state = shard.lock();
                for _ in 0..AT_ONCE {
                    let (Some(key), Some(load), Some(&(hash, next))) =
                        (keys.get(at), loads.get_mut(at), spots.get(at))
                    else {
                        break;
                    };
                    *load = self.load_in(&state, hash, key, now_ns, coarse_ns);
                    at = next;
                }
            }
        }
        loads
    }

    #[inline]
    fn load_in(
        &self,
        state: &ShardState,
        hash: u64,
        key: &Key<'_>,
        now_ns: u64,
        coarse_ns: u64,
    ) -> Load {
        let at = state.table.find(hash, key);
        let Some(row) = at.and_then(|at| state.table.get(at)) else {
            return Load::default();
        };
        let since = |now_ns: u64, then_ns| Duration::from_nanos(now_ns.saturating_sub(then_ns));
        Load {
            in_use: row.holders.len(),
            waiting: row.waiting(),
            limit: row.limit().map(|limit| limit.share(self.shared.processes)),
            is_closed: row.is_closed,
            oldest_wait: row.oldest_wait_ns().map(|then| since(now_ns, then)),
            oldest_hold: row.holders.oldest_ns().map(|then| since(coarse_ns, then)),
        }
    }
}

fn state_of<'a>(locked: &'a mut Locked<'_>, shard: usize) -> Option<&'a mut ShardState> {
    let (_, state) = locked.iter_mut().find(|(number, _)| *number == shard)?;
    Some(state)
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
        let row = state.table.get_mut(at)?;
        let outcome = match outcome {
            Outcome::Busy if ticket.max_waiting() == 0 => Outcome::Busy,
            Outcome::Busy if row.limit() == Some(crate::slots::Limit::Of(0)) => Outcome::Busy,
            Outcome::Busy if row.waiting() >= ticket.max_waiting() => Outcome::QueueFull,
            Outcome::Busy => {
                row.queue().join(ticket);
                let position = row.waiting();
                // The call may have raised the limit: those before it are offered what is free.
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
        let ledger = match state.table.find(spot.hash, &key) {
            Some(at) => state.table.get_mut(at).map(Row::ledger),
            None => state.table.scope_ledger(key.scope),
        };
        let Some(ledger) = ledger else { return };
        match note {
            Note::Waited(time) => {
                ledger.counters.granted += 1;
                ledger.waited(time);
            }
            Note::Ended(outcome) => ledger.counters.count(outcome),
        }
    }

    fn close(&self) {
        for shard in &self.shards {
            let mut state = shard.lock();
            state.is_closed = true;
            self.refuse_waiters(state, |_| true);
        }
    }
}
