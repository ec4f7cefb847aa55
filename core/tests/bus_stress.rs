//! Real threads: whatever races, each account adds up to the last event, and each reader sees one order.
//!
//! `REQBUS_STRESS=n` makes every test n times as long.

#![cfg(not(loom))]

mod common;

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use common::{ALL, Flag, Got, Ledger, SMALL, Watchdog, items, plain_bus, stress, subscribe, until};
use reqbus_core::bus::{Batch, Bus, BusOptions, Filter, Limits, Overflow, Start, SubscribeOptions};
use reqbus_core::wire::Form;
use reqbus_core::{Bell, ErrorKind, NewEvent, Subscription};

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

#[test]
fn b2_subscribe_and_unsubscribe_while_others_publish_and_read() {
    let _watchdog = Watchdog::new("churn");
    let bus = small_bus(64);
    let done = Flag::default();
    let churned = AtomicUsize::new(0);
    thread::scope(|scope| {
        let steady: Vec<_> = (0..3)
            .map(|at| {
                let sub = subscribe(&bus, SMALL[at]);
                scope.spawn(move || {
                    let ledger = reader(&sub, at * 3);
                    ledger.assert_matches(&sub.stats());
                })
            })
            .collect();
        let churners: Vec<_> = (0..3)
            .map(|worker| {
                let (bus, churned) = (&bus, &churned);
                scope.spawn(move || {
                    for round in 0..8_000 * stress() as usize {
                        let at = worker + round;
                        let sub = bus
                            .subscribe(SubscribeOptions {
                                filter: filter(at),
                                overflow: SMALL[at % 3],
                                start: if at.is_multiple_of(2) {
                                    Start::Oldest
                                } else {
                                    Start::Live
                                },
                                ..SubscribeOptions::default()
                            })
                            .unwrap();
                        let mut batch = Batch::new();
                        let mut ledger = Ledger::default();
                        for _ in 0..round % 4 {
                            if sub.try_recv(&mut batch, Limits::default()).unwrap() > 0 {
                                ledger.take(&batch);
                            }
                        }
                        if round.is_multiple_of(3) {
                            sub.close();
                            while sub.try_recv(&mut batch, ALL).is_ok() {
                                ledger.take(&batch);
                            }
                            ledger.assert_matches(&sub.stats());
                        }
                        churned.fetch_add(1, Ordering::Relaxed);
                    }
                })
            })
            .collect();
        let publishers: Vec<_> = (1..3)
            .map(|seed| {
                let (bus, done) = (&bus, &done);
                scope.spawn(move || {
                    while !done.is_set() {
                        publisher(bus, seed * 31, 200);
                    }
                })
            })
            .collect();
        churners.into_iter().for_each(|t| t.join().unwrap());
        done.set();
        publishers.into_iter().for_each(|t| t.join().unwrap());
        bus.close();
        steady.into_iter().for_each(|t| t.join().unwrap());
    });
    assert_eq!(churned.load(Ordering::Relaxed), 24_000 * stress() as usize);
    let stats = bus.stats();
    assert_eq!(stats.subscriptions, 0);
    common::assert_adds_up(&stats.totals);
}

/// B5: close meets a blocked, a busy and a coming reader; each reads what came before the end, then the end.
#[test]
fn b5_close_during_recv_loses_nothing_before_the_end() {
    let _watchdog = Watchdog::new("close during recv");
    for round in 0..1_000 * stress() as usize {
        let bus = plain_bus();
        let before = AtomicU64::new(0);
        let subs: Vec<_> = (0..3)
            .map(|at| subscribe(&bus, common::POLICIES[at]))
            .collect();
        thread::scope(|scope| {
            let readers: Vec<_> = subs
                .iter()
                .enumerate()
                .map(|(at, sub)| scope.spawn(move || reader(sub, (at + round) % 3)))
                .collect();
            let publisher = scope.spawn(|| {
                for _ in 0..50 {
                    if bus.publish(NewEvent::text("k", "x")).is_err() {
                        break;
                    }
                    before.fetch_add(1, Ordering::Relaxed);
                }
            });
            if round.is_multiple_of(2) {
                until(|| before.load(Ordering::Relaxed) as usize >= round % 50);
                if round.is_multiple_of(4) {
                    bus.close();
                } else {
                    subs.iter().for_each(|sub| {
                        sub.close();
                    });
                }
            }
            publisher.join().unwrap();
            bus.close();
            for (reader, sub) in readers.into_iter().zip(&subs) {
                let ledger = reader.join().unwrap();
                let stats = sub.stats();
                ledger.assert_matches(&stats);
                assert_eq!(stats.lost(), 0);
                // In the other rounds each was closed on its own, before the last event.
                if !round.is_multiple_of(2) || round.is_multiple_of(4) {
                    assert_eq!(stats.matched, before.load(Ordering::Relaxed));
                }
            }
        });
    }
}

/// B2: tries, statistics and one wait on the same subscription, from several threads.
#[test]
fn b2_b3_several_threads_on_one_subscription() {
    let _watchdog = Watchdog::new("several threads on one subscription");
    let count = 100_000 * stress();
    for overflow in SMALL {
        let bus = small_bus(32);
        let sub = subscribe(&bus, overflow);
        let (events, lost) = (AtomicU64::new(0), AtomicU64::new(0));
        thread::scope(|scope| {
            for worker in 0..3 {
                let (sub, events, lost) = (&sub, &events, &lost);
                scope.spawn(move || {
                    let mut batch = Batch::new();
                    let mut last = 0;
                    loop {
                        let answer = if worker == 0 {
                            sub.recv_timeout(&mut batch, Limits::default(), None)
                        } else {
                            common::assert_adds_up(&sub.stats());
                            sub.try_recv(&mut batch, Limits::default())
                        };
                        match answer {
                            Ok(_) => {}
                            Err(error) if error.kind() == ErrorKind::Closed => break,
                            Err(error) => panic!("{error}"),
                        }
                        for got in items(&batch) {
                            match got {
                                Got::Event { seq, .. } => {
                                    assert!(seq > last);
                                    last = seq;
                                    events.fetch_add(1, Ordering::Relaxed);
                                }
                                Got::Lost(missed, ..) => {
                                    lost.fetch_add(missed, Ordering::Relaxed);
                                }
                                other => panic!("{other:?}"),
                            }
                        }
                    }
                });
            }
            publisher(&bus, 3, count);
            bus.close();
        });
        let stats = sub.stats();
        common::assert_adds_up(&stats);
        assert_eq!(stats.matched, count);
        assert_eq!(stats.delivered, events.into_inner());
        assert_eq!(stats.lost(), lost.into_inner());
    }
}

/// Statuses change while readers of every policy wait: nobody misses the last state, nobody hangs.
#[test]
fn b10_statuses_beside_waiting_readers() {
    let _watchdog = Watchdog::new("statuses beside waiting readers");
    let bus = plain_bus();
    let rounds = 20_000 * stress();
    thread::scope(|scope| {
        let readers: Vec<_> = (0..6)
            .map(|at| {
                let sub = subscribe(&bus, SMALL[at % 3]);
                scope.spawn(move || {
                    let mut batch = Batch::new();
                    let mut last = String::new();
                    loop {
                        match sub.recv_timeout(&mut batch, Limits::default(), None) {
                            Ok(_) => {}
                            Err(error) => {
                                assert_eq!(error.kind(), ErrorKind::Closed);
                                return last;
                            }
                        }
                        for got in items(&batch) {
                            if let Got::Status(_, _, detail) = got {
                                assert!(detail > last, "{detail} after {last}");
                                last = detail;
                            }
                        }
                    }
                })
            })
            .collect();
        for round in 0..rounds {
            bus.set_status("upstream", "connected", &format!("{round:012}"))
                .unwrap();
            if round.is_multiple_of(7) {
                bus.publish(NewEvent::text("k", "x")).unwrap();
            }
        }
        bus.close();
        for reader in readers {
            assert_eq!(reader.join().unwrap(), format!("{:012}", rounds - 1));
        }
    });
}

/// A host loop on a bell, and publishers that never wait for it: nothing stays behind.
#[test]
fn b2_a_bell_loop_under_publishers_reads_everything() {
    let _watchdog = Watchdog::new("a bell loop under publishers");
    let count = 150_000 * stress();
    let bus = small_bus(256);
    let bell = Bell::new();
    let subs: Vec<_> = (0..20)
        .map(|at| {
            let sub = bus
                .subscribe(SubscribeOptions {
                    filter: filter(at),
                    overflow: SMALL[at % 3],
                    ..SubscribeOptions::default()
                })
                .unwrap();
            sub.attach(&bell, at as u64).unwrap();
            sub
        })
        .collect();
    thread::scope(|scope| {
        for seed in 1..3 {
            let bus = &bus;
            scope.spawn(move || publisher(bus, seed, count / 2));
        }
        let (mut batch, mut tokens) = (Batch::new(), [0; 3]);
        let mut ledgers = vec![Ledger::default(); subs.len()];
        let pending = || subs.iter().any(|sub| sub.stats().pending > 0);
        while bus.newest().seq < count || pending() {
            // For ever: a missed wake is a hang. One read per token: what it leaves must ring by itself.
            let taken = bell.wait(&mut tokens, None).unwrap();
            for token in &tokens[..taken] {
                let at = *token as usize;
                let limits = Limits {
                    max_items: 16,
                    max_bytes: usize::MAX,
                };
                if subs[at].try_recv(&mut batch, limits).unwrap() > 0 {
                    ledgers[at].take(&batch);
                }
            }
        }
        for (ledger, sub) in ledgers.iter_mut().zip(&subs) {
            while sub.try_recv(&mut batch, ALL).unwrap() > 0 {
                ledger.take(&batch);
            }
            ledger.assert_matches(&sub.stats());
        }
    });
}

/// B6: from empty to empty again, one first and one last, 20,000 times.
#[test]
fn b6_twenty_thousand_rounds_of_first_and_last() {
    let _watchdog = Watchdog::new("first and last");
    let bus = plain_bus();
    let (firsts, lasts) = (AtomicU64::new(0), AtomicU64::new(0));
    let workers = 4;
    let rounds = 20_000 * stress();
    thread::scope(|scope| {
        for worker in 0..workers {
            let (bus, firsts, lasts) = (&bus, &firsts, &lasts);
            scope.spawn(move || {
                for round in 0..rounds / workers {
                    let sub = common::member(bus, "key", Duration::from_secs(60)).unwrap();
                    if sub.is_first() {
                        firsts.fetch_add(1, Ordering::SeqCst);
                    }
                    // A last is told by close, or by the cleanup guard; a plain drop is closed first here,
                    // so that it can be counted.
                    if (round + worker).is_multiple_of(3)
                        && let Some(guard) = sub.cleanup_guard()
                    {
                        lasts.fetch_add(1, Ordering::SeqCst);
                        assert_eq!(sub.close().was_last, None, "it has ended");
                        if round.is_multiple_of(2) {
                            assert!(guard.release());
                        }
                    } else if sub.close().was_last == Some(true) {
                        lasts.fetch_add(1, Ordering::SeqCst);
                    }
                    assert_eq!(sub.close().was_last, None, "it ends once");
                }
            });
        }
    });
    let (firsts, lasts) = (firsts.into_inner(), lasts.into_inner());
    assert_eq!(firsts, lasts, "one last for each first");
    assert!(firsts >= 1);
    assert_eq!(bus.audience_count("key"), 0);
}
