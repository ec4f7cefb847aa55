//! Reading a subscription: what is there, and, of threads, what comes.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures_core::Stream;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use reqbus_core::bus::{Batch, Join, Limits, OwnedItem};
use reqbus_core::wire::Form;
use reqbus_core::{Error, ErrorKind, Subscription as Core};

use crate::errors::{OrRaise, busy, raised};
use crate::event::form_of;
use crate::fork::is_renewed;
use crate::here::call;
use crate::items;
use crate::loop_bell::Seat;
use crate::seconds::in_slices;
use crate::subscription::Subscription;

/// What is read at once, and as what.
#[derive(Clone, Copy)]
pub struct Want {
    limits: Limits,
    form: Option<Form>,
    /// Texts in one piece.
    pub joined: bool,
}

impl Want {
    pub fn of(
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

impl Subscription {
    /// The subscription, if it has joined by now.
    pub fn core(&self, py: Python<'_>) -> PyResult<Option<&Core>> {
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
    pub fn taken(&self, py: Python<'_>, batch: &Batch, want: Want) -> PyResult<Py<PyAny>> {
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
    pub fn read(
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

    pub fn try_read(&self, py: Python<'_>, want: Want) -> PyResult<Option<Py<PyAny>>> {
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
    pub fn next_item(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
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

    pub fn seat(&self) -> Option<Arc<Seat>> {
        self.seat.lock().clone()
    }

    /// Claims the one wait. A task of a loop that was closed waits for ever: its wait is taken over.
    pub fn begin_wait(&self, py: Python<'_>) -> PyResult<u64> {
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

    pub fn end_wait(&self, number: u64) {
        // Not if it was taken over.
        let _ = self
            .waits
            .compare_exchange(number, 0, Ordering::Release, Ordering::Relaxed);
    }

    pub fn take_interrupt(&self, py: Python<'_>) -> PyResult<()> {
        if self.interrupted.swap(false, Ordering::AcqRel) {
            let message = "the wait was interrupted";
            let error = Error::fixed(ErrorKind::Interrupted, "subscription", message);
            return Err(raised(py, &error));
        }
        Ok(())
    }

    /// Blocks until it has joined.
    pub fn wait_joined(&self, py: Python<'_>) -> PyResult<&Core> {
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

    pub fn block(
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
pub fn closed_where_renewed(py: Python<'_>, error: Error) -> PyErr {
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
