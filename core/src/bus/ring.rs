//! The slots of the log, and the account of what was lent from them.
//!
//! References are lent and given back in *runs* of neighbouring events, without touching the events: a run from
//! `a` up to but not including `b` adds 1 to the difference at `a` and takes 1 from the one at `b`. The sum of the
//! differences up to a slot is what is lent from it. As slots are emptied in order, one running sum is enough.

use crate::event::{Event, LogRef};

use super::kinds::Kind;
use super::row::Meta;

/// What a slot knows of its event.
#[derive(Clone, Copy, Default)]
struct Facts {
    /// How many references more are lent from this slot than from the one before.
    lent_more: i32,
    /// Size of the block while kept; once evicted, the text bytes that eviction reckoned with.
    size: u32,
    key_hash: u32,
    kind: u8,
    /// Bytes of all blocks up to and including this one, so that a run's size is one subtraction.
    bytes_so_far: u64,
}

/// A ring of slots, addressed by seq. The caller sees to it that it never holds more than it has slots for, less
/// one: the difference behind the newest event needs a place.
pub(super) struct Ring {
    /// Apart from the facts, so that a run is copied as it lies.
    events: Box<[Option<LogRef>]>,
    facts: Box<[Facts]>,
    mask: u64,
    /// The first seq that is not emptied.
    first: u64,
    /// Sum of the differences before `first`.
    lent: i32,
    bytes_so_far: u64,
}

impl Ring {
    /// Room for `events` events.
    pub(super) fn new(events: usize) -> Self {
        // One more while the newest is written before the oldest is emptied, and one behind it.
        let slots = (events + 2).next_power_of_two();
        Self {
            events: (0..slots).map(|_| None).collect(),
            facts: vec![Facts::default(); slots].into(),
            mask: slots as u64 - 1,
            first: 1,
            lent: 0,
            bytes_so_far: 0,
        }
    }

    #[inline]
    fn at(&self, seq: u64) -> usize {
        (seq & self.mask) as usize
    }

    /// The first seq that is not emptied.
    #[inline]
    pub(super) fn first(&self) -> u64 {
        self.first
    }

    /// Puts the newest event in its slot.
    #[inline]
    pub(super) fn put(&mut self, seq: u64, event: LogRef, meta: Meta) {
        let at = self.at(seq);
        if let Some(slot) = self.events.get_mut(at) {
            *slot = Some(event);
        }
        self.bytes_so_far += u64::from(meta.size);
        if let Some(facts) = self.facts.get_mut(at) {
            facts.bytes_so_far = self.bytes_so_far;
            facts.size = meta.size;
            facts.key_hash = meta.key_hash;
            facts.kind = meta.kind.0;
        }
    }

    /// Empties the first slot: the event with what is lent of it, and the slot's size.
    #[inline]
    pub(super) fn take_first(&mut self) -> Option<(LogRef, i32, u32)> {
        let at = self.at(self.first);
        let event = self.events.get_mut(at)?.take()?;
        let facts = self.facts.get_mut(at)?;
        self.lent += std::mem::take(&mut facts.lent_more);
        self.first += 1;
        Some((event, self.lent, facts.size))
    }

    /// The event with this seq, if it is held, without a reference.
    #[inline]
    pub(super) fn get(&self, seq: u64) -> Option<&LogRef> {
        self.events.get(self.at(seq))?.as_ref()
    }

    /// What is known of the event with this seq without touching it.
    #[inline]
    pub(super) fn meta(&self, seq: u64) -> Meta {
        let facts = self.facts.get(self.at(seq)).copied().unwrap_or_default();
        Meta {
            kind: Kind(facts.kind),
            key_hash: facts.key_hash,
            size: facts.size,
        }
    }

    /// Bytes of the blocks of `len` events from `first` on, 1 or more, all of which are kept.
    #[inline]
    pub(super) fn bytes(&self, first: u64, len: usize) -> u64 {
        let so_far = |seq| {
            self.facts
                .get(self.at(seq))
                .map_or(0, |facts| facts.bytes_so_far)
        };
        let own = u64::from(self.meta(first).size);
        so_far(first + len as u64 - 1) - so_far(first) + own
    }

    /// Replaces the size.
    pub(super) fn set_size(&mut self, seq: u64, size: u32) {
        let at = self.at(seq);
        if let Some(facts) = self.facts.get_mut(at) {
            facts.size = size;
        }
    }

    #[inline]
    fn differ(&mut self, seq: u64, by: i32) {
        let at = self.at(seq);
        if let Some(facts) = self.facts.get_mut(at) {
            facts.lent_more += by;
        }
    }

    /// References to `len` events from `first` on, which must all be held, for `out`.
    #[inline]
    pub(super) fn lend(&mut self, first: u64, len: usize, out: &mut Vec<Option<Event>>) {
        let at = self.at(first);
        let until_end = len.min(self.events.len() - at);
        let (wrapped, straight) = self.events.split_at(at);
        for part in [straight.get(..until_end), wrapped.get(..len - until_end)] {
            let slots = part.unwrap_or_default().iter();
            out.extend(slots.map(|slot| slot.as_ref().map(LogRef::lend)));
        }
        self.differ(first, 1);
        self.differ(first + len as u64, -1);
    }

    /// A reference to one event, if it is held.
    #[inline]
    pub(super) fn lend_one(&mut self, seq: u64) -> Option<Event> {
        let event = self.get(seq)?.lend();
        self.differ(seq, 1);
        self.differ(seq + 1, -1);
        Some(event)
    }

    /// Takes back the references to `len` events from `first` on that were lent by this ring. Those to the first
    /// of them, as many as the answer says, are no longer this ring's affair: their holder drops them.
    #[inline]
    pub(super) fn take_back(&mut self, first: u64, len: usize) -> usize {
        let end = first + len as u64;
        let from = first.max(self.first).min(end);
        if from < end {
            self.differ(from, -1);
            self.differ(end, 1);
        }
        (from - first) as usize
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        while let Some((event, lent, _)) = self.take_first() {
            event.retire(lent);
        }
    }
}
