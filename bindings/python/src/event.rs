//! Events, their ids, and request records, as readers hold them.

use std::hash::{DefaultHasher, Hash, Hasher};

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::pyclass::CompareOp;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyString};
use reqbus_core::event::{Payload, RequestView};
use reqbus_core::wire::{self, Form};
use reqbus_core::{Event as Core, EventId as CoreId};

use crate::errors::invalid;

static LOADS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();

/// The name of an event, and the token by which a reader resumes.
#[pyclass(frozen, module = "reqbus")]
#[derive(Clone, Copy)]
pub struct EventId(pub CoreId);

#[pymethods]
impl EventId {
    #[new]
    fn new(epoch: u64, seq: u64) -> PyResult<Self> {
        if seq == u64::MAX {
            return Err(PyValueError::new_err("seq is above 2**64-2"));
        }
        Ok(Self(CoreId { epoch, seq }))
    }

    /// Reads the text form; `ValueError` if it is none.
    #[staticmethod]
    fn parse(text: &str) -> PyResult<Self> {
        let id = CoreId::parse(text.as_bytes());
        id.map(Self)
            .map_err(|error| PyValueError::new_err(error.to_string()))
    }

    #[getter]
    fn epoch(&self) -> u64 {
        self.0.epoch
    }

    #[getter]
    fn seq(&self) -> u64 {
        self.0.seq
    }

    fn __richcmp__(&self, other: &Bound<'_, PyAny>, op: CompareOp) -> bool {
        let same = other
            .cast::<Self>()
            .is_ok_and(|other| other.get().0 == self.0);
        match op {
            CompareOp::Eq => same,
            CompareOp::Ne => !same,
            _ => false,
        }
    }

    fn __hash__(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.0.hash(&mut hasher);
        hasher.finish()
    }

    fn __str__(&self) -> String {
        self.0.to_string()
    }

    fn __repr__(&self) -> String {
        format!("EventId('{}')", self.0)
    }
}

/// The form of this name.
pub fn form_of(py: Python<'_>, name: &str) -> PyResult<Form> {
    let form = Form::from_name(name);
    form.ok_or_else(|| invalid(py, "form", "it is none of json, envelope, ndjson, sse"))
}

/// A published event, with the subscription's own number of it.
#[pyclass(frozen, module = "reqbus")]
pub struct Event {
    event: Core,
    n: u64,
}

impl Event {
    pub const fn new(event: Core, n: u64) -> Self {
        Self { event, n }
    }

    fn text(&self, py: Python<'_>, form: Form) -> Py<PyBytes> {
        // Made at most once per event; what it adds to the log's account is told to nobody here, which the log allows.
        PyBytes::new(py, py.detach(|| wire::text(&self.event, form, |_| {}))).unbind()
    }
}

#[pymethods]
impl Event {
    #[classattr]
    #[pyo3(name = "__match_args__")]
    const MATCH_ARGS: (
        &'static str,
        &'static str,
        &'static str,
        &'static str,
        &'static str,
    ) = ("id", "kind", "key", "value", "n");

    #[getter]
    fn id(&self) -> EventId {
        EventId(self.event.id())
    }

    #[getter]
    fn n(&self) -> u64 {
        self.n
    }

    #[getter]
    fn kind(&self) -> &str {
        self.event.kind()
    }

    #[getter]
    fn key(&self) -> &str {
        self.event.key()
    }

    #[getter]
    fn time_ns(&self) -> u64 {
        self.event.time_ns()
    }

    /// `json`, `text`, `bytes` or `request`.
    #[getter]
    fn sort(&self) -> &'static str {
        match self.event.payload() {
            Payload::Json(_) => "json",
            Payload::Text(_) => "text",
            Payload::Request(_) => "request",
            _ => "bytes",
        }
    }

    /// The payload as published.
    #[getter]
    fn payload(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        Ok(match self.event.payload() {
            Payload::Json(text) | Payload::Text(text) => {
                PyString::new(py, text).into_any().unbind()
            }
            Payload::Bytes(bytes) => PyBytes::new(py, bytes).into_any().unbind(),
            Payload::Request(_) => {
                let event = self.event.clone();
                Py::new(py, Request { event })?.into_any()
            }
            _ => py.None(),
        })
    }

    /// The payload as a value of Python.
    #[getter]
    fn value(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let loads = || LOADS.import(py, "json", "loads");
        match self.event.payload() {
            Payload::Json(text) => Ok(loads()?.call1((text,))?.unbind()),
            Payload::Request(_) => Ok(loads()?.call1((self.text(py, Form::Json),))?.unbind()),
            _ => self.payload(py),
        }
    }

    /// The event as text.
    #[pyo3(signature = (form="json"))]
    fn encode(&self, py: Python<'_>, form: &str) -> PyResult<Py<PyBytes>> {
        Ok(self.text(py, form_of(py, form)?))
    }

    fn __eq__(&self, other: &Bound<'_, PyAny>) -> bool {
        let other = other.cast::<Self>();
        other.is_ok_and(|other| {
            let other = other.get();
            self.event.id() == other.event.id() && self.n == other.n
        })
    }

    fn __hash__(&self) -> u64 {
        self.id().__hash__()
    }

    fn __repr__(&self) -> String {
        format!(
            "Event(id='{}', n={}, kind={:?}, key={:?}, {} of {} bytes)",
            self.event.id(),
            self.n,
            self.event.kind(),
            self.event.key(),
            self.sort(),
            self.event.payload_len()
        )
    }
}

/// The record of a request event.
#[pyclass(frozen, module = "reqbus")]
pub struct Request {
    event: Core,
}

impl Request {
    fn view(&self) -> PyResult<RequestView<'_>> {
        match self.event.payload() {
            Payload::Request(view) => Ok(view),
            _ => Err(PyValueError::new_err("not the record of a request")),
        }
    }
}

#[pymethods]
impl Request {
    #[getter]
    fn timestamp_ns(&self) -> u64 {
        self.event.time_ns()
    }

    #[getter]
    fn method(&self) -> PyResult<&str> {
        Ok(self.view()?.method)
    }

    #[getter]
    fn path(&self) -> PyResult<&str> {
        Ok(self.view()?.path)
    }

    #[getter]
    fn model(&self) -> PyResult<&str> {
        Ok(self.view()?.model)
    }

    #[getter]
    fn account_id(&self) -> PyResult<i64> {
        Ok(self.view()?.account_id)
    }

    #[getter]
    fn status(&self) -> PyResult<&'static str> {
        Ok(self.view()?.status.name())
    }

    #[getter]
    fn latency_ms(&self) -> PyResult<i64> {
        Ok(self.view()?.latency_ms)
    }

    /// The host's object as published, or `None`.
    #[getter]
    fn extra(&self) -> PyResult<Option<&str>> {
        Ok(self.view()?.extra)
    }

    fn __repr__(&self) -> PyResult<String> {
        let view = self.view()?;
        Ok(format!(
            "Request({} {:?}, model={:?}, account_id={}, status='{}', latency_ms={})",
            view.method,
            view.path,
            view.model,
            view.account_id,
            view.status.name(),
            view.latency_ms
        ))
    }
}
