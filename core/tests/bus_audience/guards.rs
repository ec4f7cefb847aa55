//! B6: the cleanup guard, and those who wait for it.

use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use reqbus_core::bus::SubscribeOptions;
use reqbus_core::{Bell, ErrorKind};

use crate::common::{Watchdog, member, plain_bus};
use crate::{LONG, driven, join};

/// SEEDS 7.8, TOCTOU: who may take the guard.
#[test]
fn b6_only_the_sole_member_takes_the_cleanup_guard() {
    let bus = plain_bus();
    let (one, two) = (join(&bus, "a"), join(&bus, "a"));
    assert!(one.cleanup_guard().is_none(), "two members");
    assert_eq!(two.close().was_last, Some(false));
    assert!(two.cleanup_guard().is_none(), "its membership has ended");
    let guard = one.cleanup_guard().unwrap();
    assert_eq!(guard.audience(), "a");
    assert!(one.cleanup_guard().is_none(), "it is out already");
    assert_eq!(bus.audience_count("a"), 0);
    assert_eq!(
        one.close().was_last,
        None,
        "the guard has reported the last"
    );
    assert!(guard.release(), "in force until now");
    assert!(join(&bus, "a").is_first());
}

/// SEEDS 7.8, TOCTOU: a newcomer waits while the guard is out, goes on when it is dropped, and is first.
#[test]
fn b6_a_newcomer_waits_for_the_guard_and_is_first() {
    let _watchdog = Watchdog::new("newcomers wait");
    let (bus, _driver) = driven();
    let sub = join(&bus, "a");
    let guard = sub.cleanup_guard().unwrap();
    assert!(join(&bus, "b").is_first(), "other audiences never wait");
    let firsts = AtomicUsize::new(0);
    let stayed = Barrier::new(3);
    thread::scope(|scope| {
        let newcomers: Vec<_> = (0..3)
            .map(|_| {
                scope.spawn(|| {
                    let sub = member(&bus, "a", LONG).unwrap();
                    firsts.fetch_add(usize::from(sub.is_first()), Ordering::SeqCst);
                    stayed.wait();
                    sub.close().was_last
                })
            })
            .collect();
        for _ in 0..1_000 {
            assert_eq!(bus.audience_count("a"), 0, "nobody joins while it is out");
            thread::yield_now();
        }
        assert!(guard.release());
        let lasts: Vec<_> = newcomers.into_iter().map(|t| t.join().unwrap()).collect();
        assert_eq!(lasts.iter().filter(|last| **last == Some(true)).count(), 1);
    });
    assert_eq!(firsts.into_inner(), 1);
}

#[test]
fn b6_abort_gives_the_membership_back() {
    let (bus, _driver) = driven();
    let sub = join(&bus, "a");
    let guard = sub.cleanup_guard().unwrap();
    assert_eq!(
        member(&bus, "a", Duration::ZERO).unwrap_err(),
        ErrorKind::AudienceBusy
    );
    assert!(guard.abort());
    assert_eq!(bus.audience_count("a"), 1);
    let beside = join(&bus, "a");
    assert!(!beside.is_first(), "nothing was torn down");
    assert_eq!(beside.close().was_last, Some(false));
    assert_eq!(sub.close().was_last, Some(true));
    // A guard whose subscription went meanwhile has nothing to give back.
    let sub = join(&bus, "a");
    let guard = sub.cleanup_guard().unwrap();
    drop(sub);
    assert!(!guard.abort());
    assert!(join(&bus, "a").is_first());
}

#[test]
fn b6_a_guard_has_a_limit_and_its_holder_is_told() {
    let (bus, driver) = driven();
    let sub = join(&bus, "a");
    let guard = sub.cleanup_guard().unwrap();
    driver.advance(Duration::from_millis(29_999));
    assert!(!guard.is_expired());
    assert_eq!(
        member(&bus, "a", Duration::ZERO).unwrap_err(),
        ErrorKind::AudienceBusy
    );
    driver.advance(Duration::from_millis(1));
    assert!(guard.is_expired());
    let next = join(&bus, "a");
    assert!(next.is_first());
    // The late one disturbs nobody: another's guard stays.
    let theirs = next.cleanup_guard().unwrap();
    assert!(!guard.release());
    assert_eq!(
        member(&bus, "a", Duration::ZERO).unwrap_err(),
        ErrorKind::AudienceBusy
    );
    assert!(theirs.release());
}

/// A wait ends at the newcomer's own deadline, on the bus's clock; whoever waits longer goes on waiting.
#[test]
fn b6_a_newcomer_waits_till_its_own_deadline() {
    let _watchdog = Watchdog::new("own deadline");
    let (bus, driver) = driven();
    let sub = join(&bus, "a");
    let guard = sub.cleanup_guard().unwrap();
    let bell = Bell::new();
    let begin = |seconds| {
        bus.join(SubscribeOptions {
            audience: Some("a"),
            audience_wait: Duration::from_secs(seconds),
            ..SubscribeOptions::default()
        })
        .unwrap()
    };
    let (mut three, mut twenty) = (begin(3), begin(20));
    three.attach(&bell, 3);
    twenty.attach(&bell, 20);
    assert!(three.try_finish().is_none() && twenty.try_finish().is_none());
    let mut tokens = [0; 4];
    while bell.take(&mut tokens) > 0 {}
    driver.advance(Duration::from_secs(3));
    let taken = bell.take(&mut tokens);
    assert!(
        tokens[..taken].contains(&3),
        "the bell says that it is worth a look"
    );
    let refused = three.try_finish().unwrap().unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::AudienceBusy);
    assert_eq!(
        three.try_finish().unwrap().unwrap_err().kind(),
        ErrorKind::InvalidArgument
    );
    assert!(twenty.try_finish().is_none());
    while bell.take(&mut tokens) > 0 {}
    guard.release();
    let taken = bell.take(&mut tokens);
    assert_eq!(tokens[..taken], [20]);
    let newcomer = twenty.try_finish().unwrap().unwrap();
    assert!(newcomer.is_first());
    assert_eq!(bus.audience_count("a"), 1);
}

/// Closing the bus ends every wait for an audience, and no join hangs.
#[test]
fn b5_b6_closing_the_bus_ends_the_wait_for_an_audience() {
    let _watchdog = Watchdog::new("closing ends the wait");
    let (bus, _driver) = driven();
    let sub = join(&bus, "a");
    let guard = sub.cleanup_guard().unwrap();
    thread::scope(|scope| {
        let waiters: Vec<_> = (0..4)
            .map(|_| scope.spawn(|| member(&bus, "a", LONG)))
            .collect();
        for _ in 0..100 {
            thread::yield_now();
        }
        bus.close();
        for waiter in waiters {
            assert_eq!(waiter.join().unwrap().unwrap_err(), ErrorKind::Closed);
        }
    });
    guard.release();
    assert_eq!(bus.audience_count("a"), 0);
}
