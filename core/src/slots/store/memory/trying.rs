//! Taking units at once, of one key or of several, and refusing.

use arrayvec::ArrayVec;

use super::holders::Extra;
use super::shard::{Shard, ShardState};
use super::{MemoryStore, Spot};
use crate::slots::ask::{Ask, MAX_KEYS};
use crate::slots::outcome::{Outcome, Standing};
use crate::slots::store::{Grant, Grants, Refused, Token, TryAll};
use crate::sync::MutexGuard;

/// Shards that are locked together, by their number.
type Locked<'a> = ArrayVec<(usize, MutexGuard<'a, ShardState>), MAX_KEYS>;

impl MemoryStore {
    /// [`Store::try_all`] of one key: the hot path.
    #[inline]
    pub(in crate::slots) fn try_one(
        &self,
        ask: &Ask<'_>,
        label: &str,
        is_final: bool,
    ) -> Result<Grant, Box<Refused>> {
        self.try_once(ask, label, is_final, true)
    }

    /// `anew`: if the call has raised the limit, it is tried again after those who wait.
    #[inline]
    fn try_once(
        &self,
        ask: &Ask<'_>,
        label: &str,
        is_final: bool,
        anew: bool,
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
            Err(Outcome::Busy) if anew && self.has_unoffered(&state, at) => {
                shard.hand_over(state, at);
                self.try_once(ask, label, is_final, false)
            }
            Err(outcome) => Err(Box::new(self.refuse(shard, state, at, outcome, is_final))),
        }
    }

    /// Whether there is room that those who wait have not been offered yet: the call itself raised the limit.
    pub(super) fn has_unoffered(&self, state: &ShardState, at: u32) -> bool {
        let row = state.table.get(at);
        row.is_some_and(|row| row.is_awaited() && row.has_room(self.shared.processes))
    }

    /// A refusal by the row `at`, whose limit the call may have raised: whoever waits there is offered what is free.
    #[cold]
    pub(super) fn refuse<'a>(
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
    pub(super) fn try_several(
        &self,
        call: &TryAll<'_, '_>,
        anew: usize,
    ) -> Result<Grants, Refused> {
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
                refusal = Some((ask, spot, at, outcome));
                break;
            }
        }
        if let Some((ask, spot, at, outcome)) = refusal {
            let state = state_of(&mut locked, spot.shard);
            let may_fit = outcome == Outcome::Busy
                && anew > 0
                && state.is_some_and(|state| self.has_unoffered(state, at));
            for (spot, &row) in spots.iter().zip(&rows) {
                if let Some(state) = state_of(&mut locked, spot.shard) {
                    state.table.settle(row, now_ns);
                }
            }
            drop(locked);
            let shard = self.shard(spot.shard);
            let mut state = shard.lock();
            // Between the locks the row may have been forgotten, and be another key's.
            let at = state.table.find_or_add(spot.hash, &ask.key);
            if may_fit {
                shard.hand_over(state, at);
                return self.try_several(call, anew - 1);
            }
            return Err(self.refuse(shard, state, at, outcome, call.is_final));
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
}

fn state_of<'a>(locked: &'a mut Locked<'_>, shard: usize) -> Option<&'a mut ShardState> {
    let (_, state) = locked.iter_mut().find(|(number, _)| *number == shard)?;
    Some(state)
}
