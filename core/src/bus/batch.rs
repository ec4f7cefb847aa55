//! A reusable batch: what one read took.

use std::fmt;

use super::item::{Item, OwnedItem};
use crate::event::{Event, EventId};

/// The items of one read, and, if they were asked for, their texts in one buffer.
///
/// Reuse one batch for all reads of a loop: in steady state a read then allocates nothing, and gives the
/// events of the previous one back to their log without touching their reference counts. Items stay until
/// the next read into the batch, [`Batch::clear`] or its drop. One thread at a time.
pub struct Batch {
    entries: Vec<Entry>,
    /// The items that are not events, in their order.
    others: Vec<OwnedItem>,
    pub(super) settled: EventId,
    pub(super) texts: Vec<u8>,
    pub(super) ends: Vec<usize>,
}

/// An item, in two words: most are events, and a read writes hundreds of them.
struct Entry {
    /// `None` for an item of `Batch::others`.
    event: Option<Event>,
    /// The event's `n`, or the place in `Batch::others`.
    n: u64,
}

/// The texts of a batch, ready to write.
#[derive(Clone, Copy, Debug)]
pub struct Texts<'a> {
    /// All texts, one behind the other.
    pub buffer: &'a [u8],
    /// Where each ends; one per item.
    pub ends: &'a [usize],
}

impl Batch {
    /// An empty batch, without memory yet.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            entries: Vec::new(),
            others: Vec::new(),
            settled: EventId { epoch: 0, seq: 0 },
            texts: Vec::new(),
            ends: Vec::new(),
        }
    }

    /// How many items it holds.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether it holds none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Item `at`, from 0.
    #[must_use]
    pub fn get(&self, at: usize) -> Option<Item<'_>> {
        self.entries.get(at).and_then(|entry| self.item(entry))
    }

    fn item<'a>(&'a self, entry: &'a Entry) -> Option<Item<'a>> {
        match &entry.event {
            Some(event) => Some(Item::Event { event, n: entry.n }),
            None => self.others.get(entry.n as usize).map(OwnedItem::as_item),
        }
    }

    /// The items in their order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = Item<'_>> + '_ {
        self.entries.iter().filter_map(|entry| self.item(entry))
    }

    /// Only the events.
    pub fn events(&self) -> impl Iterator<Item = &Event> + '_ {
        self.entries.iter().filter_map(|entry| entry.event.as_ref())
    }

    /// Makes room for `more` items, so that pushing them allocates nothing.
    pub(super) fn reserve(&mut self, more: usize) {
        self.entries.reserve(more);
    }

    #[inline]
    pub(super) fn push_event(&mut self, event: Event, n: u64) {
        self.entries.push(Entry {
            event: Some(event),
            n,
        });
    }

    pub(super) fn push(&mut self, item: OwnedItem) {
        match item {
            OwnedItem::Event { event, n } => self.push_event(event, n),
            other => {
                self.entries.push(Entry {
                    event: None,
                    n: self.others.len() as u64,
                });
                self.others.push(other);
            }
        }
    }

    /// Writes texts, by `write`, of the next `most` items that have none yet.
    pub(super) fn write_texts(
        &mut self,
        most: usize,
        mut write: impl FnMut(Item<'_>, &mut Vec<u8>),
    ) {
        let mut texts = std::mem::take(&mut self.texts);
        let mut ends = std::mem::take(&mut self.ends);
        for entry in self.entries.iter().skip(ends.len()).take(most) {
            if let Some(item) = self.item(entry) {
                write(item, &mut texts);
            }
            ends.push(texts.len());
        }
        self.texts = texts;
        self.ends = ends;
    }

    /// Drops the items from `len` on, with their texts.
    pub(super) fn truncate(&mut self, len: usize) {
        let gone = self
            .entries
            .iter()
            .skip(len)
            .filter(|entry| entry.event.is_none())
            .count();
        self.entries.truncate(len);
        self.others.truncate(self.others.len() - gone);
        self.ends.truncate(len);
        self.texts.truncate(self.ends.last().copied().unwrap_or(0));
    }

    /// Takes the events out and forgets the rest.
    pub(super) fn take_events(&mut self) -> impl Iterator<Item = Event> + '_ {
        self.others.clear();
        self.texts.clear();
        self.ends.clear();
        self.entries.drain(..).filter_map(|entry| entry.event)
    }

    /// Takes the items out, the last first.
    pub(super) fn take_items(&mut self) -> impl Iterator<Item = OwnedItem> + '_ {
        let others = &mut self.others;
        self.entries
            .drain(..)
            .rev()
            .filter_map(|entry| match entry.event {
                Some(event) => Some(OwnedItem::Event { event, n: entry.n }),
                None => others.pop(),
            })
    }

    /// Up to where the subscription knows everything once this batch is dealt with: what a heartbeat
    /// may carry.
    #[must_use]
    pub const fn settled(&self) -> EventId {
        self.settled
    }

    /// The texts, if the read asked for them; else empty.
    #[must_use]
    pub fn texts(&self) -> Texts<'_> {
        Texts {
            buffer: &self.texts,
            ends: &self.ends,
        }
    }

    /// Lets go of all items; keeps the memory for the next read.
    pub fn clear(&mut self) {
        self.entries.clear();
        self.others.clear();
        self.texts.clear();
        self.ends.clear();
    }
}

impl Default for Batch {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch")
            .field("items", &self.iter().collect::<Vec<_>>())
            .field("settled", &self.settled)
            .field("text_bytes", &self.texts.len())
            .finish()
    }
}

impl<'a> Texts<'a> {
    /// The text of item `at`.
    #[must_use]
    pub fn get(&self, at: usize) -> Option<&'a [u8]> {
        let end = *self.ends.get(at)?;
        let start = at
            .checked_sub(1)
            .and_then(|before| self.ends.get(before))
            .copied();
        self.buffer.get(start.unwrap_or(0)..end)
    }
}
