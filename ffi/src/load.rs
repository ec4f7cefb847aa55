//! How keys stand.

use reqbus_core::slots::Load;

use crate::error::reqbus_error;
use crate::handle::borrow;
use crate::key::{keys_of, number_of, reqbus_key};
use crate::panic::guard_status;
use crate::pool::reqbus_pool;
use crate::refusal::nanos;
use crate::sized::{check_stride, defaults, sized_struct, write_at};
use crate::slice::buffer;
use crate::status::reqbus_status::{self, REQBUS_OK};
use crate::subscription::timeout;

/// How a key stands. All zero, but for the limit, for a key that is not known.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct reqbus_load {
    /// sizeof(reqbus_load) of the caller; reqbus_pool_load writes it.
    pub size: usize,
    /// Slots in use, those on offer included.
    pub in_use: u32,
    /// Waiters in its queue.
    pub waiting: u32,
    /// 0 to REQBUS_LIMIT_MAX, REQBUS_UNLIMITED, or REQBUS_LIMIT_NOT_GIVEN for a key that has none yet.
    pub limit: i64,
    /// (in use + waiting) * 100 / limit, which may pass 100; 0 without a limit, or with limit 0.
    pub rate: u64,
    /// How long the first in its queue has waited, in nanoseconds; 0 if nobody waits.
    pub oldest_wait_ns: u64,
    /// How long its oldest holder has held, in nanoseconds, to a few milliseconds; 0 if nobody holds.
    pub oldest_hold_ns: u64,
    /// 1 if it was closed.
    pub closed: u32,
    /// 1 if a newcomer would get a slot now.
    pub has_room: u32,
    /// Of the waiters, those whose offer lapsed: each gets no other until its owner looks, and keeps nobody out meanwhile.
    pub lapsed: u32,
    /// 0.
    pub reserved: u32,
}

sized_struct!(reqbus_load);

impl From<&Load> for reqbus_load {
    fn from(load: &Load) -> Self {
        Self {
            in_use: load.in_use,
            waiting: load.waiting,
            limit: number_of(load.limit),
            rate: load.rate(),
            oldest_wait_ns: load.oldest_wait.map_or(0, nanos),
            oldest_hold_ns: load.oldest_hold.map_or(0, nanos),
            closed: u32::from(load.is_closed),
            has_room: u32::from(load.has_room()),
            lapsed: load.lapsed,
            ..defaults()
        }
    }
}

/// Fills `loads` with how `keys` stand, in their order.
///
/// `loads` belongs to the caller and has room for `keys_count` structs of `load_size` (sizeof(reqbus_load)) bytes each, whose
/// size fields are written. `timeout_ms`: -1 waits for ever, 0 tries, more are milliseconds; from memory it is answered at
/// once. REQBUS_TIMEOUT: the store did not answer in that time. REQBUS_STORE_UNAVAILABLE: it cannot answer.
/// REQBUS_INVALID_ARGUMENT, REQBUS_TOO_LARGE, REQBUS_INVALID_UTF8 and REQBUS_NULL_WITH_LENGTH for a key or their list;
/// REQBUS_INVALID_SIZE for `load_size`; REQBUS_NULL_ARGUMENT if `pool`, or with keys `loads`, is NULL. `error` may be NULL. Any
/// thread; blocks only on a store that answers later.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reqbus_pool_load(
    pool: *const reqbus_pool,
    keys: *const reqbus_key,
    keys_count: usize,
    loads: *mut reqbus_load,
    load_size: usize,
    timeout_ms: i64,
    error: *mut *mut reqbus_error,
) -> reqbus_status {
    guard_status(error, || {
        // SAFETY: NULL or alive, as the header asks.
        let pool = unsafe { borrow(pool) }?;
        let timeout = timeout(timeout_ms)?;
        check_stride(loads, keys_count, load_size)?;
        // SAFETY: an array and texts as long as they say, as the header asks.
        let keys = unsafe { keys_of(keys, keys_count) }?;
        let answer = pool.load(&keys).wait(timeout)?;
        for (at, load) in answer.iter().enumerate().take(keys_count) {
            // SAFETY: checked above; the header asks for room for as many as there are keys.
            unsafe { write_at(loads, load_size, at, &load.into()) }?;
        }
        Ok(REQBUS_OK)
    })
}

/// Fills `order` with the indices of `keys`, the least loaded first, of equal ones in the caller's order: what an account
/// scheduler asks for. Keys without a limit count as not loaded.
///
/// `order` belongs to the caller and has room for `keys_count` indices. REQBUS_NULL_WITH_LENGTH if it is NULL. Timeout, errors
/// and blocking as reqbus_pool_load.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reqbus_pool_order_by_load(
    pool: *const reqbus_pool,
    keys: *const reqbus_key,
    keys_count: usize,
    order: *mut usize,
    timeout_ms: i64,
    error: *mut *mut reqbus_error,
) -> reqbus_status {
    guard_status(error, || {
        // SAFETY: NULL or alive, as the header asks.
        let pool = unsafe { borrow(pool) }?;
        let timeout = timeout(timeout_ms)?;
        // SAFETY: an array and texts as long as they say, as the header asks.
        let keys = unsafe { keys_of(keys, keys_count) }?;
        // SAFETY: the header asks for room for as many as there are keys.
        let room = unsafe { buffer(order, keys_count, "order") }?;
        let answer = pool.order_by_load_timeout(&keys, timeout)?;
        for (to, at) in room.iter_mut().zip(answer) {
            *to = at;
        }
        Ok(REQBUS_OK)
    })
}
