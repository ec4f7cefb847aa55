//! What a scheduler asks for: how keys stand and who holds them (S8), when to come again (S4).

#![cfg(not(loom))]

mod common;

use std::time::Duration;

use common::slots::{ended, granted, load, ms, patient, pool, s, stands, stats, user};
use reqbus_core::slots::{Ask, Key, Limit, Load, Outcome, Released, SlotPool, WaitOptions};
use reqbus_core::time::ClockDriver;

#[test]
fn s8_load_rate_counts_who_waits_and_may_pass_100() {
    let (pool, _) = pool();
    let rate = |id| load(&pool, "user", id).rate();
    assert_eq!(rate("nobody"), 0);
    let mut held = Vec::new();
    for (at, expected) in [33, 66, 100].into_iter().enumerate() {
        held.push(pool.try_acquire(&user("1", 3), "").unwrap());
        assert_eq!(rate("1"), expected, "{at}");
    }
    let _waits: Vec<_> = (0..4)
        .map(|_| pool.wait(&user("1", 3), &patient()))
        .collect();
    assert_eq!(rate("1"), 233);
    for (limit, expected) in [
        (Limit::Of(0), 0),
        (Limit::Unlimited, 0),
        (Limit::Of(100), 7),
        (Limit::Of(Limit::MAX), 0),
    ] {
        pool.set_limit(Key::new("user", "1"), limit)
            .wait(None)
            .unwrap();
        assert_eq!(rate("1"), expected, "{limit:?}");
    }
    assert_eq!(
        Limit::Of(1).load_rate(u32::MAX, u32::MAX),
        2 * 100 * u64::from(u32::MAX)
    );
}

#[test]
fn s8_loads_of_many_keys_are_in_the_callers_order() {
    let (pool, driver) = pool();
    let ids: Vec<_> = (0..500).map(|n| n.to_string()).collect();
    let mut held = Vec::new();
    for (n, id) in ids.iter().enumerate().filter(|(n, _)| n % 3 > 0) {
        for _ in 0..n % 3 {
            held.push(pool.try_acquire(&user(id, 2), "").unwrap());
        }
    }
    let _wait = pool.wait(&user("2", 2), &patient());
    driver.advance(s(5));
    // Backwards, each twice, some that are not known: few and many, which are looked up in different ways.
    for count in [1, 63, 64, 500] {
        let twice = ids[..count].iter().rev().flat_map(|id| [id, id]);
        let keys: Vec<_> = twice.map(|id| Key::new("user", id)).collect();
        let loads = pool.load(&keys).wait(None).unwrap();
        assert_eq!(loads.len(), keys.len());
        for (key, load) in keys.iter().zip(&loads) {
            let n: u32 = key.id.parse().unwrap();
            let waiting = u32::from(n == 2);
            let expected = match n % 3 {
                0 => Load::default(),
                in_use => Load {
                    in_use,
                    waiting,
                    lapsed: 0,
                    limit: Some(Limit::Of(2)),
                    is_closed: false,
                    oldest_wait: (n == 2).then_some(s(5)),
                    oldest_hold: Some(s(5)),
                },
            };
            assert_eq!(*load, expected, "{key:?}");
            assert_eq!(load.has_room(), n % 3 < 2);
        }
        let order = pool.order_by_load_timeout(&keys, None).unwrap();
        let mut expected: Vec<_> = (0..keys.len()).collect();
        expected.sort_by_key(|&at| loads[at].rate());
        assert_eq!(order, expected, "equal ones in the caller's order");
        assert_eq!(smol::block_on(pool.order_by_load(&keys)).unwrap(), order);
    }
}

#[test]
fn s8_the_first_with_room_is_the_least_loaded_one() {
    let (pool, _) = pool();
    let asks = ["1", "2", "3"].map(|id| Ask::new("account", id, Limit::Of(2)));
    let mut taken = Vec::new();
    let mut slots = Vec::new();
    while let Ok((at, slot)) = pool.try_first_of(&asks, "") {
        taken.push(at);
        slots.push(slot);
    }
    assert_eq!(taken, [0, 1, 2, 0, 1, 2]);
    let _wait = pool.wait(&asks[..1], &patient());
    let refusal = pool.try_first_of(&asks, "").unwrap_err();
    assert_eq!(
        (refusal.outcome(), refusal.waiting()),
        (Outcome::Busy, 0),
        "that of the least loaded"
    );
    drop(slots.remove(4));
    assert_eq!(pool.try_first_of(&asks, "").unwrap().0, 1);
}

#[test]
fn s8_holders_by_age_and_label() {
    let (pool, driver) = pool();
    let key = Key::new("user", "1");
    let slots = ["first", "second", "", "fourth"].map(|label| {
        let slot = pool.try_acquire(&user("1", 9), label).unwrap();
        driver.advance(s(1));
        slot
    });
    let labels = || -> Vec<(String, Duration)> {
        let holders = pool.holders(key).wait(None).unwrap();
        let shown = holders
            .iter()
            .map(|holder| (holder.label.to_string(), holder.age));
        shown.collect()
    };
    let all = [("first", 4), ("second", 3), ("", 2), ("fourth", 1)]
        .map(|(label, age)| (label.to_owned(), s(age)));
    assert_eq!(labels(), all, "oldest first");
    slots[1].release();
    assert_eq!(labels(), [&all[..1], &all[2..]].concat());
    // Another takes its place in memory, not in the order.
    let _fifth = pool.try_acquire(&user("1", 9), "fifth").unwrap();
    assert_eq!(labels()[3], ("fifth".to_owned(), Duration::ZERO));
    // Who is offered a unit is listed, under its own label.
    pool.set_limit(key, Limit::Of(4)).wait(None).unwrap();
    let options = WaitOptions {
        label: "waiting",
        ..patient()
    };
    let wait = pool.wait(&user("1", 9), &options);
    assert_eq!(labels().len(), 4);
    slots[0].release();
    assert_eq!(labels()[3].0, "waiting");
    drop(granted(&wait));
}

#[test]
fn s8_held_longer_than_lists_suspects_of_all_keys_and_frees_nothing() {
    let (pool, driver) = pool();
    let old = pool
        .try_acquire(
            &[user("1", 2)[0], Ask::new("account", "7", Limit::Of(2))],
            "old",
        )
        .unwrap();
    driver.advance(s(60));
    let _young = pool.try_acquire(&user("1", 2), "young").unwrap();
    let longer = |than| {
        let holders = pool.held_longer_than(than).wait(None).unwrap();
        holders
            .iter()
            .map(|holder| holder.label.to_string())
            .collect::<Vec<_>>()
    };
    assert_eq!(longer(ms(60_001)), [""; 0]);
    assert_eq!(longer(ms(59_999)), ["old", "old"], "each of its keys");
    assert_eq!(longer(Duration::ZERO).len(), 3);
    assert_eq!(
        (stands(&pool, "user", "1"), stands(&pool, "account", "7")),
        ((2, 0), (1, 0))
    );
    assert_eq!((old.lost(), old.release()), (None, Released::Released));
}

#[test]
fn s8_force_frees_one_and_its_own_release_says_lost() {
    let (pool, _) = pool();
    let pair = [user("1", 1)[0], Ask::new("account", "7", Limit::Of(1))];
    let greedy = pool.try_acquire(&pair, "greedy").unwrap();
    let wait = pool.wait(&[pair[1]], &patient());
    let id = pool.holders(pair[1].key).wait(None).unwrap()[0].id;
    assert!(pool.force(pair[1].key, id).wait(None).unwrap());
    assert!(!pool.force(pair[1].key, id).wait(None).unwrap(), "once");
    let next = granted(&wait);
    assert_eq!(
        stands(&pool, "user", "1").0,
        1,
        "the other key is still its own"
    );
    assert_eq!(greedy.release(), Released::Lost);
    assert_eq!(greedy.release(), Released::Already);
    assert_eq!(
        (
            stands(&pool, "user", "1").0,
            stands(&pool, "account", "7").0
        ),
        (0, 1)
    );
    assert_eq!(next.release(), Released::Released);
    assert_eq!(stats(&pool, "account", "7").counters.lost, 1);
}

#[test]
fn s8_wait_percentiles_are_within_an_eighth() {
    let (pool, driver) = pool();
    let mut slot = pool.try_acquire(&user("1", 1), "").unwrap();
    assert_eq!(stats(&pool, "user", "1").waits.count, 0);
    // Waits of 1 to 100 ms, each for the one before.
    for millis in 1..=100 {
        let wait = pool.wait(&user("1", 1), &patient());
        driver.advance(ms(millis));
        drop(slot);
        slot = granted(&wait);
    }
    let waits = stats(&pool, "user", "1").waits;
    assert_eq!((waits.count, waits.max), (100, ms(100)));
    for (found, exact) in [
        (waits.p50, ms(50)),
        (waits.p90, ms(90)),
        (waits.p99, ms(99)),
    ] {
        assert!(
            found >= exact && found <= exact + exact / 8,
            "{found:?} of {exact:?}"
        );
    }
}

/// Holds of these many milliseconds, one after the other.
fn hold(pool: &SlotPool, driver: &ClockDriver, limit: u32, holds: &[u64]) {
    for &millis in holds {
        let slot = pool.try_acquire(&user("1", limit), "").unwrap();
        driver.advance(ms(millis));
        drop(slot);
    }
}

#[test]
fn s4_retry_after_is_the_mean_hold_times_those_in_line_by_the_limit() {
    let (pool, driver) = pool();
    let holds = [
        3_000, 9_000, 500, 20_000, 4_000, 4_000, 12_345, 8_000, 1, 30_000,
    ];
    hold(&pool, &driver, 2, &holds[..7]);
    let mut held: Vec<_> = (0..2)
        .map(|_| pool.try_acquire(&user("1", 2), "").unwrap())
        .collect();
    let refusal = || pool.try_acquire(&user("1", 2), "").unwrap_err();
    assert_eq!(refusal().retry_after(), None, "seven are too few");
    // The two that were held besides count too: here they take no time.
    held.clear();
    hold(&pool, &driver, 2, &holds[7..]);
    let holds = [&holds[..7], &[0, 0], &holds[7..]].concat();
    let mean = holds[1..].iter().fold(holds[0] as f64, |mean, &hold| {
        mean + (hold as f64 - mean) / 8.0
    }) / 1_000.0;
    let told = stats(&pool, "user", "1").mean_hold.unwrap();
    assert!(
        (told.as_secs_f64() - mean).abs() < 1e-6,
        "{told:?} of {mean}"
    );
    held.extend((0..2).map(|_| pool.try_acquire(&user("1", 2), "").unwrap()));
    let mut waits = Vec::new();
    for waiting in 0..30 {
        let refusal = refusal();
        let exact = (mean * f64::from(waiting + 1) / 2.0)
            .ceil()
            .clamp(1.0, 60.0);
        assert_eq!(refusal.waiting(), waiting);
        assert_eq!(
            refusal.retry_after(),
            Some(s(exact as u64)),
            "{waiting} waiting"
        );
        waits.push(pool.wait(&user("1", 2), &patient()));
    }
    assert_eq!(refusal().retry_after(), Some(s(60)), "never more");
}

#[test]
fn s4_retry_after_has_bounds_and_is_told_only_where_time_helps() {
    let (pool, driver) = pool();
    let key = Key::new("user", "1");
    hold(&pool, &driver, 1, &[0; 8]);
    let _held = pool.try_acquire(&user("1", 1), "").unwrap();
    let refusal = || pool.try_acquire(&user("1", 1), "").unwrap_err();
    assert_eq!(refusal().retry_after(), Some(s(1)), "never less");
    let short = WaitOptions {
        timeout: s(1),
        max_waiting: 2,
        ..WaitOptions::default()
    };
    let late = pool.wait(&user("1", 1), &short);
    let cancelled = pool.wait(&user("1", 1), &short);
    let full = ended(&pool.wait(&user("1", 1), &short));
    cancelled.cancel(None);
    driver.advance(s(1));
    for (refusal, outcome) in [
        (ended(&late), Outcome::TimedOut),
        (ended(&cancelled), Outcome::Cancelled),
        (full, Outcome::QueueFull),
    ] {
        assert_eq!(
            (refusal.outcome(), refusal.retry_after()),
            (outcome, Some(s(1)))
        );
    }
    // Time does not cure these.
    pool.set_limit(key, Limit::Of(0)).wait(None).unwrap();
    assert_eq!(refusal().retry_after(), None, "limit 0");
    pool.clear_limit(key).wait(None).unwrap();
    pool.close_key(key).wait(None).unwrap();
    let closed = refusal();
    assert_eq!(
        (closed.outcome(), closed.retry_after()),
        (Outcome::Closed, None)
    );
}

/// A unit that no caller had, and one that was taken away, say nothing of how long requests take.
#[test]
fn s4_only_released_slots_count_in_the_mean_hold() {
    let (pool, driver) = pool();
    let key = Key::new("user", "1");
    hold(&pool, &driver, 1, &[2_000; 7]);
    let forced = pool.try_acquire(&user("1", 1), "").unwrap();
    driver.advance(s(500));
    pool.force(key, forced.holders()[0].id).wait(None).unwrap();
    assert_eq!(forced.release(), Released::Lost);
    let held = pool.try_acquire(&user("1", 1), "").unwrap();
    let [lapsing, cancelled] = [(); 2].map(|()| pool.wait(&user("1", 1), &patient()));
    driver.advance(s(2));
    held.release();
    assert_eq!(
        stats(&pool, "user", "1").mean_hold,
        Some(s(2)),
        "eight of 2 s"
    );
    driver.advance(s(3));
    cancelled.cancel(None);
    drop(lapsing);
    assert_eq!(stands(&pool, "user", "1"), (0, 0));
    assert_eq!(stats(&pool, "user", "1").mean_hold, Some(s(2)));
}
