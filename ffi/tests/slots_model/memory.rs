//! The memory store through the C ABI against the model, to the last digit.

use std::time::Duration;

use proptest::prelude::*;
use reqbus::reqbus_status::REQBUS_OK;
use reqbus_core::slots::{Limit, Outcome, Released, WaitOptions};

use crate::handles::{Clock, Pool, Refused, Seen as Told, Slot, Wait};
use crate::op::{KEYS, Op, limit_of};
use crate::pool::{counters, limit};
use crate::reference::{Model, Seen, Tried, Unit};

/// Idle keys are forgotten after five minutes, which the model knows nothing of.
const LONGEST: Duration = Duration::from_secs(280);

struct Run {
    clock: Clock,
    pool: Option<Pool>,
    model: Model,
    slots: Vec<(Option<Slot>, Vec<usize>)>,
    waits: Vec<Option<Wait>>,
    in_use: [u32; 4],
}

fn assert_refused(refused: &Refused, outcome: Outcome, key: usize) {
    let scope = KEYS.get(key).map_or("", |key| key.scope);
    assert_eq!((refused.outcome, &*refused.scope), (outcome, scope));
}

impl Run {
    fn new() -> Self {
        let clock = Clock::new();
        Self {
            pool: Some(Pool::on_memory(&clock)),
            clock,
            model: Model::default(),
            slots: Vec::new(),
            waits: Vec::new(),
            in_use: [0; 4],
        }
    }

    fn pool(&self) -> &Pool {
        self.pool.as_ref().expect("the pool is freed at the end")
    }

    fn keep(&mut self, slot: Slot, units: Vec<usize>) {
        let held = units
            .iter()
            .filter_map(|&unit| match self.model.units[unit] {
                Unit::Held(key) => Some((KEYS[key].scope.to_owned(), KEYS[key].id.to_owned())),
                Unit::Lost(_) | Unit::Gone => None,
            });
        let listed = slot.holders().into_iter();
        let listed: Vec<_> = listed.map(|(_, scope, id)| (scope, id)).collect();
        assert_eq!(listed, held.collect::<Vec<_>>(), "in the order of ranks");
        self.slots.push((Some(slot), units));
    }

    fn tried(&mut self, real: Result<Slot, Refused>, model: Tried) {
        match (real, model) {
            (Ok(slot), Ok(units)) => self.keep(slot, units),
            (Err(refused), Err((outcome, key))) => assert_refused(&refused, outcome, key),
            (real, model) => panic!("{real:?}, and the model {model:?}"),
        }
    }

    fn look(&mut self, at: usize) {
        let Some(wait) = &self.waits[at] else { return };
        match (wait.look(), self.model.look(at)) {
            (Told::Nothing, Seen::Nothing) | (Told::Ping, Seen::Ping) => {}
            (Told::Granted(slot), Seen::Granted(units)) => self.keep(slot, units),
            (Told::Ended(refused), Seen::Ended(outcome, key)) => {
                assert_refused(&refused, outcome, key);
            }
            (real, model) => panic!("{real:?}, and the model {model:?}"),
        }
    }

    fn release(&mut self, at: usize) {
        let (Some(slot), units) = &self.slots[at] else {
            return;
        };
        let units = units.iter().rev();
        let parts: Vec<_> = units.map(|&unit| self.model.release(unit)).collect();
        let by_weight = [Released::Lost, Released::Released, Released::Already];
        let expected = by_weight.into_iter().find(|answer| parts.contains(answer));
        assert_eq!(Some(slot.release()), expected);
        assert_eq!(slot.release(), Released::Already);
    }

    fn release_scope(&mut self, at: usize, scope: usize) {
        let (Some(slot), units) = &self.slots[at] else {
            return;
        };
        let scope = ["user", "model", "account"][scope];
        let unit = units.iter().find(|&&unit| match self.model.units[unit] {
            Unit::Held(key) | Unit::Lost(key) => KEYS[key].scope == scope,
            Unit::Gone => false,
        });
        // C does not tell a scope that the slot never had from one that it has no more.
        let expected = unit.map_or(Released::Already, |&unit| self.model.release(unit));
        assert_eq!(slot.release_scope(scope), expected);
    }

    fn wait(&mut self, call: usize, limit: u32, max_waiting: u32, timeout_ms: u64, pings: bool) {
        let options = WaitOptions {
            timeout: Duration::from_millis(timeout_ms),
            max_waiting,
            ping_every: pings.then_some(WaitOptions::PING_EVERY),
            ..WaitOptions::default()
        };
        let wait = self.pool().wait(&Op::asks(call, limit), &options);
        let model = self.model.wait(call, limit, max_waiting, timeout_ms, pings);
        match model {
            Err(at) => {
                assert_eq!(
                    (wait.position(), self.waits.len()),
                    (self.model.position(at), at)
                );
                self.waits.push(Some(wait));
            }
            Ok(model) => match wait.look() {
                Told::Granted(slot) => self.tried(Ok(slot), model),
                Told::Ended(refused) => self.tried(Err(refused), model),
                other => panic!("{other:?}, and the model {model:?}"),
            },
        }
    }

    /// Takes a unit away from whoever holds it; a second time there is nothing to take.
    fn force(&mut self, key: usize, at: usize) {
        let holders = self.pool().holders(&KEYS[key]);
        assert_eq!(holders.len(), self.model.rows[key].held.len());
        if holders.is_empty() {
            return;
        }
        let at = at % holders.len();
        for was_held in [true, false] {
            let answer = self.pool().force(&KEYS[key], holders[at]);
            assert_eq!(answer, Ok(was_held));
        }
        self.model.force(key, at);
    }

    fn step(&mut self, op: Op) {
        // So that no two waits have one deadline.
        self.advance(Duration::from_nanos(1));
        let (slot_at, wait_at) = (
            |at: usize| at % self.slots.len().max(1),
            |at: usize| at % self.waits.len().max(1),
        );
        match op {
            Op::Try { call, limit } => {
                let real = self.pool().try_acquire(&Op::asks(call, limit), "label");
                let model = self.model.try_all(call, limit, true);
                self.tried(real, model);
            }
            Op::Wait {
                call,
                limit,
                max_waiting,
                timeout_ms,
                pings,
            } => self.wait(call, limit, max_waiting, timeout_ms, pings),
            Op::Advance { millis } if Duration::from_nanos(self.model.now_ns) < LONGEST => {
                self.advance(Duration::from_millis(millis));
            }
            Op::SetLimit { key, limit } => {
                let status = self.pool().set_limit(&KEYS[key], Some(limit_of(limit)));
                assert_eq!(status, REQBUS_OK);
                self.model.set(key, Some(limit));
            }
            Op::ClearLimit { key } => {
                assert_eq!(self.pool().set_limit(&KEYS[key], None), REQBUS_OK);
                self.model.set(key, None);
            }
            Op::Close { key } => {
                assert_eq!(self.pool().close_key(&KEYS[key]), REQBUS_OK);
                self.model.close(key);
            }
            Op::Open { key } => {
                assert_eq!(self.pool().open_key(&KEYS[key]), REQBUS_OK);
                self.model.open(key);
            }
            Op::Force { key, at } => self.force(key, at),
            Op::Look { at } if !self.waits.is_empty() => self.look(wait_at(at)),
            Op::Cancel { at } if !self.waits.is_empty() => self.cancel(wait_at(at)),
            Op::DropWait { at } if !self.waits.is_empty() => {
                let at = wait_at(at);
                if self.waits[at].take().is_some() {
                    self.model.cancel(at);
                }
            }
            Op::Release { at } if !self.slots.is_empty() => self.release(slot_at(at)),
            Op::ReleaseScope { at, scope } if !self.slots.is_empty() => {
                self.release_scope(slot_at(at), scope);
            }
            Op::DropSlot { at } if !self.slots.is_empty() => self.drop_slot(slot_at(at)),
            _ => {}
        }
        self.check();
    }

    fn cancel(&mut self, at: usize) {
        if let Some(wait) = &self.waits[at] {
            wait.cancel();
            self.model.cancel(at);
        }
    }

    fn drop_slot(&mut self, at: usize) {
        if self.slots[at].0.take().is_some() {
            for &unit in self.slots[at].1.iter().rev() {
                self.model.release(unit);
            }
        }
    }

    fn advance(&mut self, by: Duration) {
        self.clock.advance(by);
        self.model.advance(by.as_nanos() as u64);
    }

    fn check(&mut self) {
        let loads = self.pool().loads(&KEYS, 0).expect("memory answers");
        for (key, (row, load)) in self.model.rows.iter().zip(&loads).enumerate() {
            let expected = (
                row.held.len() as u32,
                row.queue.len() as u32,
                row.limit(),
                u32::from(row.is_closed),
            );
            let real = (load.in_use, load.waiting, limit(load.limit), load.closed);
            assert_eq!(real, expected, "{:?}", KEYS[key]);
            let lapsed = row.queue.iter().filter(|(_, is_lapsed)| *is_lapsed);
            assert_eq!(load.lapsed as usize, lapsed.count(), "{:?}", KEYS[key]);
            let stats = self.pool().stats(&KEYS[key]);
            assert_eq!(counters(&stats), row.counters, "{:?}", KEYS[key]);
            assert_eq!(stats.waits, row.counters.granted_after_wait);
            if let Some(Limit::Of(limit)) = limit(load.limit) {
                // S1: above the limit only while a lowered one drains.
                assert!(
                    load.in_use <= limit.max(self.in_use[key]),
                    "{:?}",
                    KEYS[key]
                );
            }
            self.in_use[key] = load.in_use;
        }
    }

    /// All is quiet: what is held is free again, and nobody waits. Whatever is left is freed after its pool.
    fn end(mut self) {
        for at in 0..self.waits.len() {
            self.cancel(at);
            self.model.cancel(at);
            self.look(at);
        }
        for at in 0..self.slots.len() {
            self.drop_slot(at);
        }
        self.check();
        let loads = self.pool().loads(&KEYS, 0).expect("memory answers");
        let stands = loads.iter().map(|load| (load.in_use, load.waiting));
        assert_eq!(stands.collect::<Vec<_>>(), [(0, 0); 4]);
        assert_eq!(self.pool().held(), 0);
        self.pool = None;
        self.waits.clear();
    }
}

proptest! {
    #![proptest_config(crate::histories(400))]

    #[test]
    fn s1_to_s6_memory_is_as_the_model_says_through_c(history in Op::histories(140)) {
        let mut run = Run::new();
        for op in history {
            run.step(op);
        }
        run.end();
    }
}
