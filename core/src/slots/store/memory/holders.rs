//! The set of those who hold units of one key.
//!
//! A slab whose entries are linked in the order of their grants: the oldest is found at once. Who lost its unit stays
//! on, uncounted, until its slot is released, so that the release can say so.

use std::sync::Arc;

use crate::bell::Source;
use crate::slots::slot::LostReason;

/// No entry.
const NONE: u32 = u32::MAX;

/// The set. Its first place is its own, the others are a vector's.
pub(super) struct Holders {
    first: Entry,
    others: Vec<Entry>,
    free: u32,
    oldest: u32,
    newest: u32,
    held: u32,
    lost: u32,
}

struct Entry {
    /// Tells the uses of this place apart; 0 while it is free.
    generation: u32,
    prev: u32,
    /// The next newer; of a free place the next free one.
    next: u32,
    lost: Option<LostReason>,
    since_ns: u64,
    label: Option<Box<str>>,
    watch: Option<Arc<Source>>,
}

/// What was removed.
pub(super) enum Removed {
    /// A unit that was held since then, by the coarse clock.
    Held(u64),
    /// One that was lost before.
    Lost,
    /// None: it was removed before.
    Unknown,
}

impl Holders {
    pub(super) const fn new() -> Self {
        Self {
            first: Entry::FREE,
            others: Vec::new(),
            free: 0,
            oldest: NONE,
            newest: NONE,
            held: 0,
            lost: 0,
        }
    }

    /// As new, with the memory that a few took.
    pub(super) fn clear(&mut self) {
        const FEW: usize = 8;
        let mut others = std::mem::take(&mut self.others);
        if others.capacity() > FEW {
            others = Vec::new();
        }
        others.clear();
        *self = Self {
            others,
            ..Self::new()
        };
    }

    /// How many hold a unit.
    #[inline]
    pub(super) const fn len(&self) -> u32 {
        self.held
    }

    /// Whether there is no entry, of a lost unit neither.
    #[inline]
    pub(super) const fn is_unused(&self) -> bool {
        self.held + self.lost == 0
    }

    /// Since when the oldest has held its unit.
    #[inline]
    pub(super) fn oldest_ns(&self) -> Option<u64> {
        self.get(self.oldest).map(|entry| entry.since_ns)
    }

    #[inline]
    fn get(&self, at: u32) -> Option<&Entry> {
        match at {
            0 => Some(&self.first),
            _ => self.others.get(at as usize - 1),
        }
    }

    #[inline]
    fn get_mut(&mut self, at: u32) -> Option<&mut Entry> {
        match at {
            0 => Some(&mut self.first),
            _ => self.others.get_mut(at as usize - 1),
        }
    }

    /// The entry that a token names.
    #[inline]
    fn find(&self, at: u32, generation: u32) -> Option<&Entry> {
        self.get(at).filter(|entry| entry.is(generation))
    }

    #[inline]
    fn find_mut(&mut self, at: u32, generation: u32) -> Option<&mut Entry> {
        self.get_mut(at).filter(|entry| entry.is(generation))
    }

    /// Adds one; its place. `generation` is not 0, which is a free place's.
    #[inline]
    pub(super) fn add(&mut self, generation: u32, since_ns: u64, label: Option<Box<str>>) -> u32 {
        let entry = Entry {
            generation,
            prev: self.newest,
            next: NONE,
            lost: None,
            since_ns,
            label,
            watch: None,
        };
        let at = self.free;
        let at = match self.get_mut(at) {
            Some(place) => {
                let next_free = place.next;
                *place = entry;
                self.free = next_free;
                at
            }
            None => {
                self.others.push(entry);
                self.others.len() as u32
            }
        };
        let newest = self.newest;
        if newest == NONE {
            self.oldest = at;
        } else if let Some(newest) = self.get_mut(newest) {
            newest.next = at;
        }
        self.newest = at;
        self.held += 1;
        at
    }

    /// Takes an entry out of the order of the held.
    fn unlink(&mut self, prev: u32, next: u32) {
        if prev == NONE {
            self.oldest = next;
        } else if let Some(prev) = self.get_mut(prev) {
            prev.next = next;
        }
        if next == NONE {
            self.newest = prev;
        } else if let Some(next) = self.get_mut(next) {
            next.prev = prev;
        }
        self.held -= 1;
    }

    /// Removes one. What it owned besides is for the caller to drop, under no lock.
    #[inline]
    pub(super) fn remove(&mut self, at: u32, generation: u32) -> (Removed, Leavings) {
        let free = self.free;
        let Some(entry) = self.find_mut(at, generation) else {
            return (Removed::Unknown, (None, None));
        };
        let leavings = (entry.label.take(), entry.watch.take());
        let (prev, next, since_ns) = (entry.prev, entry.next, entry.since_ns);
        let was_lost = entry.lost.take().is_some();
        entry.generation = 0;
        entry.next = free;
        self.free = at;
        if was_lost {
            self.lost -= 1;
            return (Removed::Lost, leavings);
        }
        self.unlink(prev, next);
        (Removed::Held(since_ns), leavings)
    }

    /// Takes a unit away from its holder. Who is to be woken, or `None` if it was not held.
    pub(super) fn lose(
        &mut self,
        at: u32,
        generation: u32,
        reason: LostReason,
    ) -> Option<Option<Arc<Source>>> {
        let entry = self
            .find_mut(at, generation)
            .filter(|entry| entry.lost.is_none())?;
        entry.lost = Some(reason);
        let (prev, next, watch) = (entry.prev, entry.next, entry.watch.take());
        self.unlink(prev, next);
        self.lost += 1;
        Some(watch)
    }

    /// Why it was lost, if it was.
    pub(super) fn lost(&self, at: u32, generation: u32) -> Option<LostReason> {
        self.find(at, generation)?.lost
    }

    /// Whether there is an entry, of a lost unit too.
    pub(super) fn has(&self, at: u32, generation: u32) -> bool {
        self.find(at, generation).is_some()
    }

    /// `source` is woken when the unit is lost. `false` if it is not held.
    pub(super) fn watch(&mut self, at: u32, generation: u32, source: &Arc<Source>) -> bool {
        let entry = self
            .find_mut(at, generation)
            .filter(|entry| entry.lost.is_none());
        let Some(entry) = entry else { return false };
        entry.watch = Some(source.clone());
        true
    }

    /// Since when, and under which label, a unit is held.
    pub(super) fn held(&self, at: u32, generation: u32) -> Option<(u64, &str)> {
        let entry = self.find(at, generation)?;
        entry.lost.is_none().then(|| entry.shown())
    }

    /// Those who hold a unit, oldest first: place, generation, since when, label.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, u32, u64, &str)> {
        let mut at = self.oldest;
        std::iter::from_fn(move || {
            let entry = self.get(at)?;
            let (since_ns, label) = entry.shown();
            let item = (at, entry.generation, since_ns, label);
            at = entry.next;
            Some(item)
        })
    }
}

impl Entry {
    const FREE: Self = Self {
        generation: 0,
        prev: NONE,
        next: NONE,
        lost: None,
        since_ns: 0,
        label: None,
        watch: None,
    };

    /// Whether it is that use of its place. A host may ask for any number: 0 is a free place's.
    #[inline]
    const fn is(&self, generation: u32) -> bool {
        self.generation == generation && generation != 0
    }

    fn shown(&self) -> (u64, &str) {
        (self.since_ns, self.label.as_deref().unwrap_or(""))
    }
}

/// What an entry owned: dropped under no lock.
pub(super) type Leavings = (Option<Box<str>>, Option<Arc<Source>>);
