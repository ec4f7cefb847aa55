//! Whatever is published, other people's readers get it back: `eventsource-stream` and a plain reading
//! of the WHATWG algorithm for SSE, `serde_json` for JSON.
//!
//! Where `eventsource-stream` 0.2.3 departs from WHATWG HTML section 9.2.6, and these tests therefore
//! ask only the plain reader:
//! * a block of only `id:` moves its id for the messages that follow, but its `last_event_id()` not
//!   before the next message;
//! * a block of only `retry:` is forgotten: it reports a reconnection time on messages alone;
//! * a stream that begins with a BOM makes it panic (it cuts one byte of the three). We send none.
#![cfg(not(loom))]

#[path = "../../fuzz/src/sse_reader.rs"]
mod sse_reader;

use std::convert::Infallible;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use eventsource_stream::Eventsource;
use proptest::collection::vec;
use proptest::prelude::*;
use reqbus_core::event::{EventId, Payload, REQUEST_FIELDS, RequestStatus};
use reqbus_core::wire::{self, Form};
use reqbus_core::{Event, NewEvent, RequestEvent};
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::{Map, Value};
use smol::stream::StreamExt;
use sse_reader::{Message, lines_of};

/// Text that would break a careless writer: in pieces, so that the pieces meet in every order.
fn hostile() -> impl Strategy<Value = String> {
    let token = prop::sample::select(vec![
        "\r",
        "\n",
        "\r\n",
        "\n\n",
        "\u{2028}",
        "\u{2029}",
        "\u{85}",
        "\u{feff}",
        "\0",
        ":",
        ": ",
        " ",
        "data: ",
        "id: 1",
        "event: reqbus.lost",
        "retry: 1",
        "\"",
        "\\",
        "\\n",
        "\\u0000",
        "{",
        "}",
        "é",
        "🦀",
        "\u{7f}",
        "\u{1f}",
        "a",
    ]);
    prop_oneof![
        2 => vec(token, 0..12).prop_map(|tokens| tokens.concat()),
        1 => any::<String>(),
        1 => "[ -~]{0,40}",
    ]
}

fn kind() -> impl Strategy<Value = String> {
    hostile()
        .prop_map(|text| text.replace(['\r', '\n', '\0'], ""))
        .prop_filter("a kind", |kind| {
            (1..=255).contains(&kind.len()) && !kind.starts_with("reqbus.")
        })
}

fn key() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(String::new()),
        hostile().prop_filter("a key", |key| key.len() <= 255)
    ]
}

fn id() -> impl Strategy<Value = EventId> {
    let seq = prop_oneof![0..=100_u64, 0..u64::MAX];
    (any::<u64>(), seq).prop_map(|(epoch, seq)| EventId { epoch, seq })
}

/// JSON values as hosts write them: compact, or spread over lines that end in one way or another.
fn json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        (-1e300..1e300_f64).prop_map(Value::from),
        hostile().prop_map(Value::from),
    ];
    let value = leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..6).prop_map(Value::from),
            vec((hostile(), inner), 0..6).prop_map(|fields| Value::Object(Map::from_iter(fields))),
        ]
    });
    (value, any::<prop::sample::Index>()).prop_map(|(value, style)| spelt(&value, style.index(4)))
}

fn spelt(value: &Value, style: usize) -> String {
    let lines = || format!("{value:#}");
    match style {
        0 => value.to_string(),
        1 => lines(),
        2 => lines().replace('\n', "\r\n") + "\r\n",
        _ => format!("\n {}", lines().replace('\n', "\r\t")),
    }
}

#[derive(Clone, Debug)]
enum Sort {
    Json(String),
    Text(String),
    Bytes(Vec<u8>),
    Request {
        texts: [String; 3],
        numbers: [i64; 2],
        status: u8,
        extra: Option<String>,
    },
}

fn extra() -> impl Strategy<Value = String> {
    let name = prop_oneof![
        hostile(),
        prop::sample::select(&REQUEST_FIELDS[..]).prop_map(str::to_owned)
    ];
    let fields = vec((name, json()), 0..6);
    let space = prop::sample::select(vec!["", " ", "\n", "\r\n\t"]);
    (fields, space).prop_map(|(fields, space)| {
        let fields: Vec<String> = fields
            .iter()
            .map(|(name, json)| format!("{space}{}{space}:{json}", Value::from(name.as_str())))
            .collect();
        format!("{space}{{{}{space}}}{space}", fields.join(","))
    })
}

fn sort() -> impl Strategy<Value = Sort> {
    let texts = [hostile(), hostile(), hostile()];
    let request = (texts, any::<[i64; 2]>(), 0..3_u8, prop::option::of(extra()));
    prop_oneof![
        json().prop_map(Sort::Json),
        hostile().prop_map(Sort::Text),
        vec(any::<u8>(), 0..100).prop_map(Sort::Bytes),
        request.prop_map(|(texts, numbers, status, extra)| {
            Sort::Request {
                texts,
                numbers,
                status,
                extra,
            }
        }),
    ]
}

/// An event that was published.
#[derive(Clone, Debug)]
struct Published {
    id: EventId,
    kind: String,
    key: String,
    time_ns: u64,
    sort: Sort,
}

fn published() -> impl Strategy<Value = Published> {
    (id(), kind(), key(), 0..=i64::MAX as u64, sort()).prop_map(|(id, kind, key, time_ns, sort)| {
        let request = matches!(sort, Sort::Request { .. });
        let kind = if request { "request".to_owned() } else { kind };
        Published {
            id,
            kind,
            key,
            time_ns,
            sort,
        }
    })
}

impl Published {
    fn event(&self) -> Event {
        let new = match &self.sort {
            Sort::Json(json) => NewEvent::json(&self.kind, json),
            Sort::Text(text) => NewEvent::text(&self.kind, text),
            Sort::Bytes(bytes) => NewEvent::bytes(&self.kind, bytes),
            Sort::Request {
                texts: [method, path, model],
                numbers,
                status,
                extra,
            } => NewEvent::request(&RequestEvent {
                method,
                path,
                model,
                account_id: numbers[0],
                latency_ms: numbers[1],
                status: RequestStatus::from_number(*status).unwrap_or_default(),
                extra: extra.as_deref(),
                ..RequestEvent::default()
            })
            .expect("extra is an object"),
        };
        let new = new.key(&self.key).time_ns(self.time_ns);
        Event::detached(&new, self.id).expect("nothing to refuse")
    }

    /// The value that a reader of JSON should see; a request's less its timestamp.
    fn value(&self) -> Value {
        match &self.sort {
            Sort::Json(json) => serde_json::from_str(json).expect("JSON"),
            Sort::Text(text) => Value::from(text.as_str()),
            Sort::Bytes(bytes) => Value::from(STANDARD.encode(bytes)),
            Sort::Request {
                texts: [method, path, model],
                numbers,
                status,
                extra,
            } => {
                let extra = extra.as_deref().unwrap_or("{}");
                let mut value: Map<String, Value> = serde_json::from_str(extra).expect("an object");
                value.remove("timestamp");
                value.insert("method".into(), method.as_str().into());
                value.insert("path".into(), path.as_str().into());
                value.insert("model".into(), model.as_str().into());
                value.insert("account_id".into(), numbers[0].into());
                value.insert(
                    "status".into(),
                    ["success", "error", "rate_limited"][*status as usize].into(),
                );
                value.insert("latency_ms".into(), numbers[1].into());
                Value::Object(value)
            }
        }
    }
}

fn made(event: &Event, form: Form) -> String {
    String::from_utf8(wire::text(event, form, |_| {}).to_vec()).expect("UTF-8")
}

fn time_of(text: &Value) -> u64 {
    let text = text.as_str().expect("a string");
    assert!(text.len() == 30 && text.ends_with('Z'), "{text}");
    let time = humantime::parse_rfc3339(text).expect("RFC 3339");
    time.duration_since(std::time::UNIX_EPOCH)
        .expect("after 1970")
        .as_nanos() as u64
}

/// What `eventsource-stream` makes of a stream that arrives in `chunks`.
fn other_reader(chunks: Vec<Vec<u8>>) -> Vec<Message> {
    let chunks = smol::stream::iter(chunks.into_iter().map(Ok::<_, Infallible>));
    let seen: Vec<_> = smol::block_on(chunks.eventsource().collect());
    let seen = seen.into_iter().map(|event| event.expect("a good stream"));
    seen.map(|event| Message {
        kind: event.event,
        data: event.data,
        last_id: event.id,
    })
    .collect()
}

/// `stream` in pieces, cut at any byte.
fn cut(stream: &[u8], sizes: &[usize]) -> Vec<Vec<u8>> {
    let mut rest = stream;
    let mut chunks = Vec::new();
    for size in sizes.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (chunk, left) = rest.split_at((*size).min(rest.len()));
        chunks.push(chunk.to_vec());
        rest = left;
    }
    chunks
}

/// The names of a JSON object's fields in their order, repeated ones too.
fn names(json: &str) -> Vec<String> {
    struct Fields;
    impl<'de> Visitor<'de> for Fields {
        type Value = Vec<String>;
        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("an object")
        }
        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut names = Vec::new();
            while let Some((name, IgnoredAny)) = map.next_entry()? {
                names.push(name);
            }
            Ok(names)
        }
    }
    let mut json = serde_json::Deserializer::from_str(json);
    json.deserialize_map(Fields).expect("an object")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn sse_readers_get_kind_id_and_data(
        list in vec(published(), 1..5),
        sizes in vec(1..40_usize, 1..8),
    ) {
        let mut stream = Vec::new();
        let mut want = Vec::new();
        for each in &list {
            let event = each.event();
            stream.extend_from_slice(wire::text(&event, Form::Sse, |_| {}));
            let data = match &each.sort {
                Sort::Text(text) => lines_of(text),
                Sort::Bytes(bytes) => STANDARD.encode(bytes),
                Sort::Json(_) | Sort::Request { .. } => made(&event, Form::Json),
            };
            want.push(Message { kind: each.kind.clone(), data, last_id: each.id.to_string() });
        }
        let seen = sse_reader::read(&stream);
        prop_assert_eq!(&seen.messages, &want);
        prop_assert_eq!(other_reader(cut(&stream, &sizes)), want);
    }

    #[test]
    fn json_readers_get_the_value(published in published()) {
        let event = published.event();
        let json = made(&event, Form::Json);
        prop_assert!(!json.contains(['\r', '\n']));
        let mut value: Value = serde_json::from_str(&json).expect("JSON");
        if matches!(published.sort, Sort::Request { .. }) {
            let timestamp = value.as_object_mut().and_then(|fields| fields.remove("timestamp"));
            prop_assert_eq!(time_of(&timestamp.unwrap_or_default()), published.time_ns);
        }
        prop_assert_eq!(value, published.value());
        if let (Sort::Bytes(bytes), Payload::Bytes(kept)) = (&published.sort, event.payload()) {
            prop_assert_eq!(bytes, kept);
            prop_assert_eq!(&STANDARD.decode(json.trim_matches('"')).expect("base64"), bytes);
        }
    }

    #[test]
    fn an_envelope_says_what_it_holds(published in published()) {
        let event = published.event();
        let line = made(&event, Form::Ndjson);
        let envelope = made(&event, Form::Envelope);
        prop_assert_eq!(line.strip_suffix('\n'), Some(envelope.as_str()));
        prop_assert!(!envelope.contains(['\r', '\n']));

        let value: Value = serde_json::from_str(&envelope).expect("JSON");
        let mut names: Vec<&str> = vec!["data", "id", "kind", "time"];
        if !published.key.is_empty() {
            names.push("key");
            prop_assert_eq!(&value["key"], &published.key);
        }
        names.sort_unstable();
        let mut fields: Vec<&str> =
            value.as_object().expect("an object").keys().map(String::as_str).collect();
        fields.sort_unstable();
        prop_assert_eq!(fields, names);
        prop_assert_eq!(&value["id"], &published.id.to_string());
        prop_assert_eq!(&value["kind"], &published.kind);
        prop_assert_eq!(time_of(&value["time"]), published.time_ns);
        let data: Value = serde_json::from_str(&made(&event, Form::Json)).expect("JSON");
        prop_assert_eq!(&value["data"], &data);
    }

    #[test]
    fn extra_fields_follow_the_seven_in_their_order(extra in extra()) {
        let published = Published {
            id: EventId { epoch: 0, seq: 1 },
            kind: "request".to_owned(),
            key: String::new(),
            time_ns: 0,
            sort: Sort::Request {
                texts: [const { String::new() }; 3],
                numbers: [0; 2],
                status: 0,
                extra: Some(extra.clone()),
            },
        };
        let free = names(&extra).into_iter().filter(|name| !REQUEST_FIELDS.contains(&name.as_str()));
        let want: Vec<String> = REQUEST_FIELDS.into_iter().map(str::to_owned).chain(free).collect();
        prop_assert_eq!(names(&made(&published.event(), Form::Json)), want);
    }

    #[test]
    fn control_items_move_a_reader_only_where_they_may(
        (first, settled, head) in (id(), id(), id()),
        (source, state, detail, reason) in (hostile(), hostile(), hostile(), hostile()),
        (missed, next_n, ms) in any::<(u64, u64, u64)>(),
        sizes in vec(1..40_usize, 1..8),
    ) {
        let form = Form::Sse;
        let mut stream = Vec::new();
        wire::retry(&mut stream, form, ms);
        let event = Event::detached(&NewEvent::text("k", "x"), first).expect("nothing to refuse");
        stream.extend_from_slice(wire::text(&event, form, |_| {}));
        wire::lost(&mut stream, form, missed, &reason, next_n);
        wire::heartbeat(&mut stream, form, settled);
        wire::status(&mut stream, form, &source, &state, &detail);
        wire::resync(&mut stream, form, &reason, head);

        let seen = sse_reader::read(&stream);
        prop_assert_eq!(seen.retry, Some(ms));
        prop_assert_eq!(&seen.last_id, &head.to_string());
        prop_assert_eq!(&other_reader(cut(&stream, &sizes)), &seen.messages);
        let got: Vec<(&str, &str)> = seen
            .messages
            .iter()
            .map(|message| (message.kind.as_str(), message.last_id.as_str()))
            .collect();
        let (first, settled, head) = (first.to_string(), settled.to_string(), head.to_string());
        let want = [
            ("k", first.as_str()),
            ("reqbus.lost", &first),
            ("reqbus.status", &settled),
            ("reqbus.resync", &head),
        ];
        prop_assert_eq!(got, want);
        let said = |at: usize| -> Value { serde_json::from_str(&seen.messages[at].data).expect("JSON") };
        let lost = serde_json::json!({"missed": missed, "reason": reason, "next_n": next_n});
        prop_assert_eq!(said(1), lost);
        let status = serde_json::json!({"source": source, "state": state, "detail": detail});
        prop_assert_eq!(said(2), status);
        prop_assert_eq!(said(3), serde_json::json!({"reason": reason, "head": head}));
    }

    #[test]
    fn b4_an_id_has_one_spelling(id in id(), bytes in vec(any::<u8>(), 0..64), text in "[0-9a-f]{14,18}-?[0-9]{0,22}") {
        prop_assert_eq!(EventId::parse(id.to_string().as_bytes()), Ok(id));
        for spelling in [&bytes[..], text.as_bytes()] {
            if let Ok(id) = EventId::parse(spelling) {
                let written = id.to_string();
                prop_assert_eq!(written.as_bytes(), spelling);
            }
        }
    }
}

#[test]
fn the_departures_of_the_other_reader_are_as_described() {
    let ids_only = b"id: a\n\nevent: k\ndata: x\n\n".to_vec();
    let seen = other_reader(vec![ids_only.clone()]);
    assert_eq!(
        seen,
        sse_reader::read(&ids_only).messages,
        "ids carry over to the next message"
    );

    let bom = std::panic::catch_unwind(|| other_reader(vec!["\u{feff}data: x\n\n".into()]));
    assert!(bom.is_err(), "mended: ask it about a BOM too");
}
