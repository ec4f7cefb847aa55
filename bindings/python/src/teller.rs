//! What pools and runners tell on a bus.

use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::types::PyTuple;
use reqbus_core::told::{TellOptions, Teller as Core};

use crate::bus::Bus;
use crate::errors::OrRaise;
use crate::here::call;
use crate::renewed::Renewed;

/// Tells on `bus` what happens in the pools and runners that it is given to, as events of the kinds in `kinds`.
///
/// `Teller.KINDS` are those that there are: `slot.wait_begun`, `slot.granted`, `slot.refused`, `slot.lost`,
/// `slot.held_long` and `check.finished`; the payload of each is one JSON object. Ids of `secret_scopes`
/// (`api_key` if none are given) are told to nobody. It keeps the bus as long as it lives. Raises `InvalidArgumentError` for a kind that is none of these.
#[pyclass(frozen, module = "reqbus._reqbus")]
pub struct Teller {
    bus: Py<Bus>,
    kinds: Vec<String>,
    secret_scopes: Vec<String>,
    core: Renewed<Arc<Core>>,
}

impl Teller {
    /// Core's teller. In a forked child a new one, on the bus that took the place of the parent's.
    pub fn core(&self, py: Python<'_>) -> PyResult<Arc<Core>> {
        let made_here = self.core.is_current();
        if !made_here {
            let bus = self.bus.get();
            bus.renew_once(py)?;
            self.core
                .renew(made(py, bus, &self.kinds, &self.secret_scopes)?);
        }
        Ok(self.core.get().clone())
    }
}

fn made(
    py: Python<'_>,
    bus: &Bus,
    kinds: &[String],
    secret_scopes: &[String],
) -> PyResult<Arc<Core>> {
    let kinds: Vec<_> = kinds.iter().map(String::as_str).collect();
    let secret_scopes: Vec<_> = secret_scopes.iter().map(String::as_str).collect();
    let options = TellOptions {
        kinds: &kinds,
        secret_scopes: &secret_scopes,
    };
    call(py, || Core::new(bus.core(), &options)).or_raise(py)
}

#[pymethods]
impl Teller {
    #[new]
    #[pyo3(signature = (bus, kinds, *, secret_scopes=None), text_signature = "(bus, kinds, *, secret_scopes=None)")]
    fn new(
        bus: Bound<'_, Bus>,
        kinds: &Bound<'_, PyAny>,
        secret_scopes: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let py = bus.py();
        let texts = |names: &Bound<'_, PyAny>| -> PyResult<Vec<String>> {
            names.try_iter()?.map(|name| name?.extract()).collect()
        };
        let kinds = texts(kinds)?;
        let secret_scopes = match secret_scopes {
            Some(scopes) => texts(scopes)?,
            None => TellOptions::default()
                .secret_scopes
                .iter()
                .map(|&scope| scope.to_owned())
                .collect(),
        };
        let core = Renewed::new(made(py, bus.get(), &kinds, &secret_scopes)?);
        Ok(Self {
            bus: bus.unbind(),
            kinds,
            secret_scopes,
            core,
        })
    }

    /// The kinds that can be told.
    #[classattr]
    #[pyo3(name = "KINDS")]
    fn all_kinds(py: Python<'_>) -> PyResult<Py<PyTuple>> {
        Ok(PyTuple::new(py, Core::KINDS)?.unbind())
    }

    /// Events that could not be published, because the bus was closed.
    #[getter]
    fn failed(&self, py: Python<'_>) -> PyResult<u64> {
        Ok(self.core(py)?.failed())
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let failed = self.failed(py)?;
        Ok(format!(
            "<reqbus.Teller kinds={:?} failed={failed}>",
            self.kinds
        ))
    }
}
