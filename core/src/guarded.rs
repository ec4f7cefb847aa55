//! Calling code of the host's that may panic.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs code of the host's; `None` if it panicked. A payload that panics as it is dropped ends here too: what that second
/// panic carries is leaked, or this would have no end.
pub(crate) fn guarded<R>(call: impl FnOnce() -> R) -> Option<R> {
    let payload = match catch_unwind(AssertUnwindSafe(call)) {
        Ok(answer) => return Some(answer),
        Err(payload) => payload,
    };
    if let Err(again) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        std::mem::forget(again);
    }
    None
}
