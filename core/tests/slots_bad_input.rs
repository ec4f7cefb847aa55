//! Every wrong call of slots has one answer, a kind and what it is about, and leaves nothing behind: no key, no count,
//! nobody who holds or waits.

#![cfg(not(loom))]

mod common;

use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use common::slots::{ended, granted, load, patient, pool, s, stands, stats, system_pool, user};
use common::{Watchdog, until};
use reqbus_core::ErrorKind::{InvalidArgument, TooLarge};
use reqbus_core::error::Result;
use reqbus_core::slots::{
    Ask, Counters, HolderId, Key, Limit, MAX_KEYS, MAX_NAME, Outcome, Refusal, Released, SlotPool,
    WaitOptions,
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

/// The first answer that is not that somebody else waits.
fn first_that_waited<T>(mut answers: impl Iterator<Item = Result<T>>) -> Result<T> {
    let is_busy = |answer: &Result<T>| {
        let kind = answer.as_ref().err().map(Error::kind);
        kind == Some(ErrorKind::Busy)
    };
    answers.find(|answer| !is_busy(answer)).unwrap()
}

/// One wait on a wait, and one on a slot; what is over says so.
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
