//! Numbers that hosts watch.

use reqbus_core::bus::{BusStats, SubscriptionStats};

use crate::id::reqbus_id;
use crate::sized::{defaults, sized_struct};

/// What became of the events that matched a subscription's filter. Cumulative, never reset. At any quiet
/// moment: matched == delivered + lost_full + lost_window + lost_evicted + pending + abandoned.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct reqbus_subscription_stats {
    /// sizeof(reqbus_subscription_stats), set by the caller.
    pub size: usize,
    /// Matched the filter since the subscription's start.
    pub matched: u64,
    /// Placed in a batch.
    pub delivered: u64,
    /// Lost because the queue was full.
    pub lost_full: u64,
    /// Lost because the reader lagged by more than its window.
    pub lost_window: u64,
    /// Lost because the log let go of them.
    pub lost_evicted: u64,
    /// Not read yet.
    pub pending: u64,
    /// Unread when it was freed: only in the sums of reqbus_bus_stats.
    pub abandoned: u64,
    /// How often its resume ended in a resync: 0 or 1.
    pub resyncs: u64,
    /// 1 if a reader sleeps in a wait.
    pub sleeping: u32,
    /// 0.
    pub reserved: u32,
}

/// A bus in numbers. The sums are over all subscriptions, freed ones included.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct reqbus_bus_stats {
    /// sizeof(reqbus_bus_stats), set by the caller.
    pub size: usize,
    /// The newest event's id; its seq is the number of events published.
    pub newest: reqbus_id,
    /// Events that the log keeps.
    pub kept_events: u64,
    /// Bytes of their blocks and of the texts made of them.
    pub kept_bytes: u64,
    /// Subscriptions that are not freed.
    pub subscriptions: u64,
    /// Fields of `extra` objects that were left out because a request event has a field of that name.
    pub extra_clashes: u64,
    /// Sum of matched.
    pub matched: u64,
    /// Sum of delivered.
    pub delivered: u64,
    /// Sum of lost_full.
    pub lost_full: u64,
    /// Sum of lost_window.
    pub lost_window: u64,
    /// Sum of lost_evicted.
    pub lost_evicted: u64,
    /// Sum of pending.
    pub pending: u64,
    /// Sum of abandoned.
    pub abandoned: u64,
}

sized_struct!(reqbus_subscription_stats, reqbus_bus_stats);

impl From<SubscriptionStats> for reqbus_subscription_stats {
    fn from(stats: SubscriptionStats) -> Self {
        Self {
            matched: stats.matched,
            delivered: stats.delivered,
            lost_full: stats.lost_full,
            lost_window: stats.lost_window,
            lost_evicted: stats.lost_evicted,
            pending: stats.pending,
            abandoned: stats.abandoned,
            resyncs: stats.resyncs,
            sleeping: u32::from(stats.sleeping),
            ..defaults()
        }
    }
}

impl From<BusStats> for reqbus_bus_stats {
    fn from(stats: BusStats) -> Self {
        let totals = stats.totals;
        Self {
            newest: stats.newest.into(),
            kept_events: stats.kept_events,
            kept_bytes: stats.kept_bytes,
            subscriptions: stats.subscriptions,
            extra_clashes: stats.extra_clashes,
            matched: totals.matched,
            delivered: totals.delivered,
            lost_full: totals.lost_full,
            lost_window: totals.lost_window,
            lost_evicted: totals.lost_evicted,
            pending: totals.pending,
            abandoned: totals.abandoned,
            ..defaults()
        }
    }
}
