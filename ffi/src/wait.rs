//! A request that waits for its slot.

use std::ffi::c_char;
use std::ptr::null_mut;

use reqbus_core::slots::{MAX_NAME, Step};
use reqbus_core::{Error, ErrorKind, Wait};

use crate::bell::reqbus_bell;
use crate::error::reqbus_error;
use crate::handle::{Boxed, Place, Stamped, borrow, free, handle};
use crate::panic::guard_status;
use crate::refusal::{Told, reqbus_refusal};
use crate::slice::{put, required, text};
use crate::slot::reqbus_slot;
use crate::status::reqbus_status::{self, REQBUS_OK, REQBUS_PING_DUE};
use crate::subscription::timeout;

/// A place in the queue of a key; of several keys, in exactly one of their queues, while what was taken before is held.
///
/// Made by reqbus_pool_wait, owned by the caller, freed with reqbus_wait_free, before its end (then it is cancelled) or after,
/// before or after its pool. Any thread may use it at any time; one thread at a time may block on it.
///
/// An owner that does not look (reqbus_wait_next) for 3 s after a slot was kept for it loses that to the next in line, keeps its
/// place, and gets no other until it looks.
pub struct reqbus_wait(Stamped<Wait>);

handle!(reqbus_wait, Wait, Boxed, "wait");

/// Looks at the wait: the slot, a ping that is due, or the end; blocks until there is one of them, at most for `timeout_ms`.
///
/// `timeout_ms`: -1 waits for ever, 0 tries, more are milliseconds; the wait's own timeout is in its options. REQBUS_OK: the
/// slot is in `*slot`, owned by the caller, to be freed with reqbus_slot_free. REQBUS_PING_DUE: write a ping to the client,
/// then look again; the next is due a whole interval after that. REQBUS_TIMEOUT: nothing new in that time, and the wait goes
/// on. REQBUS_BUSY: another thread blocks on it. In all these `*refusal` (which may be NULL, and whose size field the caller
/// set) says that nothing was refused. Otherwise the wait is over without a slot, `*refusal` says why, and so does the status:
/// REQBUS_SLOT_BUSY, REQBUS_SLOT_QUEUE_FULL, REQBUS_SLOT_TIMED_OUT, REQBUS_SLOT_CANCELLED, REQBUS_SLOT_CLOSED,
/// REQBUS_STORE_UNAVAILABLE, or REQBUS_INVALID_ARGUMENT and REQBUS_TOO_LARGE for what was asked. A look after the end says it
/// again; one after the slot was handed out is REQBUS_INVALID_ARGUMENT. REQBUS_NULL_ARGUMENT if `wait` or `slot` is NULL,
/// REQBUS_INVALID_SIZE for the refusal's. `error` may be NULL. Any thread; blocks as long as the timeout says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reqbus_wait_next(
    wait: *mut reqbus_wait,
    timeout_ms: i64,
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
        let wait = unsafe { borrow(wait) }?;
        let timeout = timeout(timeout_ms)?;
        told.nothing()?;
        let step = match timeout {
            Some(time) if time.is_zero() => match wait.try_next() {
                Some(step) => step,
                None => return Ok(reqbus_status::REQBUS_TIMEOUT),
            },
            time => match wait.next_timeout(time) {
                Ok(step) => step,
                Err(error) if error.kind() == ErrorKind::Timeout => {
                    return Ok(reqbus_status::REQBUS_TIMEOUT);
                }
                Err(error) => return Err(error.into()),
            },
        };
        match step {
            Step::Granted(taken) => {
                place.fill(taken);
                Ok(REQBUS_OK)
            }
            Step::Ping => Ok(REQBUS_PING_DUE),
            Step::Ended(refusal) => told.tell(&refusal),
        }
    })
}

/// Writes to `*position` where the wait stood, from 1, when it joined the queue that it waits in; 0 if it waits in none. Those
/// before it may have gone since.
///
/// REQBUS_NULL_ARGUMENT if either is NULL. Any thread; takes a short lock.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reqbus_wait_position(
    wait: *const reqbus_wait,
    position: *mut u32,
) -> reqbus_status {
    guard_status(null_mut(), || {
        // SAFETY: NULL or alive, as the header asks.
        let wait = unsafe { borrow(wait) }?;
        // SAFETY: not NULL, and valid for a write as the header asks.
        unsafe { put(required(position, "position")?, wait.position()) };
        Ok(REQBUS_OK)
    })
}

/// Attaches the wait to `bell` under `token`, in place of what it was attached to: it rings when it is worth to look.
///
/// The token is ready at once, so that what is there already is seen. The bell may be freed at any time.
/// REQBUS_NULL_ARGUMENT if a handle is NULL. Any thread; takes short locks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reqbus_wait_attach(
    wait: *mut reqbus_wait,
    bell: *mut reqbus_bell,
    token: u64,
) -> reqbus_status {
    guard_status(null_mut(), || {
        // SAFETY: NULL or alive, as the header asks.
        let (wait, bell) = unsafe { (borrow(wait)?, borrow(bell)?) };
        wait.attach(bell, token)?;
        Ok(REQBUS_OK)
    })
}

/// Detaches the wait from its bell, if it has one; its token is not taken from then on.
///
/// NULL answers REQBUS_NULL_ARGUMENT. Any thread; never blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reqbus_wait_detach(wait: *mut reqbus_wait) -> reqbus_status {
    guard_status(null_mut(), || {
        // SAFETY: NULL or alive, as the header asks.
        unsafe { borrow(wait) }?.detach();
        Ok(REQBUS_OK)
    })
}

/// Gives up: the wait ends with REQBUS_SLOT_CANCELLED, and what it had is given back. Nothing happens if it is over; one
/// that another thread is just ending, because its time is up, ends so a moment later, and rings.
///
/// `cause` is the host's reason, 0 to 255 bytes of UTF-8, borrowed; it comes back in the error's sentence. REQBUS_TOO_LARGE or
/// REQBUS_INVALID_UTF8 for it, REQBUS_NULL_WITH_LENGTH, and REQBUS_NULL_ARGUMENT for a NULL wait: then nothing is cancelled. Any
/// thread, also while another blocks on the wait; takes short locks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reqbus_wait_cancel(
    wait: *mut reqbus_wait,
    cause: *const c_char,
    cause_len: usize,
) -> reqbus_status {
    guard_status(null_mut(), || {
        // SAFETY: NULL or alive, as the header asks.
        let wait = unsafe { borrow(wait) }?;
        // SAFETY: the header asks for `cause_len` readable bytes.
        let cause = unsafe { text(cause, cause_len, "cause") }?;
        if cause.len() > MAX_NAME {
            return Err(Error::too_large("cause", cause.len(), MAX_NAME).into());
        }
        let reason = || Error::new(ErrorKind::Interrupted, "cause", cause.to_owned());
        wait.cancel((!cause.is_empty()).then(reason));
        Ok(REQBUS_OK)
    })
}

/// Frees the wait in `*wait` and writes NULL there. Cancels it first, if it is not over: what it had is given back. Its token is
/// not taken from a bell from then on.
///
/// REQBUS_OK, also for NULL and for `*wait` being NULL. No other call may be using this handle: a thread that blocks in
/// reqbus_wait_next comes back after reqbus_wait_cancel, or after the pool was closed. In a forked child the parent's
/// object is left alone (leaked) and the answer is REQBUS_OK. Takes short locks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reqbus_wait_free(wait: *mut *mut reqbus_wait) -> reqbus_status {
    // SAFETY: NULL or valid, and freed once, as the header asks.
    guard_status(null_mut(), || unsafe { free(wait) })
}
