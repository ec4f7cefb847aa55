//! Readers that come and go, and buses that close, while others publish and read.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread;

use reqbus_core::NewEvent;
use reqbus_core::bus::{Batch, Limits, Start, SubscribeOptions};

use crate::common::{ALL, Flag, Ledger, SMALL, Watchdog, plain_bus, stress, subscribe, until};
use crate::{filter, publisher, reader, small_bus};

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
    crate::common::assert_adds_up(&stats.totals);
}

/// B5: close meets a blocked, a busy and a coming reader; each reads what came before the end, then the end.
#[test]
fn b5_close_during_recv_loses_nothing_before_the_end() {
    let _watchdog = Watchdog::new("close during recv");
    for round in 0..1_000 * stress() as usize {
        let bus = plain_bus();
        let before = AtomicU64::new(0);
        let subs: Vec<_> = (0..3)
            .map(|at| subscribe(&bus, crate::common::POLICIES[at]))
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
