//! Counters that add up.

use super::bus::Bus;
use crate::event::EventId;
use crate::sync::Ordering;

/// One subscription's account. At any quiet moment `matched == delivered + lost_full + lost_window +
/// lost_evicted + pending + abandoned`. Cumulative, never reset.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SubscriptionStats {
    /// Events since its start that match its filter.
    pub matched: u64,
    /// Placed in the caller's batches.
    pub delivered: u64,
    /// Lost because its queue was full.
    pub lost_full: u64,
    /// Lost because it lagged by more than its window. As long as a loss is not read, later events can move it
    /// from `lost_evicted` to here; the sum never falls.
    pub lost_window: u64,
    /// Lost because the log let go of them first.
    pub lost_evicted: u64,
    /// Waiting to be read.
    pub pending: u64,
    /// Unread when it was freed. Only in the bus's totals.
    pub abandoned: u64,
    /// How often its resume ended in a resync: 0 or 1.
    pub resyncs: u64,
    /// Whether somebody waits on it right now.
    pub sleeping: bool,
}

impl SubscriptionStats {
    /// Lost, whatever the reason.
    #[must_use]
    pub const fn lost(&self) -> u64 {
        self.lost_full + self.lost_window + self.lost_evicted
    }
}

/// Sums over subscriptions.
pub(super) type Totals = SubscriptionStats;

impl SubscriptionStats {
    /// Adds another's counters.
    pub(super) fn add(&mut self, other: &Self) {
        self.matched += other.matched;
        self.delivered += other.delivered;
        self.lost_full += other.lost_full;
        self.lost_window += other.lost_window;
        self.lost_evicted += other.lost_evicted;
        self.pending += other.pending;
        self.abandoned += other.abandoned;
        self.resyncs += other.resyncs;
    }
}

/// The account of a bus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BusStats {
    /// The newest id: its seq is the number of events published.
    pub newest: EventId,
    /// Events that the log keeps.
    pub kept_events: u64,
    /// Bytes of their blocks and of the texts made of them.
    pub kept_bytes: u64,
    /// Subscriptions that are not freed.
    pub subscriptions: u64,
    /// Fields of `extra` objects that were left out because they bear a name of a request event's own.
    pub extra_clashes: u64,
    /// Sums over all subscriptions there ever were, freed ones included.
    pub totals: SubscriptionStats,
}

impl Bus {
    /// The account of this bus. Takes each subscription's lock in turn: for listings, not for a hot path.
    #[must_use]
    pub fn stats(&self) -> BusStats {
        let core = self.core();
        if !core.generation.is_current() {
            let newest = EventId {
                epoch: core.epoch,
                seq: 0,
            };
            let totals = SubscriptionStats::default();
            return BusStats {
                newest,
                totals,
                kept_events: 0,
                kept_bytes: 0,
                subscriptions: 0,
                extra_clashes: 0,
            };
        }
        let (open, mut totals) = {
            let registry = core.registry.lock();
            let open: Vec<_> = registry
                .subscriptions
                .values()
                .filter_map(std::sync::Weak::upgrade)
                .collect();
            (open, registry.totals)
        };
        for subscription in &open {
            totals.add(&subscription.stats());
        }
        let subscriptions = open.len() as u64;
        drop(open);
        let state = core.log.lock();
        BusStats {
            newest: EventId {
                epoch: core.epoch,
                seq: state.head(),
            },
            kept_events: state.head() + 1 - state.tail(),
            kept_bytes: (state.kept_bytes() + core.log.text_bytes()).max(0) as u64,
            subscriptions,
            // Relaxed: a statistic.
            extra_clashes: core.extra_clashes.load(Ordering::Relaxed),
            totals,
        }
    }
}
