//! Named tuples of `reqbus._records`, made from what core tells.

use pyo3::call::PyCallArgs;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use reqbus_core::bus::{BusStats, Consumer, SubscriptionStats};
use reqbus_core::runner::{InFlight, RunnerStats};
use reqbus_core::slots::{Counters, Holder, KeyStats, Leak, Load, OwnedKey, ScopeStats, WaitTimes};

use crate::errors::limit_out;
use crate::event::EventId;

/// A record class of the package, imported at its first use.
struct Class(&'static str, PyOnceLock<Py<PyAny>>);

impl Class {
    const fn new(name: &'static str) -> Self {
        Self(name, PyOnceLock::new())
    }

    fn make<'py>(&self, py: Python<'py>, fields: impl PyCallArgs<'py>) -> PyResult<Py<PyAny>> {
        let class = self.1.import(py, "reqbus._records", self.0)?;
        Ok(class.call1(fields)?.unbind())
    }
}

static SUBSCRIPTION_STATS: Class = Class::new("SubscriptionStats");
static BUS_STATS: Class = Class::new("BusStats");
static CONSUMER: Class = Class::new("Consumer");
static LOAD: Class = Class::new("Load");
static HOLDER: Class = Class::new("Holder");
static LEAK: Class = Class::new("Leak");
static COUNTERS: Class = Class::new("Counters");
static WAIT_TIMES: Class = Class::new("WaitTimes");
static KEY_STATS: Class = Class::new("KeyStats");
static SCOPE_STATS: Class = Class::new("ScopeStats");
static IN_FLIGHT: Class = Class::new("InFlight");
static RUNNER_STATS: Class = Class::new("RunnerStats");

pub fn subscription_stats(py: Python<'_>, stats: &SubscriptionStats) -> PyResult<Py<PyAny>> {
    let fields = (
        stats.matched,
        stats.delivered,
        stats.lost_full,
        stats.lost_window,
        stats.lost_evicted,
        stats.pending,
        stats.abandoned,
        stats.resyncs,
    );
    SUBSCRIPTION_STATS.make(py, fields)
}

pub fn bus_stats(py: Python<'_>, stats: &BusStats) -> PyResult<Py<PyAny>> {
    let fields = (
        EventId(stats.newest),
        stats.kept_events,
        stats.kept_bytes,
        stats.subscriptions,
        stats.extra_clashes,
        subscription_stats(py, &stats.totals)?,
    );
    BUS_STATS.make(py, fields)
}

pub fn consumer(py: Python<'_>, consumer: &Consumer) -> PyResult<Py<PyAny>> {
    let names = |names: &[Box<str>]| {
        names
            .iter()
            .map(|name| name.to_string())
            .collect::<Vec<_>>()
    };
    let fields = (
        consumer.id,
        &consumer.label,
        consumer.pid,
        names(consumer.filter.keys()),
        names(consumer.filter.kinds()),
        consumer.overflow.name(),
        &consumer.audience,
        consumer.age.as_secs_f64(),
        consumer.closed,
        subscription_stats(py, &consumer.stats)?,
    );
    CONSUMER.make(py, fields)
}

pub fn key(key: &OwnedKey) -> (String, String) {
    (key.as_key().scope.to_owned(), key.as_key().id.to_owned())
}

pub fn load(py: Python<'_>, load: &Load) -> PyResult<Py<PyAny>> {
    let fields = (
        load.in_use,
        load.waiting,
        load.lapsed,
        limit_out(py, load.limit)?,
        load.is_closed,
        load.oldest_wait.map(|wait| wait.as_secs_f64()),
        load.oldest_hold.map(|hold| hold.as_secs_f64()),
        load.rate(),
        load.has_room(),
    );
    LOAD.make(py, fields)
}

pub fn holder(py: Python<'_>, holder: &Holder) -> PyResult<Py<PyAny>> {
    let age = holder.age.as_secs_f64();
    HOLDER.make(
        py,
        (holder.id.to_u64(), key(&holder.key), &*holder.label, age),
    )
}

pub fn leak(py: Python<'_>, leak: &Leak) -> PyResult<Py<PyAny>> {
    LEAK.make(py, (key(&leak.key), &*leak.label, leak.age.as_secs_f64()))
}

fn counters(py: Python<'_>, counters: &Counters) -> PyResult<Py<PyAny>> {
    let fields = (
        counters.granted,
        counters.granted_after_wait,
        counters.busy,
        counters.queue_full,
        counters.timed_out,
        counters.cancelled,
        counters.closed,
        counters.store_unavailable,
        counters.lost,
        counters.leaked,
        counters.lapsed_offers,
        counters.limit_changes,
    );
    COUNTERS.make(py, fields)
}

fn wait_times(py: Python<'_>, times: &WaitTimes) -> PyResult<Py<PyAny>> {
    let fields = (
        times.count,
        times.p50.as_secs_f64(),
        times.p90.as_secs_f64(),
        times.p99.as_secs_f64(),
        times.max.as_secs_f64(),
    );
    WAIT_TIMES.make(py, fields)
}

pub fn key_stats(py: Python<'_>, stats: &KeyStats) -> PyResult<Py<PyAny>> {
    let fields = (
        counters(py, &stats.counters)?,
        stats.peak,
        stats.mean_hold.map(|hold| hold.as_secs_f64()),
        wait_times(py, &stats.waits)?,
    );
    KEY_STATS.make(py, fields)
}

pub fn scope_stats(py: Python<'_>, stats: &ScopeStats) -> PyResult<Py<PyAny>> {
    SCOPE_STATS.make(
        py,
        (
            counters(py, &stats.counters)?,
            wait_times(py, &stats.waits)?,
        ),
    )
}

pub fn in_flight(py: Python<'_>, flight: &InFlight) -> PyResult<Py<PyAny>> {
    IN_FLIGHT.make(py, (&*flight.id, flight.age.as_secs_f64(), flight.is_stuck))
}

pub fn runner_stats(py: Python<'_>, stats: &RunnerStats) -> PyResult<Py<PyAny>> {
    let fields = (
        stats.rounds,
        stats.failed_rounds,
        stats.paused_rounds,
        stats.run,
        stats.succeeded,
        stats.failed,
        stats.panicked,
        stats.stuck,
        stats.skipped_busy,
        stats.skipped_full,
        stats.late,
    );
    RUNNER_STATS.make(py, fields)
}
