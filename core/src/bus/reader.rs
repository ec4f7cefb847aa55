//! Where a subscription stands, and its account.

use std::collections::VecDeque;

use super::batch::Batch;
use super::bus::Core;
use super::fanout::Shard;
use super::item::{LostReason, OwnedItem, ResyncReason};
use super::log::LogState;
use super::options::{Limits, Overflow};
use super::outlet::Outlet;
use super::resume::Place;
use super::row::Row;
use super::stats::SubscriptionStats;
use super::status::{StatusBoard, StatusView};
use super::subscription::{Fan, SubCore};
use crate::event::{Event, EventId};
use crate::sync::{MutexGuard, Ordering, Receiver};

/// Where a subscription stands, and its account. One lock guards it.
pub(super) struct Reader {
    /// In the log. A drop-newest reader with a channel only keeps `ordinal` here.
    pub(super) place: Place,
    /// The ordinal that `n = 0` stands at.
    pub(super) start: i64,
    /// `n` up to which the reader was told, by an event or a loss.
    pub(super) told: u64,
    /// Losses that are counted and not told yet, by reason.
    pub(super) untold: [u64; 3],
    /// Losses of reading the log, by reason; those of the channel are in the outlet.
    lost: [u64; 3],
    pub(super) delivered: u64,
    /// Where it ends, once it is closed: the newest seq and the row's ordinal there.
    pub(super) end: Option<Place>,
    pub(super) queue: Option<Queue>,
    pub(super) resync: Option<(ResyncReason, EventId)>,
    resyncs: u64,
    pub(super) statuses: VecDeque<OwnedItem>,
    pub(super) view: StatusView,
    /// See [`Batch::settled`]; what is `left` counts as if the host had it: [`Reader::settled`].
    pub(super) settled: u64,
    /// Read ahead for a stream, and not yielded yet. It counts as delivered, and comes first in the next batch if
    /// the stream does not take it: nothing that a stream holds would have to be put back, or be forgotten.
    pub(super) left: VecDeque<OwnedItem>,
    /// As `settled`, but up to the first of what is `left`.
    yielded: u64,
}

/// The channel of a drop-newest reader.
pub(super) struct Queue {
    pub(super) channel: Receiver<Event>,
    /// Before the channel: the log, up to where the reader joined.
    pub(super) join: Place,
    /// Taken from the channel, for which the batch had no room.
    pub(super) held: Option<Event>,
}

impl Reader {
    pub(super) fn new(place: Place, start: i64, queue: Option<Queue>) -> Self {
        Self {
            place,
            start,
            told: 0,
            untold: [0; 3],
            lost: [0; 3],
            delivered: 0,
            end: None,
            queue,
            resync: None,
            resyncs: 0,
            statuses: VecDeque::new(),
            view: StatusView::new(),
            settled: place.next - 1,
            left: VecDeque::new(),
            yielded: 0,
        }
    }

    /// Up to where the host has everything that was for it: what a heartbeat may carry (B9).
    pub(super) fn settled(&self) -> u64 {
        if self.left.is_empty() {
            self.settled
        } else {
            self.yielded
        }
    }

    /// Leaves the items of `batch` to streams; `settled` is how it stood before they were read.
    pub(super) fn leave(&mut self, batch: &mut Batch, settled: u64) {
        self.yielded = settled;
        self.left.extend(batch.take_items());
    }

    /// Takes the first of what is left.
    pub(super) fn take_left(&mut self) -> Option<OwnedItem> {
        let item = self.left.pop_front()?;
        match &item {
            OwnedItem::Event { event, .. } => self.yielded = event.id().seq,
            OwnedItem::Resync { head, .. } => self.yielded = head.seq,
            // A loss is settled by the event behind it, or with the last of what is left.
            OwnedItem::Lost { .. } | OwnedItem::Status { .. } => {}
        }
        Some(item)
    }

    pub(super) fn set_resync(&mut self, reason: ResyncReason, head: EventId) {
        self.resync = Some((reason, head));
        self.resyncs = 1;
        // Nothing is settled before the resync was told: a heartbeat with the head would hide it.
        self.settled = 0;
    }

    /// Counts a loss; it is told with the next item.
    pub(super) fn lose(&mut self, reason: LostReason, missed: i64) {
        let missed = missed.max(0) as u64;
        self.untold[reason as usize] += missed;
        self.lost[reason as usize] += missed;
    }

    pub(super) fn has_untold(&self) -> bool {
        self.untold != [0; 3]
    }

    /// Tells counted losses, as far as there is room.
    pub(super) fn tell(&mut self, batch: &mut Batch, limits: Limits) -> bool {
        for reason in LostReason::ALL {
            let missed = self.untold[reason as usize];
            if missed == 0 {
                continue;
            }
            if batch.len() >= limits.max_items {
                return false;
            }
            self.untold[reason as usize] = 0;
            self.told += missed;
            let next_n = self.told + 1;
            batch.push(
                OwnedItem::Lost {
                    missed,
                    reason,
                    next_n,
                },
                next_n,
            );
        }
        true
    }

    /// Passes what the channel lost right behind the position. It is counted in the outlet; here it is to be told.
    #[inline]
    pub(super) fn pass_losses(&mut self, outlet: &Outlet) {
        while let Some(loss) = outlet.loss_after(self.place.ordinal) {
            self.untold[loss.reason as usize] += loss.count;
            self.place.ordinal += loss.count as i64;
        }
    }

    /// Back to where it stood before the last `events` it took from the log, the first of which is `first`.
    pub(super) fn go_back(&mut self, events: u64, first: u64) {
        self.place = Place {
            next: first,
            ordinal: self.place.ordinal - events as i64,
        };
        self.told -= events;
        // What lies before it was delivered, told or does not match.
        self.settled = first - 1;
    }

    /// The next seq it needs from the log; `u64::MAX` when it needs none any more.
    pub(super) fn position(&self) -> u64 {
        let at_end = self.end.is_some_and(|end| self.place.next >= end.next);
        if self.reads_log() && !at_end {
            self.place.next
        } else {
            u64::MAX
        }
    }

    /// Whether the next read begins with the log, and with nothing else.
    pub(super) fn reads_only_log(&self, statuses: &StatusBoard) -> bool {
        self.queue.is_none()
            && self.left.is_empty()
            && self.resync.is_none()
            && self.statuses.is_empty()
            && !self.view.is_behind(statuses)
    }

    /// Whether it still reads from the log.
    pub(super) fn reads_log(&self) -> bool {
        self.queue
            .as_ref()
            .is_none_or(|queue| self.place.next < queue.join.next)
    }
}

/// What a log reader that stands at `ordinal` has lost: to its window, and to eviction.
pub(super) fn losses(overflow: Overflow, ordinal: i64, evicted: i64, end: i64) -> (i64, i64) {
    let edge = match overflow {
        Overflow::DropOldest { events } => (end - events as i64).max(ordinal),
        _ => ordinal,
    };
    (edge - ordinal, (evicted.min(end) - edge).max(0))
}

impl Core {
    /// The log's state with nothing evicted unreaped, so that rows' counts are exact.
    pub(super) fn settled_log(&self) -> MutexGuard<'_, LogState> {
        loop {
            let state = self.log.lock();
            if state.is_reaped() {
                return state;
            }
            drop(state);
            self.log.reap_all();
        }
    }
}

impl SubCore {
    /// Up to where there is something to read now, and whether that is the end.
    pub(super) fn limit(&self, reader: &Reader, state: &LogState) -> (Place, bool) {
        match reader.end {
            Some(end) => (end, true),
            None => (newest(state, &self.row), state.closed),
        }
    }

    /// Where a drop-newest reader stands in the fan-out, and its shard.
    pub(super) fn fan(&self) -> Option<(&Shard, &Fan)> {
        self.fan
            .as_ref()
            .map(|fan| (self.bus.fanout.shard(fan.shard), fan))
    }

    /// Closes: the end is where the log stands now. What was not offered to the channel is offered first.
    pub(super) fn fix_end(&self, reader: &mut Reader) {
        let Some((shard, Fan { outlet, counts, .. })) = self.fan() else {
            reader.end = Some(newest(&self.bus.log.lock(), &self.row));
            self.position.store(reader.position(), Ordering::Release);
            return;
        };
        let mut held = shard.lock();
        let end = {
            let state = self.bus.log.lock();
            self.bus.fanout.count(false);
            newest(&state, &self.row)
        };
        outlet.end_at(end.ordinal);
        counts.set_ending(true);
        shard.complete(&held, &self.bus.log, counts, end.ordinal);
        shard.remove(&mut held, &self.bus.hasher, (&self.row, counts), outlet);
        counts.set_ending(false);
        reader.end = Some(end);
    }

    /// The account, from independent counts: what is pending is counted in the channel and the log, not
    /// computed from the rest.
    pub(super) fn account(&self, reader: &Reader) -> SubscriptionStats {
        let mut stats = SubscriptionStats {
            delivered: reader.delivered,
            lost_window: reader.lost[LostReason::Window as usize],
            lost_evicted: reader.lost[LostReason::Evicted as usize],
            resyncs: reader.resyncs,
            ..SubscriptionStats::default()
        };
        let fan = self.fan().map(|(shard, fan)| (shard.lock(), fan));
        let state = self.bus.settled_log();
        let (limit, _) = self.limit(reader, &state);
        stats.matched = (limit.ordinal - reader.start).max(0) as u64;
        let evicted = self.row.evicted(state.tail());
        if reader.reads_log() {
            let (overflow, end) = match &reader.queue {
                Some(queue) => (Overflow::CatchUp, queue.join.ordinal),
                None => (self.overflow, limit.ordinal),
            };
            let ordinal = reader.place.ordinal;
            let (window, gone) = losses(overflow, ordinal, evicted, end);
            stats.lost_window += window as u64;
            stats.lost_evicted += gone as u64;
            stats.pending += (end - ordinal - window - gone).max(0) as u64;
        }
        if let (Some((_, fan)), Some(queue)) = (&fan, &reader.queue) {
            let Fan { outlet, counts, .. } = fan;
            let queued = queue.channel.len() + usize::from(queue.held.is_some());
            let offered = counts.fanned().max(queue.join.ordinal).min(limit.ordinal);
            let gone = (evicted.min(limit.ordinal) - offered).max(0);
            stats.lost_full = outlet.lost_full();
            stats.lost_evicted += outlet.lost_evicted() + gone as u64;
            stats.pending += queued as u64 + (limit.ordinal - offered - gone).max(0) as u64;
        }
        stats
    }
}

/// The place after the newest event.
pub(super) fn newest(state: &LogState, row: &Row) -> Place {
    Place {
        next: state.head() + 1,
        ordinal: row.matched(state.head()),
    }
}
