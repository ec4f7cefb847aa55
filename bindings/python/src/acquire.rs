//! An acquire that is about to be awaited, or entered.

use parking_lot::Mutex;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;

use crate::ask::{Asks, Terms};
use crate::errors::invalid;
use crate::pool::SlotPool;
use crate::ready::Ready;
use crate::slot::Slot;
use crate::wait::Wait;
use crate::waiting::Waiting;

static WAIT_FOR_SLOT: PyOnceLock<Py<PyAny>> = PyOnceLock::new();

/// What `SlotPool.acquire` and its like return: nothing is asked for before it is awaited or entered, once.
#[pyclass(frozen, module = "reqbus._reqbus")]
pub struct Acquire {
    pool: Py<SlotPool>,
    asks: Asks,
    terms: Terms,
    on_ping: Option<Py<PyAny>>,
    on_top_of: Option<Py<Slot>>,
    state: Mutex<State>,
}

/// How far it is.
enum State {
    New,
    Begun,
    Entered(Py<Slot>),
}

/// What a beginning came to.
enum Begun {
    Granted(Py<Slot>),
    Waits(Wait),
}

impl Acquire {
    pub fn new(
        pool: Py<SlotPool>,
        asks: Asks,
        terms: Terms,
        on_ping: Option<Py<PyAny>>,
        on_top_of: Option<Py<Slot>>,
    ) -> Self {
        let state = Mutex::new(State::New);
        Self {
            pool,
            asks,
            terms,
            on_ping,
            on_top_of,
            state,
        }
    }

    #[inline]
    fn begin(&self, py: Python<'_>) -> PyResult<Begun> {
        if !matches!(
            std::mem::replace(&mut *self.state.lock(), State::Begun),
            State::New
        ) {
            return Err(invalid(
                py,
                "acquire",
                "it was awaited or entered before; call acquire again",
            ));
        }
        let on_top_of = self.on_top_of.as_ref().map(Py::get);
        let (pool, asks, terms) = (self.pool.get(), &self.asks, &self.terms);
        match Wait::begin_and_look(py, pool, asks, terms, on_top_of)? {
            Ok(slot) => Ok(Begun::Granted(Py::new(py, slot)?)),
            Err(wait) => Ok(Begun::Waits(wait)),
        }
    }

    /// What `await` takes to wait: to enter it, an awaitable, and the slot is remembered; else its iterator. If there are
    /// pings to write it is a coroutine.
    fn waiting(slf: &Bound<'_, Self>, wait: Wait, remember: bool) -> PyResult<Py<PyAny>> {
        let py = slf.py();
        let Some(on_ping) = &slf.get().on_ping else {
            let entering = remember.then(|| slf.clone().unbind());
            return Ok(Py::new(py, Waiting::of(wait, entering))?.into_any());
        };
        let wait_for_slot = WAIT_FOR_SLOT.import(py, "reqbus._waiting", "wait_for_slot")?;
        let entering = remember.then(|| slf.clone());
        let coroutine = wait_for_slot.call1((wait, on_ping, entering))?;
        if remember {
            return Ok(coroutine.unbind());
        }
        Ok(coroutine
            .call_method0(pyo3::intern!(py, "__await__"))?
            .unbind())
    }

    /// The slot that was waited for.
    pub fn entered(&self, slot: Py<Slot>) {
        *self.state.lock() = State::Entered(slot);
    }
}

#[pymethods]
impl Acquire {
    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.pool)?;
        visit.call(&self.on_ping)?;
        visit.call(&self.on_top_of)?;
        if let Some(state) = self.state.try_lock()
            && let State::Entered(slot) = &*state
        {
            visit.call(slot)?;
        }
        Ok(())
    }

    fn __await__(slf: &Bound<'_, Self>) -> PyResult<Py<PyAny>> {
        let py = slf.py();
        match slf.get().begin(py)? {
            Begun::Granted(slot) => Ready::object(py, slot.into_any()),
            Begun::Waits(wait) => Self::waiting(slf, wait, false),
        }
    }

    fn __aenter__(slf: &Bound<'_, Self>) -> PyResult<Py<PyAny>> {
        let py = slf.py();
        match slf.get().begin(py)? {
            Begun::Granted(slot) => {
                slf.get().entered(slot.clone_ref(py));
                Ready::object(py, slot.into_any())
            }
            Begun::Waits(wait) => Self::waiting(slf, wait, true),
        }
    }

    #[pyo3(signature = (_kind, _error, _traceback))]
    fn __aexit__(
        &self,
        py: Python<'_>,
        _kind: &Bound<'_, PyAny>,
        _error: &Bound<'_, PyAny>,
        _traceback: &Bound<'_, PyAny>,
    ) -> PyResult<Py<PyAny>> {
        self.leave(py);
        Ready::nothing(py)
    }

    /// The slot that a coroutine waited for.
    fn _entered(&self, slot: Py<Slot>) {
        self.entered(slot);
    }

    /// The slot, blocking without the interpreter's lock until there is one.
    fn _block(&self, py: Python<'_>) -> PyResult<Py<Slot>> {
        let wait = match self.begin(py)? {
            Begun::Granted(slot) => return Ok(slot),
            Begun::Waits(wait) => Py::new(py, wait)?,
        };
        let block = py.import("reqbus._waiting")?.getattr("block_for_slot")?;
        Ok(block.call1((wait, &self.on_ping))?.extract()?)
    }

    fn __repr__(&self) -> &'static str {
        match &*self.state.lock() {
            State::New => "<reqbus.Acquire, not begun: await it, or enter it>",
            State::Begun => "<reqbus.Acquire, begun>",
            State::Entered(_) => "<reqbus.Acquire, entered>",
        }
    }
}

impl Acquire {
    fn leave(&self, py: Python<'_>) {
        let state = std::mem::replace(&mut *self.state.lock(), State::Begun);
        if let State::Entered(slot) = state {
            slot.get().release(py);
        }
    }
}
