//! The runner by example: admission on a clock that the test drives, threads against the system's.

#![cfg(not(loom))]

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use reqbus_core::ErrorKind;
use reqbus_core::runner::{
    Admission, Checks, Due, DueList, Permit, Runner, RunnerOptions, Verdict,
};
use reqbus_core::time::{Clock, ClockDriver};

const SECOND: Duration = Duration::from_secs(1);

fn admission(at_once: u32) -> (Admission, ClockDriver) {
    let (clock, driver) = Clock::driven();
    let options = RunnerOptions {
        at_once,
        clock,
        ..RunnerOptions::default()
    };
    (Admission::new(options).unwrap(), driver)
}

fn due<'a>(ids: &[&'a str]) -> Vec<Due<'a>> {
    let item = |&id| Due {
        id,
        overdue: SECOND,
    };
    ids.iter().map(item).collect()
}

fn ids(permits: &[Permit]) -> Vec<String> {
    permits
        .iter()
        .map(|permit| permit.id().to_owned())
        .collect()
}

#[test]
fn an_id_is_in_flight_once_until_it_is_given_back() {
    let (admission, _) = admission(5);
    let first = admission.admit(&due(&["a"])).unwrap();
    assert!(admission.admit(&due(&["a"])).unwrap().is_empty());
    drop(first);
    assert_eq!(admission.admit(&due(&["a", "a"])).unwrap().len(), 1);
    let stats = admission.stats();
    assert_eq!((stats.run, stats.skipped_busy, stats.panicked), (2, 2, 2));
    assert_eq!(stats.skipped_full, 0);
}

#[test]
fn the_longest_overdue_come_first_and_the_rest_is_counted() {
    let (admission, _) = admission(2);
    let list: Vec<Due<'_>> = [("a", 1), ("b", 7), ("c", 3), ("d", 6)]
        .map(|(id, overdue)| Due {
            id,
            overdue: SECOND * overdue,
        })
        .to_vec();
    let permits = admission.admit(&list).unwrap();
    assert_eq!(ids(&permits), ["b", "d"]);
    let stats = admission.stats();
    assert_eq!((stats.skipped_full, stats.late), (2, 2));
}

#[test]
fn an_id_that_stands_twice_takes_no_room_from_others() {
    let (admission, _) = admission(2);
    let permits = admission.admit(&due(&["a", "a", "a", "b", "c"])).unwrap();
    assert_eq!(ids(&permits), ["a", "b"]);
    let stats = admission.stats();
    assert_eq!(
        (stats.run, stats.skipped_busy, stats.skipped_full),
        (2, 2, 1)
    );
}

#[test]
fn a_host_takes_as_many_as_it_can_run() {
    let (admission, _) = admission(5);
    assert_eq!(
        admission.admit_at_most(&due(&["a", "b"]), 1).unwrap().len(),
        1
    );
    assert!(admission.admit_at_most(&due(&["b"]), 0).unwrap().is_empty());
    assert_eq!(admission.stats().skipped_full, 2);
}

#[test]
fn the_first_round_comes_within_the_jitter_and_is_drawn_from_the_seed() {
    let first = |seed| {
        let options = RunnerOptions {
            jitter: SECOND * 3,
            seed,
            clock: Clock::driven().0,
            ..RunnerOptions::default()
        };
        Admission::new(options).unwrap().until_next_round()
    };
    assert_eq!(first(Some(7)), first(Some(7)));
    assert_ne!(first(Some(7)), first(Some(8)));
    assert_ne!(first(None), first(None), "drawn anew for each");
    assert!((0..100).all(|seed| first(Some(seed)) < SECOND * 3));
}

#[test]
fn equals_take_turns() {
    let (admission, _) = admission(2);
    let list = due(&["a", "b", "c", "d", "e"]);
    let mut run = Vec::new();
    for _ in 0..5 {
        let permits = admission.admit(&list).unwrap();
        run.extend(ids(&permits));
        permits
            .into_iter()
            .for_each(|permit| permit.finish(Verdict::Succeeded));
    }
    assert_eq!(run, ["a", "b", "c", "d", "e", "a", "b", "c", "d", "e"]);
}

#[test]
fn stuck_checks_lend_their_room_once() {
    let (admission, driver) = admission(2);
    let first = admission.admit(&due(&["a", "b"])).unwrap();
    assert!(admission.admit(&due(&["c"])).unwrap().is_empty());
    driver.advance(RunnerOptions::LIMIT);
    assert!(first[0].should_end());
    let second = admission.admit(&due(&["c", "d"])).unwrap();
    assert_eq!(second.len(), 2);
    driver.advance(RunnerOptions::LIMIT);
    assert!(
        admission.admit(&due(&["e"])).unwrap().is_empty(),
        "lent anew at most once"
    );
    assert_eq!(admission.stats().stuck, 4);
    drop(first);
    assert_eq!(admission.admit(&due(&["e"])).unwrap().len(), 1);
    let stuck: Vec<bool> = admission.in_flight().iter().map(|f| f.is_stuck).collect();
    assert_eq!(stuck, [true, true]);
    drop(second);
    assert!(admission.in_flight().is_empty());
}

#[test]
fn rounds_keep_their_time_and_pauses_pass_them_over() {
    let (admission, driver) = admission(5);
    assert!(admission.until_next_round().is_zero());
    admission.admit(&[]).unwrap();
    assert_eq!(admission.until_next_round(), SECOND * 5);
    driver.advance(SECOND * 12);
    assert!(admission.until_next_round().is_zero());
    admission.pause(true);
    assert!(admission.admit(&due(&["a"])).unwrap().is_empty());
    assert_eq!(admission.until_next_round(), SECOND * 3);
    admission.pause(false);
    admission.fail_round();
    let stats = admission.stats();
    assert_eq!(
        (stats.rounds, stats.paused_rounds, stats.failed_rounds),
        (3, 1, 1)
    );
}

#[test]
fn bad_options_and_ids_are_named() {
    let bad = |options: RunnerOptions| Admission::new(options).unwrap_err().context();
    let default = RunnerOptions::default;
    assert_eq!(
        bad(RunnerOptions {
            at_once: 0,
            ..default()
        }),
        "at_once"
    );
    assert_eq!(
        bad(RunnerOptions {
            every: Duration::ZERO,
            ..default()
        }),
        "every"
    );
    assert_eq!(
        bad(RunnerOptions {
            limit: Duration::MAX,
            ..default()
        }),
        "limit"
    );
    assert_eq!(
        bad(RunnerOptions {
            jitter: Duration::MAX,
            ..default()
        }),
        "jitter"
    );
    let (admission, _) = admission(5);
    let long = "x".repeat(256);
    let error = admission.admit(&due(&["a", &long])).unwrap_err();
    assert_eq!((error.kind(), error.context()), (ErrorKind::TooLarge, "id"));
    let error = admission.admit(&due(&[""])).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    assert!(admission.in_flight().is_empty(), "nothing was admitted");
    admission.stop();
    assert_eq!(admission.admit(&[]).unwrap_err().kind(), ErrorKind::Closed);
}

/// Checks made of two closures.
struct Host<D, C>(D, C);

impl<D, C> Checks for Host<D, C>
where
    D: Fn(&mut DueList) -> Result<(), String> + Send + Sync + 'static,
    C: Fn(&Permit) -> bool + Send + Sync + 'static,
{
    fn due(&self, list: &mut DueList) -> Result<(), String> {
        (self.0)(list)
    }
    fn check(&self, permit: &Permit) -> bool {
        (self.1)(permit)
    }
}

fn quick() -> RunnerOptions {
    RunnerOptions {
        every: Duration::from_millis(1),
        ..RunnerOptions::default()
    }
}

fn lists(ids: &'static [&'static str]) -> impl Fn(&mut DueList) -> Result<(), String> {
    move |list| {
        for id in ids {
            list.add(id, SECOND).map_err(|error| error.to_string())?;
        }
        Ok(())
    }
}

#[test]
fn checks_run_fail_and_panic_and_the_rounds_go_on() {
    let (told, hear) = mpsc::channel();
    let told = Mutex::new(told);
    let rounds = AtomicUsize::new(0);
    let due = move |list: &mut DueList| match rounds.fetch_add(1, Ordering::Relaxed) {
        0 => panic!("the store is not there yet"),
        1 => Err("nor now".to_owned()),
        _ => lists(&["well", "ill", "mad"])(list),
    };
    let check = move |permit: &Permit| {
        let _ = told.lock().unwrap().send(permit.id().to_owned());
        assert_ne!(permit.id(), "mad");
        permit.id() == "well"
    };
    let runner = Runner::new(quick(), Arc::new(Host(due, check))).unwrap();
    runner.start().unwrap();
    runner.start().unwrap();
    let ran: BTreeSet<String> = hear.iter().take(30).collect();
    assert_eq!(ran.len(), 3);
    assert!(runner.stop(SECOND * 30).has_ended);
    assert!(runner.stop(SECOND * 30).has_ended);
    assert_eq!(runner.start().unwrap_err().kind(), ErrorKind::Closed);
    let stats = runner.stats();
    assert_eq!(stats.failed_rounds, 2);
    assert!(stats.succeeded > 0 && stats.failed > 0 && stats.panicked > 0);
    assert_eq!(stats.run, stats.succeeded + stats.failed + stats.panicked);
}

#[test]
fn a_stop_names_who_is_left_and_a_check_is_told() {
    let (go, wait) = mpsc::channel::<()>();
    let (begun, has_begun) = mpsc::channel();
    let (wait, begun) = (Mutex::new(wait), Mutex::new(begun));
    let was_told = Arc::new(AtomicBool::new(false));
    let told = was_told.clone();
    let check = move |permit: &Permit| {
        let _ = begun.lock().unwrap().send(());
        let _ = wait.lock().unwrap().recv();
        told.store(permit.should_end(), Ordering::Relaxed);
        true
    };
    let runner = Runner::new(quick(), Arc::new(Host(lists(&["slow"]), check))).unwrap();
    runner.start().unwrap();
    has_begun.recv().unwrap();
    let stopped = runner.stop(Duration::from_millis(10));
    assert!(!stopped.has_ended);
    let left = stopped.left;
    assert_eq!(
        left.iter().map(|left| &*left.id).collect::<Vec<_>>(),
        ["slow"]
    );
    go.send(()).unwrap();
    assert!(runner.stop(SECOND * 30).has_ended);
    assert!(was_told.load(Ordering::Relaxed));
}

#[test]
fn a_check_stops_its_own_runner() {
    let place: Arc<Mutex<Option<Arc<Runner>>>> = Arc::default();
    let inside = place.clone();
    let (told, hear) = mpsc::channel();
    let told = Mutex::new(told);
    let check = move |_: &Permit| {
        if let Some(runner) = &*inside.lock().unwrap() {
            let _ = told
                .lock()
                .unwrap()
                .send(runner.stop(SECOND * 30).has_ended);
        }
        true
    };
    let runner = Arc::new(Runner::new(quick(), Arc::new(Host(lists(&["a"]), check))).unwrap());
    *place.lock().unwrap() = Some(runner.clone());
    runner.start().unwrap();
    assert!(hear.recv_timeout(SECOND * 30).unwrap());
    place.lock().unwrap().take();
    assert!(runner.stop(SECOND * 30).has_ended);
}
