//! The store behind a bad line, through the C ABI: whatever is late, doubled, lost or down, the server is never over its
//! limit, each wait ends once, and when all is given up and the line has had time, nothing is held and nobody waits.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use proptest::prelude::*;
use reqbus::reqbus_load;
use reqbus::reqbus_status::*;
use reqbus_core::slots::{Ask, FaultOptions, Limit, Outcome, Released, WaitOptions};

use crate::handles::{Clock, Fault, Pool, Seen, Slot, Wait};
use crate::op::{CALLS, KEYS, Op};

/// One limit for each key, so that the peak tells.
const LIMITS: [u32; 4] = [1, 2, 1, 2];

struct Run {
    clock: Clock,
    pool: Pool,
    fault: Fault,
    slots: Vec<Slot>,
    waits: Vec<(Wait, Option<Outcome>)>,
}

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn asks(call: usize) -> Vec<Ask<'static>> {
    let ask = |&key: &usize| Ask {
        key: KEYS[key],
        limit: Some(Limit::Of(LIMITS[key])),
    };
    CALLS[call].iter().map(ask).collect()
}

/// A store far away has not answered when the call returns, or it is down.
fn is_on_its_way(status: reqbus::reqbus_status) {
    let may_be = [REQBUS_OK, REQBUS_TIMEOUT, REQBUS_STORE_UNAVAILABLE];
    assert!(may_be.contains(&status), "{status:?}");
}

impl Run {
    fn new(line: &FaultOptions) -> Self {
        let (clock, fault) = (Clock::new(), Fault::new());
        Self {
            pool: Pool::on_fault(&clock, line, &fault),
            clock,
            fault,
            slots: Vec::new(),
            waits: Vec::new(),
        }
    }

    fn look(&mut self, at: usize) {
        let Some((wait, ended)) = self.waits.get_mut(at) else {
            return;
        };
        match (wait.look(), &ended) {
            (Seen::Granted(slot), None) => {
                *ended = Some(Outcome::Invalid); // what it says from now on
                self.slots.push(slot);
            }
            (Seen::Ended(refused), Some(before)) => assert_eq!(refused.outcome, *before),
            (Seen::Ended(refused), None) => {
                assert_ne!(refused.outcome, Outcome::Invalid, "{refused:?}");
                *ended = Some(refused.outcome);
            }
            (Seen::Ping | Seen::Nothing, None) => {}
            (other, Some(before)) => panic!("{other:?} after {before:?}"),
        }
    }

    fn begin(&mut self, call: usize, options: &WaitOptions<'_>) {
        self.waits
            .push((self.pool.wait(&asks(call), options), None));
    }

    fn step(&mut self, op: Op) {
        let wait_at = |at: usize| at % self.waits.len().max(1);
        match op {
            Op::Try { call, .. } => {
                let options = WaitOptions {
                    timeout: Duration::ZERO,
                    ..WaitOptions::default()
                };
                self.begin(call, &options);
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
                self.begin(call, &options);
            }
            Op::Look { at } => self.look(wait_at(at)),
            Op::Cancel { at } => {
                if let Some((wait, _)) = self.waits.get(wait_at(at)) {
                    wait.cancel();
                }
            }
            Op::DropWait { at } if !self.waits.is_empty() => {
                drop(self.waits.swap_remove(wait_at(at)));
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
            Op::Advance { millis } => self.clock.advance(ms(millis)),
            Op::Close { key } if key % 2 == 0 => self.fault.go_down(),
            Op::Close { key } => is_on_its_way(self.pool.close_key(&KEYS[key])),
            Op::Open { key } => {
                self.fault.come_back();
                is_on_its_way(self.pool.open_key(&KEYS[key]));
            }
            Op::Force { key, at } if !self.slots.is_empty() => {
                let holders = self.slots[at % self.slots.len()].holders();
                if let Some((holder, ..)) = holders.last() {
                    let forced = self.pool.force(&KEYS[key], *holder);
                    is_on_its_way(forced.map_or_else(|status| status, |_| REQBUS_OK));
                }
            }
            _ => {}
        }
        self.clock.advance(ms(3));
        self.check();
    }

    fn check(&self) {
        for (key, most) in KEYS.iter().zip(LIMITS) {
            let peak = self.pool.stats(key).peak;
            assert!(peak <= most, "S1: {key:?}: {peak} of {most}");
            let holders = self.slots.iter().flat_map(Slot::holders);
            let is_of = |scope: &str, id: &str| (scope, id) == (key.scope, key.id);
            let live = holders.filter(|(_, scope, id)| is_of(scope, id)).count();
            assert!(live as u32 <= most, "S1: {key:?}: {live} of {most} in hand");
        }
    }

    /// The loads, however often the line loses question or answer. The call blocks on a clock that another thread moves.
    fn loads(&self) -> Vec<reqbus_load> {
        let (clock, is_over) = (&self.clock, &AtomicBool::new(false));
        std::thread::scope(|scope| {
            scope.spawn(move || {
                while !is_over.load(Ordering::Relaxed) {
                    clock.advance(ms(100));
                    std::thread::yield_now();
                }
            });
            let loads = (0..200).find_map(|_| self.pool.loads(&KEYS, 6_000).ok());
            is_over.store(true, Ordering::Relaxed);
            loads.expect("the server answers")
        })
    }

    fn end(mut self) {
        self.fault.come_back();
        for at in 0..self.waits.len() {
            self.waits[at].0.cancel();
            self.look(at);
            assert!(self.waits[at].1.is_some(), "a cancelled wait has ended");
            self.look(at);
        }
        self.slots.clear();
        self.clock.advance(Duration::from_secs(180));
        let loads = self.loads();
        let stands = loads.iter().map(|load| (load.in_use, load.waiting));
        assert_eq!(
            stands.collect::<Vec<_>>(),
            [(0, 0); 4],
            "S2: all is given back"
        );
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
            ..FaultOptions::default()
        },
    )
}

proptest! {
    #![proptest_config(crate::histories(200))]

    #[test]
    fn s1_s2_hold_on_a_bad_line_through_c(line in lines(), history in Op::histories(120)) {
        let mut run = Run::new(&line);
        for op in history {
            run.step(op);
        }
        run.end();
    }
}
