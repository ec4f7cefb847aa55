//! `publish/64/parked-threads`: the publisher's CPU time while 64 threads sleep in a blocking receive.
//!
//! One event at a time, published when the system says that all 64 threads sleep.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use reqbus_core::bus::{Filter, Limits, Overflow};

use super::cpu;
use super::event::Requests;
use super::report::{Report, Row};
use super::rounds::interleave;
use super::sides::{Channels, Ours, Publish, look};

pub const ROWS: [&str; 1] = ["publish/64/parked-threads"];

const THREADS: usize = 64;
const EVENTS: u64 = 4;

/// Threads that read.
struct Readers {
    threads: Vec<thread::JoinHandle<()>>,
    /// Where the system tells their states.
    states: Vec<String>,
    held: Arc<AtomicUsize>,
    at: u64,
}

impl Readers {
    /// A thread for each of `reads`: it waits for one event, or answers that there will be none.
    fn new(reads: Vec<Box<dyn FnMut() -> bool + Send>>) -> Self {
        let held = Arc::new(AtomicUsize::new(0));
        let (tell, ids) = mpsc::channel();
        let spawn = |mut read: Box<dyn FnMut() -> bool + Send>| {
            let (held, tell) = (held.clone(), tell.clone());
            thread::spawn(move || {
                // SAFETY: no arguments, no conditions.
                tell.send(unsafe { libc::gettid() })
                    .expect("its maker waits");
                while read() {
                    held.fetch_add(1, Ordering::Release);
                }
            })
        };
        let threads: Vec<_> = reads.into_iter().map(spawn).collect();
        let states = ids.iter().take(threads.len());
        Self {
            states: states
                .map(|id| format!("/proc/self/task/{id}/stat"))
                .collect(),
            threads,
            held,
            at: 0,
        }
    }

    /// Until all threads have got all events and sleep.
    fn sleep(&self) {
        let all = self.at as usize * self.threads.len();
        let sleeps = |path: &String| {
            let state = std::fs::read_to_string(path).unwrap_or_default();
            state
                .rsplit(')')
                .next()
                .is_some_and(|rest| rest.starts_with(" S"))
        };
        while self.held.load(Ordering::Acquire) < all || !self.states.iter().all(sleeps) {
            thread::sleep(Duration::from_micros(100));
        }
    }

    /// Microseconds of the publisher's time per event.
    fn round(&mut self, publisher: &impl Publish) -> [f64; 1] {
        let mut publishing = Duration::ZERO;
        for _ in 0..EVENTS {
            self.sleep();
            let begin = cpu::of_this_thread();
            publisher.publish(self.at);
            publishing += cpu::of_this_thread() - begin;
            self.at += 1;
        }
        [publishing.as_nanos() as f64 / 1e3 / EVENTS as f64]
    }

    fn join(self) {
        for thread in self.threads {
            thread.join().expect("a reader that ends");
        }
    }
}

pub fn measure(report: &mut Report) {
    let ours = Ours::new(Requests::new());
    let reads = (0..THREADS).map(|_| {
        let mut reader = ours.reader(Overflow::CatchUp, Filter::all());
        let read = move || {
            let got = reader
                .subscription
                .recv_timeout(&mut reader.batch, Limits::default(), None);
            reader.batch.events().for_each(look);
            got.is_ok()
        };
        Box::new(read) as Box<dyn FnMut() -> bool + Send>
    });
    let mut our_readers = Readers::new(reads.collect());

    let peer = Channels::with_readers(THREADS);
    let reads = peer.readers.into_iter().map(|receiver| {
        let read = move || receiver.recv().map(|event| look(&event)).is_ok();
        Box::new(read) as Box<dyn FnMut() -> bool + Send>
    });
    let mut peer_readers = Readers::new(reads.collect());

    let [outcome] = interleave(
        report.rounds(40),
        || our_readers.round(&ours),
        || peer_readers.round(&peer.publisher),
    );
    let row = Row {
        name: ROWS[0],
        peer: "parked crossbeam receivers",
        unit: "us/publish",
        target: 0.1,
    };
    report.add(row, outcome);

    ours.bus.close();
    drop(peer.publisher);
    our_readers.join();
    peer_readers.join();
}
