//! Forked children: whether Python has renewed what its parent had made.

use std::sync::atomic::{AtomicU32, Ordering};

use pyo3::prelude::*;

/// The process in which Python's hook ran last; 0 before the first.
static RENEWED: AtomicU32 = AtomicU32::new(0);

/// Python's hook has run in this child.
#[pyfunction]
pub fn renewed() {
    RENEWED.store(std::process::id(), Ordering::Relaxed);
}

/// Whether this process is a child that Python's hook has seen.
pub fn is_renewed() -> bool {
    RENEWED.load(Ordering::Relaxed) == std::process::id()
}

/// Whether this build has the clock and the store of tests.
#[pyfunction]
pub fn has_test_clock() -> bool {
    cfg!(feature = "test-clock")
}
