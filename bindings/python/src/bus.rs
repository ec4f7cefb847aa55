//! The bus, but for what waits.

use pyo3::prelude::*;
use pyo3::pybacked::{PyBackedBytes, PyBackedStr};
use reqbus_core::bus::BusOptions;
use reqbus_core::event::{RequestEvent, RequestStatus};
use reqbus_core::{Bus as Core, ErrorKind};

use crate::errors::{OrRaise, invalid, raised};
use crate::event::EventId;
use crate::here::{call, publish};
use crate::new_event::{NewEvent, Payload, to_json};
use crate::records;
use crate::renewed::Renewed;
use crate::seconds::{clock_of, duration};

/// An event bus.
#[pyclass(frozen, subclass, weakref, module = "reqbus._reqbus")]
pub struct Bus {
    options: BusOptions,
    core: Renewed<Core>,
}

impl Bus {
    pub fn core(&self) -> &Core {
        self.core.get()
    }

    /// In a forked child: what `_renew` does, if it was not done yet.
    pub fn renew_once(&self, py: Python<'_>) -> PyResult<()> {
        if !self.core.is_current() {
            let bus = Core::new(self.options.clone()).or_raise(py)?;
            self.core.renew(bus);
        }
        Ok(())
    }
}

/// What a publish returns: a closed bus takes nothing, silently.
#[inline]
fn published(
    py: Python<'_>,
    answer: reqbus_core::error::Result<reqbus_core::EventId>,
) -> PyResult<Option<EventId>> {
    match answer {
        Ok(id) => Ok(Some(EventId(id))),
        Err(error) if error.kind() == ErrorKind::Closed => Ok(None),
        Err(error) => Err(raised(py, &error)),
    }
}

/// A dict or the text of a JSON object.
fn extra_of(extra: &Bound<'_, PyAny>) -> PyResult<PyBackedStr> {
    match extra.extract::<PyBackedStr>() {
        Ok(text) => Ok(text),
        Err(_) => to_json(extra.py(), extra),
    }
}

/// Whole milliseconds of an int or a float.
fn milliseconds(number: &Bound<'_, PyAny>) -> PyResult<i64> {
    match number.extract::<i64>() {
        Ok(whole) => Ok(whole),
        Err(_) => Ok(number.extract::<f64>()?.round() as i64),
    }
}

#[pymethods]
impl Bus {
    #[new]
    #[pyo3(signature = (*, log_events=2_000, log_bytes=8_388_608, resume_age=30.0, resume=true, _clock=None))]
    fn new(
        py: Python<'_>,
        log_events: usize,
        log_bytes: usize,
        resume_age: f64,
        resume: bool,
        _clock: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let options = BusOptions {
            log_events,
            log_bytes,
            resume_age: duration(py, "resume_age", resume_age)?,
            resume,
            clock: clock_of(py, _clock)?,
        };
        let made = py.detach(|| Core::new(options.clone()));
        let core = Renewed::new(made.or_raise(py)?);
        Ok(Self { options, core })
    }

    /// Publishes one event and returns its id, or `None` if the bus is closed. Never waits for a reader.
    ///
    /// The payload is one of `value` (made JSON), `text`, `json` (the text of JSON) and `data` (bytes), at most 1 MiB;
    /// `key`, at most 255 bytes, is what filters look at; `time_ns` its time, in nanoseconds since 1970 UTC.
    ///
    /// Raises `TooLargeError`, `InvalidArgumentError`, `InvalidJsonError`, `ReservedKindError`, `ForkedError`.
    #[pyo3(signature = (kind, value=None, *, text=None, json=None, data=None, key=None, time_ns=None))]
    fn publish(
        &self,
        py: Python<'_>,
        kind: &str,
        value: Option<&Bound<'_, PyAny>>,
        text: Option<PyBackedStr>,
        json: Option<PyBackedStr>,
        data: Option<PyBackedBytes>,
        key: Option<&str>,
        time_ns: Option<u64>,
    ) -> PyResult<Option<EventId>> {
        let payload = Payload::of(py, value, text, json, data)?;
        let event = payload.event(kind, key.unwrap_or_default(), time_ns);
        let bus = self.core();
        published(py, publish(py, || bus.publish(event)))
    }

    /// Publishes the event of a finished request (kind `request`), as `publish` does.
    ///
    /// `latency_ms` is rounded to whole milliseconds. `extra` is a dict or the text of a JSON object: its fields follow
    /// the seven of a request event; one with a name of theirs is left out and counted (`BusStats.extra_clashes`).
    #[pyo3(signature = (*, method="", path="", model="", account_id=0, status="success", latency_ms=None, key="", extra=None, timestamp_ns=None))]
    fn publish_request(
        &self,
        py: Python<'_>,
        method: &str,
        path: &str,
        model: &str,
        account_id: i64,
        status: &str,
        latency_ms: Option<&Bound<'_, PyAny>>,
        key: &str,
        extra: Option<&Bound<'_, PyAny>>,
        timestamp_ns: Option<u64>,
    ) -> PyResult<Option<EventId>> {
        let mut statuses = (0..=2).filter_map(RequestStatus::from_number);
        let status = statuses
            .find(|known| known.name() == status)
            .ok_or_else(|| invalid(py, "status", "it is none of success, error, rate_limited"))?;
        let extra = extra.map(extra_of).transpose()?;
        let request = RequestEvent {
            timestamp_ns,
            method,
            path,
            model,
            account_id,
            status,
            latency_ms: latency_ms.map_or(Ok(0), milliseconds)?,
            key,
            extra: extra.as_deref(),
        };
        let bus = self.core();
        published(py, publish(py, || bus.publish_request(&request)))
    }

    /// Publishes events in their order, all or none, and returns the id of the last.
    fn publish_many(&self, py: Python<'_>, events: Vec<Py<NewEvent>>) -> PyResult<Option<EventId>> {
        let events: Vec<_> = events.iter().map(|event| event.get().event()).collect();
        let bus = self.core();
        published(py, publish(py, || bus.publish_many(&events)))
    }

    /// Whether anybody could get an event of this kind: always on a bus that can be resumed.
    fn wanted(&self, py: Python<'_>, kind: &str) -> PyResult<bool> {
        let bus = self.core();
        let kind = call(py, || bus.kind(kind)).or_raise(py)?;
        Ok(bus.wanted(kind))
    }

    /// Sets the latest state of a status source, which every subscription is told ahead of its next events.
    ///
    /// State `gone` removes it. Raises `TooManySourcesError` for a 65th source, `TooLargeError`, `ClosedError`.
    #[pyo3(signature = (source, state, detail=""))]
    fn set_status(&self, py: Python<'_>, source: &str, state: &str, detail: &str) -> PyResult<()> {
        let bus = self.core();
        call(py, || bus.set_status(source, state, detail)).or_raise(py)
    }

    /// The epoch of its ids, a number of 64 bits.
    #[getter]
    fn epoch(&self) -> u64 {
        self.core().epoch()
    }

    /// The id of the newest event; seq 0 before the first.
    #[getter]
    fn newest(&self, py: Python<'_>) -> EventId {
        let bus = self.core();
        EventId(py.detach(|| bus.newest()))
    }

    /// Whether it was closed.
    #[getter]
    fn closed(&self, py: Python<'_>) -> bool {
        let bus = self.core();
        py.detach(|| bus.check_fork().is_err() || bus.is_closed())
    }

    /// Closes it: readers read up to the newest event and then get the end. Idempotent.
    fn close(&self, py: Python<'_>) {
        let bus = self.core();
        call(py, || bus.close());
    }

    /// Its account. For listings, not for a hot path.
    fn stats(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let bus = self.core();
        records::bus_stats(py, &py.detach(|| bus.stats()))
    }

    /// The subscriptions that are not freed, oldest first. For listings, not for a hot path.
    fn consumers(&self, py: Python<'_>) -> PyResult<Vec<Py<PyAny>>> {
        let bus = self.core();
        let consumers = py.detach(|| bus.consumers());
        consumers
            .iter()
            .map(|consumer| records::consumer(py, consumer))
            .collect()
    }

    /// How many subscriptions are members of this audience.
    fn audience_count(&self, py: Python<'_>, name: &str) -> usize {
        let bus = self.core();
        py.detach(|| bus.audience_count(name))
    }

    /// In a forked child: a bus of its own takes the place of the parent's.
    fn _renew(&self, py: Python<'_>) -> PyResult<()> {
        self.renew_once(py)
    }

    fn __repr__(&self, py: Python<'_>) -> String {
        let bus = self.core();
        let state = py.detach(|| {
            if bus.check_fork().is_err() {
                return "forked".to_owned();
            }
            let (stats, closed) = (bus.stats(), if bus.is_closed() { ", closed" } else { "" });
            format!(
                "newest='{}', subscriptions={}{closed}",
                stats.newest, stats.subscriptions
            )
        });
        format!("<reqbus.Bus {state}>")
    }
}
