//! `resume/2000/shut-out`, `resume/2000/read`: one client comes back with the id of the event 2,000 before the newest.
//!
//! The peer is the broker's shape: one lock over ring and subscribers, under which the newcomer's 2,000 events are
//! cloned and its channel is registered. Both clients subscribe, look at each of the 2,000 events, and leave.
//!
//! `shut-out`: another thread, on another processor, publishes as fast as it can and notes when each publish ends. What
//! counts is the longest time between two ends while the client is at it, both sides alike: locks, wake-ups and all.
//! Both rings are longer than 2,000 there, so that what the client wants is not gone before it has it.
//!
//! `read`: the client's own CPU time, without a publisher.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel as crossbeam;
use parking_lot::Mutex;
use reqbus_core::bus::{BusOptions, Limits, Overflow, Start, SubscribeOptions};
use reqbus_core::{Batch, Bus, Event, EventId, Item};

use super::cpu;
use super::event::Requests;
use super::report::{Report, Row};
use super::rounds::interleave;
use super::sides::{Ours, Publish, look, offer};

pub const SHUT_OUT: [&str; 1] = ["resume/2000/shut-out"];
pub const READ: [&str; 1] = ["resume/2000/read"];

const EVENTS: u64 = 2_000;
/// Both rings while a publisher runs.
const LONG: usize = 16_384;
/// The broker's channel.
const CHANNEL: usize = 256;

/// A client that resumes.
trait Resume: Publish + Sync {
    /// Comes back, reads the 2,000 events, and leaves. How many events it got.
    fn resume(&self) -> u64;
}

impl Resume for Ours {
    fn resume(&self) -> u64 {
        let newest = self.bus.newest();
        let last = EventId {
            seq: newest.seq - EVENTS,
            ..newest
        };
        let last = last.to_string();
        let options = SubscribeOptions {
            start: Start::After(last.as_bytes()),
            overflow: Overflow::CatchUp,
            ..SubscribeOptions::default()
        };
        let client = self.bus.subscribe(options).expect("a subscription");
        let mut batch = Batch::new();
        let mut events = 0;
        while events < EVENTS {
            let mut limits = Limits::default();
            limits.max_items = limits.max_items.min((EVENTS - events) as usize);
            let items = client.try_recv(&mut batch, limits).expect("open");
            for item in batch.iter() {
                match item {
                    Item::Event { event, .. } => {
                        look(event);
                        events += 1;
                    }
                    _ => return events, // a hole: the round does not count
                }
            }
            if items == 0 {
                break;
            }
        }
        events
    }
}

/// The broker: one lock over all.
struct Broker {
    state: Mutex<State>,
    requests: Requests,
    room: usize,
}

struct State {
    ring: VecDeque<Event>,
    newest: u64,
    senders: Vec<crossbeam::Sender<Event>>,
}

impl Broker {
    const NAME: &str = "clone of the ring under a lock";

    fn new(room: usize) -> Self {
        Self {
            state: Mutex::new(State {
                ring: VecDeque::with_capacity(room + 1),
                newest: 0,
                senders: Vec::new(),
            }),
            requests: Requests::new(),
            room,
        }
    }
}

impl Publish for Broker {
    fn publish(&self, at: u64) {
        let event = self.requests.stamped(at);
        let mut state = self.state.lock();
        state.newest += 1;
        offer(&state.senders, &event);
        state.ring.push_back(event);
        let evicted = if state.ring.len() > self.room {
            state.ring.pop_front()
        } else {
            None
        };
        drop(state);
        drop(evicted);
    }
}

impl Resume for Broker {
    fn resume(&self) -> u64 {
        let (sender, receiver) = crossbeam::bounded(CHANNEL);
        let mut state = self.state.lock();
        let skipped = state.ring.len() - EVENTS as usize;
        let replay: Vec<Event> = state.ring.range(skipped..).cloned().collect();
        state.senders.push(sender.clone());
        drop(state);
        let events = replay.iter().map(look).count() as u64;
        let mut state = self.state.lock();
        state.senders.retain(|known| !known.same_channel(&sender));
        drop(state);
        drop((replay, receiver));
        events
    }
}

/// The longest time between two publishes while the client resumes, in microseconds. A round in which the system took
/// one of the two threads off its processor, or in which the client did not get all, says nothing and is made again.
fn shut_out(side: &impl Resume) -> [f64; 1] {
    const TRIES: usize = 50;
    let longest = (0..TRIES).find_map(|_| try_shut_out(side));
    [longest.map_or(f64::NAN, |gap| gap.as_nanos() as f64 / 1e3)]
}

fn try_shut_out(side: &impl Resume) -> Option<Duration> {
    /// Most publishes of a round.
    const ROOM: usize = 1 << 17;
    let stop = AtomicBool::new(false);
    let published = AtomicUsize::new(0);
    thread::scope(|scope| {
        let publisher = scope.spawn(|| {
            cpu::pin(0);
            let evictions = cpu::evictions();
            let mut ends = Vec::with_capacity(ROOM);
            while ends.len() < ROOM && !stop.load(Ordering::Relaxed) {
                side.publish(ends.len() as u64);
                ends.push(Instant::now());
                published.store(ends.len(), Ordering::Relaxed);
            }
            (cpu::evictions() == evictions).then_some(ends)
        });
        let client = scope.spawn(|| {
            cpu::pin(1);
            // The publisher is in full swing, and goes on a little afterwards.
            let more = |count: usize| {
                let until = published.load(Ordering::Relaxed) + count;
                while published.load(Ordering::Relaxed) < until.min(ROOM) {
                    std::hint::spin_loop();
                }
            };
            more(EVENTS as usize + 100);
            let evictions = cpu::evictions();
            let begin = Instant::now();
            let events = side.resume();
            let end = Instant::now();
            let told = events == EVENTS && cpu::evictions() == evictions;
            more(10);
            stop.store(true, Ordering::Relaxed);
            told.then_some((begin, end))
        });
        let window = client.join().expect("a client that ends");
        let ends = publisher.join().expect("a publisher that ends");
        let ((begin, end), ends) = (window?, ends?);
        let gaps = ends
            .windows(2)
            .filter(|gap| gap[1] >= begin && gap[0] <= end);
        gaps.map(|gap| gap[1] - gap[0]).max()
    })
}

fn ours(log_events: usize) -> Ours {
    let options = BusOptions {
        log_events,
        ..BusOptions::default()
    };
    Ours {
        bus: Bus::new(options).expect("a bus"),
        ..Ours::new(Requests::new())
    }
}

pub fn measure_shut_out(report: &mut Report) {
    let (ours, peer) = (ours(LONG), Broker::new(LONG));
    let rounds = report.rounds(400);
    let [outcome] = interleave(rounds, || shut_out(&ours), || shut_out(&peer));
    let row = Row {
        name: SHUT_OUT[0],
        peer: Broker::NAME,
        unit: "us",
        target: 0.2,
    };
    report.add(row, outcome);
}

pub fn measure_read(report: &mut Report) {
    fn round(side: &impl Resume) -> [f64; 1] {
        const RESUMES: u32 = 10;
        let begin = cpu::of_this_thread();
        for _ in 0..RESUMES {
            assert_eq!(side.resume(), EVENTS, "the client gets all");
        }
        [(cpu::of_this_thread() - begin).as_nanos() as f64 / 1e3 / f64::from(RESUMES)]
    }
    let (ours, peer) = (ours(EVENTS as usize), Broker::new(EVENTS as usize));
    for at in 0..2 * EVENTS {
        ours.publish(at);
        peer.publish(at);
    }
    let [outcome] = interleave(report.rounds(200), || round(&ours), || round(&peer));
    let row = Row {
        name: READ[0],
        peer: Broker::NAME,
        unit: "us",
        target: 2.0,
    };
    report.add(row, outcome);
}
