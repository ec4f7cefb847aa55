//! Real threads: whatever races, each account adds up to the last event, and each reader sees one order.
//!
//! `REQBUS_STRESS=n` makes every test n times as long.

#![cfg(not(loom))]

#[path = "bus_stress/churn.rs"]
mod churn;
mod common;
#[path = "bus_stress/shared.rs"]
mod shared;

use std::thread;

use common::{ALL, Flag, Got, Ledger, SMALL, Watchdog, items, stress};
use reqbus_core::bus::{Batch, Bus, BusOptions, Filter, Limits, Overflow, Start, SubscribeOptions};
use reqbus_core::wire::Form;
use reqbus_core::{ErrorKind, NewEvent, Subscription};

const KINDS: [&str; 3] = ["a", "b", "c"];
const KEYS: [&str; 4] = ["", "x", "y", "z"];

fn small_bus(log_events: usize) -> Bus {
    common::bus(BusOptions {
        log_events,
        log_bytes: 1 << 30,
        ..BusOptions::default()
    })
}

/// Publishes `count` events, some of them many at a time.
fn publisher(bus: &Bus, seed: u64, count: u64) {
    let mut left = count;
    let mut random = seed | 1;
    while left > 0 {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let kind = KINDS[random as usize % KINDS.len()];
        let key = KEYS[(random >> 8) as usize % KEYS.len()];
        let event = NewEvent::text(kind, "payload").key(key);
        if random.is_multiple_of(50) {
            let many = vec![event; (random >> 16) as usize % 150 + 1];
            let many = &many[..many.len().min(left as usize)];
            bus.publish_many(many).unwrap();
            left -= many.len() as u64;
        } else {
            bus.publish(event).unwrap();
            left -= 1;
        }
    }
}

fn filter(at: usize) -> Filter {
    let (keys, kinds): (&[&str], &[&str]) = match at % 5 {
        0 => (&[], &[]),
        1 => (&[], &["a"]),
        2 => (&["x"], &[]),
        3 => (&["x", ""], &["b", "c"]),
        _ => (&["y", "z"], &[]),
    };
    Filter::new(keys, kinds).unwrap()
}

/// Reads to the end of the bus, in a way that depends on `at`, and checks everything on the way.
fn reader(sub: &Subscription, at: usize) -> Ledger {
    let limits = [
        Limits::default(),
        ALL,
        Limits {
            max_items: 3,
            max_bytes: 1 << 20,
        },
        Limits {
            max_items: 64,
            max_bytes: 2_000,
        },
    ][at % 4];
    let mut batch = Batch::new();
    let mut ledger = Ledger::default();
    loop {
        let answer = match at % 3 {
            0 => sub.recv_timeout(&mut batch, limits, None),
            1 => sub.recv_texts_timeout(&mut batch, Form::Sse, limits, None),
            _ => sub.try_recv(&mut batch, limits),
        };
        match answer {
            Ok(0) => thread::yield_now(),
            Ok(_) => ledger.take(&batch),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Closed, "{error}");
                return ledger;
            }
        }
        if at % 7 == 6 {
            // A slow one.
            thread::yield_now();
            common::assert_adds_up(&sub.stats());
        }
    }
}

#[test]
fn b2_b3_many_publishers_and_readers_of_every_policy() {
    let _watchdog = Watchdog::new("many publishers and readers");
    let count = 150_000 * stress();
    for log_events in [16, 2_000] {
        let bus = small_bus(log_events);
        thread::scope(|scope| {
            let readers: Vec<_> = (0..15)
                .map(|at| {
                    let sub = bus
                        .subscribe(SubscribeOptions {
                            filter: filter(at),
                            overflow: SMALL[at % 3],
                            ..SubscribeOptions::default()
                        })
                        .unwrap();
                    scope.spawn(move || {
                        let ledger = reader(&sub, at);
                        ledger.assert_matches(&sub.stats());
                        sub.stats()
                    })
                })
                .collect();
            let publishers: Vec<_> = (1..4)
                .map(|seed| {
                    let bus = &bus;
                    scope.spawn(move || publisher(bus, seed * 7_919, count / 3))
                })
                .collect();
            publishers
                .into_iter()
                .for_each(|thread| thread.join().unwrap());
            bus.close();
            let mut matched_all = 0;
            for (at, thread) in readers.into_iter().enumerate() {
                let stats = thread.join().unwrap();
                if at % 5 == 0 {
                    matched_all += 1;
                    assert_eq!(stats.matched, count, "no filter: every event matches");
                }
            }
            assert_eq!(matched_all, 3);
        });
        let stats = bus.stats();
        assert_eq!((stats.newest.seq, stats.subscriptions), (count, 0));
        common::assert_adds_up(&stats.totals);
        assert_eq!(stats.totals.abandoned, 0);
    }
}

/// A client that comes back again and again, under publishers, has each event once, and knows of every hole.
#[test]
fn b3_b4_b9_resuming_under_publishers_has_each_seq_once() {
    let _watchdog = Watchdog::new("resuming under publishers");
    let count = 100_000 * stress();
    for (overflow, log_events) in [
        (Overflow::CatchUp, 1 << 20),
        (Overflow::default(), 1 << 20),
        (Overflow::CatchUp, 64),
        (SMALL[0], 64),
        (SMALL[1], 64),
    ] {
        let bus = small_bus(log_events);
        let keeps_all = log_events > count as usize;
        let done = Flag::default();
        let mut heard = bus.newest().to_string();
        thread::scope(|scope| {
            for seed in 1..3 {
                let (bus, done) = (bus.clone(), done.clone());
                scope.spawn(move || {
                    publisher(&bus, seed * 104_729, count / 2);
                    if bus.newest().seq == count {
                        done.set();
                    }
                });
            }
            // Told losses since the last event; a resume may bring them after all.
            let (mut last_seq, mut told) = (0, 0);
            let mut rounds = 0;
            loop {
                let finished = done.is_set();
                let sub = common::resume(&bus, overflow, &heard);
                let mut batch = Batch::new();
                let mut ledger = Ledger::default();
                for _ in 0..1 + rounds % 5 {
                    let limits = Limits {
                        max_items: 1 + rounds % 700,
                        max_bytes: usize::MAX,
                    };
                    if sub.try_recv(&mut batch, limits).unwrap() == 0 {
                        break;
                    }
                    ledger.take(&batch);
                    for got in items(&batch) {
                        match got {
                            Got::Event { seq, .. } => {
                                assert!(seq > last_seq, "B3: {seq} came again after {last_seq}");
                                let hole = seq - last_seq - 1;
                                assert!(!keeps_all || hole <= told, "B9: {last_seq} to {seq}");
                                told = 0;
                                last_seq = seq;
                            }
                            Got::Resync(_, head) => {
                                assert!(!keeps_all, "nothing was evicted");
                                last_seq = head.seq;
                            }
                            Got::Lost(missed, ..) => {
                                assert!(!keeps_all || overflow == Overflow::default());
                                told += missed;
                            }
                            Got::Status(..) => unreachable!(),
                        }
                    }
                    heard = batch.settled().to_string();
                }
                let stats = sub.stats();
                common::assert_adds_up(&stats);
                drop(sub);
                rounds += 1;
                if finished && heard == bus.newest().to_string() {
                    break;
                }
            }
            assert_eq!(heard, bus.newest().to_string());
        });
        common::assert_adds_up(&bus.stats().totals);
    }
}

/// B4: a subscriber that asks for the oldest is never answered with a resync, however fast the log moves on.
#[test]
fn b4_oldest_under_publishers_is_never_a_resync() {
    let _watchdog = Watchdog::new("oldest under publishers");
    let bus = small_bus(1);
    let done = Flag::default();
    thread::scope(|scope| {
        for seed in 1..3 {
            let (bus, done) = (bus.clone(), done.clone());
            scope.spawn(move || {
                while !done.is_set() {
                    publisher(&bus, seed, 500);
                }
            });
        }
        for round in 0..20_000 * stress() as usize {
            let sub = bus
                .subscribe(SubscribeOptions {
                    start: Start::Oldest,
                    filter: filter(round),
                    overflow: SMALL[round % 3],
                    ..SubscribeOptions::default()
                })
                .unwrap();
            if sub.stats().resyncs != 0 {
                done.set();
                panic!("round {round}: a resync for a reader that gave no id");
            }
        }
        done.set();
    });
}
