//! Leaks on their way to the host.

use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use reqbus_core::slots::Leak;

use crate::records;

/// Leaks that core has found and Python has not been told of: core finds them on any thread, with or without the
/// interpreter's lock, and the host hears of them from a call of its own.
pub struct Leaks {
    some: AtomicBool,
    list: Mutex<Vec<Leak>>,
    /// `None` once the collector has taken the pool.
    on_leak: Mutex<Option<Py<PyAny>>>,
}

impl Leaks {
    pub fn new(on_leak: Py<PyAny>) -> Self {
        Self {
            some: AtomicBool::new(false),
            list: Mutex::default(),
            on_leak: Mutex::new(Some(on_leak)),
        }
    }

    /// What core's sink does.
    pub fn put(&self, leak: &Leak) {
        self.list.lock().push(leak.clone());
        self.some.store(true, Ordering::Release);
    }

    /// Tells the host of what there is.
    #[inline]
    pub fn tell(&self, py: Python<'_>) {
        if self.some.load(Ordering::Acquire) {
            self.tell_all(py);
        }
    }

    /// For `__traverse__` of the pool: the host's function often leads back to the pool.
    pub fn visit(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        if let Some(on_leak) = self.on_leak.try_lock()
            && let Some(on_leak) = &*on_leak
        {
            visit.call(on_leak)?;
        }
        Ok(())
    }

    /// For `__clear__` of the pool.
    pub fn clear(&self) {
        let on_leak = self.on_leak.lock().take();
        drop(on_leak);
    }

    #[cold]
    fn tell_all(&self, py: Python<'_>) {
        self.some.store(false, Ordering::Release);
        let leaks = std::mem::take(&mut *self.list.lock());
        let on_leak = self.on_leak.lock().as_ref().map(|told| told.clone_ref(py));
        let Some(on_leak) = on_leak else { return };
        for leak in &leaks {
            let told = records::leak(py, leak).and_then(|leak| on_leak.call1(py, (leak,)));
            if let Err(error) = told {
                error.write_unraisable(py, Some(on_leak.bind(py)));
            }
        }
    }
}
