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
    pub(super) items: Vec<OwnedItem>,
    pub(super) settled: EventId,
    pub(super) texts: Vec<u8>,
    pub(super) ends: Vec<usize>,
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
            items: Vec::new(),
            settled: EventId { epoch: 0, seq: 0 },
            texts: Vec::new(),
            ends: Vec::new(),
        }
    }

    /// How many items it holds.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether it holds none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Item `at`, from 0.
    #[must_use]
    pub fn get(&self, at: usize) -> Option<Item<'_>> {
        self.items.get(at).map(OwnedItem::as_item)
    }

    /// The items in their order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Item<'_>> + '_ {
        self.items.iter().map(OwnedItem::as_item)
    }

    /// Only the events.
    pub fn events(&self) -> impl Iterator<Item = &Event> + '_ {
        self.items.iter().filter_map(|item| match item {
            OwnedItem::Event { event, .. } => Some(event),
            _ => None,
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
        self.items.clear();
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
            .field("items", &self.items)
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
