//! Who gets a slot next, and after how long: in turn (S3), and with several keys none starves and none stalls the others
//! (S6).

#![cfg(not(loom))]

mod common;
#[path = "slots_fairness/traffic.rs"]
mod traffic;

use std::time::Duration;

use common::slots::{granted, ms, outcome, patient, pool, s, stands, stats, user};
use reqbus_core::slots::{Ask, Limit, Outcome, Ranks, Slot, Step, Wait};
use traffic::{Class, Tally, Traffic};

fn account(limit: u32) -> Ask<'static> {
    Ask::new("account", "7", Limit::Of(limit))
}

/// The waits that have something new, by number; nothing is taken by looking at the rest.
fn newly_granted(waits: &[Wait], out: &mut Vec<usize>, slots: &mut Vec<Slot>) {
    // The last first: who looks first is not who is served first.
    for (at, wait) in waits.iter().enumerate().rev() {
        match wait.try_next() {
            Some(Step::Granted(slot)) => {
                out.push(at);
                slots.push(slot);
            }
            Some(Step::Ended(_)) | None => {}
            Some(other) => panic!("{other:?}"),
        }
    }
}

#[test]
fn s3_grants_come_in_the_order_of_tickets_whoever_gives_up_between() {
    for limit in [1, 3] {
        let (pool, driver) = pool();
        let asks = user("1", limit);
        let mut slots: Vec<_> = (0..limit)
            .map(|_| pool.try_acquire(&asks, "").unwrap())
            .collect();
        let waits: Vec<_> = (0..60)
            .map(|at| {
                let mut options = patient();
                if at % 7 == 3 {
                    options.timeout = s(2);
                }
                pool.wait(&asks, &options)
            })
            .collect();
        (0..60).step_by(5).for_each(|at| waits[at].cancel(None));
        let mut served = Vec::new();
        for round in 0..80 {
            if round == 20 {
                driver.advance(s(2));
                assert_eq!(outcome(&waits[59]), Outcome::TimedOut);
            }
            if !slots.is_empty() {
                drop(slots.swap_remove(round % slots.len()));
            }
            let mut now = Vec::new();
            newly_granted(&waits, &mut now, &mut slots);
            assert!(now.len() <= 1, "one was given back");
            served.extend(now);
        }
        let in_time = |at: &usize| at % 7 != 3 || served.contains(at);
        let expected = (0..60).filter(|at| at % 5 != 0).filter(in_time);
        assert_eq!(served, expected.collect::<Vec<_>>(), "limit {limit}");
        assert!(!served.contains(&59) && served.contains(&3));
        drop(slots);
        assert_eq!(stands(&pool, "user", "1"), (0, 0));
    }
}

/// At any moment: while somebody waits, while an offer is on its way, after a limit rose.
#[test]
fn s3_a_newcomer_never_overtakes() {
    let (pool, _) = pool();
    let asks = user("1", 1);
    let newcomer = || {
        let refusal = pool.try_acquire(&asks, "").unwrap_err();
        assert_eq!(refusal.outcome(), Outcome::Busy);
    };
    let held = pool.try_acquire(&asks, "").unwrap();
    let first = pool.wait(&asks, &patient());
    let second = pool.wait(&asks, &patient());
    newcomer();
    held.release();
    newcomer();
    let third = pool.wait(&asks, &patient());
    let slot = granted(&first);
    newcomer();
    pool.set_limit(asks[0].key, Limit::Of(2))
        .wait(None)
        .unwrap();
    assert!(third.try_next().is_none(), "the room is the second's");
    newcomer();
    drop(granted(&second));
    newcomer();
    drop(slot);
    // Room for two, and one in line, who has not looked yet.
    let one = pool.try_acquire(&asks, "").unwrap();
    newcomer();
    drop(granted(&third));
    drop(one);
    assert_eq!(stands(&pool, "user", "1"), (0, 0));
}

/// A newcomer that raises the limit makes room for who waits, not for itself.
#[test]
fn s3_a_newcomer_with_a_higher_limit_does_not_overtake() {
    let (pool, _) = pool();
    let held = pool.try_acquire(&user("1", 1), "").unwrap();
    let first = pool.wait(&user("1", 1), &patient());
    let refusal = pool.try_acquire(&user("1", 2), "").unwrap_err();
    assert_eq!(refusal.outcome(), Outcome::Busy);
    drop((granted(&first), held));
}

/// Owners who never look, among others who do: each costs its key 3 s, once, and keeps its place.
#[test]
fn s3_an_owner_that_never_looks_costs_three_seconds_once() {
    for sleepers in [0, 1, 4] {
        let (pool, driver) = pool();
        let asks = user("1", 1);
        let mut slot = Some(pool.try_acquire(&asks, "").unwrap());
        let asleep: Vec<_> = (0..sleepers)
            .map(|_| pool.wait(&asks, &patient()))
            .collect();
        let awake: Vec<_> = (0..20).map(|_| pool.wait(&asks, &patient())).collect();
        let (mut served, mut elapsed) = (0, Duration::ZERO);
        // Each holds for 1 s, and each looks every 100 ms.
        let mut held_for = Duration::ZERO;
        while served < awake.len() {
            driver.advance(ms(100));
            elapsed += ms(100);
            held_for += ms(100);
            if held_for >= s(1) {
                slot = None;
            }
            if slot.is_none()
                && let Some(Step::Granted(next)) = awake[served].try_next()
            {
                slot = Some(next);
                held_for = Duration::ZERO;
                served += 1;
            }
        }
        let lost = elapsed - s(served as u64);
        assert_eq!(lost, s(3 * sleepers), "{sleepers} sleepers");
        let counters = stats(&pool, "user", "1").counters;
        assert_eq!(counters.lapsed_offers, sleepers);
        // Newcomers pass by those who sleep, and the first that wakes is before all who came later.
        drop(slot);
        assert_eq!(stands(&pool, "user", "1"), (0, sleepers as u32));
        let passing = pool.try_acquire(&asks, "").unwrap();
        let later = pool.wait(&asks, &patient());
        for wait in &asleep {
            assert!(wait.try_next().is_none());
        }
        drop(passing);
        for wait in &asleep {
            assert!(later.try_next().is_none());
            drop(granted(wait));
        }
        drop(granted(&later));
    }
}

/// Who lost an offer by being away is before all who came after it, once it is back.
#[test]
fn s3_who_comes_back_has_its_old_place() {
    let (pool, driver) = pool();
    let asks = user("1", 1);
    let held = pool.try_acquire(&asks, "").unwrap();
    let [away, second, third] = [(); 3].map(|()| pool.wait(&asks, &patient()));
    held.release();
    driver.advance(s(3));
    let slot = granted(&second);
    assert!(away.try_next().is_none());
    assert_eq!(away.position(), 1, "its old number");
    slot.release();
    assert!(third.try_next().is_none());
    drop(granted(&away));
    drop(granted(&third));
}

/// It holds its user's unit and stands in the account's queue as everybody else does: who comes later is served later.
#[test]
fn s6_a_wait_for_two_keys_is_served_in_its_turn() {
    let (pool, _) = pool();
    let mut slots = vec![pool.try_acquire(&[account(1)], "").unwrap()];
    let mut singles: Vec<_> = (0..3)
        .map(|_| pool.wait(&[account(1)], &patient()))
        .collect();
    let pair = pool.wait(&[user("1", 1)[0], account(1)], &patient());
    assert_eq!((pair.position(), stands(&pool, "user", "1").0), (4, 1));
    let mut passed = 0;
    let both = loop {
        // As many new ones as are served: the queue never empties.
        singles.push(pool.wait(&[account(1)], &patient()));
        slots.clear();
        if let Some(Step::Granted(slot)) = pair.try_next() {
            break slot;
        }
        let mut now = Vec::new();
        newly_granted(&singles, &mut now, &mut slots);
        assert_eq!(now, [passed]);
        passed += 1;
    };
    assert_eq!(passed, 3, "those who were there before");
    assert_eq!(both.keys().len(), 2);
}

/// A user with as many requests as it likes, who may fill an account: what is over waits at that user, not at the
/// account, so any other is next in line there.
#[test]
fn s6_a_greedy_user_waits_for_itself() {
    let (pool, _) = pool();
    let pair = |id| [user(id, 2)[0], account(2)];
    let greedy: Vec<_> = (0..20)
        .map(|_| pool.wait(&pair("greedy"), &patient()))
        .collect();
    assert_eq!(stands(&pool, "account", "7"), (2, 0));
    assert_eq!(stands(&pool, "user", "greedy"), (2, 18));
    let mut running = vec![granted(&greedy[0]), granted(&greedy[1])];
    for next in &greedy[2..12] {
        let other = pool.wait(&pair("other"), &patient());
        assert_eq!(other.position(), 1, "first in line at the account");
        drop(running.remove(0));
        assert!(
            next.try_next().is_none(),
            "its user's turn, not yet the account's"
        );
        let slot = granted(&other);
        assert!(next.try_next().is_none());
        drop(slot);
        running.push(granted(next));
    }
}

const ACCOUNT: (&str, u32, u32) = ("account", 1, 5);

fn tallies(classes: Vec<Class>, ranks: Ranks, max_waiting: u32, requests: u32) -> Vec<Tally> {
    let mut traffic = Traffic::new(classes, ranks, max_waiting);
    traffic.run(requests);
    traffic.tallies
}

/// The simulations of the design (one key, limit 5, holds of 5 s, 20 may wait for 30 s), on the real pool. A poller loses
/// 3.5 % at load 0.9 and 12.3 % at 1.1, and three of four of its waits overtake an older one.
#[test]
fn s3_under_load_few_are_lost_and_none_overtakes() {
    for (load, most_late, lost) in [(0.9, 0.1, 0.3..2.0), (1.1, 0.6, 8.0..11.0)] {
        let class = Class {
            asks: &[ACCOUNT],
            rate: load,
            hold: 5.0,
        };
        let tally = tallies(vec![class], Ranks::default(), 20, 60_000).remove(0);
        assert_eq!(tally.overtook, 0, "load {load}");
        let late = tally.percent(tally.timed_out);
        assert!(late < most_late, "load {load}: {late} % timed out");
        assert!(
            lost.contains(&tally.lost()),
            "load {load}: {} %",
            tally.lost()
        );
        assert!(tally.longest <= s(30));
    }
}

/// Requests for a user and an account beside a stream of requests for the account alone, at load 0.95 together.
#[test]
fn s6_waits_for_two_keys_do_not_starve_beside_waits_for_one() {
    let single = Class {
        asks: &[ACCOUNT],
        rate: 0.7,
        hold: 5.0,
    };
    let pair = Class {
        asks: &[("user", 200, 1), ACCOUNT],
        rate: 0.25,
        hold: 5.0,
    };
    let tallies = tallies(vec![single, pair], Ranks::default(), 20, 60_000);
    let [single, pair] = [&tallies[0], &tallies[1]];
    assert!(pair.granted > 10_000);
    assert_eq!((single.overtook, pair.overtook), (0, 0));
    let worse = pair.lost() - single.lost();
    assert!(
        worse.abs() < 1.0,
        "{} and {} % lost",
        pair.lost(),
        single.lost()
    );
    let ratio = pair.mean_wait() / single.mean_wait();
    assert!((0.8..1.25).contains(&ratio), "{ratio}");
}

/// One user asks for three times what an account can do. The others hardly notice; were the account taken first, as its
/// queue would be full of that user's requests, they would stall.
#[test]
fn s6_a_greedy_user_does_not_stall_the_others_on_a_shared_account() {
    let run = |ranks| {
        let greedy = Class {
            asks: &[("user", 1, 5), ACCOUNT],
            rate: 3.0,
            hold: 5.0,
        };
        let others = Class {
            asks: &[("user", 1_000, 5), ACCOUNT],
            rate: 0.2,
            hold: 5.0,
        };
        tallies(vec![greedy, others], ranks, 20, 30_000).remove(1)
    };
    let others = run(Ranks::default());
    assert_eq!((others.timed_out, others.overtook), (0, 0));
    assert_eq!(others.refused, 0);
    assert!(others.mean_wait() < 3.0, "{}", others.mean_wait());
    let stalled = run(Ranks::new(&["account"], &[]));
    assert!(stalled.lost() > 50.0, "{} %", stalled.lost());
}
