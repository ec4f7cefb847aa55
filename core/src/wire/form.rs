//! The forms of a text.

use std::fmt;

/// How an event is written: see the table in [`crate::wire`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Form {
    /// The payload alone, one line of JSON. Says neither id nor kind nor key.
    Json = 0,
    /// One JSON object with id, kind, key, time and payload: a WebSocket message.
    Envelope = 1,
    /// [`Form::Envelope`] and a line feed: newline-delimited JSON.
    Ndjson = 2,
    /// A server-sent event (`text/event-stream`, WHATWG HTML section 9.2).
    Sse = 3,
}

impl Form {
    /// All forms, in the order of their numbers.
    pub const ALL: [Self; 4] = [Self::Json, Self::Envelope, Self::Ndjson, Self::Sse];

    /// The name of the form, the same in every language.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Envelope => "envelope",
            Self::Ndjson => "ndjson",
            Self::Sse => "sse",
        }
    }

    /// The form of this name; names are in lower case.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|form| form.name() == name)
    }

    /// The number of the form in the C ABI, 0 to 3. Never reused.
    #[must_use]
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// The form with this number.
    #[must_use]
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            0 => Some(Self::Json),
            1 => Some(Self::Envelope),
            2 => Some(Self::Ndjson),
            3 => Some(Self::Sse),
            _ => None,
        }
    }
}

impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_lead_back() {
        for (at, form) in Form::ALL.into_iter().enumerate() {
            assert_eq!(usize::from(form.number()), at);
            assert_eq!(Form::from_number(form.number()), Some(form));
            assert_eq!(Form::from_name(form.name()), Some(form));
            assert_eq!(form.to_string(), form.name());
        }
        assert!((4..=u8::MAX).all(|number| Form::from_number(number).is_none()));
        for name in ["", "JSON", "json ", "sse\0", "text"] {
            assert_eq!(Form::from_name(name), None);
        }
    }
}
