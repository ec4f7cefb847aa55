//! From any bytes to something to publish.

use reqbus_core::event::{EventId, RequestStatus};

/// Reads values off bytes; what is missing is zero or empty, so every input means something.
pub struct Recipe<'a> {
    left: &'a [u8],
}

impl<'a> Recipe<'a> {
    pub fn new(data: &'a [u8]) -> Self {
        Self { left: data }
    }

    pub fn is_empty(&self) -> bool {
        self.left.is_empty()
    }

    fn take(&mut self, len: usize) -> &'a [u8] {
        let (taken, left) = self.left.split_at(len.min(self.left.len()));
        self.left = left;
        taken
    }

    pub fn byte(&mut self) -> u8 {
        self.take(1).first().copied().unwrap_or(0)
    }

    pub fn number(&mut self) -> u64 {
        self.take(8)
            .iter()
            .fold(0, |number, &b| number << 8 | u64::from(b))
    }

    pub fn bytes(&mut self) -> &'a [u8] {
        let len = usize::from(self.byte());
        self.take(len)
    }

    /// Text of up to 255 bytes; what is not UTF-8 becomes U+FFFD.
    pub fn text(&mut self) -> String {
        String::from_utf8_lossy(self.bytes()).into_owned()
    }

    pub fn id(&mut self) -> EventId {
        EventId {
            epoch: self.number(),
            seq: self.number().min(u64::MAX - 1),
        }
    }

    pub fn time_ns(&mut self) -> u64 {
        self.number() >> 1
    }

    /// A kind that hosts may use.
    pub fn kind(&mut self) -> String {
        let kind = self.text().replace(['\r', '\n', '\0'], "");
        let fits = !kind.is_empty() && kind.len() <= 255 && !kind.starts_with("reqbus.");
        if fits { kind } else { "k".to_owned() }
    }

    /// A key; U+FFFD may have made a text too long for one.
    pub fn key(&mut self) -> String {
        let key = self.text();
        if key.len() <= 255 { key } else { String::new() }
    }

    pub fn status(&mut self) -> RequestStatus {
        RequestStatus::from_number(self.byte() % 3).expect("0 to 2")
    }

    /// White space as JSON allows it between tokens, with a liking for line breaks.
    fn space(&mut self, out: &mut String) {
        let space = ["", "", "", "", " ", "\n", "\r", "\r\n", "\t", "\n\n  "];
        out.push_str(space[usize::from(self.byte()) % space.len()]);
    }

    fn string(&mut self, out: &mut String) {
        let text = self.text();
        let json = serde_json::to_string(&text).expect("a text has a JSON form");
        if self.byte().is_multiple_of(4) {
            // Spelt in another way: each letter as an escape.
            out.push('"');
            for unit in text.encode_utf16() {
                out.push_str(&format!("\\u{unit:04X}"));
            }
            out.push('"');
        } else {
            out.push_str(&json);
        }
    }

    /// Some JSON value; with nothing left, `null`.
    pub fn json(&mut self, out: &mut String, depth: u8) {
        self.space(out);
        match self.byte() % 8 {
            1 => self.string(out),
            2 => out.push_str("true"),
            3 => out.push_str(&(self.number() as i64).to_string()),
            4 => out.push_str("-1.50e+2"),
            5 if depth > 0 => {
                out.push('[');
                for at in 0..self.byte() % 4 {
                    if at > 0 {
                        out.push(',');
                    }
                    self.json(out, depth - 1);
                }
                self.space(out);
                out.push(']');
            }
            6 if depth > 0 => self.object(out, depth - 1, &["kind", "id", "data"]),
            7 => out.push_str("\"reqbus.lost\""),
            _ => out.push_str("null"),
        }
        self.space(out);
    }

    /// Some JSON object, whose names are often those of `names`.
    pub fn object(&mut self, out: &mut String, depth: u8, names: &[&str]) {
        self.space(out);
        out.push('{');
        for at in 0..self.byte() % 5 {
            if at > 0 {
                out.push(',');
            }
            self.space(out);
            match names.get(usize::from(self.byte()) % (names.len() * 2)) {
                Some(name) => {
                    out.push('"');
                    out.push_str(name);
                    out.push('"');
                }
                None => self.string(out),
            }
            self.space(out);
            out.push(':');
            self.json(out, depth);
        }
        self.space(out);
        out.push('}');
        self.space(out);
    }
}
