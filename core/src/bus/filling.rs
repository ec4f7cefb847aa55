//! How a read writes a batch, and gives the last one back.

use super::batch::{Batch, Other, Run};
use super::item::{Item, OwnedItem};
use super::log::{Log, LogState, REAP};
use crate::event::Event;

impl Batch {
    /// Makes room for `more` items, so that pushing them allocates nothing. What is owed goes before they come.
    pub(super) fn reserve(&mut self, more: usize) {
        let owed = if self.owes { self.entries.len() } else { 0 };
        self.entries.reserve(more.saturating_sub(owed));
        self.runs.reserve(more);
    }

    /// Begins an empty batch whose first event has this `n`.
    pub(super) fn begin(&mut self, first_n: u64, lender: &Log) {
        self.first_n = first_n;
        self.lender = lender.id();
    }

    /// Adds `len` neighbouring events that the log holds.
    #[inline]
    pub(super) fn lend(&mut self, state: &mut LogState, first: u64, len: usize) {
        let at = self.entries.len();
        state.ring.lend(first, len, &mut self.entries);
        match self.runs.last_mut() {
            Some(run) if run.at + run.len == at && run.first + run.len as u64 == first => {
                run.len += len;
            }
            _ => self.runs.push(Run { at, first, len }),
        }
    }

    /// Adds an event with a reference of its own.
    #[inline]
    pub(super) fn push_event(&mut self, event: Event) {
        self.entries.push(Some(event));
    }

    /// Adds an item that is no event; `next_n` is the `n` of the event behind it.
    pub(super) fn push(&mut self, item: OwnedItem, next_n: u64) {
        self.others.push(Other {
            at: self.entries.len(),
            item,
            next_n,
        });
        self.entries.push(None);
    }

    /// Adds what streams have not taken, with the numbers it had.
    pub(super) fn push_left(&mut self, left: impl Iterator<Item = OwnedItem>) {
        let mut left = left.peekable();
        let mut n = 1;
        while let Some(item) = left.next() {
            match (item, left.peek()) {
                (OwnedItem::Event { event, n: own }, _) => {
                    if self.entries.is_empty() {
                        self.first_n = own;
                    }
                    n = own + 1;
                    self.push_event(event);
                }
                (item @ OwnedItem::Lost { next_n, .. }, _) => {
                    n = next_n;
                    self.push(item, n);
                }
                (item, behind) => {
                    if let Some(OwnedItem::Event { n: own, .. }) = behind {
                        n = *own;
                    }
                    self.push(item, n);
                }
            }
        }
    }

    /// Writes texts, by `write`, of the items that have none yet; stops behind the one that makes all texts longer
    /// than `most`, and returns its place.
    pub(super) fn write_texts(
        &mut self,
        most: usize,
        mut write: impl FnMut(Item<'_>, &mut Vec<u8>),
    ) -> Option<usize> {
        let mut texts = std::mem::take(&mut self.texts);
        let mut ends = std::mem::take(&mut self.ends);
        let mut over = None;
        for at in ends.len()..self.len() {
            match self.entries.get(at) {
                // Texts do not say the number.
                Some(Some(event)) => write(Item::Event { event, n: 0 }, &mut texts),
                _ => self
                    .get(at)
                    .into_iter()
                    .for_each(|item| write(item, &mut texts)),
            }
            ends.push(texts.len());
            if texts.len() > most {
                over = Some(at);
                break;
            }
        }
        self.texts = texts;
        self.ends = ends;
        over
    }

    /// Whether the item at this place is an event.
    pub(super) fn is_event(&self, at: usize) -> bool {
        self.entries.get(at).is_some_and(Option::is_some)
    }

    /// The place of the first event from a place on; the length if there is none.
    pub(super) fn first_event_from(&self, at: usize) -> usize {
        let events = self.entries.iter().skip(at).position(Option::is_some);
        events.map_or(self.len(), |more| at + more)
    }

    /// How many events there are from a place on, and the seq of the first of them.
    pub(super) fn events_from(&self, at: usize) -> (u64, u64) {
        let events = self.entries.iter().skip(at).flatten();
        let first = events.clone().next().map_or(0, |event| event.id().seq);
        (events.count() as u64, first)
    }

    /// Drops the items from `len` on, with their texts.
    pub(super) fn truncate(&mut self, len: usize) {
        self.entries.truncate(len);
        self.others.retain(|other| other.at < len);
        self.runs.retain_mut(|run| {
            run.len = run.len.min(len.saturating_sub(run.at));
            run.len > 0
        });
        self.ends.truncate(len);
        self.texts.truncate(self.ends.last().copied().unwrap_or(0));
    }

    /// Empties the batch. What `log` lent is given back to it, a bounded number of runs per hold of its lock; the
    /// rest is dropped without the lock.
    pub(super) fn give_back(&mut self, log: &Log) {
        if self.lender == log.id() {
            for runs in self.runs.chunks_mut(REAP) {
                let mut state = log.lock();
                for run in runs {
                    // From now on: how many of the run are no longer the log's.
                    let ours = state.ring.take_back(run.first, run.len);
                    run.first = ours as u64;
                }
            }
            self.drop_given_back();
        }
        self.clear();
    }

    /// Leaves what `log` lent in the batch, to be given back in the hold of its lock that reads on
    /// ([`Batch::give_back_held`]). `false` if the batch holds anything else, or too much for one hold.
    pub(super) fn owe(&mut self, log: &Log) -> bool {
        let few = !self.runs.is_empty() && self.entries.len() <= REAP;
        self.owes = few && self.lender == log.id() && self.others.is_empty();
        if self.owes {
            self.texts.clear();
            self.ends.clear();
        }
        self.owes
    }

    /// Gives back what the batch owes, if it does. Whether that was all: else the rest is to be dropped without the
    /// lock, by [`Batch::drop_given_back`].
    #[inline]
    pub(super) fn give_back_held(&mut self, state: &mut LogState) -> bool {
        if !std::mem::take(&mut self.owes) {
            return true;
        }
        let mut all = self.entries.len();
        for run in &mut self.runs {
            let ours = state.ring.take_back(run.first, run.len);
            all -= run.len - ours;
            run.first = ours as u64;
        }
        if all > 0 {
            return false;
        }
        self.entries.drain(..).for_each(std::mem::forget);
        self.runs.clear();
        true
    }

    /// Empties a batch whose runs were given back: drops what is no longer the log's.
    pub(super) fn drop_given_back(&mut self) {
        let mut done = 0;
        let mut entries = self.entries.drain(..);
        for run in self.runs.drain(..) {
            entries
                .by_ref()
                .take(run.at - done + run.first as usize)
                .for_each(drop);
            let given = run.len - run.first as usize;
            entries.by_ref().take(given).for_each(std::mem::forget);
            done = run.at + run.len;
        }
        drop(entries);
        self.clear();
    }

    /// Takes the items out, in their order.
    pub(super) fn take_items(&mut self) -> impl Iterator<Item = OwnedItem> + '_ {
        self.runs.clear();
        let mut others = self.others.drain(..);
        let mut n = self.first_n;
        self.entries.drain(..).filter_map(move |entry| match entry {
            Some(event) => {
                n += 1;
                Some(OwnedItem::Event { event, n: n - 1 })
            }
            None => others.next().map(|other| {
                n = other.next_n;
                other.item
            }),
        })
    }
}
