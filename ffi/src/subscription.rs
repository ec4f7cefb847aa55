//! Subscriptions: reading, waiting, and leaving.

use std::ffi::c_char;
use std::ptr::null_mut;
use std::time::Duration;

use reqbus_core::bus::Limits;
use reqbus_core::wire::Form;
use reqbus_core::{Batch, Subscription};

use crate::batch::reqbus_batch;
use crate::bell::reqbus_bell;
use crate::failure::Failure;
use crate::handle::{Boxed, Stamped, borrow, free, handle};
use crate::id::reqbus_id;
use crate::panic::guard_status;
use crate::sized::write;
use crate::slice::{fill, put, required};
use crate::stats::reqbus_subscription_stats;
use crate::status::reqbus_status::{self, REQBUS_INVALID_ARGUMENT, REQBUS_OK, REQBUS_TIMEOUT};

/// A subscription: a position in the order of a bus, with a filter and an overflow policy.
///
/// Made by reqbus_bus_subscribe, owned by the caller, freed with reqbus_subscription_free, before or
/// after its bus. Any thread may use it at any time; one thread at a time may wait.
pub struct reqbus_subscription(Stamped<Subscription>);

handle!(reqbus_subscription, Subscription, Boxed, "subscription");

/// The form of a text.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum reqbus_form {
    /// The payload alone, one line of JSON.
    REQBUS_FORM_JSON = 0,
    /// One JSON object with id, kind, key, time and payload: a WebSocket message.
    REQBUS_FORM_ENVELOPE = 1,
    /// The envelope and a line feed: newline-delimited JSON.
    REQBUS_FORM_NDJSON = 2,
    /// A server-sent event.
    REQBUS_FORM_SSE = 3,
}

/// The header's timeouts: -1 waits for ever, 0 tries, more are milliseconds.
pub(crate) fn timeout(timeout_ms: i64) -> Result<Option<Duration>, Failure> {
    match u64::try_from(timeout_ms) {
        Ok(ms) => Ok(Some(Duration::from_millis(ms))),
        Err(_) if timeout_ms == -1 => Ok(None),
        Err(_) => Err(Failure::new(
            REQBUS_INVALID_ARGUMENT,
            "timeout_ms",
            "a timeout is -1 (for ever), 0 (a try) or milliseconds",
        )),
    }
}

fn form_of(number: u32) -> Result<Form, Failure> {
    u8::try_from(number)
        .ok()
        .and_then(Form::from_number)
        .ok_or(Failure::new(
            REQBUS_INVALID_ARGUMENT,
            "form",
            "form is no reqbus_form",
        ))
}

/// What both recvs share: the handles, the limits, and that nothing is a timeout.
///
/// # Safety
/// Both handles are NULL or alive.
unsafe fn recv(
    subscription: *mut reqbus_subscription,
    batch: *mut reqbus_batch,
    timeout_ms: i64,
    read: impl FnOnce(&Subscription, &mut Batch, Option<Duration>) -> reqbus_core::error::Result<usize>,
) -> reqbus_status {
    guard_status(null_mut(), || {
        // SAFETY: this function's contract.
        let subscription = unsafe { borrow(subscription) }?;
        // SAFETY: this function's contract.
        let batch = unsafe { borrow(batch) }?;
        let timeout = timeout(timeout_ms)?;
        let placed = batch.change(|batch| Ok(read(subscription, batch, timeout)?))?;
        Ok(if placed == 0 {
            REQBUS_TIMEOUT
        } else {
            REQBUS_OK
        })
    })
}

/// Takes what is there, at most `max_items` items and `max_bytes` bytes of events (payload, kind, key and a
/// header of some 150 bytes each; one larger event is still returned, alone), into `batch`, whose former items end; waits for the first if nothing is.
///
/// `timeout_ms`: -1 waits for ever, 0 tries, more are milliseconds. REQBUS_OK with at least one item;
/// REQBUS_TIMEOUT, REQBUS_INTERRUPTED and REQBUS_BUSY (another thread waits on this subscription) with none
/// taken; REQBUS_CLOSED after the last item was read. REQBUS_NULL_ARGUMENT if a handle is NULL;
/// REQBUS_INVALID_ARGUMENT if a limit is 0. Any thread; blocks as long as the timeout says, and then
/// begins with a try.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reqbus_subscription_recv(
    subscription: *mut reqbus_subscription,
    batch: *mut reqbus_batch,
    max_items: usize,
    max_bytes: usize,
    timeout_ms: i64,
) -> reqbus_status {
    let limits = Limits {
        max_items,
        max_bytes,
    };
    let read = |subscription: &Subscription, batch: &mut Batch, timeout: Option<Duration>| {
        if timeout == Some(Duration::ZERO) {
            return subscription.try_recv(batch, limits);
        }
        subscription.recv_timeout(batch, limits, timeout)
    };
    // SAFETY: NULL or alive, as the header asks.
    unsafe { recv(subscription, batch, timeout_ms, read) }
}

/// As reqbus_subscription_recv, and the batch also holds each item as a text in `form` (a reqbus_form),
/// ready to write: see reqbus_batch_texts. `max_bytes` then counts bytes of texts; one longer text
/// is still returned, alone.
///
/// REQBUS_INVALID_ARGUMENT for a form that is none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reqbus_subscription_recv_texts(
    subscription: *mut reqbus_subscription,
    batch: *mut reqbus_batch,
    form: u32,
    max_items: usize,
    max_bytes: usize,
    timeout_ms: i64,
) -> reqbus_status {
    guard_status(null_mut(), || {
        let form = form_of(form)?;
        let limits = Limits {
            max_items,
            max_bytes,
        };
        let read = |subscription: &Subscription, batch: &mut Batch, timeout: Option<Duration>| {
            if timeout == Some(Duration::ZERO) {
                return subscription.try_recv_texts(batch, form, limits);
            }
            subscription.recv_texts_timeout(batch, form, limits, timeout)
        };
        // SAFETY: NULL or alive, as the header asks.
        Ok(unsafe { recv(subscription, batch, timeout_ms, read) })
    })
}

/// Ends the wait under way on the subscription, or the next one if there is none, with
/// REQBUS_INTERRUPTED. Nothing is lost.
///
/// NULL answers REQBUS_NULL_ARGUMENT. Any thread; never blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reqbus_subscription_interrupt(
    subscription: *mut reqbus_subscription,
) -> reqbus_status {
    guard_status(null_mut(), || {
        // SAFETY: NULL or alive, as the header asks.
        unsafe { borrow(subscription) }?.interrupt();
        Ok(REQBUS_OK)
    })
}

/// Closes the subscription: it gets no further events, its reader reads up to here and then gets
/// REQBUS_CLOSED, and its membership of an audience ends.
///
/// `*was_last` (which may be NULL) becomes 1 if it was the last of its audience, 0 if not, -1 if it has
/// none or was closed before. Idempotent. NULL answers REQBUS_NULL_ARGUMENT. Any thread; takes a short lock.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reqbus_subscription_close(
    subscription: *mut reqbus_subscription,
    was_last: *mut i32,
) -> reqbus_status {
    guard_status(null_mut(), || {
        // SAFETY: NULL or alive, as the header asks.
        let closed = unsafe { borrow(subscription) }?.close();
        // SAFETY: NULL or valid for a write, as the header asks.
        unsafe { put(was_last, closed.was_last.map_or(-1, i32::from)) };
        Ok(REQBUS_OK)
    })
}

/// Frees the subscription in `*subscription` and writes NULL there. Closes it first, if it is open; what
/// was not read counts as abandoned.
///
/// REQBUS_OK, also for NULL and for `*subscription` being NULL. No other call may be using this handle. In a
/// forked child the parent's object is left alone (leaked) and the answer is REQBUS_OK. Takes a short
/// lock.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reqbus_subscription_free(
    subscription: *mut *mut reqbus_subscription,
) -> reqbus_status {
    // SAFETY: NULL or valid, and freed once, as the header asks.
    guard_status(null_mut(), || unsafe { free(subscription) })
}

/// Writes the number of the subscription, the one in listings, to `*id`: unique on its bus, from 1.
///
/// REQBUS_NULL_ARGUMENT if either is NULL. Any thread; never blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reqbus_subscription_id(
    subscription: *const reqbus_subscription,
    id: *mut u64,
) -> reqbus_status {
    guard_status(null_mut(), || {
        // SAFETY: NULL or alive, as the header asks.
        let subscription = unsafe { borrow(subscription) }?;
        // SAFETY: not NULL, and valid for a write as the header asks.
        unsafe { put(required(id, "id")?, subscription.id()) };
        Ok(REQBUS_OK)
    })
}

/// Writes 1 to `*is_first` if the subscription was the first of its audience when it joined, so that its
/// host must set up what the audience needs; else 0, also without an audience.
///
/// REQBUS_NULL_ARGUMENT if either is NULL. Any thread; never blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reqbus_subscription_is_first(
    subscription: *const reqbus_subscription,
    is_first: *mut i32,
) -> reqbus_status {
    guard_status(null_mut(), || {
        // SAFETY: NULL or alive, as the header asks.
        let subscription = unsafe { borrow(subscription) }?;
        // SAFETY: not NULL, and valid for a write as the header asks.
        unsafe {
            put(
                required(is_first, "is_first")?,
                i32::from(subscription.is_first()),
            )
        };
        Ok(REQBUS_OK)
    })
}

/// Attaches the subscription to `bell` under `token`, in place of what it was attached to.
///
/// The token is ready at once, so that what is there already is read. The bell may be freed at any time.
/// REQBUS_NULL_ARGUMENT if a handle is NULL. Any thread; never blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reqbus_subscription_attach(
    subscription: *mut reqbus_subscription,
    bell: *mut reqbus_bell,
    token: u64,
) -> reqbus_status {
    guard_status(null_mut(), || {
        // SAFETY: NULL or alive, as the header asks.
        let subscription = unsafe { borrow(subscription) }?;
        // SAFETY: NULL or alive, as the header asks.
        let bell = unsafe { borrow(bell) }?;
        subscription.attach(bell, token)?;
        Ok(REQBUS_OK)
    })
}

/// Detaches the subscription from its bell, if it has one; its token is not taken from then on.
///
/// NULL answers REQBUS_NULL_ARGUMENT. Any thread; never blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reqbus_subscription_detach(
    subscription: *mut reqbus_subscription,
) -> reqbus_status {
    guard_status(null_mut(), || {
        // SAFETY: NULL or alive, as the header asks.
        unsafe { borrow(subscription) }?.detach();
        Ok(REQBUS_OK)
    })
}

/// Fills `*stats` (whose size field the caller set).
///
/// REQBUS_NULL_ARGUMENT if either is NULL, REQBUS_INVALID_SIZE for its size. Any thread; takes a short
/// lock.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reqbus_subscription_get_stats(
    subscription: *const reqbus_subscription,
    stats: *mut reqbus_subscription_stats,
) -> reqbus_status {
    guard_status(null_mut(), || {
        // SAFETY: NULL or alive, as the header asks.
        let subscription = unsafe { borrow(subscription) }?;
        // SAFETY: NULL or as long as its size field says, as the header asks.
        unsafe { write(stats, &subscription.stats().into()) }?;
        Ok(REQBUS_OK)
    })
}

/// Writes to `*id` the largest event up to which every one was delivered to, filtered out for, or
/// reported lost to this subscription.
///
/// REQBUS_NULL_ARGUMENT if either is NULL. Any thread; takes a short lock.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reqbus_subscription_settled(
    subscription: *const reqbus_subscription,
    id: *mut reqbus_id,
) -> reqbus_status {
    guard_status(null_mut(), || {
        // SAFETY: NULL or alive, as the header asks.
        let subscription = unsafe { borrow(subscription) }?;
        // SAFETY: not NULL, and valid for a write as the header asks.
        unsafe { put(required(id, "id")?, subscription.settled().into()) };
        Ok(REQBUS_OK)
    })
}

/// Writes a heartbeat in `form` (a reqbus_form), which carries the settled id, into `text` and its
/// length to `*len`: what to write to a client that has heard nothing for a while. Look for items first, or
/// wait in vain: the id is that of the last read.
///
/// `text` belongs to the caller. If `text_len` is less than is needed, nothing is written but `*len`, and
/// the answer is REQBUS_BUFFER_TOO_SMALL; 128 bytes are enough for every form. REQBUS_NULL_ARGUMENT if
/// `subscription` or `len` is NULL. Any thread; takes a short lock.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reqbus_subscription_heartbeat(
    subscription: *const reqbus_subscription,
    form: u32,
    text: *mut c_char,
    text_len: usize,
    len: *mut usize,
) -> reqbus_status {
    guard_status(null_mut(), || {
        // SAFETY: NULL or alive, as the header asks.
        let subscription = unsafe { borrow(subscription) }?;
        let form = form_of(form)?;
        let mut beat = Vec::with_capacity(128);
        subscription.heartbeat(form, &mut beat);
        // SAFETY: the header asks for `text_len` writable bytes that nobody else uses, and a place.
        unsafe { fill(text, text_len, len, "text", &beat) }?;
        Ok(REQBUS_OK)
    })
}
