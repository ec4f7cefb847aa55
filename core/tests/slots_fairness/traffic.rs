//! Traffic on a pool, event by event on a driven clock: Poisson arrivals, exponential holds, owners who look at once.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use reqbus_core::slots::{
    Ask, Limit, Outcome, PoolOptions, Ranks, Slot, SlotPool, Step, Wait, WaitOptions,
};
use reqbus_core::time::ClockDriver;

use crate::common::slots::pool_with;

/// A sort of requests.
pub struct Class {
    /// Scope, how many ids of it there are, and their limit; each request draws its ids. Users are a class's own.
    pub asks: &'static [(&'static str, u32, u32)],
    /// Requests in a second.
    pub rate: f64,
    /// Mean hold in seconds.
    pub hold: f64,
}

/// What became of the requests of a class.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    pub requests: u32,
    pub granted: u32,
    pub timed_out: u32,
    pub refused: u32,
    /// Granted before an older wait of the same class and keys.
    pub overtook: u32,
    waited: Duration,
    pub longest: Duration,
}

impl Tally {
    /// Parts of the requests, in percent.
    pub fn percent(&self, of: u32) -> f64 {
        f64::from(of) * 100.0 / f64::from(self.requests)
    }

    /// Neither served nor in line any more.
    pub fn lost(&self) -> f64 {
        self.percent(self.timed_out + self.refused)
    }

    /// Over all that were granted, those that did not wait included.
    pub fn mean_wait(&self) -> f64 {
        self.waited.as_secs_f64() / f64::from(self.granted)
    }
}

struct Waiting {
    class: usize,
    ids: Vec<u32>,
    begun_ns: u64,
    wait: Wait,
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Arrive(usize),
    Finish(usize),
}

/// A pool and its users.
pub struct Traffic {
    pool: SlotPool,
    driver: ClockDriver,
    classes: Vec<Class>,
    pub tallies: Vec<Tally>,
    max_waiting: u32,
    now_ns: u64,
    random: u64,
    events: BinaryHeap<Reverse<(u64, u64, Event)>>,
    last_event: u64,
    /// Slots in use, by number.
    slots: Vec<Option<Slot>>,
    /// Oldest first.
    waiting: Vec<Waiting>,
}

impl Traffic {
    pub fn new(classes: Vec<Class>, ranks: Ranks, max_waiting: u32) -> Self {
        let (pool, driver) = pool_with(PoolOptions {
            ranks,
            ..PoolOptions::default()
        });
        Self {
            pool,
            driver,
            tallies: vec![Tally::default(); classes.len()],
            classes,
            max_waiting,
            now_ns: 0,
            random: 20_260_101,
            events: BinaryHeap::new(),
            last_event: 0,
            slots: Vec::new(),
            waiting: Vec::new(),
        }
    }

    fn draw(&mut self) -> f64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn plan(&mut self, mean_s: f64, event: Event) {
        let after_s = -mean_s * (1.0 - self.draw()).ln();
        let at_ns = self.now_ns + (after_s * 1e9) as u64 + 1;
        self.last_event += 1;
        self.events.push(Reverse((at_ns, self.last_event, event)));
    }

    /// Lets so many requests come.
    pub fn run(&mut self, requests: u32) {
        for class in 0..self.classes.len() {
            self.plan(1.0 / self.classes[class].rate, Event::Arrive(class));
        }
        let mut come = 0;
        while come < requests {
            let Some(Reverse((at_ns, _, event))) = self.events.pop() else {
                return;
            };
            let by = Duration::from_nanos(at_ns - self.now_ns);
            self.driver.advance(by);
            self.now_ns = at_ns;
            match event {
                Event::Arrive(class) => {
                    come += 1;
                    self.arrive(class);
                    self.plan(1.0 / self.classes[class].rate, Event::Arrive(class));
                }
                Event::Finish(slot) => drop(self.slots[slot].take()),
            }
            self.look();
        }
    }

    fn arrive(&mut self, class: usize) {
        let scopes = self.classes[class].asks;
        let draws: Vec<f64> = scopes.iter().map(|_| self.draw()).collect();
        let ids: Vec<u32> = scopes
            .iter()
            .zip(draws)
            .map(|((_, ids, _), draw)| (draw * f64::from(*ids)) as u32)
            .collect();
        let text = |((scope, ..), id): (&(&str, _, _), &u32)| match *scope {
            "user" => format!("{class}-{id}"),
            _ => id.to_string(),
        };
        let texts: Vec<String> = scopes.iter().zip(&ids).map(text).collect();
        let asks: Vec<Ask<'_>> = scopes
            .iter()
            .zip(&texts)
            .map(|((scope, _, limit), id)| Ask::new(scope, id, Limit::Of(*limit)))
            .collect();
        let options = WaitOptions {
            max_waiting: self.max_waiting,
            ping_every: None,
            ..WaitOptions::default()
        };
        self.tallies[class].requests += 1;
        let wait = self.pool.wait(&asks, &options);
        self.waiting.push(Waiting {
            class,
            ids,
            begun_ns: self.now_ns,
            wait,
        });
    }

    /// Every owner looks, the youngest first: the order of looks is not what makes the order of grants.
    fn look(&mut self) {
        let looks = self.waiting.iter().rev();
        let mut steps: Vec<_> = looks.map(|waiting| waiting.wait.try_next()).collect();
        steps.reverse();
        let mut in_line = Vec::new();
        for (of, step) in std::mem::take(&mut self.waiting).into_iter().zip(steps) {
            match step {
                None => in_line.push(of),
                Some(Step::Granted(slot)) => self.granted(&of, slot, &in_line),
                Some(Step::Ended(refusal)) => {
                    let tally = &mut self.tallies[of.class];
                    match refusal.outcome() {
                        Outcome::TimedOut => tally.timed_out += 1,
                        Outcome::QueueFull => tally.refused += 1,
                        _ => panic!("{refusal}"),
                    }
                }
                Some(Step::Ping) => panic!("no pings were asked for"),
            }
        }
        self.waiting = in_line;
    }

    /// `older` are those who came before and still wait.
    fn granted(&mut self, of: &Waiting, slot: Slot, older: &[Waiting]) {
        let same = |older: &Waiting| (older.class, &older.ids) == (of.class, &of.ids);
        let older = older.iter().any(same);
        let waited = Duration::from_nanos(self.now_ns - of.begun_ns);
        let tally = &mut self.tallies[of.class];
        tally.granted += 1;
        tally.overtook += u32::from(older);
        tally.waited += waited;
        tally.longest = tally.longest.max(waited);
        let place = self.slots.iter().position(Option::is_none);
        let place = place.unwrap_or_else(|| {
            self.slots.push(None);
            self.slots.len() - 1
        });
        self.slots[place] = Some(slot);
        self.plan(self.classes[of.class].hold, Event::Finish(place));
    }
}
