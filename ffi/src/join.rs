//! Subscribing in steps, for loops that must not block.

use std::ptr::null_mut;
use std::sync::{Mutex, TryLockError};

use reqbus_core::bus::Join;

use crate::bell::reqbus_bell;
use crate::bus::reqbus_bus;
use crate::error::reqbus_error;
use crate::failure::Failure;
use crate::handle::{Boxed, Place, Stamped, borrow, free, handle};
use crate::options::reqbus_subscribe_options;
use crate::panic::guard_status;
use crate::sized::read_or_defaults;
use crate::status::reqbus_status::{self, REQBUS_BUSY, REQBUS_OK, REQBUS_TIMEOUT};
use crate::subscription::reqbus_subscription;

/// A subscription that is being made: it waits while its audience is being cleaned up.
///
/// Made by reqbus_bus_join, owned by the caller, freed with reqbus_join_free, before its end (then it has
/// joined nothing) or after. Any thread may use it at any time.
pub struct reqbus_join(Stamped<Mutex<Join>>);

handle!(reqbus_join, Mutex<Join>, Boxed, "join");

/// As reqbus_bus_subscribe, in steps: begins to subscribe and writes the beginning to `*join`.
///
/// `bell` (which may be NULL) rings under `token` when it is worth to call reqbus_join_finish; call it once
/// at the beginning too. Owned by the caller: free it with reqbus_join_free. On failure `*join` is NULL. The
/// options and errors are reqbus_bus_subscribe's. Any thread; never blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reqbus_bus_join(
    bus: *mut reqbus_bus,
    options: *const reqbus_subscribe_options,
    bell: *mut reqbus_bell,
    token: u64,
    join: *mut *mut reqbus_join,
    error: *mut *mut reqbus_error,
) -> reqbus_status {
    guard_status(error, || {
        // SAFETY: NULL or valid for a write, as the header asks.
        let place = unsafe { Place::new(join) }?;
        // SAFETY: NULL or alive, as the header asks.
        let bus = unsafe { borrow(bus) }?;
        // SAFETY: NULL or as long as its size field says, with arrays and texts as long as they say.
        let options = unsafe { read_or_defaults(options)?.to_core() }?;
        let begun = bus.join(options)?;
        if !bell.is_null() {
            // SAFETY: alive, as the header asks.
            begun.attach(unsafe { borrow(bell) }?, token);
        }
        place.fill(Mutex::new(begun));
        Ok(REQBUS_OK)
    })
}

/// Writes the subscription to `*subscription`, if it is made by now.
///
/// Owned by the caller: free it with reqbus_subscription_free. REQBUS_TIMEOUT while the audience is still
/// being cleaned up, after which the bell rings; REQBUS_AUDIENCE_BUSY if that lasted till the deadline in the
/// options; REQBUS_CLOSED if the bus was closed; in all these `*subscription` is NULL.
/// REQBUS_INVALID_ARGUMENT after an answer was given; REQBUS_BUSY if another thread is in this call;
/// REQBUS_NULL_ARGUMENT if either is NULL. `error` may be NULL. Any thread; never blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reqbus_join_finish(
    join: *mut reqbus_join,
    subscription: *mut *mut reqbus_subscription,
    error: *mut *mut reqbus_error,
) -> reqbus_status {
    guard_status(error, || {
        // SAFETY: NULL or valid for a write, as the header asks.
        let place = unsafe { Place::new(subscription) }?;
        // SAFETY: NULL or alive, as the header asks.
        let mut begun = match unsafe { borrow(join) }?.try_lock() {
            Ok(begun) => begun,
            Err(TryLockError::Poisoned(begun)) => begun.into_inner(),
            Err(TryLockError::WouldBlock) => {
                return Err(Failure::new(
                    REQBUS_BUSY,
                    "join",
                    "another call is using this join",
                ));
            }
        };
        let Some(answer) = begun.try_finish() else {
            return Ok(REQBUS_TIMEOUT);
        };
        place.fill(answer?);
        Ok(REQBUS_OK)
    })
}

/// Frees the join in `*join` and writes NULL there. If it was not finished, nothing is joined.
///
/// REQBUS_OK, also for NULL and for `*join` being NULL. No other call may be using this handle. In a forked
/// child the parent's object is left alone (leaked) and the answer is REQBUS_OK. Never blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reqbus_join_free(join: *mut *mut reqbus_join) -> reqbus_status {
    // SAFETY: NULL or valid, and freed once, as the header asks.
    guard_status(null_mut(), || unsafe { free(join) })
}
