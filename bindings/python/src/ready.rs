//! An awaitable that is done.

use parking_lot::Mutex;
use pyo3::exceptions::PyRuntimeError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyTuple;

/// What a call returns that would have waited and need not: awaiting it suspends nobody.
#[pyclass(frozen, module = "reqbus._reqbus")]
pub struct Ready(Mutex<Option<Py<PyAny>>>);

impl Ready {
    pub fn of(value: Py<PyAny>) -> Self {
        Self(Mutex::new(Some(value)))
    }

    /// As an object.
    pub fn object(py: Python<'_>, value: Py<PyAny>) -> PyResult<Py<PyAny>> {
        Ok(Py::new(py, Self::of(value))?.into_any())
    }
}

/// As [`Ready`], of nothing, for any number of awaits.
#[pyclass(frozen, module = "reqbus._reqbus")]
struct Nothing;

static NOTHING: PyOnceLock<Py<PyAny>> = PyOnceLock::new();

impl Ready {
    /// An awaitable of `None`.
    pub fn nothing(py: Python<'_>) -> PyResult<Py<PyAny>> {
        let nothing =
            NOTHING.get_or_try_init(py, || Ok::<_, PyErr>(Py::new(py, Nothing)?.into_any()))?;
        Ok(nothing.clone_ref(py))
    }
}

#[pymethods]
impl Nothing {
    fn __await__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __iter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    /// At its end at once, which says `None`.
    fn __next__(&self) -> Option<Py<PyAny>> {
        None
    }
}

#[pymethods]
impl Ready {
    fn __await__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __iter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __next__(&self, py: Python<'_>) -> PyResult<*mut ffi::PyObject> {
        match self.0.lock().take() {
            Some(value) => ended_with(py, value),
            None => Err(PyRuntimeError::new_err(
                "cannot reuse already awaited answer",
            )),
        }
    }
}

/// What an iterator returns that ends with a value for whoever awaits it.
#[inline]
pub fn ended_with(py: Python<'_>, value: Py<PyAny>) -> PyResult<*mut ffi::PyObject> {
    // A value that is a tuple would be taken for the exception's arguments. Any other is set as it is, which spares the
    // interpreters that can be spared it to make the exception.
    let value = if value.bind(py).is_instance_of::<PyTuple>() {
        (value,).into_pyobject(py)?.into_any().unbind()
    } else {
        value
    };
    // SAFETY: both are alive, this thread is attached, and NULL with an exception set is what `tp_iternext` may return.
    unsafe { ffi::PyErr_SetObject(ffi::PyExc_StopIteration, value.as_ptr()) };
    Ok(std::ptr::null_mut())
}
