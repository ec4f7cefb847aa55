//! Answers of a store, that may come later.

use std::sync::Arc;

use parking_lot::Mutex;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use reqbus_core::slots::Reply;

use crate::errors::OrRaise;
use crate::here::call;
use crate::loop_bell::{LoopBell, Seat};
use crate::ready::Ready;

/// How an answer becomes an object.
pub type Make<T> = fn(Python<'_>, T) -> PyResult<Py<PyAny>>;

/// An answer that is not there yet. From memory every answer is there at once.
#[pyclass(frozen, module = "reqbus._reqbus")]
pub struct Answer {
    pending: Mutex<Box<dyn Pending>>,
    seat: Mutex<Option<Arc<Seat>>>,
}

trait Pending: Send {
    fn take(&mut self, py: Python<'_>) -> Option<PyResult<Py<PyAny>>>;
    fn attach(&self, seat: &Seat);
}

struct Of<T>(Option<Reply<T>>, Make<T>);

impl<T: Send> Pending for Of<T> {
    fn take(&mut self, py: Python<'_>) -> Option<PyResult<Py<PyAny>>> {
        let reply = self.0.as_mut()?;
        let answer = py.detach(|| reply.try_take())?;
        Some(answer.or_raise(py).and_then(|answer| (self.1)(py, answer)))
    }

    fn attach(&self, seat: &Seat) {
        if let Some(reply) = &self.0 {
            reply.attach(&seat.core.bell, seat.token);
        }
    }
}

/// The answer of a store: for the threaded face itself, for asyncio an awaitable of it.
pub fn answer<T: Send + 'static>(
    py: Python<'_>,
    blocks: bool,
    ask: impl FnOnce() -> Reply<T> + Send,
    make: Make<T>,
) -> PyResult<Py<PyAny>> {
    let mut reply = call(py, ask);
    if let Some(answer) = py.detach(|| reply.try_take()) {
        let answer = make(py, answer.or_raise(py)?)?;
        return if blocks {
            Ok(answer)
        } else {
            Ready::object(py, answer)
        };
    }
    if blocks {
        return make(py, py.detach(|| reply.wait(None)).or_raise(py)?);
    }
    let pending: Box<dyn Pending> = Box::new(Of(Some(reply), make));
    let answer = Answer {
        pending: Mutex::new(pending),
        seat: Mutex::new(None),
    };
    let wait = py.import("reqbus._waiting")?.getattr("wait_for_answer")?;
    Ok(wait.call1((answer,))?.unbind())
}

#[pymethods]
impl Answer {
    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        Seat::visit(&self.seat, &visit)
    }

    fn __clear__(&self) {
        Seat::clear(&self.seat);
    }

    /// The answer in a tuple, if it is there.
    fn _take(&self, py: Python<'_>) -> PyResult<Option<(Py<PyAny>,)>> {
        let taken = self.pending.lock().take(py);
        Ok(taken.transpose()?.map(|answer| (answer,)))
    }

    /// The answer gives `future` its result, on this bell's loop. Look after this.
    fn _expect(&self, py: Python<'_>, bell: &LoopBell, future: Py<PyAny>) {
        let seat = self.seat.lock().clone();
        let seat = seat.unwrap_or_else(|| {
            let seat = bell.0.take_seat();
            call(py, || self.pending.lock().attach(&seat));
            *self.seat.lock() = Some(seat.clone());
            seat
        });
        seat.expect(future);
    }
}
