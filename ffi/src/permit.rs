//! The right to check one item.

use std::ffi::c_char;
use std::ptr::null_mut;

use reqbus_core::runner::{Permit, Verdict};

use crate::failure::Failure;
use crate::handle::{Boxed, Handle, Stamped, borrow, consume, free, handle};
use crate::panic::{guard, guard_status};
use crate::refusal::nanos;
use crate::slice::{put, required};
use crate::status::reqbus_status::{self, REQBUS_INVALID_ARGUMENT, REQBUS_OK};

/// The right to check one item, and its mark as being checked: no other permit has its id.
///
/// From reqbus_admission_admit: owned by the caller, given back with reqbus_permit_finish, freed with reqbus_permit_free,
/// before or after its admission. As a runner's callback sees it (`const reqbus_permit *`): lent for the call, and given back
/// by the runner. Any thread may use it at any time.
pub struct reqbus_permit(Stamped<Lease>);

handle!(reqbus_permit, Lease, Boxed, "permit");

/// Whose a permit is.
pub(crate) enum Lease {
    /// The caller's.
    Own(Permit),
    /// A runner's, for as long as its callback runs.
    Lent(*const Permit),
}

impl Lease {
    fn permit(&self) -> &Permit {
        match self {
            Self::Own(permit) => permit,
            // SAFETY: the header says that it is lent for the call of the callback, which the permit outlives.
            Self::Lent(permit) => unsafe { &**permit },
        }
    }
}

/// How a check ended.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum reqbus_verdict {
    /// The item is well.
    REQBUS_VERDICT_SUCCEEDED = 0,
    /// It is not, or could not be checked.
    REQBUS_VERDICT_FAILED = 1,
    /// The check itself broke down: it panicked, or threw.
    REQBUS_VERDICT_PANICKED = 2,
}

fn verdict_of(number: u32) -> Result<Verdict, Failure> {
    match number {
        0 => Ok(Verdict::Succeeded),
        1 => Ok(Verdict::Failed),
        2 => Ok(Verdict::Panicked),
        _ => Err(Failure::new(
            REQBUS_INVALID_ARGUMENT,
            "verdict",
            "it is none of reqbus_verdict",
        )),
    }
}

/// The id of what is to be checked.
///
/// Returns UTF-8 that is borrowed from the permit, not NUL-terminated; its length in bytes goes to `len` (which must not be
/// NULL, or the answer is empty). NULL answers an empty text of length 0. Any thread; never blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reqbus_permit_id(
    permit: *const reqbus_permit,
    len: *mut usize,
) -> *const c_char {
    guard(|| {
        // SAFETY: NULL or valid for a write, as the header asks.
        unsafe { put(len, 0) };
        // SAFETY: NULL or alive, as the header asks.
        let lease = unsafe { borrow(permit) }.ok().filter(|_| !len.is_null())?;
        let id = lease.permit().id();
        // SAFETY: as above.
        unsafe { put(len, id.len()) };
        Some(id.as_ptr().cast())
    })
}

/// Writes to `*answer` 1 if the check is to end: it is over its time, or its admission or runner was stopped. Else 0.
///
/// A check should ask now and then. REQBUS_NULL_ARGUMENT if either is NULL. Any thread; never blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reqbus_permit_should_end(
    permit: *const reqbus_permit,
    answer: *mut i32,
) -> reqbus_status {
    guard_status(null_mut(), || {
        // SAFETY: NULL or alive, as the header asks.
        let permit = unsafe { borrow(permit) }?.permit();
        // SAFETY: not NULL, and valid for a write as the header asks.
        unsafe { put(required(answer, "answer")?, permit.should_end().into()) };
        Ok(REQBUS_OK)
    })
}

/// Writes to `*left_ns` how much time the check has left, in nanoseconds; 0 when it is over its time.
///
/// REQBUS_NULL_ARGUMENT if either is NULL. Any thread; never blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reqbus_permit_time_left(
    permit: *const reqbus_permit,
    left_ns: *mut u64,
) -> reqbus_status {
    guard_status(null_mut(), || {
        // SAFETY: NULL or alive, as the header asks.
        let permit = unsafe { borrow(permit) }?.permit();
        // SAFETY: not NULL, and valid for a write as the header asks.
        unsafe { put(required(left_ns, "left_ns")?, nanos(permit.time_left())) };
        Ok(REQBUS_OK)
    })
}

/// Whether `*slot` may be given back by its holder.
///
/// # Safety
/// `slot` is NULL or valid; what is in it is NULL or alive.
unsafe fn check_owned(slot: *mut *mut reqbus_permit) -> Result<(), Failure> {
    // SAFETY: this function's contract.
    let permit = unsafe { slot.as_ref().and_then(|permit| permit.as_ref()) };
    match permit.map(|permit| permit.inside().value()) {
        Some(Lease::Lent(_)) => Err(Failure::new(
            REQBUS_INVALID_ARGUMENT,
            "permit",
            "it is the runner's, which gives it back itself",
        )),
        _ => Ok(()),
    }
}

/// Gives the permit in `*permit` back with `verdict` (a reqbus_verdict), frees it and writes NULL there.
///
/// REQBUS_INVALID_ARGUMENT for the verdict, and for a permit that a runner lent; then it stays. REQBUS_NULL_ARGUMENT if there is
/// none. REQBUS_FORKED in a child, and then it stays, to be freed. No other call may be using this handle. Any thread, also after
/// the admission was freed; takes a short lock.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reqbus_permit_finish(
    permit: *mut *mut reqbus_permit,
    verdict: u32,
) -> reqbus_status {
    guard_status(null_mut(), || {
        let verdict = verdict_of(verdict)?;
        // SAFETY: NULL or valid, and what is in it NULL or alive, as the header asks.
        unsafe { check_owned(permit) }?;
        // SAFETY: NULL or valid, and freed once, as the header asks.
        if let Lease::Own(permit) = unsafe { consume(permit) }? {
            permit.finish(verdict);
        }
        Ok(REQBUS_OK)
    })
}

/// Frees the permit in `*permit` and writes NULL there. One that was not finished is given back, and its check counts as one that
/// broke down.
///
/// REQBUS_OK, also for NULL and for `*permit` being NULL; REQBUS_INVALID_ARGUMENT for a permit that a runner lent. No other call
/// may be using this handle. In a forked child the parent's object is left alone (leaked) and the answer is REQBUS_OK. Takes a
/// short lock.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reqbus_permit_free(permit: *mut *mut reqbus_permit) -> reqbus_status {
    guard_status(null_mut(), || {
        // SAFETY: NULL or valid, and what is in it NULL or alive, as the header asks.
        unsafe { check_owned(permit) }?;
        // SAFETY: NULL or valid, and freed once, as the header asks.
        unsafe { free(permit) }
    })
}
