//! Delays between tries.

use parking_lot::Mutex;
use pyo3::prelude::*;
use reqbus_core::slots::Backoff as Core;

use crate::errors::OrRaise;
use crate::seconds::duration;

/// Delays between tries, in seconds: the first, then each half as long again up to a cap, each spread by a jitter.
#[pyclass(frozen, module = "reqbus")]
pub struct Backoff(Mutex<Core>);

#[pymethods]
impl Backoff {
    #[new]
    #[pyo3(signature = (first=0.1, cap=2.0, *, jitter=true, seed=None))]
    fn new(
        py: Python<'_>,
        first: f64,
        cap: f64,
        jitter: bool,
        seed: Option<u64>,
    ) -> PyResult<Self> {
        let backoff = match (jitter, seed) {
            (true, None) => Core::new().or_raise(py)?,
            (true, Some(seed)) => Core::seeded(seed),
            (false, _) => Core::exact(),
        };
        let first = duration(py, "first", first)?;
        let backoff = backoff.between(first, duration(py, "cap", cap)?);
        Ok(Self(Mutex::new(backoff.or_raise(py)?)))
    }

    /// The next delay, in seconds.
    fn next_delay(&self) -> f64 {
        self.0.lock().next_delay().as_secs_f64()
    }

    /// How many delays were taken since the beginning, or the last reset.
    #[getter]
    fn attempt(&self) -> u32 {
        self.0.lock().attempt()
    }

    /// Begins again with the first delay; the jitter goes on.
    fn reset(&self) {
        self.0.lock().reset();
    }

    fn __iter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __next__(&self) -> f64 {
        self.next_delay()
    }

    fn __repr__(&self) -> String {
        format!("<reqbus.Backoff attempt={}>", self.attempt())
    }
}
