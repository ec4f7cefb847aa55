//! The pool: acquiring.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedStr;
use pyo3::types::PyString;
use reqbus_core::SlotPool as Core;
use reqbus_core::slots::{Leak, PoolOptions, Ranks};

use crate::acquire::Acquire;
use crate::ask::{Asked, Asks, Terms};
use crate::errors::{OrRaise, invalid, refused};
use crate::here::call;
use crate::leaks::Leaks;
use crate::ready::Ready;
use crate::records;
use crate::renewed::Renewed;
use crate::seconds::{clock_of, duration};
use crate::slot::Slot;
use crate::teller::Teller;
use crate::wait::Wait;

/// Limits on requests in flight.
#[pyclass(frozen, subclass, weakref, module = "reqbus._reqbus")]
pub struct SlotPool {
    options: PoolOptions,
    teller: Option<Py<Teller>>,
    core: Renewed<Core>,
    /// If the host wants to hear of them.
    pub leaks: Option<Arc<Leaks>>,
    /// In a forked child, before its first acquire: its limits are its own, which is to be said once.
    unsaid: AtomicBool,
}

impl SlotPool {
    #[inline]
    pub fn core(&self) -> &Core {
        self.core.get()
    }

    fn made_core(
        py: Python<'_>,
        options: &PoolOptions,
        teller: Option<&Py<Teller>>,
    ) -> PyResult<Core> {
        let mut options = options.clone();
        if let Some(teller) = teller {
            options.observer = Some(teller.get().core(py)?);
        }
        py.detach(|| Core::new(options)).or_raise(py)
    }

    fn made(
        py: Python<'_>,
        mut options: PoolOptions,
        on_leak: Option<Py<PyAny>>,
        teller: Option<Py<Teller>>,
    ) -> PyResult<Self> {
        let leaks = on_leak.map(|on_leak| Arc::new(Leaks::new(on_leak)));
        if let Some(leaks) = leaks.clone() {
            options.sink = Some(Arc::new(move |leak: &Leak| leaks.put(leak)));
        }
        let core = Renewed::new(Self::made_core(py, &options, teller.as_ref())?);
        Ok(Self {
            options,
            teller,
            core,
            leaks,
            unsaid: AtomicBool::new(false),
        })
    }

    /// Before a call that may wait: says once what a fork did to the limits.
    #[inline]
    pub fn before(&self, py: Python<'_>) -> PyResult<()> {
        // Relaxed: set in a child that has one thread.
        if self.unsaid.load(Ordering::Relaxed) {
            self.say(py)?;
        }
        Ok(())
    }

    #[cold]
    fn say(&self, py: Python<'_>) -> PyResult<()> {
        if self.unsaid.swap(false, Ordering::Relaxed) {
            py.import("reqbus._fork")?
                .call_method0("say_limits_are_per_process")?;
        }
        Ok(())
    }

    /// After a call that may have found leaks: tells the host, on its own thread.
    #[inline]
    pub fn after(&self, py: Python<'_>) {
        if let Some(leaks) = &self.leaks {
            leaks.tell(py);
        }
    }
}

#[pymethods]
impl SlotPool {
    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.leaks
            .as_ref()
            .map_or(Ok(()), |leaks| leaks.visit(&visit))
    }

    fn __clear__(&self) {
        if let Some(leaks) = &self.leaks {
            leaks.clear();
        }
    }

    #[new]
    #[pyo3(signature = (*, first=None, last=None, processes=1, on_leak=None, teller=None, held_long=600.0, _clock=None, _fault=None))]
    fn new(
        py: Python<'_>,
        first: Option<Vec<PyBackedStr>>,
        last: Option<Vec<PyBackedStr>>,
        processes: u32,
        on_leak: Option<Py<PyAny>>,
        teller: Option<Py<Teller>>,
        held_long: f64,
        _clock: Option<&Bound<'_, PyAny>>,
        _fault: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let mut options = pool_options(py, first, last, processes)?;
        options.clock = clock_of(py, _clock)?;
        #[cfg(feature = "test-clock")]
        if let Some(fault) = _fault {
            options.fault = Some(crate::testing::fault_of(fault)?);
        }
        options.held_long = duration(py, "held_long", held_long)?;
        Self::made(py, options, on_leak, teller)
    }

    /// Waits its turn for a slot of a key: await it for the `Slot`, or enter it with `async with`.
    ///
    /// `limit` is an int, `"unlimited"`, or `None` for the limit that the key has. `timeout` (30 s; 0 is one try) and
    /// `max_waiting` (20) bound the wait. Every `ping_every` seconds `on_ping` is called, and awaited if it is a coroutine
    /// function; if it raises, the wait is cancelled with that as the cause. `label` names the holder in lists.
    ///
    /// Raises `SlotError` by outcome: `SlotBusy`, `QueueFull`, `SlotTimedOut`, `SlotCancelled`, `SlotClosed`,
    /// `SlotUnavailable`, `SlotInvalid`. A task that is cancelled has given back what it was granted before
    /// `CancelledError` leaves here.
    #[pyo3(signature = (scope, id, *, limit=None, label=None, timeout=None, max_waiting=None, ping_every=Some(15.0), on_ping=None), text_signature = "($self, scope, id, *, limit=None, label=None, timeout=None, max_waiting=None, ping_every=15.0, on_ping=None)")]
    fn acquire(
        slf: Py<Self>,
        py: Python<'_>,
        scope: &Bound<'_, PyString>,
        id: &Bound<'_, PyAny>,
        limit: Option<&Bound<'_, PyAny>>,
        label: Option<PyBackedStr>,
        timeout: Option<f64>,
        max_waiting: Option<u32>,
        ping_every: Option<f64>,
        on_ping: Option<Py<PyAny>>,
    ) -> PyResult<Acquire> {
        let asks = Asks::One(Asked::new(scope, id, limit)?);
        let terms = Terms::of(py, label, timeout, max_waiting, ping_every)?;
        Ok(Acquire::new(slf, asks, terms, on_ping, None))
    }

    /// As `acquire`, for a slot of each of up to 8 keys, `(scope, id)` or `(scope, id, limit)`: all or none.
    ///
    /// `on_top_of` is a slot that is held already; each key must come after its scopes in the pool's order.
    #[pyo3(signature = (asks, *, on_top_of=None, label=None, timeout=None, max_waiting=None, ping_every=Some(15.0), on_ping=None), text_signature = "($self, asks, *, on_top_of=None, label=None, timeout=None, max_waiting=None, ping_every=15.0, on_ping=None)")]
    fn acquire_all(
        slf: Py<Self>,
        py: Python<'_>,
        asks: &Bound<'_, PyAny>,
        on_top_of: Option<Py<Slot>>,
        label: Option<PyBackedStr>,
        timeout: Option<f64>,
        max_waiting: Option<u32>,
        ping_every: Option<f64>,
        on_ping: Option<Py<PyAny>>,
    ) -> PyResult<Acquire> {
        let terms = Terms::of(py, label, timeout, max_waiting, ping_every)?;
        Ok(Acquire::new(
            slf,
            Asks::of(asks)?,
            terms,
            on_ping,
            on_top_of,
        ))
    }

    /// One try, which does not wait. Raises `SlotBusy` if there is no room.
    #[pyo3(signature = (scope, id, *, limit=None, label=None))]
    fn try_acquire(
        slf: Py<Self>,
        py: Python<'_>,
        scope: &Bound<'_, PyString>,
        id: &Bound<'_, PyAny>,
        limit: Option<&Bound<'_, PyAny>>,
        label: Option<PyBackedStr>,
    ) -> PyResult<Acquire> {
        let asks = Asks::One(Asked::new(scope, id, limit)?);
        let terms = Terms::of(py, label, Some(0.0), None, None)?;
        Ok(Acquire::new(slf, asks, terms, None, None))
    }

    /// One try for all keys or none.
    #[pyo3(signature = (asks, *, label=None))]
    fn try_acquire_all(
        slf: Py<Self>,
        py: Python<'_>,
        asks: &Bound<'_, PyAny>,
        label: Option<PyBackedStr>,
    ) -> PyResult<Acquire> {
        let terms = Terms::of(py, label, Some(0.0), None, None)?;
        Ok(Acquire::new(slf, Asks::of(asks)?, terms, None, None))
    }

    #[pyo3(signature = (asks, *, label=None))]
    fn _try_first_of(
        &self,
        py: Python<'_>,
        asks: &Bound<'_, PyAny>,
        label: Option<PyBackedStr>,
    ) -> PyResult<(usize, Py<Slot>)> {
        let asks = Asks::of(asks)?;
        self.before(py)?;
        let (pool, label) = (self.core(), label.as_deref().unwrap_or_default());
        let taken = call(py, || asks.with(|asks| pool.try_first_of(asks, label)));
        self.after(py);
        let (at, slot) = taken.map_err(|refusal| refused(py, &refusal))?;
        Ok((at, Py::new(py, Slot::of(slot, self.leaks.clone()))?))
    }

    /// Takes the first of these keys that has room, the least loaded first: which, and its slot.
    #[pyo3(signature = (asks, *, label=None))]
    fn try_first_of(
        &self,
        py: Python<'_>,
        asks: &Bound<'_, PyAny>,
        label: Option<PyBackedStr>,
    ) -> PyResult<Py<PyAny>> {
        let taken = self._try_first_of(py, asks, label)?;
        Ready::object(py, taken.into_pyobject(py)?.into_any().unbind())
    }

    #[pyo3(signature = (asks, *, on_top_of=None, label=None, timeout=None, max_waiting=None, ping_every=Some(15.0)), text_signature = "($self, asks, *, on_top_of=None, label=None, timeout=None, max_waiting=None, ping_every=15.0)")]
    fn _wait(
        &self,
        py: Python<'_>,
        asks: &Bound<'_, PyAny>,
        on_top_of: Option<Py<Slot>>,
        label: Option<PyBackedStr>,
        timeout: Option<f64>,
        max_waiting: Option<u32>,
        ping_every: Option<f64>,
    ) -> PyResult<Wait> {
        let terms = Terms::of(py, label, timeout, max_waiting, ping_every)?;
        Wait::begin(
            py,
            self,
            &Asks::of(asks)?,
            &terms,
            on_top_of.as_ref().map(Py::get),
        )
    }

    /// Whether it was closed.
    #[getter]
    fn closed(&self) -> bool {
        self.core().is_closed()
    }

    /// Closes it: who waits is refused, and so is every newcomer. Slots that are out stay valid. Idempotent.
    fn close(&self, py: Python<'_>) {
        let pool = self.core();
        call(py, || pool.close());
        self.after(py);
    }

    /// A key's counters, peak and waits; `None` if it is not known.
    fn key_stats(
        &self,
        py: Python<'_>,
        scope: String,
        id: &Bound<'_, PyAny>,
    ) -> PyResult<Option<Py<PyAny>>> {
        let (named, pool) = (crate::pool_keys::Named::of(scope, id)?, self.core());
        let stats = py.detach(|| pool.key_stats(named.key()));
        stats
            .map(|stats| records::key_stats(py, &stats))
            .transpose()
    }

    /// The sum over the keys of a scope, forgotten ones included.
    fn scope_stats(&self, py: Python<'_>, scope: &str) -> PyResult<Py<PyAny>> {
        let pool = self.core();
        records::scope_stats(py, &py.detach(|| pool.scope_stats(scope)))
    }

    /// How many keys the pool knows.
    #[getter]
    fn known_keys(&self, py: Python<'_>) -> usize {
        let pool = self.core();
        py.detach(|| pool.known_keys())
    }

    /// Slots that were collected without a release, so far.
    #[getter]
    fn leaked(&self, py: Python<'_>) -> u64 {
        let pool = self.core();
        let leaked = call(py, || pool.leaked());
        self.after(py);
        leaked
    }

    /// In a forked child: a pool of its own takes the place of the parent's.
    fn _renew(&self, py: Python<'_>) -> PyResult<()> {
        let core = Self::made_core(py, &self.options, self.teller.as_ref())?;
        self.core.renew(core);
        self.unsaid
            .store(self.options.processes == NonZeroU32::MIN, Ordering::Relaxed);
        Ok(())
    }

    fn __repr__(&self, py: Python<'_>) -> String {
        let pool = self.core();
        if pool.check_fork().is_err() {
            return "<reqbus.SlotPool of a parent process>".into();
        }
        let keys = py.detach(|| pool.known_keys());
        let closed = if pool.is_closed() { ", closed" } else { "" };
        format!("<reqbus.SlotPool keys={keys}{closed}>")
    }
}

/// Options as Python gives them.
fn pool_options(
    py: Python<'_>,
    first: Option<Vec<PyBackedStr>>,
    last: Option<Vec<PyBackedStr>>,
    processes: u32,
) -> PyResult<PoolOptions> {
    let ranks = match (first, last) {
        (None, None) => Ranks::default(),
        (first, last) => {
            let (first, last) = (first.unwrap_or_default(), last.unwrap_or_default());
            let texts = |names: &[PyBackedStr]| {
                names
                    .iter()
                    .map(|name| name.to_string())
                    .collect::<Vec<_>>()
            };
            let (first, last) = (texts(&first), texts(&last));
            let first: Vec<&str> = first.iter().map(String::as_str).collect();
            let last: Vec<&str> = last.iter().map(String::as_str).collect();
            Ranks::new(&first, &last)
        }
    };
    let processes = NonZeroU32::new(processes);
    Ok(PoolOptions {
        ranks,
        processes: processes.ok_or_else(|| invalid(py, "processes", "it is 0; give 1 or more"))?,
        ..PoolOptions::default()
    })
}
