//! How a subscription is asked for.

use std::time::Duration;

use pyo3::prelude::*;
use pyo3::pybacked::PyBackedStr;
use reqbus_core::bus::{Filter, Join, Overflow, Start, SubscribeOptions};

use crate::bus::Bus;
use crate::errors::{OrRaise, invalid};
use crate::event::EventId;
use crate::here::call;
use crate::seconds::duration;

/// Options as Python gives them.
#[derive(FromPyObject)]
pub struct Asked {
    #[pyo3(item)]
    keys: Vec<PyBackedStr>,
    #[pyo3(item)]
    kinds: Vec<PyBackedStr>,
    #[pyo3(item)]
    start: PyBackedStr,
    #[pyo3(item)]
    overflow: PyBackedStr,
    #[pyo3(item)]
    capacity: Option<usize>,
    #[pyo3(item)]
    capacity_bytes: Option<usize>,
    #[pyo3(item)]
    label: PyBackedStr,
    #[pyo3(item)]
    pid: u32,
    #[pyo3(item)]
    audience: Option<PyBackedStr>,
    #[pyo3(item)]
    audience_wait: f64,
    #[pyo3(item)]
    linger: f64,
}

/// An id from outside, as text: an [`EventId`], text or bytes. Whatever it says is answered, never refused.
pub fn after_text(after: &Bound<'_, PyAny>) -> PyResult<Vec<u8>> {
    if let Ok(id) = after.cast::<EventId>() {
        return Ok(id.get().0.to_string().into_bytes());
    }
    if let Ok(bytes) = after.extract::<Vec<u8>>() {
        return Ok(bytes);
    }
    // With lone surrogates it is no text, and no id.
    let text: Result<PyBackedStr, _> = after.extract();
    match text {
        Ok(text) => Ok(text.as_bytes().to_vec()),
        Err(_) if after.is_instance_of::<pyo3::types::PyString>() => Ok(vec![0xff]),
        Err(error) => Err(error),
    }
}

impl Asked {
    fn overflow(&self, py: Python<'_>) -> PyResult<Overflow> {
        match (&*self.overflow, self.capacity, self.capacity_bytes) {
            ("drop_newest", events, bytes) => Ok(Overflow::DropNewest {
                events: events.unwrap_or(64),
                bytes: bytes.unwrap_or(1 << 20),
            }),
            ("drop_oldest", events, None) => {
                let events = events.unwrap_or(256);
                Ok(Overflow::DropOldest { events })
            }
            ("catch_up", None, None) => Ok(Overflow::CatchUp),
            ("drop_oldest" | "catch_up", ..) => Err(invalid(
                py,
                "capacity",
                "this overflow policy has no such capacity",
            )),
            _ => {
                let message = "it is none of drop_newest, drop_oldest, catch_up";
                Err(invalid(py, "overflow", message))
            }
        }
    }

    /// Begins to subscribe.
    pub fn join(
        &self,
        py: Python<'_>,
        bus: &Bus,
        after: Option<&[u8]>,
    ) -> PyResult<(Join, Duration)> {
        let start = match (&*self.start, after) {
            (_, Some(text)) => Start::After(text),
            ("live", None) => Start::Live,
            ("oldest", None) => Start::Oldest,
            _ => return Err(invalid(py, "start", "it is neither live nor oldest")),
        };
        let keys: Vec<&str> = self.keys.iter().map(|key| &**key).collect();
        let kinds: Vec<&str> = self.kinds.iter().map(|kind| &**kind).collect();
        let linger = duration(py, "linger", self.linger)?;
        let options = SubscribeOptions {
            filter: Filter::new(&keys, &kinds).or_raise(py)?,
            start,
            overflow: self.overflow(py)?,
            label: &self.label,
            pid: self.pid,
            audience: self.audience.as_deref(),
            audience_wait: duration(py, "audience_wait", self.audience_wait)?,
            linger,
        };
        let bus = bus.core();
        Ok((call(py, || bus.join(options)).or_raise(py)?, linger))
    }
}
