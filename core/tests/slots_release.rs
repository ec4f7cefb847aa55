//! Giving back, by example: each unit once, whatever became of its key, its slot or its neighbours meanwhile.

#![cfg(not(loom))]

mod common;

use common::slots::{ended, outcome, patient, pool, s, stands, stats, user};
use reqbus_core::slots::{Ask, Limit, Outcome, Released, WaitOptions};

/// A stranger's key takes the place of one that was forgotten; the old slot must not name the stranger's unit.
#[test]
fn s2_an_old_slot_does_not_release_a_strangers_unit() {
    let (pool, driver) = pool();
    let old: Vec<_> = (0..64)
        .map(|n| pool.try_acquire(&user(&format!("old {n}"), 1), "").unwrap())
        .collect();
    for slot in &old {
        assert_eq!(slot.release(), Released::Released);
    }
    driver.advance(s(301));
    assert_eq!(pool.known_keys(), 0, "forgotten");
    let ids: Vec<_> = (0..2_000).map(|n| format!("new {n}")).collect();
    let take = |id: &String| pool.try_acquire(&user(id, 1), "").unwrap();
    let _strangers: Vec<_> = ids.iter().map(take).collect();
    for slot in &old {
        assert_eq!((slot.release(), slot.lost()), (Released::Already, None));
        assert!(slot.keys().is_empty(), "{:?}", slot.keys());
    }
    for id in &ids {
        assert_eq!(stands(&pool, "user", id), (1, 0), "{id}");
    }
}

/// One release gives all back, however many were joined, in whatever shape.
#[test]
fn s6_slots_joined_one_after_the_other_are_released_by_one_call() {
    let (pool, _) = pool();
    let take = |scope| pool.try_acquire(&[Ask::new(scope, "1", Limit::Of(1))], "");
    let scopes = ["a", "b", "c", "d", "e"];
    let held = || scopes.map(|scope| stands(&pool, scope, "1").0);
    for chained in [false, true] {
        let mut slots = scopes.map(|scope| take(scope).unwrap());
        let (whole, rest) = slots.split_first_mut().unwrap();
        if chained {
            // Two pairs, then the pairs.
            let (pair, others) = rest.split_first_mut().unwrap();
            whole.join(pair).unwrap();
            let (other, rest) = others.split_first_mut().unwrap();
            rest.iter_mut().for_each(|slot| other.join(slot).unwrap());
            whole.join(other).unwrap();
        } else {
            rest.iter_mut().for_each(|slot| whole.join(slot).unwrap());
        }
        assert_eq!(held(), [1; 5]);
        assert_eq!(whole.release(), Released::Released);
        assert_eq!(held(), [0; 5], "chained: {chained}");
        assert_eq!(whole.release(), Released::Already);
    }
}

/// An offer beats the deadline; the next key is then too late, and counts it, though it was never asked for.
#[test]
fn s4_a_wait_that_comes_too_late_to_a_new_key_is_counted_there() {
    let (pool, driver) = pool();
    let pair = [user("1", 1)[0], Ask::new("account", "7", Limit::Of(1))];
    let held = pool.try_acquire(&pair[..1], "").unwrap();
    let options = WaitOptions {
        timeout: s(2),
        ..WaitOptions::default()
    };
    let wait = pool.wait(&pair, &options);
    driver.advance(s(1));
    held.release();
    driver.advance(s(1));
    assert_eq!(outcome(&wait), Outcome::TimedOut);
    assert_eq!(ended(&wait).scope(), "account");
    assert_eq!(stats(&pool, "account", "7").counters.timed_out, 1);
    assert_eq!(pool.scope_stats("account").counters.timed_out, 1);
    assert_eq!(stands(&pool, "user", "1"), (0, 0));
}

/// What the waits of a closed pool held goes to nobody who waits: those are refused too, whichever is refused first.
#[test]
fn s4_closing_a_pool_refuses_all_who_wait() {
    for round in 0..64 {
        let (pool, _) = pool();
        let account = Ask::new("account", "7", Limit::Of(1));
        let held = pool.try_acquire(&[account], "").unwrap();
        // Each holds its user, whom the next waits for.
        let ids: Vec<_> = (0..8).map(|n| format!("{round} {n}")).collect();
        let pairs = ids.iter().map(|id| [user(id, 1)[0], account]);
        let first: Vec<_> = pairs.map(|pair| pool.wait(&pair, &patient())).collect();
        let begin = |id: &String| pool.wait(&user(id, 1), &patient());
        let second: Vec<_> = ids.iter().map(begin).collect();
        pool.close();
        for wait in first.iter().chain(&second) {
            assert_eq!(outcome(wait), Outcome::Closed, "round {round}");
        }
        assert_eq!(held.release(), Released::Released);
    }
}

#[test]
fn s11_a_slot_that_was_released_is_no_leak() {
    let (pool, _) = pool();
    let slot = pool.try_acquire(&user("1", 1), "").unwrap();
    slot.release();
    slot.leak();
    assert_eq!(
        (pool.leaked(), stats(&pool, "user", "1").counters.leaked),
        (0, 0)
    );
}

/// All that is due at one time fires in one loop, not each inside the one before.
#[test]
fn s4_fifty_thousand_waits_end_at_one_time() {
    let (pool, driver) = pool();
    let ids: Vec<_> = (0..50_000).map(|n| n.to_string()).collect();
    let take = |id: &String| pool.try_acquire(&user(id, 1), "").unwrap();
    let slots: Vec<_> = ids.iter().map(take).collect();
    let begin = |id: &String| pool.wait(&user(id, 1), &WaitOptions::default());
    let waits: Vec<_> = ids.iter().map(begin).collect();
    driver.advance(WaitOptions::TIMEOUT);
    for wait in &waits {
        assert_eq!(outcome(wait), Outcome::TimedOut);
    }
    drop(slots);
}
