//! `slot/try-release…`, `slot/first-touch`, `load/1000`: slots that nobody waits for.
//!
//! The peer of a try is what is written by hand: a concurrent map from id to semaphore, looked up, its entry cloned, and
//! an owned permit. Its keys are ids alone, ours are a scope and an id. `first-touch` takes an id that neither side
//! knows: the peer inserts it, and removes it after; ours remembers it as idle and forgets another.
//!
//! Of two threads each has a processor of its own. They begin bursts together, and a burst in which the system gave one
//! of them to somebody else does not count. A round is the median of what a burst took.
//!
//! `load/1000` answers in use, waiting, limit and ages of 1,000 keys: ours in one call, the peer by a look-up each.

use std::collections::HashMap;
use std::hint::black_box;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Instant;

use dashmap::DashMap;
use reqbus_core::slots::{Ask, Key, Limit, Load, PoolOptions};
use reqbus_core::{Slot, SlotPool};
use tokio::sync::Semaphore;

use super::cpu;
use super::meeting::{Meeting, THREADS};
use super::report::{Report, Row};
use super::rounds::{interleave, quantile};

pub const ROWS: [&str; 5] = [
    "slot/try-release",
    "slot/first-touch",
    "slot/try-release-2-threads/hot",
    "slot/try-release-2-threads/1000",
    "load/1000",
];

const PEER: &str = "DashMap of tokio semaphores";
const SCOPE: &str = "user";
const LIMIT: u32 = 10;
/// Four times what a pool remembers of idle keys: when one comes again it is forgotten.
const NEW_KEYS: usize = 16_384;

fn ids(keys: usize) -> Vec<String> {
    (0..keys).map(|at| format!("{}", 100_000 + at)).collect()
}

/// Takes a slot and gives it back.
trait Try: Sync {
    /// Of a key that was in use before.
    fn known(&self, id: &str);
    /// Of a new one.
    fn new_key(&self, id: &str);
}

impl Try for SlotPool {
    #[inline]
    fn known(&self, id: &str) {
        let slot = self.try_acquire(&[Ask::new(SCOPE, id, Limit::Of(LIMIT))], "");
        drop(black_box(slot.expect("room")));
    }

    #[inline]
    fn new_key(&self, id: &str) {
        self.known(id);
    }
}

/// The map.
#[derive(Default)]
struct Semaphores(DashMap<String, Arc<Semaphore>>);

impl Semaphores {
    fn add(&self, id: &str) {
        let semaphore = Arc::new(Semaphore::new(LIMIT as usize));
        self.0.insert(id.to_owned(), semaphore);
    }
}

impl Try for Semaphores {
    #[inline]
    fn known(&self, id: &str) {
        let semaphore = self.0.get(id).map(|entry| entry.clone());
        let semaphore = semaphore.expect("a key in use before");
        drop(black_box(semaphore.try_acquire_owned().expect("room")));
    }

    #[inline]
    fn new_key(&self, id: &str) {
        self.add(id);
        self.known(id);
        self.0.remove(id);
    }
}

fn pool() -> SlotPool {
    SlotPool::new(PoolOptions::default()).expect("a pool")
}

/// Nanoseconds of each of `tries`.
fn timed(tries: usize, mut each: impl FnMut(usize)) -> f64 {
    let begin = Instant::now();
    (0..tries).for_each(&mut each);
    begin.elapsed().as_nanos() as f64 / tries as f64
}

fn one_key(side: &impl Try) -> [f64; 1] {
    [timed(10_000, |_| side.known("100042"))]
}

/// `begin` goes on from round to round.
fn new_keys(side: &impl Try, ids: &[String], begin: &mut usize) -> [f64; 1] {
    const TRIES: usize = 4_000;
    let at = *begin;
    *begin += TRIES;
    [timed(TRIES, |n| side.new_key(&ids[(at + n) % ids.len()]))]
}

/// Both threads at once, over `keys`, at different places.
fn two_threads(side: &impl Try, keys: &[String]) -> [f64; 1] {
    const BURSTS: usize = 30;
    const TRIES: usize = 1_000;
    let meeting = Meeting::default();
    let spoilt = AtomicUsize::new(usize::MAX);
    let all = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for number in 0..THREADS {
            let (meeting, spoilt, all) = (&meeting, &spoilt, &all);
            scope.spawn(move || {
                cpu::pin(number);
                let first = number * keys.len() / THREADS;
                let mut times = Vec::with_capacity(BURSTS);
                for burst in 0..BURSTS {
                    meeting.wait();
                    let evictions = cpu::evictions();
                    meeting.wait();
                    // Steps of 7 and counts of keys have no common factor.
                    let each = |n: usize| side.known(&keys[(first + n * 7) % keys.len()]);
                    let time = timed(TRIES, each);
                    if cpu::evictions() != evictions {
                        spoilt.store(burst, Ordering::Relaxed);
                    }
                    meeting.wait();
                    if spoilt.load(Ordering::Relaxed) != burst {
                        times.push(time);
                    }
                }
                all.lock().expect("no thread panicked").append(&mut times);
            });
        }
    });
    let mut all = all.into_inner().expect("no thread panicked");
    all.sort_by(f64::total_cmp);
    [quantile(&all, 0.5)]
}

/// A key of the peer of `load/1000`.
struct Standing {
    limit: Limit,
    /// Since when each holds its slot, oldest first.
    since: Vec<Instant>,
    waiting: Vec<Instant>,
}

fn load(report: &mut Report) {
    let ids = ids(1_000);
    let pool = pool();
    let held = |(at, id): (usize, &String)| -> Vec<Slot> {
        let asks = [Ask::new(SCOPE, id, Limit::Of(LIMIT))];
        let slot = |_| pool.try_acquire(&asks, "").expect("room");
        (0..at % 4).map(slot).collect()
    };
    let _held: Vec<_> = ids.iter().enumerate().map(held).collect();
    let keys: Vec<_> = ids.iter().map(|id| Key::new(SCOPE, id)).collect();

    let standing = |(at, id): (usize, &String)| {
        let standing = Standing {
            limit: Limit::Of(LIMIT),
            since: vec![Instant::now(); at % 4],
            waiting: Vec::new(),
        };
        (id.clone(), standing)
    };
    let map: HashMap<String, Standing> = ids.iter().enumerate().map(standing).collect();
    let map = parking_lot::Mutex::new(map);

    const CALLS: usize = 10;
    let [outcome] = interleave(
        report.rounds(400),
        || {
            let call = |_| drop(black_box(pool.load(&keys).wait(None).expect("an answer")));
            [timed(CALLS, call) / 1e3]
        },
        || {
            let call = |_| {
                let now = Instant::now();
                let age = |since: &Instant| now - *since;
                let look = |id: &String| {
                    let map = map.lock();
                    map.get(id).map_or_else(Load::default, |standing| Load {
                        in_use: standing.since.len() as u32,
                        waiting: standing.waiting.len() as u32,
                        lapsed: 0,
                        limit: Some(standing.limit),
                        is_closed: false,
                        oldest_wait: standing.waiting.first().map(age),
                        oldest_hold: standing.since.first().map(age),
                    })
                };
                drop(black_box(ids.iter().map(look).collect::<Vec<Load>>()));
            };
            [timed(CALLS, call) / 1e3]
        },
    );
    let row = Row {
        name: ROWS[4],
        peer: "map behind a lock",
        unit: "us/call",
        target: 1.0,
    };
    report.add(row, outcome);
}

fn row(name: &'static str, target: f64) -> Row {
    Row {
        name,
        peer: PEER,
        unit: "ns",
        target,
    }
}

pub fn measure(report: &mut Report) {
    let ids = ids(NEW_KEYS);
    let (ours, peer) = (pool(), Semaphores::default());
    // A host has other keys too.
    for id in &ids[..1_000] {
        ours.known(id);
        peer.add(id);
    }
    if report.wants(ROWS[0]) {
        let [outcome] = interleave(report.rounds(400), || one_key(&ours), || one_key(&peer));
        report.add(row(ROWS[0], 1.3), outcome);
    }
    for (name, keys) in [(ROWS[2], 1), (ROWS[3], 1_000)] {
        if report.wants(name) {
            let keys = &ids[..keys];
            let [outcome] = interleave(
                report.rounds(100),
                || two_threads(&ours, keys),
                || two_threads(&peer, keys),
            );
            report.add(row(name, 1.0), outcome);
        }
    }
    if report.wants(ROWS[1]) {
        let (ours, peer) = (pool(), Semaphores::default());
        let (mut at, mut peer_at) = (0, 0);
        let [outcome] = interleave(
            report.rounds(200),
            || new_keys(&ours, &ids, &mut at),
            || new_keys(&peer, &ids, &mut peer_at),
        );
        report.add(row(ROWS[1], 1.5), outcome);
    }
    if report.wants(ROWS[4]) {
        load(report);
    }
}
