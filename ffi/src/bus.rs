//! The bus: its life, subscribing, statuses, and what is known of it.

use std::ffi::c_char;
use std::ptr::null_mut;

use reqbus_core::Bus;
use reqbus_core::bus::Kind;

use crate::error::reqbus_error;
use crate::handle::{Boxed, Place, Stamped, borrow, free, handle};
use crate::id::reqbus_id;
use crate::options::{reqbus_bus_options, reqbus_subscribe_options};
use crate::panic::{guard, guard_status};
use crate::sized::{read_or_defaults, write};
use crate::slice::{put, required, text};
use crate::stats::reqbus_bus_stats;
use crate::status::reqbus_status::{self, REQBUS_OK};
use crate::subscription::reqbus_subscription;

/// A bus: one order of events, any number of readers.
///
/// Made by reqbus_bus_new, owned by the caller, freed with reqbus_bus_free. Subscriptions of a bus may be
/// freed before or after it. Any thread may use it at any time.
pub struct reqbus_bus(Stamped<Bus>);

handle!(reqbus_bus, Bus, Boxed, "bus");

/// Makes a bus with `options` (NULL for all defaults) and writes it to `*bus`.
///
/// Owned by the caller: free it with reqbus_bus_free. On failure `*bus` is NULL. REQBUS_NULL_ARGUMENT if
/// `bus` is NULL; REQBUS_INVALID_SIZE, REQBUS_UNKNOWN_OPTION, REQBUS_INVALID_ARGUMENT for the options;
/// REQBUS_SYSTEM if the system gave no random numbers. `error` may be NULL. Any thread; never blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reqbus_bus_new(
    options: *const reqbus_bus_options,
    bus: *mut *mut reqbus_bus,
    error: *mut *mut reqbus_error,
) -> reqbus_status {
    guard_status(error, || {
        // SAFETY: NULL or valid for a write, as the header asks.
        let place = unsafe { Place::new(bus) }?;
        // SAFETY: NULL or as long as its size field says, as the header asks.
        let options = unsafe { read_or_defaults(options) }?;
        place.fill(Bus::new(options.to_core()?)?);
        Ok(REQBUS_OK)
    })
}

/// Closes the bus: publishing answers REQBUS_CLOSED from now on, sleeping readers wake, and each
/// subscription reads up to the newest event and then gets REQBUS_CLOSED.
///
/// Idempotent. NULL answers REQBUS_NULL_ARGUMENT. Any thread; never blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reqbus_bus_close(bus: *mut reqbus_bus) -> reqbus_status {
    guard_status(null_mut(), || {
        // SAFETY: NULL or alive, as the header asks.
        unsafe { borrow(bus) }?.close();
        Ok(REQBUS_OK)
    })
}

/// Frees the bus in `*bus` and writes NULL there.
///
/// That closes it, as reqbus_bus_close does, unless a reqbus_teller keeps it open: subscriptions that are still open
/// get what was published, and their end. REQBUS_OK, also for NULL and for `*bus` being NULL. No other call may be using this handle. In a forked child the parent's
/// object is left alone (leaked) and the answer is REQBUS_OK. Never blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reqbus_bus_free(bus: *mut *mut reqbus_bus) -> reqbus_status {
    // SAFETY: NULL or valid, and freed once, as the header asks.
    guard_status(null_mut(), || unsafe { free(bus) })
}

/// Registers a kind and writes its number to `*number`, for reqbus_bus_wanted. The same kind has the same
/// number for the life of the bus; the first 63 kinds that hosts and filters name have one each, later
/// ones share one.
///
/// `kind` is borrowed. REQBUS_NULL_ARGUMENT for a NULL bus or number. `error` may be NULL. Any thread; takes
/// a short lock.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reqbus_bus_kind(
    bus: *mut reqbus_bus,
    kind: *const c_char,
    kind_len: usize,
    number: *mut u32,
    error: *mut *mut reqbus_error,
) -> reqbus_status {
    guard_status(error, || {
        // SAFETY: NULL or alive, as the header asks.
        let bus = unsafe { borrow(bus) }?;
        let number = required(number, "number")?;
        // SAFETY: the header asks for `kind_len` readable bytes.
        let kind = bus.kind(unsafe { text(kind, kind_len, "kind") }?)?;
        // SAFETY: not NULL, and valid for a write as the header asks.
        unsafe { put(number, u32::from(kind.number())) };
        Ok(REQBUS_OK)
    })
}

/// Whether an event of this kind would have a reader, so that a host may skip building it: 1 or 0.
///
/// Always 1 on a bus that can be resumed, and for a number that reqbus_bus_kind never gave. A NULL bus
/// (and one of a parent process) answers 0. Any thread; one load, never blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reqbus_bus_wanted(bus: *const reqbus_bus, kind_number: u32) -> i32 {
    guard(|| {
        // SAFETY: NULL or alive, as the header asks.
        let bus = unsafe { borrow(bus) }.ok()?;
        let kind = u8::try_from(kind_number).ok().and_then(Kind::from_number);
        Some(i32::from(kind.is_none_or(|kind| bus.wanted(kind))))
    })
}

/// Sets the latest status of a source (at most 64), such as "upstream-a", "connected", "". Every
/// subscription gets it as a status item; one that begins later gets it first. The state "gone"
/// removes the source.
///
/// All texts are borrowed UTF-8: `source` and `state` 1 to 255 bytes, `detail` at most 4096.
/// REQBUS_TOO_MANY_SOURCES for a 65th source; REQBUS_CLOSED on a closed bus; REQBUS_NULL_ARGUMENT for a NULL bus. `error` may be NULL. Any
/// thread; takes a short lock.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reqbus_bus_set_status(
    bus: *mut reqbus_bus,
    source: *const c_char,
    source_len: usize,
    state: *const c_char,
    state_len: usize,
    detail: *const c_char,
    detail_len: usize,
    error: *mut *mut reqbus_error,
) -> reqbus_status {
    guard_status(error, || {
        // SAFETY: NULL or alive, as the header asks.
        let bus = unsafe { borrow(bus) }?;
        // SAFETY: the header asks for as many readable bytes as each length says.
        let (source, state, detail) = unsafe {
            (
                text(source, source_len, "source")?,
                text(state, state_len, "state")?,
                text(detail, detail_len, "detail")?,
            )
        };
        bus.set_status(source, state, detail)?;
        Ok(REQBUS_OK)
    })
}

/// Subscribes with `options` (NULL for all defaults) and writes the subscription to `*subscription`.
///
/// Owned by the caller: free it with reqbus_subscription_free. On failure `*subscription` is NULL and
/// nothing was joined. REQBUS_NULL_ARGUMENT for a NULL bus or place; argument errors for the options;
/// REQBUS_CLOSED on a closed bus; REQBUS_AUDIENCE_BUSY if the audience was being cleaned up for as long as
/// the options let this wait. An id that cannot be resumed from is no error: the first item is a resync.
/// `error` may be NULL. Any thread; blocks only while the audience is being cleaned up.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reqbus_bus_subscribe(
    bus: *mut reqbus_bus,
    options: *const reqbus_subscribe_options,
    subscription: *mut *mut reqbus_subscription,
    error: *mut *mut reqbus_error,
) -> reqbus_status {
    guard_status(error, || {
        // SAFETY: NULL or valid for a write, as the header asks.
        let place = unsafe { Place::new(subscription) }?;
        // SAFETY: NULL or alive, as the header asks.
        let bus = unsafe { borrow(bus) }?;
        // SAFETY: NULL or as long as its size field says, with arrays and texts as long as they say.
        let options = unsafe { read_or_defaults(options)?.to_core() }?;
        place.fill(bus.subscribe(options)?);
        Ok(REQBUS_OK)
    })
}

/// Writes the bus's epoch, the first half of all its ids, to `*epoch`.
///
/// REQBUS_NULL_ARGUMENT if either is NULL. Any thread; never blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reqbus_bus_epoch(
    bus: *const reqbus_bus,
    epoch: *mut u64,
) -> reqbus_status {
    guard_status(null_mut(), || {
        // SAFETY: NULL or alive, as the header asks.
        let bus = unsafe { borrow(bus) }?;
        // SAFETY: not NULL, and valid for a write as the header asks.
        unsafe { put(required(epoch, "epoch")?, bus.epoch()) };
        Ok(REQBUS_OK)
    })
}

/// Writes the id of the newest event to `*id`; its seq is 0 before the first.
///
/// REQBUS_NULL_ARGUMENT if either is NULL. Any thread; never blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reqbus_bus_newest(
    bus: *const reqbus_bus,
    id: *mut reqbus_id,
) -> reqbus_status {
    guard_status(null_mut(), || {
        // SAFETY: NULL or alive, as the header asks.
        let bus = unsafe { borrow(bus) }?;
        // SAFETY: not NULL, and valid for a write as the header asks.
        unsafe { put(required(id, "id")?, bus.newest().into()) };
        Ok(REQBUS_OK)
    })
}

/// Writes how many open subscriptions share the audience `name` to `*count`.
///
/// `name` is borrowed UTF-8. REQBUS_NULL_ARGUMENT if `bus` or `count` is NULL. Any thread; takes a short
/// lock.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reqbus_bus_audience_count(
    bus: *const reqbus_bus,
    name: *const c_char,
    name_len: usize,
    count: *mut usize,
) -> reqbus_status {
    guard_status(null_mut(), || {
        // SAFETY: NULL or alive, as the header asks.
        let bus = unsafe { borrow(bus) }?;
        let count = required(count, "count")?;
        // SAFETY: the header asks for `name_len` readable bytes.
        let name = unsafe { text(name, name_len, "name") }?;
        // SAFETY: not NULL, and valid for a write as the header asks.
        unsafe { put(count, bus.audience_count(name)) };
        Ok(REQBUS_OK)
    })
}

/// Fills `*stats` (whose size field the caller set). Sums over all subscriptions, freed ones included.
///
/// REQBUS_NULL_ARGUMENT if either is NULL, REQBUS_INVALID_SIZE for its size. Any thread; takes short locks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reqbus_bus_get_stats(
    bus: *const reqbus_bus,
    stats: *mut reqbus_bus_stats,
) -> reqbus_status {
    guard_status(null_mut(), || {
        // SAFETY: NULL or alive, as the header asks.
        let bus = unsafe { borrow(bus) }?;
        // SAFETY: NULL or as long as its size field says, as the header asks.
        unsafe { write(stats, &bus.stats().into()) }?;
        Ok(REQBUS_OK)
    })
}
