//! The cleanup guard of an audience.

use parking_lot::Mutex;
use pyo3::prelude::*;
use reqbus_core::bus::CleanupGuard as Core;

use crate::here::call;

/// Keeps newcomers out of an audience while what its members shared is torn down.
#[pyclass(frozen, module = "reqbus")]
pub struct CleanupGuard(Mutex<Option<Core>>);

impl CleanupGuard {
    pub fn of(guard: Core) -> Self {
        Self(Mutex::new(Some(guard)))
    }
}

#[pymethods]
impl CleanupGuard {
    /// The audience's name; `None` once the guard has ended.
    #[getter]
    fn audience(&self) -> Option<String> {
        self.0
            .lock()
            .as_ref()
            .map(|guard| guard.audience().to_owned())
    }

    /// Whether it is over its limit of 30 s, or has ended.
    #[getter]
    fn expired(&self) -> bool {
        self.0.lock().as_ref().is_none_or(Core::is_expired)
    }

    /// The tear-down is done: admits newcomers. Whether the guard was in force until now.
    fn release(&self, py: Python<'_>) -> bool {
        let guard = self.0.lock().take();
        call(py, || guard.is_some_and(Core::release))
    }

    /// Nothing was torn down: gives the membership back. Whether it lives again.
    fn abort(&self, py: Python<'_>) -> bool {
        let guard = self.0.lock().take();
        call(py, || guard.is_some_and(Core::abort))
    }

    fn __enter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    #[pyo3(signature = (*_args))]
    fn __exit__(&self, py: Python<'_>, _args: &Bound<'_, PyAny>) {
        self.release(py);
    }

    fn __repr__(&self) -> String {
        match &*self.0.lock() {
            Some(guard) => format!("<reqbus.CleanupGuard of {:?}>", guard.audience()),
            None => "<reqbus.CleanupGuard, ended>".into(),
        }
    }
}
