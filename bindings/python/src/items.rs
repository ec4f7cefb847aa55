//! What a subscription reads beside events.

use pyo3::prelude::*;
use reqbus_core::bus::Item;

use crate::event::{Event, EventId};

/// Events were lost here.
#[pyclass(frozen, eq, hash, get_all, module = "reqbus")]
#[derive(PartialEq, Eq, Hash)]
pub struct Lost {
    missed: u64,
    reason: &'static str,
    next_n: u64,
}

#[pymethods]
impl Lost {
    #[classattr]
    #[pyo3(name = "__match_args__")]
    const MATCH_ARGS: (&'static str, &'static str, &'static str) = ("missed", "reason", "next_n");

    fn __repr__(&self) -> String {
        let Self {
            missed,
            reason,
            next_n,
        } = self;
        format!("Lost(missed={missed}, reason='{reason}', next_n={next_n})")
    }
}

/// The resume was not possible; reading goes on live.
#[pyclass(frozen, module = "reqbus")]
pub struct Resync {
    #[pyo3(get)]
    reason: &'static str,
    #[pyo3(get)]
    head: EventId,
}

#[pymethods]
impl Resync {
    #[classattr]
    #[pyo3(name = "__match_args__")]
    const MATCH_ARGS: (&'static str, &'static str) = ("reason", "head");

    fn __eq__(&self, other: &Bound<'_, PyAny>) -> bool {
        other.cast::<Self>().is_ok_and(|other| {
            let other = other.get();
            self.reason == other.reason && self.head.0 == other.head.0
        })
    }

    fn __repr__(&self) -> String {
        format!("Resync(reason='{}', head='{}')", self.reason, self.head.0)
    }
}

/// The latest state of a status source.
#[pyclass(frozen, eq, hash, get_all, module = "reqbus")]
#[derive(PartialEq, Eq, Hash)]
pub struct Status {
    source: String,
    state: String,
    detail: String,
}

#[pymethods]
impl Status {
    #[classattr]
    #[pyo3(name = "__match_args__")]
    const MATCH_ARGS: (&'static str, &'static str, &'static str) = ("source", "state", "detail");

    fn __repr__(&self) -> String {
        let Self {
            source,
            state,
            detail,
        } = self;
        format!("Status(source={source:?}, state={state:?}, detail={detail:?})")
    }
}

/// An item as an object of Python.
pub fn object(py: Python<'_>, item: Item<'_>) -> PyResult<Py<PyAny>> {
    Ok(match item {
        Item::Event { event, n } => Py::new(py, Event::new(event.clone(), n))?.into_any(),
        Item::Lost {
            missed,
            reason,
            next_n,
        } => {
            let reason = reason.name();
            Py::new(
                py,
                Lost {
                    missed,
                    reason,
                    next_n,
                },
            )?
            .into_any()
        }
        Item::Resync { reason, head } => {
            let (reason, head) = (reason.name(), EventId(head));
            Py::new(py, Resync { reason, head })?.into_any()
        }
        Item::Status {
            source,
            state,
            detail,
        } => {
            let (source, state, detail) = (source.into(), state.into(), detail.into());
            Py::new(
                py,
                Status {
                    source,
                    state,
                    detail,
                },
            )?
            .into_any()
        }
    })
}
