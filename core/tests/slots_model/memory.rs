//! The memory store against the model, to the last digit.

use std::time::Duration;

use proptest::prelude::*;
use reqbus_core::slots::{
    Limit, Outcome, Refusal, Released, Slot, SlotPool, Step, Wait, WaitOptions,
};
use reqbus_core::time::ClockDriver;

use crate::common::slots::pool;
use crate::op::{KEYS, Op, limit_of};
use crate::reference::{Model, Seen, Tried, Unit};

/// Idle keys are forgotten after five minutes, which the model knows nothing of.
const LONGEST: Duration = Duration::from_secs(280);

struct Run {
    pool: SlotPool,
    driver: ClockDriver,
    model: Model,
    slots: Vec<(Option<Slot>, Vec<usize>)>,
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
            waits: Vec::new(),
            in_use: [0; 4],
        }
    }

    fn keep(&mut self, slot: Slot, units: Vec<usize>) {
        let held = units
            .iter()
            .filter_map(|&unit| match self.model.units[unit] {
                Unit::Held(key) | Unit::Lost(key) => Some(KEYS[key].into()),
                Unit::Gone => None,
            });
        assert_eq!(
            slot.keys(),
            held.collect::<Vec<_>>(),
            "in the order of ranks"
        );
        self.slots.push((Some(slot), units));
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
        let (Some(slot), units) = &self.slots[at] else {
            return;
        };
        let parts: Vec<_> = units
            .iter()
            .rev()
            .map(|&unit| self.model.release(unit))
            .collect();
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
        let expected = unit.map(|&unit| self.model.release(unit));
        assert_eq!(slot.release_scope(scope), expected);
    }

    fn wait(&mut self, call: usize, limit: u32, max_waiting: u32, timeout_ms: u64, pings: bool) {
        let options = WaitOptions {
            timeout: Duration::from_millis(timeout_ms),
            max_waiting,
            ping_every: pings.then_some(WaitOptions::PING_EVERY),
            ..WaitOptions::default()
        };
        let wait = self.pool.wait(&Op::asks(call, limit), &options);
        match self.model.wait(call, limit, max_waiting, timeout_ms, pings) {
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
            _ => {}
        }
        self.check();
    }

    fn drop_slot(&mut self, at: usize) {
        if self.slots[at].0.take().is_some() {
            for &unit in self.slots[at].1.iter().rev() {
                self.model.release(unit);
            }
        }
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
        cases: 600 * crate::common::stress() as u32,
        failure_persistence: None,
        max_shrink_iters: 20_000,
        ..ProptestConfig::default()
    })]

    #[test]
    fn s1_to_s6_memory_is_as_the_model_says(history in Op::histories(140)) {
        let mut run = Run::new();
        for op in history {
            run.step(op);
        }
        run.end();
    }
}
