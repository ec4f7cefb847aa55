//! Times: seconds in Python, durations in core.

use std::time::Duration;

use pyo3::prelude::*;
use reqbus_core::time::Clock;

use crate::errors::invalid;

/// A duration of seconds that must not be negative, nor NaN; more than core can count is for ever.
pub fn duration(py: Python<'_>, field: &'static str, seconds: f64) -> PyResult<Duration> {
    if seconds.is_nan() || seconds < 0.0 {
        return Err(invalid(
            py,
            field,
            "it is negative or not a number; give seconds",
        ));
    }
    Ok(Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX))
}

/// As [`duration`]; `None` is for ever.
pub fn timeout(py: Python<'_>, seconds: Option<f64>) -> PyResult<Option<Duration>> {
    seconds
        .map(|seconds| duration(py, "timeout", seconds))
        .transpose()
}

/// For how long a blocked thread leaves signals unheard.
const SLICE: Duration = Duration::from_millis(100);

/// Calls `wait` with at most a slice of the time, between looks at signals, until it answers or the time is up.
pub fn in_slices<T>(
    py: Python<'_>,
    timeout: Option<Duration>,
    mut wait: impl FnMut(Duration) -> PyResult<Option<T>>,
) -> PyResult<Option<T>> {
    let end = timeout.and_then(|timeout| std::time::Instant::now().checked_add(timeout));
    loop {
        let left = end.map(|end| end.saturating_duration_since(std::time::Instant::now()));
        let slice = left.map_or(SLICE, |left| left.min(SLICE));
        if let Some(answer) = wait(slice)? {
            return Ok(Some(answer));
        }
        py.check_signals()?;
        if left.is_some_and(|left| left <= slice) {
            return Ok(None);
        }
    }
}

/// The clock of a bus or a pool: the system's, but in a build for tests.
pub fn clock_of(py: Python<'_>, clock: Option<&Bound<'_, PyAny>>) -> PyResult<Clock> {
    let Some(_clock) = clock else {
        return Ok(Clock::system());
    };
    #[cfg(feature = "test-clock")]
    if let Ok(clock) = _clock.cast::<crate::testing::Clock>() {
        return Ok(clock.get().clock.clone());
    }
    Err(invalid(py, "clock", "only a build for tests takes a clock"))
}
