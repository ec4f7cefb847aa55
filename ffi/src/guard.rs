//! Cleanup guards: how the last of an audience undoes what the first set up.

use std::ptr::null_mut;

use reqbus_core::bus::CleanupGuard;

use crate::failure::Failure;
use crate::handle::{Boxed, Place, Stamped, borrow, consume, free, handle};
use crate::panic::guard_status;
use crate::slice::{put, required};
use crate::status::reqbus_status::{self, REQBUS_NOT_SOLE_MEMBER, REQBUS_OK};
use crate::subscription::reqbus_subscription;

/// A cleanup guard of an audience: newcomers wait while it is held, at most 30 seconds.
///
/// Made by reqbus_subscription_cleanup_guard, owned by the caller; freeing it admits the newcomers, the
/// earliest as first. Any thread may use it at any time.
pub struct reqbus_guard(Stamped<CleanupGuard>);

handle!(reqbus_guard, CleanupGuard, Boxed, "guard");

/// Takes the cleanup guard, if the subscription is the sole member of its audience, and writes it to
/// `*guard`: the membership ends (that member was the last), and newcomers wait till the guard is freed.
///
/// Owned by the caller: free it with reqbus_guard_release, or give the membership back
/// with reqbus_guard_abort. REQBUS_NOT_SOLE_MEMBER if there are other members or no audience, and then `*guard`
/// is NULL. REQBUS_NULL_ARGUMENT if either is NULL. Any thread; takes a short lock.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reqbus_subscription_cleanup_guard(
    subscription: *mut reqbus_subscription,
    guard: *mut *mut reqbus_guard,
) -> reqbus_status {
    guard_status(null_mut(), || {
        // SAFETY: NULL or valid for a write, as the header asks.
        let place = unsafe { Place::new(guard) }?;
        // SAFETY: NULL or alive, as the header asks.
        let taken = unsafe { borrow(subscription) }?.cleanup_guard();
        place.fill(taken.ok_or(Failure::new(
            REQBUS_NOT_SOLE_MEMBER,
            "audience",
            "the subscription is not the sole member of an audience",
        ))?);
        Ok(REQBUS_OK)
    })
}

/// Writes 1 to `*expired` if the guard was held for longer than its 30 seconds, so that newcomers were
/// admitted meanwhile; else 0.
///
/// REQBUS_NULL_ARGUMENT if either is NULL. Any thread; never blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reqbus_guard_is_expired(
    guard: *const reqbus_guard,
    expired: *mut i32,
) -> reqbus_status {
    guard_status(null_mut(), || {
        // SAFETY: NULL or alive, as the header asks.
        let guard = unsafe { borrow(guard) }?;
        // SAFETY: not NULL, and valid for a write as the header asks.
        unsafe { put(required(expired, "expired")?, i32::from(guard.is_expired())) };
        Ok(REQBUS_OK)
    })
}

/// Ends the cleanup: admits newcomers, frees the guard in `*guard` and writes NULL there.
///
/// `*in_force` (which may be NULL) becomes 1 if the guard was in force until now, 0 if it was over its
/// limit, so that newcomers may have joined before. REQBUS_NULL_ARGUMENT if there is no guard.
/// REQBUS_FORKED in a child, and then `*guard` stays. No other call may be using this handle. Takes a
/// short lock.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reqbus_guard_release(
    guard: *mut *mut reqbus_guard,
    in_force: *mut i32,
) -> reqbus_status {
    guard_status(null_mut(), || {
        // SAFETY: NULL or valid, and freed once, as the header asks.
        let was_in_force = unsafe { consume(guard) }?.release();
        // SAFETY: NULL or valid for a write, as the header asks.
        unsafe { put(in_force, i32::from(was_in_force)) };
        Ok(REQBUS_OK)
    })
}

/// Gives the membership back instead of cleaning up, frees the guard in `*guard` and writes NULL there.
///
/// `*is_member` (which may be NULL) becomes 1 if the membership lives again; 0 if the guard was over
/// its limit or the subscription was closed since, and then this was a release. Otherwise as
/// reqbus_guard_release.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reqbus_guard_abort(
    guard: *mut *mut reqbus_guard,
    is_member: *mut i32,
) -> reqbus_status {
    guard_status(null_mut(), || {
        // SAFETY: NULL or valid, and freed once, as the header asks.
        let lives = unsafe { consume(guard) }?.abort();
        // SAFETY: NULL or valid for a write, as the header asks.
        unsafe { put(is_member, i32::from(lives)) };
        Ok(REQBUS_OK)
    })
}

/// As reqbus_guard_release, and fine without a guard.
///
/// REQBUS_OK, also for NULL and for `*guard` being NULL. In a forked child the parent's object is left
/// alone (leaked) and the answer is REQBUS_OK.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reqbus_guard_free(guard: *mut *mut reqbus_guard) -> reqbus_status {
    // SAFETY: NULL or valid, and freed once, as the header asks.
    guard_status(null_mut(), || unsafe { free(guard) })
}
