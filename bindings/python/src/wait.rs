//! A place in the queue.

use std::sync::Arc;

use parking_lot::Mutex;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use reqbus_core::slots::{Step, Wait as Core};
use reqbus_core::{Error, ErrorKind, SlotPool as Pool};

use crate::ask::{Asks, Terms};
use crate::errors::{raised, refused};
use crate::here::call;
use crate::leaks::Leaks;
use crate::loop_bell::{LoopBell, LoopCore, Seat};
use crate::pool::SlotPool;
use crate::seconds::{in_slices, timeout as timeout_of};
use crate::slot::Slot;

/// A request that waits for its slot.
#[pyclass(frozen, module = "reqbus")]
pub struct Wait {
    /// `None` only while it is being dropped.
    core: Option<Core>,
    seat: Mutex<Option<Arc<Seat>>>,
    leaks: Option<Arc<Leaks>>,
}

fn ask(pool: &Pool, asks: &Asks, terms: &Terms, on_top_of: Option<&Slot>) -> Core {
    let options = terms.options();
    asks.with(|asks| match on_top_of {
        None => pool.wait(asks, &options),
        Some(slot) => slot.read(|slot| match slot {
            Some(slot) => pool.wait_on_top(slot, asks, &options),
            None => pool.wait(asks, &options),
        }),
    })
}

/// What a look saw.
pub enum Looked {
    Ping,
    Granted(Slot),
}

impl Wait {
    /// Asks, and takes its place in the queue if there is no room.
    pub fn begin(
        py: Python<'_>,
        pool: &SlotPool,
        asks: &Asks,
        terms: &Terms,
        on_top_of: Option<&Slot>,
    ) -> PyResult<Self> {
        pool.before(py)?;
        let core = pool.core();
        let wait = call(py, || ask(core, asks, terms, on_top_of));
        pool.after(py);
        Ok(Self::of(wait, pool))
    }

    /// As [`Wait::begin`], with a look in the same step: what it saw, or the wait while there is nothing to see.
    #[inline]
    pub fn begin_and_look(
        py: Python<'_>,
        pool: &SlotPool,
        asks: &Asks,
        terms: &Terms,
        on_top_of: Option<&Slot>,
    ) -> PyResult<Result<Slot, Self>> {
        pool.before(py)?;
        let core = pool.core();
        let begun = call(py, || {
            let wait = ask(core, asks, terms, on_top_of);
            match wait.try_next() {
                Some(Step::Granted(slot)) => Ok(Ok(slot)),
                Some(Step::Ended(refusal)) => Err(refusal),
                // A ping cannot be due yet; were it, it is told by a later look.
                Some(Step::Ping) | None => Ok(Err(wait)),
            }
        });
        pool.after(py);
        match begun {
            Ok(Ok(slot)) => Ok(Ok(Slot::of(slot, pool.leaks.clone()))),
            Ok(Err(wait)) => Ok(Err(Self::of(wait, pool))),
            Err(refusal) => Err(refused(py, &refusal)),
        }
    }

    fn of(wait: Core, pool: &SlotPool) -> Self {
        Self {
            core: Some(wait),
            seat: Mutex::new(None),
            leaks: pool.leaks.clone(),
        }
    }

    fn core(&self, py: Python<'_>) -> PyResult<&Core> {
        self.core
            .as_ref()
            .ok_or_else(|| raised(py, &Error::closed("wait")))
    }

    fn seen(&self, py: Python<'_>, step: Step) -> PyResult<Looked> {
        match step {
            Step::Ping => Ok(Looked::Ping),
            Step::Granted(slot) => Ok(Looked::Granted(Slot::of(slot, self.leaks.clone()))),
            Step::Ended(refusal) => Err(refused(py, &refusal)),
        }
    }

    #[inline]
    pub fn look(&self, py: Python<'_>) -> PyResult<Option<Looked>> {
        let core = self.core(py)?;
        let step = call(py, || core.try_next());
        step.map(|step| self.seen(py, step)).transpose()
    }

    /// What is new gives `future` its result, on this loop. Look after this.
    pub fn expect(&self, py: Python<'_>, at: &Arc<LoopCore>, future: Py<PyAny>) -> PyResult<()> {
        let is_seated = match &*self.seat.lock() {
            Some(seat) => Arc::ptr_eq(&seat.core, at),
            None => false,
        };
        if !is_seated {
            let (core, seat) = (self.core(py)?, at.take_seat());
            let attach = || core.attach(&seat.core.bell, seat.token);
            let attached = at.attach_here(py, attach);
            attached.map_err(|error| raised(py, &error))?;
            let before = self.seat.lock().replace(seat);
            drop(before);
        }
        let seat = self.seat.lock().clone();
        if let Some(seat) = seat {
            seat.expect(future);
        }
        Ok(())
    }

    /// Gives up. Nothing happens if the wait is over.
    pub fn give_up(&self, py: Python<'_>) {
        if let Some(core) = &self.core {
            call(py, || core.cancel(None));
        }
    }

    pub fn visit(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        Seat::visit(&self.seat, visit)
    }

    pub fn clear(&self) {
        Seat::clear(&self.seat);
    }

    fn object(py: Python<'_>, looked: Option<Looked>) -> PyResult<Py<PyAny>> {
        Ok(match looked {
            None => py.None(),
            Some(Looked::Ping) => pyo3::types::PyString::intern(py, "ping")
                .into_any()
                .unbind(),
            Some(Looked::Granted(slot)) => Py::new(py, slot)?.into_any(),
        })
    }
}

#[pymethods]
impl Wait {
    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.visit(&visit)
    }

    fn __clear__(&self) {
        self.clear();
    }

    /// What is new: `None`, `"ping"`, or the slot; the refusal is raised.
    fn try_next(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let looked = self.look(py)?;
        Self::object(py, looked)
    }

    /// Where it stood, from 1, when it joined the queue that it waits in; 0 if it waits in none.
    #[getter]
    fn position(&self, py: Python<'_>) -> PyResult<u32> {
        let core = self.core(py)?;
        Ok(py.detach(|| core.position()))
    }

    /// Gives up, with the reason, if there is one. Nothing happens if the wait is over.
    #[pyo3(signature = (cause=None))]
    fn cancel(&self, py: Python<'_>, cause: Option<String>) -> PyResult<()> {
        let core = self.core(py)?;
        let cause = cause.map(|cause| Error::new(ErrorKind::System, "host", cause));
        call(py, || core.cancel(cause));
        Ok(())
    }

    /// The same wait for threads.
    #[getter]
    fn blocking<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let module = slf.py().import("reqbus._blocking_slots")?;
        module.call_method1("BlockingWait", (slf,))
    }

    /// A coroutine of what is new.
    #[pyo3(signature = (timeout=None))]
    fn next<'py>(slf: &Bound<'py, Self>, timeout: Option<f64>) -> PyResult<Bound<'py, PyAny>> {
        let module = slf.py().import("reqbus._pool")?;
        module.call_method1("wait_next", (slf, timeout))
    }

    /// Blocks until there is something new. `None` when the time is up.
    fn _block(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<Py<PyAny>> {
        let core = self.core(py)?;
        let looked = in_slices(py, timeout_of(py, timeout)?, |slice| {
            match call(py, || core.next_timeout(Some(slice))) {
                Ok(step) => self.seen(py, step).map(Some),
                Err(error) if error.kind() == ErrorKind::Timeout => Ok(None),
                Err(error) => Err(raised(py, &error)),
            }
        })?;
        Self::object(py, looked)
    }

    /// [`Wait::_expect`], and the look after it.
    fn _expect_and_look(
        &self,
        py: Python<'_>,
        bell: &LoopBell,
        future: Py<PyAny>,
    ) -> PyResult<Py<PyAny>> {
        self._expect(py, bell, future)?;
        self.try_next(py)
    }

    /// What is new gives `future` its result, on this bell's loop. Look after this.
    fn _expect(&self, py: Python<'_>, bell: &LoopBell, future: Py<PyAny>) -> PyResult<()> {
        self.expect(py, &bell.0, future)
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let core = self.core(py)?;
        Ok(format!(
            "<reqbus.Wait position={}>",
            py.detach(|| core.position())
        ))
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        let core = self.core.take();
        // Cancels, which may hand a slot to a waiter of this thread's loop.
        Python::try_attach(|py| call(py, || drop(core)));
    }
}
