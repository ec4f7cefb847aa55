//! The at-fork generation: how an object knows that it woke up in a child process.
//!
//! Locks, threads and descriptors of a parent do not survive a fork in a usable state. The first
//! object of a process registers one child handler with `pthread_atfork`, the only global effect of
//! this library. The handler adds one to a counter and does nothing else. Every object remembers the
//! counter's value at its birth, and each call compares the two by one relaxed load before it touches
//! a lock. What a child does with the answer is the caller's affair ([`ErrorKind::Forked`]).

use std::sync::Once;
// Never the loom face: a static cannot hold a loom atomic, and no model forks.
use std::sync::atomic::{AtomicU32, Ordering};

use crate::error::{Error, ErrorKind, Result};

static GENERATION: AtomicU32 = AtomicU32::new(0);
static REGISTER: Once = Once::new();

extern "C" fn in_child() {
    // Relaxed: a fork child has one thread, and a forked thread sees its parent's memory.
    GENERATION.fetch_add(1, Ordering::Relaxed);
}

/// The process generation that an object was made in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Generation(u32);

impl Generation {
    /// The generation of this process; registers the child handler at its first call.
    #[must_use]
    pub fn current() -> Self {
        REGISTER.call_once(|| {
            // SAFETY: `in_child` is an `extern "C"` function without captures that only adds to a
            // static atomic, which is async-signal-safe; it lives as long as this library, which
            // is linked so that it is never unloaded (`-z nodelete`).
            // A refusal (ENOMEM) leaves fork detection off, which no caller can act upon.
            let _ = unsafe { libc::pthread_atfork(None, None, Some(in_child)) };
        });
        Self(GENERATION.load(Ordering::Relaxed))
    }

    /// Whether this process is the one the object was made in. One relaxed load.
    #[inline]
    #[must_use]
    pub fn is_current(self) -> bool {
        self.0 == GENERATION.load(Ordering::Relaxed)
    }

    /// [`ErrorKind::Forked`] in a child of the process the object was made in.
    #[inline]
    pub fn check(self) -> Result<()> {
        if self.is_current() {
            return Ok(());
        }
        Err(Error::fixed(
            ErrorKind::Forked,
            "fork",
            "this object was made before fork(); make a new one in the child process",
        ))
    }
}
