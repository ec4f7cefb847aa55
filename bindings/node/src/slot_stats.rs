//! How keys stand, who holds them, what was counted.

use napi_derive::napi;
use reqbus_core::slots::{Counters, Holder, Key, KeyStats, Load, ScopeStats, WaitTimes};

use crate::asks::limit_as_number;
use crate::whole::ms;

/// How a key stands.
#[napi(object, object_from_js = false)]
pub struct NativeLoad {
    /// Slots in use.
    pub in_use: u32,
    /// Waiters.
    pub waiting: u32,
    /// Of these, those whose offer lapsed.
    pub lapsed: u32,
    /// Its limit; `Infinity`, NaN for none.
    pub limit: f64,
    /// Its load rate.
    pub rate: f64,
    /// Refuses as closed.
    pub is_closed: bool,
    /// Whether a newcomer would get a slot now.
    pub has_room: bool,
    /// How long the first in its queue has waited.
    pub oldest_wait_ms: Option<f64>,
    /// How long its oldest holder has held.
    pub oldest_hold_ms: Option<f64>,
}

impl NativeLoad {
    pub(crate) fn of(load: &Load) -> Self {
        Self {
            in_use: load.in_use,
            waiting: load.waiting,
            lapsed: load.lapsed,
            limit: limit_as_number(load.limit),
            rate: load.rate() as f64,
            is_closed: load.is_closed,
            has_room: load.has_room(),
            oldest_wait_ms: load.oldest_wait.map(ms),
            oldest_hold_ms: load.oldest_hold.map(ms),
        }
    }
}

/// One who holds a slot.
#[napi(object, object_from_js = false)]
pub struct NativeHolder {
    /// For force.
    pub id: u64,
    /// Of what scope.
    pub scope: String,
    /// Of what id in it.
    pub key_id: String,
    /// What it is called.
    pub label: String,
    /// For how long.
    pub age_ms: f64,
}

impl NativeHolder {
    pub(crate) fn of(holder: &Holder) -> Self {
        let Key { scope, id } = holder.key.as_key();
        Self {
            id: holder.id.to_u64(),
            scope: scope.to_owned(),
            key_id: id.to_owned(),
            label: holder.label.to_string(),
            age_ms: ms(holder.age),
        }
    }
}

/// What was counted.
#[napi(object, object_from_js = false)]
pub struct NativeCounters {
    /// Slots given.
    pub granted: u64,
    /// Of these, from the queue.
    pub granted_after_wait: u64,
    /// Refused as busy.
    pub busy: u64,
    /// Refused for a full queue.
    pub queue_full: u64,
    /// Waits whose time was up.
    pub timed_out: u64,
    /// Waits that were cancelled.
    pub cancelled: u64,
    /// Refused as closed.
    pub closed: u64,
    /// Without an answer.
    pub store_unavailable: u64,
    /// Slots that were lost.
    pub lost: u64,
    /// Slots that were leaked.
    pub leaked: u64,
    /// Offers that nobody took in time.
    pub lapsed_offers: u64,
    /// How often the limit was changed.
    pub limit_changes: u64,
    /// Waits that got a slot.
    pub waits: u64,
    /// Half of them took at most this long.
    pub wait_p50_ms: f64,
    /// Nine of ten did.
    pub wait_p90_ms: f64,
    /// 99 of 100 did.
    pub wait_p99_ms: f64,
    /// The longest.
    pub wait_max_ms: f64,
    /// Most in use at once; of a key only.
    pub peak: Option<u32>,
    /// Mean hold; of a key only.
    pub mean_hold_ms: Option<f64>,
}

impl NativeCounters {
    fn of(counters: &Counters, waits: &WaitTimes) -> Self {
        Self {
            granted: counters.granted,
            granted_after_wait: counters.granted_after_wait,
            busy: counters.busy,
            queue_full: counters.queue_full,
            timed_out: counters.timed_out,
            cancelled: counters.cancelled,
            closed: counters.closed,
            store_unavailable: counters.store_unavailable,
            lost: counters.lost,
            leaked: counters.leaked,
            lapsed_offers: counters.lapsed_offers,
            limit_changes: counters.limit_changes,
            waits: waits.count,
            wait_p50_ms: ms(waits.p50),
            wait_p90_ms: ms(waits.p90),
            wait_p99_ms: ms(waits.p99),
            wait_max_ms: ms(waits.max),
            peak: None,
            mean_hold_ms: None,
        }
    }

    pub(crate) fn of_key(stats: &KeyStats) -> Self {
        Self {
            peak: Some(stats.peak),
            mean_hold_ms: stats.mean_hold.map(ms),
            ..Self::of(&stats.counters, &stats.waits)
        }
    }

    pub(crate) fn of_scope(stats: &ScopeStats) -> Self {
        Self::of(&stats.counters, &stats.waits)
    }
}
