//! What hosts set on keys.
//!
//! Each of these may reach a store, and so takes a deadline; from memory they answer at once.

use std::time::Duration;

use reqbus_core::SlotPool;
use reqbus_core::slots::{HolderId, Key, Reply};

use crate::error::reqbus_error;
use crate::failure::Failure;
use crate::handle::borrow;
use crate::key::{key_at, limit_of, reqbus_key};
use crate::panic::guard_status;
use crate::pool::reqbus_pool;
use crate::slice::put;
use crate::status::reqbus_status::{self, REQBUS_INVALID_ARGUMENT, REQBUS_OK};
use crate::subscription::timeout;

/// What a call on a key begins with.
///
/// # Safety
/// `pool` is NULL or alive for `'a`, `key` is NULL or readable, with texts as long as they say, for `'a`.
unsafe fn of<'a>(
    pool: *const reqbus_pool,
    key: *const reqbus_key,
    timeout_ms: i64,
) -> Result<(&'a SlotPool, Key<'a>, Option<Duration>), Failure> {
    // SAFETY: this function's contract.
    unsafe { Ok((borrow(pool)?, key_at(key)?, timeout(timeout_ms)?)) }
}

/// The answer to a change.
fn done(reply: Reply<()>, timeout: Option<Duration>) -> Result<reqbus_status, Failure> {
    reply.wait(timeout)?;
    Ok(REQBUS_OK)
}

/// Sets a limit that wins over those of calls until it is cleared. A higher one is offered to those who wait at once; under a
/// lower one in use falls as slots are released.
///
/// `limit`: 0 to REQBUS_LIMIT_MAX, or REQBUS_UNLIMITED; REQBUS_INVALID_ARGUMENT for any other. `timeout_ms`: -1 waits for ever,
/// 0 tries, more are milliseconds; from memory it is answered at once. REQBUS_TIMEOUT: the store did not answer in that time, and it
/// is not known whether it heard. REQBUS_STORE_UNAVAILABLE: it cannot answer. REQBUS_INVALID_ARGUMENT and REQBUS_TOO_LARGE for
/// the key. REQBUS_NULL_ARGUMENT if `pool` or `key` is NULL. `error` may be NULL. Any thread; blocks only on a store that answers
/// later.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reqbus_pool_set_limit(
    pool: *mut reqbus_pool,
    key: *const reqbus_key,
    limit: i64,
    timeout_ms: i64,
    error: *mut *mut reqbus_error,
) -> reqbus_status {
    guard_status(error, || {
        // SAFETY: as the header asks.
        let (pool, key, timeout) = unsafe { of(pool, key, timeout_ms) }?;
        let limit = limit_of(limit)?.ok_or(Failure::new(
            REQBUS_INVALID_ARGUMENT,
            "limit",
            "no limit is given; to let calls decide again, clear it",
        ))?;
        done(pool.set_limit(key, limit), timeout)
    })
}

/// The limits of calls decide again. As reqbus_pool_set_limit.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reqbus_pool_clear_limit(
    pool: *mut reqbus_pool,
    key: *const reqbus_key,
    timeout_ms: i64,
    error: *mut *mut reqbus_error,
) -> reqbus_status {
    guard_status(error, || {
        // SAFETY: as the header asks.
        let (pool, key, timeout) = unsafe { of(pool, key, timeout_ms) }?;
        done(pool.clear_limit(key), timeout)
    })
}

/// Closes a key: who waits for it is refused with REQBUS_SLOT_CLOSED, and so are newcomers, until reqbus_pool_open_key. Holders
/// keep their slots. Timeout, errors and blocking as reqbus_pool_set_limit.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reqbus_pool_close_key(
    pool: *mut reqbus_pool,
    key: *const reqbus_key,
    timeout_ms: i64,
    error: *mut *mut reqbus_error,
) -> reqbus_status {
    guard_status(error, || {
        // SAFETY: as the header asks.
        let (pool, key, timeout) = unsafe { of(pool, key, timeout_ms) }?;
        done(pool.close_key(key), timeout)
    })
}

/// Opens a closed key. Timeout, errors and blocking as reqbus_pool_set_limit.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reqbus_pool_open_key(
    pool: *mut reqbus_pool,
    key: *const reqbus_key,
    timeout_ms: i64,
    error: *mut *mut reqbus_error,
) -> reqbus_status {
    guard_status(error, || {
        // SAFETY: as the header asks.
        let (pool, key, timeout) = unsafe { of(pool, key, timeout_ms) }?;
        done(pool.open_key(key), timeout)
    })
}

/// Takes a slot of `key` away from its holder, whose number is in lists of holders; it is told that its slot is lost. `*was_held`
/// (which may be NULL) becomes 1 if it was held, else 0. Timeout, errors and blocking as reqbus_pool_set_limit.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reqbus_pool_force(
    pool: *mut reqbus_pool,
    key: *const reqbus_key,
    holder: u64,
    timeout_ms: i64,
    was_held: *mut i32,
    error: *mut *mut reqbus_error,
) -> reqbus_status {
    guard_status(error, || {
        // SAFETY: as the header asks.
        let (pool, key, timeout) = unsafe { of(pool, key, timeout_ms) }?;
        let held = pool.force(key, HolderId::from_u64(holder)).wait(timeout)?;
        // SAFETY: NULL or valid for a write, as the header asks.
        unsafe { put(was_held, i32::from(held)) };
        Ok(REQBUS_OK)
    })
}
