//! Slots by example, on a clock that the test drives: one test for each sentence of the promises.

#![cfg(not(loom))]

mod common;

use std::time::Duration;

use reqbus_core::slots::{
    Ask, Key, Limit, LostReason, Outcome, PoolOptions, Released, SlotPool, Step, WaitOptions,
};
use reqbus_core::{Bell, ErrorKind};

use common::slots::{granted, outcome, pool, user};

const USER: Key<'static> = Key::new("user", "42");

#[test]
fn s1_a_limit_of_two_lets_two_in() {
    let (pool, _) = pool();
    let first = pool.try_acquire(&user("42", 2), "a").unwrap();
    let _second = pool.try_acquire(&user("42", 2), "b").unwrap();
    let refusal = pool.try_acquire(&user("42", 2), "c").unwrap_err();
    assert_eq!(
        (refusal.outcome(), refusal.scope()),
        (Outcome::Busy, "user")
    );
    assert_eq!((refusal.in_use(), refusal.waiting()), (2, 0));
    assert_eq!(first.release(), Released::Released);
    assert_eq!(first.release(), Released::Already);
    drop(pool.try_acquire(&user("42", 2), "d").unwrap());
}

#[test]
fn s3_who_releases_hands_over_in_order() {
    let (pool, _) = pool();
    let held = pool.try_acquire(&user("42", 1), "").unwrap();
    let first = pool.wait(&user("42", 1), &WaitOptions::default());
    let second = pool.wait(&user("42", 1), &WaitOptions::default());
    assert_eq!((first.position(), second.position()), (1, 2));
    assert!(first.try_next().is_none());
    held.release();
    // The newcomer does not overtake.
    assert_eq!(
        pool.try_acquire(&user("42", 1), "").unwrap_err().outcome(),
        Outcome::Busy
    );
    assert!(second.try_next().is_none());
    let slot = granted(&first);
    drop(slot);
    drop(granted(&second));
}

#[test]
fn s3_an_offer_that_nobody_takes_goes_to_the_next_after_three_seconds() {
    let (pool, driver) = pool();
    let held = pool.try_acquire(&user("42", 1), "").unwrap();
    let asleep = pool.wait(&user("42", 1), &WaitOptions::default());
    let awake = pool.wait(&user("42", 1), &WaitOptions::default());
    held.release();
    driver.advance(Duration::from_millis(2_999));
    assert!(awake.try_next().is_none());
    driver.advance(Duration::from_millis(1));
    let slot = granted(&awake);
    // Nothing more is offered to it until it looks; then it has its old place.
    let late = pool.wait(&user("42", 1), &WaitOptions::default());
    assert!(asleep.try_next().is_none());
    slot.release();
    let asleep = granted(&asleep);
    drop(asleep);
    drop(granted(&late));
    let counters = pool.key_stats(USER).unwrap().counters;
    assert_eq!(counters.lapsed_offers, 1);
}

#[test]
fn s4_a_wait_times_out_and_says_how_it_stood() {
    let (pool, driver) = pool();
    let _held = pool.try_acquire(&user("42", 1), "").unwrap();
    let wait = pool.wait(&user("42", 1), &WaitOptions::default());
    let behind = pool.wait(&user("42", 1), &WaitOptions::default());
    driver.advance(Duration::from_secs(30));
    let Some(Step::Ended(refusal)) = wait.try_next() else {
        panic!("no end");
    };
    assert_eq!(refusal.outcome(), Outcome::TimedOut);
    assert_eq!(refusal.position(), 1);
    assert_eq!(refusal.waited(), Duration::from_secs(30));
    assert_eq!(outcome(&behind), Outcome::TimedOut);
    let loads = pool.load(&[USER]).wait(None).unwrap();
    assert_eq!((loads[0].in_use, loads[0].waiting), (1, 0));
}

#[test]
fn s4_a_full_queue_refuses() {
    let (pool, _) = pool();
    let _held = pool.try_acquire(&user("42", 1), "").unwrap();
    let options = WaitOptions {
        max_waiting: 1,
        ..WaitOptions::default()
    };
    let _waits = pool.wait(&user("42", 1), &options);
    let refused = pool.wait(&user("42", 1), &options);
    assert_eq!(outcome(&refused), Outcome::QueueFull);
}

#[test]
fn s5_a_ping_is_due_every_fifteen_seconds_after_the_last() {
    let (pool, driver) = pool();
    let held = pool.try_acquire(&user("42", 1), "").unwrap();
    let options = WaitOptions {
        timeout: Duration::from_secs(60),
        ..WaitOptions::default()
    };
    let wait = pool.wait(&user("42", 1), &options);
    driver.advance(Duration::from_millis(14_999));
    assert!(wait.try_next().is_none());
    driver.advance(Duration::from_millis(1));
    assert!(matches!(wait.try_next(), Some(Step::Ping)));
    // The host writes for two seconds.
    driver.advance(Duration::from_secs(2));
    assert!(wait.try_next().is_none());
    driver.advance(Duration::from_millis(14_999));
    assert!(wait.try_next().is_none());
    driver.advance(Duration::from_millis(1));
    assert!(matches!(wait.try_next(), Some(Step::Ping)));
    held.release();
    drop(granted(&wait));
}

#[test]
fn s6_several_scopes_are_all_or_none_in_the_order_of_ranks() {
    let (pool, _) = pool();
    let pair = [
        Ask::new("account", "7", Limit::Of(1)),
        Ask::new("user", "42", Limit::Of(2)),
    ];
    let both = pool.try_acquire(&pair, "").unwrap();
    let scopes: Vec<_> = both
        .keys()
        .iter()
        .map(|key| key.as_key().scope.to_owned())
        .collect();
    assert_eq!(scopes, ["user", "account"]);
    let refusal = pool.try_acquire(&pair, "").unwrap_err();
    assert_eq!(refusal.scope(), "account");
    let load = pool.load(&[USER]).wait(None).unwrap();
    assert_eq!(load[0].in_use, 1, "the user's slot was not kept");
    let wait = pool.wait(&pair, &WaitOptions::default());
    assert!(wait.try_next().is_none());
    let load = pool.load(&[USER]).wait(None).unwrap();
    assert_eq!(load[0].in_use, 2, "it holds what it has");
    assert_eq!(both.release_scope("account"), Some(Released::Released));
    let second = granted(&wait);
    assert_eq!(second.release(), Released::Released);
    assert_eq!(both.release(), Released::Released);
    let load = pool
        .load(&[USER, Key::new("account", "7")])
        .wait(None)
        .unwrap();
    assert_eq!((load[0].in_use, load[1].in_use), (0, 0));
}

#[test]
fn s10_a_forced_slot_is_lost_and_its_release_says_so() {
    let (pool, _) = pool();
    let slot = pool.try_acquire(&user("42", 1), "greedy").unwrap();
    let holders = pool.holders(USER).wait(None).unwrap();
    assert_eq!(&*holders[0].label, "greedy");
    assert!(pool.force(USER, holders[0].id).wait(None).unwrap());
    assert!(slot.lost().is_some());
    let next = pool.try_acquire(&user("42", 1), "").unwrap();
    assert_eq!(slot.release(), Released::Lost);
    assert_eq!(slot.release(), Released::Already);
    drop(next);
}

#[test]
fn s11_a_leaked_slot_is_released_and_counted() {
    let (pool, _) = pool();
    pool.try_acquire(&user("42", 1), "lost in a heap")
        .unwrap()
        .leak();
    drop(pool.try_acquire(&user("42", 1), "").unwrap());
    assert_eq!(pool.leaked(), 1);
    assert_eq!(pool.key_stats(USER).unwrap().counters.leaked, 1);
}

#[test]
fn closing_tells_who_waits() {
    let (pool, _) = pool();
    let held = pool.try_acquire(&user("42", 1), "").unwrap();
    let wait = pool.wait(&user("42", 1), &WaitOptions::default());
    pool.close_key(USER).wait(None).unwrap();
    assert_eq!(outcome(&wait), Outcome::Closed);
    pool.open_key(USER).wait(None).unwrap();
    let wait = pool.wait(&user("42", 1), &WaitOptions::default());
    drop(pool);
    assert_eq!(outcome(&wait), Outcome::Closed);
    assert_eq!(held.release(), Released::Released);
}

#[test]
fn s6_what_is_joined_is_released_with_the_rest_whichever_comes_first() {
    let (pool, _) = pool();
    let account = [Ask::new("account", "7", Limit::Of(1))];
    for released_before in [true, false] {
        let slot = pool.try_acquire(&user("42", 1), "").unwrap();
        let mut other = pool.try_acquire(&account, "").unwrap();
        if released_before {
            assert_eq!(slot.release(), Released::Released);
        }
        slot.join(&mut other).unwrap();
        assert!(other.keys().is_empty());
        if !released_before {
            assert_eq!(slot.keys().len(), 2);
            assert_eq!(slot.release_scope("account"), Some(Released::Released));
            assert_eq!(slot.release(), Released::Released);
        }
        assert_eq!(slot.release(), Released::Already);
        let load = pool.load(&[USER, account[0].key]).wait(None).unwrap();
        assert_eq!(load.iter().map(|load| load.in_use).sum::<u32>(), 0);
    }
}

#[test]
fn s6_a_release_that_races_a_join_leaves_nothing_held() {
    let (pool, _) = pool();
    for _ in 0..500 {
        let slot = pool.try_acquire(&user("42", 1), "").unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| slot.release());
            let mut other = pool
                .try_acquire(&[Ask::new("account", "7", Limit::Of(1))], "")
                .unwrap();
            slot.join(&mut other).unwrap();
        });
        let holders = pool.held_longer_than(Duration::ZERO).wait(None).unwrap();
        assert!(holders.is_empty());
    }
}

#[test]
fn s10_a_wait_for_a_loss_ends_with_it_with_the_release_or_with_its_time() {
    let pool = SlotPool::new(PoolOptions::default()).unwrap();
    let account = [Ask::new("account", "7", Limit::Of(1))];
    let slot = pool.try_acquire(&user("42", 1), "").unwrap();
    let late = slot.wait_lost(Some(Duration::from_millis(1))).unwrap_err();
    assert_eq!(late.kind(), ErrorKind::Timeout);
    // What is joined later is watched too.
    slot.join(&mut pool.try_acquire(&account, "").unwrap())
        .unwrap();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| slot.wait_lost(None).unwrap());
        let id = pool.holders(account[0].key).wait(None).unwrap()[0].id;
        assert!(pool.force(account[0].key, id).wait(None).unwrap());
        assert_eq!(waiting.join().unwrap(), Some(LostReason::Forced));
    });
    assert_eq!(slot.release(), Released::Lost);

    let slot = pool.try_acquire(&user("42", 1), "").unwrap();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| slot.wait_lost(None).unwrap());
        std::thread::sleep(Duration::from_millis(5));
        assert_eq!(slot.release(), Released::Released);
        assert_eq!(waiting.join().unwrap(), None);
    });
}

/// Whether it is decided as it begins or stands in a queue: a host may free what the token stands for.
#[test]
fn s4_a_wait_takes_its_token_along() {
    let (pool, _driver) = pool();
    let (bell, other) = (Bell::new(), Bell::new());
    let mut tokens = [0; 4];
    let mut held = None;
    for holders in 0..2 {
        let begin = || pool.wait(&user("42", 1), &WaitOptions::default());
        let wait = begin();
        wait.attach(&bell, 1).unwrap();
        assert_eq!(bell.take(&mut tokens), 1, "ready at once");
        wait.attach(&bell, 2).unwrap();
        wait.attach(&other, 3).unwrap();
        assert_eq!(bell.take(&mut tokens), 0, "in place of the first bell");
        wait.detach();
        assert_eq!(other.take(&mut tokens), 0, "detached");
        wait.attach(&bell, 4).unwrap();
        drop(wait);
        assert_eq!(bell.take(&mut tokens), 0, "freed");
        if holders == 0 {
            held = Some(granted(&begin()));
        }
    }
    drop(held);
}
