//! Kinds as bits, so that matching a kind is one AND.

use std::sync::OnceLock;

use crate::sync::{AtomicU64, Mutex, Ordering};

/// A registered kind of one bus: what [`crate::Bus::wanted`] takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Kind(pub(super) u8);

/// The bit of every kind that came too late, or that nobody registered: compared as text.
pub(super) const OTHER: u8 = 63;

impl Kind {
    /// `request`, which every bus registers first.
    pub(super) const REQUEST: Self = Self(0);

    /// The mask with this kind's bit.
    pub(super) const fn mask(self) -> u64 {
        1 << self.0
    }

    /// A number for other languages, 0 to 63.
    #[must_use]
    pub const fn number(self) -> u8 {
        self.0
    }

    /// The kind with this number, as [`Kind::number`] gave it.
    #[must_use]
    pub const fn from_number(number: u8) -> Option<Self> {
        if number <= OTHER {
            Some(Self(number))
        } else {
            None
        }
    }
}

/// The kinds that filters and hosts have named, at most 63; the others share [`OTHER`]. Only grows, so
/// that a publisher looks a kind up without a lock.
pub(super) struct Kinds {
    names: [OnceLock<Box<str>>; OTHER as usize],
    /// How many names are set. Release after a name, Acquire before reading one.
    count: AtomicU64,
    growing: Mutex<()>,
}

impl Kinds {
    pub(super) fn new() -> Self {
        Self {
            names: [const { OnceLock::new() }; OTHER as usize],
            count: AtomicU64::new(0),
            growing: Mutex::new(()),
        }
    }

    /// The bit of `name`: its own, or [`OTHER`].
    #[inline]
    pub(super) fn find(&self, name: &str) -> Kind {
        let count = self.count.load(Ordering::Acquire) as usize;
        let known = self.names.iter().take(count);
        let at = known
            .enumerate()
            .find(|(_, known)| known.get().is_some_and(|k| **k == *name));
        Kind(at.map_or(OTHER, |(at, _)| at as u8))
    }

    /// The bit of `name`, given to it now if one is free.
    pub(super) fn register(&self, name: &str) -> Kind {
        let _growing = self.growing.lock();
        let known = self.find(name);
        if known.0 != OTHER {
            return known;
        }
        let count = self.count.load(Ordering::Relaxed);
        let Some(place) = self.names.get(count as usize) else {
            return known;
        };
        let _ = place.set(name.into());
        self.count.store(count + 1, Ordering::Release);
        Kind(count as u8)
    }
}
