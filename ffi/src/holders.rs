//! Who holds slots: a snapshot.

use std::ffi::c_char;
use std::ptr::null_mut;
use std::time::Duration;

use reqbus_core::slots::Holder;

use crate::error::reqbus_error;
use crate::failure::Failure;
use crate::handle::{Boxed, Place, Stamped, borrow, free, handle};
use crate::key::{key_at, reqbus_key};
use crate::panic::{guard, guard_status};
use crate::pool::reqbus_pool;
use crate::refusal::nanos;
use crate::sized::{defaults, sized_struct, write};
use crate::slice::start_of;
use crate::status::reqbus_status::{self, REQBUS_NO_SUCH_ITEM, REQBUS_OK};
use crate::subscription::timeout;

/// A snapshot of holders; it does not change any more.
///
/// Made by reqbus_pool_holders, reqbus_pool_held_longer_than and reqbus_slot_holders, owned by the caller, freed with
/// reqbus_holders_free. Any thread may use it at any time.
pub struct reqbus_holders(Stamped<Vec<Holder>>);

handle!(reqbus_holders, Vec<Holder>, Boxed, "holders");

/// One holder of a snapshot. Pointers are borrowed from the snapshot; texts are UTF-8 and not NUL-terminated.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct reqbus_holder {
    /// sizeof(reqbus_holder), set by the caller.
    pub size: usize,
    /// Its number, for reqbus_pool_force: never given twice for one key while the pool knows it.
    pub holder: u64,
    /// The scope it holds.
    pub scope: *const c_char,
    /// Length of `scope` in bytes.
    pub scope_len: usize,
    /// The id it holds. May be a secret.
    pub id: *const c_char,
    /// Length of `id` in bytes.
    pub id_len: usize,
    /// What its host called it.
    pub label: *const c_char,
    /// Length of `label` in bytes; 0 for none.
    pub label_len: usize,
    /// For how long it has held, in nanoseconds, to a few milliseconds.
    pub age_ns: u64,
}

sized_struct!(reqbus_holder);

impl From<&Holder> for reqbus_holder {
    fn from(holder: &Holder) -> Self {
        let key = holder.key.as_key();
        Self {
            holder: holder.id.to_u64(),
            scope: start_of(key.scope.as_bytes()),
            scope_len: key.scope.len(),
            id: start_of(key.id.as_bytes()),
            id_len: key.id.len(),
            label: start_of(holder.label.as_bytes()),
            label_len: holder.label.len(),
            age_ns: nanos(holder.age),
            ..defaults()
        }
    }
}

/// Takes a snapshot of who holds slots of `key`, oldest first, and writes it to `*holders`.
///
/// Owned by the caller: free it with reqbus_holders_free. On failure `*holders` is NULL. `timeout_ms`: -1 waits for ever, 0 tries,
/// more are milliseconds; from memory it is answered at once. REQBUS_TIMEOUT: the store did not answer in that time.
/// REQBUS_STORE_UNAVAILABLE: it cannot answer. REQBUS_INVALID_ARGUMENT and REQBUS_TOO_LARGE for the key; REQBUS_NULL_ARGUMENT if
/// `pool`, `key` or `holders` is NULL. `error` may be NULL. Any thread; blocks only on a store that answers later.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reqbus_pool_holders(
    pool: *const reqbus_pool,
    key: *const reqbus_key,
    timeout_ms: i64,
    holders: *mut *mut reqbus_holders,
    error: *mut *mut reqbus_error,
) -> reqbus_status {
    guard_status(error, || {
        // SAFETY: NULL or valid for a write, as the header asks.
        let place = unsafe { Place::new(holders) }?;
        // SAFETY: NULL or alive, NULL or readable with texts as long as they say, as the header asks.
        let (pool, key) = unsafe { (borrow(pool)?, key_at(key)?) };
        place.fill(pool.holders(key).wait(timeout(timeout_ms)?)?);
        Ok(REQBUS_OK)
    })
}

/// Takes a snapshot of who has held a slot of any key for at least `age_ms` milliseconds: suspects. It frees nothing. As
/// reqbus_pool_holders.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reqbus_pool_held_longer_than(
    pool: *const reqbus_pool,
    age_ms: u64,
    timeout_ms: i64,
    holders: *mut *mut reqbus_holders,
    error: *mut *mut reqbus_error,
) -> reqbus_status {
    guard_status(error, || {
        // SAFETY: NULL or valid for a write, as the header asks.
        let place = unsafe { Place::new(holders) }?;
        // SAFETY: NULL or alive, as the header asks.
        let pool = unsafe { borrow(pool) }?;
        let held = pool.held_longer_than(Duration::from_millis(age_ms));
        place.fill(held.wait(timeout(timeout_ms)?)?);
        Ok(REQBUS_OK)
    })
}

/// How many holders the snapshot has. 0 for NULL. Any thread; never blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reqbus_holders_len(holders: *const reqbus_holders) -> usize {
    guard(|| {
        // SAFETY: NULL or alive, as the header asks.
        unsafe { borrow(holders) }.ok().map(Vec::len)
    })
}

/// Fills `*holder` (whose size field the caller set) with holder `index`, counted from 0.
///
/// Its pointers are borrowed from the snapshot. REQBUS_NO_SUCH_ITEM beyond the last; REQBUS_NULL_ARGUMENT if either is NULL;
/// REQBUS_INVALID_SIZE for its size. Any thread; never blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reqbus_holders_item(
    holders: *const reqbus_holders,
    index: usize,
    holder: *mut reqbus_holder,
) -> reqbus_status {
    guard_status(null_mut(), || {
        // SAFETY: NULL or alive, as the header asks.
        let entry = unsafe { borrow(holders) }?.get(index).ok_or(Failure::new(
            REQBUS_NO_SUCH_ITEM,
            "index",
            "the snapshot has no holder with this index",
        ))?;
        // SAFETY: NULL or as long as its size field says, as the header asks.
        unsafe { write(holder, &entry.into()) }?;
        Ok(REQBUS_OK)
    })
}

/// Frees the snapshot in `*holders` and writes NULL there.
///
/// REQBUS_OK, also for NULL and for `*holders` being NULL. No other call may be using this handle. In a forked child the parent's
/// object is left alone (leaked) and the answer is REQBUS_OK.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reqbus_holders_free(holders: *mut *mut reqbus_holders) -> reqbus_status {
    // SAFETY: NULL or valid, and freed once, as the header asks.
    guard_status(null_mut(), || unsafe { free(holders) })
}
