//! What reqbus itself says to a reader, between events.
//!
//! # How a reader tells it from an event
//!
//! * SSE: by `event:`, which begins with `reqbus.`, a prefix that hosts are refused; a heartbeat and a
//!   retry dispatch nothing in a browser.
//! * Envelope and NDJSON: by `kind`, likewise.
//! * JSON, where an event is its payload and nothing else: the text begins with the bytes
//!   `{"kind":"reqbus.`, which no event's text does. A `json` payload that would begin so is given an
//!   insignificant space after its brace. Look at the text, not at the parsed value: hosts may name a
//!   field of theirs `kind`.
//!
//! # Ids
//!
//! An id, wherever one is written, is a place a reader may resume from. A loss has none: a client that
//! dropped the connection right after it would otherwise skip what it still has to be sent. A resync has
//! that of the newest event, where the reader now stands; a heartbeat the settled one, up to which the
//! reader has everything. In SSE a block of only `id:` moves the last event id and dispatches nothing
//! (WHATWG HTML section 9.2.6).
//!
//! | item | SSE | envelope, JSON, and NDJSON before its LF |
//! |---|---|---|
//! | [`lost`] | `event: reqbus.lost`, `data: {"missed":3,"reason":"full","next_n":8}` | `{"kind":"reqbus.lost","data":{…}}` |
//! | [`resync`] | `id: <head>`, `event: reqbus.resync`, `data: {"reason":"expired","head":"<head>"}` | `{"kind":"reqbus.resync","id":"<head>","data":{…}}` |
//! | [`status`] | `event: reqbus.status`, `data: {"source":"…","state":"…","detail":"…"}` | `{"kind":"reqbus.status","data":{…}}` |
//! | [`heartbeat`] | `id: <settled>` | `{"kind":"reqbus.heartbeat","id":"<settled>"}` |
//! | [`retry`] | `retry: 3000` | nothing |
//!
//! Each function appends one whole item to the buffer, and allocates only to grow it.

use super::form::Form;
use super::json;
use crate::event::EventId;

/// How the JSON of every control item begins, and that of no event.
pub(super) const STARTS: &[u8] = b"{\"kind\":\"reqbus.";

/// Appends: `missed` events that matched are not in this stream, for `reason` (a name such as `full`);
/// the next one that matches is the reader's number `next_n`.
pub fn lost(out: &mut Vec<u8>, form: Form, missed: u64, reason: &str, next_n: u64) {
    item(out, form, "lost", None, |out| {
        out.extend_from_slice(b"{\"missed\":");
        json::unsigned(out, missed);
        out.extend_from_slice(b",\"reason\":");
        json::string(out, reason);
        out.extend_from_slice(b",\"next_n\":");
        json::unsigned(out, next_n);
        out.push(b'}');
    });
}

/// Appends: the reader could not resume, for `reason` (a name such as `expired`); it is live from behind
/// `head` on, the newest event.
pub fn resync(out: &mut Vec<u8>, form: Form, reason: &str, head: EventId) {
    item(out, form, "resync", Some(head), |out| {
        out.extend_from_slice(b"{\"reason\":");
        json::string(out, reason);
        out.extend_from_slice(b",\"head\":\"");
        head.write_to(out);
        out.extend_from_slice(b"\"}");
    });
}

/// Appends: the source `source` is now `state`, with a sentence about it (which may be empty).
pub fn status(out: &mut Vec<u8>, form: Form, source: &str, state: &str, detail: &str) {
    item(out, form, "status", None, |out| {
        out.extend_from_slice(b"{\"source\":");
        json::string(out, source);
        out.extend_from_slice(b",\"state\":");
        json::string(out, state);
        out.extend_from_slice(b",\"detail\":");
        json::string(out, detail);
        out.push(b'}');
    });
}

/// Appends: still here, and the reader has been given, or spared by its filter, or told the loss of,
/// everything up to `settled`.
pub fn heartbeat(out: &mut Vec<u8>, form: Form, settled: EventId) {
    if form == Form::Sse {
        out.extend_from_slice(b"id: ");
        settled.write_to(out);
        out.extend_from_slice(b"\n\n");
        return;
    }
    head(out, "heartbeat", Some(settled));
    tail(out, form);
}

/// Appends how many milliseconds a browser waits before it connects again. SSE alone has this; nothing is
/// appended in another form.
pub fn retry(out: &mut Vec<u8>, form: Form, ms: u64) {
    if form == Form::Sse {
        out.extend_from_slice(b"retry: ");
        json::unsigned(out, ms);
        out.extend_from_slice(b"\n\n");
    }
}

/// An item with data, which is one line of JSON in every form.
fn item(
    out: &mut Vec<u8>,
    form: Form,
    name: &str,
    id: Option<EventId>,
    data: impl FnOnce(&mut Vec<u8>),
) {
    if form == Form::Sse {
        if let Some(id) = id {
            out.extend_from_slice(b"id: ");
            id.write_to(out);
            out.push(b'\n');
        }
        out.extend_from_slice(b"event: reqbus.");
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b"\ndata: ");
        data(out);
        out.extend_from_slice(b"\n\n");
        return;
    }
    head(out, name, id);
    out.extend_from_slice(b",\"data\":");
    data(out);
    tail(out, form);
}

fn head(out: &mut Vec<u8>, name: &str, id: Option<EventId>) {
    out.extend_from_slice(STARTS);
    out.extend_from_slice(name.as_bytes());
    out.push(b'"');
    if let Some(id) = id {
        out.extend_from_slice(b",\"id\":\"");
        id.write_to(out);
        out.push(b'"');
    }
}

fn tail(out: &mut Vec<u8>, form: Form) {
    out.push(b'}');
    if form == Form::Ndjson {
        out.push(b'\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::RESERVED_PREFIX;

    const ID: EventId = EventId {
        epoch: 0xabc,
        seq: 7,
    };

    fn made(form: Form, make: impl Fn(&mut Vec<u8>, Form)) -> String {
        // Something before it: items are appended, in batches.
        let mut out = b"x".to_vec();
        make(&mut out, form);
        String::from_utf8(out).unwrap().split_off(1)
    }

    #[test]
    fn each_form_of_each_item() {
        let lost = |out: &mut Vec<u8>, form| lost(out, form, 3, "full", 8);
        let data = "{\"missed\":3,\"reason\":\"full\",\"next_n\":8}";
        assert_eq!(
            made(Form::Sse, lost),
            format!("event: reqbus.lost\ndata: {data}\n\n")
        );
        let object = format!("{{\"kind\":\"reqbus.lost\",\"data\":{data}}}");
        assert_eq!(made(Form::Envelope, lost), object);
        assert_eq!(made(Form::Json, lost), object);
        assert_eq!(made(Form::Ndjson, lost), object + "\n");

        let resync = |out: &mut Vec<u8>, form| resync(out, form, "expired", ID);
        let data = "{\"reason\":\"expired\",\"head\":\"0000000000000abc-7\"}";
        let frame = format!("id: 0000000000000abc-7\nevent: reqbus.resync\ndata: {data}\n\n");
        assert_eq!(made(Form::Sse, resync), frame);
        let object =
            format!("{{\"kind\":\"reqbus.resync\",\"id\":\"0000000000000abc-7\",\"data\":{data}}}");
        assert_eq!(made(Form::Envelope, resync), object);

        let status = |out: &mut Vec<u8>, form| status(out, form, "a\n", "b\"", "");
        let data = "{\"source\":\"a\\n\",\"state\":\"b\\\"\",\"detail\":\"\"}";
        assert_eq!(
            made(Form::Sse, status),
            format!("event: reqbus.status\ndata: {data}\n\n")
        );
        assert_eq!(
            made(Form::Ndjson, status),
            format!("{{\"kind\":\"reqbus.status\",\"data\":{data}}}\n")
        );

        let heartbeat = |out: &mut Vec<u8>, form| heartbeat(out, form, ID);
        assert_eq!(made(Form::Sse, heartbeat), "id: 0000000000000abc-7\n\n");
        assert_eq!(
            made(Form::Ndjson, heartbeat),
            "{\"kind\":\"reqbus.heartbeat\",\"id\":\"0000000000000abc-7\"}\n"
        );

        let retry = |out: &mut Vec<u8>, form| retry(out, form, u64::MAX);
        assert_eq!(made(Form::Sse, retry), "retry: 18446744073709551615\n\n");
        for form in [Form::Json, Form::Envelope, Form::Ndjson] {
            assert_eq!(made(form, retry), "");
        }
    }

    #[test]
    fn the_mark_is_the_reserved_prefix() {
        assert!(STARTS.ends_with(RESERVED_PREFIX.as_bytes()));
    }
}
