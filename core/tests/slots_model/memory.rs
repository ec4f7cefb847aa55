//! The memory store against the model, to the last digit.

use std::time::Duration;

use proptest::prelude::*;
use reqbus_core::slots::{
    Limit, MAX_KEYS, Outcome, OwnedKey, Refusal, Released, Slot, SlotPool, Step, Wait, WaitOptions,
};
use reqbus_core::time::ClockDriver;

use crate::common::slots::pool;
use crate::op::{KEYS, Op, limit_of};
use crate::reference::{Model, Seen, Tried, Unit};

/// Idle keys are forgotten after five minutes, which the model knows nothing of.
const LONGEST: Duration = Duration::from_secs(280);

/// A slot, if it is not dropped, and what the model has for it.
struct Kept {
    slot: Option<Slot>,
    units: Vec<usize>,
    is_released: bool,
}

struct Run {
    pool: SlotPool,
    driver: ClockDriver,
    model: Model,
    slots: Vec<Kept>,
    leaked: u64,
    waits: Vec<Option<Wait>>,
    in_use: [u32; 4],
}

fn assert_refused(refusal: &Refusal, outcome: Outcome, key: usize) {
    let scope = KEYS.get(key).map_or("", |key| key.scope);
    assert_eq!((refusal.outcome(), refusal.scope()), (outcome, scope));
}

impl Run {
    fn new() -> Self {
        let (pool, driver) = pool();
        Self {
            pool,
            driver,
            model: Model::default(),
            slots: Vec::new(),
            leaked: 0,
            waits: Vec::new(),
            in_use: [0; 4],
        }
    }

    /// What a slot of these units holds, or has lost.
    fn keys(&self, units: &[usize]) -> Vec<OwnedKey> {
        let keys = units
            .iter()
            .filter_map(|&unit| match self.model.units[unit] {
                Unit::Held(key) | Unit::Lost(key) => Some(KEYS[key].into()),
                Unit::Gone => None,
            });
        keys.collect()
    }

    fn keep(&mut self, slot: Slot, units: Vec<usize>) {
        assert_eq!(slot.keys(), self.keys(&units), "in the order of ranks");
        self.slots.push(Kept {
            slot: Some(slot),
            units,
            is_released: false,
        });
    }

    fn tried(&mut self, real: Result<Slot, Refusal>, model: Tried) {
        match (real, model) {
            (Ok(slot), Ok(units)) => self.keep(slot, units),
            (Err(refusal), Err((outcome, key))) => assert_refused(&refusal, outcome, key),
            (real, model) => panic!("{real:?}, and the model {model:?}"),
        }
    }

    fn look(&mut self, at: usize) {
        let Some(wait) = &self.waits[at] else { return };
        let model = self.model.look(at);
        match (wait.try_next(), model) {
            (None, Seen::Nothing) | (Some(Step::Ping), Seen::Ping) => {}
            (Some(Step::Granted(slot)), Seen::Granted(units)) => self.keep(slot, units),
            (Some(Step::Ended(refusal)), Seen::Ended(outcome, key)) => {
                assert_refused(&refusal, outcome, key);
            }
            (real, model) => panic!("{real:?}, and the model {model:?}"),
        }
    }

    fn release(&mut self, at: usize) {
        let kept = &mut self.slots[at];
        let Some(slot) = &kept.slot else { return };
        let units = kept.units.iter().rev();
        let parts: Vec<_> = units.map(|&unit| self.model.release(unit)).collect();
        kept.is_released = true;
        let by_weight = [Released::Lost, Released::Released];
        let expected = by_weight.into_iter().find(|answer| parts.contains(answer));
        assert_eq!(slot.release(), expected.unwrap_or(Released::Already));
        assert_eq!(slot.release(), Released::Already);
    }

    fn release_scope(&mut self, at: usize, scope: usize) {
        let kept = &self.slots[at];
        let Some(slot) = &kept.slot else { return };
        let scope = ["user", "model", "account"][scope];
        let unit = kept
            .units
            .iter()
            .find(|&&unit| match self.model.units[unit] {
                Unit::Held(key) | Unit::Lost(key) => KEYS[key].scope == scope,
                Unit::Gone => false,
            });
        let expected = unit.map(|&unit| self.model.release(unit));
        assert_eq!(slot.release_scope(scope), expected);
    }

    /// What was joined to a slot that was released is released.
    fn join(&mut self, at: usize, other: usize) {
        if at == other || self.slots[at].slot.is_none() {
            return;
        }
        let Some(mut joined) = self.slots[other].slot.take() else {
            return;
        };
        let kept = &self.slots[at];
        let (is_released, count) = (kept.is_released, kept.units.len());
        let slot = kept.slot.as_ref().unwrap();
        let fits = count + self.slots[other].units.len() <= MAX_KEYS;
        assert_eq!(slot.join(&mut joined).is_ok(), fits);
        self.slots[other].slot = Some(joined);
        if !fits {
            return;
        }
        let moved = std::mem::take(&mut self.slots[other].units);
        self.slots[other].is_released = false; // and empty
        for &unit in moved.iter().rev().filter(|_| is_released) {
            self.model.release(unit);
        }
        self.slots[at].units.extend(moved);
        for at in [at, other] {
            let Kept { slot, units, .. } = &self.slots[at];
            assert_eq!(slot.as_ref().unwrap().keys(), self.keys(units));
        }
    }

    fn leak(&mut self, at: usize) {
        let Some(slot) = self.slots[at].slot.take() else {
            return;
        };
        slot.leak();
        let Kept {
            units, is_released, ..
        } = &self.slots[at];
        let mut is_leak = false;
        for &unit in units.iter().filter(|_| !is_released) {
            if let Unit::Held(key) | Unit::Lost(key) = self.model.units[unit] {
                self.model.rows[key].counters.leaked += 1;
                is_leak = true;
            }
        }
        self.leaked += u64::from(is_leak);
        // The pool's next call finds it.
        assert_eq!(self.pool.leaked(), self.leaked);
        for &unit in units.iter().rev() {
            self.model.release(unit);
        }
    }

    /// Refused if it asks for a scope that does not come after all that the slot holds.
    fn wait_on_top(&mut self, at: usize, call: usize, limit: u32) {
        let Kept { slot, units, .. } = &self.slots[at];
        let Some(slot) = slot else { return };
        let rank = |scope: &str| {
            ["user", "model", "account"]
                .iter()
                .position(|known| *known == scope)
        };
        let asks = Op::asks(call, limit);
        let first = asks.iter().map(|ask| rank(ask.key.scope)).min().unwrap();
        let held = self.keys(units);
        let last = held.iter().map(|key| rank(key.as_key().scope)).max();
        let wait = self.pool.wait_on_top(slot, &asks, &WaitOptions::default());
        if last.is_some_and(|last| last >= first) {
            match wait.try_next() {
                Some(Step::Ended(refusal)) => {
                    assert_refused(&refusal, Outcome::Invalid, usize::MAX);
                }
                other => panic!("{other:?}"),
            }
            return;
        }
        let WaitOptions { max_waiting, .. } = WaitOptions::default();
        let model = self.model.wait(call, limit, max_waiting, 30_000, true);
        self.begun(wait, model);
    }

    fn wait(&mut self, call: usize, limit: u32, max_waiting: u32, timeout_ms: u64, pings: bool) {
        let options = WaitOptions {
            timeout: Duration::from_millis(timeout_ms),
            max_waiting,
            ping_every: pings.then_some(WaitOptions::PING_EVERY),
            ..WaitOptions::default()
        };
        let wait = self.pool.wait(&Op::asks(call, limit), &options);
        let model = self.model.wait(call, limit, max_waiting, timeout_ms, pings);
        self.begun(wait, model);
    }

    fn begun(&mut self, wait: Wait, model: Result<Tried, usize>) {
        match model {
            Err(at) => {
                assert_eq!(
                    (wait.position(), self.waits.len()),
                    (self.model.position(at), at)
                );
                self.waits.push(Some(wait));
            }
            Ok(model) => match wait.try_next() {
                Some(Step::Granted(slot)) => self.tried(Ok(slot), model),
                Some(Step::Ended(refusal)) => self.tried(Err(refusal), model),
                other => panic!("{other:?}, and the model {model:?}"),
            },
        }
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
                let real = self.pool.try_acquire(&Op::asks(call, limit), "label");
                let model = self.model.try_all(call, limit, true);
                self.tried(real, model);
            }
            Op::Wait {
                call,
                limit,
                max_waiting,
                timeout_ms,
                pings,
            } => {
                self.wait(call, limit, max_waiting, timeout_ms, pings);
            }
            Op::Advance { millis } if Duration::from_nanos(self.model.now_ns) < LONGEST => {
                self.advance(Duration::from_millis(millis));
            }
            Op::Advance { .. } => {}
            Op::SetLimit { key, limit } => {
                self.pool
                    .set_limit(KEYS[key], limit_of(limit))
                    .wait(None)
                    .unwrap();
                self.model.set(key, Some(limit));
            }
            Op::ClearLimit { key } => {
                self.pool.clear_limit(KEYS[key]).wait(None).unwrap();
                self.model.set(key, None);
            }
            Op::Close { key } => {
                self.pool.close_key(KEYS[key]).wait(None).unwrap();
                self.model.close(key);
            }
            Op::Open { key } => {
                self.pool.open_key(KEYS[key]).wait(None).unwrap();
                self.model.open(key);
            }
            Op::Force { key, at } => {
                let holders = self.pool.holders(KEYS[key]).wait(None).unwrap();
                assert_eq!(holders.len(), self.model.rows[key].held.len());
                if !holders.is_empty() {
                    let at = at % holders.len();
                    assert!(
                        self.pool
                            .force(KEYS[key], holders[at].id)
                            .wait(None)
                            .unwrap()
                    );
                    assert!(
                        !self
                            .pool
                            .force(KEYS[key], holders[at].id)
                            .wait(None)
                            .unwrap()
                    );
                    self.model.force(key, at);
                }
            }
            Op::Look { at } if !self.waits.is_empty() => self.look(wait_at(at)),
            Op::Cancel { at } if !self.waits.is_empty() => {
                let at = wait_at(at);
                if let Some(wait) = &self.waits[at] {
                    wait.cancel(None);
                    self.model.cancel(at);
                }
            }
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
            Op::WaitOnTop { at, call, limit } if !self.slots.is_empty() => {
                self.wait_on_top(slot_at(at), call, limit);
            }
            Op::Join { at, other } if !self.slots.is_empty() => {
                self.join(slot_at(at), slot_at(other));
            }
            Op::Leak { at } if !self.slots.is_empty() => self.leak(slot_at(at)),
            _ => {}
        }
        self.check();
    }

    fn drop_slot(&mut self, at: usize) {
        if self.slots[at].slot.take().is_some() {
            for &unit in self.slots[at].units.iter().rev() {
                self.model.release(unit);
            }
        }
    }

    fn close(&mut self) {
        self.pool.close();
        self.model.close_all();
        self.check();
    }

    fn advance(&mut self, by: Duration) {
        self.driver.advance(by);
        self.model.advance(by.as_nanos() as u64);
    }

    fn check(&mut self) {
        let loads = self.pool.load(&KEYS).wait(None).unwrap();
        for (key, (row, load)) in self.model.rows.iter().zip(&loads).enumerate() {
            let expected = (
                row.held.len() as u32,
                row.queue.len() as u32,
                row.limit(),
                row.is_closed,
            );
            let real = (load.in_use, load.waiting, load.limit, load.is_closed);
            assert_eq!(real, expected, "{:?}", KEYS[key]);
            let stats = self.pool.key_stats(KEYS[key]).unwrap_or_default();
            assert_eq!(stats.counters, row.counters, "{:?}", KEYS[key]);
            assert_eq!(stats.waits.count, row.counters.granted_after_wait);
            if let Some(Limit::Of(limit)) = load.limit {
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

    /// All is quiet: what is held is free again, and nobody waits.
    fn end(mut self) {
        for at in 0..self.waits.len() {
            if let Some(wait) = &self.waits[at] {
                wait.cancel(None);
            }
            self.model.cancel(at);
            self.look(at);
        }
        for at in 0..self.slots.len() {
            self.drop_slot(at);
        }
        self.check();
        let loads = self.pool.load(&KEYS).wait(None).unwrap();
        assert!(
            loads
                .iter()
                .all(|load| (load.in_use, load.waiting) == (0, 0)),
            "{loads:?}"
        );
        assert_eq!(
            self.pool
                .held_longer_than(Duration::ZERO)
                .wait(None)
                .unwrap()
                .len(),
            0
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 6_000 * crate::common::stress() as u32,
        failure_persistence: None,
        max_shrink_iters: 20_000,
        ..ProptestConfig::default()
    })]

    #[test]
    fn s1_to_s6_memory_is_as_the_model_says(
        history in Op::histories(140),
        after_close in proptest::option::of(Op::histories(20)),
    ) {
        let mut run = Run::new();
        for op in history {
            run.step(op);
        }
        if let Some(history) = after_close {
            run.close();
            for op in history {
                run.step(op);
            }
        }
        run.end();
    }
}
