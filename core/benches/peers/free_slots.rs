//! `slot/wait-after-release`: how long a freed slot stays free while others wait for it.
//!
//! 60 threads share 5 slots for a minute. Each waits, holds its slot for a random time (exponential, mean 1 s), stays
//! away for another, so that it does not come back at the moment of its own release, and waits again: about 50 wait at
//! any time. The peer's threads poll a counting semaphore as the replaced gateways do; a newcomer tries at once. Both
//! sides run side by side in the same minute; their threads sleep nearly all of it. What counts is the mean time from a
//! release to the next grant, seen by those who release and those who run again with a slot.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use reqbus_core::SlotPool;
use reqbus_core::slots::{Ask, Limit, PoolOptions, WaitOptions};
use tokio::sync::Semaphore;

use super::random::{Polling, Random};
use super::report::{Report, Row};
use super::rounds::{Outcome, quantile};

pub const ROWS: [&str; 1] = ["slot/wait-after-release"];

const SLOTS: usize = 5;
const THREADS: usize = 60;
const HOLD: Duration = Duration::from_secs(1);
const TIMEOUT: Duration = Duration::from_secs(30);
/// Ratios of single parts of the time are told as those of rounds.
const PARTS: usize = 6;

/// A slot that is given back by its drop.
type Held = Box<dyn Send>;
/// Waits for a slot, by random numbers of the thread; `None` when it took too long.
type Wait = dyn Fn(&mut Random) -> Option<Held> + Send + Sync;

/// When slots were given and freed.
#[derive(Default)]
struct Times {
    granted: Mutex<Vec<Instant>>,
    released: Mutex<Vec<Instant>>,
}

/// Threads of one side.
struct Side {
    threads: Vec<thread::JoinHandle<()>>,
    times: Arc<Times>,
}

impl Side {
    fn new(wait: Arc<Wait>, is_over: &Arc<AtomicBool>) -> Self {
        let times = Arc::new(Times::default());
        let spawn = |number| {
            let (wait, times, is_over) = (wait.clone(), times.clone(), is_over.clone());
            thread::spawn(move || {
                let mut random = Random::new(number as u64);
                while !is_over.load(Ordering::Relaxed) {
                    let Some(held) = wait(&mut random) else {
                        continue;
                    };
                    note(&times.granted);
                    thread::sleep(random.exponential(HOLD));
                    note(&times.released);
                    drop(held);
                    thread::sleep(random.exponential(HOLD));
                }
            })
        };
        Self {
            threads: (0..THREADS).map(spawn).collect(),
            times,
        }
    }

    /// Pairs of a release and the next grant's delay, in milliseconds, until `end`.
    fn delays(&self, begin: Instant, end: Instant) -> Vec<(Duration, f64)> {
        let sorted = |times: &Mutex<Vec<Instant>>| {
            let mut times = times.lock().expect("no thread panicked").clone();
            times.retain(|time| *time < end);
            times.sort();
            times
        };
        let (granted, released) = (sorted(&self.times.granted), sorted(&self.times.released));
        // The first grants took slots that were free at first.
        let grants = granted.iter().skip(SLOTS);
        let pairs = released.iter().zip(grants);
        let pair = |(released, granted): (&Instant, &Instant)| {
            let delay = granted.saturating_duration_since(*released);
            (*released - begin, delay.as_secs_f64() * 1e3)
        };
        pairs.map(pair).collect()
    }

    fn join(self) {
        for thread in self.threads {
            thread.join().expect("a waiter that ends");
        }
    }
}

fn note(times: &Mutex<Vec<Instant>>) {
    let mut times = times.lock().expect("no thread panicked");
    times.push(Instant::now());
}

fn ours(pool: SlotPool) -> Arc<Wait> {
    Arc::new(move |_| {
        let asks = [Ask::new("account", "7", Limit::Of(SLOTS as u32))];
        let options = WaitOptions {
            timeout: TIMEOUT,
            max_waiting: THREADS as u32,
            ..WaitOptions::default()
        };
        let slot = pool.wait(&asks, &options).wait().ok()?;
        Some(Box::new(slot) as Held)
    })
}

fn peer(is_over: &Arc<AtomicBool>) -> Arc<Wait> {
    let slots = Arc::new(Semaphore::new(SLOTS));
    let is_over = is_over.clone();
    Arc::new(move |random| {
        let deadline = Instant::now() + TIMEOUT;
        let mut polling = Polling::new();
        loop {
            if let Ok(permit) = slots.clone().try_acquire_owned() {
                return Some(Box::new(permit) as Held);
            }
            let now = Instant::now();
            if now >= deadline || is_over.load(Ordering::Relaxed) {
                return None;
            }
            thread::sleep(polling.next_delay(random).min(deadline - now));
        }
    })
}

fn mean(delays: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = delays.fold((0.0, 0), |(sum, count), delay| (sum + delay, count + 1));
    sum / f64::from(count)
}

pub fn measure(report: &mut Report) {
    let seconds = report.rounds(60);
    let is_over = Arc::new(AtomicBool::new(false));
    let pool = SlotPool::new(PoolOptions::default()).expect("a pool");
    let begin = Instant::now();
    let ours = Side::new(ours(pool.clone()), &is_over);
    let peer = Side::new(peer(&is_over), &is_over);
    for second in 0..seconds {
        if second % 10 == 0 {
            eprintln!("{:32} {second} of {seconds} s", ROWS[0]);
        }
        thread::sleep(Duration::from_secs(1));
    }
    let end = Instant::now();
    is_over.store(true, Ordering::Relaxed);
    let (our_delays, peer_delays) = (ours.delays(begin, end), peer.delays(begin, end));
    pool.close();
    ours.join();
    peer.join();

    let all = |delays: &[(Duration, f64)]| mean(delays.iter().map(|(_, delay)| *delay));
    let part = |delays: &[(Duration, f64)], number: usize| {
        let length = (end - begin).as_secs_f64() / PARTS as f64;
        let is_in = |at: &Duration| (at.as_secs_f64() / length) as usize == number;
        let of_part = delays.iter().filter(|(at, _)| is_in(at));
        mean(of_part.map(|(_, delay)| *delay))
    };
    let ratios = (0..PARTS).map(|n| part(&our_delays, n) / part(&peer_delays, n));
    let mut ratios: Vec<f64> = ratios.filter(|ratio| ratio.is_finite()).collect();
    ratios.sort_by(f64::total_cmp);
    let outcome = Outcome {
        ours: all(&our_delays),
        peer: all(&peer_delays),
        spread: [quantile(&ratios, 0.25), quantile(&ratios, 0.75)],
    };
    let row = Row {
        name: ROWS[0],
        peer: Polling::NAME,
        unit: "ms",
        target: 0.02,
    };
    report.add(row, outcome);
}
