//! Errors: core's kinds and outcomes become the classes of `reqbus._errors`.

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use reqbus_core::slots::{Limit, Refusal};
use reqbus_core::{Error, ErrorKind};

static MAKE_ERROR: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
static MAKE_REFUSAL: PyOnceLock<Py<PyAny>> = PyOnceLock::new();

/// The exception of an error.
#[cold]
pub fn raised(py: Python<'_>, error: &Error) -> PyErr {
    let make = || -> PyResult<PyErr> {
        let make = MAKE_ERROR.import(py, "reqbus._errors", "make_error")?;
        let parts = (error.kind().name(), error.context(), error.message());
        Ok(PyErr::from_value(make.call1(parts)?))
    };
    make().unwrap_or_else(|error| error)
}

/// The exception of a refusal.
#[cold]
pub fn refused(py: Python<'_>, refusal: &Refusal) -> PyErr {
    let make = || -> PyResult<PyErr> {
        let make = MAKE_REFUSAL.import(py, "reqbus._errors", "make_refusal")?;
        let cause = refusal.cause();
        let cause = cause.map(|cause| (cause.kind().name(), cause.context(), cause.message()));
        let parts = (
            refusal.outcome().name(),
            refusal.scope(),
            limit_out(py, refusal.limit())?,
            refusal.in_use(),
            refusal.waiting(),
            refusal.position(),
            refusal.waited().as_secs_f64(),
            refusal.pings(),
            refusal.retry_after().map(|after| after.as_secs()),
            cause,
            refusal.to_string(),
        );
        Ok(PyErr::from_value(make.call1(parts)?))
    };
    make().unwrap_or_else(|error| error)
}

/// A limit as Python sees it: a number, `"unlimited"`, or `None`.
pub fn limit_out(py: Python<'_>, limit: Option<Limit>) -> PyResult<Py<PyAny>> {
    Ok(match limit {
        Some(Limit::Of(number)) => number.into_pyobject(py)?.into_any().unbind(),
        Some(Limit::Unlimited) => "unlimited".into_pyobject(py)?.into_any().unbind(),
        None => py.None(),
    })
}

/// An argument is wrong.
#[cold]
pub fn invalid(py: Python<'_>, context: &'static str, message: &'static str) -> PyErr {
    let error = Error::fixed(ErrorKind::InvalidArgument, context, message);
    raised(py, &error)
}

/// Another wait is under way.
#[cold]
pub fn busy(py: Python<'_>, context: &'static str) -> PyErr {
    let message = "another thread or task waits on this; one wait at a time";
    raised(py, &Error::fixed(ErrorKind::Busy, context, message))
}

/// Turns core's answer into Python's.
pub trait OrRaise<T> {
    /// The value, or the exception.
    fn or_raise(self, py: Python<'_>) -> PyResult<T>;
}

impl<T> OrRaise<T> for Result<T, Error> {
    #[inline]
    fn or_raise(self, py: Python<'_>) -> PyResult<T> {
        self.map_err(|error| raised(py, &error))
    }
}

impl<T> OrRaise<T> for Result<T, Refusal> {
    #[inline]
    fn or_raise(self, py: Python<'_>) -> PyResult<T> {
        self.map_err(|refusal| refused(py, &refusal))
    }
}
