//! The set of those who hold units of one key.
//!
//! A slab whose entries are linked in the order of their grants: the oldest is found at once. Who lost its unit stays
//! on, uncounted, until its slot is released, so that the release can say so.

use std::sync::Arc;

use super::name::Name;
use crate::bell::Source;
use crate::slots::lost_reason::LostReason;

/// No entry.
const NONE: u32 = u32::MAX;

/// The set. Its first place is its own, the others are a vector's. Small, because each try and each release writes to
/// it.
#[repr(C)]
pub(super) struct Holders {
    first: Entry,
    free: u32,
    oldest: u32,
    newest: u32,
    held: u32,
    // What follows is not written as long as one holds.
    others: Option<Box<Others>>,
    lost: u32,
}

/// Behind one pointer.
#[derive(Default)]
struct Others(Vec<Entry>);

struct Entry {
    since_ns: u64,
    extra: Option<Box<Extra>>,
    /// Tells the uses of this place apart; 0 while it is free.
    generation: u32,
    prev: u32,
    /// The next newer; of a free place the next free one.
    next: u32,
    lost: Option<LostReason>,
}

/// What few holders have.
#[derive(Default)]
pub(super) struct Extra {
    label: Name,
    watch: Option<Arc<Source>>,
}

impl Extra {
    /// Copied before the lock is taken, where that can be.
    #[inline]
    pub(super) fn of_label(label: &str) -> Option<Box<Self>> {
        let extra = || Self {
            label: Name::new(label),
            watch: None,
        };
        (!label.is_empty()).then(|| Box::new(extra()))
    }
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
    /// How many bytes at the beginning are written as long as one holds.
    pub(super) const HOT: usize = std::mem::offset_of!(Self, others);

    pub(super) const fn new() -> Self {
        Self {
            first: Entry::FREE,
            others: None,
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
        let mut others = self.others.take();
        others = others.filter(|others| others.0.capacity() <= FEW);
        if let Some(others) = &mut others {
            others.0.clear();
        }
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
            _ => self.others.as_ref()?.0.get(at as usize - 1),
        }
    }

    #[inline]
    fn get_mut(&mut self, at: u32) -> Option<&mut Entry> {
        match at {
            0 => Some(&mut self.first),
            _ => self.others.as_mut()?.0.get_mut(at as usize - 1),
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
    pub(super) fn add(&mut self, generation: u32, since_ns: u64, extra: Option<Box<Extra>>) -> u32 {
        let entry = Entry {
            since_ns,
            extra,
            generation,
            prev: self.newest,
            next: NONE,
            lost: None,
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
                let others = &mut self.others.get_or_insert_default().0;
                others.push(entry);
                others.len() as u32
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
    pub(super) fn remove(&mut self, at: u32, generation: u32) -> (Removed, Option<Box<Extra>>) {
        let free = self.free;
        let Some(entry) = self.find_mut(at, generation) else {
            return (Removed::Unknown, None);
        };
        let leavings = entry.extra.take();
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
        let (prev, next, watch) = (entry.prev, entry.next, entry.take_watch());
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
        entry.extra.get_or_insert_default().watch = Some(source.clone());
        true
    }

    /// Since when, and under which label, a unit is held, or was until it was lost.
    pub(super) fn known(&self, at: u32, generation: u32) -> Option<(u64, &str)> {
        Some(self.find(at, generation)?.shown())
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
        since_ns: 0,
        extra: None,
        generation: 0,
        prev: NONE,
        next: NONE,
        lost: None,
    };

    /// Whether it is that use of its place. A host may ask for any number: 0 is a free place's.
    #[inline]
    const fn is(&self, generation: u32) -> bool {
        self.generation == generation && generation != 0
    }

    fn take_watch(&mut self) -> Option<Arc<Source>> {
        self.extra.as_mut()?.watch.take()
    }

    fn shown(&self) -> (u64, &str) {
        let label = self.extra.as_ref().map_or("", |extra| extra.label.as_str());
        (self.since_ns, label)
    }
}
