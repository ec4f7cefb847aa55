//! Code of the host's that panics: a waker, an observer, a leak sink. No unit is lost by it (S2), nobody else's time is
//! missed, and each leak is told (S11).

#![cfg(not(loom))]

mod common;

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Wake, Waker};

use common::slots::{granted, outcome, patient, pool, pool_with, s, stands, user};
use reqbus_core::slots::{
    Outcome, PoolEvent, PoolEventKind, PoolObserver, PoolOptions, SlotPool, WaitOptions,
};

/// Counts its wakes, and panics at each if it is a bad one.
#[derive(Default)]
struct Woken {
    times: AtomicU32,
    is_bad: bool,
}

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.times.fetch_add(1, Ordering::Relaxed);
        assert!(!self.is_bad, "a test's waker");
    }
}

#[test]
fn s2_a_waker_that_panics_does_not_take_the_times_of_others_with_it() {
    let (pool, driver) = pool();
    let _held = pool.try_acquire(&user("1", 1), "").unwrap();
    let pinged = WaitOptions {
        ping_every: Some(s(1)),
        ..patient()
    };
    let timed = WaitOptions {
        timeout: s(2),
        ..patient()
    };
    let (bad, good) = (
        pool.wait(&user("1", 1), &pinged),
        pool.wait(&user("1", 1), &pinged),
    );
    let late = pool.wait(&user("1", 1), &timed);
    let panics = Arc::new(Woken {
        is_bad: true,
        ..Woken::default()
    });
    let counts = Arc::new(Woken::default());
    let (to_bad, to_good) = (Waker::from(panics.clone()), Waker::from(counts.clone()));
    let (mut bad, mut good) = (pin!(bad.next()), pin!(good.next()));
    let _ = bad.as_mut().poll(&mut Context::from_waker(&to_bad));
    let _ = good.as_mut().poll(&mut Context::from_waker(&to_good));

    let advanced = catch_unwind(AssertUnwindSafe(|| driver.advance(s(1))));
    assert!(advanced.is_err(), "whoever drives hears of it");
    assert_eq!(panics.times.load(Ordering::Relaxed), 1);
    assert_eq!(
        counts.times.load(Ordering::Relaxed),
        1,
        "due at the same time"
    );
    driver.advance(s(1));
    assert_eq!(stands(&pool, "user", "1"), (1, 2), "the deadline came");
    assert_eq!(outcome(&late), Outcome::TimedOut);
}

/// Panics at all that it hears of.
#[derive(Default)]
struct Bad(AtomicU32);

impl PoolObserver for Bad {
    fn wants(&self, _: PoolEventKind) -> bool {
        true
    }

    fn observe(&self, event: &PoolEvent<'_>) {
        self.0.fetch_add(1, Ordering::Relaxed);
        panic!("a test's observer: {:?}", event.kind());
    }
}

fn observed() -> (SlotPool, reqbus_core::time::ClockDriver, Arc<Bad>) {
    let bad = Arc::new(Bad::default());
    let (pool, driver) = pool_with(PoolOptions {
        observer: Some(bad.clone()),
        held_long: s(60),
        ..PoolOptions::default()
    });
    (pool, driver, bad)
}

#[test]
fn s2_an_observer_that_panics_costs_no_unit_and_ends_no_call() {
    let (pool, driver, bad) = observed();
    let heard = || bad.0.swap(0, Ordering::Relaxed);
    let slot = pool.try_acquire(&user("1", 1), "").unwrap();
    assert_eq!(heard(), 1);
    assert!(pool.try_acquire(&user("1", 1), "").is_err());
    let next = pool.wait(&user("1", 1), &patient());
    let late = pool.wait(&user("1", 1), &WaitOptions::default());
    driver.advance(s(30));
    assert_eq!(outcome(&late), Outcome::TimedOut);
    assert_eq!(heard(), 4, "refused, begun, begun, refused");
    drop(slot);
    let slot = granted(&next);
    assert_eq!(heard(), 1);
    driver.advance(s(70));
    assert_eq!(heard(), 1, "held for long");
    let holder = slot.holders().pop().unwrap();
    assert!(
        pool.force(holder.key.as_key(), holder.id)
            .wait(None)
            .unwrap()
    );
    assert_eq!(heard(), 1, "lost");
    drop(slot);
    assert_eq!(stands(&pool, "user", "1"), (0, 0));
}

#[test]
fn s11_a_sink_that_panics_hears_of_all() {
    let told = Arc::new(AtomicU32::new(0));
    let counts = told.clone();
    let (pool, _) = pool_with(PoolOptions {
        sink: Some(Arc::new(move |_| {
            counts.fetch_add(1, Ordering::Relaxed);
            panic!("a test's sink");
        })),
        ..PoolOptions::default()
    });
    for id in ["1", "2", "3"] {
        pool.try_acquire(&user(id, 1), "").unwrap().leak();
    }
    let slot = pool.try_acquire(&user("1", 1), "").unwrap();
    assert_eq!((pool.leaked(), told.load(Ordering::Relaxed)), (3, 3));
    drop(slot);
    assert_eq!(stands(&pool, "user", "1"), (0, 0));
}
