//! Bells: readiness for a host's loop.

use std::ffi::c_int;
use std::ptr::null_mut;

use reqbus_core::Bell;

use crate::error::reqbus_error;
use crate::failure::Failure;
use crate::handle::{Boxed, Place, Stamped, borrow, free, handle};
use crate::panic::guard_status;
use crate::slice::{buffer, put, required};
use crate::status::reqbus_status::{self, REQBUS_OK, REQBUS_TIMEOUT};
use crate::subscription::timeout;

/// A bell: one wake-up for any number of subscriptions of one loop.
///
/// Made by reqbus_bell_new, owned by the caller, freed with reqbus_bell_free, before or after the
/// subscriptions attached to it. Any thread may use it at any time.
///
/// The rule for loops: poll the descriptor; when it is readable, take the tokens, and read each
/// subscription. A read that returns something leaves its token ready; a read that finds nothing arms
/// it again. So a loop may stop reading anywhere and loses no wake. Wakes may be spurious.
pub struct reqbus_bell(Stamped<Bell>);

handle!(reqbus_bell, Bell, Boxed, "bell");

/// Makes a bell, without a descriptor yet, and writes it to `*bell`.
///
/// Owned by the caller: free it with reqbus_bell_free. REQBUS_NULL_ARGUMENT if `bell` is NULL. `error` may
/// be NULL. Any thread; never blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reqbus_bell_new(
    bell: *mut *mut reqbus_bell,
    error: *mut *mut reqbus_error,
) -> reqbus_status {
    guard_status(error, || {
        // SAFETY: NULL or valid for a write, as the header asks.
        let place = unsafe { Place::new(bell) }?;
        place.fill(Bell::new());
        Ok(REQBUS_OK)
    })
}

/// Writes the bell's descriptor to `*fd`; it is made at the first call and stays the same.
///
/// Readable while tokens may be ready. Level-triggered, non-blocking, close-on-exec. Borrowed: only poll
/// it; never read, write or close it, and take it out of the loop before reqbus_bell_free. It is closed
/// when the bell and all subscriptions attached to it are freed. REQBUS_NULL_ARGUMENT if either is NULL;
/// REQBUS_SYSTEM when the process has no descriptor left. `error` may be NULL. Any thread; never blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reqbus_bell_fd(
    bell: *mut reqbus_bell,
    fd: *mut c_int,
    error: *mut *mut reqbus_error,
) -> reqbus_status {
    guard_status(error, || {
        // SAFETY: NULL or alive, as the header asks.
        let bell = unsafe { borrow(bell) }?;
        let fd = required(fd, "fd")?;
        let number = bell.fd()?;
        // SAFETY: not NULL, and valid for a write as the header asks.
        unsafe { put(fd, number) };
        Ok(REQBUS_OK)
    })
}

/// Where tokens go: the caller's array and its count.
///
/// # Safety
/// `tokens` has room for `capacity`, unless it is NULL; `taken` is NULL or valid for a write.
unsafe fn room<'a>(
    tokens: *mut u64,
    capacity: usize,
    taken: *mut usize,
) -> Result<(&'a mut [u64], *mut usize), Failure> {
    let taken = required(taken, "taken")?;
    // SAFETY: not NULL, and valid by this function's contract.
    unsafe { put(taken, 0) };
    // SAFETY: this function's contract.
    let room = unsafe { buffer(tokens, capacity, "tokens") }?;
    if room.is_empty() {
        return Err(Failure::new(
            reqbus_status::REQBUS_INVALID_ARGUMENT,
            "capacity",
            "there is no room for a token",
        ));
    }
    Ok((room, taken))
}

/// Takes up to `capacity` ready tokens into `tokens` and their count to `*taken`.
///
/// Clears the descriptor first, and leaves it readable if tokens remain. `tokens` belongs to the caller.
/// REQBUS_NULL_ARGUMENT if `bell` or `taken` is NULL; REQBUS_INVALID_ARGUMENT for a capacity of 0. REQBUS_OK
/// also when nothing is ready. Any thread; never blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reqbus_bell_take(
    bell: *mut reqbus_bell,
    tokens: *mut u64,
    capacity: usize,
    taken: *mut usize,
) -> reqbus_status {
    guard_status(null_mut(), || {
        // SAFETY: NULL or alive, as the header asks.
        let bell = unsafe { borrow(bell) }?;
        // SAFETY: as the header asks.
        let (room, taken) = unsafe { room(tokens, capacity, taken) }?;
        // SAFETY: `room` checked it.
        unsafe { put(taken, bell.take(room)) };
        Ok(REQBUS_OK)
    })
}

/// Sleeps until tokens are ready, then takes them as reqbus_bell_take does.
///
/// `timeout_ms`: -1 waits for ever, 0 tries, more are milliseconds. REQBUS_TIMEOUT when the time is up;
/// REQBUS_CLOSED on a closed bell without ready tokens; otherwise as reqbus_bell_take. Any thread; blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reqbus_bell_wait(
    bell: *mut reqbus_bell,
    tokens: *mut u64,
    capacity: usize,
    timeout_ms: i64,
    taken: *mut usize,
) -> reqbus_status {
    guard_status(null_mut(), || {
        // SAFETY: NULL or alive, as the header asks.
        let bell = unsafe { borrow(bell) }?;
        // SAFETY: as the header asks.
        let (room, taken) = unsafe { room(tokens, capacity, taken) }?;
        let count = bell.wait(room, timeout(timeout_ms)?)?;
        // SAFETY: `room` checked it.
        unsafe { put(taken, count) };
        Ok(if count == 0 {
            REQBUS_TIMEOUT
        } else {
            REQBUS_OK
        })
    })
}

/// From here until reqbus_bell_leave, what the calling thread makes ready on this bell wakes nobody and touches no
/// descriptor: the thread takes it by itself. So a loop that publishes or releases on its own thread reaches its readers
/// without a system call. One bell at a time; the thread must not sleep in between.
///
/// NULL answers REQBUS_NULL_ARGUMENT. Any thread; never blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reqbus_bell_enter(bell: *mut reqbus_bell) -> reqbus_status {
    guard_status(null_mut(), || {
        // SAFETY: NULL or alive, as the header asks.
        unsafe { borrow(bell) }?.enter();
        Ok(REQBUS_OK)
    })
}

/// Ends what reqbus_bell_enter began on this thread, and takes up to `capacity` ready tokens, those of other threads too, into
/// `tokens` and their count to `*taken`. If tokens remain, the bell rings.
///
/// Otherwise as reqbus_bell_take, but the descriptor is left as it is. A call that is refused for its arguments ends it too.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reqbus_bell_leave(
    bell: *mut reqbus_bell,
    tokens: *mut u64,
    capacity: usize,
    taken: *mut usize,
) -> reqbus_status {
    guard_status(null_mut(), || {
        // SAFETY: NULL or alive, as the header asks.
        let bell = unsafe { borrow(bell) }?;
        // SAFETY: as the header asks.
        let (room, taken) = match unsafe { room(tokens, capacity, taken) } {
            Ok(both) => both,
            Err(error) => {
                bell.leave(&mut []);
                return Err(error);
            }
        };
        // SAFETY: `room` checked it.
        unsafe { put(taken, bell.leave(room)) };
        Ok(REQBUS_OK)
    })
}

/// Closes the bell: waits end, and the descriptor stays readable for ever. Subscriptions stay open.
///
/// Idempotent. NULL answers REQBUS_NULL_ARGUMENT. Any thread; never blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reqbus_bell_close(bell: *mut reqbus_bell) -> reqbus_status {
    guard_status(null_mut(), || {
        // SAFETY: NULL or alive, as the header asks.
        unsafe { borrow(bell) }?.close();
        Ok(REQBUS_OK)
    })
}

/// Frees the bell in `*bell` and writes NULL there.
///
/// REQBUS_OK, also for NULL and for `*bell` being NULL. No other call may be using this handle. In a forked
/// child the parent's object is left alone (leaked) and the answer is REQBUS_OK. Never blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reqbus_bell_free(bell: *mut *mut reqbus_bell) -> reqbus_status {
    // SAFETY: NULL or valid, and freed once, as the header asks.
    guard_status(null_mut(), || unsafe { free(bell) })
}
