//! Audiences (B6) and listings through the public face: the hub's tests (SEEDS 7.8), and what the hub got wrong.

#![cfg(not(loom))]

mod common;
#[path = "bus_audience/guards.rs"]
mod guards;

use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use common::{
    ALL, Got, POLICIES, Watchdog, drain, member, plain_bus, publish, publish_n, seqs, stress,
    subscribe,
};
use reqbus_core::bus::{Batch, Bus, BusOptions, Filter, LostReason, Overflow, SubscribeOptions};
use reqbus_core::time::{Clock, ClockDriver};
use reqbus_core::{ErrorKind, NewEvent, Subscription};

const LONG: Duration = Duration::from_secs(3_600);

fn driven() -> (Bus, ClockDriver) {
    let (clock, driver) = Clock::driven();
    let bus = common::bus(BusOptions {
        clock,
        ..BusOptions::default()
    });
    (bus, driver)
}

fn join(bus: &Bus, audience: &str) -> Subscription {
    member(bus, audience, Duration::ZERO).unwrap()
}

/// SEEDS 7.8, hub basic: routes to those who match, skips the others, does not wait for a full one.
#[test]
fn hub_routes_by_filter_and_a_full_reader_stops_nobody() {
    let bus = plain_bus();
    let of = |kind: &str, overflow| {
        bus.subscribe(SubscribeOptions {
            filter: common::kinds(&[kind]),
            overflow,
            audience: Some(kind),
            ..SubscribeOptions::default()
        })
        .unwrap()
    };
    let tiny = Overflow::DropNewest {
        events: 1,
        bytes: 1 << 20,
    };
    let (a, b, full) = (
        of("a", Overflow::CatchUp),
        of("b", Overflow::CatchUp),
        of("a", tiny),
    );
    for _ in 0..50 {
        bus.publish(NewEvent::text("a", "x")).unwrap();
    }
    assert_eq!((seqs(&a).len(), seqs(&b).len()), (50, 0));
    assert_eq!((full.stats().pending, full.stats().lost_full), (1, 49));
    assert_eq!(
        (
            bus.audience_count("a"),
            bus.audience_count("b"),
            bus.audience_count("c")
        ),
        (2, 1, 0)
    );
}

/// SEEDS 7.8, observability: a queue of one, three publishes: two lost, and who looks is told where.
#[test]
fn hub_a_queue_of_one_and_three_publishes_lose_two() {
    let bus = plain_bus();
    let sub = subscribe(
        &bus,
        Overflow::DropNewest {
            events: 1,
            bytes: 1 << 20,
        },
    );
    publish_n(&bus, 3);
    assert_eq!(sub.stats().lost_full, 2);
    assert_eq!(
        drain(&sub),
        [
            Got::Event { seq: 1, n: 1 },
            Got::Lost(2, LostReason::Full, 4)
        ]
    );
    publish_n(&bus, 1);
    assert_eq!(drain(&sub), [Got::Event { seq: 4, n: 4 }]);
}

/// SEEDS 7.8, publish race: 50 publishers of 500 on a queue of 2, statuses all the while: everything is accounted for.
#[test]
fn b2_hub_publish_race_conserves_every_event() {
    let _watchdog = Watchdog::new("publish race");
    let bus = plain_bus();
    let tiny = Overflow::DropNewest {
        events: 2,
        bytes: 1 << 20,
    };
    let (read, unread) = (subscribe(&bus, tiny), subscribe(&bus, tiny));
    let count = 50 * 500;
    thread::scope(|scope| {
        for _ in 0..50 {
            scope.spawn(|| publish_n(&bus, 500));
        }
        for worker in 0..4 {
            let bus = &bus;
            scope.spawn(move || {
                for n in 0..100 {
                    bus.set_status(&worker.to_string(), "up", &n.to_string())
                        .unwrap();
                }
            });
        }
        let mut batch = Batch::new();
        let mut ledger = common::Ledger::default();
        while ledger.told < count {
            if read.try_recv(&mut batch, ALL).unwrap() > 0 {
                ledger.take(&batch);
            }
        }
        ledger.assert_matches(&read.stats());
    });
    let stats = unread.stats();
    common::assert_adds_up(&stats);
    // What was not yet offered counts as pending; a look at the queue offers it.
    assert_eq!(stats.matched, count);
    assert!(stats.pending >= 2);
    let events = drain(&unread)
        .iter()
        .filter(|got| got.seq().is_some())
        .count();
    assert!(events >= 2);
    // Publishers that outrun the fan-out by the whole log lose for it too: counted, as `evicted`.
    let stats = unread.stats();
    assert_eq!(stats.delivered + stats.lost(), count);
}

/// SEEDS 7.8, first / last: 200 at once, exactly one first and, when they go, exactly one last.
#[test]
fn b6_two_hundred_at_once_have_one_first_and_one_last() {
    let _watchdog = Watchdog::new("two hundred at once");
    let bus = plain_bus();
    for _ in 0..5 * stress() {
        let (firsts, lasts) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let (joined, barrier) = (AtomicUsize::new(0), Barrier::new(200));
        thread::scope(|scope| {
            for _ in 0..200 {
                scope.spawn(|| {
                    barrier.wait();
                    let sub = join(&bus, "key");
                    firsts.fetch_add(usize::from(sub.is_first()), Ordering::SeqCst);
                    joined.fetch_add(1, Ordering::SeqCst);
                    barrier.wait();
                    assert_eq!(bus.audience_count("key"), 200);
                    barrier.wait();
                    let last = sub.close().was_last;
                    assert!(last.is_some());
                    lasts.fetch_add(usize::from(last == Some(true)), Ordering::SeqCst);
                });
            }
        });
        assert_eq!((firsts.into_inner(), lasts.into_inner()), (1, 1));
        assert_eq!((joined.into_inner(), bus.audience_count("key")), (200, 0));
    }
}

/// Every way out ends the membership once.
#[test]
fn b6_every_way_out_ends_membership_once() {
    let bus = plain_bus();
    // Close, and close again, and free.
    let sub = join(&bus, "a");
    assert!(sub.is_first());
    assert_eq!(sub.close().was_last, Some(true));
    assert_eq!(sub.close().was_last, None, "a ghost does not count down");
    assert!(sub.is_first(), "that it was the first does not change");
    let second = join(&bus, "a");
    assert!(second.is_first(), "empty again: a first again");
    drop(sub);
    assert_eq!(
        bus.audience_count("a"),
        1,
        "freeing a closed one ends nothing"
    );
    // Free.
    let third = join(&bus, "a");
    assert!(!third.is_first());
    drop(second);
    assert_eq!(bus.audience_count("a"), 1);
    assert_eq!(third.close().was_last, Some(true));
    // A panic on the way.
    let held = join(&bus, "a");
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || {
        let _held = held;
        std::panic::resume_unwind(Box::new(()));
    }));
    assert!(panicked.is_err());
    assert_eq!(bus.audience_count("a"), 0);
    // The bus.
    let (one, two) = (join(&bus, "a"), join(&bus, "a"));
    bus.close();
    let ends = [
        one.close().was_last,
        two.close().was_last,
        one.close().was_last,
    ];
    assert_eq!(ends.iter().filter(|end| **end == Some(true)).count(), 1);
    drop(one);
    drop(two);
    assert_eq!(bus.audience_count("a"), 0);
}

/// A subscription that is refused joins nothing.
#[test]
fn b6_who_is_refused_joins_nothing() {
    let bus = plain_bus();
    let refused = bus.subscribe(SubscribeOptions {
        audience: Some("a"),
        overflow: Overflow::DropOldest { events: 0 },
        ..SubscribeOptions::default()
    });
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::InvalidArgument);
    let begun = bus.join(SubscribeOptions {
        audience: Some("a"),
        ..SubscribeOptions::default()
    });
    drop(begun);
    assert_eq!((bus.audience_count("a"), bus.stats().subscriptions), (0, 0));
    bus.close();
    assert_eq!(member(&bus, "a", LONG).unwrap_err(), ErrorKind::Closed);
}

/// An audience is a name: filters, and other names, have no part in it.
#[test]
fn b6_audiences_are_apart_from_filters_and_from_each_other() {
    let bus = plain_bus();
    let of = |audience, kind: &str| {
        bus.subscribe(SubscribeOptions {
            audience: Some(audience),
            filter: common::kinds(&[kind]),
            ..SubscribeOptions::default()
        })
        .unwrap()
    };
    let (a_x, a_y, b_x) = (of("a", "x"), of("a", "y"), of("b", "x"));
    assert_eq!(
        [&a_x, &a_y, &b_x].map(Subscription::is_first),
        [true, false, true]
    );
    let none = subscribe(&bus, POLICIES[0]);
    assert_eq!((none.is_first(), none.close().was_last), (false, None));
    assert!(none.cleanup_guard().is_none());
    assert_eq!(a_x.close().was_last, Some(false));
    assert_eq!(b_x.close().was_last, Some(true));
    assert_eq!(a_y.close().was_last, Some(true));
}

/// SEEDS 7.8: Consumers filled, in order of their age; a closed one stays until it is freed.
#[test]
fn consumers_say_who_reads() {
    let (bus, driver) = driven();
    let filter = Filter::new(&["key"], &["a", "b"]).unwrap();
    let first = bus
        .subscribe(SubscribeOptions {
            filter: filter.clone(),
            overflow: Overflow::DropOldest { events: 9 },
            label: "dashboard",
            pid: 4_711,
            audience: Some("feed"),
            ..SubscribeOptions::default()
        })
        .unwrap();
    driver.advance(Duration::from_secs(5));
    let second = subscribe(&bus, Overflow::CatchUp);
    for kind in ["a", "b", "c"] {
        bus.publish(NewEvent::text(kind, "x").key("key")).unwrap();
    }
    drain(&first);
    driver.advance(Duration::from_secs(1));
    second.close();
    let all = bus.consumers();
    let [one, two] = all.as_slice() else {
        panic!("{all:?}")
    };
    assert_eq!(
        (one.id, one.label.as_str(), one.pid),
        (1, "dashboard", 4_711)
    );
    assert_eq!(
        (one.filter.clone(), one.audience.as_deref()),
        (filter, Some("feed"))
    );
    assert_eq!(
        (one.overflow, one.closed),
        (Overflow::DropOldest { events: 9 }, false)
    );
    assert_eq!(one.age, Duration::from_secs(6));
    assert_eq!((one.stats.matched, one.stats.delivered), (2, 2));
    assert_eq!(one.stats, first.stats());
    assert_eq!((two.id, two.label.as_str(), two.pid), (2, "", 0));
    assert_eq!((two.audience.clone(), two.closed), (None, true));
    assert_eq!((two.age, two.stats.pending), (Duration::from_secs(1), 3));
    drop(first);
    drop(second);
    assert!(bus.consumers().is_empty());
    assert_eq!(
        subscribe(&bus, Overflow::CatchUp).id(),
        3,
        "a number is never used again"
    );
}

/// SEEDS 7.8, bus: shutting down while connections are open does not deadlock, whoever goes first.
#[test]
fn b5_shutdown_beside_readers_that_go_does_not_deadlock() {
    let _watchdog = Watchdog::new("shutdown");
    for round in 0..200 * stress() {
        let bus = plain_bus();
        let barrier = Barrier::new(5);
        thread::scope(|scope| {
            for policy in POLICIES {
                let (bus, barrier) = (&bus, &barrier);
                let sub = bus
                    .subscribe(SubscribeOptions {
                        overflow: policy,
                        audience: Some("a"),
                        ..SubscribeOptions::default()
                    })
                    .unwrap();
                scope.spawn(move || {
                    barrier.wait();
                    let answer = sub.recv_timeout(&mut Batch::new(), ALL, None);
                    assert!(answer.is_ok() || answer.is_err_and(|e| e.kind() == ErrorKind::Closed));
                    drop((sub, bus.consumers(), bus.stats()));
                });
            }
            scope.spawn(|| {
                barrier.wait();
                if round % 2 == 0 {
                    let _ = bus.publish(NewEvent::text("k", "x"));
                }
            });
            barrier.wait();
            bus.close();
        });
        assert_eq!((bus.audience_count("a"), bus.stats().subscriptions), (0, 0));
        common::assert_adds_up(&bus.stats().totals);
    }
}

#[test]
fn b2_what_was_unread_when_freed_is_abandoned() {
    for policy in POLICIES {
        let bus = plain_bus();
        let (read, unread) = (subscribe(&bus, policy), subscribe(&bus, policy));
        publish_n(&bus, 10);
        seqs(&read);
        drop(unread);
        publish(&bus);
        drop(read);
        let totals = bus.stats().totals;
        assert_eq!(
            (totals.matched, totals.delivered, totals.abandoned),
            (21, 10, 11)
        );
        common::assert_adds_up(&totals);
    }
}
