//! Slots that are lost (S10).

#![cfg(not(loom))]

mod common;

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use common::slots::{granted, ms, patient, pool, pool_with, s, system_pool, user};
use common::{Watchdog, until};
use reqbus_core::Bell;
use reqbus_core::slots::{
    Ask, FaultOptions, Limit, LostReason, PoolOptions, Released, Slot, SlotPool,
};

const ACCOUNT: Ask<'static> = Ask::new("account", "7", Limit::Of(1));

fn force(pool: &SlotPool, slot: &Slot) {
    let holder = slot.holders().pop().unwrap();
    let forced = pool.force(holder.key.as_key(), holder.id).wait(None);
    assert!(forced.unwrap());
}

/// Counts its wakes.
#[derive(Default)]
struct Wakes(AtomicU64);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl Wakes {
    fn count(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}

#[test]
fn s10_the_flag_says_why_until_the_release() {
    let (pool, _) = pool();
    let slot = pool.try_acquire(&[user("1", 1)[0], ACCOUNT], "").unwrap();
    assert_eq!(slot.lost(), None);
    force(&pool, &slot); // the last, which is the account
    assert_eq!(slot.lost(), Some(LostReason::Forced));
    assert_eq!(
        slot.lost(),
        Some(LostReason::Forced),
        "as often as it is asked"
    );
    assert_eq!((slot.keys().len(), slot.holders().len()), (2, 1));
    assert_eq!(slot.release_scope("account"), Some(Released::Lost));
    assert_eq!((slot.lost(), slot.keys().len()), (None, 1));
    assert_eq!(slot.release(), Released::Released, "the rest was not lost");
    assert_eq!(pool.scope_stats("account").counters.lost, 1);
    assert_eq!(pool.scope_stats("user").counters.lost, 0);
}

#[test]
fn s10_a_future_of_the_loss_is_woken_once() {
    let (pool, _) = pool();
    for lost in [true, false] {
        let slot = pool.try_acquire(&user("1", 1), "").unwrap();
        let wakes = Arc::new(Wakes::default());
        let waker = Waker::from(wakes.clone());
        let mut cx = Context::from_waker(&waker);
        let mut future = pin!(slot.until_lost());
        assert_eq!(future.as_mut().poll(&mut cx), Poll::Pending);
        if lost {
            force(&pool, &slot);
        } else {
            slot.release();
        }
        assert_eq!(wakes.count(), 1);
        let expected = lost.then_some(LostReason::Forced);
        assert_eq!(future.as_mut().poll(&mut cx), Poll::Ready(expected));
        slot.release();
        // Asked after the end, it is there at once.
        let again = pin!(slot.until_lost()).poll(&mut cx);
        assert_eq!(again, Poll::Ready(None), "released now");
    }
}

/// What is joined to a slot that is watched is watched too, and what is watched already is lost with it.
#[test]
fn s10_a_future_is_woken_for_what_was_joined_after_it_began() {
    let (pool, _) = pool();
    let slot = pool.try_acquire(&user("1", 1), "").unwrap();
    let wakes = Arc::new(Wakes::default());
    let waker = Waker::from(wakes.clone());
    let mut cx = Context::from_waker(&waker);
    let mut future = pin!(slot.until_lost());
    assert!(future.as_mut().poll(&mut cx).is_pending());
    slot.join(&mut pool.try_acquire(&[ACCOUNT], "").unwrap())
        .unwrap();
    force(&pool, &slot); // the last, which was joined
    assert_eq!(wakes.count(), 1);
    let told = future.as_mut().poll(&mut cx);
    assert_eq!(told, Poll::Ready(Some(LostReason::Forced)));
    assert_eq!(slot.release(), Released::Lost);
}

#[test]
fn s10_a_blocked_thread_is_told() {
    let _watchdog = Watchdog::new("a blocked thread is told of a loss");
    let pool = system_pool();
    let slot = pool.try_acquire(&user("1", 1), "").unwrap();
    thread::scope(|scope| {
        let waiting = scope.spawn(|| slot.wait_lost(None));
        let is_blocked = || slot.wait_lost(Some(Duration::ZERO)).unwrap_err().context() == "slot";
        until(is_blocked);
        force(&pool, &slot);
        assert_eq!(waiting.join().unwrap().unwrap(), Some(LostReason::Forced));
    });
    let before = slot.wait_lost(None).unwrap();
    assert_eq!(before, Some(LostReason::Forced), "lost before it was asked");
    assert_eq!(slot.release(), Released::Lost);
    assert_eq!(slot.wait_lost(None).unwrap(), None);
}

#[test]
fn s10_the_bell_rings_once_for_a_loss_and_never_for_a_release() {
    let (pool, _) = pool();
    let bell = Bell::new();
    let mut tokens = [0; 8];
    let mut taken = || bell.take(&mut tokens);
    let slots = ["1", "2", "3", "4"].map(|id| pool.try_acquire(&user(id, 1), "").unwrap());
    for (token, slot) in slots.iter().enumerate() {
        slot.attach(&bell, token as u64).unwrap();
    }
    assert_eq!(taken(), 4, "ready at once");
    assert_eq!(taken(), 0);
    let [forced, released, detached, dropped] = slots;
    force(&pool, &forced);
    assert_eq!(taken(), 1);
    forced.release();
    released.release();
    detached.detach();
    force(&pool, &detached);
    drop(dropped);
    assert_eq!(taken(), 0);
    assert_eq!(
        (forced.lost(), detached.lost()),
        (None, Some(LostReason::Forced))
    );
    // Attached after the loss, it is ready, and a look finds it.
    detached.attach(&bell, 9).unwrap();
    assert_eq!(taken(), 1);
}

#[test]
fn s10_a_lease_that_ends_is_told_as_expired() {
    let (pool, driver) = pool_with(PoolOptions {
        fault: Some(FaultOptions {
            lost_lease: 1_000,
            ..FaultOptions::default()
        }),
        ..PoolOptions::default()
    });
    let wait = pool.wait(&user("1", 1), &patient());
    driver.advance(ms(1));
    let slot = granted(&wait);
    let wakes = Arc::new(Wakes::default());
    let waker = Waker::from(wakes.clone());
    let mut future = pin!(slot.until_lost());
    assert!(
        future
            .as_mut()
            .poll(&mut Context::from_waker(&waker))
            .is_pending()
    );
    driver.advance(s(10));
    assert!(wakes.count() >= 1);
    assert_eq!(slot.lost(), Some(LostReason::Expired));
    let told = future.as_mut().poll(&mut Context::from_waker(&waker));
    assert_eq!(told, Poll::Ready(Some(LostReason::Expired)));
    assert_eq!(
        (slot.release(), slot.release()),
        (Released::Lost, Released::Already)
    );
}
