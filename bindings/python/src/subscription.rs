//! A subscription, but for what waits in asyncio.

use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures_core::Stream;
use parking_lot::Mutex;
use pyo3::exceptions::PyStopAsyncIteration;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use reqbus_core::bus::{Batch, Join, Limits, OwnedItem};
use reqbus_core::wire::Form;
use reqbus_core::{Error, ErrorKind, Subscription as Core};

use crate::bus::Bus;
use crate::errors::{OrRaise, busy, raised};
use crate::event::{EventId, form_of};
use crate::fork::is_renewed;
use crate::guard::CleanupGuard;
use crate::here::call;
use crate::loop_bell::{LoopBell, Seat};
use crate::ready::Ready;
use crate::seconds::{in_slices, timeout as timeout_of};
use crate::subscribe::{Asked, after_text};
use crate::{items, records};

/// What is read at once, and as what.
#[derive(Clone, Copy)]
struct Want {
    limits: Limits,
    form: Option<Form>,
    /// Texts in one piece.
    joined: bool,
}

impl Want {
    fn of(
        py: Python<'_>,
        form: Option<&str>,
        max_items: usize,
        max_bytes: usize,
    ) -> PyResult<Self> {
        let (form, joined) = match form {
            None => (None, false),
            // A form with a plus behind it: joined.
            Some(name) => match name.strip_suffix('+') {
                Some(name) => (Some(form_of(py, name)?), true),
                None => (Some(form_of(py, name)?), false),
            },
        };
        Ok(Self {
            limits: Limits {
                max_items,
                max_bytes,
            },
            form,
            joined,
        })
    }
}

/// One reader of a bus.
#[pyclass(frozen, subclass, weakref, module = "reqbus._reqbus")]
pub struct Subscription {
    /// Joined: from then on it stays.
    open: OnceLock<Core>,
    /// Until it has joined, while its audience is being cleaned up.
    join: Mutex<Option<Join>>,
    batch: Mutex<Batch>,
    /// Where its wakes go: the loop on which it was waited for last.
    seat: Mutex<Option<Arc<Seat>>>,
    /// That seat is the join's; the subscription needs one of its own.
    seat_of_join: AtomicBool,
    /// The number of the wait that is under way, in asyncio or blocked; 0 for none.
    waits: AtomicU64,
    last_wait: AtomicU64,
    interrupted: AtomicBool,
    linger: Duration,
}

impl Subscription {
    /// The subscription, if it has joined by now.
    fn core(&self, py: Python<'_>) -> PyResult<Option<&Core>> {
        if let Some(core) = self.open.get() {
            return Ok(Some(core));
        }
        let joined = call(py, || {
            let mut join = self.join.lock();
            let joined = join.as_mut().and_then(Join::try_finish);
            if joined.is_some() {
                *join = None;
            }
            joined
        });
        match joined {
            Some(Ok(core)) => Ok(Some(self.open.get_or_init(|| core))),
            Some(Err(error)) => Err(closed_where_renewed(py, error)),
            // Another thread was faster, or it failed before.
            None if self.join.lock().is_none() => match self.open.get() {
                Some(core) => Ok(Some(core)),
                None => Err(raised(py, &Error::closed("subscription"))),
            },
            None => Ok(None),
        }
    }

    /// What a batch holds.
    fn taken(&self, py: Python<'_>, batch: &Batch, want: Want) -> PyResult<Py<PyAny>> {
        if want.joined {
            return Ok(PyBytes::new(py, batch.texts().buffer).into_any().unbind());
        }
        if want.form.is_some() {
            let texts = batch.texts();
            let texts: Vec<_> = (0..batch.len())
                .filter_map(|at| texts.get(at).map(|text| PyBytes::new(py, text)))
                .collect();
            return Ok(texts.into_pyobject(py)?.into_any().unbind());
        }
        let items: Vec<_> = batch
            .iter()
            .map(|item| items::object(py, item))
            .collect::<PyResult<_>>()?;
        Ok(items.into_pyobject(py)?.into_any().unbind())
    }

    /// Reads into this subscription's own batch, or one for this call if another thread has that.
    fn read(
        &self,
        py: Python<'_>,
        want: Want,
        read: impl FnOnce(&mut Batch) -> Result<usize, Error> + Send,
    ) -> PyResult<Result<Option<Py<PyAny>>, Error>> {
        let mut own = self
            .batch
            .try_lock()
            .map(|mut batch| std::mem::take(&mut *batch));
        let mut batch = own.take().unwrap_or_default();
        let read = call(py, || read(&mut batch));
        let answer = match read {
            Ok(0) => Ok(None),
            Ok(_) => Ok(Some(self.taken(py, &batch, want)?)),
            Err(error) => Err(error),
        };
        batch.clear();
        if let Some(mut place) = self.batch.try_lock() {
            *place = batch;
        }
        Ok(answer)
    }

    fn try_read(&self, py: Python<'_>, want: Want) -> PyResult<Option<Py<PyAny>>> {
        let Some(core) = self.core(py)? else {
            return Ok(None);
        };
        let Want { limits, form, .. } = want;
        let answer = self.read(py, want, |batch| match form {
            None => core.try_recv(batch, limits),
            Some(form) => core.try_recv_texts(batch, form, limits),
        })?;
        answer.map_err(|error| closed_where_renewed(py, error))
    }

    /// The next item, if there is one; what was read ahead stays the subscription's.
    fn next_item(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        let Some(core) = self.core(py)? else {
            return Ok(None);
        };
        let next = call(py, || {
            let mut items = pin!(core.items());
            items
                .as_mut()
                .poll_next(&mut Context::from_waker(Waker::noop()))
        });
        match next {
            Poll::Pending => Ok(None),
            Poll::Ready(None) => Err(raised(py, &Error::closed("subscription"))),
            Poll::Ready(Some(Ok(OwnedItem::Event { event, n }))) => {
                let event = crate::event::Event::new(event, n);
                Ok(Some(Py::new(py, event)?.into_any()))
            }
            Poll::Ready(Some(Ok(item))) => Ok(Some(items::object(py, item.as_item())?)),
            Poll::Ready(Some(Err(error))) => Err(closed_where_renewed(py, error)),
        }
    }

    fn seat(&self) -> Option<Arc<Seat>> {
        self.seat.lock().clone()
    }

    /// Claims the one wait. A task of a loop that was closed waits for ever: its wait is taken over.
    fn begin_wait(&self, py: Python<'_>) -> PyResult<u64> {
        let number = self.last_wait.fetch_add(1, Ordering::Relaxed) + 1;
        let claim = |from| {
            let claimed =
                self.waits
                    .compare_exchange(from, number, Ordering::AcqRel, Ordering::Relaxed);
            claimed.map(|_| number)
        };
        let Err(other) = claim(0) else {
            return Ok(number);
        };
        match self.seat() {
            Some(seat) if seat.is_forsaken(py)? => {
                let claimed = claim(other).map_err(|_| busy(py, "subscription"));
                seat.expect_nothing();
                claimed
            }
            _ => Err(busy(py, "subscription")),
        }
    }

    fn end_wait(&self, number: u64) {
        // Not if it was taken over.
        let _ = self
            .waits
            .compare_exchange(number, 0, Ordering::Release, Ordering::Relaxed);
    }

    fn take_interrupt(&self, py: Python<'_>) -> PyResult<()> {
        if self.interrupted.swap(false, Ordering::AcqRel) {
            let message = "the wait was interrupted";
            let error = Error::fixed(ErrorKind::Interrupted, "subscription", message);
            return Err(raised(py, &error));
        }
        Ok(())
    }

    /// Blocks until it has joined.
    fn wait_joined(&self, py: Python<'_>) -> PyResult<&Core> {
        loop {
            if let Some(core) = self.core(py)? {
                return Ok(core);
            }
            let join = self.join.lock().take();
            let Some(join) = join else { continue };
            let core = call(py, || join.wait()).or_raise(py)?;
            return Ok(self.open.get_or_init(|| core));
        }
    }

    fn block(
        &self,
        py: Python<'_>,
        want: Want,
        timeout: Option<Duration>,
    ) -> PyResult<Option<Py<PyAny>>> {
        let core = self.wait_joined(py)?;
        // A loop's bell is no place for a thread's wakes.
        let seat = self.seat.lock().take();
        drop(seat);
        call(py, || core.detach());
        in_slices(py, timeout, |slice| {
            self.take_interrupt(py)?;
            let Want { limits, form, .. } = want;
            let answer = self.read(py, want, |batch| match form {
                None => core.recv_timeout(batch, limits, Some(slice)),
                Some(form) => core.recv_texts_timeout(batch, form, limits, Some(slice)),
            })?;
            match answer {
                Ok(taken) => Ok(taken),
                Err(error) if error.kind() == ErrorKind::Timeout => Ok(None),
                Err(error) if error.kind() == ErrorKind::Interrupted => {
                    self.take_interrupt(py)?;
                    Ok(None)
                }
                Err(error) => Err(closed_where_renewed(py, error)),
            }
        })
    }
}

/// A subscription of a parent process is closed in its children, once Python has renewed the bus there.
#[cold]
fn closed_where_renewed(py: Python<'_>, error: Error) -> PyErr {
    if error.kind() == ErrorKind::Forked && is_renewed() {
        return raised(
            py,
            &Error::fixed(
                ErrorKind::Closed,
                "subscription",
                "it was made before fork()",
            ),
        );
    }
    raised(py, &error)
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
