//! The pool: its life, and asking it for slots.

use std::ffi::c_char;
use std::ptr::null_mut;

use reqbus_core::SlotPool;

use crate::error::reqbus_error;
use crate::handle::{Boxed, Place, Stamped, borrow, free, handle};
use crate::key::{asks_of, reqbus_ask};
use crate::panic::guard_status;
use crate::pool_options::{reqbus_pool_options, reqbus_wait_options};
use crate::refusal::{Told, reqbus_refusal};
use crate::sized::read_or_defaults;
use crate::slice::{put, required, text};
use crate::slot::reqbus_slot;
use crate::status::reqbus_status::{self, REQBUS_OK, REQBUS_TIMEOUT};
use crate::wait::reqbus_wait;

/// A pool of slots: at most so many requests in flight per user, account, key or whatever else a host names.
///
/// Made by reqbus_pool_new, owned by the caller, freed with reqbus_pool_free, which closes it. Slots and waits of a pool may
/// be freed before or after it. Any thread may use it at any time. It starts no thread before a wait needs a timer.
pub struct reqbus_pool(Stamped<SlotPool>);

handle!(reqbus_pool, SlotPool, Boxed, "pool");

/// Makes a pool with `options` (NULL for all defaults) and writes it to `*pool`.
///
/// Owned by the caller: free it with reqbus_pool_free. On failure `*pool` is NULL, and the options' sink is not taken
/// over. REQBUS_NULL_ARGUMENT if `pool` is NULL; REQBUS_INVALID_SIZE, REQBUS_UNKNOWN_OPTION, REQBUS_INVALID_ARGUMENT for the
/// options; REQBUS_SYSTEM if the system refused. `error` may be NULL. Any thread; never blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reqbus_pool_new(
    options: *const reqbus_pool_options,
    pool: *mut *mut reqbus_pool,
    error: *mut *mut reqbus_error,
) -> reqbus_status {
    guard_status(error, || {
        // SAFETY: NULL or valid for a write, as the header asks.
        let place = unsafe { Place::new(pool) }?;
        // SAFETY: NULL or as long as its size field says, with arrays and texts as long as they say.
        let (options, sink) = unsafe { read_or_defaults(options)?.to_core() }?;
        let made = SlotPool::new(options)?;
        if let Some(sink) = sink {
            sink.take_over();
        }
        place.fill(made);
        Ok(REQBUS_OK)
    })
}

/// Takes a slot of every key of `asks` (1 to 8, of different scopes) or of none, in one step, and writes it to `*slot`; does
/// not wait for room.
///
/// `label` (0 to 255 bytes of UTF-8) names the holder in lists. Everything is borrowed for the call and copied. The slot is
/// owned by the caller: free it with reqbus_slot_free. Without one `*slot` is NULL, `*refusal` (which may be NULL, and whose
/// size field the caller set) says why, and so does the status: REQBUS_SLOT_BUSY, REQBUS_SLOT_CLOSED,
/// REQBUS_STORE_UNAVAILABLE, or an argument error, with REQBUS_OUTCOME_INVALID in `*refusal`: REQBUS_INVALID_ARGUMENT for an empty
/// or wrong list, scope, id or limit, REQBUS_TOO_LARGE, REQBUS_INVALID_UTF8, REQBUS_NULL_WITH_LENGTH, REQBUS_INVALID_SIZE for the
/// refusal's; REQBUS_NULL_ARGUMENT if `pool` or `slot` is NULL. `error` may be NULL. Any thread; blocks only on a store that
/// answers later, for at most 2 s.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reqbus_pool_try_acquire(
    pool: *mut reqbus_pool,
    asks: *const reqbus_ask,
    asks_count: usize,
    label: *const c_char,
    label_len: usize,
    slot: *mut *mut reqbus_slot,
    refusal: *mut reqbus_refusal,
    error: *mut *mut reqbus_error,
) -> reqbus_status {
    guard_status(error, || {
        // SAFETY: NULL or valid for a write, as the header asks.
        let place = unsafe { Place::new(slot) }?;
        // SAFETY: NULL or as long as its size field says, as the header asks.
        let told = unsafe { Told::new(refusal, error) }?;
        // SAFETY: NULL or alive, as the header asks.
        let pool = unsafe { borrow(pool) }?;
        // SAFETY: an array and texts as long as they say, as the header asks.
        let asks = unsafe { asks_of(asks, asks_count) }.map_err(|wrong| told.wrong(wrong))?;
        // SAFETY: as above.
        let label = unsafe { text(label, label_len, "label") }?;
        match pool.try_acquire(&asks, label) {
            Ok(taken) => {
                told.nothing()?;
                place.fill(taken);
            }
            Err(refusal) => return told.tell(&refusal),
        }
        Ok(REQBUS_OK)
    })
}

/// Takes the first of these keys that has room (the one with the lowest load rate first, of equal ones in the caller's
/// order), writes the slot to `*slot` and which of `asks`, from 0, it is of to `*which` (which may be NULL).
///
/// A refusal is that of the least loaded key; `*which` is not written then. `asks` may name one scope many times, and any number
/// of keys. Otherwise as reqbus_pool_try_acquire, but that a store that answers later is asked how the keys stand and then for one
/// key after the other, each time for at most 2 s.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reqbus_pool_try_first_of(
    pool: *mut reqbus_pool,
    asks: *const reqbus_ask,
    asks_count: usize,
    label: *const c_char,
    label_len: usize,
    which: *mut usize,
    slot: *mut *mut reqbus_slot,
    refusal: *mut reqbus_refusal,
    error: *mut *mut reqbus_error,
) -> reqbus_status {
    guard_status(error, || {
        // SAFETY: NULL or valid for a write, as the header asks.
        let place = unsafe { Place::new(slot) }?;
        // SAFETY: NULL or as long as its size field says, as the header asks.
        let told = unsafe { Told::new(refusal, error) }?;
        // SAFETY: NULL or alive, as the header asks.
        let pool = unsafe { borrow(pool) }?;
        // SAFETY: an array and texts as long as they say, as the header asks.
        let asks = unsafe { asks_of(asks, asks_count) }.map_err(|wrong| told.wrong(wrong))?;
        // SAFETY: as above.
        let label = unsafe { text(label, label_len, "label") }?;
        match pool.try_first_of(&asks, label) {
            Ok((at, taken)) => {
                // SAFETY: NULL or valid for a write, as the header asks.
                unsafe { put(which, at) };
                told.nothing()?;
                place.fill(taken);
            }
            Err(refusal) => return told.tell(&refusal),
        }
        Ok(REQBUS_OK)
    })
}

/// Begins to wait for a slot of every key of `asks` (1 to 8, of different scopes) with `options` (NULL for all defaults), and
/// writes the wait to `*wait`. It has its place in the queue when this returns.
///
/// Keys are taken in the pool's order of scopes; what was taken is held while the wait stands in the queue of the next.
/// Everything is borrowed for the call and copied. Owned by the caller: look at it with reqbus_wait_next, free it with
/// reqbus_wait_free, which cancels it. REQBUS_OK also if there will be no slot: reqbus_wait_next says so, and what is wrong
/// with scopes, ids and the label's length. On failure `*wait` is NULL: REQBUS_NULL_ARGUMENT if `pool` or `wait` is, REQBUS_FORKED,
/// REQBUS_INVALID_UTF8 and REQBUS_NULL_WITH_LENGTH for texts and lists, REQBUS_INVALID_ARGUMENT for a limit or a timeout,
/// REQBUS_INVALID_SIZE and REQBUS_UNKNOWN_OPTION for the options. `error` may be NULL. Any thread; never blocks, but takes short
/// locks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reqbus_pool_wait(
    pool: *mut reqbus_pool,
    asks: *const reqbus_ask,
    asks_count: usize,
    options: *const reqbus_wait_options,
    wait: *mut *mut reqbus_wait,
    error: *mut *mut reqbus_error,
) -> reqbus_status {
    guard_status(error, || {
        // SAFETY: NULL or valid for a write, as the header asks.
        let place = unsafe { Place::new(wait) }?;
        // SAFETY: NULL or alive, as the header asks.
        let pool = unsafe { borrow(pool) }?;
        // SAFETY: NULL or as long as its size field says, and arrays and texts as long as they say.
        let (asks, options) = unsafe {
            (
                asks_of(asks, asks_count)?,
                reqbus_wait_options::at(options)?,
            )
        };
        place.fill(pool.wait(&asks, &options));
        Ok(REQBUS_OK)
    })
}

/// As reqbus_pool_wait, and a slot that is there at once goes to `*slot`: spares the common call the wait.
///
/// REQBUS_OK: the slot is in `*slot`, and `*wait` is NULL. REQBUS_TIMEOUT: `*slot` is NULL, and the wait is in `*wait`; it may be
/// over already, as reqbus_wait_next says. On failure both are NULL. REQBUS_NULL_ARGUMENT also if `slot` is NULL. Otherwise as
/// reqbus_pool_wait.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reqbus_pool_acquire(
    pool: *mut reqbus_pool,
    asks: *const reqbus_ask,
    asks_count: usize,
    options: *const reqbus_wait_options,
    slot: *mut *mut reqbus_slot,
    wait: *mut *mut reqbus_wait,
    error: *mut *mut reqbus_error,
) -> reqbus_status {
    guard_status(error, || {
        // SAFETY: NULL or valid for a write, as the header asks.
        let (slot, wait) = unsafe { (Place::new(slot)?, Place::new(wait)?) };
        // SAFETY: NULL or alive, as the header asks.
        let pool = unsafe { borrow(pool) }?;
        // SAFETY: NULL or as long as its size field says, and arrays and texts as long as they say.
        let (asks, options) = unsafe {
            (
                asks_of(asks, asks_count)?,
                reqbus_wait_options::at(options)?,
            )
        };
        match pool.acquire(&asks, &options) {
            Ok(taken) => slot.fill(taken),
            Err(begun) => {
                wait.fill(begun);
                return Ok(REQBUS_TIMEOUT);
            }
        }
        Ok(REQBUS_OK)
    })
}

/// As reqbus_pool_wait, for further keys on top of `slot`, which stays as it is: each scope must come after all that the slot
/// holds, or the wait ends with REQBUS_INVALID_ARGUMENT, because two requests could wait for each other.
///
/// The new slot is one of its own; reqbus_slot_join makes them one. REQBUS_NULL_ARGUMENT also if `slot` is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reqbus_pool_wait_on_top(
    pool: *mut reqbus_pool,
    slot: *const reqbus_slot,
    asks: *const reqbus_ask,
    asks_count: usize,
    options: *const reqbus_wait_options,
    wait: *mut *mut reqbus_wait,
    error: *mut *mut reqbus_error,
) -> reqbus_status {
    guard_status(error, || {
        // SAFETY: NULL or valid for a write, as the header asks.
        let place = unsafe { Place::new(wait) }?;
        // SAFETY: NULL or alive, as the header asks.
        let (pool, slot) = unsafe { (borrow(pool)?, borrow(slot)?) };
        // SAFETY: NULL or as long as its size field says, and arrays and texts as long as they say.
        let (asks, options) = unsafe {
            (
                asks_of(asks, asks_count)?,
                reqbus_wait_options::at(options)?,
            )
        };
        place.fill(pool.wait_on_top(slot, &asks, &options));
        Ok(REQBUS_OK)
    })
}

/// Writes to `*count` how many keys the pool knows: those in use, those with something set on them, and the latest 4,096 idle
/// ones, none idle for longer than 5 minutes.
///
/// REQBUS_NULL_ARGUMENT if either is NULL. Any thread; takes every lock of the pool in turn.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reqbus_pool_known_keys(
    pool: *const reqbus_pool,
    count: *mut usize,
) -> reqbus_status {
    guard_status(null_mut(), || {
        // SAFETY: NULL or alive, as the header asks.
        let pool = unsafe { borrow(pool) }?;
        // SAFETY: not NULL, and valid for a write as the header asks.
        unsafe { put(required(count, "count")?, pool.known_keys()) };
        Ok(REQBUS_OK)
    })
}

/// Writes to `*count` how many slots were collected without a release (reqbus_slot_leak), so far.
///
/// REQBUS_NULL_ARGUMENT if either is NULL. Any thread; takes short locks, and may call the leak sink.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reqbus_pool_leaked(
    pool: *const reqbus_pool,
    count: *mut u64,
) -> reqbus_status {
    guard_status(null_mut(), || {
        // SAFETY: NULL or alive, as the header asks.
        let pool = unsafe { borrow(pool) }?;
        // SAFETY: not NULL, and valid for a write as the header asks.
        unsafe { put(required(count, "count")?, pool.leaked()) };
        Ok(REQBUS_OK)
    })
}

/// Closes the pool: who waits is refused with REQBUS_SLOT_CLOSED, and so is every newcomer. Slots that are out stay valid
/// and are released as ever.
///
/// Idempotent. NULL answers REQBUS_NULL_ARGUMENT. Any thread; takes short locks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reqbus_pool_close(pool: *mut reqbus_pool) -> reqbus_status {
    guard_status(null_mut(), || {
        // SAFETY: NULL or alive, as the header asks.
        unsafe { borrow(pool) }?.close();
        Ok(REQBUS_OK)
    })
}

/// Closes the pool in `*pool`, frees it and writes NULL there: who waits is refused with REQBUS_SLOT_CLOSED, also a thread that
/// blocks in reqbus_wait_next. Slots that are out stay valid.
///
/// REQBUS_OK, also for NULL and for `*pool` being NULL. No other call may be using this handle; its waits and slots may be in
/// use. In a forked child the parent's object is left alone (leaked) and the answer is REQBUS_OK. Takes short locks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reqbus_pool_free(pool: *mut *mut reqbus_pool) -> reqbus_status {
    // SAFETY: NULL or valid, and freed once, as the header asks.
    guard_status(null_mut(), || unsafe { free(pool) })
}
