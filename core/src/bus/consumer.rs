//! Who reads this bus.

use std::sync::Weak;
use std::time::Duration;

use super::bus::Bus;
use super::filter::Filter;
use super::options::Overflow;
use super::stats::SubscriptionStats;

/// One subscription, as a listing shows it.
#[derive(Clone, Debug)]
pub struct Consumer {
    /// Its number on this bus, from 1, never reused.
    pub id: u64,
    /// The label its host gave it.
    pub label: String,
    /// The process id its host gave it, 0 for none. Not verified.
    pub pid: u32,
    /// What it matches.
    pub filter: Filter,
    /// What happens when it is slow.
    pub overflow: Overflow,
    /// The audience it joined.
    pub audience: Option<String>,
    /// How long ago it subscribed.
    pub age: Duration,
    /// Whether it was closed and is only read to its end.
    pub closed: bool,
    /// Its account.
    pub stats: SubscriptionStats,
}

impl Bus {
    /// The subscriptions that are not freed, oldest first. Takes each one's lock in turn: for listings, not
    /// for a hot path.
    #[must_use]
    pub fn consumers(&self) -> Vec<Consumer> {
        let core = self.core();
        if !core.generation.is_current() {
            return Vec::new();
        }
        let mut all: Vec<_> = core
            .registry
            .lock()
            .subscriptions
            .values()
            .filter_map(Weak::upgrade)
            .collect();
        all.sort_unstable_by_key(|subscription| subscription.id);
        let now_ns = core.clock.coarse_ns();
        let describe = |subscription: &std::sync::Arc<super::subscription::SubCore>| Consumer {
            id: subscription.id,
            label: subscription.label.to_string(),
            pid: subscription.pid,
            filter: subscription.row.filter().clone(),
            overflow: subscription.overflow,
            audience: subscription.audience().map(str::to_owned),
            age: Duration::from_nanos(now_ns.saturating_sub(subscription.since_ns)),
            closed: subscription.is_closed(),
            stats: subscription.stats(),
        };
        all.iter().map(describe).collect()
    }
}
