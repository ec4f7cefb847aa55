//! What a call asks slots of, as Python gives it.

use std::time::Duration;

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedStr;
use pyo3::types::{PyInt, PyString};
use reqbus_core::slots::{Ask, Key, Limit, WaitOptions};

use crate::errors::invalid;
use crate::seconds::duration;

/// A text of Python, or a number that is one.
pub enum Name {
    Text(PyBackedStr),
    Number(String),
}

impl Name {
    #[inline]
    pub fn of(name: &Bound<'_, PyAny>) -> PyResult<Self> {
        if let Ok(text) = name.cast::<PyString>() {
            return Ok(Self::Text(text.clone().try_into()?));
        }
        if name.is_instance_of::<PyInt>() {
            return Ok(match name.extract::<i64>() {
                Ok(number) => Self::Number(number.to_string()),
                Err(_) => Self::Number(name.str()?.to_string()),
            });
        }
        Err(PyTypeError::new_err("an id is a str or an int"))
    }

    #[inline]
    pub fn text(&self) -> &str {
        match self {
            Self::Text(text) => text,
            Self::Number(text) => text,
        }
    }
}

/// One key, with the limit that the caller knows for it.
pub struct Asked {
    scope: PyBackedStr,
    id: Name,
    limit: Option<Limit>,
}

/// A limit as Python gives it: an int, `"unlimited"`, or `None`.
#[inline]
pub fn limit_of(limit: Option<&Bound<'_, PyAny>>) -> PyResult<Option<Limit>> {
    let Some(limit) = limit else { return Ok(None) };
    if limit.is_instance_of::<PyInt>() {
        return match limit.extract::<u32>() {
            Ok(number) => Ok(Some(Limit::Of(number))),
            // Too large for core is refused by core, and says so.
            Err(_) if limit.gt(0)? => Ok(Some(Limit::Of(u32::MAX))),
            Err(_) => {
                let message = "it is negative; say \"unlimited\" if there is to be no limit";
                Err(invalid(limit.py(), "limit", message))
            }
        };
    }
    match limit.cast::<PyString>() {
        Ok(text) if text.to_cow()? == "unlimited" => Ok(Some(Limit::Unlimited)),
        _ => Err(PyTypeError::new_err(
            "a limit is an int, \"unlimited\" or None",
        )),
    }
}

impl Asked {
    #[inline]
    pub fn new(
        scope: &Bound<'_, PyString>,
        id: &Bound<'_, PyAny>,
        limit: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        Ok(Self {
            scope: scope.clone().try_into()?,
            id: Name::of(id)?,
            limit: limit_of(limit)?,
        })
    }

    /// Of a tuple: scope, id and perhaps a limit.
    fn of(ask: &Bound<'_, PyAny>) -> PyResult<Self> {
        let len = ask.len()?;
        if !(2..=3).contains(&len) {
            return Err(PyTypeError::new_err(
                "an ask is (scope, id) or (scope, id, limit)",
            ));
        }
        let limit = if len == 3 {
            Some(ask.get_item(2)?)
        } else {
            None
        };
        let limit = limit.filter(|limit| !limit.is_none());
        Self::new(ask.get_item(0)?.cast()?, &ask.get_item(1)?, limit.as_ref())
    }

    #[inline]
    fn ask(&self) -> Ask<'_> {
        Ask {
            key: self.key(),
            limit: self.limit,
        }
    }

    pub fn key(&self) -> Key<'_> {
        Key::new(&self.scope, self.id.text())
    }
}

/// Keys of one call. Most calls ask for one.
pub enum Asks {
    One(Asked),
    Many(Vec<Asked>),
}

impl Asks {
    pub fn of(asks: &Bound<'_, PyAny>) -> PyResult<Self> {
        let asks = asks.try_iter()?.map(|ask| Asked::of(&ask?));
        asks.collect::<PyResult<_>>().map(Self::Many)
    }

    /// Calls `work` with what is asked for.
    #[inline]
    pub fn with<R>(&self, work: impl FnOnce(&[Ask<'_>]) -> R) -> R {
        match self {
            Self::One(one) => work(&[one.ask()]),
            Self::Many(many) => work(&many.iter().map(Asked::ask).collect::<Vec<_>>()),
        }
    }
}

/// How a wait goes, as Python says it.
pub struct Terms {
    label: Option<PyBackedStr>,
    timeout: Duration,
    max_waiting: u32,
    ping_every: Option<Duration>,
}

impl Terms {
    #[inline]
    pub fn of(
        py: Python<'_>,
        label: Option<PyBackedStr>,
        timeout: Option<f64>,
        max_waiting: Option<u32>,
        ping_every: Option<f64>,
    ) -> PyResult<Self> {
        let timeout = timeout
            .map(|timeout| duration(py, "timeout", timeout))
            .transpose()?;
        let ping_every = ping_every
            .map(|every| duration(py, "ping_every", every))
            .transpose()?;
        Ok(Self {
            label,
            timeout: timeout.unwrap_or(WaitOptions::TIMEOUT),
            max_waiting: max_waiting.unwrap_or(WaitOptions::MAX_WAITING),
            ping_every,
        })
    }

    #[inline]
    pub fn options(&self) -> WaitOptions<'_> {
        WaitOptions {
            label: self.label.as_deref().unwrap_or_default(),
            timeout: self.timeout,
            max_waiting: self.max_waiting,
            ping_every: self.ping_every,
        }
    }
}
