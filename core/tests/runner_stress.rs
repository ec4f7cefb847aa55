//! Real threads: checks that never return, panic, or stop their own runner; starts and stops that race. Whatever happens,
//! no id is checked twice at once, nothing is called after the end, every thread goes, and the checks are dropped once.
//!
//! `REQBUS_STRESS=n` makes the random tests n times as long. Threads and descriptors of the process are counted here, so the
//! tests run one after the other.

#![cfg(not(loom))]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use common::{Flag, Watchdog, stress, until};
use parking_lot::{Mutex, MutexGuard};
use reqbus_core::ErrorKind;
use reqbus_core::runner::{
    Admission, Checks, Due, DueList, Permit, Runner, RunnerOptions, Stopped, Verdict,
};
use reqbus_core::time::{Clock, ClockDriver};

const SECOND: Duration = Duration::from_secs(1);
const FOR_EVER: Duration = Duration::MAX;

/// One test at a time.
static ALONE: Mutex<()> = Mutex::new(());

fn alone(name: &'static str) -> (MutexGuard<'static, ()>, Watchdog) {
    (ALONE.lock(), Watchdog::new(name))
}

/// Checks made of two closures, which tell of their drop.
struct Host<D, C> {
    due: D,
    check: C,
    dropped: Arc<AtomicUsize>,
}

impl<D, C> Checks for Host<D, C>
where
    D: Fn(&mut DueList) -> Result<(), String> + Send + Sync + 'static,
    C: Fn(&Permit) -> bool + Send + Sync + 'static,
{
    fn due(&self, list: &mut DueList) -> Result<(), String> {
        (self.due)(list)
    }
    fn check(&self, permit: &Permit) -> bool {
        (self.check)(permit)
    }
}

impl<D, C> Drop for Host<D, C> {
    fn drop(&mut self) {
        self.dropped.fetch_add(1, Ordering::SeqCst);
    }
}

/// A runner, and how often its checks were dropped.
fn runner(
    options: RunnerOptions,
    due: impl Fn(&mut DueList) -> Result<(), String> + Send + Sync + 'static,
    check: impl Fn(&Permit) -> bool + Send + Sync + 'static,
) -> (Arc<Runner>, Arc<AtomicUsize>) {
    let dropped = Arc::new(AtomicUsize::new(0));
    let host = Host {
        due,
        check,
        dropped: dropped.clone(),
    };
    let runner = Runner::new(options, Arc::new(host)).unwrap();
    (Arc::new(runner), dropped)
}

fn driven() -> (RunnerOptions, ClockDriver) {
    let (clock, driver) = Clock::driven();
    let options = RunnerOptions {
        clock,
        ..RunnerOptions::default()
    };
    (options, driver)
}

/// Rounds as fast as may be, on the system's clock.
fn quick() -> RunnerOptions {
    RunnerOptions {
        every: Duration::from_millis(1),
        ..RunnerOptions::default()
    }
}

fn lists(ids: &'static [&'static str]) -> impl Fn(&mut DueList) -> Result<(), String> {
    move |list| {
        let mut ids = ids.iter();
        ids.try_for_each(|id| list.add(id, SECOND).map_err(|error| error.to_string()))
    }
}

fn entries(path: &str) -> usize {
    std::fs::read_dir(path).unwrap().count()
}

/// Threads of this library.
fn our_threads() -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let names = tasks.flatten().map(|task| {
        let name = std::fs::read_to_string(task.path().join("comm"));
        name.unwrap_or_default() // it has ended
    });
    names.filter(|name| name.starts_with("reqbus-")).count()
}

fn ids(stopped: &Stopped) -> Vec<&str> {
    stopped.left.iter().map(|left| &*left.id).collect()
}

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

#[test]
fn started_twice_is_one_and_stopped_before_is_for_ever() {
    let _alone = alone("starts");
    let (options, driver) = driven();
    let rounds = Arc::new(AtomicUsize::new(0));
    let asked = rounds.clone();
    let (runner, _) = runner(
        options,
        move |_| {
            asked.fetch_add(1, Ordering::SeqCst);
            Ok(())
        },
        |_| true,
    );
    thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| runner.start().unwrap());
        }
    });
    for round in 1..=50 {
        until(|| rounds.load(Ordering::SeqCst) == round);
        until(|| our_threads() == 1); // one of a test before may still be going
        driver.advance(SECOND * 5);
    }
    thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| assert!(runner.stop(FOR_EVER).has_ended));
        }
    });
    let error = runner.start().unwrap_err();
    assert_eq!(
        (error.kind(), error.context()),
        (ErrorKind::Closed, "runner")
    );
    assert!(runner.stop(FOR_EVER).has_ended);
}

/// How many of each id are being checked.
#[derive(Default)]
struct Flying {
    ids: [AtomicUsize; 8],
    all: AtomicUsize,
    is_over: AtomicBool,
}

#[test]
fn stops_that_race_with_rounds_let_nothing_begin_after_the_end() {
    const IDS: [&str; 8] = ["0", "1", "2", "3", "4", "5", "6", "7"];
    let _alone = alone("stops that race");
    for at in 0..300 * stress() {
        let flying = Arc::new(Flying::default());
        let theirs = flying.clone();
        let asked = flying.clone();
        let (runner, dropped) = runner(
            quick(),
            move |list| {
                assert!(!asked.is_over.load(Ordering::SeqCst));
                lists(&IDS)(list)
            },
            move |permit| {
                assert!(!theirs.is_over.load(Ordering::SeqCst));
                let id = permit.id().parse::<usize>().unwrap();
                assert_eq!(
                    theirs.ids[id].fetch_add(1, Ordering::SeqCst),
                    0,
                    "one of each"
                );
                assert!(
                    theirs.all.fetch_add(1, Ordering::SeqCst) < 5,
                    "five at once"
                );
                for _ in 0..id * 50 {
                    std::hint::spin_loop();
                }
                theirs.all.fetch_sub(1, Ordering::SeqCst);
                theirs.ids[id].fetch_sub(1, Ordering::SeqCst);
                id.is_multiple_of(2)
            },
        );
        let stopped = Flag::default();
        thread::scope(|scope| {
            scope.spawn(|| {
                let _closed_if_late = runner.start();
            });
            scope.spawn(|| {
                runner.pause(at % 2 == 0);
                runner.pause(false);
            });
            for stopper in 0..2 {
                let (runner, stopped) = (&runner, &stopped);
                scope.spawn(move || {
                    // Some stop at once, some in full swing.
                    let is_early = stopper == 0 && at % 3 == 0;
                    until(|| is_early || stopped.is_set() || runner.stats().run >= at % 7 * 3);
                    stopped.set();
                    assert!(runner.stop(FOR_EVER).has_ended);
                });
            }
        });
        flying.is_over.store(true, Ordering::SeqCst);
        let stats = runner.stats();
        assert_eq!(stats.panicked, 0, "no assertion in a check failed");
        assert_eq!(stats.failed_rounds, 0, "nor where it asks");
        assert_eq!(stats.run, stats.succeeded + stats.failed);
        assert_eq!(
            stats.run + stats.skipped_busy + stats.skipped_full,
            8 * stats.rounds - 8 * stats.paused_rounds
        );
        drop(runner);
        assert_eq!(dropped.load(Ordering::SeqCst), 1);
    }
    until(|| our_threads() == 0);
}

#[test]
fn ten_thousand_starts_and_stops_leave_no_thread_and_no_descriptor() {
    let _alone = alone("starts and stops");
    let fds = entries("/proc/self/fd");
    for _ in 0..10_000 {
        let (runner, dropped) = runner(quick(), lists(&["a"]), |_| true);
        runner.start().unwrap();
        assert!(runner.stop(FOR_EVER).has_ended);
        drop(runner);
        assert_eq!(dropped.load(Ordering::SeqCst), 1);
    }
    until(|| our_threads() == 0);
    assert_eq!(entries("/proc/self/fd"), fds);
}

#[test]
fn an_admission_bears_many_who_admit_at_once() {
    const THREADS: usize = 6;
    let _alone = alone("many who admit");
    let admission = Admission::new(RunnerOptions::default()).unwrap();
    let flying = Flying::default();
    let listed = AtomicUsize::new(0);
    thread::scope(|scope| {
        for number in 0..THREADS {
            let (admission, flying, listed) = (&admission, &flying, &listed);
            scope.spawn(move || {
                let ids: Vec<String> = (0..8).map(|id| id.to_string()).collect();
                for round in 0..5_000 * stress() as usize {
                    let due = ids.iter().cycle().skip(round + number).take(4);
                    let due: Vec<Due<'_>> = due
                        .map(|id| Due {
                            id,
                            overdue: SECOND,
                        })
                        .collect();
                    listed.fetch_add(due.len(), Ordering::SeqCst);
                    let permits = admission.admit(&due).unwrap();
                    for permit in &permits {
                        let id = permit.id().parse::<usize>().unwrap();
                        assert_eq!(flying.ids[id].fetch_add(1, Ordering::SeqCst), 0);
                        assert!(flying.all.fetch_add(1, Ordering::SeqCst) < 5);
                    }
                    for permit in permits {
                        let id = permit.id().parse::<usize>().unwrap();
                        flying.all.fetch_sub(1, Ordering::SeqCst);
                        flying.ids[id].fetch_sub(1, Ordering::SeqCst);
                        if round % 3 == 0 {
                            drop(permit);
                        } else {
                            permit.finish(Verdict::Failed);
                        }
                    }
                }
            });
        }
    });
    let stats = admission.stats();
    assert!(admission.in_flight().is_empty());
    assert_eq!(stats.run, stats.failed + stats.panicked);
    let counted = stats.run + stats.skipped_busy + stats.skipped_full;
    assert_eq!(counted, listed.load(Ordering::SeqCst) as u64);
}
