//! Which events a subscription gets.

use std::sync::Arc;

use crate::error::{Error, ErrorKind, Result};
use crate::event::{MAX_KEY, MAX_KIND};

/// Most keys, and most kinds, of one filter.
const MAX_NAMES: usize = 1024;

/// A set of keys and a set of kinds; an event matches if each set is empty or holds the event's. Filters with
/// the same sets are the same filter, in whatever order they were written; cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub struct Filter {
    keys: Arc<[Box<str>]>,
    kinds: Arc<[Box<str>]>,
}

fn sorted_set(field: &'static str, names: &[&str], longest: usize) -> Result<Arc<[Box<str>]>> {
    if names.len() > MAX_NAMES {
        return Err(Error::too_large(field, names.len(), MAX_NAMES));
    }
    if let Some(long) = names.iter().find(|name| name.len() > longest) {
        return Err(Error::too_large(field, long.len(), longest));
    }
    let mut set: Vec<Box<str>> = names.iter().map(|&name| name.into()).collect();
    set.sort_unstable();
    set.dedup();
    Ok(set.into())
}

impl Filter {
    /// Every event.
    #[must_use]
    pub fn all() -> Self {
        Self::default()
    }

    /// Events whose key is among `keys` and whose kind is among `kinds`; an empty slice is no condition.
    /// The empty key is a key: `&[""]` matches events without one. At most 1,024 of each.
    pub fn new(keys: &[&str], kinds: &[&str]) -> Result<Self> {
        if kinds.iter().any(|kind| kind.is_empty()) {
            return Err(Error::fixed(
                ErrorKind::InvalidArgument,
                "kinds",
                "a kind is empty",
            ));
        }
        Ok(Self {
            keys: sorted_set("keys", keys, MAX_KEY)?,
            kinds: sorted_set("kinds", kinds, MAX_KIND)?,
        })
    }

    /// The keys, sorted; empty for all.
    #[must_use]
    pub fn keys(&self) -> &[Box<str>] {
        &self.keys
    }

    /// The kinds, sorted; empty for all.
    #[must_use]
    pub fn kinds(&self) -> &[Box<str>] {
        &self.kinds
    }

    /// Whether every event matches.
    #[must_use]
    pub fn is_all(&self) -> bool {
        self.keys.is_empty() && self.kinds.is_empty()
    }

    pub(super) fn has_kind(&self, kind: &str) -> bool {
        self.kinds
            .binary_search_by(|known| (**known).cmp(kind))
            .is_ok()
    }

    pub(super) fn has_key(&self, key: &str) -> bool {
        self.keys
            .binary_search_by(|known| (**known).cmp(key))
            .is_ok()
    }
}
