//! `publish/N/awake`, `deliver/64`, `publish/64/stalled`, `publish/1024/distinct-keys`.
//!
//! One thread publishes bursts of 32 and lets all readers take them before the next. Publish rows count the
//! publishing alone; `deliver/64` counts the thread's CPU time for publishing and reading, per event and reader.

use super::cpu;
use super::report::{Report, Row};
use super::rounds::interleave;
use super::sides::{Ours, Publish, Read, Side, Tokio};

pub const ROWS: [&str; 6] = [
    "publish/1/awake",
    "publish/64/awake",
    "publish/1024/awake",
    "deliver/64",
    "publish/64/stalled",
    "publish/1024/distinct-keys",
];

/// Bursts that make a round of about a millisecond.
const fn bursts(readers: usize) -> u64 {
    match readers {
        0..8 => 200,
        8..256 => 16,
        _ => 2,
    }
}

/// Nanoseconds per publish, and CPU per delivered event.
fn round<P: Publish, R: Read>(side: &mut Side<P, R>) -> [f64; 2] {
    let begin = cpu::of_this_thread();
    let bursts = side.bursts(bursts(side.readers.len()));
    let cpu = cpu::of_this_thread() - begin;
    [
        bursts.publish_ns(),
        cpu.as_nanos() as f64 / bursts.delivered as f64,
    ]
}

fn publish_row(name: &'static str, target: f64) -> Row {
    Row {
        name,
        peer: Tokio::NAME,
        unit: "ns/publish",
        target,
    }
}

pub fn measure(report: &mut Report) {
    for (readers, name) in [(1, ROWS[0]), (64, ROWS[1]), (1024, ROWS[2])] {
        let delivers = readers == 64;
        let wanted = report.wants(name) || (delivers && report.wants(ROWS[3]));
        if !wanted {
            continue;
        }
        let mut ours = Ours::with_log_readers(readers);
        let mut peer = Tokio::with_readers(readers);
        let outcome = interleave(report.rounds(400), || round(&mut ours), || round(&mut peer));
        report.add(publish_row(name, 0.8), outcome[0]);
        if delivers {
            let row = Row {
                name: ROWS[3],
                peer: Tokio::NAME,
                unit: "ns/event",
                target: 0.5,
            };
            report.add(row, outcome[1]);
        }
    }
    if report.wants(ROWS[4]) {
        stalled(report);
    }
    if report.wants(ROWS[5]) {
        let mut ours = Ours::with_keyed_readers(1024);
        let mut peer = Tokio::with_keyed_readers(1024);
        let outcome = interleave(report.rounds(400), || round(&mut ours), || round(&mut peer));
        report.add(publish_row(ROWS[5], 1.0), outcome[0]);
    }
}

/// Nobody reads: the log is full and evicts, the peer overwrites.
fn stalled(report: &mut Report) {
    fn round<P: Publish, R: Read>(side: &mut Side<P, R>) -> [f64; 1] {
        const BURSTS: u64 = 100;
        let publishing: std::time::Duration = (0..BURSTS).map(|_| side.burst()).sum();
        [publishing.as_nanos() as f64 / (BURSTS * super::sides::BURST) as f64]
    }
    let mut ours = Ours::with_log_readers(64);
    let mut peer = Tokio::with_readers(64);
    let [outcome] = interleave(report.rounds(800), || round(&mut ours), || round(&mut peer));
    report.add(publish_row(ROWS[4], 0.8), outcome);
}
