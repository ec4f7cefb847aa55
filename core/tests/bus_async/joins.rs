//! Joining an audience as a future.

use std::sync::Arc;
use std::task::Poll;
use std::thread;
use std::time::Duration;

use reqbus_core::ErrorKind;
use reqbus_core::bus::{BusOptions, SubscribeOptions};
use reqbus_core::time::Clock;

use crate::common::{Watchdog, everywhere, plain_bus};
use crate::{Wakes, poll};

/// B6: a newcomer waits as a future while the audience is cleaned up, and other audiences do not.
#[test]
fn b6_join_waits_as_a_future_and_dropped_has_joined_nothing() {
    let _watchdog = Watchdog::new("join");
    everywhere(|| async {
        let bus = plain_bus();
        let options = || SubscribeOptions {
            audience: Some("a"),
            audience_wait: Duration::from_secs(60),
            ..SubscribeOptions::default()
        };
        let first = bus.join(options()).unwrap().await.unwrap();
        assert!(first.is_first());
        let second = bus.join(options()).unwrap().await.unwrap();
        assert!(!second.is_first());
        assert!(first.cleanup_guard().is_none(), "it is not alone");
        assert_eq!(second.close().was_last, Some(false));
        let guard = first.cleanup_guard().unwrap();
        assert_eq!(bus.audience_count("a"), 0);
        let wakes = Arc::<Wakes>::default();
        let mut gives_up = bus.join(options()).unwrap();
        let mut waits = bus.join(options()).unwrap();
        assert!(poll(&mut gives_up, &wakes).is_pending());
        assert!(poll(&mut waits, &wakes).is_pending());
        let elsewhere = bus.join(SubscribeOptions {
            audience: Some("b"),
            ..options()
        });
        assert!(elsewhere.unwrap().await.unwrap().is_first());
        drop(gives_up);
        let releaser = thread::spawn(move || drop(guard));
        let newcomer = waits.await.unwrap();
        releaser.join().unwrap();
        assert!(newcomer.is_first());
        assert_eq!(bus.audience_count("a"), 1);
        assert_eq!(newcomer.close().was_last, Some(true));
    });
}

#[test]
fn b6_join_ends_at_its_deadline_and_when_the_bus_closes() {
    let (clock, driver) = Clock::driven();
    let bus = crate::common::bus(BusOptions {
        clock,
        ..BusOptions::default()
    });
    let first = crate::common::member(&bus, "a", Duration::ZERO).unwrap();
    let guard = first.cleanup_guard().unwrap();
    let join = |secs| {
        bus.join(SubscribeOptions {
            audience: Some("a"),
            audience_wait: Duration::from_secs(secs),
            ..SubscribeOptions::default()
        })
        .unwrap()
    };
    let (early, late) = (Arc::<Wakes>::default(), Arc::<Wakes>::default());
    let (mut five, mut ten) = (join(5), join(10));
    assert!(poll(&mut five, &early).is_pending());
    assert!(poll(&mut ten, &late).is_pending());
    driver.advance(Duration::from_secs(5));
    assert!(early.count() > 0, "woken at the deadline");
    let Poll::Ready(answer) = poll(&mut five, &early) else {
        panic!()
    };
    assert_eq!(answer.unwrap_err().kind(), ErrorKind::AudienceBusy);
    let Poll::Ready(again) = poll(&mut five, &early) else {
        panic!()
    };
    assert_eq!(again.unwrap_err().kind(), ErrorKind::InvalidArgument);
    bus.close();
    assert!(late.count() > 0, "woken by the close");
    let Poll::Ready(answer) = poll(&mut ten, &late) else {
        panic!()
    };
    assert_eq!(answer.unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(bus.audience_count("a"), 0);
    drop(guard);
}
