//! Slots that their host forgot (S11).

#![cfg(not(loom))]

mod common;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread;
use std::time::Duration;

use common::slots::{load, patient, pool_with, s, stands, stats, user};
use common::{Watchdog, until};
use reqbus_core::slots::{
    Ask, Key, Leak, Limit, PoolOptions, Released, Slot, SlotPool, WaitOptions,
};

const USER: Key<'static> = Key::new("user", "1");
const ACCOUNT: Ask<'static> = Ask::new("account", "7", Limit::Of(1));

fn force(pool: &SlotPool, slot: &Slot) {
    let holder = slot.holders().pop().unwrap();
    let forced = pool.force(holder.key.as_key(), holder.id).wait(None);
    assert!(forced.unwrap());
}

/// A pool whose sink keeps what it is told.
fn leaky_pool() -> (
    SlotPool,
    reqbus_core::time::ClockDriver,
    Arc<Mutex<Vec<Leak>>>,
) {
    let told = Arc::new(Mutex::new(Vec::new()));
    let sink = told.clone();
    let (pool, driver) = pool_with(PoolOptions {
        sink: Some(Arc::new(move |leak| {
            sink.lock().unwrap().push(leak.clone())
        })),
        ..PoolOptions::default()
    });
    (pool, driver, told)
}

#[test]
fn s11_a_leak_is_released_counted_and_told_with_label_and_age() {
    let (pool, driver, told) = leaky_pool();
    let slot = pool.try_acquire(&user("1", 1), "request 17").unwrap();
    slot.join(&mut pool.try_acquire(&[ACCOUNT], "its account").unwrap())
        .unwrap();
    driver.advance(s(7));
    slot.leak();
    assert!(told.lock().unwrap().is_empty(), "a finaliser only pushes");
    assert_eq!(
        stands(&pool, "user", "1"),
        (0, 0),
        "the pool's next call releases"
    );
    let shown: Vec<_> = told
        .lock()
        .unwrap()
        .iter()
        .map(|leak| {
            (
                leak.key.as_key().scope.to_owned(),
                leak.label.to_string(),
                leak.age,
            )
        })
        .collect();
    let expected = [("user", "request 17"), ("account", "its account")];
    assert_eq!(
        shown,
        expected.map(|(scope, label)| (scope.to_owned(), label.to_owned(), s(7)))
    );
    assert_eq!(pool.leaked(), 1, "one slot");
    assert_eq!(stats(&pool, "user", "1").counters.leaked, 1);
    assert_eq!(stats(&pool, "account", "7").counters.leaked, 1);
}

#[test]
fn s11_every_call_that_looks_finds_leaks() {
    let (pool, driver, told) = leaky_pool();
    let calls: [&dyn Fn(); 7] = [
        &|| drop(pool.try_acquire(&user("2", 1), "")),
        &|| drop(pool.wait(&user("2", 1), &patient())),
        &|| drop(pool.try_acquire(&[user("2", 1)[0], ACCOUNT], "")),
        &|| drop(pool.load(&[USER])),
        &|| drop(pool.holders(USER)),
        &|| drop(pool.held_longer_than(s(1))),
        &|| assert!(pool.leaked() > 0),
    ];
    for (at, call) in calls.iter().enumerate() {
        pool.try_acquire(&user("1", 1), "").unwrap().leak();
        call();
        assert_eq!(told.lock().unwrap().len(), at + 1);
    }
    // Who waits for it and calls nothing gets it when anything is due.
    let slot = pool.try_acquire(&user("1", 1), "").unwrap();
    let wait = pool.wait(
        &user("1", 1),
        &WaitOptions {
            ping_every: Some(s(15)),
            ..patient()
        },
    );
    slot.leak();
    driver.advance(s(15));
    assert_eq!(told.lock().unwrap().len(), 8);
    assert_eq!(load(&pool, "user", "1").waiting, 0, "offered to it");
    drop(wait);
}

#[test]
fn s11_only_what_was_still_held_leaks() {
    let (pool, _, told) = leaky_pool();
    let (pair, model) = (
        [user("1", 1)[0], ACCOUNT],
        Ask::new("model", "m", Limit::Of(1)),
    );
    let part = pool.try_acquire(&pair, "").unwrap();
    part.release_scope("account").unwrap();
    part.leak();
    assert_eq!((pool.leaked(), told.lock().unwrap().len()), (1, 1));
    assert_eq!(told.lock().unwrap()[0].key.as_key().scope, "user");
    assert_eq!(stats(&pool, "account", "7").counters.leaked, 0);
    let parts = pool.try_acquire(&pair, "").unwrap();
    for scope in ["user", "account"] {
        assert_eq!(parts.release_scope(scope), Some(Released::Released));
    }
    parts.leak();
    assert_eq!((pool.leaked(), told.lock().unwrap().len()), (1, 1));
    let lost = pool.try_acquire(&pair, "").unwrap();
    force(&pool, &lost);
    lost.leak();
    assert_eq!((pool.leaked(), stands(&pool, "user", "1")), (2, (0, 0)));
    assert_eq!(
        told.lock().unwrap().len(),
        3,
        "of what was lost its host is told too"
    );
    let released = pool.try_acquire(&pair, "").unwrap();
    released.release();
    released.leak();
    assert_eq!(pool.leaked(), 2);
    // Empty, since another slot has what it had.
    let mut empty = pool.try_acquire(&[ACCOUNT], "").unwrap();
    let whole = pool.try_acquire(&user("1", 1), "").unwrap();
    whole.join(&mut empty).unwrap();
    empty.leak();
    assert_eq!((pool.leaked(), whole.release()), (2, Released::Released));
    // Empty, and then something was joined to it.
    let [mut again, user] =
        [[ACCOUNT], user("1", 1)].map(|ask| pool.try_acquire(&ask, "").unwrap());
    user.join(&mut again).unwrap();
    again
        .join(&mut pool.try_acquire(&[model], "").unwrap())
        .unwrap();
    assert_eq!(
        again.wait_lost(Some(Duration::ZERO)).unwrap_err().context(),
        "slot"
    );
    again.leak();
    assert_eq!(pool.leaked(), 3);
    assert_eq!(stats(&pool, "model", "m").counters.leaked, 1);
}

/// The sink is called under no lock: it may ask the pool, and it may leak.
#[test]
fn s11_a_sink_may_use_the_pool() {
    static POOL: OnceLock<SlotPool> = OnceLock::new();
    let (seen, calls) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let (seen_by, calls_by) = (seen.clone(), calls.clone());
    let (pool, _) = pool_with(PoolOptions {
        sink: Some(Arc::new(move |_| {
            let pool = POOL.get().unwrap();
            seen_by.fetch_add(u64::from(stands(pool, "user", "1").0), Ordering::SeqCst);
            if calls_by.fetch_add(1, Ordering::SeqCst) == 0 {
                pool.try_acquire(&user("2", 1), "").unwrap().leak();
            }
        })),
        ..PoolOptions::default()
    });
    let pool = POOL.get_or_init(|| pool);
    pool.try_acquire(&user("1", 1), "").unwrap().leak();
    assert_eq!(stands(pool, "user", "1"), (0, 0));
    assert_eq!(pool.leaked(), 2);
    assert_eq!(
        (seen.load(Ordering::SeqCst), calls.load(Ordering::SeqCst)),
        (1, 2)
    );
}

#[test]
fn s11_finalisers_of_many_threads_lose_none() {
    let _watchdog = Watchdog::new("finalisers of many threads");
    let told = Arc::new(AtomicU64::new(0));
    let sink = told.clone();
    let pool = SlotPool::new(PoolOptions {
        sink: Some(Arc::new(move |_| {
            sink.fetch_add(1, Ordering::Relaxed);
        })),
        ..PoolOptions::default()
    })
    .unwrap();
    thread::scope(|scope| {
        for at in 0..6_u32 {
            let pool = &pool;
            scope.spawn(move || {
                let id = (at % 3).to_string();
                for _ in 0..5_000 {
                    if let Ok(slot) = pool.wait(&user(&id, 1), &patient()).wait() {
                        slot.leak();
                    }
                }
            });
        }
        // Somebody looks: those who wait for a leaked slot do nothing themselves.
        let granted = || pool.scope_stats("user").counters.granted;
        until(|| pool.leaked() == 30_000 && granted() == 30_000);
    });
    assert_eq!(
        (pool.leaked(), told.load(Ordering::Relaxed)),
        (30_000, 30_000)
    );
}
