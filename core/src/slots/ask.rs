//! What a call asks for.

use super::key::{Key, OwnedKey};
use super::limit::Limit;
use crate::error::{Error, ErrorKind, Result};

/// Most keys of one call, and of one slot.
pub const MAX_KEYS: usize = 8;

/// One key of a call, with the limit that the caller knows for it.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    /// What is asked for.
    pub key: Key<'a>,
    /// The limit of the key, from the host's own configuration: the latest call decides, and a limit that was set on the
    /// key ([`super::SlotPool::set_limit`]) wins over it. `None` takes the limit that the key has;
    /// a key that has none yet refuses as invalid.
    pub limit: Option<Limit>,
}

impl<'a> Ask<'a> {
    /// Asks for a slot of `scope` and `id` with this limit.
    #[must_use]
    pub const fn new(scope: &'a str, id: &'a str, limit: Limit) -> Self {
        Self {
            key: Key::new(scope, id),
            limit: Some(limit),
        }
    }

    /// Whether it would pass [`Ask::check_all`] alone.
    #[inline]
    pub(super) fn is_valid(&self) -> bool {
        let is_limit = !matches!(self.limit, Some(Limit::Of(number)) if number > Limit::MAX);
        self.key.is_valid() && is_limit
    }

    /// Checks what one call asks for: 1 to [`MAX_KEYS`] keys, no scope twice.
    pub(super) fn check_all(asks: &[Self]) -> Result<(), Invalid> {
        if asks.is_empty() {
            return Err(Invalid {
                at: None,
                error: Error::fixed(
                    ErrorKind::InvalidArgument,
                    "keys",
                    "there is none; ask for 1 to 8",
                ),
            });
        }
        if asks.len() > MAX_KEYS {
            return Err(Invalid {
                at: None,
                error: Error::too_large("keys", asks.len(), MAX_KEYS),
            });
        }
        for (at, ask) in asks.iter().enumerate() {
            let checked = ask.key.check().and_then(|()| match ask.limit {
                Some(limit) => limit.check(),
                None => Ok(()),
            });
            let twice = asks
                .iter()
                .take(at)
                .any(|other| other.key.scope == ask.key.scope);
            let checked = checked.and_then(|()| if twice { Err(same_scope()) } else { Ok(()) });
            checked.map_err(|error| Invalid {
                at: Some(at),
                error,
            })?;
        }
        Ok(())
    }
}

fn same_scope() -> Error {
    Error::fixed(
        ErrorKind::InvalidArgument,
        "scope",
        "the same scope stands twice in one call; a slot holds one key of a scope",
    )
}

/// What is wrong with a call, and with which of its keys.
pub(super) struct Invalid {
    pub(super) at: Option<usize>,
    pub(super) error: Error,
}

/// An ask that owns its key.
#[derive(Clone, Debug)]
pub(super) struct OwnedAsk {
    pub(super) key: OwnedKey,
    pub(super) limit: Option<Limit>,
}

impl OwnedAsk {
    pub(super) fn as_ask(&self) -> Ask<'_> {
        Ask {
            key: self.key.as_key(),
            limit: self.limit,
        }
    }
}

impl From<&Ask<'_>> for OwnedAsk {
    fn from(ask: &Ask<'_>) -> Self {
        Self {
            key: ask.key.into(),
            limit: ask.limit,
        }
    }
}
