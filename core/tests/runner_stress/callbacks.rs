//! Callbacks that never return, panic, stop their runner or drop it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use parking_lot::Mutex;
use reqbus_core::runner::{Runner, Stopped};

use crate::common::{Flag, until};
use crate::{FOR_EVER, SECOND, alone, driven, ids, lists, our_threads, runner};

#[test]
fn a_check_that_never_returns_is_told_named_and_waited_for() {
    let _alone = alone("a check that never returns");
    let (options, driver) = driven();
    let (go, began, told) = (Flag::default(), Flag::default(), Flag::default());
    let rounds = Arc::new(AtomicUsize::new(0));
    let others = Arc::new(AtomicUsize::new(0));
    let (their_go, their_began, their_told) = (go.clone(), began.clone(), told.clone());
    let (their_rounds, their_others) = (rounds.clone(), others.clone());
    let (runner, dropped) = runner(
        options,
        move |list| {
            their_rounds.fetch_add(1, Ordering::SeqCst);
            lists(&["hangs", "well"])(list)
        },
        move |permit| {
            if permit.id() == "well" {
                their_others.fetch_add(1, Ordering::SeqCst);
                return true;
            }
            their_began.set();
            until(|| their_go.is_set());
            if permit.should_end() {
                their_told.set();
            }
            false
        },
    );
    runner.start().unwrap();
    until(|| began.is_set());
    // It hinders no other; it is stuck after a minute, and still in flight.
    for round in 1..20 {
        until(|| rounds.load(Ordering::SeqCst) >= round && runner.in_flight().len() == 1);
        until(|| others.load(Ordering::SeqCst) >= round);
        driver.advance(SECOND * 5);
    }
    until(|| others.load(Ordering::SeqCst) >= 20 && runner.in_flight().len() == 1);
    let flights = runner.in_flight();
    assert!(flights.iter().any(|f| &*f.id == "hangs" && f.is_stuck));
    assert_eq!(runner.stats().stuck, 1);

    let theirs = runner.clone();
    let stopper = thread::spawn(move || theirs.stop(SECOND * 10));
    while !stopper.is_finished() {
        driver.advance(SECOND);
        thread::yield_now();
    }
    let stopped = stopper.join().unwrap();
    assert_eq!((ids(&stopped), stopped.has_ended), (vec!["hangs"], false));
    assert_eq!(ids(&runner.stop(Duration::ZERO)), ["hangs"], "and again");

    go.set();
    let stopped = runner.stop(FOR_EVER);
    assert!(stopped.has_ended && stopped.left.is_empty());
    assert!(told.is_set());
    assert_eq!(dropped.load(Ordering::SeqCst), 0);
    drop(runner);
    assert_eq!(
        dropped.load(Ordering::SeqCst),
        1,
        "by the drop of the runner"
    );
    until(|| our_threads() == 0);
}

#[test]
fn a_check_that_outlives_its_runner_drops_the_checks() {
    let _alone = alone("a check that outlives its runner");
    let (options, _driver) = driven();
    let (go, began) = (Flag::default(), Flag::default());
    let (their_go, their_began) = (go.clone(), began.clone());
    let (runner, dropped) = runner(options, lists(&["a"]), move |permit| {
        their_began.set();
        until(|| their_go.is_set() && permit.should_end());
        true
    });
    runner.start().unwrap();
    until(|| began.is_set());
    drop(runner);
    assert_eq!(dropped.load(Ordering::SeqCst), 0, "it is being called");
    go.set();
    until(|| our_threads() == 0);
    assert_eq!(dropped.load(Ordering::SeqCst), 1);
}

/// What a panic carries, which panics again as it is dropped.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        std::panic::panic_any("from a drop");
    }
}

#[test]
fn no_panic_ends_a_round_or_the_runner() {
    let _alone = alone("panics");
    let (options, driver) = driven();
    let rounds = Arc::new(AtomicUsize::new(0));
    let asked = rounds.clone();
    let (runner, dropped) = runner(
        options,
        move |list| match asked.fetch_add(1, Ordering::SeqCst) % 4 {
            0 => panic!("no store"),
            1 => std::panic::panic_any(Bomb),
            2 => Err("not now".to_owned()),
            _ => lists(&["a", "b", "c"])(list),
        },
        |permit| match permit.id() {
            "a" => panic!("ill"),
            "b" => std::panic::panic_any(Bomb),
            _ => true,
        },
    );
    runner.start().unwrap();
    for round in 1..=40 {
        until(|| {
            let stats = runner.stats();
            stats.rounds == round && runner.in_flight().is_empty()
        });
        driver.advance(SECOND * 5);
    }
    assert!(runner.stop(FOR_EVER).has_ended);
    let stats = runner.stats();
    assert!(stats.failed_rounds >= 30 && stats.succeeded >= 10);
    assert_eq!((stats.panicked, stats.failed), (2 * stats.succeeded, 0));
    drop(runner);
    assert_eq!(dropped.load(Ordering::SeqCst), 1);
}

/// A place for a runner that its own callbacks stop.
type Place = Arc<Mutex<Option<Arc<Runner>>>>;

fn stop_inside(place: &Place) -> Option<Stopped> {
    let runner = place.lock().clone();
    runner.map(|runner| runner.stop(FOR_EVER))
}

#[test]
fn callbacks_that_stop_their_runner_wait_for_others_and_not_for_each_other() {
    let _alone = alone("stops from inside");
    let (options, driver) = driven();
    let place = Place::default();
    let inside = Arc::new(AtomicUsize::new(0));
    let go = Flag::default();
    let ended = Arc::new(AtomicUsize::new(0));
    let (in_due, in_check) = (place.clone(), place.clone());
    let (due_inside, check_inside) = (inside.clone(), inside.clone());
    let (their_go, their_ended, due_ended) = (go.clone(), ended.clone(), ended.clone());
    let first = AtomicBool::new(true);
    let (runner, dropped) = runner(
        options,
        move |list| {
            if first.swap(false, Ordering::SeqCst) {
                return lists(&["one", "two", "plain"])(list);
            }
            due_inside.fetch_add(1, Ordering::SeqCst);
            stop_inside(&in_due);
            due_ended.fetch_add(1, Ordering::SeqCst);
            lists(&["late"])(list)
        },
        move |permit| {
            assert_ne!(permit.id(), "late", "nothing is admitted after a stop");
            if permit.id() == "plain" {
                until(|| their_go.is_set());
                return true;
            }
            check_inside.fetch_add(1, Ordering::SeqCst);
            // Until the second round has begun.
            until(|| check_inside.load(Ordering::SeqCst) == 3);
            let stopped = stop_inside(&in_check).unwrap();
            assert!(!ids(&stopped).contains(&"plain") && !ids(&stopped).contains(&permit.id()));
            their_ended.fetch_add(1, Ordering::SeqCst);
            true
        },
    );
    *place.lock() = Some(runner.clone());
    runner.start().unwrap();
    until(|| inside.load(Ordering::SeqCst) == 2);
    driver.advance(SECOND * 5);
    until(|| inside.load(Ordering::SeqCst) == 3);
    // All three are in a stop, or about to be, and wait for the plain one.
    until(|| runner.start().is_err());
    assert_eq!(ended.load(Ordering::SeqCst), 0);
    go.set();
    until(|| ended.load(Ordering::SeqCst) == 3);
    place.lock().take();
    assert!(runner.stop(FOR_EVER).has_ended);
    assert_eq!(runner.stats().panicked, 0, "no assertion in a check failed");
    drop(runner);
    until(|| dropped.load(Ordering::SeqCst) == 1);
    until(|| our_threads() == 0);
}

#[test]
fn a_check_may_drop_its_own_runner() {
    let _alone = alone("a drop from inside");
    let (options, _driver) = driven();
    let place = Place::default();
    let inside = place.clone();
    let (runner, dropped) = runner(options, lists(&["a"]), move |_| {
        until(|| inside.lock().is_some());
        drop(inside.lock().take());
        true
    });
    runner.start().unwrap();
    *place.lock() = Some(runner);
    until(|| dropped.load(Ordering::SeqCst) == 1);
    until(|| our_threads() == 0);
}
