//! Units that are held.

use std::ffi::c_char;
use std::ptr::null_mut;

use reqbus_core::slots::{LostReason, Released};
use reqbus_core::{ErrorKind, Slot};

use crate::bell::reqbus_bell;
use crate::error::reqbus_error;
use crate::failure::Failure;
use crate::handle::{Boxed, Place, Stamped, borrow, borrow_alone, consume, free, handle};
use crate::holders::reqbus_holders;
use crate::panic::guard_status;
use crate::slice::{put, required, text};
use crate::status::reqbus_status::{
    self, REQBUS_INVALID_ARGUMENT, REQBUS_OK, REQBUS_SLOT_ALREADY_RELEASED, REQBUS_SLOT_LOST,
    REQBUS_TIMEOUT,
};
use crate::subscription::timeout;

/// A request's place within its limits: one unit of each key that was asked for, in use until it is released.
///
/// Made by reqbus_pool_try_acquire, reqbus_pool_try_first_of and reqbus_wait_next, owned by the caller, freed with
/// reqbus_slot_free, which releases it, before or after its pool. Any thread may use it at any time.
pub struct reqbus_slot(Stamped<Slot>);

handle!(reqbus_slot, Slot, Boxed, "slot");

/// Why a slot was lost. Nothing of the host's is cancelled: the work that it was for may still be running.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum reqbus_slot_loss {
    /// It is not lost.
    REQBUS_LOSS_NONE = 0,
    /// Its lease ended, because nobody renewed it in time.
    REQBUS_LOSS_EXPIRED = 1,
    /// Somebody took it away: reqbus_pool_force.
    REQBUS_LOSS_FORCED = 2,
    /// The store forgot it.
    REQBUS_LOSS_STORE = 3,
}

const fn loss_of(reason: Option<LostReason>) -> u32 {
    let loss = match reason {
        None => reqbus_slot_loss::REQBUS_LOSS_NONE,
        Some(LostReason::Expired) => reqbus_slot_loss::REQBUS_LOSS_EXPIRED,
        Some(LostReason::Forced) => reqbus_slot_loss::REQBUS_LOSS_FORCED,
        Some(LostReason::Store) => reqbus_slot_loss::REQBUS_LOSS_STORE,
    };
    loss as u32
}

const fn status_of(released: Released) -> reqbus_status {
    match released {
        Released::Released => REQBUS_OK,
        Released::Already => REQBUS_SLOT_ALREADY_RELEASED,
        Released::Lost => REQBUS_SLOT_LOST,
    }
}

/// Gives everything back and hands it to whoever waits. The handle stays, to be freed. However many threads call it at once, one
/// gives each unit back.
///
/// REQBUS_OK: it was held, and is free now. REQBUS_SLOT_ALREADY_RELEASED: it was released before. REQBUS_SLOT_LOST: it, or a
/// part of it, was lost before; the rest is free now. NULL answers REQBUS_NULL_ARGUMENT. Any thread, also after the pool was
/// freed; takes short locks, never waits for a store.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reqbus_slot_release(slot: *mut reqbus_slot) -> reqbus_status {
    guard_status(null_mut(), || {
        // SAFETY: NULL or alive, as the header asks.
        Ok(status_of(unsafe { borrow(slot) }?.release()))
    })
}

/// Releases the slot in `*slot`, frees it and writes NULL there: reqbus_slot_release and reqbus_slot_free in one call.
///
/// The answer is that of reqbus_slot_release. REQBUS_NULL_ARGUMENT if there is no slot. REQBUS_FORKED in a child, and then
/// `*slot` stays, to be freed. No other call may be using this handle. Any thread, also after the pool was freed; takes short
/// locks, never waits for a store.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reqbus_slot_end(slot: *mut *mut reqbus_slot) -> reqbus_status {
    guard_status(null_mut(), || {
        // SAFETY: NULL or valid, and freed once, as the header asks.
        Ok(status_of(unsafe { consume(slot) }?.release()))
    })
}

/// Gives back the unit of one scope and keeps the rest: so a gateway keeps its user's slot while it changes accounts.
///
/// `scope` is borrowed; REQBUS_INVALID_UTF8 and REQBUS_NULL_WITH_LENGTH for it. As reqbus_slot_release;
/// REQBUS_SLOT_ALREADY_RELEASED also if the slot never had this scope.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reqbus_slot_release_scope(
    slot: *mut reqbus_slot,
    scope: *const c_char,
    scope_len: usize,
) -> reqbus_status {
    guard_status(null_mut(), || {
        // SAFETY: NULL or alive, as the header asks.
        let slot = unsafe { borrow(slot) }?;
        // SAFETY: the header asks for `scope_len` readable bytes.
        let scope = unsafe { text(scope, scope_len, "scope") }?;
        let released = slot.release_scope(scope).unwrap_or(Released::Already);
        Ok(status_of(released))
    })
}

/// Moves what `*other` holds to `slot`, frees the handle in `*other` and writes NULL there: from then on one release gives both
/// back, and a loss of either is one of `slot`, whose bell it rings. What is joined to a slot that was released is released too, so
/// another thread may use or release `slot` meanwhile.
///
/// REQBUS_INVALID_ARGUMENT if both together hold more than 8 keys, or are one. REQBUS_NULL_ARGUMENT if either, or `*other`, is
/// NULL. On failure `*other` is as it was. No other call may be using `*other`. `error` may be NULL. Any thread; takes short locks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reqbus_slot_join(
    slot: *mut reqbus_slot,
    other: *mut *mut reqbus_slot,
    error: *mut *mut reqbus_error,
) -> reqbus_status {
    guard_status(error, || {
        // SAFETY: NULL or alive, as the header asks.
        let into = unsafe { borrow(slot) }?;
        // SAFETY: NULL or valid for a read, as the header asks.
        let moved = *unsafe { other.as_ref() }.ok_or(Failure::null("other"))?;
        if std::ptr::eq(moved, slot) {
            return Err(Failure::new(
                REQBUS_INVALID_ARGUMENT,
                "other",
                "it is the slot itself",
            ));
        }
        // SAFETY: NULL or alive, not `slot`, and used by nobody else, as the header asks.
        into.join(unsafe { borrow_alone(moved) }?)?;
        // SAFETY: as above; it is empty now.
        unsafe { free(other) }
    })
}

/// Writes to `*holders` a list of what the slot holds: key, label and age of each unit, without those it holds no more.
///
/// Owned by the caller: free it with reqbus_holders_free. On failure `*holders` is NULL. REQBUS_NULL_ARGUMENT if either is
/// NULL. `error` may be NULL. Any thread; takes short locks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reqbus_slot_holders(
    slot: *const reqbus_slot,
    holders: *mut *mut reqbus_holders,
    error: *mut *mut reqbus_error,
) -> reqbus_status {
    guard_status(error, || {
        // SAFETY: NULL or valid for a write, as the header asks.
        let place = unsafe { Place::new(holders) }?;
        // SAFETY: NULL or alive, as the header asks.
        place.fill(unsafe { borrow(slot) }?.holders());
        Ok(REQBUS_OK)
    })
}

/// Writes to `*reason` why the slot, or a part of it, was lost: a reqbus_slot_loss, 0 while it is not.
///
/// REQBUS_NULL_ARGUMENT if either is NULL. Any thread; takes short locks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reqbus_slot_lost(
    slot: *const reqbus_slot,
    reason: *mut u32,
) -> reqbus_status {
    guard_status(null_mut(), || {
        // SAFETY: NULL or alive, as the header asks.
        let slot = unsafe { borrow(slot) }?;
        // SAFETY: not NULL, and valid for a write as the header asks.
        unsafe { put(required(reason, "reason")?, loss_of(slot.lost())) };
        Ok(REQBUS_OK)
    })
}

/// Attaches the slot to `bell` under `token`, in place of what it was attached to: it rings when the slot is lost, never for a
/// release.
///
/// The token is ready at once, so that a loss that is there already is seen. The bell may be freed at any time.
/// REQBUS_NULL_ARGUMENT if a handle is NULL. Any thread; takes short locks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reqbus_slot_attach(
    slot: *mut reqbus_slot,
    bell: *mut reqbus_bell,
    token: u64,
) -> reqbus_status {
    guard_status(null_mut(), || {
        // SAFETY: NULL or alive, as the header asks.
        let (slot, bell) = unsafe { (borrow(slot)?, borrow(bell)?) };
        slot.attach(bell, token)?;
        Ok(REQBUS_OK)
    })
}

/// Detaches the slot from its bell, if it has one; its token is not taken from then on.
///
/// NULL answers REQBUS_NULL_ARGUMENT. Any thread; never blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reqbus_slot_detach(slot: *mut reqbus_slot) -> reqbus_status {
    guard_status(null_mut(), || {
        // SAFETY: NULL or alive, as the header asks.
        unsafe { borrow(slot) }?.detach();
        Ok(REQBUS_OK)
    })
}

/// Waits until the slot is lost: REQBUS_SLOT_LOST, with a reqbus_slot_loss in `*reason` (which may be NULL; 0 otherwise).
///
/// `timeout_ms`: -1 waits as long as it is held, 0 tries, more are milliseconds. REQBUS_TIMEOUT: it was not lost in that time.
/// REQBUS_SLOT_ALREADY_RELEASED: it was released, before or meanwhile. REQBUS_BUSY: another thread waits on it. NULL answers
/// REQBUS_NULL_ARGUMENT. Any thread; blocks as long as the timeout says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reqbus_slot_wait_lost(
    slot: *mut reqbus_slot,
    timeout_ms: i64,
    reason: *mut u32,
) -> reqbus_status {
    guard_status(null_mut(), || {
        // SAFETY: NULL or valid for a write, as the header asks.
        unsafe { put(reason, loss_of(None)) };
        // SAFETY: NULL or alive, as the header asks.
        let slot = unsafe { borrow(slot) }?;
        match slot.wait_lost(timeout(timeout_ms)?) {
            Ok(Some(loss)) => {
                // SAFETY: NULL or valid for a write, as the header asks.
                unsafe { put(reason, loss_of(Some(loss))) };
                Ok(REQBUS_SLOT_LOST)
            }
            Ok(None) => Ok(REQBUS_SLOT_ALREADY_RELEASED),
            Err(error) if error.kind() == ErrorKind::Timeout => Ok(REQBUS_TIMEOUT),
            Err(error) => Err(error.into()),
        }
    })
}

/// For the finalisers of garbage-collected languages: nobody can use the slot in `*slot` any more, and nobody released it. Frees
/// the handle and writes NULL there; the pool's next call releases the slot, counts it as leaked and tells the pool's sink.
///
/// REQBUS_NULL_ARGUMENT if there is none. REQBUS_FORKED in a child, and then `*slot` stays. No other call may be using this
/// handle. Any thread; takes no lock, unless the pool is closed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reqbus_slot_leak(slot: *mut *mut reqbus_slot) -> reqbus_status {
    guard_status(null_mut(), || {
        // SAFETY: NULL or valid, and freed once, as the header asks.
        unsafe { consume(slot) }?.leak();
        Ok(REQBUS_OK)
    })
}

/// Releases the slot in `*slot`, if it is held, frees it and writes NULL there. Its token is not taken from a bell from then on.
///
/// REQBUS_OK, also for NULL and for `*slot` being NULL. No other call may be using this handle: a thread that blocks in
/// reqbus_slot_wait_lost comes back after reqbus_slot_release. In a forked child the parent's
/// object is left alone (leaked) and the answer is REQBUS_OK. Takes short locks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reqbus_slot_free(slot: *mut *mut reqbus_slot) -> reqbus_status {
    // SAFETY: NULL or valid, and freed once, as the header asks.
    guard_status(null_mut(), || unsafe { free(slot) })
}
