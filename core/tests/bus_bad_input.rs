//! Every bad input has one answer, and none has an effect: nothing is published, nothing is lost, nobody is woken.

#![cfg(not(loom))]

mod common;

use std::future::Future;
use std::sync::Arc;
use std::task::{Context, Wake, Waker};
use std::time::Duration;

use common::{ALL, POLICIES, Watchdog, assert_adds_up, plain_bus, publish, subscribe};
use reqbus_core::bus::{
    Batch, Bus, BusOptions, Filter, Kind, Limits, Overflow, ResyncReason, Start, SubscribeOptions,
};
use reqbus_core::event::{MAX_PAYLOAD, RequestStatus};
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
fn kinds() {
    let long = "k".repeat(256);
    let longest = "é".repeat(127) + "k";
    assert_refused(ErrorKind::InvalidArgument, "kind", NewEvent::text("", "x"));
    assert_refused(ErrorKind::TooLarge, "kind", NewEvent::text(&long, "x"));
    for bad in ["a\nb", "a\rb", "a\0b", "\n"] {
        assert_refused(ErrorKind::InvalidArgument, "kind", NewEvent::text(bad, "x"));
    }
    for reserved in [
        "reqbus.",
        "reqbus.lost",
        "reqbus.resync",
        "reqbus.status",
        "reqbus.mine",
    ] {
        assert_refused(
            ErrorKind::ReservedKind,
            "kind",
            NewEvent::text(reserved, "x"),
        );
    }
    let bus = plain_bus();
    for good in [
        longest.as_str(),
        "reqbus",
        "reqbusx",
        "Reqbus.lost",
        " ",
        "request",
    ] {
        bus.publish(NewEvent::text(good, "x")).unwrap();
    }
    for (bad, kind) in [
        ("", ErrorKind::InvalidArgument),
        (long.as_str(), ErrorKind::TooLarge),
        ("a\nb", ErrorKind::InvalidArgument),
        ("reqbus.x", ErrorKind::ReservedKind),
    ] {
        assert_eq!(
            bus.kind(bad).unwrap_err().kind(),
            kind,
            "registering {bad:?}"
        );
    }
    assert_eq!(Kind::from_number(64), None);
}

#[test]
fn keys() {
    let long = "k".repeat(256);
    let event = NewEvent::text("k", "x");
    assert_refused(ErrorKind::TooLarge, "key", event.key(&long));
    let three_hundred = "k".repeat(300);
    assert_refused(ErrorKind::TooLarge, "key", event.key(&three_hundred));
    let bus = plain_bus();
    bus.publish(event.key(&long[..255])).unwrap();
    bus.publish(event.key("any\0UTF-8\r\n🦀")).unwrap();
}

#[test]
fn payloads_over_the_limit() {
    let bytes = vec![b'x'; MAX_PAYLOAD + 1];
    let text = str::from_utf8(&bytes).unwrap();
    let json = format!("\"{}\"", &text[..MAX_PAYLOAD - 1]);
    for event in [
        NewEvent::bytes("k", &bytes),
        NewEvent::text("k", text),
        NewEvent::json("k", &json),
    ] {
        assert_refused(ErrorKind::TooLarge, "payload", event);
    }
    let bus = plain_bus();
    bus.publish(NewEvent::bytes("k", &bytes[..MAX_PAYLOAD]))
        .unwrap();
    bus.publish(NewEvent::text("k", &text[..MAX_PAYLOAD]))
        .unwrap();
    let fits = format!("\"{}\"", &text[..MAX_PAYLOAD - 2]);
    bus.publish(NewEvent::json("k", &fits)).unwrap();
    let request = RequestEvent {
        path: text,
        ..RequestEvent::default()
    };
    let refused = bus.publish_request(&request).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::TooLarge);
    assert_eq!(bus.newest().seq, 3);
}

#[test]
fn json_that_is_none() {
    for json in [
        "",
        " ",
        "{",
        "{}{}",
        "{\"a\":1,}",
        "[1,]",
        "'a'",
        "{a:1}",
        "nul",
        "NaN",
        "01",
        "1.",
        "\"\t\"",
        "\"\\x\"",
        "\u{feff}{}",
        "// {}",
        "\"unended",
        "{\"a\":1}\0",
    ] {
        assert_refused(ErrorKind::InvalidJson, "payload", NewEvent::json("k", json));
    }
    let bus = plain_bus();
    for good in [
        "{}",
        "[]",
        " null\n",
        "\"\"",
        "-0.1e+9",
        "true",
        "[[[[[[]]]]]]",
    ] {
        bus.publish(NewEvent::json("k", good)).unwrap();
    }
}

#[test]
fn extra_objects() {
    let bus = plain_bus();
    for extra in ["", "1", "[]", "null", "\"x\"", "{", "{\"a\":}", "{} {}"] {
        let request = RequestEvent {
            extra: Some(extra),
            ..RequestEvent::default()
        };
        let refused = bus.publish_request(&request).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::InvalidJson, "{extra}");
    }
    assert_eq!(bus.newest().seq, 0);
    assert_eq!(bus.stats().extra_clashes, 0);
    let clashing = RequestEvent {
        extra: Some(r#"{"status":"mine","user":7}"#),
        status: RequestStatus::Error,
        ..RequestEvent::default()
    };
    bus.publish_request(&clashing).unwrap();
    assert_eq!((bus.newest().seq, bus.stats().extra_clashes), (1, 1));
}

#[test]
fn times_past_the_year_2262() {
    for ns in [u64::MAX, 1 << 63] {
        let event = NewEvent::text("k", "x").time_ns(ns);
        assert_refused(ErrorKind::InvalidArgument, "timestamp", event);
    }
    let bus = plain_bus();
    bus.publish(NewEvent::text("k", "x").time_ns((1 << 63) - 1))
        .unwrap();
    bus.publish(NewEvent::text("k", "x").time_ns(0)).unwrap();
}

#[test]
fn publishing_no_event_and_many() {
    let bus = plain_bus();
    let refused = bus.publish_many(&[]).unwrap_err();
    assert_eq!(
        (refused.kind(), refused.context()),
        (ErrorKind::InvalidArgument, "events")
    );
    assert_eq!(bus.newest().seq, 0);
    let last = bus
        .publish_many(&[NewEvent::text("k", "x"); 1_000])
        .unwrap();
    assert_eq!(last.seq, 1_000);
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

/// A dropped bus is a closed bus: whoever still reads gets everything, then the end.
#[test]
fn reading_after_the_bus_is_gone() {
    for policy in POLICIES {
        let bus = plain_bus();
        let sub = subscribe(&bus, policy);
        let clone = bus.clone();
        publish(&bus);
        drop(bus);
        publish(&clone);
        drop(clone);
        assert_eq!(common::seqs(&sub), [1, 2]);
        let ended = sub.try_recv(&mut Batch::new(), ALL).unwrap_err();
        assert_eq!(ended.kind(), ErrorKind::Closed);
        assert!(sub.is_closed());
    }
}

#[test]
fn options_of_a_bus() {
    let refused = |options: BusOptions, field: &str| {
        let refused = Bus::new(options).unwrap_err();
        assert_eq!(
            (refused.kind(), refused.context()),
            (ErrorKind::InvalidArgument, field)
        );
    };
    for log_events in [0, (1 << 20) + 1, usize::MAX] {
        refused(
            BusOptions {
                log_events,
                ..BusOptions::default()
            },
            "log_events",
        );
    }
    for log_bytes in [0, (64 << 10) - 1, (16 << 30) + 1, usize::MAX] {
        refused(
            BusOptions {
                log_bytes,
                ..BusOptions::default()
            },
            "log_bytes",
        );
    }
    // Any age is an age.
    for resume_age in [Duration::ZERO, Duration::MAX] {
        let bus = common::bus(BusOptions {
            resume_age,
            log_events: 1,
            ..BusOptions::default()
        });
        publish(&bus);
        let sub = common::resume(&bus, Overflow::CatchUp, &format!("{:016x}-0", bus.epoch()));
        drop(sub);
    }
}

#[test]
fn options_of_a_subscription() {
    let bus = plain_bus();
    publish(&bus);
    let long = "x".repeat(256);
    let of = |overflow| SubscribeOptions {
        overflow,
        ..SubscribeOptions::default()
    };
    let newest = |events, bytes| of(Overflow::DropNewest { events, bytes });
    let oldest = |events| of(Overflow::DropOldest { events });
    for (options, kind, field) in [
        (newest(0, 1), ErrorKind::InvalidArgument, "capacity"),
        (
            newest((1 << 16) + 1, 1),
            ErrorKind::InvalidArgument,
            "capacity",
        ),
        (
            newest(usize::MAX, 1),
            ErrorKind::InvalidArgument,
            "capacity",
        ),
        (newest(1, 0), ErrorKind::InvalidArgument, "capacity_bytes"),
        (
            newest(1, usize::MAX),
            ErrorKind::InvalidArgument,
            "capacity_bytes",
        ),
        (oldest(0), ErrorKind::InvalidArgument, "capacity"),
        (
            oldest((1 << 16) + 1),
            ErrorKind::InvalidArgument,
            "capacity",
        ),
        (
            SubscribeOptions {
                label: &long,
                ..SubscribeOptions::default()
            },
            ErrorKind::TooLarge,
            "label",
        ),
        (
            SubscribeOptions {
                audience: Some(""),
                ..SubscribeOptions::default()
            },
            ErrorKind::InvalidArgument,
            "audience",
        ),
        (
            SubscribeOptions {
                audience: Some(&long),
                ..SubscribeOptions::default()
            },
            ErrorKind::TooLarge,
            "audience",
        ),
    ] {
        let refused = bus.subscribe(options).unwrap_err();
        assert_eq!((refused.kind(), refused.context()), (kind, field));
    }
    let stats = bus.stats();
    assert_eq!((stats.subscriptions, stats.newest.seq), (0, 1), "no effect");
    for good in [
        newest(1, 1),
        newest(1 << 16, 16 << 30),
        oldest(1),
        oldest(1 << 16),
    ] {
        bus.subscribe(good).unwrap();
    }
    let label = &long[..255];
    let sub = bus
        .subscribe(SubscribeOptions {
            label,
            audience: Some(label),
            ..SubscribeOptions::default()
        })
        .unwrap();
    assert_eq!(sub.label(), label);
}

#[test]
fn filters() {
    let long = "k".repeat(256);
    for (keys, kinds, kind, field) in [
        (vec![long.as_str()], vec![], ErrorKind::TooLarge, "keys"),
        (vec![], vec![long.as_str()], ErrorKind::TooLarge, "kinds"),
        (vec![], vec![""], ErrorKind::InvalidArgument, "kinds"),
        (vec!["k"; 1_025], vec![], ErrorKind::TooLarge, "keys"),
        (vec![], vec!["k"; 1_025], ErrorKind::TooLarge, "kinds"),
    ] {
        let refused = Filter::new(&keys, &kinds).unwrap_err();
        assert_eq!((refused.kind(), refused.context()), (kind, field));
    }
    let names: Vec<String> = (0..1_024).map(|n| n.to_string()).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let bus = plain_bus();
    let sub = bus
        .subscribe(SubscribeOptions {
            filter: Filter::new(&names, &names).unwrap(),
            ..SubscribeOptions::default()
        })
        .unwrap();
    for (kind, key) in [("5", "1023"), ("1024", "5"), ("1000", "0"), ("5", "x")] {
        bus.publish(NewEvent::text(kind, "x").key(key)).unwrap();
    }
    assert_eq!(
        common::seqs(&sub),
        [1, 3],
        "kinds past the 63rd are compared as text"
    );
    assert_eq!(
        Filter::new(&["b", "a", "b"], &[]),
        Filter::new(&["a", "b"], &[]),
        "sets"
    );
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

/// What a waker may do: anything.
struct Busybody {
    bus: Bus,
    close: bool,
}

impl Wake for Busybody {
    fn wake(self: Arc<Self>) {
        publish(&self.bus);
        let _ = (self.bus.stats(), self.bus.consumers());
        drop(subscribe(&self.bus, POLICIES[0]));
        self.bus
            .set_status("waker", &self.bus.newest().to_string(), "")
            .unwrap();
        if self.close {
            self.bus.close();
        }
    }
}

#[test]
fn publish_from_inside_a_waker() {
    let _watchdog = Watchdog::new("publish from inside a waker");
    for policy in POLICIES {
        let bus = plain_bus();
        let sub = subscribe(&bus, policy);
        let mut batch = Batch::new();
        for round in 1..=10 {
            let close = round == 10;
            let waker = Waker::from(Arc::new(Busybody {
                bus: bus.clone(),
                close,
            }));
            let mut recv = sub.recv(&mut batch, ALL);
            let mut cx = Context::from_waker(&waker);
            assert!(std::pin::Pin::new(&mut recv).poll(&mut cx).is_pending());
            publish(&bus);
            drop(recv);
            let seqs: Vec<_> = common::drain(&sub)
                .iter()
                .filter_map(common::Got::seq)
                .collect();
            assert_eq!(seqs, [2 * round - 1, 2 * round], "the waker's event too");
        }
        assert!(sub.is_closed());
        assert_adds_up(&sub.stats());
    }
}
