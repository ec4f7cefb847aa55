//! Real threads on slots: whatever races, no more hold than may, each wait ends once, and in the end nothing is held.
//!
//! `REQBUS_STRESS=n` makes every test n times as long.

#![cfg(not(loom))]

mod common;
#[path = "slots_stress/gauge.rs"]
mod gauge;
#[path = "slots_stress/world.rs"]
mod world;

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use common::slots::{granted, load, ms, patient, pool, s, stands, stats, system_pool, user};
use common::{Flag, Watchdog, stress, until};
use gauge::Gauge;
use reqbus_core::Bell;
use reqbus_core::slots::{Ask, Key, Limit, LostReason, Outcome, Released, Step, WaitOptions};
use world::World;

const USER: Key<'static> = Key::new("user", "1");

fn account(limit: u32) -> [Ask<'static>; 1] {
    [Ask::new("account", "7", Limit::Of(limit))]
}

/// Runs a world of six threads, and closes its pool under their hands when three quarters are done.
fn run(world: &World, ops: u64) {
    let threads = 6;
    thread::scope(|scope| {
        for seed in 1..=threads {
            scope.spawn(move || world.work(seed, ops));
        }
        until(|| world.ops.load(Ordering::Relaxed) >= threads * ops / 4 * 3);
        world.pool.close();
    });
    world.assert_adds_up();
}

#[test]
fn s1_s2_everything_at_once() {
    let _watchdog = Watchdog::new("everything at once");
    let world = World::new(system_pool(), ms(1));
    run(&world, 30_000 * stress());
}

/// Sets a flag, also when its test fails.
struct SetOnDrop(Flag);

impl Drop for SetOnDrop {
    fn drop(&mut self) {
        self.0.set();
    }
}

/// The same while time runs: offers lapse, deadlines and pings come due in the middle of everything.
#[test]
fn s1_s2_everything_at_once_while_time_runs() {
    let _watchdog = Watchdog::new("everything at once while time runs");
    let (pool, driver) = pool();
    let world = World::new(pool, s(1));
    let done = Flag::default();
    thread::scope(|scope| {
        scope.spawn(|| {
            while !done.is_set() {
                driver.advance(ms(250));
                thread::yield_now();
            }
        });
        let _stop = SetOnDrop(done.clone());
        run(&world, 30_000 * stress());
    });
}

/// One unit goes round among threads that sleep for it: each is woken, and each counter is exact.
#[test]
fn s3_blocked_threads_are_all_woken() {
    let _watchdog = Watchdog::new("blocked threads");
    let (threads, turns) = (8, 2_000 * stress());
    for limit in [1, 3] {
        let pool = system_pool();
        let gauge = Gauge::new(limit);
        thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    for _ in 0..turns {
                        let slot = pool.wait(&user("1", limit), &patient()).wait().unwrap();
                        gauge.enter();
                        thread::yield_now();
                        gauge.leave();
                        assert_eq!(slot.release(), Released::Released);
                    }
                });
            }
        });
        let stats = stats(&pool, "user", "1");
        assert_eq!(stats.counters.granted, threads * turns);
        assert_eq!(stats.waits.count, stats.counters.granted_after_wait);
        assert_eq!(stats.peak, limit, "never more, and no unit lay idle");
        assert_eq!(stands(&pool, "user", "1"), (0, 0));
    }
}

/// Sixteen callers release one slot while the first in line gives up: one release, and it reaches the next.
#[test]
fn s2_sixteen_releases_and_a_cancel() {
    let _watchdog = Watchdog::new("sixteen releases and a cancel");
    let pool = system_pool();
    for round in 0..600 * stress() {
        let slot = pool.try_acquire(&user("1", 1), "").unwrap();
        let first = pool.wait(&user("1", 1), &patient());
        let second = pool.wait(&user("1", 1), &patient());
        let (released, go) = (AtomicU64::new(0), Flag::default());
        thread::scope(|scope| {
            for _ in 0..16 {
                scope.spawn(|| {
                    until(|| go.is_set());
                    match slot.release() {
                        Released::Released => released.fetch_add(1, Ordering::Relaxed),
                        other => {
                            assert_eq!(other, Released::Already);
                            0
                        }
                    };
                });
            }
            scope.spawn(|| {
                until(|| go.is_set());
                first.cancel(None);
            });
            go.set();
        });
        assert_eq!(released.into_inner(), 1, "round {round}");
        assert_eq!(common::slots::outcome(&first), Outcome::Cancelled);
        assert_eq!(stands(&pool, "user", "1"), (1, 0), "offered to the second");
        assert_eq!(granted(&second).release(), Released::Released);
    }
    let counters = stats(&pool, "user", "1").counters;
    assert_eq!(counters.cancelled, 600 * stress());
    assert_eq!(counters.granted, 2 * 600 * stress());
}

/// The owner takes an offer while somebody cancels: the slot or the refusal, never both, never neither.
#[test]
fn s2_a_take_races_a_cancel_and_a_close() {
    let _watchdog = Watchdog::new("a take races a cancel");
    for round in 0..2_000 * stress() {
        let pool = system_pool();
        let slot = pool.try_acquire(&user("1", 1), "").unwrap();
        let wait = pool.wait(&user("1", 1), &patient());
        let taken = thread::scope(|scope| {
            scope.spawn(|| drop(slot));
            scope.spawn(|| match round % 3 {
                0 => wait.cancel(None),
                1 => drop(pool.close_key(USER)),
                _ => pool.close(),
            });
            match wait.next_timeout(None).unwrap() {
                Step::Granted(slot) => Some(slot),
                Step::Ended(refusal) => {
                    let expected = [Outcome::Cancelled, Outcome::Closed];
                    assert_eq!(refusal.outcome(), expected[(round % 3).min(1) as usize]);
                    None
                }
                Step::Ping => panic!("no ping was asked for"),
            }
        });
        let held = u32::from(taken.is_some());
        assert_eq!(stands(&pool, "user", "1"), (held, 0), "round {round}");
        drop(taken);
        assert_eq!(stands(&pool, "user", "1"), (0, 0), "round {round}");
    }
}

/// A pool is closed over threads that sleep in its queues, and over some that hold: all come back, none twice.
#[test]
fn s2_closing_a_pool_wakes_all_who_sleep() {
    let _watchdog = Watchdog::new("closing a pool");
    for round in 0..100 * stress() {
        let pool = system_pool();
        let pair = [user("1", 1)[0], account(1)[0]];
        let ended = AtomicU64::new(0);
        thread::scope(|scope| {
            for at in 0..8 {
                let (pool, pair, ended) = (&pool, &pair, &ended);
                scope.spawn(move || {
                    let asks: &[Ask<'_>] = if at % 2 == 0 { pair } else { &pair[1..] };
                    loop {
                        match pool.wait(asks, &patient()).wait() {
                            Ok(slot) => assert_eq!(slot.release(), Released::Released),
                            Err(refusal) => {
                                assert_eq!(refusal.outcome(), Outcome::Closed, "{refusal}");
                                return ended.fetch_add(1, Ordering::Relaxed);
                            }
                        }
                    }
                });
            }
            until(|| pool.scope_stats("account").counters.granted > round % 20);
            pool.close();
        });
        assert_eq!(ended.into_inner(), 8);
        let closed = |scope| pool.scope_stats(scope).counters.closed;
        assert_eq!(closed("user") + closed("account"), 8, "round {round}");
        for (scope, id) in [("user", "1"), ("account", "7")] {
            assert_eq!(stands(&pool, scope, id), (0, 0));
        }
    }
}

/// A unit is forced away while it is offered, taken, released: it is lost once or released once.
#[test]
fn s10_force_races_an_offer_a_take_and_a_release() {
    let _watchdog = Watchdog::new("force races");
    let pool = system_pool();
    let (mut lost, mut forced) = (0, 0);
    for round in 0..1_500 * stress() {
        let held = pool.try_acquire(&user("1", 1), "").unwrap();
        let wait = pool.wait(&user("1", 1), &patient());
        let told = AtomicU64::new(0);
        thread::scope(|scope| {
            let force = scope.spawn(|| {
                let holders = pool.holders(USER).wait(None).unwrap();
                let force = |id| pool.force(USER, id).wait(None).unwrap();
                let times = holders.iter().filter(|holder| force(holder.id)).count();
                times as u64
            });
            scope.spawn(|| {
                if held.release() == Released::Lost {
                    told.fetch_add(1, Ordering::Relaxed);
                }
                assert_eq!(held.release(), Released::Already);
            });
            let Step::Granted(slot) = wait.next_timeout(None).unwrap() else {
                panic!("nothing ends it but its slot");
            };
            let before = slot.lost();
            assert!(before.is_none_or(|reason| reason == LostReason::Forced));
            match slot.release() {
                Released::Lost => told.fetch_add(1, Ordering::Relaxed),
                answer => {
                    assert_eq!((answer, before), (Released::Released, None));
                    0
                }
            };
            forced += force.join().unwrap();
        });
        lost += told.into_inner();
        assert_eq!(lost, forced, "round {round}: told once each");
        assert_eq!(stands(&pool, "user", "1"), (0, 0), "round {round}");
    }
    assert_eq!(stats(&pool, "user", "1").counters.lost, forced);
}

/// A part is given back, another part is joined, and all is given back, at once: each unit once.
#[test]
fn s2_s6_a_part_release_races_a_join_and_the_release() {
    let _watchdog = Watchdog::new("part release, join and release");
    let pool = system_pool();
    let pair = [user("1", 1)[0], account(1)[0]];
    let model = [Ask::new("model", "m", Limit::Of(1))];
    for round in 0..1_500 * stress() {
        let slot = pool.try_acquire(&pair, "").unwrap();
        let mut more = pool.try_acquire(&model, "").unwrap();
        let (part, whole) = thread::scope(|scope| {
            let part = scope.spawn(|| slot.release_scope("account"));
            let whole = scope.spawn(|| slot.release());
            slot.join(&mut more).unwrap();
            (part.join().unwrap(), whole.join().unwrap())
        });
        // The user's unit is the whole's in any case.
        assert_eq!(whole, Released::Released, "round {round}");
        let parts = [None, Some(Released::Already), Some(Released::Released)];
        assert!(parts.contains(&part), "{part:?}");
        assert_eq!(slot.release(), Released::Already);
        let holders = pool.held_longer_than(Duration::ZERO).wait(None).unwrap();
        assert!(holders.is_empty(), "round {round}: {holders:?}");
    }
}

/// A host loop on one bell serves many waits, while other threads release: it is rung for each.
#[test]
fn s3_a_bell_loop_gets_every_slot() {
    let _watchdog = Watchdog::new("a bell loop");
    let rounds = 100 * stress();
    let pool = system_pool();
    let (sender, receiver) = crossbeam_channel::unbounded();
    thread::scope(|scope| {
        for _ in 0..2 {
            let receiver = receiver.clone();
            scope.spawn(move || {
                for slot in receiver {
                    drop::<reqbus_core::slots::Slot>(slot);
                }
            });
        }
        let bell = Bell::new();
        let mut tokens = [0; 7];
        for _ in 0..rounds {
            let waits: Vec<_> = (0..64)
                .map(|_| pool.wait(&user("1", 3), &patient()))
                .collect();
            for (token, wait) in waits.iter().enumerate() {
                wait.attach(&bell, token as u64).unwrap();
            }
            let mut got = 0;
            while got < waits.len() {
                // For ever: a ring that is missed is a hang.
                let taken = bell.wait(&mut tokens, None).unwrap();
                for &token in &tokens[..taken] {
                    match waits[token as usize].try_next() {
                        Some(Step::Granted(slot)) => {
                            got += 1;
                            waits[token as usize].detach();
                            sender.send(slot).unwrap();
                        }
                        None => {}
                        Some(other) => panic!("{other:?}"),
                    }
                }
            }
        }
        drop(sender);
    });
    let stats = stats(&pool, "user", "1");
    assert_eq!(stats.counters.granted, 64 * rounds);
    assert!(stats.peak <= 3);
    assert_eq!(load(&pool, "user", "1").in_use, 0);
}

/// Short timeouts against releases: a deadline never beats an offer that was made, and takes nothing with it.
#[test]
fn s2_timeouts_race_releases() {
    let _watchdog = Watchdog::new("timeouts race releases");
    let pool = system_pool();
    let (handed, late) = (AtomicU64::new(0), AtomicU64::new(0));
    let gauge = Gauge::new(2);
    thread::scope(|scope| {
        for at in 0..6 {
            let (pool, handed, late, gauge) = (&pool, &handed, &late, &gauge);
            scope.spawn(move || {
                let options = WaitOptions {
                    timeout: Duration::from_micros(200 + 50 * at),
                    ..WaitOptions::default()
                };
                for _ in 0..1_500 * stress() {
                    match pool.wait(&user("1", 2), &options).wait() {
                        Ok(slot) => {
                            gauge.enter();
                            (0..50).for_each(|_| thread::yield_now());
                            gauge.leave();
                            drop(slot);
                            handed.fetch_add(1, Ordering::Relaxed);
                        }
                        Err(refusal) => {
                            assert_eq!(refusal.outcome(), Outcome::TimedOut, "{refusal}");
                            late.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                }
            });
        }
    });
    let counters = stats(&pool, "user", "1").counters;
    assert_eq!(counters.granted, handed.into_inner());
    assert_eq!(counters.timed_out, late.into_inner());
    assert_eq!(counters.granted + counters.timed_out, 9_000 * stress());
    assert_eq!(stands(&pool, "user", "1"), (0, 0));
}
