//! A subscription, as its host holds it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::audience::Membership;
use super::bus::Core;
use super::group::Counts;
use super::guard::{CleanupGuard, GUARD_LIMIT};
use super::item::LostReason;
use super::options::Overflow;
use super::outlet::Outlet;
use super::reader::Reader;
use super::row::Row;
use super::stats::SubscriptionStats;
use crate::bell::{Bell, Source};
use crate::error::{Error, ErrorKind, Result};
use crate::event::EventId;
use crate::sync::{AtomicBool, AtomicU64, Mutex, Ordering};
use crate::wire::{self, Form};

/// One reader of a bus.
///
/// Reading moves it; any thread may read, try, close, interrupt or ask for statistics at any time, but only
/// one *wait* at a time (a second is [`ErrorKind::Busy`]). Dropping it frees it: what it has not read is
/// counted as abandoned in the bus's totals.
pub struct Subscription {
    core: Arc<SubCore>,
}

/// What the bus and the handle share.
pub(super) struct SubCore {
    pub(super) id: u64,
    pub(super) label: Box<str>,
    pub(super) pid: u32,
    pub(super) overflow: Overflow,
    pub(super) since_ns: u64,
    pub(super) linger: Duration,
    pub(super) bus: Arc<Core>,
    pub(super) row: Arc<Row>,
    pub(super) source: Arc<Source>,
    pub(super) membership: Option<Membership>,
    /// Where the fan-out finds a drop-newest reader.
    pub(super) fan: Option<Fan>,
    pub(super) reader: Mutex<Reader>,
    /// The next seq it needs from the log, for [`Core::trim`]; `u64::MAX` when it needs none. Release: after
    /// the references were taken.
    pub(super) position: AtomicU64,
    /// A wait is under way. Acquire/Release, as a lock.
    pub(super) waiting: AtomicBool,
    /// The next wait, or the one under way, ends with `Interrupted`. Ordered by the source's lock.
    pub(super) interrupted: AtomicBool,
    /// Ordered by the reader's lock; read without it by listings.
    pub(super) closed: AtomicBool,
}

/// A drop-newest reader's place in the fan-out.
pub(super) struct Fan {
    /// The number of its shard.
    pub(super) shard: usize,
    pub(super) outlet: Arc<Outlet>,
    pub(super) counts: Arc<Counts>,
}

/// What [`Subscription::close`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closed {
    /// Whether this ended the audience's last membership. `None` without an audience, or when the membership
    /// had ended before.
    pub was_last: Option<bool>,
}

impl Subscription {
    pub(super) fn new(core: Arc<SubCore>) -> Self {
        Self { core }
    }

    pub(super) fn core(&self) -> &Arc<SubCore> {
        &self.core
    }

    /// [`ErrorKind::Forked`] in a child of the process that made it.
    pub fn check_fork(&self) -> Result<()> {
        self.core.bus.generation.check()
    }

    /// Its number on its bus, from 1.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.core.id
    }

    /// Its label.
    #[must_use]
    pub fn label(&self) -> &str {
        &self.core.label
    }

    /// How long a burst may gather before it is read; see [`super::SubscribeOptions::linger`].
    #[must_use]
    pub fn linger(&self) -> Duration {
        self.core.linger
    }

    /// Whether it was the first of its audience when it joined. `false` without an audience.
    #[must_use]
    pub fn is_first(&self) -> bool {
        self.core
            .membership
            .as_ref()
            .is_some_and(Membership::is_first)
    }

    /// The cleanup guard of its audience, if it is the sole member: this ends its membership and makes it the
    /// *last*. While the guard is out, newcomers wait. Its limit is 30 s.
    #[must_use]
    pub fn cleanup_guard(&self) -> Option<CleanupGuard> {
        self.core.bus.generation.check().ok()?;
        self.core.membership.as_ref()?.guard(GUARD_LIMIT)
    }

    /// From now on, readiness is told to `bell` under `token`, instead of an earlier bell. The token is ready
    /// at once, so that nothing that is there already is missed.
    pub fn attach(&self, bell: &Bell, token: u64) -> Result<()> {
        self.core.bus.generation.check()?;
        self.core.source.attach(bell, token);
        Ok(())
    }

    /// Readiness is told to no bell any more.
    pub fn detach(&self) {
        if self.core.bus.generation.is_current() {
            self.core.source.detach();
        }
    }

    /// Ends the wait that is under way on this subscription, or else its next one, with
    /// [`ErrorKind::Interrupted`]. Nothing is taken.
    pub fn interrupt(&self) {
        if self.core.bus.generation.is_current() {
            // A swap because the waiter's side is one: loom orders those with each other, but not with stores.
            self.core.interrupted.swap(true, Ordering::AcqRel);
            self.core.source.wake_now();
        }
    }

    /// Closes it: its end is fixed at the newest event. It may still be read up to there; then reads return
    /// [`ErrorKind::Closed`]. Ends its audience membership and wakes whoever waits on it. Idempotent.
    pub fn close(&self) -> Closed {
        if self.core.bus.generation.is_current() {
            self.core.close()
        } else {
            Closed { was_last: None }
        }
    }

    /// Whether it, or its bus, was closed.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.core.is_closed() || self.core.bus.log.lock().closed
    }

    /// Its account, exact at any quiet moment.
    #[must_use]
    pub fn stats(&self) -> SubscriptionStats {
        if self.core.bus.generation.is_current() {
            self.core.stats()
        } else {
            SubscriptionStats::default()
        }
    }

    /// The newest id up to which every event was placed in a batch or yielded by a stream, filtered out, or reported
    /// lost. As of the last read: what a filter leaves out counts once a read has passed it, one that found nothing too.
    #[must_use]
    pub fn settled(&self) -> EventId {
        let bus = &self.core.bus;
        let seq = if bus.generation.is_current() {
            self.core.reader.lock().settled()
        } else {
            0
        };
        EventId {
            epoch: bus.epoch,
            seq,
        }
    }

    /// Appends a heartbeat with the settled id: what a quiet connection is sent now and then, so that a
    /// client which hears it and breaks off resumes from there. In SSE an `id:`-only block. Look for items first: it
    /// carries what was settled by then.
    pub fn heartbeat(&self, form: Form, out: &mut Vec<u8>) {
        wire::heartbeat(out, form, self.settled());
    }
}

impl SubCore {
    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    pub(super) fn audience(&self) -> Option<&str> {
        self.membership.as_ref().map(Membership::audience)
    }

    pub(super) fn close(&self) -> Closed {
        let mut reader = self.reader.lock();
        if !self.closed.swap(true, Ordering::AcqRel) {
            self.fix_end(&mut reader);
            drop(reader);
            let registry = self.bus.registry.lock();
            self.bus.update_wanted(&registry);
            drop(registry);
            self.source.mark_ready();
            self.source.wake_now();
        }
        Closed {
            was_last: self.membership.as_ref().and_then(Membership::leave),
        }
    }

    /// Its account.
    pub(super) fn stats(&self) -> SubscriptionStats {
        let mut stats = self.account(&self.reader.lock());
        stats.sleeping = self.source.is_waited_on();
        stats
    }

    /// Removes it from the bus; its handle is going.
    fn free(&self) {
        self.close();
        let mut stats = self.stats();
        stats.abandoned = std::mem::take(&mut stats.pending);
        self.source.detach();
        {
            let mut state = self.bus.log.lock();
            self.row.armed.disarm(&mut state.token, &self.source);
        }
        let mut registry = self.bus.registry.lock();
        registry.subscriptions.remove(&self.id);
        registry.totals.add(&stats);
        self.bus.release_row(&mut registry, self.row.filter());
        self.bus
            .subscribers
            .store(registry.subscriptions.len() as u64, Ordering::Relaxed);
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        if self.core.bus.generation.is_current() {
            self.core.free();
        } else {
            // A forked child: the locks may be held by threads that do not exist here.
            std::mem::forget(self.core.clone());
        }
    }
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription")
            .field("id", &self.core.id)
            .field("label", &self.core.label)
            .field("overflow", &self.core.overflow)
            .field("settled", &self.settled())
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}

impl LostReason {
    /// In the order in which losses are told: what is lost first comes first.
    pub(super) const ALL: [Self; 3] = [Self::Window, Self::Evicted, Self::Full];
}

/// What a closed and fully read subscription answers.
pub(super) fn end() -> Error {
    Error::fixed(
        ErrorKind::Closed,
        "subscription",
        "it is closed, and everything up to its end has been read",
    )
}
