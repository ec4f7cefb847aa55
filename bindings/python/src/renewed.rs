//! Objects that a forked child gets anew.

use std::sync::atomic::{AtomicPtr, Ordering};

use reqbus_core::fork::Generation;

/// A core object that can be replaced while others use it: in a forked child, whose only thread does it before anything
/// else runs there. What was replaced is leaked: its locks may be held by threads that do not exist in the child.
pub struct Renewed<T>(AtomicPtr<Made<T>>);

struct Made<T> {
    value: T,
    generation: Generation,
}

impl<T> Made<T> {
    fn place(value: T) -> *mut Self {
        let generation = Generation::current();
        Box::into_raw(Box::new(Self { value, generation }))
    }
}

impl<T> Renewed<T> {
    pub fn new(value: T) -> Self {
        Self(AtomicPtr::new(Made::place(value)))
    }

    fn made(&self) -> &Made<T> {
        // SAFETY: `place` made it, and nothing frees it before `drop`, which has this object to itself.
        unsafe { &*self.0.load(Ordering::Acquire) }
    }

    /// The object of this process.
    #[inline]
    pub fn get(&self) -> &T {
        &self.made().value
    }

    /// Whether the object was made in this process.
    pub fn is_current(&self) -> bool {
        self.made().generation.is_current()
    }

    /// Puts `value` in the place of the parent's object.
    pub fn renew(&self, value: T) {
        self.0.store(Made::place(value), Ordering::Release);
    }
}

impl<T> Drop for Renewed<T> {
    fn drop(&mut self) {
        if self.is_current() {
            // SAFETY: as in `made`; nobody else has this object any more.
            drop(unsafe { Box::from_raw(*self.0.get_mut()) });
        }
    }
}
