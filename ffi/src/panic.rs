//! Where a panic ends, and what each return type answers to one, and to a NULL handle.
//!
//! Every exported function is one call of [`guard`] or [`guard_status`], and both need an [`Answer`]
//! for the return type: no function can be written whose answer to a panic or to NULL is not said
//! here. (`tests/guarded.rs` checks that none is written without them.)

use std::any::Any;
use std::ffi::c_char;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::error::{reqbus_error, tell};
use crate::failure::Failure;
use crate::id::reqbus_id;
use crate::status::reqbus_status;

/// What a function of this return type answers when it has nothing else to answer.
pub(crate) trait Answer: Sized {
    /// reqbus panicked. That is a bug of reqbus; the caller must be able to go on.
    fn panicked() -> Self;
    /// The caller passed NULL where a handle belongs.
    fn null() -> Self;
}

impl Answer for reqbus_status {
    fn panicked() -> Self {
        Self::REQBUS_PANICKED
    }
    fn null() -> Self {
        Self::REQBUS_NULL_ARGUMENT
    }
}

/// Texts: an empty one, never NULL.
impl Answer for *const c_char {
    fn panicked() -> Self {
        c"".as_ptr()
    }
    fn null() -> Self {
        c"".as_ptr()
    }
}

/// Counts: nothing there.
impl Answer for usize {
    fn panicked() -> Self {
        0
    }
    fn null() -> Self {
        0
    }
}

/// Yes (1) or no (0): no.
impl Answer for i32 {
    fn panicked() -> Self {
        0
    }
    fn null() -> Self {
        0
    }
}

/// Numbers of versions: none.
impl Answer for u32 {
    fn panicked() -> Self {
        0
    }
    fn null() -> Self {
        0
    }
}

/// Ids: before the first event of no bus.
impl Answer for reqbus_id {
    fn panicked() -> Self {
        Self { epoch: 0, seq: 0 }
    }
    fn null() -> Self {
        Self::panicked()
    }
}

/// Runs the body of an exported function. `None` from it means that a handle was NULL.
pub(crate) fn guard<R: Answer>(body: impl FnOnce() -> Option<R>) -> R {
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Some(answer)) => answer,
        Ok(None) => R::null(),
        Err(payload) => {
            discard(payload);
            R::panicked()
        }
    }
}

/// Runs the body of an exported function that returns a status; a failure is told through `error`,
/// where the caller asked for that (it may be NULL).
pub(crate) fn guard_status(
    error: *mut *mut reqbus_error,
    body: impl FnOnce() -> Result<reqbus_status, Failure>,
) -> reqbus_status {
    guard(|| {
        // AssertUnwindSafe, here and above: what a panicking call leaves behind is seen only by
        // further calls on that handle, and no lock of core is poisoned by it.
        let failure = match catch_unwind(AssertUnwindSafe(body)) {
            Ok(Ok(status)) => {
                tell(error, None);
                return Some(status);
            }
            Ok(Err(failure)) => failure,
            Err(payload) => {
                discard(payload);
                Failure::panicked()
            }
        };
        let status = failure.status();
        tell(error, Some(failure));
        Some(status)
    })
}

/// Drops what a panic carried. A payload whose own drop panics must not get out either: what that
/// second panic carries is leaked, or this would have no end.
fn discard(payload: Box<dyn Any + Send>) {
    if let Err(again) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        std::mem::forget(again);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            std::panic::panic_any("from a drop");
        }
    }

    #[test]
    fn a_panic_becomes_the_declared_answer() {
        assert_eq!(
            guard::<reqbus_status>(|| panic!("x")),
            reqbus_status::REQBUS_PANICKED
        );
        assert_eq!(guard::<usize>(|| panic!("x")), 0);
        assert_eq!(guard::<i32>(|| panic!("x")), 0);
        assert!(!guard::<*const c_char>(|| panic!("x")).is_null());
        assert_eq!(
            guard::<reqbus_status>(|| None),
            reqbus_status::REQBUS_NULL_ARGUMENT
        );
    }

    #[test]
    fn a_payload_that_panics_when_dropped_ends_here_too() {
        let status = guard_status(std::ptr::null_mut(), || std::panic::panic_any(Bomb));
        assert_eq!(status, reqbus_status::REQBUS_PANICKED);
    }

    /// As an exported function that has a bug.
    extern "C" fn reqbus_panics(error: *mut *mut reqbus_error) -> reqbus_status {
        guard_status(error, || panic!("a bug"))
    }

    #[test]
    fn no_panic_crosses_the_boundary_and_it_is_told() {
        assert_eq!(
            reqbus_panics(std::ptr::null_mut()),
            reqbus_status::REQBUS_PANICKED
        );
        let mut error = std::ptr::null_mut();
        assert_eq!(reqbus_panics(&mut error), reqbus_status::REQBUS_PANICKED);
        assert!(!error.is_null());
        // SAFETY: `error` was just given to us, and is freed once.
        unsafe {
            assert_eq!(
                crate::reqbus_error_kind(error),
                reqbus_status::REQBUS_PANICKED
            );
            assert_eq!(
                crate::reqbus_error_free(&mut error),
                reqbus_status::REQBUS_OK
            );
        }
        assert!(error.is_null());
    }
}
