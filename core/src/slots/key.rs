//! What is limited.

use std::fmt;

use crate::error::{Error, ErrorKind, Result};

/// Longest scope and longest id, in bytes.
pub const MAX_NAME: usize = 255;

/// What a limit is on: a scope and an id in it, such as `user` and `42`, or `account` and `7`.
///
/// Any UTF-8 text of 1 to 255 bytes will do for either; no byte has a meaning (`:`, `{}` and NUL included).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key<'a> {
    /// What sort of thing is limited. A slot holds at most one key of a scope. Sorts are few, and fixed by the host: what a
    /// scope's keys counted is kept for good, also when its keys are forgotten. What comes from outside is an id.
    pub scope: &'a str,
    /// Which one. May be a secret (an API key): no error and no `Debug` text shows it.
    pub id: &'a str,
}

impl<'a> Key<'a> {
    /// A key; it is checked where it is used.
    #[must_use]
    pub const fn new(scope: &'a str, id: &'a str) -> Self {
        Self { scope, id }
    }

    /// [`ErrorKind::InvalidArgument`] for an empty part, [`ErrorKind::TooLarge`] for one over 255 bytes.
    pub fn check(&self) -> Result<()> {
        if self.is_valid() {
            return Ok(());
        }
        check_name("scope", self.scope)?;
        check_name("id", self.id)
    }
}

impl Key<'_> {
    /// Whether it would pass [`Key::check`].
    #[inline]
    pub(super) const fn is_valid(&self) -> bool {
        !self.scope.is_empty()
            && self.scope.len() <= MAX_NAME
            && !self.id.is_empty()
            && self.id.len() <= MAX_NAME
    }
}

/// Shows the scope, and how long the id is.
impl fmt::Debug for Key<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({}, id of {} bytes)", self.scope, self.id.len())
    }
}

#[inline]
fn check_name(context: &'static str, text: &str) -> Result<()> {
    if text.is_empty() {
        return Err(Error::fixed(
            ErrorKind::InvalidArgument,
            context,
            "it is empty; a key has a scope and an id",
        ));
    }
    check_len(context, text.len())
}

/// A text of at most [`MAX_NAME`] bytes, which may be empty: a label, a cause.
#[inline]
pub(super) fn check_len(context: &'static str, len: usize) -> Result<()> {
    if len > MAX_NAME {
        return Err(Error::too_large(context, len, MAX_NAME));
    }
    Ok(())
}

/// A key that owns its texts.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OwnedKey {
    scope: Box<str>,
    id: Box<str>,
}

impl OwnedKey {
    /// The key.
    #[must_use]
    pub fn as_key(&self) -> Key<'_> {
        Key::new(&self.scope, &self.id)
    }
}

impl From<Key<'_>> for OwnedKey {
    fn from(key: Key<'_>) -> Self {
        Self {
            scope: key.scope.into(),
            id: key.id.into(),
        }
    }
}

impl fmt::Debug for OwnedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_key().fmt(f)
    }
}
