//! What passes for JSON: exactly what `serde_json` passes over, up to the depth that we allow.
//!
//! `IgnoredAny` is the oracle because it reads the grammar and nothing into it: an escape of half a surrogate pair
//! and a number beyond every type are JSON to RFC 8259 (sections 8.2 and 6), and to it. It has no limit of depth,
//! so that the depth is counted here.

#![cfg(not(loom))]

use proptest::collection::vec;
use proptest::prelude::*;
use reqbus_core::event::{EventId, MAX_DEPTH, Payload, REQUEST_FIELDS};
use reqbus_core::wire::{self, Form};
use reqbus_core::{Error, ErrorKind, Event, NewEvent, RequestEvent};
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};

const ID: EventId = EventId { epoch: 1, seq: 1 };

fn publish(json: &str) -> Result<Event, Error> {
    Event::detached(&NewEvent::json("k", json), ID)
}

fn publish_extra(extra: &str) -> Result<Event, Error> {
    let request = RequestEvent {
        extra: Some(extra),
        ..RequestEvent::default()
    };
    Event::detached(&NewEvent::request(&request)?, ID)
}

fn text(event: &Event) -> &str {
    std::str::from_utf8(wire::text(event, Form::Json, |_| {})).unwrap()
}

/// How deep the brackets of a JSON text are nested.
fn depth(json: &str) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    let (mut quoted, mut escaped) = (false, false);
    for byte in json.bytes() {
        match byte {
            _ if std::mem::take(&mut escaped) => {}
            b'\\' => escaped = quoted,
            b'"' => quoted = !quoted,
            b'[' | b'{' if !quoted => depth += 1,
            b']' | b'}' if !quoted => depth -= 1,
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}

/// Both take it, or both refuse it.
fn compare(text: &str) {
    let is_json = serde_json::from_str::<IgnoredAny>(text).is_ok();
    let takes = is_json && depth(text) <= MAX_DEPTH;
    let answer = publish(text);
    assert_eq!(answer.is_ok(), takes, "{text:?}: {answer:?}");
    if let Err(error) = answer {
        assert_eq!(error.kind(), ErrorKind::InvalidJson);
        assert!(!is_json || error.message().contains("128"), "{error}");
    }
    let is_object = text
        .trim_start_matches([' ', '\t', '\r', '\n'])
        .starts_with('{');
    let answer = publish_extra(text);
    assert_eq!(answer.is_ok(), takes && is_object, "{text:?}: {answer:?}");
    if let Ok(event) = answer {
        clashes(text, &event);
    }
}

/// Counts as many names of ours as `serde_json` reads, and the wire leaves out just those.
fn clashes(extra: &str, event: &Event) {
    struct Names;
    impl<'de> Visitor<'de> for Names {
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
    let names = |text| serde_json::Deserializer::from_str(text).deserialize_map(Names);
    let Ok(given) = names(extra) else {
        return; // A name with half a surrogate pair is no text for it.
    };
    let (ours, free): (Vec<String>, Vec<String>) = given
        .into_iter()
        .partition(|name| REQUEST_FIELDS.contains(&name.as_str()));
    let Payload::Request(record) = event.payload() else {
        panic!("it is a request");
    };
    assert_eq!(record.clashes as usize, ours.len(), "{extra:?}");
    let written = names(text(event)).unwrap();
    assert_eq!(written[REQUEST_FIELDS.len()..], free, "{extra:?}");
}

/// A string of JSON, with escapes where none are needed.
fn string() -> impl Strategy<Value = String> {
    let hex = || "[0-9a-fA-F]{4}".prop_map(|digits| format!("\\u{digits}"));
    let piece = prop_oneof![
        4 => "[ -!#-\\[\\]-~]{1,20}",
        2 => any::<char>()
            .prop_filter("plain", |c| *c >= ' ' && !matches!(c, '"' | '\\'))
            .prop_map(String::from),
        1 => prop::sample::select(vec![r#"\""#, r"\\", r"\/", r"\b", r"\f", r"\n", r"\r", r"\t"])
            .prop_map(str::to_owned),
        1 => hex(),
        1 => prop::sample::select(vec![r"\ud83d\ude00", r"\ud83d", r"\ude00", r"\u0000"])
            .prop_map(str::to_owned),
    ];
    vec(piece, 0..4).prop_map(|pieces| format!("\"{}\"", pieces.concat()))
}

/// A name: any, or one of ours, some of its letters escaped.
fn name() -> impl Strategy<Value = String> {
    let ours = (prop::sample::select(&REQUEST_FIELDS[..]), any::<u16>());
    let ours = ours.prop_map(|(name, escaped)| {
        let letter = |(at, letter): (usize, char)| match escaped >> at & 1 {
            1 => format!("\\u{:04x}", u32::from(letter)),
            _ => letter.to_string(),
        };
        let letters: String = name.chars().enumerate().map(letter).collect();
        format!("\"{letters}\"")
    });
    prop_oneof![string(), ours]
}

fn space() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["", "", "", " ", "\n", "\r\n\t", "    "])
}

fn json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        prop::sample::select(vec!["null", "true", "false", "0", "-0", "1e999", "-1E-999"])
            .prop_map(str::to_owned),
        "-?(0|[1-9][0-9]{0,30})(\\.[0-9]{1,20})?([eE][+-]?[0-9]{1,5})?",
        string(),
    ];
    let spaced = (space(), leaf, space()).prop_map(|(a, leaf, b)| format!("{a}{leaf}{b}"));
    spaced.prop_recursive(6, 60, 6, |inner| {
        let field = (space(), name(), space(), inner.clone());
        let field = field.prop_map(|(a, name, b, value)| format!("{a}{name}{b}:{value}"));
        let list = vec(inner, 0..6).prop_map(|items| format!("[{}]", items.join(",")));
        let object = vec(field, 0..6).prop_map(|fields| format!("{{{}}}", fields.join(",")));
        let value = prop_oneof![1 => list, 2 => object];
        (space(), value, space()).prop_map(|(a, value, b)| format!("{a}{value}{b}"))
    })
}

/// What a careless validator takes for something else, and what it is taken for.
const TOKENS: [&str; 44] = [
    "{", "}", "[", "]", ",", ":", "\"", "\\", "/", "-", "+", ".", "e", "E", "0", "01", "1", "9",
    "true", "false", "null", "nul", "True", "NaN", "Infinity", "\"a\"", "\"a\":", " ", "\n", "\t",
    "\r", "\u{b}", "\u{c}", "\u{a0}", "\u{feff}", "\0", "\u{1f}", "\u{7f}", "\u{2028}", "é", "\\u",
    "\\u12", "\\ud800", "//",
];

/// One change of a text: so many characters from here on go, and these come.
fn mutation() -> impl Strategy<Value = (prop::sample::Index, usize, String)> {
    let token = prop::sample::select(&TOKENS[..]).prop_map(str::to_owned);
    let new = prop_oneof![
        Just(String::new()),
        token,
        any::<char>().prop_map(String::from)
    ];
    (any::<prop::sample::Index>(), 0..3_usize, new)
}

fn mutate(text: &str, mutations: &[(prop::sample::Index, usize, String)]) -> String {
    let mut chars: Vec<char> = text.chars().collect();
    for (at, gone, new) in mutations {
        let at = at.index(chars.len() + 1);
        let end = (at + gone).min(chars.len());
        chars.splice(at..end, new.chars());
    }
    chars.into_iter().collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn what_is_json_is_taken(json in json()) {
        prop_assert!(publish(&json).is_ok(), "{json:?}");
        compare(&json);
    }

    #[test]
    fn what_is_nearly_json_is_judged_alike(json in json(), mutations in vec(mutation(), 1..4)) {
        compare(&mutate(&json, &mutations));
    }

    #[test]
    fn any_pieces_of_json_are_judged_alike(tokens in vec(prop::sample::select(&TOKENS[..]), 0..9)) {
        compare(&tokens.concat());
        compare(&format!("{{\"a\":{}}}", tokens.concat()));
    }

    #[test]
    fn any_bytes_are_judged_alike(bytes in vec(any::<u8>(), 0..40)) {
        compare(&String::from_utf8_lossy(&bytes));
        let ascii: String = bytes.iter().map(|byte| char::from(byte & 0x7f)).collect();
        compare(&ascii);
        compare(&format!("\"{ascii}\""));
    }

    /// A string is passed eight bytes at a time: what ends it may lie anywhere in them.
    #[test]
    fn every_byte_of_a_string_is_seen(plain in "[ -!#-\\[\\]-~é🦀]{0,30}", byte in 0..0x80_u8) {
        for (at, _) in plain.char_indices() {
            let (before, behind) = plain.split_at(at);
            compare(&format!("\"{before}{}{behind}\"", char::from(byte)));
        }
    }

    #[test]
    fn brackets_are_judged_alike_at_every_depth(
        kinds in vec(any::<bool>(), MAX_DEPTH - 4..MAX_DEPTH + 4),
        wrong in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let open = kinds.iter().map(|object| if *object { "{\"a\":" } else { "[" });
        let mut close: Vec<&str> = kinds.iter().rev().map(|object| if *object { "}" } else { "]" }).collect();
        compare(&open.clone().chain(["1"]).chain(close.iter().copied()).collect::<String>());
        if let Some(wrong) = wrong {
            let wrong = wrong.index(close.len());
            close[wrong] = if close[wrong] == "}" { "]" } else { "}" };
            compare(&open.chain(["1"]).chain(close).collect::<String>());
        }
    }
}

/// The corners, each by name.
#[test]
fn corners() {
    let deep = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
    let deep_object = |levels: usize| "{\"a\":".repeat(levels) + "1" + &"}".repeat(levels);
    for text in [deep(128), deep_object(128), deep(127)] {
        assert!(publish(&text).is_ok());
        compare(&text);
    }
    for text in [deep(129), deep_object(129), "[".repeat(1 << 20)] {
        let refused = publish(&text).unwrap_err();
        assert!(refused.message().contains("128 levels"), "{refused}");
    }
    for taken in [
        r#""\ud800""#,
        r#""\udfff\ud800""#,
        r#"{"\ud800":1}"#,
        "1e999",
        "-1e-99999",
        "\"\u{7f}\u{feff}\"",
        " \t\r\n1 \t\r\n",
        r#"{"a":1,"a":2}"#,
    ] {
        assert!(publish(taken).is_ok(), "{taken}");
        compare(taken);
    }
    for refused in [
        "\u{feff}1",
        "1\0",
        "1 2",
        "\u{b}1",
        "\"\n\"",
        "\"\0\"",
        "\"\\u12g4\"",
        "\"\\u123\"",
        "-",
        "- 1",
        "+1",
        ".5",
        "1.e5",
        "1e",
        "1e+",
        "00",
        "-01",
        "[,1]",
        "{,}",
        "{\"a\"}",
        "{1:2}",
        "[1 2]",
        "truefalse",
        "\"\\",
        "{\"a\":1]",
        "[1}",
        "]",
    ] {
        assert!(publish(refused).is_err(), "{refused:?}");
        compare(refused);
    }
    // A name that reads as no text is nobody's, and stays.
    let event = publish_extra(r#"{"\ud800":1,"path":2}"#).unwrap();
    let text = text(&event);
    assert!(text.ends_with(r#","\ud800":1}"#), "{text}");
}
