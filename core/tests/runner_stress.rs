//! Real threads: checks that never return, panic, or stop their own runner; starts and stops that race. Whatever happens,
//! no id is checked twice at once, nothing is called after the end, every thread goes, and the checks are dropped once.
//!
//! `REQBUS_STRESS=n` makes the random tests n times as long. Threads and descriptors of the process are counted here, so the
//! tests run one after the other.

#![cfg(not(loom))]

#[path = "runner_stress/callbacks.rs"]
mod callbacks;
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
