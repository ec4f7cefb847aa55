//! One interpreter per process.

use std::sync::atomic::{AtomicI64, Ordering};

use pyo3::exceptions::PyImportError;
use pyo3::prelude::*;

/// The interpreter that imported this module first.
static OWNER: AtomicI64 = AtomicI64::new(-1);

/// `ImportError` in any other interpreter than the first.
pub fn claim() -> PyResult<()> {
    // SAFETY: a module is initialised by an attached thread, which has a current interpreter.
    let own = unsafe { pyo3::ffi::PyInterpreterState_GetID(pyo3::ffi::PyInterpreterState_Get()) };
    match OWNER.compare_exchange(-1, own, Ordering::Relaxed, Ordering::Relaxed) {
        Ok(_) => Ok(()),
        Err(owner) if owner == own => Ok(()),
        Err(_) => Err(PyImportError::new_err(
            "reqbus does not work in subinterpreters: import it in one interpreter of a process",
        )),
    }
}
