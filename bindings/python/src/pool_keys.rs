//! What a pool tells of its keys, and what hosts set on them.

use std::time::Duration;

use pyo3::prelude::*;
use pyo3::types::PyList;
use reqbus_core::slots::{Holder, HolderId, Key, Limit, Load};

use crate::answer::answer;
use crate::ask::{Asks, limit_of};
use crate::errors::{OrRaise, invalid, limit_out};
use crate::pool::SlotPool;
use crate::records;
use crate::seconds::duration;

fn nothing(py: Python<'_>, (): ()) -> PyResult<Py<PyAny>> {
    Ok(py.None())
}

fn load_list(py: Python<'_>, loads: Vec<Load>) -> PyResult<Py<PyAny>> {
    let loads: Vec<_> = loads
        .iter()
        .map(|load| records::load(py, load))
        .collect::<PyResult<_>>()?;
    Ok(PyList::new(py, loads)?.into_any().unbind())
}

fn holder_list(py: Python<'_>, holders: Vec<Holder>) -> PyResult<Py<PyAny>> {
    let holders: Vec<_> = holders
        .iter()
        .map(|holder| records::holder(py, holder))
        .collect::<PyResult<_>>()?;
    Ok(PyList::new(py, holders)?.into_any().unbind())
}

fn was_held(py: Python<'_>, was_held: bool) -> PyResult<Py<PyAny>> {
    Ok(was_held.into_pyobject(py)?.to_owned().into_any().unbind())
}

/// A scope and an id, as Python gives them.
pub struct Named {
    scope: String,
    id: crate::ask::Name,
}

impl Named {
    pub fn of(scope: String, id: &Bound<'_, PyAny>) -> PyResult<Self> {
        Ok(Self {
            scope,
            id: crate::ask::Name::of(id)?,
        })
    }

    pub fn key(&self) -> Key<'_> {
        Key::new(&self.scope, self.id.text())
    }
}

/// Sets a limit that wins over those of calls.
#[pyfunction]
pub fn set_limit(
    pool: &SlotPool,
    py: Python<'_>,
    blocks: bool,
    scope: String,
    id: &Bound<'_, PyAny>,
    limit: &Bound<'_, PyAny>,
) -> PyResult<Py<PyAny>> {
    let named = Named::of(scope, id)?;
    let limit = limit_of(Some(limit))?.ok_or_else(|| invalid(py, "limit", "there is none"))?;
    let core = pool.core();
    answer(py, blocks, || core.set_limit(named.key(), limit), nothing)
}

/// The limits of calls decide again.
#[pyfunction]
pub fn clear_limit(
    pool: &SlotPool,
    py: Python<'_>,
    blocks: bool,
    scope: String,
    id: &Bound<'_, PyAny>,
) -> PyResult<Py<PyAny>> {
    let (named, core) = (Named::of(scope, id)?, pool.core());
    answer(py, blocks, || core.clear_limit(named.key()), nothing)
}

/// Refuses newcomers and waiters of a key.
#[pyfunction]
pub fn close_key(
    pool: &SlotPool,
    py: Python<'_>,
    blocks: bool,
    scope: String,
    id: &Bound<'_, PyAny>,
) -> PyResult<Py<PyAny>> {
    let (named, core) = (Named::of(scope, id)?, pool.core());
    answer(py, blocks, || core.close_key(named.key()), nothing)
}

/// Opens a closed key.
#[pyfunction]
pub fn open_key(
    pool: &SlotPool,
    py: Python<'_>,
    blocks: bool,
    scope: String,
    id: &Bound<'_, PyAny>,
) -> PyResult<Py<PyAny>> {
    let (named, core) = (Named::of(scope, id)?, pool.core());
    answer(py, blocks, || core.open_key(named.key()), nothing)
}

/// How keys stand.
#[pyfunction]
pub fn load(
    pool: &SlotPool,
    py: Python<'_>,
    blocks: bool,
    keys: &Bound<'_, PyAny>,
) -> PyResult<Py<PyAny>> {
    let (keys, core) = (Asks::of(keys)?, pool.core());
    let ask = || keys.with(|asks| core.load(&asks.iter().map(|ask| ask.key).collect::<Vec<_>>()));
    let answer = answer(py, blocks, ask, load_list);
    pool.after(py);
    answer
}

/// Who holds slots of a key.
#[pyfunction]
pub fn holders(
    pool: &SlotPool,
    py: Python<'_>,
    blocks: bool,
    scope: String,
    id: &Bound<'_, PyAny>,
) -> PyResult<Py<PyAny>> {
    let (named, core) = (Named::of(scope, id)?, pool.core());
    let answer = answer(py, blocks, || core.holders(named.key()), holder_list);
    pool.after(py);
    answer
}

/// Who has held any slot for longer.
#[pyfunction]
pub fn held_longer_than(
    pool: &SlotPool,
    py: Python<'_>,
    blocks: bool,
    seconds: f64,
) -> PyResult<Py<PyAny>> {
    let (age, core): (Duration, _) = (duration(py, "seconds", seconds)?, pool.core());
    let answer = answer(py, blocks, || core.held_longer_than(age), holder_list);
    pool.after(py);
    answer
}

/// Takes a slot away.
#[pyfunction]
pub fn force(
    pool: &SlotPool,
    py: Python<'_>,
    blocks: bool,
    scope: String,
    id: &Bound<'_, PyAny>,
    holder: u64,
) -> PyResult<Py<PyAny>> {
    let (named, core) = (Named::of(scope, id)?, pool.core());
    answer(
        py,
        blocks,
        || core.force(named.key(), HolderId::from_u64(holder)),
        was_held,
    )
}

/// A limit as the replaced systems wrote it: 0 and less mean unlimited.
#[pyo3::pyfunction]
pub fn nonpositive_is_unlimited(py: Python<'_>, number: i64) -> PyResult<Py<PyAny>> {
    let limit = Limit::nonpositive_is_unlimited(number).or_raise(py)?;
    limit_out(py, Some(limit))
}
