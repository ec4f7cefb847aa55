//! Who reads a bus: a snapshot.

use std::ffi::c_char;
use std::ptr::{null, null_mut};

use reqbus_core::bus::{Consumer, Overflow};

use crate::bus::reqbus_bus;
use crate::error::reqbus_error;
use crate::event::reqbus_text;
use crate::failure::Failure;
use crate::handle::{Boxed, Place, Stamped, borrow, free, handle};
use crate::options::reqbus_overflow;
use crate::panic::{guard, guard_status};
use crate::refusal::nanos;
use crate::sized::{defaults, sized_struct, write};
use crate::slice::{put, required, start_of};
use crate::status::reqbus_status::{self, REQBUS_NO_SUCH_ITEM, REQBUS_OK};

/// A snapshot of a bus's subscriptions; it does not change any more.
///
/// Made by reqbus_bus_consumers, owned by the caller, freed with reqbus_consumers_free. Any thread may use
/// it at any time.
pub struct reqbus_consumers(Stamped<Vec<Consumer>>);

handle!(reqbus_consumers, Vec<Consumer>, Boxed, "consumers");

/// One subscription of a snapshot. Pointers are borrowed from the snapshot; texts are UTF-8 and not
/// NUL-terminated.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct reqbus_consumer {
    /// sizeof(reqbus_consumer), set by the caller.
    pub size: usize,
    /// The subscription's number, unique on its bus.
    pub id: u64,
    /// Its label.
    pub label: *const c_char,
    /// Length of `label` in bytes.
    pub label_len: usize,
    /// Its audience; NULL for none.
    pub audience: *const c_char,
    /// Length of `audience` in bytes.
    pub audience_len: usize,
    /// The process id that its host gave; 0 for none.
    pub pid: u32,
    /// A reqbus_overflow.
    pub overflow: u32,
    /// Events that its queue or window holds; 0 with catch-up.
    pub capacity: u64,
    /// Bytes that its queue holds; 0 without a queue.
    pub capacity_bytes: u64,
    /// How many keys its filter names; see reqbus_consumers_key.
    pub keys_count: usize,
    /// How many kinds its filter names; see reqbus_consumers_kind.
    pub kinds_count: usize,
    /// How long ago it began, in nanoseconds.
    pub age_ns: u64,
    /// As in reqbus_subscription_stats.
    pub matched: u64,
    /// As in reqbus_subscription_stats.
    pub delivered: u64,
    /// As in reqbus_subscription_stats.
    pub lost_full: u64,
    /// As in reqbus_subscription_stats.
    pub lost_window: u64,
    /// As in reqbus_subscription_stats.
    pub lost_evicted: u64,
    /// As in reqbus_subscription_stats.
    pub pending: u64,
    /// As in reqbus_subscription_stats.
    pub resyncs: u64,
    /// 1 if a reader sleeps in a wait.
    pub sleeping: u32,
    /// 1 if it is closed and not freed yet.
    pub closed: u32,
}

sized_struct!(reqbus_consumer);

impl reqbus_consumer {
    fn of(consumer: &Consumer) -> Self {
        let (overflow, capacity, capacity_bytes) = match consumer.overflow {
            Overflow::DropNewest { events, bytes } => {
                (reqbus_overflow::REQBUS_OVERFLOW_DROP_NEWEST, events, bytes)
            }
            Overflow::DropOldest { events } => {
                (reqbus_overflow::REQBUS_OVERFLOW_DROP_OLDEST, events, 0)
            }
            Overflow::CatchUp => (reqbus_overflow::REQBUS_OVERFLOW_CATCH_UP, 0, 0),
        };
        let audience = consumer.audience.as_deref();
        let stats = &consumer.stats;
        Self {
            id: consumer.id,
            label: start_of(consumer.label.as_bytes()),
            label_len: consumer.label.len(),
            audience: audience.map_or(null(), |name| start_of(name.as_bytes())),
            audience_len: audience.map_or(0, str::len),
            pid: consumer.pid,
            overflow: overflow as u32,
            capacity: capacity as u64,
            capacity_bytes: capacity_bytes as u64,
            keys_count: consumer.filter.keys().len(),
            kinds_count: consumer.filter.kinds().len(),
            age_ns: nanos(consumer.age),
            matched: stats.matched,
            delivered: stats.delivered,
            lost_full: stats.lost_full,
            lost_window: stats.lost_window,
            lost_evicted: stats.lost_evicted,
            pending: stats.pending,
            resyncs: stats.resyncs,
            sleeping: u32::from(stats.sleeping),
            closed: u32::from(consumer.closed),
            ..defaults()
        }
    }
}

/// Takes a snapshot of the subscriptions of `bus` and writes it to `*consumers`.
///
/// Owned by the caller: free it with reqbus_consumers_free. On failure `*consumers` is NULL.
/// REQBUS_NULL_ARGUMENT if either is NULL. `error` may be NULL. Any thread; takes short locks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reqbus_bus_consumers(
    bus: *const reqbus_bus,
    consumers: *mut *mut reqbus_consumers,
    error: *mut *mut reqbus_error,
) -> reqbus_status {
    guard_status(error, || {
        // SAFETY: NULL or valid for a write, as the header asks.
        let place = unsafe { Place::new(consumers) }?;
        // SAFETY: NULL or alive, as the header asks.
        place.fill(unsafe { borrow(bus) }?.consumers());
        Ok(REQBUS_OK)
    })
}

/// How many subscriptions the snapshot holds. 0 for NULL. Any thread; never blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reqbus_consumers_len(consumers: *const reqbus_consumers) -> usize {
    guard(|| {
        // SAFETY: NULL or alive, as the header asks.
        unsafe { borrow(consumers) }.ok().map(Vec::len)
    })
}

/// Entry `index` of a snapshot.
///
/// # Safety
/// `consumers` is NULL or alive for `'a`.
unsafe fn entry<'a>(
    consumers: *const reqbus_consumers,
    index: usize,
) -> Result<&'a Consumer, Failure> {
    // SAFETY: this function's contract.
    unsafe { borrow(consumers) }?.get(index).ok_or(Failure::new(
        REQBUS_NO_SUCH_ITEM,
        "index",
        "the snapshot has no subscription with this index",
    ))
}

/// Fills `*consumer` (whose size field the caller set) with subscription `index`, counted from 0.
///
/// Its pointers are borrowed from the snapshot. REQBUS_NO_SUCH_ITEM beyond the last; REQBUS_NULL_ARGUMENT
/// if either is NULL; REQBUS_INVALID_SIZE for its size. Any thread; never blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reqbus_consumers_item(
    consumers: *const reqbus_consumers,
    index: usize,
    consumer: *mut reqbus_consumer,
) -> reqbus_status {
    guard_status(null_mut(), || {
        // SAFETY: NULL or alive, as the header asks.
        let entry = unsafe { entry(consumers, index) }?;
        // SAFETY: NULL or as long as its size field says, as the header asks.
        unsafe { write(consumer, &reqbus_consumer::of(entry)) }?;
        Ok(REQBUS_OK)
    })
}

/// Writes name `at` of a filter's set to `*out`.
///
/// # Safety
/// `out` is NULL or valid for a write.
unsafe fn name(
    set: &[Box<str>],
    at: usize,
    out: *mut reqbus_text,
) -> Result<reqbus_status, Failure> {
    let out = required(out, "text")?;
    let name = set.get(at).ok_or(Failure::new(
        REQBUS_NO_SUCH_ITEM,
        "at",
        "the filter has no name with this index",
    ))?;
    // SAFETY: not NULL, and valid by this function's contract.
    unsafe {
        put(
            out,
            reqbus_text {
                ptr: start_of(name.as_bytes()),
                len: name.len(),
            },
        )
    };
    Ok(REQBUS_OK)
}

/// Writes key `at`, counted from 0, of the filter of subscription `index` to `*text`.
///
/// Borrowed from the snapshot. REQBUS_NO_SUCH_ITEM beyond the last; REQBUS_NULL_ARGUMENT if either is NULL.
/// Any thread; never blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reqbus_consumers_key(
    consumers: *const reqbus_consumers,
    index: usize,
    at: usize,
    text: *mut reqbus_text,
) -> reqbus_status {
    // SAFETY: NULL or alive, NULL or valid for a write, as the header asks.
    guard_status(null_mut(), || unsafe {
        name(entry(consumers, index)?.filter.keys(), at, text)
    })
}

/// Writes kind `at`, counted from 0, of the filter of subscription `index` to `*text`. As
/// reqbus_consumers_key.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reqbus_consumers_kind(
    consumers: *const reqbus_consumers,
    index: usize,
    at: usize,
    text: *mut reqbus_text,
) -> reqbus_status {
    // SAFETY: NULL or alive, NULL or valid for a write, as the header asks.
    guard_status(null_mut(), || unsafe {
        name(entry(consumers, index)?.filter.kinds(), at, text)
    })
}

/// Frees the snapshot in `*consumers` and writes NULL there.
///
/// REQBUS_OK, also for NULL and for `*consumers` being NULL. No other call may be using this handle. In a
/// forked child the parent's object is left alone (leaked) and the answer is REQBUS_OK.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reqbus_consumers_free(
    consumers: *mut *mut reqbus_consumers,
) -> reqbus_status {
    // SAFETY: NULL or valid, and freed once, as the header asks.
    guard_status(null_mut(), || unsafe { free(consumers) })
}
