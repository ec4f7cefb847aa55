//! What went wrong, for people: a sentence and what it is about.

use std::alloc::{Layout, alloc};
use std::ffi::c_char;
use std::ptr::null_mut;

use crate::failure::Failure;
use crate::handle::{Boxed, Handle, Stamped, free, handle};
use crate::panic::{guard, guard_status};
use crate::slice::{put, start_of};
use crate::status::reqbus_status;

/// Why a call failed: a kind (the status that the call returned), a sentence and a context.
///
/// Ownership: functions that take a `reqbus_error **` write NULL there when they succeed and a new
/// error when they fail (NULL if there is no memory for one); free it with reqbus_error_free. Pass
/// NULL if the status is enough. There is no "last error" of a thread.
pub struct reqbus_error(Stamped<Failure>);

handle!(reqbus_error, Failure, Boxed, "error");

/// Writes `failure`, or NULL for success, through the caller's optional `error`. Does not allocate for a
/// caller that passed NULL, and leaves NULL when there is no memory.
#[inline]
pub(crate) fn tell(error: *mut *mut reqbus_error, failure: Option<Failure>) {
    if error.is_null() {
        return;
    }
    let told = match failure {
        None => null_mut(),
        Some(failure) => boxed(failure).unwrap_or(null_mut()),
    };
    // SAFETY: not NULL; that it is valid for a write is what the header asks of every caller.
    unsafe { error.write(told) };
}

/// `Box::into_raw(Box::new(…))` that says `None` where `Box::new` would abort the process.
#[cold]
fn boxed(failure: Failure) -> Option<*mut reqbus_error> {
    let born = reqbus_core::fork::Generation::current();
    let error = reqbus_error::wrap(Stamped::new(born, failure));
    // SAFETY: the layout is not of size zero: an error holds a status and texts.
    let memory = unsafe { alloc(Layout::new::<reqbus_error>()) }.cast::<reqbus_error>();
    if memory.is_null() {
        return None;
    }
    // SAFETY: fresh memory of the global allocator with the type's own layout, which is also how a
    // `Box` of it is freed.
    unsafe { memory.write(error) };
    Some(memory)
}

/// The error's own fields, which have no lock in them: readable in a forked child too.
///
/// # Safety
/// `error` is NULL or alive.
unsafe fn look<'a>(error: *const reqbus_error) -> Option<&'a Failure> {
    // SAFETY: this function's contract.
    unsafe { error.as_ref() }.map(|error| error.inside().value())
}

/// The kind of an error: the status that the failing call returned.
///
/// NULL answers REQBUS_OK: no error. Any thread; never blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reqbus_error_kind(error: *const reqbus_error) -> reqbus_status {
    guard(|| {
        // SAFETY: NULL or alive, as the header asks.
        let failure = unsafe { look(error) };
        Some(failure.map_or(reqbus_status::REQBUS_OK, Failure::status))
    })
}

/// The sentence for people. It names the field, the size of the value and the limit, and never
/// the value itself, which may be secret.
///
/// Returns UTF-8 that is borrowed from the error until it is freed, not NUL-terminated; its length in
/// bytes goes to `len` (which must not be NULL, or the answer is empty). NULL answers an empty text of
/// length 0. Any thread; never blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reqbus_error_message(
    error: *const reqbus_error,
    len: *mut usize,
) -> *const c_char {
    // SAFETY: both pointers are NULL or valid, as the header asks.
    unsafe { lent(error, len, Failure::message) }
}

/// What the error is about: the name of a field or of an operation, such as "payload".
///
/// Returns borrowed UTF-8 and its length, exactly as reqbus_error_message does.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reqbus_error_context(
    error: *const reqbus_error,
    len: *mut usize,
) -> *const c_char {
    // SAFETY: both pointers are NULL or valid, as the header asks.
    unsafe { lent(error, len, Failure::context) }
}

/// A text of the error with its length.
///
/// # Safety
/// `error` is NULL or alive, `len` is NULL or valid for a write.
unsafe fn lent(
    error: *const reqbus_error,
    len: *mut usize,
    text: impl FnOnce(&Failure) -> &str,
) -> *const c_char {
    guard(|| {
        // SAFETY: this function's contract.
        unsafe { put(len, 0) };
        // SAFETY: as above.
        let text = unsafe { look(error) }
            .map(text)
            .filter(|_| !len.is_null())?;
        // SAFETY: as above.
        unsafe { put(len, text.len()) };
        Some(start_of(text.as_bytes()))
    })
}

/// Frees the error in `*error` and writes NULL there.
///
/// REQBUS_OK, also for NULL and for `*error` being NULL. No other thread may be using the error.
/// In a forked child the parent's object is left alone (leaked) and the answer is REQBUS_OK.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reqbus_error_free(error: *mut *mut reqbus_error) -> reqbus_status {
    // SAFETY: NULL or valid, and freed once, as the header asks.
    guard_status(null_mut(), || unsafe { free(error) })
}
