//! Every bad input has one answer, and none has an effect: nothing is published, nothing is lost, nobody is woken.

#![cfg(not(loom))]

mod common;
#[path = "bus_bad_input/events.rs"]
mod events;
#[path = "bus_bad_input/inside.rs"]
mod inside;
#[path = "bus_bad_input/options.rs"]
mod options;

use std::time::Duration;

use common::{ALL, POLICIES, Watchdog, assert_adds_up, plain_bus, publish, subscribe};
use reqbus_core::bus::{Batch, BusOptions, Limits, ResyncReason, Start, SubscribeOptions};
use reqbus_core::time::Clock;
use reqbus_core::wire::Form;
use reqbus_core::{Bell, ErrorKind, EventId, NewEvent, RequestEvent};

/// `publish` is refused so, about that field, and has no effect on a bus that is read.
#[track_caller]
fn assert_refused(kind: ErrorKind, field: &str, event: NewEvent<'_>) {
    let bus = plain_bus();
    let subs = POLICIES.map(|policy| subscribe(&bus, policy));
    publish(&bus);
    let before = (bus.newest(), bus.stats());
    for many in [false, true] {
        let refused = if many {
            // All or none: the good ones around it are not published either.
            let good = NewEvent::text("k", "good");
            bus.publish_many(&[good, event, good])
        } else {
            bus.publish(event)
        };
        let refused = refused.unwrap_err();
        assert_eq!(
            (refused.kind(), refused.context()),
            (kind, field),
            "{refused}"
        );
        assert_eq!((bus.newest(), bus.stats()), before, "no effect");
    }
    assert_eq!(publish(&bus), 2, "a refusal uses no seq");
    for sub in subs {
        assert_eq!(common::seqs(&sub), [1, 2]);
        assert_adds_up(&sub.stats());
    }
}

#[test]
fn publish_after_close() {
    for policy in POLICIES {
        let bus = plain_bus();
        let sub = subscribe(&bus, policy);
        publish(&bus);
        bus.close();
        let before = bus.stats();
        for _ in 0..2 {
            let event = NewEvent::text("k", "x");
            assert_eq!(bus.publish(event).unwrap_err().kind(), ErrorKind::Closed);
            assert_eq!(
                bus.publish_many(&[event; 3]).unwrap_err().kind(),
                ErrorKind::Closed
            );
            let request = RequestEvent::default();
            assert_eq!(
                bus.publish_request(&request).unwrap_err().kind(),
                ErrorKind::Closed
            );
            assert_eq!(
                bus.set_status("s", "up", "").unwrap_err().kind(),
                ErrorKind::Closed
            );
            let subscribe = bus.subscribe(SubscribeOptions::default());
            assert_eq!(subscribe.unwrap_err().kind(), ErrorKind::Closed);
            // Invalid and closed: either is an answer, an effect is not.
            assert!(bus.publish(NewEvent::text("", "x")).is_err());
        }
        assert_eq!(bus.stats(), before, "no effect");
        assert_eq!(common::seqs(&sub), [1]);
        let mut batch = Batch::new();
        for _ in 0..2 {
            let ended = sub.try_recv(&mut batch, ALL).unwrap_err();
            assert_eq!(ended.kind(), ErrorKind::Closed);
            let ended = sub.recv_timeout(&mut batch, ALL, None).unwrap_err();
            assert_eq!(ended.kind(), ErrorKind::Closed);
        }
        assert_eq!(sub.close().was_last, None);
        assert_adds_up(&sub.stats());
    }
}

#[test]
fn limits_of_zero_take_nothing() {
    for policy in POLICIES {
        let bus = plain_bus();
        let sub = subscribe(&bus, policy);
        publish(&bus);
        let mut batch = Batch::new();
        assert_eq!(sub.try_recv(&mut batch, ALL).unwrap(), 1);
        publish(&bus);
        let settled = sub.settled();
        for (limits, field) in [
            (
                Limits {
                    max_items: 0,
                    ..ALL
                },
                "max_items",
            ),
            (
                Limits {
                    max_bytes: 0,
                    ..ALL
                },
                "max_bytes",
            ),
        ] {
            let refusals = [
                sub.try_recv(&mut batch, limits),
                sub.try_recv_texts(&mut batch, Form::Sse, limits),
                sub.recv_timeout(&mut batch, limits, None),
                sub.recv_texts_timeout(&mut batch, Form::Json, limits, None),
            ];
            for refused in refusals {
                let refused = refused.unwrap_err();
                assert_eq!(
                    (refused.kind(), refused.context()),
                    (ErrorKind::InvalidArgument, field)
                );
            }
        }
        assert_eq!(batch.len(), 1, "the batch is as it was");
        assert_eq!((sub.stats().pending, sub.settled()), (1, settled));
        let one = Limits {
            max_items: 1,
            max_bytes: 1,
        };
        assert_eq!(
            sub.try_recv(&mut batch, one).unwrap(),
            1,
            "one is always taken"
        );
    }
}

/// Ids that are none are answered with a resync, whatever they are; see `bus_resume` for the whole table.
#[test]
fn b4_ids_that_are_none_and_ids_of_ten_kilobytes() {
    let bus = plain_bus();
    publish(&bus);
    let good = bus.newest().to_string();
    let long = "1".repeat(10_000);
    let long_tail = good.clone() + &" ".repeat(10_000);
    let mut nul = good.clone().into_bytes();
    nul.push(0);
    let bad: Vec<&[u8]> = vec![
        b"",
        b"\0",
        &nul,
        b"\xff\xfe",
        long.as_bytes(),
        long_tail.as_bytes(),
        b"0123456789abcdef-18446744073709551615",
    ];
    for text in bad {
        for overflow in POLICIES {
            let sub = bus
                .subscribe(SubscribeOptions {
                    start: Start::After(text),
                    overflow,
                    ..SubscribeOptions::default()
                })
                .unwrap();
            let got = common::drain(&sub);
            assert_eq!(
                got,
                [common::Got::Resync(ResyncReason::Malformed, bus.newest())]
            );
        }
    }
    assert!("".parse::<EventId>().is_err());
}

#[test]
fn b10_a_65th_source_and_bad_names() {
    let bus = plain_bus();
    let sub = subscribe(&bus, POLICIES[0]);
    for n in 0..64 {
        bus.set_status(&n.to_string(), "up", "").unwrap();
    }
    let long = "x".repeat(256);
    let detail = "d".repeat(4_097);
    for (source, state, detail, kind, field) in [
        ("64", "up", "", ErrorKind::TooManySources, "source"),
        ("", "up", "", ErrorKind::InvalidArgument, "source"),
        ("1", "", "", ErrorKind::InvalidArgument, "state"),
        (long.as_str(), "up", "", ErrorKind::TooLarge, "source"),
        ("1", long.as_str(), "", ErrorKind::TooLarge, "state"),
        ("1", "up", detail.as_str(), ErrorKind::TooLarge, "detail"),
    ] {
        let refused = bus.set_status(source, state, detail).unwrap_err();
        assert_eq!((refused.kind(), refused.context()), (kind, field));
    }
    assert_eq!(common::drain(&sub).len(), 64, "no effect");
    bus.set_status("64", "gone", "").unwrap();
    bus.set_status("63", "gone", "").unwrap();
    bus.set_status("64", "up", "").unwrap();
    assert_eq!(common::drain(&sub).len(), 2);
}

#[test]
fn an_audience_that_is_busy_and_one_that_closes() {
    let (clock, driver) = Clock::driven();
    let bus = common::bus(BusOptions {
        clock,
        ..BusOptions::default()
    });
    let first = common::member(&bus, "a", Duration::ZERO).unwrap();
    let guard = first.cleanup_guard().unwrap();
    let refused = common::member(&bus, "a", Duration::ZERO).unwrap_err();
    assert_eq!(refused, ErrorKind::AudienceBusy);
    assert_eq!(
        (bus.audience_count("a"), bus.stats().subscriptions),
        (0, 1),
        "no effect"
    );
    driver.advance(Duration::from_secs(30));
    assert!(guard.is_expired());
    let next = common::member(&bus, "a", Duration::ZERO).unwrap();
    assert!(next.is_first());
    assert!(!guard.release());
    bus.close();
    assert_eq!(
        common::member(&bus, "a", Duration::ZERO).unwrap_err(),
        ErrorKind::Closed
    );
    assert_eq!(next.close().was_last, Some(true));
    assert_eq!(next.close().was_last, None);
}

#[test]
fn a_bell_and_no_room_for_tokens() {
    let _watchdog = Watchdog::new("no room for tokens");
    let bus = plain_bus();
    let bell = Bell::new();
    let sub = subscribe(&bus, POLICIES[1]);
    sub.attach(&bell, 7).unwrap();
    for _ in 0..2 {
        // With a token ready, which nobody can take; the second time on a closed bell.
        assert_eq!(bell.take(&mut []), 0);
        for timeout in [Some(Duration::ZERO), None] {
            let refused = bell.wait(&mut [], timeout).unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::InvalidArgument);
        }
        bell.close();
    }
    let mut tokens = [0];
    assert_eq!(
        bell.wait(&mut tokens, None).unwrap(),
        1,
        "nothing was taken"
    );
    assert_eq!(tokens, [7]);
    assert_eq!(
        bell.wait(&mut tokens, None).unwrap_err().kind(),
        ErrorKind::Closed
    );
}
