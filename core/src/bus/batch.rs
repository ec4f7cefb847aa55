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
    /// Events in their order; `None` stands for the next of `others`.
    pub(super) entries: Vec<Option<Event>>,
    pub(super) others: Vec<Other>,
    /// The `n` of the first event, if no other item stands before it.
    pub(super) first_n: u64,
    /// Events that a log lent, as they lie in `entries`; the log's number.
    pub(super) runs: Vec<Run>,
    pub(super) lender: u64,
    /// What it holds is to be given back before anything else: the read that is under way does so.
    pub(super) owes: bool,
    pub(super) settled: EventId,
    pub(super) texts: Vec<u8>,
    pub(super) ends: Vec<usize>,
}

/// An item that is no event.
pub(super) struct Other {
    /// Its place in the batch.
    pub(super) at: usize,
    pub(super) item: OwnedItem,
    /// The `n` of the event behind it. Events in between count up: only losses make holes.
    pub(super) next_n: u64,
}

/// Neighbours in the log that are neighbours in the batch.
#[derive(Clone, Copy)]
pub(super) struct Run {
    pub(super) at: usize,
    pub(super) first: u64,
    pub(super) len: usize,
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
            first_n: 1,
            runs: Vec::new(),
            lender: 0,
            owes: false,
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
        let before = self.others.partition_point(|other| other.at < at);
        match self.entries.get(at)? {
            Some(event) => {
                let base = before.checked_sub(1).and_then(|last| self.others.get(last));
                let n = base.map_or(self.first_n + at as u64, |o| {
                    o.next_n + (at - o.at - 1) as u64
                });
                Some(Item::Event { event, n })
            }
            None => self.others.get(before).map(|other| other.item.as_item()),
        }
    }

    /// The items in their order.
    pub fn iter(&self) -> impl Iterator<Item = Item<'_>> + '_ {
        let mut others = self.others.iter();
        let mut n = self.first_n;
        self.entries.iter().filter_map(move |entry| match entry {
            Some(event) => {
                n += 1;
                Some(Item::Event { event, n: n - 1 })
            }
            None => others.next().map(|other| {
                n = other.next_n;
                other.item.as_item()
            }),
        })
    }

    /// Only the events.
    pub fn events(&self) -> impl Iterator<Item = &Event> + '_ {
        self.entries.iter().flatten()
    }

    /// How many of the items are events.
    pub(super) fn event_count(&self) -> usize {
        self.entries.len() - self.others.len()
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
        self.owes = false;
        self.entries.clear();
        self.others.clear();
        self.runs.clear();
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
