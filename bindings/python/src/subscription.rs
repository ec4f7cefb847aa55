//! A subscription, but for what waits in asyncio.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use parking_lot::Mutex;
use pyo3::exceptions::PyStopAsyncIteration;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use reqbus_core::Subscription as Core;
use reqbus_core::bus::{Batch, Join};

use crate::bus::Bus;
use crate::event::{EventId, form_of};
use crate::guard::CleanupGuard;
use crate::here::call;
use crate::loop_bell::{LoopBell, Seat};
use crate::reading::{Want, closed_where_renewed};
use crate::ready::Ready;
use crate::records;
use crate::seconds::timeout as timeout_of;
use crate::subscribe::{Asked, after_text};

/// One reader of a bus.
#[pyclass(frozen, subclass, weakref, module = "reqbus._reqbus")]
pub struct Subscription {
    /// Joined: from then on it stays.
    pub open: OnceLock<Core>,
    /// Until it has joined, while its audience is being cleaned up.
    pub join: Mutex<Option<Join>>,
    pub batch: Mutex<Batch>,
    /// Where its wakes go: the loop on which it was waited for last.
    pub seat: Mutex<Option<Arc<Seat>>>,
    /// That seat is the join's; the subscription needs one of its own.
    seat_of_join: AtomicBool,
    /// The number of the wait that is under way, in asyncio or blocked; 0 for none.
    pub waits: AtomicU64,
    pub last_wait: AtomicU64,
    pub interrupted: AtomicBool,
    linger: Duration,
}

#[pymethods]
impl Subscription {
    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        Seat::visit(&self.seat, &visit)
    }

    fn __clear__(&self) {
        Seat::clear(&self.seat);
    }

    #[new]
    #[pyo3(signature = (bus, after, options))]
    fn new(
        py: Python<'_>,
        bus: Py<Bus>,
        after: Option<&Bound<'_, PyAny>>,
        options: Asked,
    ) -> PyResult<Self> {
        let after = after.map(after_text).transpose()?;
        let (join, linger) = options.join(py, bus.get(), after.as_deref())?;
        let subscription = Self {
            open: OnceLock::new(),
            join: Mutex::new(Some(join)),
            batch: Mutex::default(),
            seat: Mutex::default(),
            seat_of_join: AtomicBool::new(false),
            waits: AtomicU64::new(0),
            last_wait: AtomicU64::new(0),
            interrupted: AtomicBool::new(false),
            linger,
        };
        subscription.core(py)?;
        Ok(subscription)
    }

    /// Its number on its bus, from 1; 0 until it has joined.
    #[getter]
    fn id(&self, py: Python<'_>) -> PyResult<u64> {
        Ok(self.core(py)?.map_or(0, Core::id))
    }

    /// Its label.
    #[getter]
    fn label(&self, py: Python<'_>) -> PyResult<String> {
        Ok(self
            .core(py)?
            .map_or_else(String::new, |core| core.label().to_owned()))
    }

    /// How many seconds a burst may gather before it is read.
    #[getter]
    fn linger(&self) -> f64 {
        self.linger.as_secs_f64()
    }

    /// Whether it was the first of its audience when it joined.
    #[getter]
    fn is_first(&self, py: Python<'_>) -> PyResult<bool> {
        Ok(self.core(py)?.is_some_and(Core::is_first))
    }

    /// Whether it, or its bus, was closed.
    #[getter]
    fn closed(&self, py: Python<'_>) -> bool {
        match self.core(py) {
            Ok(Some(core)) => py.detach(|| core.check_fork().is_err() || core.is_closed()),
            Ok(None) => false,
            Err(_) => true,
        }
    }

    /// The newest id up to which every event was delivered, filtered out, or told as lost.
    #[getter]
    fn settled(&self, py: Python<'_>) -> PyResult<Option<EventId>> {
        Ok(self
            .core(py)?
            .map(|core| EventId(py.detach(|| core.settled()))))
    }

    /// Its account.
    fn stats(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let stats = self.core(py)?.map(|core| py.detach(|| core.stats()));
        records::subscription_stats(py, &stats.unwrap_or_default())
    }

    /// What a quiet connection is sent now and then: in SSE a block of the settled id alone.
    #[pyo3(signature = (form="sse"))]
    fn heartbeat(&self, py: Python<'_>, form: &str) -> PyResult<Py<PyBytes>> {
        let form = form_of(py, form)?;
        let mut text = Vec::new();
        if let Some(core) = self.core(py)? {
            py.detach(|| core.heartbeat(form, &mut text));
        }
        Ok(PyBytes::new(py, &text).unbind())
    }

    /// The cleanup guard of its audience, if it is the sole member, which then ends its membership; else `None`.
    fn cleanup_guard(&self, py: Python<'_>) -> PyResult<Option<CleanupGuard>> {
        let Some(core) = self.core(py)? else {
            return Ok(None);
        };
        Ok(call(py, || core.cleanup_guard()).map(CleanupGuard::of))
    }

    /// Closes it: it may still be read up to its end. Whether it was the last of its audience; `None` without one.
    fn close(&self, py: Python<'_>) -> Option<bool> {
        // One that has not joined joins nothing any more.
        let join = self.join.lock().take();
        py.detach(|| drop(join));
        let core = self.open.get();
        core.and_then(|core| call(py, || core.close()).was_last)
    }

    /// Ends the wait that is under way, or the next one, with `InterruptedError`. Any thread may call it.
    fn interrupt(&self, py: Python<'_>) {
        self.interrupted.store(true, Ordering::Release);
        call(py, || {
            let Some(core) = self.open.get() else { return };
            // A blocked thread is woken by core, whose own mark is then passed over ...
            core.interrupt();
            // ... and a task by its token, which an attach makes ready.
            if let Some(seat) = self.seat() {
                let _ = core.attach(&seat.core.bell, seat.token);
            }
        });
    }

    /// Takes what is there, without waiting; an empty list when there is nothing now.
    ///
    /// Raises `ClosedError` once everything up to the end was read.
    #[pyo3(signature = (max_items=256, max_bytes=1_048_576))]
    fn try_recv(&self, py: Python<'_>, max_items: usize, max_bytes: usize) -> PyResult<Py<PyAny>> {
        let items = self.try_read(py, Want::of(py, None, max_items, max_bytes)?)?;
        items.map_or_else(
            || Ok(pyo3::types::PyList::empty(py).into_any().unbind()),
            Ok,
        )
    }

    /// As `try_recv`: the text of each item in `form`; `max_bytes` bounds the texts.
    #[pyo3(signature = (form, max_items=256, max_bytes=1_048_576))]
    fn try_recv_texts(
        &self,
        py: Python<'_>,
        form: &str,
        max_items: usize,
        max_bytes: usize,
    ) -> PyResult<Py<PyAny>> {
        let texts = self.try_read(py, Want::of(py, Some(form), max_items, max_bytes)?)?;
        texts.map_or_else(
            || Ok(pyo3::types::PyList::empty(py).into_any().unbind()),
            Ok,
        )
    }

    /// As `try_recv_texts`, in one piece.
    #[pyo3(signature = (form, max_items=256, max_bytes=1_048_576))]
    fn try_recv_bytes(
        &self,
        py: Python<'_>,
        form: &str,
        max_items: usize,
        max_bytes: usize,
    ) -> PyResult<Py<PyAny>> {
        let mut want = Want::of(py, Some(form), max_items, max_bytes)?;
        want.joined = true;
        let text = self.try_read(py, want)?;
        Ok(text.unwrap_or_else(|| PyBytes::new(py, b"").into_any().unbind()))
    }

    /// What there is, as `_block` returns it, or `None`. Form `None` is items; `"sse"` texts; `"sse+"` joined.
    fn _take(
        &self,
        py: Python<'_>,
        form: Option<&str>,
        max_items: usize,
        max_bytes: usize,
    ) -> PyResult<Option<Py<PyAny>>> {
        self.try_read(py, Want::of(py, form, max_items, max_bytes)?)
    }

    /// The next item, or `None` while there is none.
    fn _next(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        self.next_item(py)
    }

    /// Blocks until there is something, without the interpreter's lock. `None` when the time is up.
    fn _block(
        &self,
        py: Python<'_>,
        form: Option<&str>,
        max_items: usize,
        max_bytes: usize,
        timeout: Option<f64>,
    ) -> PyResult<Option<Py<PyAny>>> {
        let want = Want::of(py, form, max_items, max_bytes)?;
        let timeout = timeout_of(py, timeout)?;
        let number = self.begin_wait(py)?;
        let answer = self.block(py, want, timeout);
        self.end_wait(number);
        answer
    }

    /// Blocks until it has joined its audience.
    fn _block_joined(&self, py: Python<'_>) -> PyResult<()> {
        self.wait_joined(py).map(drop)
    }

    /// Whether it has joined by now.
    fn _joined(&self, py: Python<'_>) -> PyResult<bool> {
        Ok(self.core(py)?.is_some())
    }

    /// Claims the one wait for a task of this bell's loop, to which wakes go from now on.
    fn _begin(&self, py: Python<'_>, bell: &LoopBell) -> PyResult<u64> {
        let number = self.begin_wait(py)?;
        let is_open = self.open.get().is_some();
        let seat = self.seat();
        let is_seated = seat.is_some_and(|seat| Arc::ptr_eq(&seat.core, &bell.0));
        if is_seated && is_open && !self.seat_of_join.load(Ordering::Relaxed) {
            return Ok(number);
        }
        let seat = bell.0.take_seat();
        self.seat_of_join.store(!is_open, Ordering::Relaxed);
        let attached = call(py, || {
            if is_open && let Some(core) = self.open.get() {
                return core.attach(&seat.core.bell, seat.token);
            }
            if let Some(join) = &*self.join.lock() {
                join.attach(&seat.core.bell, seat.token);
            }
            Ok(())
        });
        if let Err(error) = attached {
            self.end_wait(number);
            return Err(closed_where_renewed(py, error));
        }
        let before = self.seat.lock().replace(seat);
        drop(before);
        Ok(number)
    }

    /// The next wake gives `future` its result. Look after this.
    fn _expect(&self, py: Python<'_>, future: Py<PyAny>) -> PyResult<()> {
        self.take_interrupt(py)?;
        if let Some(seat) = self.seat() {
            seat.expect(future);
        }
        Ok(())
    }

    /// Ends what `_begin` began.
    fn _end(&self, number: u64) {
        if self.waits.load(Ordering::Acquire) != number {
            return;
        }
        if let Some(seat) = self.seat() {
            seat.expect_nothing();
        }
        self.end_wait(number);
    }

    /// The next item at once, or a coroutine that waits for it.
    fn __anext__(slf: &Bound<'_, Self>) -> PyResult<Py<PyAny>> {
        let py = slf.py();
        match slf.get().next_item(py) {
            Ok(Some(item)) => Ready::object(py, item),
            Ok(None) => Ok(slf.call_method0(pyo3::intern!(py, "_wait_next"))?.unbind()),
            Err(error) if is_closed(py, &error) => Err(PyStopAsyncIteration::new_err(())),
            Err(error) => Err(error),
        }
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let Some(core) = self.open.get() else {
            return Ok("<reqbus.Subscription, not joined>".into());
        };
        if core.check_fork().is_err() {
            return Ok("<reqbus.Subscription of a parent process>".into());
        }
        let (stats, closed) = py.detach(|| (core.stats(), core.is_closed()));
        Ok(format!(
            "<reqbus.Subscription {} {:?} pending={} lost={}{}>",
            core.id(),
            core.label(),
            stats.pending,
            stats.lost(),
            if closed { ", closed" } else { "" }
        ))
    }
}

static CLOSED: pyo3::sync::PyOnceLock<Py<PyAny>> = pyo3::sync::PyOnceLock::new();

/// Whether an exception is `reqbus.ClosedError`.
fn is_closed(py: Python<'_>, error: &PyErr) -> bool {
    let class = CLOSED.import(py, "reqbus._errors", "ClosedError");
    class.is_ok_and(|class| error.is_instance(py, class.as_any()))
}

impl Drop for Subscription {
    fn drop(&mut self) {
        // Freed without the interpreter's lock, which this thread has unless the interpreter is going.
        let (open, join) = (self.open.take(), self.join.get_mut().take());
        let seat = self.seat.get_mut().take();
        drop(seat);
        Python::try_attach(|py| py.detach(|| drop((open, join))));
    }
}
