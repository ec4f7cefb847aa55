//! What is odd and right: any text, the shortest and the longest times, options that nobody should need, slots without a
//! pool.

#![cfg(not(loom))]

mod common;

use std::num::NonZeroU32;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::slots::{
    ended, granted, ms, outcome, patient, pool, pool_with, s, stands, stats, user,
};
use reqbus_core::slots::{
    Ask, Backoff, FaultOptions, HolderId, Key, Limit, Outcome, PoolOptions, Ranks, Released, Step,
    WaitOptions,
};

const ONE: Limit = Limit::Of(1);

/// One try: no ticket, no place, no time; and it overtakes nobody.
#[test]
fn s4_a_timeout_of_zero_is_one_try() {
    let (pool, driver) = pool();
    let now = WaitOptions {
        timeout: Duration::ZERO,
        ..WaitOptions::default()
    };
    let slot = granted(&pool.wait(&user("1", 1), &now));
    let first = pool.wait(&user("1", 1), &patient());
    let refused = pool.wait(&user("1", 1), &now);
    let refusal = ended(&refused);
    assert_eq!(refusal.outcome(), Outcome::Busy);
    assert_eq!(
        (refusal.position(), refusal.waited(), refusal.waiting()),
        (0, Duration::ZERO, 1)
    );
    slot.release();
    assert_eq!(outcome(&pool.wait(&user("1", 1), &now)), Outcome::Busy);
    drop(granted(&first));
    driver.advance(s(60));
    let counters = stats(&pool, "user", "1").counters;
    assert_eq!(
        (counters.busy, counters.timed_out, counters.granted),
        (2, 0, 2)
    );
    assert_eq!(stands(&pool, "user", "1"), (0, 0));
}

/// Shorter than the first delay of a backoff (100 ms): still one try, the whole time, and no more than that.
#[test]
fn s4_a_timeout_below_the_first_backoff_is_kept() {
    assert!(ms(30) < Backoff::FIRST);
    let short = WaitOptions {
        timeout: ms(30),
        ..WaitOptions::default()
    };
    let lines = [
        None,
        Some(FaultOptions {
            latest: ms(3),
            ..FaultOptions::default()
        }),
    ];
    for fault in lines {
        let (pool, driver) = pool_with(PoolOptions {
            fault,
            ..PoolOptions::default()
        });
        let free = pool.wait(&user("1", 1), &short);
        driver.advance(ms(12));
        let slot = granted(&free);
        let handed = pool.wait(&user("1", 1), &short);
        driver.advance(ms(6));
        let late = pool.wait(&user("1", 1), &short);
        driver.advance(ms(2));
        slot.release();
        // Over a line the release and its offer are two trips, and the claim is two more.
        driver.advance(ms(6));
        let mut taken = handed.try_next();
        driver.advance(ms(6));
        taken = taken.or_else(|| handed.try_next());
        assert!(matches!(taken, Some(Step::Granted(_))), "{taken:?}");
        driver.advance(ms(15));
        assert!(late.try_next().is_none(), "it has a millisecond left");
        driver.advance(ms(1));
        let refusal = ended(&late);
        assert_eq!(
            (refusal.outcome(), refusal.waited()),
            (Outcome::TimedOut, ms(30))
        );
        drop(taken);
    }
}

/// As long as there is: none overflows.
#[test]
fn the_longest_times_and_the_most_waiting() {
    let (pool, driver) = pool();
    let options = WaitOptions {
        timeout: Duration::MAX,
        max_waiting: u32::MAX,
        ping_every: Some(Duration::MAX),
        ..WaitOptions::default()
    };
    let slot = pool.try_acquire(&user("1", 1), "").unwrap();
    let wait = pool.wait(&user("1", 1), &options);
    let often = WaitOptions {
        ping_every: Some(Duration::ZERO),
        ..options
    };
    let unpinged = pool.wait(&user("1", 1), &often);
    driver.advance(s(86_400 * 365));
    assert!(wait.try_next().is_none() && unpinged.try_next().is_none());
    let held = pool.held_longer_than(Duration::MAX).wait(None).unwrap();
    assert!(held.is_empty());
    slot.release();
    drop(granted(&wait));
    drop(granted(&unpinged));
}

/// No byte of a key has a meaning.
#[test]
fn any_text_is_an_id_of_its_own() {
    let (pool, _) = pool();
    let keys = [
        ("a:b", "c"),
        ("a", "b:c"),
        ("a", "b"),
        ("ab", "c"),
        ("a", "bc"),
        ("a", "{}"),
        ("{a}", "b"),
        ("a", "{b}:h"),
        ("a", "b\0"),
        ("a\0", "b"),
        ("a", "\0"),
        ("a", "\0\0"),
        ("a", " "),
        ("a", "\r\n"),
        ("a", "🦀"),
        ("a", "\u{feff}b"),
    ];
    let take = |&(scope, id): &(_, _)| pool.try_acquire(&[Ask::new(scope, id, ONE)], "");
    let slots: Vec<_> = keys.iter().map(|key| take(key).unwrap()).collect();
    for (key, slot) in keys.iter().zip(&slots) {
        assert_eq!(take(key).unwrap_err().outcome(), Outcome::Busy, "{key:?}");
        assert_eq!(slot.keys()[0].as_key(), Key::new(key.0, key.1));
    }
    for (at, slot) in slots.iter().enumerate() {
        slot.release();
        let held: Vec<_> = keys
            .iter()
            .map(|key| stands(&pool, key.0, key.1).0)
            .collect();
        assert_eq!(held.iter().sum::<u32>() as usize, keys.len() - at - 1);
        assert_eq!(held[at], 0, "{:?}: its own, and no other's", keys[at]);
    }
}

/// A number that names no holder, or another key's, takes nothing away.
#[test]
fn s8_force_by_a_number_that_names_nobody() {
    let (pool, _) = pool();
    let slot = pool.try_acquire(&user("1", 1), "").unwrap();
    let gone = pool.try_acquire(&user("2", 1), "").unwrap();
    let (key, other) = (Key::new("user", "1"), Key::new("user", "2"));
    let of_other = pool.holders(other).wait(None).unwrap()[0].id;
    gone.release();
    let numbers = [0, u64::from(u32::MAX), u64::MAX, u64::MAX << 32];
    let ids = numbers.map(HolderId::from_u64);
    for key in [key, other, Key::new("user", "nobody")] {
        for id in ids {
            assert!(!pool.force(key, id).wait(None).unwrap(), "{id:?}");
        }
    }
    assert!(!pool.force(other, of_other).wait(None).unwrap(), "released");
    assert_eq!(slot.release(), Released::Released);
}

#[test]
fn s2_a_slot_outlives_its_pool() {
    let leaks = Arc::new(Mutex::new(Vec::new()));
    let told = leaks.clone();
    let (pool, driver) = pool_with(PoolOptions {
        sink: Some(Arc::new(move |leak| {
            told.lock().unwrap().push(leak.clone())
        })),
        ..PoolOptions::default()
    });
    let [slot, forgotten, dropped] = ["kept", "forgotten", "dropped"]
        .map(|label| pool.try_acquire(&user("1", 3), label).unwrap());
    let wait = pool.wait(&user("1", 3), &patient());
    let closed = pool.clone();
    closed.close();
    drop(pool);
    drop(closed);
    assert_eq!(outcome(&wait), Outcome::Closed);
    driver.advance(s(10));
    assert_eq!((slot.lost(), slot.keys().len()), (None, 1));
    assert_eq!(
        (&*slot.holders()[0].label, slot.holders()[0].age),
        ("kept", s(10))
    );
    assert_eq!(slot.release(), Released::Released);
    assert_eq!(slot.release(), Released::Already);
    assert_eq!(slot.release_scope("user"), None);
    drop(dropped);
    forgotten.leak();
    let leaks = leaks.lock().unwrap();
    assert_eq!(leaks.len(), 1, "nobody else would ever look");
    assert_eq!((&*leaks[0].label, leaks[0].age), ("forgotten", s(10)));
}

/// No options of a pool are wrong; the odd ones mean what they say.
#[test]
fn odd_pool_options() {
    for (processes, limit, share) in [(4, 10, 2), (4, 3, 1), (u32::MAX, Limit::MAX, 1), (7, 0, 0)] {
        let (pool, _) = pool_with(PoolOptions {
            processes: NonZeroU32::new(processes).unwrap(),
            ..PoolOptions::default()
        });
        let slots: Vec<_> = (0..share)
            .map(|_| pool.try_acquire(&user("1", limit), "").unwrap())
            .collect();
        let refusal = pool.try_acquire(&user("1", limit), "").unwrap_err();
        assert_eq!(refusal.outcome(), Outcome::Busy);
        assert_eq!(refusal.limit(), Some(Limit::Of(share)), "of this process");
        drop(slots);
    }
    // Named twice, named first and last, never used: where it is named first counts.
    let (pool, _) = pool_with(PoolOptions {
        ranks: Ranks::new(&["b", "", "b", "z"], &["z", "a", "a"]),
        ..PoolOptions::default()
    });
    let asks = ["a", "m", "c", "z", "b"].map(|scope| Ask::new(scope, "1", ONE));
    let slot = pool.try_acquire(&asks, "").unwrap();
    let scopes: Vec<_> = slot
        .keys()
        .iter()
        .map(|key| key.as_key().scope.to_owned())
        .collect();
    assert_eq!(scopes, ["b", "z", "c", "m", "a"]);
}

/// Keys may be secrets: no text of ours shows one.
#[test]
fn no_text_shows_an_id() {
    let (pool, _) = pool();
    let asks = user("secret", 1);
    let slot = pool.try_acquire(&asks, "").unwrap();
    let wait = pool.wait(&asks, &patient());
    let refusal = pool.try_acquire(&asks, "").unwrap_err();
    let holders = slot.holders();
    let whole = format!("{asks:?} {slot:?} {wait:?} {refusal} {refusal:?} {pool:?} {holders:?}");
    assert!(!whole.contains("secret"), "{whole}");
}
