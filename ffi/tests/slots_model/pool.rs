//! The pool's exported functions, and its words as core's.

use std::ptr::{null, null_mut};

use reqbus::reqbus_status::*;
use reqbus::*;
use reqbus_core::slots::{Ask, Counters, FaultOptions, Key, Limit, WaitOptions};

use crate::handles::{Clock, Fault, Holders, Pool, Refused, Slot, Wait, entries, refused, sized};

fn key_of(key: &Key<'_>) -> reqbus_key {
    reqbus_key {
        scope: key.scope.as_ptr().cast(),
        scope_len: key.scope.len(),
        id: key.id.as_ptr().cast(),
        id_len: key.id.len(),
    }
}

fn number_of(limit: Option<Limit>) -> i64 {
    match limit {
        Some(Limit::Of(number)) => number.into(),
        Some(Limit::Unlimited) => REQBUS_UNLIMITED,
        None => REQBUS_LIMIT_NOT_GIVEN,
    }
}

fn asks_of(asks: &[Ask<'_>]) -> Vec<reqbus_ask> {
    let asks = asks.iter();
    asks.map(|ask| reqbus_ask {
        key: key_of(&ask.key),
        limit: number_of(ask.limit),
    })
    .collect()
}

impl Pool {
    pub fn on_memory(clock: &Clock) -> Self {
        let mut pool = null_mut();
        // SAFETY: an object that is alive, a place for a handle, NULL where it may be.
        let status = unsafe { reqbus_test_pool_new(null(), clock.0, &mut pool, null_mut()) };
        assert_eq!(status, REQBUS_OK);
        Self(pool)
    }

    pub fn on_fault(clock: &Clock, line: &FaultOptions, fault: &Fault) -> Self {
        let mut pool = null_mut();
        let line = reqbus_test_fault_options {
            seed: line.seed,
            latest_ns: line.latest.as_nanos() as u64,
            lost: line.lost,
            doubled: line.doubled,
            lost_lease: line.lost_lease,
            ..sized()
        };
        // SAFETY: objects that are alive, options with their size, a place for a handle, NULL where it may be.
        let status = unsafe {
            reqbus_test_pool_new_on_fault(null(), clock.0, &line, fault.0, &mut pool, null_mut())
        };
        assert_eq!(status, REQBUS_OK);
        Self(pool)
    }

    pub fn try_acquire(&self, asks: &[Ask<'_>], label: &str) -> Result<Slot, Refused> {
        let (asks, mut slot, mut why) = (asks_of(asks), null_mut(), sized());
        // SAFETY: alive, texts and arrays as long as they say, places for what comes.
        let status = unsafe {
            reqbus_pool_try_acquire(
                self.0,
                asks.as_ptr(),
                asks.len(),
                label.as_ptr().cast(),
                label.len(),
                &mut slot,
                &mut why,
                null_mut(),
            )
        };
        assert_eq!(status == REQBUS_OK, !slot.is_null());
        match status {
            REQBUS_OK => Ok(Slot(slot)),
            status => Err(refused(status, &why)),
        }
    }

    pub fn wait(&self, asks: &[Ask<'_>], how: &WaitOptions<'_>) -> Wait {
        let (asks, mut wait) = (asks_of(asks), null_mut());
        let mut options: reqbus_wait_options = sized();
        options.timeout_ms = how.timeout.as_millis() as i64;
        options.max_waiting = how.max_waiting;
        // 0 is the default: that it would not wait is said by a flag.
        if how.timeout.is_zero() || how.max_waiting == 0 {
            options.flags |= REQBUS_WAIT_TRY;
        }
        if how.ping_every.is_none() {
            options.flags |= REQBUS_WAIT_NO_PINGS;
        }
        // SAFETY: alive, arrays as long as they say, options with their size, a place for a handle.
        let status = unsafe {
            reqbus_pool_wait(
                self.0,
                asks.as_ptr(),
                asks.len(),
                &options,
                &mut wait,
                null_mut(),
            )
        };
        assert_eq!(status, REQBUS_OK);
        Wait(wait)
    }

    /// Sets a limit, or clears it.
    pub fn set_limit(&self, key: &Key<'_>, limit: Option<Limit>) -> reqbus_status {
        let key = key_of(key);
        // SAFETY: alive, and a key whose texts are as long as they say.
        unsafe {
            match limit {
                Some(_) => reqbus_pool_set_limit(self.0, &key, number_of(limit), 0, null_mut()),
                None => reqbus_pool_clear_limit(self.0, &key, 0, null_mut()),
            }
        }
    }

    pub fn close_key(&self, key: &Key<'_>) -> reqbus_status {
        // SAFETY: alive, and a key whose texts are as long as they say.
        unsafe { reqbus_pool_close_key(self.0, &key_of(key), 0, null_mut()) }
    }

    pub fn open_key(&self, key: &Key<'_>) -> reqbus_status {
        // SAFETY: alive, and a key whose texts are as long as they say.
        unsafe { reqbus_pool_open_key(self.0, &key_of(key), 0, null_mut()) }
    }

    /// Whether the slot was held; the status if it is not known.
    pub fn force(&self, key: &Key<'_>, holder: u64) -> Result<bool, reqbus_status> {
        let mut was_held = 7;
        // SAFETY: alive, a key whose texts are as long as they say, and a place for the answer.
        let status = unsafe {
            reqbus_pool_force(self.0, &key_of(key), holder, 0, &mut was_held, null_mut())
        };
        match status {
            REQBUS_OK => Ok(was_held == 1),
            status => Err(status),
        }
    }

    /// How keys stand; the status if that is not known within `timeout_ms`.
    pub fn loads(
        &self,
        keys: &[Key<'_>],
        timeout_ms: i64,
    ) -> Result<Vec<reqbus_load>, reqbus_status> {
        let keys: Vec<_> = keys.iter().map(key_of).collect();
        let mut loads = vec![sized::<reqbus_load>(); keys.len()];
        // SAFETY: alive, an array of keys, and room for as many loads of this size.
        let status = unsafe {
            reqbus_pool_load(
                self.0,
                keys.as_ptr(),
                keys.len(),
                loads.as_mut_ptr(),
                size_of::<reqbus_load>(),
                timeout_ms,
                null_mut(),
            )
        };
        match status {
            REQBUS_OK => Ok(loads),
            status => Err(status),
        }
    }

    pub fn stats(&self, key: &Key<'_>) -> reqbus_slot_stats {
        let mut stats = sized();
        // SAFETY: alive, a key whose texts are as long as they say, and a struct with its size.
        let status = unsafe { reqbus_pool_key_stats(self.0, &key_of(key), &mut stats) };
        assert_eq!(status, REQBUS_OK);
        stats
    }

    /// The numbers of who holds a key, oldest first.
    pub fn holders(&self, key: &Key<'_>) -> Vec<u64> {
        let mut holders = null_mut();
        // SAFETY: alive, a key whose texts are as long as they say, and a place for a handle.
        let status =
            unsafe { reqbus_pool_holders(self.0, &key_of(key), 0, &mut holders, null_mut()) };
        assert_eq!(status, REQBUS_OK);
        let entries = entries(&Holders(holders));
        entries.iter().map(|entry| entry.0).collect()
    }

    /// How many units are held, of all keys.
    pub fn held(&self) -> usize {
        let mut holders = null_mut();
        // SAFETY: alive, and a place for a handle.
        let status =
            unsafe { reqbus_pool_held_longer_than(self.0, 0, 0, &mut holders, null_mut()) };
        assert_eq!(status, REQBUS_OK);
        entries(&Holders(holders)).len()
    }
}

/// The counters of core in what C is told.
pub fn counters(stats: &reqbus_slot_stats) -> Counters {
    Counters {
        granted: stats.granted,
        granted_after_wait: stats.granted_after_wait,
        busy: stats.busy,
        queue_full: stats.queue_full,
        timed_out: stats.timed_out,
        cancelled: stats.cancelled,
        closed: stats.closed,
        store_unavailable: stats.store_unavailable,
        lost: stats.lost,
        leaked: stats.leaked,
        lapsed_offers: stats.lapsed_offers,
        limit_changes: stats.limit_changes,
    }
}

/// The limit in what C is told.
pub fn limit(number: i64) -> Option<Limit> {
    match number {
        REQBUS_UNLIMITED => Some(Limit::Unlimited),
        REQBUS_LIMIT_NOT_GIVEN => None,
        number => Some(Limit::Of(u32::try_from(number).expect("a limit"))),
    }
}
