//! The smallest parts of a JSON text, appended to a buffer.
//!
//! Nothing here allocates but to grow the buffer.

use std::io::Write;
use std::time::{Duration, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// Appends `text` as a JSON string. Escaped: `"`, `\` and what is below U+0020 (RFC 8259 section 7);
/// all else stands for itself.
pub(super) fn string(out: &mut Vec<u8>, text: &str) {
    // A fold, not `any`: without the early way out it is a few vector instructions, and hardly a
    // method, model or path needs an escape.
    let escapes = text.bytes().fold(false, |any, b| {
        any | (b < b' ') | (b == b'"') | (b == b'\\')
    });
    if escapes {
        // A `Vec` takes every byte and a `str` has a JSON form: there is no error to pass on.
        let _ = serde_json::to_writer(out, text);
    } else {
        out.push(b'"');
        out.extend_from_slice(text.as_bytes());
        out.push(b'"');
    }
}

/// Appends `number` in decimal.
pub(super) fn unsigned(out: &mut Vec<u8>, number: u64) {
    const DIGITS: usize = 20;
    let mut digits = [0_u8; DIGITS];
    let mut at = DIGITS;
    let mut left = number;
    loop {
        at -= 1;
        digits[at] = b'0' + (left % 10) as u8;
        left /= 10;
        if left == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

/// Appends `number` in decimal.
pub(super) fn signed(out: &mut Vec<u8>, number: i64) {
    if number < 0 {
        out.push(b'-');
    }
    unsigned(out, number.unsigned_abs());
}

/// Appends the time `ns`, in nanoseconds since 1970 UTC, as RFC 3339 with nine digits of fraction: 30
/// bytes, no quotes. The whole range of a u64 is before the year 2555.
pub(super) fn time(out: &mut Vec<u8>, ns: u64) {
    let time = UNIX_EPOCH + Duration::from_nanos(ns);
    // Only a year past 9999 is an error, and a `Vec` takes every byte.
    let _ = write!(out, "{}", humantime::format_rfc3339_nanos(time));
}

/// Length of the base64 of `len` bytes.
pub(super) const fn base64_len(len: usize) -> usize {
    len.div_ceil(3) * 4
}

/// Appends `bytes` as base64, standard alphabet, padded (RFC 4648 section 4), no quotes.
pub(super) fn base64(out: &mut Vec<u8>, bytes: &[u8]) {
    let start = out.len();
    out.resize(start + base64_len(bytes.len()), b'=');
    if let Some(room) = out.get_mut(start..) {
        // The room is exactly as long as the text, which is the one thing that could be wrong.
        let _ = STANDARD.encode_slice(bytes, room);
    }
}

/// Whether `json` holds a raw line break.
pub(super) fn has_breaks(json: &str) -> bool {
    // A fold for the same reason as in `string`.
    json.bytes()
        .fold(false, |any, b| any | (b == b'\r') | (b == b'\n'))
}

/// Appends a valid JSON text without its raw line breaks. They lie between tokens, and two tokens that
/// only a line break parts do not exist in JSON.
pub(super) fn one_line(out: &mut Vec<u8>, json: &str) {
    if has_breaks(json) {
        for part in json.split(['\r', '\n']) {
            out.extend_from_slice(part.as_bytes());
        }
    } else {
        out.extend_from_slice(json.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(make: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = b">".to_vec();
        make(&mut out);
        String::from_utf8(out).unwrap().split_off(1)
    }

    #[test]
    fn strings_escape_what_rfc_8259_asks_for_and_nothing_else() {
        let text = made(|out| {
            string(
                out,
                "a\"\\/\u{8}\u{c}\n\r\t\0\u{1f} \u{7f}é\u{2028}\u{feff}🦀",
            )
        });
        let want = "\"a\\\"\\\\/\\b\\f\\n\\r\\t\\u0000\\u001f \u{7f}é\u{2028}\u{feff}🦀\"";
        assert_eq!(text, want);
        assert_eq!(made(|out| string(out, "")), "\"\"");
        for b in 0..=0x7f_u8 {
            let one = char::from(b).to_string();
            let json = made(|out| string(out, &one));
            assert_eq!(json, serde_json::to_string(&one).unwrap());
        }
    }

    #[test]
    fn numbers_at_their_ends() {
        for n in [0, 1, 9, 10, 99, 1 << 53, u64::MAX] {
            assert_eq!(made(|out| unsigned(out, n)), n.to_string());
        }
        for n in [0, -1, 1, -10, i64::MIN, i64::MAX] {
            assert_eq!(made(|out| signed(out, n)), n.to_string());
        }
    }

    #[test]
    fn times_have_thirty_bytes_and_sort_as_text() {
        let known = [
            (0, "1970-01-01T00:00:00.000000000Z"),
            (1, "1970-01-01T00:00:00.000000001Z"),
            (951_782_400_000_000_000, "2000-02-29T00:00:00.000000000Z"),
            (1_700_158_546_680_590_000, "2023-11-16T18:15:46.680590000Z"),
            (i64::MAX as u64, "2262-04-11T23:47:16.854775807Z"),
            (u64::MAX, "2554-07-21T23:34:33.709551615Z"),
        ];
        for (ns, want) in known {
            assert_eq!(made(|out| time(out, ns)), want);
        }
        assert!(known.is_sorted_by_key(|(_, text)| *text));
    }

    #[test]
    fn base64_of_rfc_4648_section_10() {
        let vectors = [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ];
        for (bytes, want) in vectors {
            assert_eq!(made(|out| base64(out, bytes.as_bytes())), want);
            assert_eq!(base64_len(bytes.len()), want.len());
        }
        assert_eq!(made(|out| base64(out, &[0xfb, 0xff, 0xfe])), "+//+");
    }

    #[test]
    fn line_breaks_between_tokens_go() {
        let json = "\r\n{\"a\":\r[1,\n2],\n\"b\\n\":\"\\r\"}\n";
        assert_eq!(
            made(|out| one_line(out, json)),
            "{\"a\":[1,2],\"b\\n\":\"\\r\"}"
        );
        assert_eq!(made(|out| one_line(out, "[1,\r2]")), "[1,2]");
        assert_eq!(made(|out| one_line(out, "[1,\n2]")), "[1,2]");
        assert_eq!(made(|out| one_line(out, "[ 1 ]")), "[ 1 ]");
    }
}
