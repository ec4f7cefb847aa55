//! The texts of a batch.

use std::collections::VecDeque;

use super::batch::Batch;
use super::item::{Item, OwnedItem};
use super::read::Want;
use super::reader::Reader;
use super::subscription::SubCore;
use crate::event::Event;
use crate::wire::{self, Form};

impl SubCore {
    /// The text of an event, made once for all readers, without any lock.
    pub(super) fn text<'e>(&self, event: &'e Event, form: Form) -> &'e [u8] {
        wire::text(event, form, |bytes| self.bus.log.add_text(bytes))
    }

    fn write_text(&self, item: Item<'_>, form: Form, out: &mut Vec<u8>) {
        match item {
            Item::Event { event, .. } => out.extend_from_slice(self.text(event, form)),
            Item::Lost {
                missed,
                reason,
                next_n,
            } => {
                wire::lost(out, form, missed, reason.name(), next_n);
            }
            Item::Resync { reason, head } => wire::resync(out, form, reason.name(), head),
            Item::Status {
                source,
                state,
                detail,
            } => {
                wire::status(out, form, source, state, detail);
            }
        }
    }

    /// Writes the texts of the items that have none yet, whatever their size.
    pub(super) fn write_texts(&self, batch: &mut Batch, form: Option<Form>) {
        if let Some(form) = form {
            let _ = batch.write_texts(usize::MAX, |item, out| self.write_text(item, form, out));
        }
    }

    /// How many of the items that streams left over the limits allow, the first one whatever its size.
    pub(super) fn count_left(&self, left: &VecDeque<OwnedItem>, want: Want) -> usize {
        let mut bytes = 0;
        let mut text = Vec::new();
        let few = left.iter().take(want.limits.max_items);
        let fit = few.take_while(|item| {
            let size = match (want.form, item) {
                (Some(form), OwnedItem::Event { event, .. }) => self.text(event, form).len(),
                (Some(form), item) => {
                    text.clear();
                    self.write_text(item.as_item(), form, &mut text);
                    text.len()
                }
                (None, OwnedItem::Event { event, .. }) => event.size(),
                (None, _) => 0,
            };
            let fits = bytes == 0 || bytes + size <= want.limits.max_bytes;
            bytes += size;
            fits
        });
        fit.count()
    }

    /// Writes the texts of what was copied last, until an event's does not fit: from there on the reader goes
    /// back. Whether all fit.
    pub(super) fn fit_texts(&self, reader: &mut Reader, batch: &mut Batch, want: Want) -> bool {
        let Some(form) = want.form else { return true };
        let write = |item: Item<'_>, out: &mut Vec<u8>| self.write_text(item, form, out);
        let Some(over) = batch.write_texts(want.limits.max_bytes, write) else {
            return true;
        };
        // One event that is too much is returned alone; items that are no events are small, and stay.
        let cut = if over == 0 && batch.is_event(0) {
            1
        } else {
            batch.first_event_from(over)
        };
        let (events, first) = batch.events_from(cut);
        if events == 0 {
            self.write_texts(batch, want.form);
            return true;
        }
        batch.truncate(cut);
        self.write_texts(batch, want.form);
        reader.go_back(events, first);
        false
    }
}
