//! What a pool has counted.

use std::ffi::c_char;
use std::ptr::null_mut;

use reqbus_core::slots::{Counters, KeyStats, ScopeStats, WaitTimes};

use crate::handle::borrow;
use crate::key::{key_at, reqbus_key};
use crate::panic::guard_status;
use crate::pool::reqbus_pool;
use crate::refusal::nanos;
use crate::sized::{defaults, sized_struct, write};
use crate::slice::text;
use crate::status::reqbus_status::{self, REQBUS_OK};

/// What was counted for a key, or for all keys of a scope. Never reset; all zero for what is not known. Percentiles are of
/// waits in the queue that ended with a slot, and at most an eighth above the true value.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct reqbus_slot_stats {
    /// sizeof(reqbus_slot_stats), set by the caller.
    pub size: usize,
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
    /// How many waits the percentiles are of.
    pub waits: u64,
    /// Half of them took at most this long, in nanoseconds.
    pub wait_p50_ns: u64,
    /// Nine of ten did.
    pub wait_p90_ns: u64,
    /// 99 of 100 did.
    pub wait_p99_ns: u64,
    /// The longest.
    pub wait_max_ns: u64,
    /// Of a key: the moving average of holds (each weighs 1/8), in nanoseconds; 0 until 8 slots have been released. Of a
    /// scope: 0.
    pub mean_hold_ns: u64,
    /// Of a key: most slots in use at once. Of a scope: 0.
    pub peak: u32,
    /// Of a key: 1 if the pool knows it. Of a scope: 0.
    pub known: u32,
}

sized_struct!(reqbus_slot_stats);

fn stats_of(counters: &Counters, waits: &WaitTimes) -> reqbus_slot_stats {
    reqbus_slot_stats {
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
        wait_p50_ns: nanos(waits.p50),
        wait_p90_ns: nanos(waits.p90),
        wait_p99_ns: nanos(waits.p99),
        wait_max_ns: nanos(waits.max),
        ..defaults()
    }
}

impl From<KeyStats> for reqbus_slot_stats {
    fn from(stats: KeyStats) -> Self {
        Self {
            mean_hold_ns: stats.mean_hold.map_or(0, nanos),
            peak: stats.peak,
            known: 1,
            ..stats_of(&stats.counters, &stats.waits)
        }
    }
}

impl From<ScopeStats> for reqbus_slot_stats {
    fn from(stats: ScopeStats) -> Self {
        stats_of(&stats.counters, &stats.waits)
    }
}

/// Fills `*stats` (whose size field the caller set) with what was counted for `key`; all zero if it is not known (any more).
///
/// REQBUS_NULL_ARGUMENT if any is NULL, REQBUS_INVALID_SIZE for its size, REQBUS_INVALID_ARGUMENT and REQBUS_TOO_LARGE for the
/// key. Any thread; takes a short lock.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reqbus_pool_key_stats(
    pool: *const reqbus_pool,
    key: *const reqbus_key,
    stats: *mut reqbus_slot_stats,
) -> reqbus_status {
    guard_status(null_mut(), || {
        // SAFETY: NULL or alive, NULL or readable with texts as long as they say, as the header asks.
        let (pool, key) = unsafe { (borrow(pool)?, key_at(key)?) };
        key.check()?;
        let counted = pool.key_stats(key).map_or_else(defaults, Into::into);
        // SAFETY: NULL or as long as its size field says, as the header asks.
        unsafe { write(stats, &counted) }?;
        Ok(REQBUS_OK)
    })
}

/// Fills `*stats` (whose size field the caller set) with the sum over the keys of `scope`, those that were forgotten included.
///
/// `scope` is borrowed; REQBUS_INVALID_UTF8 and REQBUS_NULL_WITH_LENGTH for it. REQBUS_NULL_ARGUMENT if `pool` or `stats` is NULL,
/// REQBUS_INVALID_SIZE for its size. Any thread;
/// takes every lock of the pool in turn.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reqbus_pool_scope_stats(
    pool: *const reqbus_pool,
    scope: *const c_char,
    scope_len: usize,
    stats: *mut reqbus_slot_stats,
) -> reqbus_status {
    guard_status(null_mut(), || {
        // SAFETY: NULL or alive, as the header asks.
        let pool = unsafe { borrow(pool) }?;
        // SAFETY: the header asks for `scope_len` readable bytes.
        let scope = unsafe { text(scope, scope_len, "scope") }?;
        // SAFETY: NULL or as long as its size field says, as the header asks.
        unsafe { write(stats, &pool.scope_stats(scope).into()) }?;
        Ok(REQBUS_OK)
    })
}
