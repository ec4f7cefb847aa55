//! `tests/conformance/encodings.json`: the texts that every language must produce, byte for byte. Its
//! expectations were written by a program of their own, not by this library.

use reqbus_core::event::{EventId, RequestStatus};
use reqbus_core::wire::{self, Form};
use reqbus_core::{Event, NewEvent, RequestEvent};
use serde_json::Value;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

fn cases(list: &str) -> Vec<Value> {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../tests/conformance/encodings.json"
    );
    let text = std::fs::read_to_string(path).expect("the shared cases");
    let mut file: Value = serde_json::from_str(&text).expect("JSON");
    match file[list].take() {
        Value::Array(cases) => cases,
        other => panic!("{list}: {other}"),
    }
}

fn text<'a>(case: &'a Value, name: &str) -> &'a str {
    case[name]
        .as_str()
        .unwrap_or_else(|| panic!("{name} of {case}"))
}

fn number<T: std::str::FromStr<Err: std::fmt::Debug>>(case: &Value, name: &str) -> T {
    text(case, name)
        .parse()
        .unwrap_or_else(|e| panic!("{name} of {case}: {e:?}"))
}

fn id(case: &Value, name: &str) -> EventId {
    EventId::parse(text(case, name).as_bytes()).expect("an id")
}

fn status(name: &str) -> RequestStatus {
    let all = (0..3).filter_map(RequestStatus::from_number);
    all.into_iter()
        .find(|status| status.name() == name)
        .expect("a status")
}

fn event(case: &Value) -> Event {
    let (kind, key, time_ns) = (
        text(case, "kind"),
        text(case, "key"),
        number(case, "time_ns"),
    );
    let payload = &case["payload"];
    let bytes;
    let new = match text(payload, "sort") {
        "json" => NewEvent::json(kind, text(payload, "json")),
        "text" => NewEvent::text(kind, text(payload, "text")),
        "bytes" => {
            bytes = STANDARD.decode(text(payload, "base64")).expect("base64");
            NewEvent::bytes(kind, &bytes)
        }
        "request" => NewEvent::request(&RequestEvent {
            timestamp_ns: Some(time_ns),
            method: text(payload, "method"),
            path: text(payload, "path"),
            model: text(payload, "model"),
            account_id: number(payload, "account_id"),
            status: status(text(payload, "status")),
            latency_ms: number(payload, "latency_ms"),
            key,
            extra: payload.get("extra").map(|_| text(payload, "extra")),
        })
        .expect("extra is an object"),
        other => panic!("sort {other}"),
    };
    assert_eq!(new.kind(), kind);
    Event::detached(&new.key(key).time_ns(time_ns), id(case, "id")).expect("nothing to refuse")
}

fn append(out: &mut Vec<u8>, form: Form, item: &Value) {
    match text(item, "sort") {
        "lost" => {
            let (missed, next_n) = (number(item, "missed"), number(item, "next_n"));
            wire::lost(out, form, missed, text(item, "reason"), next_n);
        }
        "resync" => wire::resync(out, form, text(item, "reason"), id(item, "head")),
        "status" => {
            let (source, state) = (text(item, "source"), text(item, "state"));
            wire::status(out, form, source, state, text(item, "detail"));
        }
        "heartbeat" => wire::heartbeat(out, form, id(item, "settled")),
        "retry" => wire::retry(out, form, number(item, "ms")),
        other => panic!("sort {other}"),
    }
}

#[test]
fn every_event_in_every_form() {
    let cases = cases("events");
    assert!(cases.len() >= 25);
    for case in &cases {
        let event = event(case);
        for form in Form::ALL {
            let made = wire::text(&event, form, |_| {});
            let made = std::str::from_utf8(made).expect("UTF-8");
            assert_eq!(
                made,
                text(&case["expect"], form.name()),
                "{} as {form}",
                case["name"]
            );
        }
    }
}

#[test]
fn every_control_item_in_every_form() {
    let cases = cases("items");
    for form in Form::ALL {
        let (mut all, mut want) = (Vec::new(), String::new());
        for case in &cases {
            append(&mut all, form, &case["item"]);
            want.push_str(text(&case["expect"], form.name()));
            assert_eq!(
                String::from_utf8_lossy(&all),
                want,
                "{} as {form}",
                case["name"]
            );
        }
    }
    let sorts = ["lost", "resync", "status", "heartbeat", "retry"];
    for sort in sorts {
        assert!(
            cases.iter().any(|case| case["item"]["sort"] == sort),
            "{sort}"
        );
    }
}

#[test]
fn names_are_said_once() {
    for list in ["events", "items"] {
        let cases = cases(list);
        let mut names: Vec<&str> = cases.iter().map(|case| text(case, "name")).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), cases.len(), "{list}");
    }
}
