//! Reading: from the log and from a reader's channel into a batch, with every loss told.
//!
//! Loss is decided, and counted, before the position moves (B7), and told as an item at the place of the hole.

use super::batch::Batch;
use super::item::{LostReason, OwnedItem};
use super::log::{LogState, REAP};
use super::options::{Limits, Overflow};
use super::reader::{Reader, losses};
use super::resume::{Place, SCAN};
use super::subscription::{SubCore, end};
use crate::error::Result;
use crate::event::EventId;
use crate::sync::Ordering;
use crate::wire::Form;

/// What a step of reading came to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// The batch has no room for the next item.
    Full,
    /// There is nothing more now.
    Dry,
    /// There will never be more.
    Ended,
    /// The channel has something after all.
    Again,
    /// A status changed in between: from the start.
    Behind,
}

/// How to read.
#[derive(Clone, Copy)]
pub(super) struct Want {
    pub(super) limits: Limits,
    pub(super) form: Option<Form>,
    /// Arm if there is nothing.
    pub(super) arm: bool,
    /// The items stay behind in [`Reader::left`], where streams take them one by one.
    pub(super) leave: bool,
}

/// What one hold of the log's lock copies with.
struct Copying<'a> {
    state: &'a mut LogState,
    want: Want,
    limit: Place,
    /// Of the events in the batch.
    bytes: &'a mut usize,
}

impl SubCore {
    /// Fills `batch`. The number of items; `Closed` once there will never be more.
    pub(super) fn fill(&self, batch: &mut Batch, want: Want) -> Result<usize> {
        want.limits.check()?;
        let texts_before = self.bus.log.text_bytes();
        let mut held = self.reader.lock();
        let reader = &mut *held;
        // Where the log's lock is all that the read takes, the last batch is given back in the same hold.
        if !(reader.reads_only_log(&self.bus.statuses) && batch.owe(&self.bus.log)) {
            batch.give_back(&self.bus.log);
        }
        if reader.left.is_empty() {
            let before = reader.settled;
            batch.begin(reader.told + 1, &self.bus.log);
            let step = loop {
                let step = self.read(reader, batch, want);
                if step != Step::Behind {
                    break step;
                }
            };
            reader.delivered += batch.event_count() as u64;
            if step == Step::Ended && batch.is_empty() {
                self.position.store(reader.position(), Ordering::Release);
                return Err(end());
            }
            if want.leave {
                reader.leave(batch, before);
            }
        } else if !want.leave {
            let few = self.count_left(&reader.left, want);
            let left = std::iter::from_fn(|| reader.take_left());
            batch.push_left(left.take(few));
            self.write_texts(batch, want.form);
        }
        batch.settled = EventId {
            epoch: self.bus.epoch,
            seq: reader.settled(),
        };
        let found = if want.leave {
            reader.left.len()
        } else {
            batch.len()
        };
        self.position.store(reader.position(), Ordering::Release);
        drop(held);
        if want.form.is_some() && self.bus.log.text_bytes() > texts_before {
            // Texts count against the log's bytes from when they are made, not from the next publish.
            self.bus.log.keep_bounds();
        }
        if found > 0 {
            // A host may stop here: its token stays ready until a read finds nothing. Without the lock,
            // since it may call a waker.
            self.source.stay_ready();
        }
        Ok(found)
    }

    fn read(&self, reader: &mut Reader, batch: &mut Batch, want: Want) -> Step {
        if self.read_statuses(reader, batch, want) == Step::Full {
            return Step::Full;
        }
        if let Some((reason, head)) = reader.resync {
            if batch.len() >= want.limits.max_items {
                return Step::Full;
            }
            reader.resync = None;
            reader.settled = head.seq;
            batch.push(OwnedItem::Resync { reason, head }, reader.told + 1);
            self.write_texts(batch, want.form);
        }
        if reader.reads_log() {
            let step = self.read_log(reader, batch, want);
            if step != Step::Dry || reader.queue.is_none() {
                return step;
            }
        }
        self.read_queue(reader, batch, want)
    }

    fn read_statuses(&self, reader: &mut Reader, batch: &mut Batch, want: Want) -> Step {
        let statuses = &self.bus.statuses;
        if reader.view.is_behind(statuses) {
            let waiting = &mut reader.statuses;
            reader.view.changed(statuses, |source, state, detail| {
                // Only the latest of each source.
                waiting.retain(|item| {
                    !matches!(item, OwnedItem::Status { source: known, .. } if *known == source)
                });
                waiting.push_back(OwnedItem::Status {
                    source,
                    state,
                    detail,
                });
            });
        }
        if reader.statuses.is_empty() {
            return Step::Dry;
        }
        if batch.owes {
            // One came since the read began.
            batch.give_back(&self.bus.log);
        }
        while let Some(item) = reader.statuses.pop_front() {
            if batch.len() >= want.limits.max_items {
                reader.statuses.push_front(item);
                return Step::Full;
            }
            batch.push(item, reader.told + 1);
        }
        self.write_texts(batch, want.form);
        Step::Dry
    }

    /// Reads from the log: everything for a log reader, the backlog for a drop-newest one.
    fn read_log(&self, reader: &mut Reader, batch: &mut Batch, want: Want) -> Step {
        let mut bytes = 0_usize;
        loop {
            // Memory first: nothing is allocated under the log's lock.
            batch.reserve(REAP + LostReason::ALL.len());
            let mut state = self.bus.log.lock();
            if !batch.give_back_held(&mut state) {
                drop(state);
                batch.drop_given_back();
                continue;
            }
            let backlog = reader.queue.as_ref().map(|queue| queue.join);
            let (limit, ends) = match backlog {
                Some(join) => (join, false),
                None => self.limit(reader, &state),
            };
            if reader.place.next < state.tail() && !state.is_reaped() {
                drop(state);
                self.bus.log.reap_all();
                continue;
            }
            let overflow = if backlog.is_some() {
                Overflow::CatchUp
            } else {
                self.overflow
            };
            if !self.catch_up(reader, &mut state, overflow, limit) {
                continue;
            }
            let copying = Copying {
                state: &mut state,
                want,
                limit,
                bytes: &mut bytes,
            };
            let full = self.copy(reader, batch, copying);
            let dry = reader.place.ordinal >= limit.ordinal;
            if dry {
                reader.place.next = reader.place.next.max(limit.next);
                if !full && reader.tell(batch, want.limits) {
                    reader.settled = reader.place.next - 1;
                }
                if batch.is_empty() && want.arm && !ends && backlog.is_none() {
                    return self.arm(reader, &mut state);
                }
            }
            drop(state);
            if !self.fit_texts(reader, batch, want) || full {
                return Step::Full;
            }
            if dry {
                return if ends { Step::Ended } else { Step::Dry };
            }
        }
    }

    /// Moves a reader past what it has lost. `false` if it needs another hold of the lock.
    fn catch_up(
        &self,
        reader: &mut Reader,
        state: &mut LogState,
        overflow: Overflow,
        limit: Place,
    ) -> bool {
        let evicted = if reader.place.next < state.tail() {
            self.row.evicted(state.tail())
        } else {
            reader.place.ordinal
        };
        let (window, gone) = losses(overflow, reader.place.ordinal, evicted, limit.ordinal);
        let target = reader.place.ordinal + window + gone;
        if reader.place.next < state.tail() {
            // The log's tail is where the evicted events end; of the window, what is beyond it is
            // skipped below.
            let here = evicted.min(limit.ordinal).max(reader.place.ordinal);
            let missed = here - reader.place.ordinal;
            reader.lose(LostReason::Window, window.min(missed));
            reader.lose(LostReason::Evicted, (missed - window).max(0));
            reader.place = Place {
                next: state.tail().min(limit.next),
                ordinal: here,
            };
        }
        if self.row.all {
            let skipped = (target - reader.place.ordinal).max(0);
            reader.lose(LostReason::Window, skipped);
            reader.place.ordinal += skipped;
            reader.place.next += skipped as u64;
        }
        let mut scanned = 0;
        while reader.place.ordinal < target {
            if scanned == SCAN {
                return false;
            }
            scanned += 1;
            if state.matches(reader.place.next, &self.row) {
                reader.lose(LostReason::Window, 1);
                reader.place.ordinal += 1;
            }
            reader.place.next += 1;
        }
        true
    }

    /// Copies matching events, a bounded number per hold of the lock. Whether the batch is full.
    #[inline]
    fn copy(&self, reader: &mut Reader, batch: &mut Batch, copy: Copying<'_>) -> bool {
        let Copying {
            state,
            want,
            limit,
            bytes,
        } = copy;
        if reader.place.ordinal < limit.ordinal && !reader.tell(batch, want.limits) {
            return true;
        }
        let mut copied = 0;
        let mut scanned = 0;
        while reader.place.ordinal < limit.ordinal && copied < REAP && scanned < SCAN {
            let room = (want.limits.max_items - batch.len()).min(REAP - copied);
            if room == 0 {
                return true;
            }
            // A run of neighbours that match: with all events, as long as there is room.
            let first = reader.place.next;
            let most = (limit.next - first).min(room as u64) as usize;
            let (run, full) = self.run(state, want, first, most, bytes);
            if run > 0 {
                batch.lend(state, first, run);
                reader.place.next += run as u64;
                reader.place.ordinal += run as i64;
                reader.told += run as u64;
                reader.settled = reader.place.next - 1;
            }
            if full {
                return true;
            }
            if run < most {
                reader.place.next += 1; // does not match
            }
            copied += run;
            scanned += run as u64 + 1;
        }
        if !reader.has_untold() {
            // What was passed over does not match.
            reader.settled = reader.place.next - 1;
        }
        false
    }

    /// How many of the `most` events from `first` on match, up to the first that does not; and whether the next one
    /// is too many bytes.
    #[inline]
    fn run(
        &self,
        state: &LogState,
        want: Want,
        first: u64,
        most: usize,
        bytes: &mut usize,
    ) -> (usize, bool) {
        if self.row.all {
            let all = *bytes + state.ring.bytes(first, most) as usize;
            if all <= want.limits.max_bytes || want.form.is_some() {
                *bytes = all;
                return (most, false);
            }
        }
        let mut run = 0;
        while run < most && state.matches(first + run as u64, &self.row) {
            let size = state.meta(first + run as u64).size as usize;
            if want.form.is_none() && *bytes > 0 && *bytes + size > want.limits.max_bytes {
                return (run, true);
            }
            *bytes += size;
            run += 1;
        }
        (run, false)
    }

    /// Arms under the log's lock, in the hold in which there was nothing to read.
    pub(super) fn arm(&self, reader: &Reader, state: &mut LogState) -> Step {
        if reader.view.is_behind(&self.bus.statuses) {
            return Step::Behind;
        }
        self.row.armed.arm(&mut state.token, &self.source);
        Step::Dry
    }
}
