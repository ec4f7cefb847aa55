//! What a pool has counted.

use std::time::Duration;

use super::histogram::Histogram;
use super::outcome::Outcome;

/// What was counted for a key, a scope or a pool. Never reset.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Slots given, at once or from the queue.
    pub granted: u64,
    /// Of these, given from the queue.
    pub granted_after_wait: u64,
    /// Refused: no room, and the caller would not wait.
    pub busy: u64,
    /// Refused: the queue was full.
    pub queue_full: u64,
    /// Waits whose time was up.
    pub timed_out: u64,
    /// Waits that were cancelled.
    pub cancelled: u64,
    /// Refused or ended because key or pool was closed.
    pub closed: u64,
    /// Waits that ended because the store could not answer.
    pub store_unavailable: u64,
    /// Slots that were lost.
    pub lost: u64,
    /// Slots that were collected without a release.
    pub leaked: u64,
    /// Offers that nobody took in time.
    pub lapsed_offers: u64,
    /// How often a call or the host changed the limit: two callers that disagree show here.
    pub limit_changes: u64,
}

impl Counters {
    pub(super) fn add(&mut self, other: &Self) {
        self.granted += other.granted;
        self.granted_after_wait += other.granted_after_wait;
        self.busy += other.busy;
        self.queue_full += other.queue_full;
        self.timed_out += other.timed_out;
        self.cancelled += other.cancelled;
        self.closed += other.closed;
        self.store_unavailable += other.store_unavailable;
        self.lost += other.lost;
        self.leaked += other.leaked;
        self.lapsed_offers += other.lapsed_offers;
        self.limit_changes += other.limit_changes;
    }

    pub(super) fn count(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Busy => self.busy += 1,
            Outcome::QueueFull => self.queue_full += 1,
            Outcome::TimedOut => self.timed_out += 1,
            Outcome::Cancelled => self.cancelled += 1,
            Outcome::Closed => self.closed += 1,
            Outcome::StoreUnavailable => self.store_unavailable += 1,
            Outcome::Invalid => {}
        }
    }
}

/// How long waits in the queue took that ended with a slot. Percentiles are upper bounds of a bucket, at most an eighth
/// above the true value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WaitTimes {
    /// How many there were.
    pub count: u64,
    /// Half of them took at most this long.
    pub p50: Duration,
    /// Nine of ten did.
    pub p90: Duration,
    /// 99 of 100 did.
    pub p99: Duration,
    /// The longest.
    pub max: Duration,
}

/// What is known of a key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeyStats {
    /// What was counted.
    pub counters: Counters,
    /// Most slots in use at once.
    pub peak: u32,
    /// The moving average of holds (each weighs 1/8), once 8 slots have been released.
    pub mean_hold: Option<Duration>,
    /// How long waits took.
    pub waits: WaitTimes,
}

/// The sum over the keys of a scope, those that were forgotten included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ScopeStats {
    /// What was counted.
    pub counters: Counters,
    /// How long waits took.
    pub waits: WaitTimes,
}

/// A key's counters and waits, as its row keeps them.
#[derive(Default)]
pub(super) struct Ledger {
    pub(super) counters: Counters,
    /// From the first wait on.
    pub(super) waits: Option<Box<Histogram>>,
}

impl Ledger {
    pub(super) fn fold(&mut self, other: &Self) {
        self.counters.add(&other.counters);
        if let Some(waits) = &other.waits {
            self.waits.get_or_insert_default().add(waits);
        }
    }

    pub(super) fn waited(&mut self, time: Duration) {
        self.counters.granted_after_wait += 1;
        self.waits.get_or_insert_default().record(time);
    }

    pub(super) fn wait_times(&self) -> WaitTimes {
        self.waits
            .as_ref()
            .map_or_else(WaitTimes::default, |waits| waits.times())
    }
}
