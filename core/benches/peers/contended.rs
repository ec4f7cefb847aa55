//! `contended/…`: two publishers at once.
//!
//! Both publish a burst of 32, which they begin together, and each publish is timed by itself (less what the look at
//! the clock costs); then they drain the readers, and begin together again. Each has a processor of its own, and a burst
//! in which the system gave one of them to somebody else does not count. So what is timed has two publishers on two
//! processors, whatever else the machine does. 64 events are what a channel holds: nothing is lost. *Saturated*: one
//! publish after the other. *Paced*: each publishes every 10 µs, at a phase of its own.
//!
//! `visible` is the time from the publish call until the last of the 64 channels holds the event. The peer's publish
//! ends with that. Ours may leave the fan-out to the other publisher; so whoever has published watches, taking part in
//! nothing, until its event has been offered to all, at most 100 µs.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::cpu;
use super::meeting::{Meeting, THREADS};
use super::report::{Report, Row};
use super::rounds::{interleave, quantile};
use super::sides::{BURST, Ours, Publish, Read, ReadLocked, Side, Tokio};

pub const ROWS: [&str; 7] = [
    "contended/1/p99",
    "contended/64/p99/saturated",
    "contended/64/p999/saturated",
    "contended/64/p99/paced",
    "contended/64/p999/paced",
    "contended/64/visible-p99/saturated",
    "contended/64/visible-p99/paced",
];

const PACE: Duration = Duration::from_micros(10);

/// How the publishers go about it.
#[derive(Clone, Copy)]
struct Load {
    /// Per round.
    bursts: usize,
    paced: bool,
}

const SATURATED: Load = Load {
    bursts: 150,
    paced: false,
};
const PACED: Load = Load {
    bursts: 80,
    paced: true,
};

/// The times of all publishes of a round, in nanoseconds, sorted. `publish` ends when what is timed ends.
fn round<P: Sync, R: Read + Send>(
    side: &mut Side<P, R>,
    load: Load,
    publish: impl Fn(&P, u64) + Sync,
) -> Vec<u32> {
    let look = cpu::look();
    let meeting = Meeting::default();
    let half = side.readers.len().div_ceil(THREADS);
    let (first, second) = side.readers.split_at_mut(half);
    let publisher = &side.publisher;
    let all = Mutex::new(Vec::new());
    let spoilt = AtomicUsize::new(usize::MAX);
    thread::scope(|scope| {
        for (number, readers) in [first, second].into_iter().enumerate() {
            let (meeting, publish, all, spoilt) = (&meeting, &publish, &all, &spoilt);
            scope.spawn(move || {
                cpu::pin(number);
                let mut times = Vec::with_capacity(load.bursts * BURST as usize);
                for burst in 0..load.bursts {
                    meeting.wait();
                    let evictions = cpu::evictions();
                    let good = times.len();
                    meeting.wait();
                    let begin = Instant::now() + phase(number, burst);
                    for at in 0..BURST as u32 {
                        while load.paced && Instant::now() < begin + PACE * at {
                            std::hint::spin_loop();
                        }
                        let called = Instant::now();
                        publish(publisher, u64::from(at));
                        let time = called.elapsed().saturating_sub(look);
                        times.push(time.as_nanos() as u32);
                    }
                    if cpu::evictions() != evictions {
                        spoilt.store(burst, Ordering::Relaxed);
                    }
                    meeting.wait();
                    if spoilt.load(Ordering::Relaxed) == burst {
                        times.truncate(good);
                    }
                    for reader in &mut *readers {
                        reader.drain();
                    }
                }
                all.lock().expect("no thread panicked").append(&mut times);
            });
        }
    });
    let mut all = all.into_inner().expect("no thread panicked");
    all.sort_unstable();
    all
}

/// When in its 10 µs a publisher begins: spread evenly over bursts, the second's apart from the first's.
fn phase(publisher: usize, burst: usize) -> Duration {
    PACE * (burst * 7 % 32 * publisher) as u32 / 32
}

/// Publishes, and watches until all channels hold the event.
fn publish_visibly(ours: &Ours, at: u64) {
    let published = ours.bus.publish_request(ours.requests.get(at));
    let seq = published.expect("published").seq;
    if ours.bus.offered() < seq {
        let give_up = Instant::now() + Duration::from_micros(100);
        while ours.bus.offered() < seq && Instant::now() < give_up {
            std::hint::spin_loop();
        }
    }
}

fn row(name: &'static str, peer: &'static str, target: f64) -> Row {
    Row {
        name,
        peer,
        unit: "ns",
        target,
    }
}

pub fn measure(report: &mut Report) {
    if report.wants(ROWS[0]) {
        let mut ours = Ours::with_log_readers(1);
        let mut peer = Tokio::with_readers(1);
        let [outcome] = interleave(
            report.rounds(100),
            || [quantile(&round(&mut ours, SATURATED, Ours::publish), 0.99)],
            || [quantile(&round(&mut peer, SATURATED, Tokio::publish), 0.99)],
        );
        report.add(row(ROWS[0], Tokio::NAME, 1.0), outcome);
    }
    for (load, [p99, p999, visible]) in [
        (SATURATED, [ROWS[1], ROWS[2], ROWS[5]]),
        (PACED, [ROWS[3], ROWS[4], ROWS[6]]),
    ] {
        let mut ours = Ours::with_channel_readers(64);
        let mut peer = ReadLocked::with_readers(64);
        if report.wants(p99) || report.wants(p999) {
            let both = |times: &[u32]| [quantile(times, 0.99), quantile(times, 0.999)];
            let outcome = interleave(
                report.rounds(60),
                || both(&round(&mut ours, load, Ours::publish)),
                || both(&round(&mut peer, load, ReadLocked::publish)),
            );
            for (name, outcome) in [p99, p999].into_iter().zip(outcome) {
                report.add(row(name, ReadLocked::NAME, 1.0), outcome);
            }
        }
        if report.wants(visible) {
            let [outcome] = interleave(
                report.rounds(60),
                || [quantile(&round(&mut ours, load, publish_visibly), 0.99)],
                || [quantile(&round(&mut peer, load, ReadLocked::publish), 0.99)],
            );
            report.add(row(visible, ReadLocked::NAME, 1.5), outcome);
        }
    }
}
