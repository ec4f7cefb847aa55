//! Reading from the channel of a drop-newest reader.

use super::batch::Batch;
use super::options::Limits;
use super::read::{Step, Want};
use super::reader::Reader;
use super::subscription::{Fan, SubCore};
use crate::event::Event;

impl SubCore {
    /// Takes from the channel until the batch is full or the channel and the fan-out are dry.
    pub(super) fn read_queue(&self, reader: &mut Reader, batch: &mut Batch, want: Want) -> Step {
        // What the backlog gave counts too.
        let mut bytes = batch.events().map(|event| event.size() as u64).sum();
        loop {
            let step = self.take_queued(reader, batch, want, &mut bytes);
            if step == Step::Full {
                return step;
            }
            match self.end_of_queue(reader, batch, want) {
                Step::Again => {}
                step => return step,
            }
        }
    }

    /// Takes messages until there is none, or no room.
    fn take_queued(
        &self,
        reader: &mut Reader,
        batch: &mut Batch,
        want: Want,
        bytes: &mut u64,
    ) -> Step {
        let Limits {
            max_items,
            max_bytes,
        } = want.limits;
        let Some(Fan { outlet, .. }) = &self.fan else {
            return Step::Dry;
        };
        let mut popped = 0;
        let step = loop {
            let Some(queue) = &mut reader.queue else {
                break Step::Dry;
            };
            if batch.len() >= max_items && queue.held.is_none() {
                break Step::Full; // before the queue gives up a place
            }
            let Some(event) = queue.held.take().or_else(|| queue.channel.try_recv()) else {
                break Step::Dry;
            };
            // Losses in front of it were noted before it was sent.
            reader.pass_losses(outlet);
            let size = event.size() as u64;
            let full = (reader.has_untold() && !self.tell(reader, batch, want))
                || batch.len() >= max_items
                || match want.form {
                    Some(_) => !self.write_if_fits(batch, &event, want),
                    None => *bytes > 0 && *bytes + size > max_bytes as u64,
                };
            if full {
                if let Some(queue) = &mut reader.queue {
                    queue.held = Some(event);
                }
                break Step::Full;
            }
            *bytes += size;
            popped += size;
            reader.place.ordinal += 1;
            reader.told += 1;
            reader.settled = event.id().seq;
            batch.push_event(event);
        };
        outlet.popped(popped);
        step
    }

    /// Tells losses, with their texts. Whether there was room.
    fn tell(&self, reader: &mut Reader, batch: &mut Batch, want: Want) -> bool {
        let told = reader.tell(batch, want.limits);
        self.write_texts(batch, want.form);
        told
    }

    /// Writes the text of the next event, unless it is too much beside others.
    fn write_if_fits(&self, batch: &mut Batch, event: &Event, want: Want) -> bool {
        let Some(form) = want.form else { return true };
        let text = self.text(event, form);
        let fits =
            batch.texts.is_empty() || batch.texts.len() + text.len() <= want.limits.max_bytes;
        if fits {
            batch.texts.extend_from_slice(text);
            batch.ends.push(batch.texts.len());
        }
        fits
    }

    /// The channel is empty: completes the fan-out, tells trailing losses, and arms.
    fn end_of_queue(&self, reader: &mut Reader, batch: &mut Batch, want: Want) -> Step {
        let Some((shard, Fan { outlet, counts, .. })) = self.fan() else {
            return Step::Dry;
        };
        let held = shard.lock();
        let Some(queue) = &mut reader.queue else {
            return Step::Dry;
        };
        queue.held = queue.channel.try_recv();
        if queue.held.is_some() {
            return Step::Again; // offered between our look and the lock
        }
        let mut state = self.bus.log.lock();
        let (limit, ends) = self.limit(reader, &state);
        if reader.end.is_none() && counts.fanned() < limit.ordinal {
            drop(state);
            shard.complete(&held, &self.bus.log, counts, limit.ordinal);
            return Step::Again;
        }
        reader.pass_losses(outlet);
        if !reader.has_untold() && batch.is_empty() && want.arm && !ends {
            reader.settled = reader.settled.max(limit.next - 1);
            return self.arm(reader, &mut state);
        }
        drop(state);
        drop(held);
        if !self.tell(reader, batch, want) {
            return Step::Full;
        }
        reader.settled = reader.settled.max(limit.next - 1);
        if ends { Step::Ended } else { Step::Dry }
    }
}
