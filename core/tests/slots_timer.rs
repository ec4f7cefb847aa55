//! The one thread for timers of a process: it comes with the first wait that has something to be timed, there is never a
//! second one, and it goes with the last. The only test of its process, or others' waits would keep the thread alive.

#![cfg(all(not(loom), target_os = "linux"))]

mod common;

use std::fs;
use std::time::Duration;

use common::slots::{granted, ms, patient, s, stands, system_pool, user};
use common::{Watchdog, plain_bus, publish, seqs, subscribe, until};
use reqbus_core::bus::{Batch, Limits, Overflow};
use reqbus_core::slots::{Outcome, SlotPool, Step, Wait, WaitOptions};

/// The threads of this process that are ours.
fn timers() -> usize {
    let tasks = fs::read_dir("/proc/self/task").unwrap().flatten();
    let names = tasks.filter_map(|task| fs::read_to_string(task.path().join("comm")).ok());
    names.filter(|name| name.starts_with("reqbus")).count()
}

/// A pool of one slot, which is held, and a wait for it of 30 s.
fn waiting() -> (SlotPool, reqbus_core::slots::Slot, Wait) {
    let pool = system_pool();
    let slot = pool.try_acquire(&user("1", 1), "").unwrap();
    let wait = pool.wait(&user("1", 1), &WaitOptions::default());
    assert_eq!(stands(&pool, "user", "1"), (1, 1));
    (pool, slot, wait)
}

/// What has nothing to be timed needs no thread.
fn without_a_timer() {
    let pool = system_pool();
    let slot = pool.try_acquire(&user("1", 1), "").unwrap();
    let now = WaitOptions {
        timeout: Duration::ZERO,
        ..WaitOptions::default()
    };
    assert!(pool.wait(&user("1", 1), &now).wait().is_err());
    let full = WaitOptions {
        max_waiting: 0,
        ..WaitOptions::default()
    };
    assert!(pool.wait(&user("1", 1), &full).wait().is_err());
    drop(granted(&pool.wait(&user("2", 1), &WaitOptions::default())));
    let late = slot.wait_lost(Some(ms(1)));
    assert!(late.is_err(), "a thread that blocks times itself");
    let for_ever = WaitOptions {
        timeout: Duration::MAX,
        ..patient()
    };
    let wait = pool.wait(&user("1", 1), &for_ever);
    assert!(wait.next_timeout(Some(ms(1))).is_err());
    wait.cancel(None);
    slot.leak();
    drop(pool);
    let bus = plain_bus();
    let sub = subscribe(&bus, Overflow::CatchUp);
    let mut batch = Batch::new();
    assert!(
        sub.recv_timeout(&mut batch, Limits::default(), Some(ms(1)))
            .is_err()
    );
    publish(&bus);
    assert_eq!(seqs(&sub), [1]);
}

#[test]
fn at_most_one_timer_thread_from_the_first_wait_to_the_last() {
    let _watchdog = Watchdog::new("the timer's thread");
    assert_eq!(timers(), 0);
    without_a_timer();
    assert_eq!(timers(), 0, "nothing was timed");

    let mut all: Vec<_> = (0..5).map(|_| waiting()).collect();
    until(|| timers() > 0); // it names itself
    assert_eq!(timers(), 1, "for all pools");
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..50 {
                    let (pool, slot, wait) = waiting();
                    drop(slot);
                    drop(granted(&wait));
                    assert_eq!(timers(), 1);
                    drop(pool);
                }
            });
        }
    });
    // Deadlines and pings come from it, of all pools.
    let (pool, _slot, _wait) = &all[0];
    let options = WaitOptions {
        timeout: ms(40),
        ping_every: Some(ms(10)),
        ..WaitOptions::default()
    };
    let wait = pool.wait(&user("1", 1), &options);
    let mut pings = 0;
    let refusal = loop {
        match wait.next_timeout(None).unwrap() {
            Step::Ping => pings += 1,
            Step::Ended(refusal) => break refusal,
            Step::Granted(_) => panic!("it is held"),
        }
    };
    assert_eq!(refusal.outcome(), Outcome::TimedOut);
    assert!((1..=4).contains(&pings), "{pings}");
    assert_eq!(timers(), 1);

    // Each of the ways in which a wait ends; the last that is left keeps the thread.
    let last = all.pop().unwrap();
    for (at, (pool, slot, wait)) in all.into_iter().enumerate() {
        match at {
            0 => drop((slot, wait)),
            1 => wait.cancel(None),
            2 => pool.close(),
            _ => {
                slot.release();
                drop(granted(&wait));
            }
        }
    }
    let stays = std::time::Instant::now() + ms(600);
    until(|| std::time::Instant::now() > stays);
    assert_eq!(timers(), 1, "longer than it stays without a timer");
    let (pool, slot, wait) = last;
    slot.release();
    drop(granted(&wait));
    until(|| timers() == 0);

    // It comes again, and goes with its pool, at once whatever the pool had set.
    let again = waiting();
    until(|| timers() == 1);
    drop(again);
    until(|| timers() == 0);
    let soon = WaitOptions {
        timeout: s(2),
        ..WaitOptions::default()
    };
    let slot = pool.try_acquire(&user("1", 1), "").unwrap();
    let wait = pool.wait(&user("1", 1), &soon);
    until(|| timers() == 1);
    drop((slot, wait, pool));
    until(|| timers() == 0);
}
