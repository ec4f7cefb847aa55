//! Subscribing: the audience, the row, the place, and for drop-newest readers the channel.

use std::sync::Arc;
use std::time::Duration;

use super::audience::Membership;
use super::bus::{Bus, Core};
use super::group::{Counts, Member};
use super::item::ResyncReason;
use super::join::Join;
use super::options::{Overflow, Start, SubscribeOptions};
use super::outlet::Outlet;
use super::reader::{Queue, Reader, newest};
use super::resume::Place;
use super::row::Row;
use super::subscription::{Fan, SubCore, Subscription};
use crate::bell::Source;
use crate::error::{Error, Result};
use crate::event::EventId;
use crate::sync::{AtomicBool, AtomicU64, Mutex, Ordering, bounded};

impl Bus {
    /// Subscribes. Blocks only while the audience it asks for is being cleaned up, and then at most for
    /// `audience_wait`; [`Bus::join`] does the same without blocking.
    ///
    /// [`crate::ErrorKind::InvalidArgument`] and [`crate::ErrorKind::TooLarge`] name the option;
    /// [`crate::ErrorKind::AudienceBusy`] when the wait was not long enough (nothing was joined);
    /// [`crate::ErrorKind::Closed`] on a closed bus. A resume that is not possible is no error: the first
    /// item read says so.
    pub fn subscribe(&self, options: SubscribeOptions<'_>) -> Result<Subscription> {
        self.join(options)?.wait()
    }

    /// Begins to subscribe; the answer is there at once unless the audience is being cleaned up.
    pub fn join(&self, options: SubscribeOptions<'_>) -> Result<Join> {
        let core = self.core();
        core.generation.check()?;
        options.check()?;
        if self.is_closed() {
            return Err(Error::closed("bus"));
        }
        let entry = match options.audience {
            Some(name) => {
                let deadline_ns = core.clock.deadline_after(options.audience_wait);
                Some(core.audiences.enter(name, deadline_ns)?)
            }
            None => None,
        };
        Ok(Join::new(core.clone(), Plan::new(&options), entry))
    }
}

/// What is to be subscribed, owned.
pub(super) struct Plan {
    filter: super::filter::Filter,
    start: OwnedStart,
    overflow: Overflow,
    label: Box<str>,
    pid: u32,
    linger: Duration,
}

enum OwnedStart {
    Live,
    Oldest,
    After(Box<[u8]>),
}

/// A text longer than any id is as malformed as its beginning: no reason to keep it.
const LONGEST_ID: usize = 64;

impl Plan {
    fn new(options: &SubscribeOptions<'_>) -> Self {
        Self {
            filter: options.filter.clone(),
            start: match options.start {
                Start::Live => OwnedStart::Live,
                Start::Oldest => OwnedStart::Oldest,
                Start::After(text) => {
                    OwnedStart::After(text.get(..LONGEST_ID).unwrap_or(text).into())
                }
            },
            overflow: options.overflow,
            label: options.label.into(),
            pid: options.pid,
            linger: options.linger,
        }
    }

    fn start(&self) -> Start<'_> {
        match &self.start {
            OwnedStart::Live => Start::Live,
            OwnedStart::Oldest => Start::Oldest,
            OwnedStart::After(text) => Start::After(text),
        }
    }
}

/// Where a new reader stands, and what it is told first.
struct Seat {
    place: Place,
    resync: Option<(ResyncReason, EventId)>,
}

impl Core {
    /// Makes the subscription; the audience, if any, is joined.
    pub(super) fn open(
        self: &Arc<Self>,
        plan: &Plan,
        membership: Option<Membership>,
    ) -> Result<Subscription> {
        let mut registry = self.registry.lock();
        if self.log.lock().closed {
            return Err(Error::closed("bus"));
        }
        let row = self.intern(&mut registry, &plan.filter);
        let (seat, fan, queue) = match plan.overflow {
            Overflow::DropNewest { events, bytes } => {
                let (seat, fan, queue) = self.seat_channel(plan, &row, events, bytes);
                (seat, Some(fan), Some(queue))
            }
            _ => (self.seat(plan, &row), None, None),
        };
        let mut reader = Reader::new(seat.place, seat.place.ordinal, queue);
        if let Some((reason, head)) = seat.resync {
            reader.set_resync(reason, head);
        }
        let position = if reader.reads_log() {
            seat.place.next
        } else {
            u64::MAX
        };
        let id = Self::next_id(&mut registry);
        let core = Arc::new(SubCore {
            id,
            label: plan.label.clone(),
            pid: plan.pid,
            overflow: plan.overflow,
            since_ns: self.clock.coarse_ns(),
            linger: plan.linger,
            bus: self.clone(),
            row,
            source: Source::new(),
            membership,
            fan,
            reader: Mutex::new(reader),
            position: AtomicU64::new(position),
            waiting: AtomicBool::new(false),
            interrupted: AtomicBool::new(false),
            closed: AtomicBool::new(false),
        });
        registry.subscriptions.insert(id, Arc::downgrade(&core));
        self.subscribers
            .store(registry.subscriptions.len() as u64, Ordering::Relaxed);
        self.update_wanted(&registry);
        Ok(Subscription::new(core))
    }

    /// A log reader's seat: the table of [`super::resume`], then the ordinal of the place.
    fn seat(&self, plan: &Plan, row: &Row) -> Seat {
        let resolved = {
            let mut state = self.log.lock();
            match self.resolve(&mut state, plan.start()) {
                // Here and now: no count is needed.
                Ok(next) if next == state.head() + 1 => {
                    return Seat {
                        place: newest(&state, row),
                        resync: None,
                    };
                }
                other => other,
            }
        };
        // Who gave no id begins at what is the oldest by then.
        let oldest = matches!(plan.start, OwnedStart::Oldest);
        let reason = match resolved {
            Ok(next) => match self.place(row, next, oldest, |_, place| place) {
                Some(place) => {
                    return Seat {
                        place,
                        resync: None,
                    };
                }
                None => ResyncReason::Expired,
            },
            Err(reason) => reason,
        };
        let state = self.log.lock();
        let head = EventId {
            epoch: self.epoch,
            seq: state.head(),
        };
        Seat {
            place: newest(&state, row),
            resync: Some((reason, head)),
        }
    }

    /// A drop-newest reader's seat: as a log reader's, up to the point where it joins its shard.
    fn seat_channel(
        &self,
        plan: &Plan,
        row: &Arc<Row>,
        events: usize,
        bytes: usize,
    ) -> (Seat, Fan, Queue) {
        let (sender, channel) = bounded(events);
        let number = self.fanout.assign();
        let shard = self.fanout.shard(number);
        let mut fan = shard.lock();
        let seat = self.seat(plan, row);
        // From this hold on, what is appended is for the channel.
        let (join, next) = {
            let state = self.log.lock();
            self.fanout.count(true);
            (newest(&state, row), shard.next().min(state.head() + 1))
        };
        // The shard may lag: the row's count there begins where the shard stands.
        let counts = fan.counts(row).unwrap_or_else(|| {
            let there = if next < join.next {
                // The log may have moved past the shard: then its count begins where the log does, unless the
                // log has moved past this reader too, whose losses are still to be counted.
                self.place(row, next, true, |_, place| place.ordinal)
            } else {
                None
            };
            Counts::at(there.unwrap_or(join.ordinal).min(join.ordinal))
        });
        let outlet = Arc::new(Outlet::new(join.ordinal, events, bytes, counts.bytes()));
        let fits = (bytes / events) as u64;
        let member = Member {
            sender,
            outlet: outlet.clone(),
            fits,
        };
        shard.add(&mut fan, &self.hasher, (row, &counts), &member, next);
        let queue = Queue {
            channel,
            join,
            held: None,
        };
        (
            seat,
            Fan {
                shard: number,
                outlet,
                counts,
            },
            queue,
        )
    }
}
