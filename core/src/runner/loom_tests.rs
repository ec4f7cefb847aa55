//! Models of the runner: stop, rounds and permits that come back, against each other.
//!
//! A missed wake is a deadlock, which loom reports, and so is a thread that never ends. *Catches* names the change to the
//! code under which the model was seen to fail.

use std::sync::Arc;
use std::time::Duration;

use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;

use super::{Admission, Checks, Due, DueList, Permit, Runner, RunnerOptions, Verdict};
use crate::error::ErrorKind;
use crate::sync::{Condvar, Mutex, check};

const FOR_EVER: Duration = Duration::MAX;

fn due(id: &'static str) -> Due<'static> {
    Due {
        id,
        overdue: Duration::ZERO,
    }
}

fn admission() -> Admission {
    Admission::new(RunnerOptions::default()).unwrap()
}

/// A stop meets a round: either its permits are told to end, or there are none; never one that nobody knows of.
///
/// Catches: an `admit` that does not look whether it is stopped.
#[test]
fn loom_a_stop_meets_a_round() {
    check(3, || {
        let admission = admission();
        let stopper = {
            let admission = admission.clone();
            thread::spawn(move || {
                admission.stop();
                admission.in_flight().len()
            })
        };
        let admitted = admission.admit(&[due("a")]);
        let seen = stopper.join().unwrap();
        match admitted {
            Ok(permits) => {
                assert_eq!((permits.len(), admission.in_flight().len()), (1, 1));
                assert!(permits.iter().all(Permit::should_end));
                assert_eq!(seen, 1, "admitted before the stop, so known by then");
            }
            Err(error) => assert_eq!((error.kind(), seen), (ErrorKind::Closed, 0)),
        }
        assert!(admission.in_flight().is_empty());
    });
}

/// Two rounds at once, and a permit that comes back meanwhile: never two permits of one id, and each check is counted.
///
/// Catches: an `admit` that looks who is in flight and marks them under different locks.
#[test]
fn loom_two_rounds_meet_a_permit_that_comes_back() {
    check(3, || {
        let admission = admission();
        let first = admission.admit(&[due("a")]).unwrap().remove(0);
        let finisher = thread::spawn(move || first.finish(Verdict::Succeeded));
        let other = {
            let admission = admission.clone();
            thread::spawn(move || admission.admit(&[due("a")]).unwrap())
        };
        let mine = admission.admit(&[due("a")]).unwrap();
        let theirs = other.join().unwrap();
        finisher.join().unwrap();
        assert!(mine.len() + theirs.len() <= 1);
        let stats = admission.stats();
        let flying = admission.in_flight().len();
        assert_eq!(flying, mine.len() + theirs.len());
        assert_eq!((stats.run, stats.succeeded), (1 + flying as u64, 1));
        assert_eq!(stats.run + stats.skipped_busy, 3);
    });
}

/// A host that lists one item, and counts calls and drops.
struct Host {
    checked: Arc<AtomicUsize>,
    dropped: Arc<AtomicUsize>,
    /// Whom a check stops from inside.
    stops: Arc<Mutex<Option<Arc<Runner>>>>,
    /// How many have returned from that.
    returned: Mutex<usize>,
    all_returned: Condvar,
    ids: &'static [&'static str],
}

impl Checks for Host {
    fn due(&self, list: &mut DueList) -> Result<(), String> {
        let mut ids = self.ids.iter();
        ids.try_for_each(|id| list.add(id, Duration::ZERO))
            .map_err(|error| error.to_string())
    }
    fn check(&self, _: &Permit) -> bool {
        self.checked.fetch_add(1, Ordering::Relaxed);
        let runner = self.stops.lock().clone();
        if let Some(runner) = runner {
            runner.stop(FOR_EVER);
            // No check ends before all have come so far.
            let mut returned = self.returned.lock();
            *returned += 1;
            self.all_returned.notify_all();
            while *returned < self.ids.len() {
                self.all_returned.wait(&mut returned);
            }
        }
        true
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.dropped.fetch_add(1, Ordering::Relaxed);
    }
}

/// A start, a round and a stop: the stop waits for all, all threads end, and the drop of the runner drops the checks.
///
/// Catches: a stop that wakes before it says so; a thread that gives its permit back, or says that it has ended, before it
/// lets go of the checks.
#[test]
fn loom_a_stop_waits_for_a_round_and_its_check() {
    check(3, || {
        let checked = Arc::new(AtomicUsize::new(0));
        let dropped = Arc::new(AtomicUsize::new(0));
        let host = Host {
            checked: checked.clone(),
            dropped: dropped.clone(),
            stops: Arc::new(Mutex::new(None)),
            returned: Mutex::new(0),
            all_returned: Condvar::new(),
            ids: &["a"],
        };
        let runner = Runner::new(RunnerOptions::default(), Arc::new(host)).unwrap();
        runner.start().unwrap();
        let stopped = runner.stop(FOR_EVER);
        assert!(stopped.has_ended);
        let stats = runner.stats();
        assert_eq!(stats.run, stats.succeeded);
        assert_eq!(checked.load(Ordering::Relaxed) as u64, stats.run);
        assert_eq!(dropped.load(Ordering::Relaxed), 0);
        drop(runner);
        assert_eq!(dropped.load(Ordering::Relaxed), 1);
    });
}

/// Two checks stop their runner from inside: neither waits for the other to end, for which that might wait in turn.
///
/// Catches: a stop from inside that does not say so, or does not wake those who wait.
#[test]
fn loom_two_checks_stop_their_runner() {
    check(1, || {
        let place = Arc::new(Mutex::new(None));
        let host = Host {
            checked: Arc::default(),
            dropped: Arc::default(),
            stops: place.clone(),
            returned: Mutex::new(0),
            all_returned: Condvar::new(),
            ids: &["a", "b"],
        };
        let runner = Runner::new(RunnerOptions::default(), Arc::new(host)).unwrap();
        let runner = Arc::new(runner);
        *place.lock() = Some(runner.clone());
        runner.start().unwrap();
        assert!(runner.stop(FOR_EVER).has_ended);
        place.lock().take();
        drop(runner);
    });
}
