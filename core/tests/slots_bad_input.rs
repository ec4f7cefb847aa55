//! Every wrong call of slots has one answer, a kind and what it is about, and leaves nothing behind: no key, no count,
//! nobody who holds or waits.

#![cfg(not(loom))]

mod common;

use std::future::Future;
use std::num::NonZeroU32;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use common::slots::{
    ended, granted, load, ms, outcome, patient, pool, pool_with, s, stands, stats, system_pool,
    user,
};
use common::{Watchdog, until};
use reqbus_core::ErrorKind::{InvalidArgument, TooLarge};
use reqbus_core::error::Result;
use reqbus_core::slots::{
    Ask, Backoff, Counters, Fault, FaultOptions, HolderId, Key, Limit, MAX_KEYS, MAX_NAME, Outcome,
    PoolOptions, Ranks, Refusal, Released, SlotPool, Step, WaitOptions,
};
use reqbus_core::{Error, ErrorKind};

const ONE: Limit = Limit::Of(1);

/// Nothing is known, held or counted.
#[track_caller]
fn assert_untouched(pool: &SlotPool) {
    assert_eq!(pool.known_keys(), 0, "no key is known");
    let holders = pool.held_longer_than(Duration::ZERO).wait(None).unwrap();
    assert!(holders.is_empty(), "{holders:?}");
    for scope in ["user", "account", ""] {
        let counters = pool.scope_stats(scope).counters;
        assert_eq!(counters, Counters::default(), "{scope}");
    }
    assert_eq!(pool.leaked(), 0);
}

#[track_caller]
fn assert_says(refusal: &Refusal, kind: ErrorKind, context: &str, scope: &str) {
    let cause = refusal.cause().expect("it says what is wrong");
    assert_eq!(
        (
            refusal.outcome(),
            cause.kind(),
            cause.context(),
            refusal.scope()
        ),
        (Outcome::Invalid, kind, context, scope),
        "{refusal}"
    );
    assert_eq!(
        (refusal.retry_after(), refusal.position()),
        (None, 0),
        "time does not cure it"
    );
    let whole = format!("{refusal} {refusal:?} {cause} {cause:?}");
    assert!(whole.len() < 1_000, "no error repeats what is too long");
    assert!(!whole.contains("secret"), "{whole}");
}

/// Each call that takes keys refuses these so, and has no effect.
#[track_caller]
fn assert_invalid(asks: &[Ask<'_>], label: &str, kind: ErrorKind, context: &str, scope: &str) {
    let (pool, _) = pool();
    let refusal = pool.try_acquire(asks, label).unwrap_err();
    assert_says(&refusal, kind, context, scope);
    for timeout in [Duration::ZERO, s(30)] {
        let options = WaitOptions {
            label,
            timeout,
            ..WaitOptions::default()
        };
        let wait = pool.wait(asks, &options);
        assert_says(&ended(&wait), kind, context, scope);
        // It says so as often as it is asked, and to whoever awaits it.
        assert_eq!(wait.position(), 0);
        wait.cancel(None);
        assert_says(&wait.wait().unwrap_err(), kind, context, scope);
        let mut future = pin!(pool.wait(asks, &options));
        match future
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()))
        {
            Poll::Ready(Err(refusal)) => assert_says(&refusal, kind, context, scope),
            other => panic!("{other:?}"),
        }
    }
    assert_untouched(&pool);
}

#[test]
fn scopes_and_ids() {
    let (long, longer) = ("s".repeat(300), "é".repeat(128));
    let secret = format!("secret{}", "x".repeat(294));
    let cases = [
        ("", "1", InvalidArgument, "scope", ""),
        ("", "", InvalidArgument, "scope", ""),
        ("user", "", InvalidArgument, "id", "user"),
        (&long, "1", TooLarge, "scope", ""),
        (&longer, "1", TooLarge, "scope", ""),
        ("user", &secret, TooLarge, "id", "user"),
        ("user", &longer, TooLarge, "id", "user"),
    ];
    for (scope, id, kind, context, named) in cases {
        let bad = Ask::new(scope, id, ONE);
        assert_invalid(&[bad], "", kind, context, named);
        // Beside good ones: none of them is held.
        let good = [Ask::new("account", "7", ONE), Ask::new("model", "m", ONE)];
        assert_invalid(&[good[0], bad, good[1]], "", kind, context, named);
        assert_invalid(&[bad, good[0]], "", kind, context, named);
    }
    let (pool, _) = pool();
    let longest = format!("{}k", "é".repeat(127));
    assert_eq!(longest.len(), MAX_NAME);
    let ask = [Ask::new(&longest, &longest, ONE)];
    let slot = pool.try_acquire(&ask, "").unwrap();
    assert_eq!(slot.keys()[0].as_key(), ask[0].key);
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

#[test]
fn limits() {
    for number in [Limit::MAX + 1, u32::MAX] {
        let bad = Ask::new("user", "1", Limit::Of(number));
        assert_invalid(&[bad], "", InvalidArgument, "limit", "user");
        let good = Ask::new("account", "7", ONE);
        assert_invalid(&[good, bad], "", InvalidArgument, "limit", "user");
        let (pool, _) = pool();
        let set = pool.set_limit(bad.key, Limit::Of(number));
        let error = set.wait(None).unwrap_err();
        assert_eq!((error.kind(), error.context()), (InvalidArgument, "limit"));
        let error = Limit::nonpositive_is_unlimited(i64::from(number)).unwrap_err();
        assert_eq!((error.kind(), error.context()), (InvalidArgument, "limit"));
        assert_untouched(&pool);
    }
    let none = Ask {
        key: Key::new("user", "1"),
        limit: None,
    };
    let (pool, _) = pool();
    for asks in [&[none][..], &[none, Ask::new("api_key", "k", ONE)]] {
        let refusal = pool.try_acquire(asks, "").unwrap_err();
        assert_says(&refusal, InvalidArgument, "limit", "user");
        let refusal = ended(&pool.wait(asks, &patient()));
        assert_says(&refusal, InvalidArgument, "limit", "user");
    }
    // They are known now, and idle: the calls were right for all that one can see of them.
    assert_eq!(stands(&pool, "user", "1"), (0, 0));
    assert_eq!(stands(&pool, "api_key", "k"), (0, 0));
    assert_eq!(stats(&pool, "user", "1").counters, Counters::default());
    drop(pool.try_acquire(&user("1", Limit::MAX), "").unwrap());
    assert!(pool.try_acquire(&[none], "").is_ok(), "it has one now");
    for number in [0, -1, i64::MIN] {
        let limit = Limit::nonpositive_is_unlimited(number).unwrap();
        assert_eq!(limit, Limit::Unlimited, "as its name says");
    }
}

#[test]
fn too_many_keys_too_few_and_the_same_scope_twice() {
    assert_invalid(&[], "", InvalidArgument, "keys", "");
    let scopes: Vec<_> = (0..=MAX_KEYS).map(|at| format!("scope {at}")).collect();
    let asks: Vec<_> = scopes
        .iter()
        .map(|scope| Ask::new(scope, "1", ONE))
        .collect();
    assert_invalid(&asks, "", TooLarge, "keys", "");
    let twice = [
        user("1", 1)[0],
        Ask::new("account", "7", ONE),
        user("2", 1)[0],
    ];
    assert_invalid(&twice, "", InvalidArgument, "scope", "user");
    let same = [twice[0], twice[0]];
    assert_invalid(&same, "", InvalidArgument, "scope", "user");

    let (pool, _) = pool();
    let refusal = pool.try_first_of(&[], "").unwrap_err();
    assert_says(&refusal, InvalidArgument, "keys", "");
    let bad = [user("1", 1)[0], Ask::new("user", "", ONE)];
    let refusal = pool.try_first_of(&bad, "").unwrap_err();
    assert_says(&refusal, InvalidArgument, "id", "user");
    assert_untouched(&pool);

    // Eight fit, and not one joins them.
    let eight = pool.try_acquire(&asks[..MAX_KEYS], "").unwrap();
    let mut ninth = pool.try_acquire(&asks[MAX_KEYS..], "").unwrap();
    let error = eight.join(&mut ninth).unwrap_err();
    assert_eq!((error.kind(), error.context()), (InvalidArgument, "slot"));
    assert_eq!((eight.keys().len(), ninth.keys().len()), (MAX_KEYS, 1));
    assert_eq!(ninth.release(), Released::Released);
    assert_eq!(eight.release(), Released::Released);
}

/// Two requests that took scopes in two orders could wait for each other.
#[test]
fn s6_scopes_taken_against_their_rank() {
    let (pool, _) = pool();
    let (account, model) = (
        [Ask::new("account", "7", ONE)],
        [Ask::new("model", "m", ONE)],
    );
    let held = pool.try_acquire(&model, "").unwrap();
    for asks in [
        &user("1", 1)[..],
        &model,
        &[Ask::new("model", "n", ONE)],
        &[account[0], user("1", 1)[0]],
    ] {
        let wait = pool.wait_on_top(&held, asks, &WaitOptions::default());
        assert_says(&ended(&wait), InvalidArgument, "scope", "");
    }
    assert_eq!(pool.known_keys(), 1, "the one that is held");
    let mut on_top = granted(&pool.wait_on_top(&held, &account, &patient()));
    held.join(&mut on_top).unwrap();
    let wait = pool.wait_on_top(&held, &[Ask::new("model2", "m", ONE)], &patient());
    assert_says(&ended(&wait), InvalidArgument, "scope", "");
    // In one call any order will do.
    let ranked = [account[0], user("1", 1)[0]].map(|ask| Ask {
        limit: Some(Limit::Of(2)),
        ..ask
    });
    let slot = pool.try_acquire(&ranked, "").unwrap();
    assert_eq!(slot.keys()[0].as_key().scope, "user");
    drop((slot, held));
    assert_eq!(stands(&pool, "account", "7"), (0, 0));
}

#[test]
fn labels() {
    let long = "l".repeat(MAX_NAME + 1);
    assert_invalid(&user("1", 1), &long, TooLarge, "label", "");
    let (pool, _) = pool();
    let refusal = pool.try_first_of(&user("1", 1), &long).unwrap_err();
    assert_says(&refusal, TooLarge, "label", "");
    assert_untouched(&pool);
    for label in [&long[1..], "a\0b\r\n", ""] {
        let slot = pool.try_acquire(&user("1", 1), label).unwrap();
        assert_eq!(&*slot.holders()[0].label, label);
    }
}

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

#[test]
fn questions_about_keys_that_cannot_be() {
    let (pool, _) = pool();
    let long = "x".repeat(300);
    for (scope, id, kind, context) in [
        ("", "1", InvalidArgument, "scope"),
        ("user", "", InvalidArgument, "id"),
        (long.as_str(), "1", TooLarge, "scope"),
        ("user", long.as_str(), TooLarge, "id"),
    ] {
        let key = Key::new(scope, id);
        let id = HolderId::from_u64(1);
        let errors = [
            pool.set_limit(key, ONE).wait(None).unwrap_err(),
            pool.clear_limit(key).wait(None).unwrap_err(),
            pool.close_key(key).wait(None).unwrap_err(),
            pool.open_key(key).wait(None).unwrap_err(),
            pool.load(&[Key::new("user", "1"), key])
                .wait(None)
                .unwrap_err(),
            pool.order_by_load_timeout(&[key], None).unwrap_err(),
            pool.holders(key).wait(None).unwrap_err(),
            pool.force(key, id).wait(None).unwrap_err(),
        ];
        for error in errors {
            assert_eq!((error.kind(), error.context()), (kind, context), "{error}");
        }
        assert!(pool.key_stats(key).is_none());
    }
    assert_untouched(&pool);
    assert_eq!(pool.load(&[]).wait(None).unwrap(), []);
    assert!(pool.order_by_load_timeout(&[], None).unwrap().is_empty());
    assert_eq!(
        load(&pool, "user", "nobody"),
        reqbus_core::slots::Load::default()
    );
    assert_untouched(&pool);
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

#[test]
fn s7_backoffs_that_would_never_grow() {
    for (first, cap, context) in [(0, 10, "first"), (0, 0, "first"), (11, 10, "cap")] {
        let error = Backoff::exact().between(ms(first), ms(cap)).unwrap_err();
        assert_eq!((error.kind(), error.context()), (InvalidArgument, context));
    }
    let mut longest = Backoff::seeded(1)
        .between(Duration::MAX, Duration::MAX)
        .unwrap();
    assert_eq!(longest.next_delay(), Duration::MAX);
    assert_eq!(longest.next_delay(), Duration::MAX);
}

/// One wait on a wait, and one on a slot; what is over says so.
/// The first answer that is not that somebody else waits.
fn first_that_waited<T>(mut answers: impl Iterator<Item = Result<T>>) -> Result<T> {
    let is_busy = |answer: &Result<T>| {
        let kind = answer.as_ref().err().map(Error::kind);
        kind == Some(ErrorKind::Busy)
    };
    answers.find(|answer| !is_busy(answer)).unwrap()
}

#[test]
fn two_waits_on_one_thing_and_waits_that_are_over() {
    let _watchdog = Watchdog::new("two waits on one thing");
    let pool = system_pool();
    let slot = pool.try_acquire(&user("1", 1), "").unwrap();
    let wait = pool.wait(&user("1", 1), &patient());
    thread::scope(|scope| {
        // The other side may be the first for a moment.
        let blocked = scope.spawn(|| {
            let answers = std::iter::repeat_with(|| wait.next_timeout(None));
            first_that_waited(answers)
        });
        let busy = || wait.next_timeout(Some(Duration::ZERO)).unwrap_err();
        until(|| busy().kind() == ErrorKind::Busy);
        assert_eq!(busy().context(), "wait");
        let watched = scope.spawn(|| {
            let answers = std::iter::repeat_with(|| slot.wait_lost(None));
            first_that_waited(answers)
        });
        let busy = || slot.wait_lost(Some(Duration::ZERO)).unwrap_err();
        until(|| busy().kind() == ErrorKind::Busy);
        assert_eq!(busy().context(), "slot");
        slot.release();
        assert_eq!(watched.join().unwrap().unwrap(), None);
        drop(blocked.join().unwrap().unwrap());
    });
    assert_says(&ended(&wait), InvalidArgument, "wait", "");
    assert_says(&wait.wait().unwrap_err(), InvalidArgument, "wait", "");
    let mut reply = pin!(pool.load(&[]));
    let mut cx = Context::from_waker(Waker::noop());
    assert!(reply.as_mut().poll(&mut cx).is_ready());
    match reply.poll(&mut cx) {
        Poll::Ready(Err(error)) => {
            assert_eq!((error.kind(), error.context()), (InvalidArgument, "reply"))
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(stands(&pool, "user", "1"), (0, 0));
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
