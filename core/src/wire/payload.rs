//! The payload of an event as JSON: [`super::Form::Json`] and the `data` of an envelope.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::control::STARTS;
use super::json;
use crate::event::{Event, Payload, REQUEST_FIELDS, RequestView};

/// Bytes of a request event's JSON besides its texts: names, quotes, the time and three numbers.
const REQUEST_SHELL: usize = 184;

/// Whether a `json` payload is its own JSON form, so that nothing needs to be made or kept.
pub(super) fn is_own_form(json: &str) -> bool {
    !json::has_breaks(json) && !json.as_bytes().starts_with(STARTS)
}

/// About how long the JSON form is, exact but for escapes and the digits of numbers.
pub(super) fn estimate(payload: &Payload<'_>) -> usize {
    match payload {
        Payload::Json(text) | Payload::Text(text) => text.len() + 2,
        Payload::Bytes(bytes) => json::base64_len(bytes.len()) + 2,
        Payload::Request(record) => {
            let texts = record.method.len() + record.path.len() + record.model.len();
            REQUEST_SHELL + texts + record.extra.map_or(0, str::len)
        }
    }
}

/// Appends the JSON form of `event`'s payload: one line, no line feed after it.
pub(super) fn write(out: &mut Vec<u8>, event: &Event, payload: &Payload<'_>) {
    match payload {
        Payload::Json(json) => host_json(out, json),
        Payload::Text(text) => json::string(out, text),
        Payload::Bytes(bytes) => {
            out.push(b'"');
            json::base64(out, bytes);
            out.push(b'"');
        }
        Payload::Request(record) => request(out, event.time_ns(), record),
    }
}

/// A host's JSON value on one line, never to be taken for a control item: if it begins like one, a
/// space goes after its brace, where JSON gives it no meaning.
fn host_json(out: &mut Vec<u8>, json: &str) {
    let start = out.len();
    json::one_line(out, json);
    if out
        .get(start..)
        .is_some_and(|text| text.starts_with(STARTS))
    {
        out.insert(start + 1, b' ');
    }
}

fn request(out: &mut Vec<u8>, time_ns: u64, record: &RequestView<'_>) {
    // The names are those of `REQUEST_FIELDS`, in one piece with the punctuation around them; a test
    // holds the two together.
    out.extend_from_slice(b"{\"timestamp\":\"");
    json::time(out, time_ns);
    out.extend_from_slice(b"\",\"method\":");
    json::string(out, record.method);
    out.extend_from_slice(b",\"path\":");
    json::string(out, record.path);
    out.extend_from_slice(b",\"model\":");
    json::string(out, record.model);
    out.extend_from_slice(b",\"account_id\":");
    json::signed(out, record.account_id);
    out.extend_from_slice(b",\"status\":\"");
    out.extend_from_slice(record.status.name().as_bytes());
    out.extend_from_slice(b"\",\"latency_ms\":");
    json::signed(out, record.latency_ms);
    match record.extra {
        Some(extra) if record.clashes == 0 => all_fields(out, extra),
        Some(extra) => free_fields(out, extra),
        None => {}
    }
    out.push(b'}');
}

/// Appends `,` and the inside of the object `extra`, as it is but for line breaks and the white space at
/// its ends; nothing if it is empty.
fn all_fields(out: &mut Vec<u8>, extra: &str) {
    // RFC 8259 section 2: this is all the white space there is.
    const SPACE: [char; 4] = [' ', '\t', '\r', '\n'];
    let object = extra.trim_matches(SPACE);
    let inside = object
        .strip_prefix('{')
        .and_then(|rest| rest.strip_suffix('}'));
    let fields = inside.unwrap_or_default().trim_matches(SPACE);
    if !fields.is_empty() {
        out.push(b',');
        json::one_line(out, fields);
    }
}

/// Appends each field of the object `extra` whose name is not one of ours, `,` before it, name and value
/// as they are. The rare path: some name clashes.
fn free_fields(out: &mut Vec<u8>, extra: &str) {
    let start = out.len();
    let mut json = serde_json::Deserializer::from_str(extra);
    if json.deserialize_map(FreeFields(out)).is_err() {
        // It was an object when it was published. If that ever failed to hold, seven good fields
        // are better than half an eighth.
        out.truncate(start);
    }
}

struct FreeFields<'a>(&'a mut Vec<u8>);

impl<'de> Visitor<'de> for FreeFields<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some((name, value)) = map.next_entry::<&RawValue, &RawValue>()? {
            // Compared as it reads (`"p\u0061th"` is `path`), written as it was. Half a surrogate pair reads as
            // nothing, and so is not ours.
            let reads: Result<Cow<'_, str>, _> = serde_json::from_str(name.get());
            if !reads.is_ok_and(|reads| REQUEST_FIELDS.contains(&&*reads)) {
                self.0.push(b',');
                self.0.extend_from_slice(name.get().as_bytes());
                self.0.push(b':');
                json::one_line(self.0, value.get());
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{EventId, NewEvent, RequestEvent};

    const ID: EventId = EventId { epoch: 1, seq: 1 };
    const SEVEN: &str = "{\"timestamp\":\"1970-01-01T00:00:00.000000000Z\",\"method\":\"\",\"path\":\"\",\
                         \"model\":\"\",\"account_id\":0,\"status\":\"success\",\"latency_ms\":0";

    fn form(new: &NewEvent<'_>) -> (String, usize) {
        let event = Event::detached(new, ID).unwrap();
        let mut out = Vec::new();
        write(&mut out, &event, &event.payload());
        (String::from_utf8(out).unwrap(), estimate(&event.payload()))
    }

    fn with_extra(extra: &str) -> String {
        let request = RequestEvent {
            timestamp_ns: Some(0),
            extra: Some(extra),
            ..RequestEvent::default()
        };
        let text = form(&NewEvent::request(&request).unwrap()).0;
        text.strip_prefix(SEVEN)
            .unwrap()
            .strip_suffix('}')
            .unwrap()
            .to_owned()
    }

    #[test]
    fn the_seven_names_are_those_of_the_event() {
        let json = format!("{SEVEN}}}");
        let names: Vec<&str> = json
            .split('"')
            .filter(|part| REQUEST_FIELDS.contains(part))
            .collect();
        assert_eq!(names, REQUEST_FIELDS);
    }

    #[test]
    fn extra_fields_follow_as_they_were() {
        for (extra, want) in [
            ("{}", ""),
            (" \r\n\t{ \n } ", ""),
            ("{\"a\":1}", ",\"a\":1"),
            (
                " { \"a\" : 1.0e+2 , \"b\":{ } }\n",
                ",\"a\" : 1.0e+2 , \"b\":{ }",
            ),
            ("{\r\n\"a\":\n[\r1]\n}", ",\"a\":[1]"),
            ("{\"a\":\"}\"}", ",\"a\":\"}\""),
            ("{\"a\":1,\"a\":2}", ",\"a\":1,\"a\":2"),
            ("{\"\":\"\\n\"}", ",\"\":\"\\n\""),
        ] {
            assert_eq!(with_extra(extra), want, "{extra}");
        }
    }

    #[test]
    fn clashing_names_are_left_out_however_they_are_spelt() {
        for (extra, want) in [
            ("{\"path\":1}", ""),
            ("{\"path\":1,\"a\":2}", ",\"a\":2"),
            ("{\"a\":2,\"p\\u0061th\":{\"status\":1}}", ",\"a\":2"),
            (
                "{ \"status\" :\n\"x\", \"\\u0061\" : { \"path\":\n1 } , \"status\":3, \"b\":\"\\n\" }",
                ",\"\\u0061\":{ \"path\":1 },\"b\":\"\\n\"",
            ),
            (
                "{\"Path\":1,\"path \":2,\"path\":3}",
                ",\"Path\":1,\"path \":2",
            ),
            (
                "{\"timestamp\":0,\"method\":0,\"model\":0,\"account_id\":0,\"latency_ms\":0}",
                "",
            ),
        ] {
            assert_eq!(with_extra(extra), want, "{extra}");
        }
    }

    #[test]
    fn no_payload_begins_like_a_control_item() {
        for (json, want) in [
            ("{\"kind\":\"reqbus.lost\"}", "{ \"kind\":\"reqbus.lost\"}"),
            (
                "{\n\"kind\"\r\n:\"reqbus.lost\"}",
                "{ \"kind\":\"reqbus.lost\"}",
            ),
            ("{\"kind\":\"reqbus\"}", "{\"kind\":\"reqbus\"}"),
            (" {\"kind\":\"reqbus.lost\"}", " {\"kind\":\"reqbus.lost\"}"),
        ] {
            assert_eq!(form(&NewEvent::json("k", json)).0, want);
            assert_eq!(is_own_form(json), json == want);
        }
    }

    #[test]
    fn the_estimate_is_enough_without_escapes_and_not_much_too_large() {
        let extra = "{\"tokens\":12}";
        let longest = RequestEvent {
            method: "POST",
            path: "/v1/messages",
            model: "m",
            account_id: i64::MIN,
            latency_ms: i64::MIN,
            status: crate::event::RequestStatus::RateLimited,
            extra: Some(extra),
            ..RequestEvent::default()
        };
        for new in [
            NewEvent::request(&longest).unwrap(),
            NewEvent::json("k", "[1,2,3]"),
            NewEvent::text("k", "abc"),
            NewEvent::bytes("k", b"abcd"),
        ] {
            let (text, estimate) = form(&new);
            assert!(
                text.len() <= estimate && estimate <= text.len() + 16,
                "{text} {estimate}"
            );
        }
    }
}
