//! A wait that a task awaits.
//!
//! What `await` drives, without a coroutine: it looks, gives the task a future to sleep on, and looks again. A task that is
//! cancelled throws that in here, and whatever was granted is given back before it leaves.

use std::sync::Arc;

use parking_lot::Mutex;
use pyo3::exceptions::PyRuntimeError;
use pyo3::ffi;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;

use crate::acquire::Acquire;
use crate::loop_bell::{LoopBell, LoopCore, running_loop};
use crate::ready::ended_with;
use crate::slot::Slot;
use crate::wait::{Looked, Wait};

static BELL_OF: PyOnceLock<Py<PyAny>> = PyOnceLock::new();

/// The slot of a wait that has begun, awaited by a task.
#[pyclass(frozen, module = "reqbus._reqbus")]
pub struct Waiting {
    wait: Wait,
    /// Who remembers the slot, if it is entered.
    entering: Option<Py<Acquire>>,
    place: Mutex<Option<Place>>,
}

/// Where it is awaited.
struct Place {
    running: Py<PyAny>,
    core: Arc<LoopCore>,
}

impl Place {
    fn now(py: Python<'_>) -> PyResult<Self> {
        let Some(running) = running_loop(py)? else {
            return Err(PyRuntimeError::new_err("no running event loop"));
        };
        let bell_of = BELL_OF.import(py, "reqbus._waiting", "bell_of")?;
        let bell = bell_of.call1((&running,))?.cast_into::<LoopBell>()?;
        let core = bell.get().0.clone();
        let running = running.unbind();
        Ok(Self { running, core })
    }
}

impl Waiting {
    pub fn of(wait: Wait, entering: Option<Py<Acquire>>) -> Self {
        Self {
            wait,
            entering,
            place: Mutex::new(None),
        }
    }

    /// Looks until there is the slot, or nothing: then there is a future to sleep on.
    fn step(&self, py: Python<'_>) -> PyResult<Stepped> {
        let known = self.place.lock().take();
        // Who was woken looks at once; who was not says first where it is to be woken.
        let mut is_woken = known.is_some();
        let place = match known {
            Some(place) => place,
            None => Place::now(py)?,
        };
        loop {
            let mut future = None;
            if !is_woken {
                let made = place
                    .running
                    .call_method0(py, pyo3::intern!(py, "create_future"))?;
                self.wait.expect(py, &place.core, made.clone_ref(py))?;
                future = Some(made);
            }
            is_woken = false;
            match (self.wait.look(py)?, future) {
                (Some(Looked::Granted(slot)), _) => {
                    let slot = Py::new(py, slot)?;
                    if let Some(entering) = &self.entering {
                        entering.get().entered(slot.clone_ref(py));
                    }
                    return Ok(Stepped::Granted(slot));
                }
                (None, Some(future)) => {
                    // What tells a task from a generator's own yield.
                    future.setattr(py, pyo3::intern!(py, "_asyncio_future_blocking"), true)?;
                    *self.place.lock() = Some(place);
                    return Ok(Stepped::Sleeps(future));
                }
                // Woken for nothing, or a ping that nobody writes.
                (None, None) | (Some(Looked::Ping), _) => {}
            }
        }
    }
}

enum Stepped {
    Sleeps(Py<PyAny>),
    Granted(Py<Slot>),
}

#[pymethods]
impl Waiting {
    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.entering)?;
        if let Some(place) = self.place.try_lock()
            && let Some(place) = &*place
        {
            visit.call(&place.running)?;
        }
        self.wait.visit(&visit)
    }

    fn __clear__(&self) {
        self.wait.clear();
    }

    fn __await__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __iter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __next__(&self, py: Python<'_>) -> PyResult<*mut ffi::PyObject> {
        match self.step(py) {
            Ok(Stepped::Sleeps(future)) => Ok(future.into_ptr()),
            Ok(Stepped::Granted(slot)) => ended_with(py, slot.into_any()),
            Err(error) => {
                // Nothing if it was the wait's own end.
                self.wait.give_up(py);
                Err(error)
            }
        }
    }

    /// What a task throws in: above all that it is cancelled.
    #[pyo3(signature = (kind, value=None, _traceback=None))]
    fn throw(
        &self,
        py: Python<'_>,
        kind: Bound<'_, PyAny>,
        value: Option<Bound<'_, PyAny>>,
        _traceback: Option<Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        self.wait.give_up(py);
        Err(PyErr::from_value(value.unwrap_or(kind)))
    }

    /// The task goes.
    fn close(&self, py: Python<'_>) {
        self.wait.give_up(py);
    }
}
