//! Event ids: an epoch per bus and a sequence number per event.

use std::fmt;
use std::str::FromStr;

/// The name of one event of one bus, and the token by which a reader resumes.
///
/// Text form: the epoch as 16 lowercase hexadecimal digits, `-`, and the sequence number in decimal
/// without leading zeros, for example `0123456789abcdef-42`. At most 37 bytes of `[0-9a-f-]`, which
/// keeps a `Last-Event-ID` header free of CORS preflights.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct EventId {
    /// 64 random bits, drawn once per bus: ids of another bus, or of an earlier life of this one,
    /// are told apart.
    pub epoch: u64,
    /// 1 for the first event. 0 stands before the first; 2⁶⁴−1 is never given.
    pub seq: u64,
}

/// The text is not an event id. Nothing more is said: it came from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not an event id: 16 lowercase hex digits, '-', and a decimal number")
    }
}

impl std::error::Error for Malformed {}

const EPOCH_DIGITS: usize = 16;
/// `u64::MAX` has 20 digits.
const SEQ_DIGITS: usize = 20;

impl EventId {
    /// Reads the text form. Strict: no signs, blanks, capitals, leading zeros or further parts, and
    /// a sequence number of at most 2⁶⁴−2. Constant time in the length of a hostile text.
    pub fn parse(text: &[u8]) -> Result<Self, Malformed> {
        if text.len() < EPOCH_DIGITS + 2 || text.len() > EPOCH_DIGITS + 1 + SEQ_DIGITS {
            return Err(Malformed);
        }
        let (epoch_text, rest) = text.split_at(EPOCH_DIGITS);
        let Some((b'-', seq_text)) = rest.split_first() else {
            return Err(Malformed);
        };
        let mut epoch = 0_u64;
        for &b in epoch_text {
            let digit = match b {
                b'0'..=b'9' => b - b'0',
                b'a'..=b'f' => b - b'a' + 10,
                _ => return Err(Malformed),
            };
            epoch = epoch << 4 | u64::from(digit);
        }
        if seq_text.len() > 1 && seq_text.first() == Some(&b'0') {
            return Err(Malformed);
        }
        let mut seq = 0_u64;
        for &b in seq_text {
            if !b.is_ascii_digit() {
                return Err(Malformed);
            }
            seq = seq
                .checked_mul(10)
                .and_then(|s| s.checked_add(u64::from(b - b'0')))
                .ok_or(Malformed)?;
        }
        if seq == u64::MAX {
            return Err(Malformed);
        }
        Ok(Self { epoch, seq })
    }

    /// Appends the text form to `out`.
    pub fn write_to(self, out: &mut Vec<u8>) {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        for i in (0..EPOCH_DIGITS).rev() {
            out.push(HEX[(self.epoch >> (4 * i)) as usize & 15]);
        }
        out.push(b'-');
        let mut digits = [0_u8; SEQ_DIGITS];
        let mut at = SEQ_DIGITS;
        let mut left = self.seq;
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
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}-{}", self.epoch, self.seq)
    }
}

impl fmt::Debug for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for EventId {
    type Err = Malformed;
    fn from_str(text: &str) -> Result<Self, Malformed> {
        Self::parse(text.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_form_round_trips_at_the_edges() {
        for (epoch, seq) in [(0, 0), (u64::MAX, 1), (0xabc, 42), (1 << 63, u64::MAX - 1)] {
            let id = EventId { epoch, seq };
            let mut text = Vec::new();
            id.write_to(&mut text);
            assert_eq!(id.to_string().as_bytes(), text);
            assert_eq!(EventId::parse(&text), Ok(id));
        }
    }

    #[test]
    fn b4_resume_refuses_every_malformed_text() {
        let long = "1".repeat(10_000);
        for text in [
            "",
            "-",
            "1",
            "0123456789abcdef",
            "0123456789abcdef-",
            "0123456789abcdef--1",
            "0123456789abcdef-+1",
            "0123456789abcdef--1",
            "0123456789abcdef- 1",
            "0123456789abcdef-1 ",
            " 0123456789abcdef-1",
            "0123456789abcdef-01",
            "0123456789abcdef-1-2",
            "0123456789ABCDEF-1",
            "0123456789abcde-1",
            "0123456789abcdef-18446744073709551615",
            "0123456789abcdef-18446744073709551616",
            "0123456789abcdef-99999999999999999999",
            "0123456789abcdef-1\0",
            "0123456789abcdeg-1",
            &long,
        ] {
            assert_eq!(
                EventId::parse(text.as_bytes()),
                Err(Malformed),
                "{:.60}",
                text
            );
        }
    }
}
