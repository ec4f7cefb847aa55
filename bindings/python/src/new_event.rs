//! What is to be published.

use pyo3::prelude::*;
use pyo3::pybacked::{PyBackedBytes, PyBackedStr};
use pyo3::sync::PyOnceLock;
use reqbus_core::NewEvent as Core;

use crate::errors::invalid;

static ENCODE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();

/// A value of Python as the text of JSON: compact, not limited to ASCII, without NaN.
pub fn to_json(py: Python<'_>, value: &Bound<'_, PyAny>) -> PyResult<PyBackedStr> {
    let encode = ENCODE.import(py, "reqbus._json", "encode")?;
    encode.call1((value,))?.extract()
}

/// A payload, kept for as long as it is published.
pub enum Payload {
    Json(PyBackedStr),
    Text(PyBackedStr),
    Bytes(PyBackedBytes),
}

impl Payload {
    /// The one that was given; the empty text if none was.
    pub fn of(
        py: Python<'_>,
        value: Option<&Bound<'_, PyAny>>,
        text: Option<PyBackedStr>,
        json: Option<PyBackedStr>,
        data: Option<PyBackedBytes>,
    ) -> PyResult<Self> {
        match (value, text, json, data) {
            (None, Some(text), None, None) => Ok(Self::Text(text)),
            (Some(value), None, None, None) => Ok(Self::Json(to_json(py, value)?)),
            (None, None, Some(json), None) => Ok(Self::Json(json)),
            (None, None, None, Some(data)) => Ok(Self::Bytes(data)),
            (None, None, None, None) => Err(invalid(
                py,
                "payload",
                "there is none; give one of value, text, json and data",
            )),
            _ => Err(invalid(
                py,
                "payload",
                "give one of value, text, json and data",
            )),
        }
    }

    /// The event with this payload.
    pub fn event<'a>(&'a self, kind: &'a str, key: &'a str, time_ns: Option<u64>) -> Core<'a> {
        let event = match self {
            Self::Json(json) => Core::json(kind, json),
            Self::Text(text) => Core::text(kind, text),
            Self::Bytes(bytes) => Core::bytes(kind, bytes),
        };
        let event = event.key(key);
        match time_ns {
            Some(time_ns) => event.time_ns(time_ns),
            None => event,
        }
    }
}

/// One event of `Bus.publish_many`.
#[pyclass(frozen, module = "reqbus")]
pub struct NewEvent {
    kind: PyBackedStr,
    key: Option<PyBackedStr>,
    time_ns: Option<u64>,
    payload: Payload,
}

impl NewEvent {
    pub fn event(&self) -> Core<'_> {
        let key = self.key.as_deref().unwrap_or_default();
        self.payload.event(&self.kind, key, self.time_ns)
    }
}

#[pymethods]
impl NewEvent {
    #[new]
    #[pyo3(signature = (kind, value=None, *, text=None, json=None, data=None, key=None, time_ns=None))]
    fn new(
        py: Python<'_>,
        kind: PyBackedStr,
        value: Option<&Bound<'_, PyAny>>,
        text: Option<PyBackedStr>,
        json: Option<PyBackedStr>,
        data: Option<PyBackedBytes>,
        key: Option<PyBackedStr>,
        time_ns: Option<u64>,
    ) -> PyResult<Self> {
        let payload = Payload::of(py, value, text, json, data)?;
        Ok(Self {
            kind,
            key,
            time_ns,
            payload,
        })
    }

    fn __repr__(&self) -> String {
        format!("NewEvent(kind={:?})", &*self.kind)
    }
}
