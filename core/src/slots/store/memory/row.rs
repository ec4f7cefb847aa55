//! One key: who holds, who waits, how many may.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use super::holders::Holders;
use super::name::Name;
use super::queue::Queue;
use crate::error::{Error, ErrorKind};
use crate::slots::ask::Ask;
use crate::slots::key::Key;
use crate::slots::limit::Limit;
use crate::slots::outcome::{Outcome, Standing};
use crate::slots::stats::{KeyStats, Ledger};
use crate::slots::store::Refused;

/// Holds from which on a mean is told.
const SAMPLES: u8 = 8;
/// A hold weighs one part in so many in the mean.
const WEIGHT: i64 = 8;
/// Means are kept in parts of 10 µs: up to 11.9 hours.
const MEAN_NS: u64 = 10_000;
/// Idle times are kept in parts of 65.5 µs, as a power of two of nanoseconds.
const IDLE_SHIFT: u32 = 16;
/// By so many parts, a minute, may one thread's clock be behind another's.
const IDLE_AHEAD: u32 = 1 << 20;

/// A key. Each try and each release writes to one cache line of it, as long as one holds: the tally and the beginning of
/// the holders.
#[repr(C, align(64))]
pub(super) struct Row {
    tally: Tally,
    pub(super) holders: Holders,
    pub(super) hash: u64,
    /// Neighbours on the list of idle rows; meaningless while it is not on it.
    pub(super) prev: u32,
    pub(super) next: u32,
    peak: u32,
    limit_changes: u32,
    pub(super) is_closed: bool,
    /// What the latest call that named a limit said.
    call_limit: Option<Limit>,
    /// What was set on the key, which wins.
    set_limit: Option<Limit>,
    /// From the first wait or refusal on.
    more: Option<Box<More>>,
    pub(super) scope: Arc<str>,
    id: Name,
}

const _: () = assert!(size_of::<Tally>() + Holders::HOT <= 64 && size_of::<Row>() == 192);

/// What each use of a key changes.
#[derive(Default)]
struct Tally {
    mean_hold: u32,
    /// Of what was granted, the part that is not in the ledger yet.
    granted: u32,
    idle_since: u32,
    /// How many holds the mean is of, up to [`SAMPLES`].
    holds: u8,
    is_idle: bool,
    is_listed: bool,
}

/// What a key has that somebody waited for, or was refused.
#[derive(Default)]
struct More {
    queue: Queue,
    ledger: Ledger,
}

impl Row {
    pub(super) fn new(hash: u64, scope: Arc<str>, id: &str) -> Self {
        Self {
            tally: Tally::default(),
            holders: Holders::new(),
            hash,
            prev: u32::MAX,
            next: u32::MAX,
            peak: 0,
            limit_changes: 0,
            is_closed: false,
            call_limit: None,
            set_limit: None,
            more: None,
            scope,
            id: Name::new(id),
        }
    }

    /// Makes a forgotten row that of another key: as new, in the same memory.
    pub(super) fn renew(&mut self, hash: u64, scope: &Arc<str>, id: &str) {
        self.tally = Tally::default();
        self.holders.clear();
        self.hash = hash;
        self.peak = 0;
        self.limit_changes = 0;
        self.is_closed = false;
        self.call_limit = None;
        self.set_limit = None;
        self.more = None;
        if !Arc::ptr_eq(&self.scope, scope) {
            self.scope = scope.clone();
        }
        self.id = Name::new(id);
    }

    /// Gives back what is large.
    pub(super) fn forget_more(&mut self) {
        self.more = None;
    }

    /// How many wait.
    #[inline]
    pub(super) fn waiting(&self) -> u32 {
        self.more.as_ref().map_or(0, |more| more.queue.len())
    }

    /// How many of them get no offers.
    pub(super) fn lapsed(&self) -> u32 {
        self.more.as_ref().map_or(0, |more| more.queue.dormant())
    }

    /// Whether anybody waits who gets offers: then a newcomer does not overtake.
    #[inline]
    pub(super) fn is_awaited(&self) -> bool {
        let more = self.more.as_ref();
        more.is_some_and(|more| more.queue.is_awake())
    }

    /// Since when the first has waited.
    #[inline]
    pub(super) fn oldest_wait_ns(&self) -> Option<u64> {
        self.more.as_ref()?.queue.oldest_ns()
    }

    /// Those who wait, if there ever were any.
    pub(super) fn waiters(&mut self) -> Option<&mut Queue> {
        Some(&mut self.more.as_mut()?.queue)
    }

    pub(super) fn queue(&mut self) -> &mut Queue {
        &mut self.more.get_or_insert_default().queue
    }

    /// What is counted, other than what was granted and changes of the limit.
    pub(super) fn ledger(&mut self) -> &mut Ledger {
        &mut self.more.get_or_insert_default().ledger
    }

    /// Adds what was counted to a sum.
    pub(super) fn fold_into(&self, sum: &mut Ledger) {
        sum.counters.granted += u64::from(self.tally.granted);
        sum.counters.limit_changes += u64::from(self.limit_changes);
        if let Some(more) = &self.more {
            sum.fold(&more.ledger);
        }
    }

    pub(super) fn stats(&self) -> KeyStats {
        let mut sum = Ledger::default();
        self.fold_into(&mut sum);
        KeyStats {
            counters: sum.counters,
            peak: self.peak,
            mean_hold: self.mean_hold(),
            waits: sum.wait_times(),
        }
    }

    pub(super) fn key(&self) -> Key<'_> {
        Key::new(&self.scope, self.id.as_str())
    }

    #[inline]
    pub(super) fn is(&self, key: &Key<'_>) -> bool {
        *self.id.as_str() == *key.id && *self.scope == *key.scope
    }

    /// Whether nothing would be lost but counters if it were forgotten.
    #[inline]
    pub(super) fn is_unused(&self) -> bool {
        self.holders.is_unused()
            && self.waiting() == 0
            && self.set_limit.is_none()
            && !self.is_closed
    }

    #[inline]
    pub(super) fn limit(&self) -> Option<Limit> {
        self.set_limit.or(self.call_limit)
    }

    /// Takes over what a call says of the limit.
    #[inline]
    pub(super) fn learn_limit(&mut self, limit: Option<Limit>) {
        if limit.is_some() && limit != self.call_limit {
            if self.call_limit.is_some() {
                self.limit_changes = self.limit_changes.saturating_add(1);
            }
            self.call_limit = limit;
        }
    }

    /// Sets a limit that wins over those of calls, or `None`.
    pub(super) fn set_limit(&mut self, limit: Option<Limit>) {
        if self.set_limit != limit {
            self.limit_changes = self.limit_changes.saturating_add(1);
            self.set_limit = limit;
        }
    }

    /// Whether one more fits.
    #[inline]
    pub(super) fn has_room(&self, processes: NonZeroU32) -> bool {
        match self.limit() {
            Some(limit) => limit.share(processes).has_room(self.holders.len()),
            None => false,
        }
    }

    /// Whether a newcomer gets a unit, and if not, why it would be refused if it did not wait.
    #[inline]
    pub(super) fn admit(&mut self, ask: &Ask<'_>, processes: NonZeroU32) -> Result<(), Outcome> {
        if self.is_closed {
            return Err(Outcome::Closed);
        }
        self.learn_limit(ask.limit);
        if self.limit().is_none() {
            return Err(Outcome::Invalid);
        }
        if self.is_awaited() || !self.has_room(processes) {
            return Err(Outcome::Busy);
        }
        Ok(())
    }

    /// Counts a unit that was given.
    #[inline]
    pub(super) fn count_granted(&mut self) {
        match self.tally.granted.checked_add(1) {
            Some(granted) => self.tally.granted = granted,
            None => self.carry_granted(),
        }
    }

    #[cold]
    fn carry_granted(&mut self) {
        self.ledger().counters.granted += u64::from(u32::MAX) + 1;
        self.tally.granted = 0;
    }

    /// In use again. Whether it was idle.
    #[inline]
    pub(super) fn leave_idle(&mut self) -> bool {
        std::mem::take(&mut self.tally.is_idle)
    }

    /// Idle from now on.
    #[inline]
    pub(super) fn begin_idle(&mut self, now_ns: u64) {
        self.tally.is_idle = true;
        self.tally.idle_since = (now_ns >> IDLE_SHIFT) as u32;
    }

    #[inline]
    pub(super) const fn is_idle(&self) -> bool {
        self.tally.is_idle
    }

    /// For how long it has been idle, at least, and at most 131 µs longer. After 78 hours it begins anew. A thread that
    /// read the clock up to a minute before the one that made it idle finds that it just became so.
    pub(super) fn idle_ns(&self, now_ns: u64) -> u64 {
        let now = (now_ns >> IDLE_SHIFT) as u32;
        let parts = now.wrapping_sub(self.tally.idle_since);
        if parts > u32::MAX - IDLE_AHEAD {
            return 0;
        }
        u64::from(parts.saturating_sub(1)) << IDLE_SHIFT
    }

    /// Whether it is on the list of idle rows. Some rows in use are: see [`super::table`].
    #[inline]
    pub(super) const fn is_listed(&self) -> bool {
        self.tally.is_listed
    }

    pub(super) const fn set_listed(&mut self, is_listed: bool) {
        self.tally.is_listed = is_listed;
    }

    /// Notes one more unit in use.
    #[inline]
    pub(super) fn count_in(&mut self) {
        if self.holders.len() > self.peak {
            self.peak = self.holders.len();
        }
    }

    /// Takes a finished hold into the mean.
    #[inline]
    pub(super) fn learn_hold(&mut self, hold_ns: u64) {
        let tally = &mut self.tally;
        let hold = u32::try_from(hold_ns / MEAN_NS).unwrap_or(u32::MAX);
        if tally.holds == 0 {
            tally.mean_hold = hold;
        } else {
            let step = (i64::from(hold) - i64::from(tally.mean_hold)) / WEIGHT;
            tally.mean_hold = tally.mean_hold.saturating_add_signed(step as i32);
        }
        tally.holds = SAMPLES.min(tally.holds + 1);
    }

    pub(super) fn mean_hold(&self) -> Option<Duration> {
        let mean = Duration::from_nanos(u64::from(self.tally.mean_hold) * MEAN_NS);
        (self.tally.holds >= SAMPLES).then_some(mean)
    }

    pub(super) fn standing(&self, processes: NonZeroU32) -> Standing {
        Standing {
            limit: self.limit().map(|limit| limit.share(processes)),
            in_use: self.holders.len(),
            waiting: self.waiting(),
            mean_hold: self.mean_hold(),
        }
    }

    /// A refusal; counted if it is the call's outcome.
    #[cold]
    pub(super) fn refuse(
        &mut self,
        outcome: Outcome,
        is_final: bool,
        processes: NonZeroU32,
    ) -> Refused {
        if is_final {
            self.ledger().counters.count(outcome);
        }
        let cause = (outcome == Outcome::Invalid).then(|| {
            Error::fixed(
                ErrorKind::InvalidArgument,
                "limit",
                "this key has none: give one with the call, or set one",
            )
        });
        Refused {
            outcome,
            scope: self.scope.clone(),
            standing: self.standing(processes),
            cause,
        }
    }
}
