//! Periodic checks on threads of their own.

use std::ptr::null_mut;
use std::sync::Arc;
use std::time::Duration;

use reqbus_core::runner::Runner;

use crate::error::reqbus_error;
use crate::flights::reqbus_flights;
use crate::handle::{Boxed, Place, Stamped, borrow, free, handle};
use crate::panic::guard_status;
use crate::runner_callbacks::{Callbacks, reqbus_check_callback, reqbus_due_callback};
use crate::runner_options::reqbus_runner_options;
use crate::runner_stats::reqbus_runner_stats;
use crate::sized::{read_or_defaults, write};
use crate::slice::{put, required};
use crate::status::reqbus_status::{self, REQBUS_OK, REQBUS_TIMEOUT};
use crate::subscription::timeout;

/// Periodic checks on threads of its own: one that asks the host what is due, and one for each check while it runs. They take none
/// of the host's signals.
///
/// Made by reqbus_runner_new, owned by the caller, freed with reqbus_runner_free. Any thread may use it at any time, its own
/// callbacks included.
pub struct reqbus_runner(Stamped<Runner>);

handle!(reqbus_runner, Runner, Boxed, "runner");

/// Makes a runner with `options` (NULL for all defaults), which asks `due` what is due and lets `check` check it, and writes it to
/// `*runner`. It has not begun: reqbus_runner_start.
///
/// Both callbacks are copied, and taken over if the runner is made. Owned by the caller: free it with reqbus_runner_free. On failure
/// `*runner` is NULL, and no `drop` is called: REQBUS_NULL_ARGUMENT if `due`, `check`, a `call` of theirs or `runner` is NULL;
/// REQBUS_INVALID_SIZE, REQBUS_UNKNOWN_OPTION, REQBUS_INVALID_ARGUMENT for the options; REQBUS_SYSTEM if the system refused.
/// `error` may be NULL. Any thread; never blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reqbus_runner_new(
    options: *const reqbus_runner_options,
    due: *const reqbus_due_callback,
    check: *const reqbus_check_callback,
    runner: *mut *mut reqbus_runner,
    error: *mut *mut reqbus_error,
) -> reqbus_status {
    guard_status(error, || {
        // SAFETY: NULL or valid for a write, as the header asks.
        let place = unsafe { Place::new(runner) }?;
        // SAFETY: NULL or as long as its size field says, and its teller alive, as the header asks.
        let options = unsafe { read_or_defaults(options)?.to_core() }?;
        // SAFETY: NULL or readable, as the header asks.
        let callbacks = Arc::new(unsafe { Callbacks::new(due, check) }?);
        let made = Runner::new(options, callbacks.clone())?;
        callbacks.take_over();
        place.fill(made);
        Ok(REQBUS_OK)
    })
}

/// Begins: the first round is due at once, or within the jitter. Twice is once.
///
/// REQBUS_CLOSED after a stop. REQBUS_SYSTEM if no thread can be started; then it has not begun. NULL answers
/// REQBUS_NULL_ARGUMENT. `error` may be NULL. Any thread; takes a short lock.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reqbus_runner_start(
    runner: *mut reqbus_runner,
    error: *mut *mut reqbus_error,
) -> reqbus_status {
    guard_status(error, || {
        // SAFETY: NULL or alive, as the header asks.
        unsafe { borrow(runner) }?.start()?;
        Ok(REQBUS_OK)
    })
}

/// Stops: nothing is admitted any more, checks under way are told (reqbus_permit_should_end), and this waits until they and the
/// callback that lists what is due have returned, at most for `timeout_ms`: -1 waits for ever, 0 not at all, more are
/// milliseconds.
///
/// REQBUS_OK: all have returned, no callback is called any more, and reqbus_runner_free will drop them. REQBUS_TIMEOUT: some have
/// not. In both cases `*left` (`left` may be NULL) is a list of the checks that have not, empty or not: owned by the caller, free
/// it with reqbus_flights_free. They go on, and may be waited for by another stop. From inside a callback it waits neither for
/// that call, which is not named, nor for others that have stopped the runner from inside.
///
/// Stopped twice is fine; a runner that was stopped does not start again. On failure `*left` is NULL: REQBUS_NULL_ARGUMENT if
/// `runner` is NULL, REQBUS_INVALID_ARGUMENT for the timeout. `error` may be NULL. Any thread; blocks as long as the timeout says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reqbus_runner_stop(
    runner: *mut reqbus_runner,
    timeout_ms: i64,
    left: *mut *mut reqbus_flights,
    error: *mut *mut reqbus_error,
) -> reqbus_status {
    guard_status(error, || {
        // SAFETY: NULL or valid for a write, as the header asks.
        let place = (!left.is_null()).then(|| unsafe { Place::new(left) });
        let place = place.transpose()?;
        // SAFETY: NULL or alive, as the header asks.
        let runner = unsafe { borrow(runner) }?;
        let stopped = runner.stop(timeout(timeout_ms)?.unwrap_or(Duration::MAX));
        let status = if stopped.has_ended {
            REQBUS_OK
        } else {
            REQBUS_TIMEOUT
        };
        if let Some(place) = place {
            place.fill(stopped.left);
        }
        Ok(status)
    })
}

/// Pauses (`paused` is not 0), or goes on (0): what is in flight goes on, and the host is not asked what is due.
///
/// NULL answers REQBUS_NULL_ARGUMENT. Any thread; takes a short lock.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reqbus_runner_pause(
    runner: *mut reqbus_runner,
    paused: i32,
) -> reqbus_status {
    guard_status(null_mut(), || {
        // SAFETY: NULL or alive, as the header asks.
        unsafe { borrow(runner) }?.pause(paused != 0);
        Ok(REQBUS_OK)
    })
}

/// Writes to `*answer` 1 if it is paused, else 0.
///
/// REQBUS_NULL_ARGUMENT if either is NULL. Any thread; takes a short lock.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reqbus_runner_is_paused(
    runner: *const reqbus_runner,
    answer: *mut i32,
) -> reqbus_status {
    guard_status(null_mut(), || {
        // SAFETY: NULL or alive, as the header asks.
        let runner = unsafe { borrow(runner) }?;
        // SAFETY: not NULL, and valid for a write as the header asks.
        unsafe { put(required(answer, "answer")?, runner.is_paused().into()) };
        Ok(REQBUS_OK)
    })
}

/// Takes a snapshot of what is being checked, oldest first, and writes it to `*flights`.
///
/// Owned by the caller: free it with reqbus_flights_free. On failure `*flights` is NULL. REQBUS_NULL_ARGUMENT if either is NULL.
/// `error` may be NULL. Any thread; takes a short lock.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reqbus_runner_in_flight(
    runner: *const reqbus_runner,
    flights: *mut *mut reqbus_flights,
    error: *mut *mut reqbus_error,
) -> reqbus_status {
    guard_status(error, || {
        // SAFETY: NULL or valid for a write, as the header asks.
        let place = unsafe { Place::new(flights) }?;
        // SAFETY: NULL or alive, as the header asks.
        place.fill(unsafe { borrow(runner) }?.in_flight());
        Ok(REQBUS_OK)
    })
}

/// Fills `*stats` (whose size field the caller set) with what was counted.
///
/// REQBUS_NULL_ARGUMENT if either is NULL, REQBUS_INVALID_SIZE for its size. Any thread; takes a short lock.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reqbus_runner_get_stats(
    runner: *const reqbus_runner,
    stats: *mut reqbus_runner_stats,
) -> reqbus_status {
    guard_status(null_mut(), || {
        // SAFETY: NULL or alive, as the header asks.
        let counted = unsafe { borrow(runner) }?.stats();
        // SAFETY: NULL or as long as its size field says, as the header asks.
        unsafe { write(stats, &counted.into()) }?;
        Ok(REQBUS_OK)
    })
}

/// Stops the runner in `*runner` without waiting for anybody, frees it and writes NULL there. Its callbacks are dropped: here, or
/// when the last call that is under way returns.
///
/// REQBUS_OK, also for NULL and for `*runner` being NULL. No other call may be using this handle, but callbacks may be running, and
/// one of them may be the caller. In a forked child the parent's object is left alone (leaked), nothing is dropped and the answer is
/// REQBUS_OK. Takes a short lock.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reqbus_runner_free(runner: *mut *mut reqbus_runner) -> reqbus_status {
    // SAFETY: NULL or valid, and freed once, as the header asks.
    guard_status(null_mut(), || unsafe { free(runner) })
}
