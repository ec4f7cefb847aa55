//! An event with its id, kind and key around the payload: envelope and SSE frame.

use super::{json, payload};
use crate::event::{Event, Payload};

/// Bytes of an envelope besides kind, key and data: names, quotes, the id, the time.
const ENVELOPE_SHELL: usize = 120;
/// Bytes of an SSE frame besides kind and data, with one data line.
const SSE_SHELL: usize = 64;
const DATA: &[u8] = b"data: ";

/// The envelope of `event` and a line feed.
pub(super) fn ndjson(event: &Event) -> Vec<u8> {
    let payload = event.payload();
    let (kind, key) = (event.kind(), event.key());
    let room = ENVELOPE_SHELL + kind.len() + key.len() + payload::estimate(&payload);
    let mut out = Vec::with_capacity(room);
    out.extend_from_slice(b"{\"id\":\"");
    event.id().write_to(&mut out);
    out.extend_from_slice(b"\",\"kind\":");
    json::string(&mut out, kind);
    if !key.is_empty() {
        out.extend_from_slice(b",\"key\":");
        json::string(&mut out, key);
    }
    out.extend_from_slice(b",\"time\":\"");
    json::time(&mut out, event.time_ns());
    out.extend_from_slice(b"\",\"data\":");
    payload::write(&mut out, event, &payload);
    out.extend_from_slice(b"}\n");
    out
}

/// The SSE frame of `event`, with the blank line that completes it.
///
/// One space follows each colon: a reader takes away exactly one, so a value keeps its own. The kind
/// holds no line break and the id is ours, so both are one line.
pub(super) fn sse(event: &Event) -> Vec<u8> {
    let payload = event.payload();
    let kind = event.kind();
    let data = match payload {
        Payload::Text(text) => text.len() + breaks(text) * (DATA.len() + 1),
        _ => payload::estimate(&payload),
    };
    let mut out = Vec::with_capacity(SSE_SHELL + kind.len() + data);
    out.extend_from_slice(b"id: ");
    event.id().write_to(&mut out);
    out.extend_from_slice(b"\nevent: ");
    out.extend_from_slice(kind.as_bytes());
    out.push(b'\n');
    match payload {
        Payload::Text(text) => data_lines(&mut out, text),
        Payload::Bytes(bytes) => {
            out.extend_from_slice(DATA);
            json::base64(&mut out, bytes);
            out.push(b'\n');
        }
        Payload::Json(_) | Payload::Request(_) => {
            out.extend_from_slice(DATA);
            payload::write(&mut out, event, &payload);
            out.push(b'\n');
        }
    }
    out.push(b'\n');
    out
}

/// 1 for CR and LF, 0 for all else: a number and not a `bool`, because sums of numbers over a whole chunk
/// become vector instructions. Prompts and answers are long texts.
const fn is_break(b: u8) -> u8 {
    (b == b'\r') as u8 | (b == b'\n') as u8
}

/// How many CR and LF `text` holds: at least as many as it has line breaks.
fn breaks(text: &str) -> usize {
    let in_chunk = |chunk: &[u8]| usize::from(chunk.iter().map(|&b| is_break(b)).sum::<u8>());
    let (chunks, rest) = text.as_bytes().as_chunks::<64>();
    chunks.iter().map(|chunk| in_chunk(chunk)).sum::<usize>() + in_chunk(rest)
}

/// Where the first CR or LF stands; without one, the length of `bytes`.
fn line_len(bytes: &[u8]) -> usize {
    let (chunks, _) = bytes.as_chunks::<16>();
    let clean = |chunk: &&[u8; 16]| chunk.iter().fold(0, |any, &b| any | is_break(b)) == 0;
    let skipped = chunks.iter().take_while(clean).count() * 16;
    let rest = bytes.get(skipped..).unwrap_or_default();
    skipped
        + rest
            .iter()
            .position(|&b| is_break(b) == 1)
            .unwrap_or(rest.len())
}

/// Appends a data line for each line of `text`, one for the empty text too: a frame without any would not
/// reach a browser's listeners. Lines end as an SSE parser ends them: at CRLF, LF or CR.
fn data_lines(out: &mut Vec<u8>, text: &str) {
    let mut rest = text.as_bytes();
    loop {
        let (line, tail) = rest.split_at(line_len(rest));
        out.extend_from_slice(DATA);
        out.extend_from_slice(line);
        out.push(b'\n');
        match tail {
            [b'\r', b'\n', next @ ..] | [_, next @ ..] => rest = next,
            [] => break,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{EventId, NewEvent};

    const ID: EventId = EventId {
        epoch: 0x0123_4567_89ab_cdef,
        seq: 42,
    };
    const HEAD: &str = "id: 0123456789abcdef-42\nevent: k\n";

    fn sse_of(new: &NewEvent<'_>) -> String {
        let text = sse(&Event::detached(new, ID).unwrap());
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn text_is_cut_into_lines_as_a_parser_would_cut_it() {
        for (text, lines) in [
            ("", &[""][..]),
            ("a", &["a"]),
            ("a\nb", &["a", "b"]),
            ("a\r\nb\rc\nd", &["a", "b", "c", "d"]),
            ("\n", &["", ""]),
            ("\r\n", &["", ""]),
            ("\n\r", &["", "", ""]),
            ("\r\r\n", &["", "", ""]),
            ("a\n\n", &["a", "", ""]),
            (" a", &[" a"]),
            (": a", &[": a"]),
            (
                "\u{feff}data: x\u{2028}y\0",
                &["\u{feff}data: x\u{2028}y\0"],
            ),
        ] {
            let lines: String = lines.iter().map(|line| format!("data: {line}\n")).collect();
            assert_eq!(
                sse_of(&NewEvent::text("k", text)),
                format!("{HEAD}{lines}\n"),
                "{text:?}"
            );
        }
    }

    #[test]
    fn long_lines_end_where_they_end() {
        for len in [0, 1, 14, 15, 16, 17, 31, 32, 33, 1000] {
            let line = "x".repeat(len);
            for (end, text) in
                ["", "\n", "\r", "\r\nx", "\n\n"].map(|end| (end, line.clone() + end))
            {
                assert_eq!(line_len(text.as_bytes()), len, "{len} {end:?}");
                let all = text.repeat(3);
                let want = all.bytes().filter(|b| matches!(b, b'\r' | b'\n')).count();
                assert_eq!(breaks(&all), want, "{len} {end:?}");
            }
        }
    }

    #[test]
    fn other_payloads_are_one_data_line() {
        let json = sse_of(&NewEvent::json("k", "{\n \"a\":1\r\n}"));
        assert_eq!(json, format!("{HEAD}data: {{ \"a\":1}}\n\n"));
        let bytes = sse_of(&NewEvent::bytes("k", b"\n\n"));
        assert_eq!(bytes, format!("{HEAD}data: Cgo=\n\n"));
        let none = sse_of(&NewEvent::bytes("k", b""));
        assert_eq!(none, format!("{HEAD}data: \n\n"));
    }

    #[test]
    fn an_envelope_names_the_key_only_if_there_is_one() {
        let new = NewEvent::json("a\"b", "[1,\n2]").time_ns(0);
        let text = ndjson(&Event::detached(&new, ID).unwrap());
        let want = "{\"id\":\"0123456789abcdef-42\",\"kind\":\"a\\\"b\",\
                    \"time\":\"1970-01-01T00:00:00.000000000Z\",\"data\":[1,2]}\n";
        assert_eq!(std::str::from_utf8(&text).unwrap(), want);
        let text = ndjson(&Event::detached(&new.key("\n"), ID).unwrap());
        let want = want.replace(",\"time\"", ",\"key\":\"\\n\",\"time\"");
        assert_eq!(std::str::from_utf8(&text).unwrap(), want);
    }

    #[test]
    fn one_allocation_is_enough_without_escapes() {
        for new in [
            NewEvent::text("kind", "a\nb\r\nc"),
            NewEvent::json("kind", "[1]"),
            NewEvent::bytes("kind", &[7; 100]),
        ] {
            let event = Event::detached(
                &new.key("key"),
                EventId {
                    epoch: 0,
                    seq: u64::MAX - 1,
                },
            );
            let event = event.unwrap();
            let room = |text: &Vec<u8>, shell| {
                // `with_capacity` gives exactly what is asked for bytes; growth would double it.
                text.capacity() <= text.len() + shell
            };
            assert!(room(&sse(&event), 32) && room(&ndjson(&event), 16));
        }
    }
}
