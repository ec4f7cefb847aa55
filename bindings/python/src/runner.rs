//! The runner: what admits checks and accounts for them. Python runs them.

use std::time::Duration;

use parking_lot::Mutex;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedStr;
use reqbus_core::runner::{Admission, Due, Permit as CorePermit, RunnerOptions, Verdict};

use crate::errors::{OrRaise, invalid};
use crate::here::call;
use crate::records;
use crate::renewed::Renewed;
use crate::seconds::{clock_of, duration};
use crate::teller::Teller;

/// Periodic checks: which may begin, and what became of them.
#[pyclass(frozen, subclass, weakref, module = "reqbus._reqbus")]
pub struct Runner {
    options: RunnerOptions,
    teller: Option<Py<Teller>>,
    core: Renewed<Admission>,
}

impl Runner {
    fn made(
        py: Python<'_>,
        options: &RunnerOptions,
        teller: Option<&Py<Teller>>,
    ) -> PyResult<Admission> {
        let mut options = options.clone();
        if let Some(teller) = teller {
            options.observer = Some(teller.get().core(py)?);
        }
        py.detach(|| Admission::new(options)).or_raise(py)
    }
}

#[pymethods]
impl Runner {
    #[new]
    #[pyo3(signature = (*, every=5.0, at_once=5, limit=63.0, jitter=0.0, seed=None, teller=None, _clock=None))]
    fn new(
        py: Python<'_>,
        every: f64,
        at_once: u32,
        limit: f64,
        jitter: f64,
        seed: Option<u64>,
        teller: Option<Py<Teller>>,
        _clock: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let options = RunnerOptions {
            every: duration(py, "every", every)?,
            at_once,
            limit: duration(py, "limit", limit)?,
            jitter: duration(py, "jitter", jitter)?,
            seed,
            observer: None,
            clock: clock_of(py, _clock)?,
        };
        let core = Renewed::new(Self::made(py, &options, teller.as_ref())?);
        Ok(Self {
            options,
            teller,
            core,
        })
    }

    /// Seconds until the next round; 0 when it is due.
    fn _until_next_round(&self, py: Python<'_>) -> f64 {
        let core = self.core.get();
        py.detach(|| core.until_next_round()).as_secs_f64()
    }

    /// Begins a round: permits for those of the due items, ids with the seconds for which they have been due, that may be
    /// checked now, in the order in which they should begin.
    #[pyo3(signature = (due, at_most=None))]
    fn _admit(
        &self,
        py: Python<'_>,
        due: Vec<(PyBackedStr, f64)>,
        at_most: Option<usize>,
    ) -> PyResult<Vec<Permit>> {
        let items = due
            .iter()
            .map(|(id, overdue)| {
                let overdue = duration(py, "overdue", *overdue)?;
                Ok(Due { id, overdue })
            })
            .collect::<PyResult<Vec<_>>>()?;
        let core = self.core.get();
        let most = at_most.unwrap_or(usize::MAX);
        let permits = call(py, || core.admit_at_most(&items, most)).or_raise(py)?;
        Ok(permits.into_iter().map(Permit::of).collect())
    }

    /// Notes a round in which the host could not say what is due.
    fn _fail_round(&self, py: Python<'_>) {
        let core = self.core.get();
        py.detach(|| core.fail_round());
    }

    /// No check begins any more, and those under way are told.
    fn _stop(&self, py: Python<'_>) {
        let core = self.core.get();
        py.detach(|| core.stop());
    }

    /// Passes rounds over from now on. What is under way goes on, and the host is not asked what is due.
    fn pause(&self, py: Python<'_>) {
        let core = self.core.get();
        py.detach(|| core.pause(true));
    }

    /// Goes on after a `pause`.
    fn resume(&self, py: Python<'_>) {
        let core = self.core.get();
        py.detach(|| core.pause(false));
    }

    /// Whether it is paused.
    #[getter]
    fn paused(&self, py: Python<'_>) -> bool {
        let core = self.core.get();
        py.detach(|| core.is_paused())
    }

    /// What is being checked now, oldest first.
    fn in_flight(&self, py: Python<'_>) -> PyResult<Vec<Py<PyAny>>> {
        let core = self.core.get();
        let flights = py.detach(|| core.in_flight());
        let flights = flights.iter().map(|flight| records::in_flight(py, flight));
        flights.collect()
    }

    /// What was counted since its beginning.
    fn stats(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let core = self.core.get();
        records::runner_stats(py, &py.detach(|| core.stats()))
    }

    /// The longest that a check should take, in seconds.
    #[getter]
    fn limit(&self) -> f64 {
        self.options.limit.as_secs_f64()
    }

    /// In a forked child: one of its own takes the place of the parent's.
    fn _renew(&self, py: Python<'_>) -> PyResult<()> {
        let core = Self::made(py, &self.options, self.teller.as_ref())?;
        self.core.renew(core);
        Ok(())
    }

    fn __repr__(&self, py: Python<'_>) -> String {
        if !self.core.is_current() {
            return "<reqbus.Runner of a parent process>".into();
        }
        let core = self.core.get();
        let (flights, stats, paused) =
            py.detach(|| (core.in_flight().len(), core.stats(), core.is_paused()));
        let paused = if paused { ", paused" } else { "" };
        let (rounds, run) = (stats.rounds, stats.run);
        format!("<reqbus.Runner rounds={rounds} run={run} in_flight={flights}{paused}>")
    }
}

/// The right to check one item. Dropped without a verdict, its check counts as one that broke down.
#[pyclass(frozen, module = "reqbus._reqbus")]
pub struct Permit {
    id: String,
    /// `None` once it was given back.
    core: Mutex<Option<CorePermit>>,
}

impl Permit {
    fn of(core: CorePermit) -> Self {
        Self {
            id: core.id().to_owned(),
            core: Mutex::new(Some(core)),
        }
    }
}

#[pymethods]
impl Permit {
    /// What is to be checked.
    #[getter]
    fn id(&self) -> &str {
        &self.id
    }

    /// Seconds that the check has left; 0 when it is over its time, or was given back.
    #[getter]
    fn time_left(&self) -> f64 {
        let core = self.core.lock();
        let left = core.as_ref().map_or(Duration::ZERO, CorePermit::time_left);
        left.as_secs_f64()
    }

    /// Whether the check is to end: it is over its time, the runner is being stopped, or it was given back.
    #[getter]
    fn should_end(&self) -> bool {
        self.core.lock().as_ref().is_none_or(CorePermit::should_end)
    }

    /// Gives it back: `"succeeded"`, `"failed"` or `"panicked"`. The first time counts.
    fn _finish(&self, py: Python<'_>, verdict: &str) -> PyResult<()> {
        let all = [Verdict::Succeeded, Verdict::Failed, Verdict::Panicked];
        let verdict = all.into_iter().find(|known| known.name() == verdict);
        let verdict =
            verdict.ok_or_else(|| invalid(py, "verdict", "there is none of this name"))?;
        let core = self.core.lock().take();
        if let Some(core) = core {
            call(py, || core.finish(verdict));
        }
        Ok(())
    }

    fn __repr__(&self) -> String {
        format!(
            "<reqbus.Permit of {:?}, {:.1} s left>",
            self.id,
            self.time_left()
        )
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let core = self.core.get_mut().take();
        if core.is_some() {
            // Tells on a bus, perhaps, and so rings somebody of this thread's loop.
            Python::try_attach(|py| call(py, || drop(core)));
        }
    }
}
