//! A store far away: it answers later, and may be down. What a wait promises holds there too.

#![cfg(not(loom))]

mod common;

use std::time::Duration;

use common::slots::{ended, granted, ms, outcome, pool_with, s, user};
use reqbus_core::slots::{
    Ask, Fault, FaultOptions, Key, Limit, Outcome, PoolOptions, SlotPool, WaitOptions,
};
use reqbus_core::time::ClockDriver;

const ACCOUNT: Ask<'static> = Ask::new("account", "7", Limit::Of(1));

/// A pool on a good line.
fn far_pool() -> (SlotPool, ClockDriver) {
    pool_with(PoolOptions {
        fault: Some(FaultOptions {
            latest: ms(5),
            ..FaultOptions::default()
        }),
        ..PoolOptions::default()
    })
}

/// In use and waiting of one key.
fn stands_far(pool: &SlotPool, driver: &ClockDriver, key: Key<'_>) -> (u32, u32) {
    let reply = pool.load(&[key]);
    driver.advance(ms(10));
    let loads = reply.wait(Some(Duration::ZERO)).unwrap();
    (loads[0].in_use, loads[0].waiting)
}

/// An owner that never looks again: what was given for its first key is not held beyond its time.
#[test]
fn s6_a_part_that_nobody_looks_at_is_given_back_at_the_deadline() {
    let (pool, driver) = far_pool();
    let asks = [user("1", 1)[0], ACCOUNT];
    let options = WaitOptions {
        timeout: s(5),
        ..WaitOptions::default()
    };
    let wait = pool.wait(&asks, &options);
    driver.advance(ms(20));
    assert_eq!(stands_far(&pool, &driver, asks[0].key), (1, 0), "a part");
    assert_eq!(
        stands_far(&pool, &driver, ACCOUNT.key),
        (0, 0),
        "not asked for"
    );
    driver.advance(s(5));
    assert_eq!(stands_far(&pool, &driver, asks[0].key), (0, 0));
    assert_eq!(outcome(&wait), Outcome::TimedOut);
}

/// A timeout does not beat what was granted: all of it is there for an owner that looks late.
#[test]
fn s2_a_deadline_passes_over_a_wait_that_holds_all() {
    let (pool, driver) = far_pool();
    let options = WaitOptions {
        timeout: s(5),
        ..WaitOptions::default()
    };
    let wait = pool.wait(&user("1", 1), &options);
    driver.advance(s(60));
    assert_eq!(stands_far(&pool, &driver, user("1", 1)[0].key), (1, 0));
    drop(granted(&wait));
    driver.advance(ms(10));
    assert_eq!(stands_far(&pool, &driver, user("1", 1)[0].key), (0, 0));
}

/// The same over a line: the try takes as long as its answer, and leaves no ticket there.
#[test]
fn s4_one_try_of_a_store_far_away() {
    let (pool, driver) = pool_with(PoolOptions {
        fault: Some(FaultOptions {
            latest: ms(5),
            ..FaultOptions::default()
        }),
        ..PoolOptions::default()
    });
    for now in [(Duration::ZERO, 20), (s(30), 0)] {
        let options = WaitOptions {
            timeout: now.0,
            max_waiting: now.1,
            ..WaitOptions::default()
        };
        let free = pool.wait(&user("1", 1), &options);
        driver.advance(ms(10));
        let slot = granted(&free);
        let busy = pool.wait(&user("1", 1), &options);
        driver.advance(ms(10));
        assert_eq!(outcome(&busy), Outcome::Busy);
        slot.release();
        driver.advance(ms(5));
    }
    let reply = pool.load(&[Key::new("user", "1")]);
    driver.advance(ms(10));
    let loads = reply.wait(Some(Duration::ZERO)).unwrap();
    assert_eq!((loads[0].in_use, loads[0].waiting), (0, 0));
}

/// A store that is down is one outcome, says nothing of where it is, and nothing is held when it comes back.
#[test]
fn s4_a_store_that_is_down() {
    let fault = Fault::default();
    let (pool, driver) = pool_with(PoolOptions {
        fault: Some(FaultOptions {
            fault: fault.clone(),
            ..FaultOptions::default()
        }),
        ..PoolOptions::default()
    });
    fault.go_down();
    let wait = pool.wait(&user("secret", 1), &WaitOptions::default());
    driver.advance(s(3));
    let refusal = ended(&wait);
    assert_eq!(refusal.outcome(), Outcome::StoreUnavailable);
    assert!(!format!("{refusal} {refusal:?}").contains("secret"));
    assert!(refusal.cause().is_some());
    fault.come_back();
    driver.advance(s(60));
    let reply = pool.load(&[Key::new("user", "secret")]);
    driver.advance(s(1));
    let loads = reply.wait(Some(Duration::ZERO)).unwrap();
    assert_eq!((loads[0].in_use, loads[0].waiting), (0, 0));
}
