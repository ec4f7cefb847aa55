//! A short text, in place.

use arrayvec::ArrayString;

/// Longest text that is held in place.
const SHORT: usize = 28;

/// An id or a label. Most are short, and then need no memory of their own.
pub(super) enum Name {
    Short(ArrayString<SHORT>),
    Long(Box<str>),
}

impl Name {
    pub(super) fn new(text: &str) -> Self {
        ArrayString::from(text).map_or_else(|_| Self::Long(text.into()), Self::Short)
    }

    #[inline]
    pub(super) fn as_str(&self) -> &str {
        match self {
            Self::Short(text) => text,
            Self::Long(text) => text,
        }
    }
}

impl Default for Name {
    fn default() -> Self {
        Self::Short(ArrayString::new())
    }
}
