//! What an event may not be, alone and in a list.

use reqbus_core::bus::Kind;
use reqbus_core::event::{MAX_PAYLOAD, RequestStatus};
use reqbus_core::{ErrorKind, NewEvent, RequestEvent};

use crate::assert_refused;
use crate::common::plain_bus;

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
