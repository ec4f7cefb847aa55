//! The accounts of a bus and of its subscriptions.

use napi_derive::napi;
use reqbus_core::bus::{BusStats, Consumer, SubscriptionStats};

use crate::whole::ms;

/// One subscription's account, or the sum of all.
#[napi(object, object_from_js = false)]
pub struct NativeStats {
    /// Events since its start that match its filter.
    pub matched: u64,
    /// Placed in batches.
    pub delivered: u64,
    /// Lost because its queue was full.
    pub lost_full: u64,
    /// Lost because it lagged by more than its window.
    pub lost_window: u64,
    /// Lost because the log let go of them first.
    pub lost_evicted: u64,
    /// Waiting to be read.
    pub pending: u64,
    /// Unread when it was freed.
    pub abandoned: u64,
    /// How often its resume ended in a resync.
    pub resyncs: u64,
}

impl NativeStats {
    pub(crate) fn of(stats: &SubscriptionStats) -> Self {
        Self {
            matched: stats.matched,
            delivered: stats.delivered,
            lost_full: stats.lost_full,
            lost_window: stats.lost_window,
            lost_evicted: stats.lost_evicted,
            pending: stats.pending,
            abandoned: stats.abandoned,
            resyncs: stats.resyncs,
        }
    }
}

/// The account of a bus.
#[napi(object, object_from_js = false)]
pub struct NativeBusStats {
    /// Events that the log keeps.
    pub kept_events: u64,
    /// Bytes of their blocks and texts.
    pub kept_bytes: u64,
    /// Subscriptions that are not freed.
    pub subscriptions: u64,
    /// Fields that were left out because of their name.
    pub extra_clashes: u64,
    /// Sums over all subscriptions there ever were.
    pub totals: NativeStats,
}

impl NativeBusStats {
    pub(crate) fn of(stats: &BusStats) -> Self {
        Self {
            kept_events: stats.kept_events,
            kept_bytes: stats.kept_bytes,
            subscriptions: stats.subscriptions,
            extra_clashes: stats.extra_clashes,
            totals: NativeStats::of(&stats.totals),
        }
    }
}

/// One subscription, as a listing shows it.
#[napi(object, object_from_js = false)]
pub struct NativeConsumer {
    /// Its number on this bus.
    pub id: u64,
    /// Its label.
    pub label: String,
    /// The process id its host gave it.
    pub pid: u32,
    /// The keys of its filter.
    pub keys: Vec<String>,
    /// The kinds of its filter.
    pub kinds: Vec<String>,
    /// The name of its policy.
    pub overflow: String,
    /// The audience it joined.
    pub audience: Option<String>,
    /// How long ago it subscribed.
    pub age_ms: f64,
    /// Whether it was closed.
    pub closed: bool,
    /// Its account.
    pub stats: NativeStats,
}

impl NativeConsumer {
    pub(crate) fn of(consumer: &Consumer) -> Self {
        let own = |names: &[Box<str>]| names.iter().map(|name| name.to_string()).collect();
        Self {
            id: consumer.id,
            label: consumer.label.clone(),
            pid: consumer.pid,
            keys: own(consumer.filter.keys()),
            kinds: own(consumer.filter.kinds()),
            overflow: consumer.overflow.name().to_owned(),
            audience: consumer.audience.clone(),
            age_ms: ms(consumer.age),
            closed: consumer.closed,
            stats: NativeStats::of(&consumer.stats),
        }
    }
}
