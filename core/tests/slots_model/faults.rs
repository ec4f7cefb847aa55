//! The store behind a bad line: whatever is late, doubled, lost or down, the server is never over its limit, each wait
//! ends once, and when all is given up and the line has had time, nothing is held and nobody waits.

use std::time::Duration;

use proptest::prelude::*;
use reqbus_core::slots::{
    Ask, Fault, FaultOptions, Limit, Load, Outcome, PoolOptions, Released, Slot, SlotPool, Step,
    Wait, WaitOptions,
};
use reqbus_core::time::ClockDriver;

use crate::common::slots::{ms, pool_with, s};
use crate::op::{CALLS, KEYS, Op};

/// One limit for each key, so that the peak tells.
const LIMITS: [u32; 4] = [1, 2, 1, 2];

struct Run {
    pool: SlotPool,
    driver: ClockDriver,
    fault: Fault,
    slots: Vec<Slot>,
    waits: Vec<(Wait, Option<Outcome>)>,
    granted: usize,
}

fn asks(call: usize) -> Vec<Ask<'static>> {
    let ask = |&key: &usize| Ask {
        key: KEYS[key],
        limit: Some(Limit::Of(LIMITS[key])),
    };
    CALLS[call].iter().map(ask).collect()
}

impl Run {
    fn new(options: FaultOptions) -> Self {
        let fault = options.fault.clone();
        let (pool, driver) = pool_with(PoolOptions {
            fault: Some(options),
            ..PoolOptions::default()
        });
        Self {
            pool,
            driver,
            fault,
            slots: Vec::new(),
            waits: Vec::new(),
            granted: 0,
        }
    }

    fn look(&mut self, at: usize) {
        let Some((wait, ended)) = self.waits.get_mut(at) else {
            return;
        };
        match (wait.try_next(), &ended) {
            (Some(Step::Granted(slot)), None) => {
                *ended = Some(Outcome::Invalid); // what it says from now on
                self.slots.push(slot);
                self.granted += 1;
            }
            (Some(Step::Ended(refusal)), Some(before)) => assert_eq!(refusal.outcome(), *before),
            (Some(Step::Ended(refusal)), None) => {
                assert_ne!(refusal.outcome(), Outcome::Invalid, "{refusal}");
                *ended = Some(refusal.outcome());
            }
            (Some(Step::Ping) | None, None) => {}
            (other, Some(before)) => panic!("{other:?} after {before:?}"),
        }
    }

    fn step(&mut self, op: Op) {
        let wait_at = |at: usize| at % self.waits.len().max(1);
        match op {
            Op::Try { call, .. } => {
                let options = WaitOptions {
                    timeout: Duration::ZERO,
                    ..WaitOptions::default()
                };
                self.waits
                    .push((self.pool.wait(&asks(call), &options), None));
            }
            Op::Wait {
                call,
                max_waiting,
                timeout_ms,
                pings,
                ..
            } => {
                let options = WaitOptions {
                    timeout: ms(timeout_ms),
                    max_waiting,
                    ping_every: pings.then_some(WaitOptions::PING_EVERY),
                    ..WaitOptions::default()
                };
                self.waits
                    .push((self.pool.wait(&asks(call), &options), None));
            }
            Op::Look { at } => self.look(wait_at(at)),
            Op::Cancel { at } => {
                if let Some((wait, _)) = self.waits.get(wait_at(at)) {
                    wait.cancel(None);
                }
            }
            Op::DropWait { at } if !self.waits.is_empty() => {
                drop(self.waits.swap_remove(wait_at(at)))
            }
            Op::Release { at } if !self.slots.is_empty() => {
                let slot = &self.slots[at % self.slots.len()];
                let held = !slot.holders().is_empty();
                let released = slot.release();
                assert!(!held || released != Released::Already);
                assert_eq!(slot.release(), Released::Already);
            }
            Op::DropSlot { at } if !self.slots.is_empty() => {
                let at = at % self.slots.len();
                drop(self.slots.swap_remove(at));
            }
            Op::Leak { at } if !self.slots.is_empty() => {
                let at = at % self.slots.len();
                self.slots.swap_remove(at).leak();
            }
            Op::Join { at, other } if self.slots.len() > 1 => {
                let mut joined = self.slots.swap_remove(other % self.slots.len());
                let slot = &self.slots[at % self.slots.len()];
                let _ = slot.join(&mut joined); // too many: given back
            }
            Op::WaitOnTop { at, call, .. } if !self.slots.is_empty() => {
                let slot = &self.slots[at % self.slots.len()];
                let options = WaitOptions::default();
                let wait = self.pool.wait_on_top(slot, &asks(call), &options);
                // Out of order; else it goes on as any other.
                match wait.try_next() {
                    Some(Step::Ended(_)) => {}
                    Some(Step::Granted(slot)) => self.slots.push(slot),
                    Some(Step::Ping) | None => self.waits.push((wait, None)),
                }
            }
            Op::Advance { millis } => self.driver.advance(ms(millis)),
            Op::Close { key } if key % 2 == 0 => self.fault.go_down(),
            Op::Close { key } => drop(self.pool.close_key(KEYS[key])),
            Op::Open { key } => {
                self.fault.come_back();
                drop(self.pool.open_key(KEYS[key]));
            }
            Op::Force { key, at } => {
                if let Some(holder) = self
                    .slots
                    .get(at % self.slots.len().max(1))
                    .and_then(|slot| slot.holders().pop())
                {
                    drop(self.pool.force(KEYS[key], holder.id));
                }
            }
            _ => {}
        }
        self.driver.advance(ms(3));
        self.check();
    }

    fn check(&self) {
        for (key, limit) in KEYS.iter().zip(LIMITS) {
            let peak = self.pool.key_stats(*key).unwrap_or_default().peak;
            assert!(peak <= limit, "S1: {key:?}: {peak} of {limit}");
            let holders = self.slots.iter().flat_map(Slot::holders);
            let live = holders.filter(|holder| holder.key.as_key() == *key).count();
            assert!(
                live as u32 <= limit,
                "S1: {key:?}: {live} of {limit} in hand"
            );
        }
    }

    /// The loads, however often the line loses question or answer.
    fn loads(&self) -> Vec<Load> {
        for _ in 0..200 {
            let reply = self.pool.load(&KEYS);
            self.driver.advance(s(2));
            if let Ok(loads) = reply.wait(Some(Duration::ZERO)) {
                return loads;
            }
        }
        panic!("the server does not answer");
    }

    fn end(mut self) {
        self.fault.come_back();
        for at in 0..self.waits.len() {
            self.waits[at].0.cancel(None);
            self.look(at);
            assert!(self.waits[at].1.is_some(), "a cancelled wait has ended");
            self.look(at);
        }
        self.slots.clear();
        let _ = self.pool.leaked(); // finds what was leaked last
        self.driver.advance(s(180));
        let loads = self.loads();
        let stands: Vec<_> = loads
            .iter()
            .map(|load| (load.in_use, load.waiting))
            .collect();
        assert_eq!(stands, [(0, 0); 4], "S2: all is given back");
        self.check();
    }
}

/// Lines of several sorts.
fn lines() -> impl Strategy<Value = FaultOptions> {
    let chance = |most: u32| prop_oneof![2 => Just(0), 3 => 0..most];
    let latest = prop_oneof![Just(0_u64), Just(5), Just(400), Just(2_500)];
    (any::<u64>(), latest, chance(300), chance(500), chance(500)).prop_map(
        |(seed, latest, lost, doubled, lost_lease)| FaultOptions {
            seed,
            latest: ms(latest),
            lost,
            doubled,
            lost_lease,
            fault: Fault::default(),
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 1_500 * crate::common::stress() as u32,
        failure_persistence: None,
        max_shrink_iters: 20_000,
        ..ProptestConfig::default()
    })]

    #[test]
    fn s1_s2_hold_on_a_bad_line(line in lines(), history in Op::histories(120)) {
        let mut run = Run::new(line);
        for op in history {
            run.step(op);
        }
        run.end();
    }
}

/// On a good line the store far away does what memory does: grants come, in turn.
#[test]
fn s3_a_good_line_grants_in_turn() {
    let mut run = Run::new(FaultOptions {
        latest: ms(5),
        ..FaultOptions::default()
    });
    let wait = Op::Wait {
        call: 0,
        limit: 0,
        max_waiting: 20,
        timeout_ms: 30_000,
        pings: false,
    };
    for _ in 0..8 {
        run.step(wait);
        run.driver.advance(ms(20));
    }
    for at in 0..8 {
        for _ in 0..4 {
            for look in 0..8 {
                run.look(look);
            }
            run.driver.advance(ms(20));
        }
        assert_eq!(run.granted, at + 1, "in turn");
        assert!(run.waits[at].1.is_some());
        run.slots.clear();
        run.driver.advance(ms(20));
    }
    run.end();
}
