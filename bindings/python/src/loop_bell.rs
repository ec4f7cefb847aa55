//! The bell of one event loop: one descriptor for everything that waits there.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use pyo3::exceptions::PyRuntimeError;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use reqbus_core::Bell;
use reqbus_core::bell::Drive;

use crate::errors::OrRaise;
use crate::here::{self, Serving};

static GET_RUNNING_LOOP: PyOnceLock<Py<PyAny>> = PyOnceLock::new();

/// How many tokens are taken at once.
const MANY: usize = 128;

/// How many a publish wakes at once: no more than it costs to ask for the loop's next turn.
const FEW: usize = 1;

/// What a loop's bell is, for the loop's thread and for those that wait on it.
pub struct LoopCore {
    pub bell: Bell,
    /// Kept and never polled: it says that whoever reads looks again by itself before it sleeps, so that a read needs
    /// not ring for what it leaves.
    _drive: Drive,
    /// Identifies the loop. Compared, never followed; the registration keeps the loop and this together.
    event_loop: usize,
    /// Its loop is no more, and nobody waits there.
    gone: AtomicBool,
    seats: Mutex<Seats>,
    /// Whose futures get their results in the loop's next turn. Once one is here, that turn is asked for.
    soon: Mutex<Vec<Weak<Seat>>>,
}

#[derive(Default)]
struct Seats {
    /// By token. Weak: a future leads to a task, which holds what waits, which holds its seat; the collector must be
    /// able to see that from the seat's owner.
    taken: Vec<Weak<Seat>>,
    free: Vec<usize>,
}

/// A token of a loop's bell, and the future that is waited on there. Its one owner shows it to the collector by
/// [`Seat::visit`].
pub struct Seat {
    pub core: Arc<LoopCore>,
    pub token: u64,
    future: Mutex<Option<Py<PyAny>>>,
}

impl Seat {
    /// The next ring of this token gives `future` its result.
    pub fn expect(&self, future: Py<PyAny>) {
        let before = self.future.lock().replace(future);
        drop(before); // Python code may run here: without the lock
    }

    /// Whether somebody waits here on a loop that was closed.
    pub fn is_forsaken(&self, py: Python<'_>) -> PyResult<bool> {
        let future = self
            .future
            .lock()
            .as_ref()
            .map(|future| future.clone_ref(py));
        let Some(future) = future else {
            return Ok(false);
        };
        let event_loop = future.call_method0(py, pyo3::intern!(py, "get_loop"))?;
        let closed = event_loop.call_method0(py, pyo3::intern!(py, "is_closed"))?;
        closed.is_truthy(py)
    }

    /// Nobody waits any more.
    pub fn expect_nothing(&self) {
        let before = self.future.lock().take();
        drop(before);
    }

    /// For `__traverse__` of its owner, which must not wait for a lock.
    pub fn visit(
        seat: &Mutex<Option<Arc<Self>>>,
        visit: &PyVisit<'_>,
    ) -> Result<(), PyTraverseError> {
        if let Some(seat) = seat.try_lock()
            && let Some(seat) = &*seat
            && let Some(future) = seat.future.try_lock()
            && let Some(future) = &*future
        {
            visit.call(future)?;
        }
        Ok(())
    }

    /// For `__clear__` of its owner.
    pub fn clear(seat: &Mutex<Option<Arc<Self>>>) {
        let seat = seat.lock().clone();
        if let Some(seat) = seat {
            seat.expect_nothing();
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut seats = self.core.seats.lock();
        if let Some(place) = seats.taken.get_mut(self.token as usize) {
            *place = Weak::new();
        }
        seats.free.push(self.token as usize);
    }
}

impl LoopCore {
    /// Whether its loop is no more.
    pub fn is_gone(&self) -> bool {
        // Relaxed: only lets go of it.
        self.gone.load(Ordering::Relaxed)
    }

    /// A token of its own for somebody who will wait on this loop.
    pub fn take_seat(self: &Arc<Self>) -> Arc<Seat> {
        let mut seats = self.seats.lock();
        let at = seats.free.pop().unwrap_or(seats.taken.len());
        let seat = Arc::new(Seat {
            core: self.clone(),
            token: at as u64,
            future: Mutex::new(None),
        });
        match seats.taken.get_mut(at) {
            Some(place) => *place = Arc::downgrade(&seat),
            None => seats.taken.push(Arc::downgrade(&seat)),
        }
        seat
    }

    /// Whether it is the bell of this loop.
    pub fn is_of(&self, event_loop: &Bound<'_, PyAny>) -> bool {
        event_loop.as_ptr() as usize == self.event_loop && !self.is_gone()
    }

    /// This bell's loop, if the calling thread runs it now.
    fn running<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        Ok(running_loop(py)?.filter(|running| self.is_of(running)))
    }

    /// The calling thread serves the bell and made something ready: gives futures their results, if this is their loop.
    /// Else nobody is taken, and all ring when it serves no more.
    #[cold]
    pub fn drain_here(self: &Arc<Self>, py: Python<'_>) {
        if let Ok(Some(_)) = self.running(py) {
            self.deliver(py, &self.take(Bell::leave).1);
        }
    }

    /// As [`LoopCore::drain_here`], in the loop's next turn if there are more than a few.
    #[cold]
    pub fn drain_soon(self: &Arc<Self>, py: Python<'_>) {
        let Ok(Some(running)) = self.running(py) else {
            return;
        };
        let (_, ready) = self.take(Bell::leave);
        if ready.len() <= FEW {
            return self.deliver(py, &ready);
        }
        let is_first = {
            let mut soon = self.soon.lock();
            soon.extend(ready.iter().map(Arc::downgrade));
            soon.len() == ready.len()
        };
        let call_soon = || {
            let deliver = Py::new(py, DeliverSoon(self.clone()))?;
            running.call_method1(pyo3::intern!(py, "call_soon"), (deliver,))
        };
        if is_first && !ready.is_empty() && call_soon().is_err() {
            self.deliver_soon(py);
        }
    }

    fn deliver_soon(&self, py: Python<'_>) {
        let soon = std::mem::take(&mut *self.soon.lock());
        let ready: Vec<_> = soon.iter().filter_map(Weak::upgrade).collect();
        self.deliver(py, &ready);
    }

    /// Gives the futures of ready tokens their results, on the loop's thread, after the descriptor was readable.
    fn drain(&self, py: Python<'_>) {
        loop {
            let (taken, ready) = self.take(Bell::take);
            self.deliver(py, &ready);
            if taken < MANY {
                return;
            }
        }
    }

    /// How many tokens were ready, at most [`MANY`], and whose. What there is no room for has been rung.
    fn take(&self, take: impl Fn(&Bell, &mut [u64]) -> usize) -> (usize, Vec<Arc<Seat>>) {
        let mut tokens = [0; MANY];
        let taken = take(&self.bell, &mut tokens);
        let seats = self.seats.lock();
        let tokens = tokens.iter().take(taken);
        let ready = tokens.map(|&token| seats.taken.get(token as usize)?.upgrade());
        (taken, ready.flatten().collect())
    }

    fn deliver(&self, py: Python<'_>, ready: &[Arc<Seat>]) {
        for seat in ready {
            let future = seat.future.lock().take();
            let Some(future) = future else { continue };
            if let Err(error) = wake(future.bind(py)) {
                // A future of a loop that was closed: nobody waits on it.
                error.write_unraisable(py, None);
            }
        }
    }

    /// The tokens of those that a thread of the loop itself has attached, which an attach makes ready.
    pub fn attach_here<R: Send>(
        self: &Arc<Self>,
        py: Python<'_>,
        attach: impl FnOnce() -> R + Send,
    ) -> R {
        // This thread runs the loop: who is woken here has its result at once.
        let serving = Serving::of(&self.bell);
        let attached = py.detach(attach);
        if self.bell.has_ready() {
            self.deliver(py, &self.take(Bell::leave).1);
        }
        drop(serving);
        attached
    }
}

/// The loop that the calling thread runs.
pub fn running_loop(py: Python<'_>) -> PyResult<Option<Bound<'_, PyAny>>> {
    let running = GET_RUNNING_LOOP
        .import(py, "asyncio", "_get_running_loop")?
        .call0()?;
    Ok((!running.is_none()).then_some(running))
}

/// Gives a future its result. One that has ended otherwise, cancelled above all, needs none.
fn wake(future: &Bound<'_, PyAny>) -> PyResult<()> {
    let py = future.py();
    let set = future.call_method1(pyo3::intern!(py, "set_result"), (py.None(),));
    match set {
        Ok(_) => Ok(()),
        Err(error)
            if future
                .call_method0(pyo3::intern!(py, "done"))?
                .is_truthy()? =>
        {
            drop(error);
            Ok(())
        }
        Err(error) => Err(error),
    }
}

/// What a loop calls in its next turn after a publish of its own.
#[pyclass(frozen, module = "reqbus._reqbus")]
struct DeliverSoon(Arc<LoopCore>);

#[pymethods]
impl DeliverSoon {
    fn __call__(&self, py: Python<'_>) {
        self.0.deliver_soon(py);
    }
}

/// The bell of one event loop.
#[pyclass(frozen, module = "reqbus._reqbus")]
pub struct LoopBell(pub Arc<LoopCore>);

impl Drop for LoopBell {
    fn drop(&mut self) {
        self.0.gone.store(true, Ordering::Relaxed);
        here::stand_up(&self.0);
    }
}

#[pymethods]
impl LoopBell {
    #[new]
    fn new(event_loop: &Bound<'_, PyAny>) -> Self {
        let bell = Bell::new();
        Self(Arc::new(LoopCore {
            _drive: bell.drive(),
            bell,
            event_loop: event_loop.as_ptr() as usize,
            gone: AtomicBool::new(false),
            seats: Mutex::default(),
            soon: Mutex::default(),
        }))
    }

    /// The descriptor that is readable while somebody is to be woken.
    fn fd(&self, py: Python<'_>) -> PyResult<i32> {
        py.detach(|| self.0.bell.fd()).or_raise(py)
    }

    /// Wakes who is to be woken: what `loop.add_reader` calls.
    fn drain(&self, py: Python<'_>) {
        self.0.drain(py);
    }

    /// The calling thread runs the loop.
    fn sit(&self, py: Python<'_>) -> PyResult<()> {
        if here::sits(&self.0) {
            return Ok(());
        }
        if self.0.running(py)?.is_none() {
            return Err(PyRuntimeError::new_err("this thread does not run the loop"));
        }
        here::sit(&self.0);
        Ok(())
    }

    /// How often the loop was woken through the descriptor.
    fn raises(&self) -> u64 {
        self.0.bell.raises()
    }

    fn __repr__(&self) -> String {
        let seats = self.0.seats.lock();
        let taken = seats.taken.len() - seats.free.len();
        format!(
            "<reqbus.LoopBell seats={taken} raises={}>",
            self.0.bell.raises()
        )
    }
}
