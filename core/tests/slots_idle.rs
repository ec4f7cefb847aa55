//! Keys that nobody uses are forgotten, and what they counted is not (S9).

#![cfg(not(loom))]

mod common;

use std::time::Duration;

use common::slots::{granted, load, ms, outcome, patient, pool, s, stats, user};
use reqbus_core::slots::{
    Ask, Counters, Key, Limit, Outcome, Released, Slot, SlotPool, WaitOptions,
};

const USER: Key<'static> = Key::new("user", "1");

/// Five minutes, and a millisecond more.
const TOO_OLD: Duration = Duration::from_millis(300_001);

fn force(pool: &SlotPool, slot: &Slot) {
    let holder = slot.holders().pop().unwrap();
    let forced = pool.force(holder.key.as_key(), holder.id).wait(None);
    assert!(forced.unwrap());
}

/// A key that had everything that is counted.
fn wear(pool: &SlotPool, driver: &reqbus_core::time::ClockDriver, id: &str) {
    let asks = user(id, 1);
    let options = WaitOptions {
        timeout: s(4),
        max_waiting: 4,
        ..WaitOptions::default()
    };
    let held = pool.try_acquire(&asks, "").unwrap();
    assert!(pool.try_acquire(&asks, "").is_err());
    let [away, next, late, cancelled] = [(); 4].map(|()| pool.wait(&asks, &options));
    assert_eq!(outcome(&pool.wait(&asks, &options)), Outcome::QueueFull);
    cancelled.cancel(None);
    held.release();
    driver.advance(s(3));
    let slot = granted(&next);
    driver.advance(s(2));
    assert_eq!(outcome(&late), Outcome::TimedOut);
    drop(away);
    force(pool, &slot);
    drop(slot);
    pool.try_acquire(&user(id, 2), "").unwrap().leak();
    pool.close_key(asks[0].key).wait(None).unwrap();
    assert!(pool.try_acquire(&asks, "").is_err());
    pool.open_key(asks[0].key).wait(None).unwrap();
}

#[test]
fn s9_what_a_forgotten_key_counted_goes_to_its_scope() {
    let (pool, driver) = pool();
    for keys in 1..=3_u64 {
        wear(&pool, &driver, &keys.to_string());
        let key = stats(&pool, "user", &keys.to_string());
        let expected = Counters {
            granted: 3,
            granted_after_wait: 1,
            busy: 1,
            queue_full: 1,
            timed_out: 2,
            cancelled: 1,
            closed: 1,
            store_unavailable: 0,
            lost: 1,
            leaked: 1,
            lapsed_offers: 1,
            limit_changes: 1,
        };
        assert_eq!(key.counters, expected);
        assert_eq!((key.waits.count, key.waits.max), (1, s(3)));
        for forgotten in [false, true] {
            if forgotten {
                driver.advance(TOO_OLD);
                assert_eq!(pool.known_keys(), 0);
                assert!(
                    pool.key_stats(Key::new("user", &keys.to_string()))
                        .is_none()
                );
            }
            let scope = pool.scope_stats("user");
            assert_eq!(scope.counters.granted, 3 * keys);
            assert_eq!(scope.counters.timed_out, 2 * keys);
            let rest = |c: Counters| {
                [
                    c.granted_after_wait,
                    c.busy,
                    c.queue_full,
                    c.cancelled,
                    c.closed,
                    c.lost,
                    c.leaked,
                    c.lapsed_offers,
                    c.limit_changes,
                ]
            };
            assert_eq!(rest(scope.counters), [keys; 9], "forgotten: {forgotten}");
            assert_eq!(
                (scope.waits.count, scope.waits.max, scope.waits.p50),
                (keys, s(3), key.waits.p50)
            );
        }
    }
    assert_eq!(pool.scope_stats("account").counters, Counters::default());
}

/// However long nobody came: times of idle keys are kept in few bits.
#[test]
fn s9_idle_keys_are_forgotten_after_a_weekend() {
    for hours in [39, 40, 60, 77] {
        let (pool, driver) = pool();
        drop(pool.try_acquire(&user("idle", 1), "").unwrap());
        driver.advance(s(hours * 3_600));
        assert_eq!(pool.known_keys(), 0, "after {hours} hours");
    }
}

#[test]
fn s9_idle_keys_are_forgotten_after_five_minutes_others_never() {
    let (pool, driver) = pool();
    let knows = |id| pool.key_stats(Key::new("user", id)).is_some();
    let held = pool.try_acquire(&user("held", 1), "").unwrap();
    let waited = pool.wait(&user("held", 1), &patient());
    let lost = pool.try_acquire(&user("lost", 1), "").unwrap();
    force(&pool, &lost);
    for id in ["idle", "again", "limited", "closed"] {
        drop(pool.try_acquire(&user(id, 1), "").unwrap());
    }
    pool.set_limit(Key::new("user", "limited"), Limit::Of(1))
        .wait(None)
        .unwrap();
    pool.close_key(Key::new("user", "closed"))
        .wait(None)
        .unwrap();
    assert!(pool.try_acquire(&user("closed", 1), "").is_err());
    driver.advance(s(200));
    drop(pool.try_acquire(&user("again", 1), "").unwrap());
    driver.advance(ms(99_999));
    assert_eq!((pool.known_keys(), knows("idle")), (6, true));
    driver.advance(ms(2));
    assert_eq!((pool.known_keys(), knows("idle")), (5, false));
    assert!(knows("again"), "its five minutes began anew");
    driver.advance(s(3_000));
    assert_eq!((pool.known_keys(), knows("again")), (4, false));
    // Each may go once nothing keeps it.
    pool.clear_limit(Key::new("user", "limited"))
        .wait(None)
        .unwrap();
    pool.open_key(Key::new("user", "closed"))
        .wait(None)
        .unwrap();
    assert_eq!(lost.release(), Released::Lost);
    drop((held, waited));
    assert_eq!(pool.known_keys(), 4);
    driver.advance(TOO_OLD);
    assert_eq!(pool.known_keys(), 0);
}

#[test]
fn s9_the_latest_4096_idle_keys_are_known() {
    let (pool, driver) = pool();
    let ids: Vec<_> = (0..20_000).map(|n| n.to_string()).collect();
    let busy = pool.try_acquire(&user("busy", 1), "").unwrap();
    for id in &ids {
        drop(pool.try_acquire(&user(id, 1), "").unwrap());
    }
    let known = pool.known_keys();
    assert!((4_000..=4_097).contains(&known), "{known}");
    let knows = |id: &String| pool.key_stats(Key::new("user", id)).is_some();
    assert!(!ids[..100].iter().any(knows), "the oldest went first");
    assert!(ids[19_000..].iter().all(knows));
    drop(busy);
    driver.advance(TOO_OLD);
    assert_eq!(pool.known_keys(), 0);
    assert_eq!(pool.scope_stats("user").counters.granted, 20_001);
}

#[test]
fn s9_a_key_that_comes_back_is_new() {
    let (pool, driver) = pool();
    for _ in 0..8 {
        let slot = pool.try_acquire(&user("1", 3), "").unwrap();
        driver.advance(s(1));
        drop(slot);
    }
    assert_eq!(stats(&pool, "user", "1").mean_hold, Some(s(1)));
    driver.advance(TOO_OLD);
    // Forgotten when somebody looks for what is too old: no timer runs for that.
    assert_eq!(pool.known_keys(), 0);
    let unlimited = Ask {
        key: USER,
        limit: None,
    };
    let refusal = pool.try_acquire(&[unlimited], "").unwrap_err();
    assert_eq!(
        refusal.outcome(),
        Outcome::Invalid,
        "its limit is not known"
    );
    drop(pool.try_acquire(&user("1", 5), "").unwrap());
    let stats = stats(&pool, "user", "1");
    assert_eq!(
        (stats.mean_hold, stats.peak, stats.counters.granted),
        (None, 1, 1)
    );
    assert_eq!(stats.counters.limit_changes, 0);
    assert_eq!(load(&pool, "user", "1").limit, Some(Limit::Of(5)));
}
