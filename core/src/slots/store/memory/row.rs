//! One key: who holds, who waits, how many may.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use arrayvec::ArrayString;

use super::holders::Holders;
use super::queue::Queue;
use crate::error::{Error, ErrorKind};
use crate::slots::ask::Ask;
use crate::slots::key::Key;
use crate::slots::limit::Limit;
use crate::slots::outcome::{Outcome, Standing};
use crate::slots::stats::Ledger;
use crate::slots::store::Refused;

/// Holds from which on a mean is told.
const SAMPLES: u32 = 8;
/// A hold weighs one part in so many in the mean.
const WEIGHT: i64 = 8;

/// Longest id that a row holds in place.
const SHORT: usize = 40;

/// A key. On cache lines of its own; what each try and each release writes is on the first two.
#[repr(C, align(128))]
pub(super) struct Row {
    pub(super) holders: Holders,
    holds: u32,
    pub(super) is_idle: bool,
    /// On the list of idle rows. Some rows in use are: see [`super::table`].
    pub(super) is_listed: bool,
    mean_hold_ns: i64,
    pub(super) idle_since_ns: u64,
    /// Neighbours on that list; meaningless while it is not on it.
    pub(super) prev: u32,
    pub(super) next: u32,
    pub(super) is_closed: bool,
    pub(super) peak: u32,
    /// What the latest call that named a limit said.
    call_limit: Option<Limit>,
    /// What was set on the key, which wins.
    set_limit: Option<Limit>,
    pub(super) hash: u64,
    pub(super) scope: Arc<str>,
    id: Id,
    pub(super) queue: Queue,
    pub(super) ledger: Ledger,
}

enum Id {
    Short(ArrayString<SHORT>),
    Long(Box<str>),
}

impl Id {
    fn new(id: &str) -> Self {
        ArrayString::from(id).map_or_else(|_| Self::Long(id.into()), Self::Short)
    }

    #[inline]
    fn as_str(&self) -> &str {
        match self {
            Self::Short(id) => id,
            Self::Long(id) => id,
        }
    }
}

impl Row {
    pub(super) fn new(hash: u64, scope: Arc<str>, id: &str) -> Self {
        Self {
            holders: Holders::new(),
            peak: 0,
            holds: 0,
            mean_hold_ns: 0,
            idle_since_ns: 0,
            prev: u32::MAX,
            next: u32::MAX,
            is_idle: false,
            is_listed: false,
            is_closed: false,
            call_limit: None,
            set_limit: None,
            hash,
            scope,
            id: Id::new(id),
            queue: Queue::default(),
            ledger: Ledger::default(),
        }
    }

    /// Makes a forgotten row that of another key: as new, in the same memory.
    pub(super) fn renew(&mut self, hash: u64, scope: &Arc<str>, id: &str) {
        self.holders.clear();
        self.peak = 0;
        self.holds = 0;
        self.mean_hold_ns = 0;
        self.is_idle = false;
        self.is_listed = false;
        self.is_closed = false;
        self.call_limit = None;
        self.set_limit = None;
        self.hash = hash;
        if !Arc::ptr_eq(&self.scope, scope) {
            self.scope = scope.clone();
        }
        self.id = Id::new(id);
        self.queue = Queue::default();
        self.ledger = Ledger::default();
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
            && self.queue.len() == 0
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
                self.ledger.counters.limit_changes += 1;
            }
            self.call_limit = limit;
        }
    }

    /// Sets a limit that wins over those of calls, or `None`.
    pub(super) fn set_limit(&mut self, limit: Option<Limit>) {
        if self.set_limit != limit {
            self.ledger.counters.limit_changes += 1;
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
        if self.queue.is_awake() || !self.has_room(processes) {
            return Err(Outcome::Busy);
        }
        Ok(())
    }

    /// Notes one more unit in use.
    #[inline]
    pub(super) fn count_peak(&mut self) {
        if self.holders.len() > self.peak {
            self.peak = self.holders.len();
        }
    }

    /// Takes a finished hold into the mean.
    #[inline]
    pub(super) fn learn_hold(&mut self, hold_ns: u64) {
        let hold_ns = i64::try_from(hold_ns).unwrap_or(i64::MAX);
        if self.holds == 0 {
            self.mean_hold_ns = hold_ns;
        } else {
            self.mean_hold_ns += (hold_ns - self.mean_hold_ns) / WEIGHT;
        }
        self.holds = self.holds.saturating_add(1);
    }

    pub(super) fn mean_hold(&self) -> Option<Duration> {
        let mean = Duration::from_nanos(self.mean_hold_ns.unsigned_abs());
        (self.holds >= SAMPLES).then_some(mean)
    }

    pub(super) fn standing(&self, processes: NonZeroU32) -> Standing {
        Standing {
            limit: self.limit().map(|limit| limit.share(processes)),
            in_use: self.holders.len(),
            waiting: self.queue.len(),
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
            self.ledger.counters.count(outcome);
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
