//! The texts of a batch.

use super::batch::Batch;
use super::item::Item;
use super::read::{Before, Want};
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
            batch.write_texts(usize::MAX, |item, out| self.write_text(item, form, out));
        }
    }

    /// Writes the texts of the events that were copied last, until one does not fit: from there on the reader
    /// goes back to where it was `before` that event. Whether all fit.
    pub(super) fn fit_texts(
        &self,
        reader: &mut Reader,
        batch: &mut Batch,
        want: Want,
        before: &[Before],
    ) -> bool {
        let Some(form) = want.form else { return true };
        for undo in before {
            // What stands before the event, losses, is small and always fits.
            let others = undo.items.saturating_sub(batch.ends.len());
            batch.write_texts(others, |item, out| self.write_text(item, form, out));
            let had_text = !batch.texts.is_empty();
            batch.write_texts(1, |item, out| self.write_text(item, form, out));
            if had_text && batch.texts.len() > want.limits.max_bytes {
                batch.truncate(undo.items);
                reader.go_back(undo);
                return false;
            }
        }
        self.write_texts(batch, want.form);
        true
    }
}
