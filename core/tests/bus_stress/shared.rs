//! Several who use one thing at once: a subscription, a bell, a status, an audience.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use reqbus_core::bus::{Batch, Limits, SubscribeOptions};
use reqbus_core::{Bell, ErrorKind, NewEvent};

use crate::common::{ALL, Got, Ledger, SMALL, Watchdog, items, plain_bus, stress, subscribe};
use crate::{filter, publisher, small_bus};

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
                            crate::common::assert_adds_up(&sub.stats());
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
        crate::common::assert_adds_up(&stats);
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
                    let sub = crate::common::member(bus, "key", Duration::from_secs(60)).unwrap();
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
