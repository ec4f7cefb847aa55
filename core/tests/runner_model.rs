//! Admission against a small model that is obviously right: a list of what is in flight, and a sort of what is due.
//!
//! One thread, random histories on a driven clock. Every answer, listing and counter must be the model's to the last digit.
//! What a host relies on is said once more without the model: never two of one id, never more than so many, every permit
//! comes back, the counters add up, nothing that is due starves.
//!
//! `REQBUS_STRESS=n` runs n times as many histories.

#![cfg(not(loom))]

mod common;

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::time::Duration;

use proptest::prelude::*;
use reqbus_core::ErrorKind;
use reqbus_core::runner::{Admission, Due, Permit, RunnerOptions, RunnerStats, Verdict};
use reqbus_core::time::{Clock, ClockDriver};

const AT_ONCE: usize = 5;
const EVERY_MS: u64 = 5_000;
const LIMIT_MS: u64 = 63_000;
const VERDICTS: [Verdict; 3] = [Verdict::Succeeded, Verdict::Failed, Verdict::Panicked];

#[derive(Clone, Debug)]
enum Op {
    Advance(u64),
    /// Items, by id and overdue, and how many may be admitted.
    Round(Vec<(usize, u64)>, usize),
    FailRound,
    Pause(bool),
    /// Which of the permits, and how it ends; 3 is no verdict at all.
    Finish(usize, usize),
    Stop,
}

fn op() -> impl Strategy<Value = Op> {
    let items = prop::collection::vec((0_usize..14, 0_u64..4), 0..20);
    prop_oneof![
        4 => (0_u64..30_000).prop_map(Op::Advance),
        6 => (items, prop_oneof![3 => Just(usize::MAX), 1 => 0_usize..4]).prop_map(|(items, most)| Op::Round(items, most)),
        1 => Just(Op::FailRound),
        1 => any::<bool>().prop_map(Op::Pause),
        6 => (any::<usize>(), 0_usize..4).prop_map(|(at, how)| Op::Finish(at, how)),
    ]
}

struct Flight {
    id: usize,
    since_ms: u64,
    is_stuck: bool,
}

#[derive(Default)]
struct Model {
    now_ms: u64,
    next_ms: u64,
    flights: Vec<Flight>,
    stats: RunnerStats,
    is_paused: bool,
    is_stopped: bool,
    turn: usize,
    /// Items in the lists of rounds that were not passed over.
    listed: u64,
}

impl Model {
    fn holds(&self, id: usize) -> bool {
        self.flights.iter().any(|flight| flight.id == id)
    }

    fn note_stuck(&mut self) {
        for flight in &mut self.flights {
            if !flight.is_stuck && self.now_ms - flight.since_ms >= LIMIT_MS {
                flight.is_stuck = true;
                self.stats.stuck += 1;
            }
        }
    }

    fn begin_round(&mut self) {
        self.stats.rounds += 1;
        while self.next_ms <= self.now_ms {
            self.next_ms += EVERY_MS;
        }
    }

    /// The ids that get a permit; `None` if it is stopped.
    fn round(&mut self, items: &[(usize, u64)], most: usize) -> Option<Vec<usize>> {
        if self.is_stopped {
            return None;
        }
        self.begin_round();
        if self.is_paused {
            self.stats.paused_rounds += 1;
            return Some(Vec::new());
        }
        self.listed += items.len() as u64;
        let stuck = self.flights.iter().filter(|flight| flight.is_stuck).count();
        let room = (AT_ONCE + stuck.min(AT_ONCE)).saturating_sub(self.flights.len());
        let mut order: Vec<usize> = (0..items.len()).collect();
        let count = items.len();
        let start = self.turn;
        order.sort_by_key(|&at| (Reverse(items[at].1), (at + count - start % count) % count));
        let mut admitted = Vec::new();
        for at in order {
            let (id, overdue_s) = items[at];
            if admitted.len() < room.min(most) && !self.holds(id) {
                self.flights.push(Flight {
                    id,
                    since_ms: self.now_ms,
                    is_stuck: false,
                });
                self.stats.late += u64::from(overdue_s * 4_000 > EVERY_MS);
                self.turn = at + 1;
                admitted.push(id);
            }
        }
        self.stats.run += admitted.len() as u64;
        let held = items.iter().filter(|(id, _)| self.holds(*id)).count();
        self.stats.skipped_busy += (held - admitted.len()) as u64;
        self.stats.skipped_full += (items.len() - held) as u64;
        Some(admitted)
    }

    fn finish(&mut self, id: usize, how: usize) {
        self.flights.retain(|flight| flight.id != id);
        match VERDICTS.get(how) {
            Some(Verdict::Succeeded) => self.stats.succeeded += 1,
            Some(Verdict::Failed) => self.stats.failed += 1,
            Some(Verdict::Panicked) | None => self.stats.panicked += 1,
        }
    }
}

struct Run {
    admission: Admission,
    driver: ClockDriver,
    model: Model,
    permits: Vec<Permit>,
}

fn number(permit: &Permit) -> usize {
    permit.id().parse().unwrap()
}

impl Run {
    fn new() -> Self {
        let (clock, driver) = Clock::driven();
        let options = RunnerOptions {
            clock,
            ..RunnerOptions::default()
        };
        Self {
            admission: Admission::new(options).unwrap(),
            driver,
            model: Model::default(),
            permits: Vec::new(),
        }
    }

    fn admit(&mut self, items: &[(usize, u64)], most: usize) {
        let ids: Vec<String> = items.iter().map(|(id, _)| id.to_string()).collect();
        let due = ids.iter().zip(items).map(|(id, (_, overdue))| Due {
            id,
            overdue: Duration::from_secs(overdue * 4),
        });
        let due: Vec<Due<'_>> = due.collect();
        match (
            self.admission.admit_at_most(&due, most),
            self.model.round(items, most),
        ) {
            (Ok(permits), Some(ids)) => {
                let got: Vec<usize> = permits.iter().map(number).collect();
                assert_eq!(got, ids, "in this order");
                self.permits.extend(permits);
            }
            (Err(error), None) => assert_eq!(error.kind(), ErrorKind::Closed),
            (got, wanted) => panic!("{got:?}, not {wanted:?}"),
        }
    }

    fn step(&mut self, op: &Op) {
        match op {
            Op::Advance(ms) => {
                self.driver.advance(Duration::from_millis(*ms));
                self.model.now_ms += ms;
            }
            Op::Round(items, most) => self.admit(items, *most),
            Op::FailRound => {
                self.admission.fail_round();
                self.model.begin_round();
                self.model.stats.failed_rounds += 1;
            }
            Op::Pause(paused) => {
                self.admission.pause(*paused);
                self.model.is_paused = *paused;
            }
            Op::Finish(at, how) => {
                if self.permits.is_empty() {
                    return;
                }
                let permit = self.permits.swap_remove(at % self.permits.len());
                self.model.finish(number(&permit), *how);
                match VERDICTS.get(*how) {
                    Some(verdict) => permit.finish(*verdict),
                    None => drop(permit),
                }
            }
            Op::Stop => {
                self.admission.stop();
                self.model.is_stopped = true;
            }
        }
        self.model.note_stuck();
        self.compare();
        self.promises();
    }

    fn compare(&self) {
        let now_ms = self.model.now_ms;
        let got = self.admission.in_flight();
        let got = got
            .iter()
            .map(|f| (f.id.parse().unwrap(), f.age, f.is_stuck));
        let wanted = self.model.flights.iter().map(|f| {
            let age = Duration::from_millis(now_ms - f.since_ms);
            (f.id, age, f.is_stuck)
        });
        assert_eq!(
            got.collect::<Vec<(usize, _, _)>>(),
            wanted.collect::<Vec<_>>()
        );
        assert_eq!(self.admission.stats(), self.model.stats);
        let wait_ms = self.model.next_ms.saturating_sub(now_ms);
        let wait = Duration::from_millis(wait_ms);
        assert_eq!(self.admission.until_next_round(), wait);
        for permit in &self.permits {
            let flight = self.model.flights.iter().find(|f| f.id == number(permit));
            let left_ms = (flight.unwrap().since_ms + LIMIT_MS).saturating_sub(now_ms);
            assert_eq!(permit.time_left(), Duration::from_millis(left_ms));
            let should_end = self.model.is_stopped || left_ms == 0;
            assert_eq!(permit.should_end(), should_end);
        }
    }

    /// What a host relies on, whatever the model says.
    fn promises(&self) {
        let flying = self.admission.in_flight();
        let ids: BTreeSet<&str> = flying.iter().map(|flight| &*flight.id).collect();
        assert_eq!(ids.len(), flying.len(), "never two of one id");
        assert_eq!(self.permits.len(), flying.len(), "each has its permit");
        let stuck = flying.iter().filter(|flight| flight.is_stuck).count();
        assert!(flying.len() - stuck <= AT_ONCE && flying.len() <= 2 * AT_ONCE);
        let stats = self.admission.stats();
        let ended = stats.succeeded + stats.failed + stats.panicked;
        assert_eq!(stats.run, ended + flying.len() as u64);
        let counted = stats.run + stats.skipped_busy + stats.skipped_full;
        assert_eq!(self.model.listed, counted);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_024 * common::stress() as u32))]

    #[test]
    fn random_histories_are_the_models(
        before in prop::collection::vec(op(), 1..80),
        after in prop::collection::vec(op(), 0..10),
    ) {
        let mut run = Run::new();
        before.iter().for_each(|op| run.step(op));
        run.step(&Op::Stop);
        after.iter().for_each(|op| run.step(op));
        while !run.permits.is_empty() {
            run.step(&Op::Finish(0, 0));
        }
        prop_assert!(run.admission.in_flight().is_empty());
        let left = run.admission.clone();
        prop_assert_eq!(left.stats().run, run.model.stats.run);
    }

    /// `count` things are due all the time, a check takes `lasts` of the rounds by turns, and `hung` of the first never
    /// end. Whoever is free is checked again within as many rounds as it takes to check all of them.
    #[test]
    fn nothing_that_is_due_starves(
        count in 6_usize..60,
        lasts in prop::collection::vec(0_u64..4, 1..7),
        hung in 0_usize..=AT_ONCE,
        knows_overdue in any::<bool>(),
    ) {
        let mut run = Run::new();
        let mut free_since = vec![0_u64; count];
        let mut ends: Vec<(u64, usize)> = Vec::new();
        // The longest check, and a little: how long it takes until room for five has become free once.
        let longest = lasts.iter().max().unwrap() + 1;
        let turns = count.div_ceil(AT_ONCE) as u64 + 1;
        let until_stuck = LIMIT_MS / EVERY_MS + 2;
        let most = turns * longest + until_stuck;
        let mut begun = 0;
        for round in 0..6 * most {
            ends.retain(|&(at, id)| {
                if at > round {
                    return true;
                }
                let permit = run.permits.iter().position(|permit| number(permit) == id);
                run.model.finish(id, 0);
                run.permits.swap_remove(permit.unwrap()).finish(Verdict::Succeeded);
                free_since[id] = round;
                false
            });
            let overdue = |id: usize| if knows_overdue { round - free_since[id] } else { 0 };
            let items: Vec<(usize, u64)> = (0..count).map(|id| (id, overdue(id))).collect();
            let before = run.permits.len();
            run.admit(&items, usize::MAX);
            for permit in &run.permits[before..] {
                if number(permit) >= hung {
                    ends.push((round + 1 + lasts[begun % lasts.len()], number(permit)));
                }
                begun += 1;
            }
            for (id, since) in free_since.iter().enumerate() {
                let is_free = !run.model.holds(id);
                prop_assert!(!is_free || round - since <= most, "{id} is free since {since}, now {round}");
            }
            run.step(&Op::Advance(EVERY_MS));
        }
    }
}
