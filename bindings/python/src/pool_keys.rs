//! What a pool tells of its keys, and what hosts set on them.

use std::time::Duration;

use pyo3::prelude::*;
use pyo3::types::PyList;
use reqbus_core::slots::{Holder, HolderId, Key, Limit, Reply, SlotPool as Core};

use crate::answer::answer;
use crate::ask::{Asks, limit_of};
use crate::errors::{OrRaise, invalid, limit_out};
use crate::pool::SlotPool;
use crate::records;
use crate::seconds::duration;

fn nothing(py: Python<'_>, (): ()) -> PyResult<Py<PyAny>> {
    Ok(py.None())
}

/// A list of what `make` makes of each.
fn list<T>(
    py: Python<'_>,
    items: &[T],
    make: fn(Python<'_>, &T) -> PyResult<Py<PyAny>>,
) -> PyResult<Py<PyAny>> {
    let items: Vec<_> = items
        .iter()
        .map(|item| make(py, item))
        .collect::<PyResult<_>>()?;
    Ok(PyList::new(py, items)?.into_any().unbind())
}

fn holder_list(py: Python<'_>, holders: Vec<Holder>) -> PyResult<Py<PyAny>> {
    list(py, &holders, records::holder)
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

/// Changes how a key is dealt with.
fn change(
    pool: &SlotPool,
    py: Python<'_>,
    blocks: bool,
    scope: String,
    id: &Bound<'_, PyAny>,
    change: fn(&Core, Key<'_>) -> Reply<()>,
) -> PyResult<Py<PyAny>> {
    let (named, core) = (Named::of(scope, id)?, pool.core());
    answer(py, blocks, || change(core, named.key()), nothing)
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
    change(pool, py, blocks, scope, id, Core::clear_limit)
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
    change(pool, py, blocks, scope, id, Core::close_key)
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
    change(pool, py, blocks, scope, id, Core::open_key)
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
    let answer = answer(py, blocks, ask, |py, loads| list(py, &loads, records::load));
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
