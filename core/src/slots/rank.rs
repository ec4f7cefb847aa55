//! The order in which a wait takes its scopes.

use std::cmp::Ordering;

use super::ask::Ask;
use super::key::Key;

/// The order in which the scopes of one call are taken, the same for every wait of a pool, so that two waits never hold
/// what the other wants.
///
/// Scopes named in `first` come first, in that order; those in `last` come last, in that order; all others between, by
/// their bytes. Default: `user`, `api_key`, others, `account`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ranks {
    first: Box<[Box<str>]>,
    last: Box<[Box<str>]>,
}

impl Ranks {
    /// Ranks; a scope that is named twice stands where it is named first.
    #[must_use]
    pub fn new(first: &[&str], last: &[&str]) -> Self {
        let own = |scopes: &[&str]| scopes.iter().map(|&scope| scope.into()).collect();
        Self {
            first: own(first),
            last: own(last),
        }
    }

    /// Where a scope stands; equal for scopes that are ordered by their bytes.
    fn place(&self, scope: &str) -> usize {
        let at = |scopes: &[Box<str>]| scopes.iter().position(|named| **named == *scope);
        match (at(&self.first), at(&self.last)) {
            (Some(first), _) => first,
            (None, Some(last)) => self.first.len() + 1 + last,
            (None, None) => self.first.len(),
        }
    }

    /// Whether `one` is taken before `other`.
    #[must_use]
    pub fn compare_scopes(&self, one: &str, other: &str) -> Ordering {
        let places = self.place(one).cmp(&self.place(other));
        places.then_with(|| one.cmp(other))
    }

    pub(super) fn compare(&self, one: Key<'_>, other: Key<'_>) -> Ordering {
        self.compare_scopes(one.scope, other.scope)
            .then_with(|| one.id.cmp(other.id))
    }

    /// Sorts what one call asks for.
    #[inline]
    pub(super) fn sort<T>(&self, asks: &mut [T], ask: impl Fn(&T) -> Ask<'_>) {
        if asks.len() > 1 {
            asks.sort_by(|one, other| self.compare(ask(one).key, ask(other).key));
        }
    }
}

impl Default for Ranks {
    fn default() -> Self {
        Self::new(&["user", "api_key"], &["account"])
    }
}
