//! Whether a text is JSON, and what the fields of an object are called.
//!
//! Our own code, because a publish allocates the event and nothing else (B1): `serde_json`, even where it only
//! skips a value, keeps the brackets that are open in a `Vec`. Here they are the bits of one number, so nothing
//! is allocated, nothing recurses, and nesting ends at [`MAX_DEPTH`].
//!
//! Within that depth it accepts what `serde_json` skips, which is RFC 8259 and no more: numbers of any size, and
//! an escape of half a surrogate pair, which section 8.2 leaves to the readers; no byte order mark, no bare control
//! character in a string, nothing behind the value. `tests/json_properties.rs` holds the two together.

use super::limits::MAX_DEPTH;
use crate::error::{Error, ErrorKind, Result};

/// Checks that `text`, the field `context`, is one JSON value.
pub(super) fn check(context: &'static str, text: &str) -> Result<()> {
    let mut scan = Scan::new(text);
    match scan.document(&mut |_| {}) {
        Some(()) => Ok(()),
        None => Err(scan.error(context, "JSON", text)),
    }
}

/// Checks that `text`, the field `context`, is one JSON object, and tells `names` what each of its fields is
/// called, as it is written between the quotes: for [`reads_as`]. The fields of objects inside are not told.
pub(super) fn check_object(
    context: &'static str,
    text: &str,
    mut names: impl FnMut(&[u8]),
) -> Result<()> {
    let mut scan = Scan::new(text);
    let is_object = scan.peek() == Some(b'{');
    match is_object.then(|| scan.document(&mut names)).flatten() {
        Some(()) => Ok(()),
        None => Err(scan.error(context, "a JSON object", text)),
    }
}

/// Whether the name that is `written` so reads as `name`, which is ASCII: `p\u0061th` reads as `path`.
pub(super) fn reads_as(written: &[u8], name: &str) -> bool {
    debug_assert!(name.is_ascii());
    Units(written).eq(name.bytes().map(u16::from))
}

/// What a string reads as: its ASCII characters and escapes as UTF-16 units. Every other character is its bytes,
/// which are no ASCII either: enough to differ.
struct Units<'a>(&'a [u8]);

impl Iterator for Units<'_> {
    type Item = u16;

    fn next(&mut self) -> Option<u16> {
        let unit;
        (unit, self.0) = match *self.0 {
            [b'\\', b'u', a, b, c, d, ref rest @ ..] => {
                let digits = [a, b, c, d].map(|digit| char::from(digit).to_digit(16));
                let value = |sum, digit: Option<u32>| sum << 4 | digit.unwrap_or(0) as u16;
                (digits.into_iter().fold(0, value), rest)
            }
            [b'\\', b'b', ref rest @ ..] => (0x08, rest),
            [b'\\', b'f', ref rest @ ..] => (0x0c, rest),
            [b'\\', b'n', ref rest @ ..] => (0x0a, rest),
            [b'\\', b'r', ref rest @ ..] => (0x0d, rest),
            [b'\\', b't', ref rest @ ..] => (0x09, rest),
            // A quote, a slash or a backslash stands for itself.
            [b'\\', same, ref rest @ ..] | [same, ref rest @ ..] => (same.into(), rest),
            [] => return None,
        };
        Some(unit)
    }
}

/// A pass over a text. `None` from any of its functions: `rest` begins where the text is wrong.
struct Scan<'a> {
    rest: &'a [u8],
    /// How many brackets are open.
    depth: usize,
    /// Which of them are braces; the innermost is the lowest bit.
    braces: u128,
    too_deep: bool,
}

// One bit for each level.
const _: () = assert!(MAX_DEPTH == u128::BITS as usize);

impl<'a> Scan<'a> {
    fn new(text: &'a str) -> Self {
        Self {
            rest: text.as_bytes(),
            depth: 0,
            braces: 0,
            too_deep: false,
        }
    }

    /// Passes one value and the white space around it, up to the end of the text.
    #[inline]
    fn document(&mut self, names: &mut impl FnMut(&'a [u8])) -> Option<()> {
        loop {
            // Here a value begins.
            match self.peek()? {
                open @ (b'{' | b'[') => {
                    let is_object = open == b'{';
                    self.open(is_object)?;
                    // In ASCII each closing bracket is two behind its opening one.
                    if self.peek()? != open + 2 {
                        if is_object {
                            self.name(names)?;
                        }
                        continue;
                    }
                }
                b'"' => self.string()?,
                b'-' => {
                    self.skip(1);
                    self.number()?;
                }
                b'0'..=b'9' => self.number()?,
                b't' => self.word(b"true")?,
                b'f' => self.word(b"false")?,
                b'n' => self.word(b"null")?,
                _ => return None,
            }
            // Here one has ended, or an empty object or array is about to: close all that ends with it.
            loop {
                let next = self.peek();
                if self.depth == 0 {
                    return next.is_none().then_some(());
                }
                let in_object = self.braces & 1 == 1;
                match next? {
                    b',' => {
                        self.skip(1);
                        if in_object {
                            self.name(names)?;
                        }
                        break;
                    }
                    b'}' if in_object => self.close(),
                    b']' if !in_object => self.close(),
                    _ => return None,
                }
            }
        }
    }

    /// Passes a bracket that opens.
    fn open(&mut self, is_object: bool) -> Option<()> {
        if self.depth == MAX_DEPTH {
            self.too_deep = true;
            return None;
        }
        self.skip(1);
        self.depth += 1;
        self.braces = self.braces << 1 | u128::from(is_object);
        Some(())
    }

    /// Passes the bracket that closes the innermost open one.
    fn close(&mut self) {
        self.skip(1);
        self.depth -= 1;
        self.braces >>= 1;
    }

    /// Passes the name of a field and the colon behind it.
    fn name(&mut self, names: &mut impl FnMut(&'a [u8])) -> Option<()> {
        if self.peek()? != b'"' {
            return None;
        }
        let from = self.rest;
        self.string()?;
        if self.depth == 1 {
            let quoted = from.get(..from.len() - self.rest.len());
            if let Some([b'"', written @ .., b'"']) = quoted {
                names(written);
            }
        }
        if self.peek()? != b':' {
            return None;
        }
        self.skip(1);
        Some(())
    }

    /// Passes a string, from its opening quote on.
    fn string(&mut self) -> Option<()> {
        self.skip(1);
        loop {
            self.skip_plain();
            match self.rest {
                [b'"', rest @ ..] => {
                    self.rest = rest;
                    return Some(());
                }
                [b'\\', b'u', a, b, c, d, rest @ ..]
                    if [a, b, c, d].into_iter().all(u8::is_ascii_hexdigit) =>
                {
                    self.rest = rest;
                }
                [
                    b'\\',
                    b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't',
                    rest @ ..,
                ] => {
                    self.rest = rest;
                }
                // Another escape, a control character, or the end.
                _ => return None,
            }
        }
    }

    /// Passes what stands for itself in a string, eight bytes at a time where there are as many.
    #[inline]
    fn skip_plain(&mut self) {
        const ONES: u64 = u64::MAX / 0xff;
        const HIGH: u64 = ONES << 7;
        while let Some((eight, rest)) = self.rest.split_first_chunk::<8>() {
            let bytes = u64::from_le_bytes(*eight);
            // The high bit of each byte that is less than `n`; borrows spoil only bytes above the first such.
            let below = |bytes: u64, n: u64| bytes.wrapping_sub(ONES * n) & !bytes;
            let is = |byte: u8| below(bytes ^ (ONES * u64::from(byte)), 1);
            let found = (below(bytes, 0x20) | is(b'"') | is(b'\\')) & HIGH;
            if found != 0 {
                return self.skip(found.trailing_zeros() as usize / 8);
            }
            self.rest = rest;
        }
        while let [byte, rest @ ..] = self.rest
            && !matches!(byte, 0..0x20 | b'"' | b'\\')
        {
            self.rest = rest;
        }
    }

    /// Passes a number, from its first digit on.
    fn number(&mut self) -> Option<()> {
        match self.rest {
            // A zero has no digit behind it.
            [b'0', rest @ ..] => self.rest = rest,
            _ => self.digits()?,
        }
        if let [b'.', rest @ ..] = self.rest {
            self.rest = rest;
            self.digits()?;
        }
        if let [b'e' | b'E', b'+' | b'-', rest @ ..] | [b'e' | b'E', rest @ ..] = self.rest {
            self.rest = rest;
            self.digits()?;
        }
        Some(())
    }

    /// Passes one digit or more.
    fn digits(&mut self) -> Option<()> {
        let before = self.rest.len();
        while let [b'0'..=b'9', rest @ ..] = self.rest {
            self.rest = rest;
        }
        (self.rest.len() < before).then_some(())
    }

    fn word(&mut self, word: &[u8]) -> Option<()> {
        self.rest = self.rest.strip_prefix(word)?;
        Some(())
    }

    /// Passes white space; the byte behind it.
    #[inline]
    fn peek(&mut self) -> Option<u8> {
        while let [b' ' | b'\t' | b'\n' | b'\r', rest @ ..] = self.rest {
            self.rest = rest;
        }
        self.rest.first().copied()
    }

    #[inline]
    fn skip(&mut self, bytes: usize) {
        self.rest = self.rest.get(bytes..).unwrap_or_default();
    }

    /// What is wrong with `text`, and where. Never with the text: it may be a secret.
    #[cold]
    fn error(&self, context: &'static str, wanted: &str, text: &str) -> Error {
        let good = text.len() - self.rest.len();
        let good = text.as_bytes().get(..good).unwrap_or_default();
        let line = 1 + good.iter().filter(|byte| **byte == b'\n').count();
        let column = 1 + good.iter().rev().take_while(|byte| **byte != b'\n').count();
        let sentence = if self.too_deep {
            format!(
                "{context} is nested too deep (line {line}, column {column}); the limit is {MAX_DEPTH} levels"
            )
        } else {
            format!("{context} is not {wanted} (line {line}, column {column})")
        };
        Error::new(ErrorKind::InvalidJson, context, sentence)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sentence(text: &str) -> String {
        check("payload", text).unwrap_err().message().to_owned()
    }

    #[test]
    fn the_place_of_what_is_wrong() {
        for (text, line, column) in [
            ("", 1, 1),
            ("[1,", 1, 4),
            ("[1, 01]", 1, 6),
            ("{\n  \"a\": nul\n}", 2, 8),
            ("\"a\nb\"", 1, 3),
            (r#""ab\x""#, 1, 4),
            (r#"{"a":1,}"#, 1, 8),
            ("[1}", 1, 3),
            ("{} {}", 1, 4),
            ("\r\n\r\n-", 3, 2),
        ] {
            let place = format!("payload is not JSON (line {line}, column {column})");
            assert_eq!(sentence(text), place, "{text:?}");
        }
    }

    #[test]
    fn the_limit_of_depth_is_named() {
        let deep = |levels| "[".repeat(levels) + &"]".repeat(levels);
        assert_eq!(check("payload", &deep(MAX_DEPTH)), Ok(()));
        assert_eq!(
            sentence(&deep(MAX_DEPTH + 1)),
            "payload is nested too deep (line 1, column 129); the limit is 128 levels"
        );
    }

    #[test]
    fn only_the_names_of_the_outermost_object_are_told() {
        let mut told = Vec::new();
        let text = r#" {"a" : {"b": 1}, "": [{"c": 2}], "d\"": null} "#;
        check_object("extra", text, |name| told.push(name.to_vec())).unwrap();
        assert_eq!(told, [&b"a"[..], b"", br#"d\""#]);
        for other in [r#"[{"a": 1}]"#, "null", "", "{", "{}{}"] {
            let refused = check_object("extra", other, |_| {}).unwrap_err();
            assert!(refused.message().contains("not a JSON object"), "{other}");
        }
    }

    #[test]
    fn names_are_compared_as_they_read() {
        for same in ["path", r"p\u0061th", r"\u0070\u0061\u0074\u0068"] {
            assert!(reads_as(same.as_bytes(), "path"), "{same}");
        }
        for other in r"pat paths p\u0161th pa\th path\ud83d päth".split(' ') {
            assert!(!reads_as(other.as_bytes(), "path"), "{other}");
        }
        assert!(reads_as(br#"\b\f\n\r\t\"\/\\"#, "\u{8}\u{c}\n\r\t\"/\\"));
    }
}
