//! A unit that is held.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::{Mutex, RwLock};
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::PyString;
use reqbus_core::slots::Slot as Core;
use reqbus_core::{Error, ErrorKind};

use crate::errors::{busy, raised};
use crate::here::call;
use crate::leaks::Leaks;
use crate::loop_bell::{LoopBell, Seat};
use crate::ready::Ready;
use crate::records;
use crate::seconds::{in_slices, timeout as timeout_of};

/// A request's place within its limits.
#[pyclass(frozen, weakref, module = "reqbus")]
pub struct Slot {
    /// Written only by a join, which empties it; `None` only while it is being dropped.
    core: RwLock<Option<Core>>,
    /// Where its pool's leaks are told, if anywhere.
    leaks: Option<Arc<Leaks>>,
    /// Where a task waits until it is lost.
    seat: Mutex<Option<Arc<Seat>>>,
    released: AtomicBool,
    /// What unties it from a task or future.
    untie: Mutex<Option<Py<PyAny>>>,
}

impl Slot {
    pub fn of(core: Core, leaks: Option<Arc<Leaks>>) -> Self {
        Self {
            core: RwLock::new(Some(core)),
            leaks,
            seat: Mutex::default(),
            released: AtomicBool::new(false),
            untie: Mutex::default(),
        }
    }

    /// Calls `work` with the slot.
    pub fn with<R: Default>(&self, work: impl FnOnce(&Core) -> R) -> R {
        self.core.read().as_ref().map(work).unwrap_or_default()
    }

    /// As [`Slot::with`], where nothing has no answer.
    pub fn read<R>(&self, work: impl FnOnce(Option<&Core>) -> R) -> R {
        work(self.core.read().as_ref())
    }

    #[inline]
    pub fn release(&self, py: Python<'_>) -> &'static str {
        call(py, || {
            self.released.store(true, Ordering::Release);
            let core = self.core.read();
            let Some(core) = core.as_ref() else {
                return "already";
            };
            let released = core.release().name();
            if let Some(seat) = &*self.seat.lock() {
                // A bell is not rung for a release; to attach again makes the token ready.
                let _ = core.attach(&seat.core.bell, seat.token);
            }
            released
        })
    }
}

#[pymethods]
impl Slot {
    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        Seat::visit(&self.seat, &visit)
    }

    fn __clear__(&self) {
        Seat::clear(&self.seat);
    }

    /// Gives everything back and hands it to whoever waits. Never waits or fails; says what it came to.
    #[pyo3(name = "release")]
    fn py_release<'py>(&self, py: Python<'py>) -> Bound<'py, PyString> {
        PyString::intern(py, self.release(py))
    }

    /// Gives back the part of one scope; `None` if it has none (any more).
    fn release_scope(&self, py: Python<'_>, scope: &str) -> Option<&'static str> {
        call(py, || {
            self.with(|core| core.release_scope(scope).map(|released| released.name()))
        })
    }

    /// Moves what `other` holds to this slot. Raises `InvalidArgumentError` above 8 keys.
    fn join(&self, py: Python<'_>, other: &Bound<'_, Self>) -> PyResult<()> {
        let other = other.get();
        if std::ptr::eq(self, other) {
            let error = Error::fixed(ErrorKind::InvalidArgument, "slot", "it cannot join itself");
            return Err(raised(py, &error));
        }
        let Some(mut from) = other.core.try_write() else {
            return Err(busy(py, "slot"));
        };
        let Some(from) = from.as_mut() else {
            return Ok(());
        };
        call(py, || self.with(|core| core.join(from).err()))
            .map_or(Ok(()), |error| Err(raised(py, &error)))
    }

    /// The keys it still holds or has lost, in the order they were taken.
    #[getter]
    fn keys(&self, py: Python<'_>) -> Vec<(String, String)> {
        let keys = py.detach(|| self.with(Core::keys));
        keys.iter().map(records::key).collect()
    }

    /// Its entries in the lists of holders: label, age in seconds, key.
    #[getter]
    fn holders(&self, py: Python<'_>) -> PyResult<Vec<Py<PyAny>>> {
        let holders = py.detach(|| self.with(Core::holders));
        holders
            .iter()
            .map(|holder| records::holder(py, holder))
            .collect()
    }

    /// Why it, or a part of it, was lost; `None` while it is not.
    #[getter]
    fn lost(&self, py: Python<'_>) -> Option<&'static str> {
        py.detach(|| self.with(Core::lost))
            .map(|reason| reason.name())
    }

    /// Whether it was released here.
    #[getter]
    fn released(&self) -> bool {
        self.released.load(Ordering::Acquire)
    }

    /// The same slot for threads.
    #[getter]
    fn blocking<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let module = slf.py().import("reqbus._blocking_slots")?;
        module.call_method1("BlockingSlot", (slf,))
    }

    /// A coroutine of why it is lost, or of `None` once it is released.
    fn until_lost<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let module = slf.py().import("reqbus._pool")?;
        module.call_method1("until_lost", (slf,))
    }

    /// Releases it when this task or future is done, however that ends.
    fn release_on_done(slf: &Bound<'_, Self>, done: &Bound<'_, PyAny>) -> PyResult<()> {
        slf.get().detach(slf.py())?;
        let module = slf.py().import("reqbus._pool")?;
        let untie = module.call_method1("tie", (slf, done))?.unbind();
        *slf.get().untie.lock() = Some(untie);
        Ok(())
    }

    /// Unties it from what `release_on_done` tied it to.
    fn detach(&self, py: Python<'_>) -> PyResult<()> {
        let untie = self.untie.lock().take();
        untie.map_or(Ok(()), |untie| untie.call0(py).map(drop))
    }

    /// Gives `future` its result when the slot is lost or released, on this bell's loop. Look after this.
    fn _expect(&self, py: Python<'_>, bell: &LoopBell, future: Py<PyAny>) -> PyResult<()> {
        let seat = self.seat.lock().clone();
        if let Some(seat) = seat.filter(|seat| Arc::ptr_eq(&seat.core, &bell.0)) {
            seat.expect(future);
            return Ok(());
        }
        let seat = bell.0.take_seat();
        let attached = call(py, || {
            self.with(|core| core.attach(&seat.core.bell, seat.token).err())
        });
        seat.expect(future);
        let before = self.seat.lock().replace(seat);
        drop(before);
        attached.map_or(Ok(()), |error| Err(raised(py, &error)))
    }

    /// Blocks until it is lost, and says why, or until it is released: `None`. `False` when the time is up.
    fn _block_lost(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<Py<PyAny>> {
        let lost = in_slices(py, timeout_of(py, timeout)?, |slice| {
            let answer = call(py, || match &*self.core.read() {
                Some(core) => core.wait_lost(Some(slice)),
                None => Ok(None),
            });
            match answer {
                Ok(lost) => Ok(Some(lost)),
                Err(error) if error.kind() == ErrorKind::Timeout => Ok(None),
                Err(error) => Err(raised(py, &error)),
            }
        })?;
        Ok(match lost {
            Some(Some(reason)) => reason.name().into_pyobject(py)?.into_any().unbind(),
            Some(None) => py.None(),
            None => false.into_pyobject(py)?.to_owned().into_any().unbind(),
        })
    }

    fn __enter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    #[pyo3(signature = (*_args))]
    fn __exit__(&self, py: Python<'_>, _args: &Bound<'_, PyAny>) {
        self.release(py);
    }

    fn __aenter__(slf: Py<Self>, py: Python<'_>) -> PyResult<Py<PyAny>> {
        Ready::object(py, slf.into_any())
    }

    #[pyo3(signature = (*_args))]
    fn __aexit__(&self, py: Python<'_>, _args: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        self.release(py);
        Ready::nothing(py)
    }

    /// What a finaliser does: for tests.
    fn _leak(&self, py: Python<'_>) {
        let core = self.core.write().take();
        call(py, || core.map(Core::leak));
    }

    fn __repr__(&self, py: Python<'_>) -> String {
        let (holders, lost) = py.detach(|| self.with(|core| (core.holders(), core.lost())));
        let held: Vec<_> = holders
            .iter()
            // The id may be a secret.
            .map(|holder| {
                format!(
                    "{} for {:.3} s",
                    holder.key.as_key().scope,
                    holder.age.as_secs_f64()
                )
            })
            .collect();
        let lost = lost.map_or_else(String::new, |reason| format!(", lost: {}", reason.name()));
        let held = if held.is_empty() {
            "released".into()
        } else {
            held.join(", ")
        };
        format!("<reqbus.Slot {held}{lost}>")
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if let Some(core) = self.core.get_mut().take() {
            // On a lock-free list, unless it was released; of a closed pool it is told at once, since nobody calls any more.
            core.leak();
            if let Some(leaks) = &self.leaks {
                Python::try_attach(|py| leaks.tell(py));
            }
        }
    }
}
