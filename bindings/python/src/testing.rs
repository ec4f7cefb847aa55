//! The clock that tests drive, and the store that fails. No wheel carries them.

use pyo3::prelude::*;
use reqbus_core::slots::{Fault as Switch, FaultOptions};
use reqbus_core::time::{Clock as Core, ClockDriver};

use crate::here::call;
use crate::seconds::duration;

/// A clock that stands still until it is advanced.
#[pyclass(frozen, module = "reqbus._reqbus")]
pub struct Clock {
    pub clock: Core,
    driver: ClockDriver,
}

#[pymethods]
impl Clock {
    #[new]
    fn new() -> Self {
        let (clock, driver) = Core::driven();
        Self { clock, driver }
    }

    /// Moves it by so many seconds, stopping at each timer.
    fn advance(&self, py: Python<'_>, seconds: f64) -> PyResult<()> {
        let by = duration(py, "seconds", seconds)?;
        call(py, || self.driver.advance(by));
        Ok(())
    }
}

/// How bad the line to a store is; chances are out of 1,000.
#[pyclass(frozen, module = "reqbus._reqbus")]
pub struct Fault {
    options: FaultOptions,
}

#[pymethods]
impl Fault {
    #[new]
    #[pyo3(signature = (seed, *, latest=0.0, lost=0, doubled=0, lost_lease=0))]
    fn new(
        py: Python<'_>,
        seed: u64,
        latest: f64,
        lost: u32,
        doubled: u32,
        lost_lease: u32,
    ) -> PyResult<Self> {
        let options = FaultOptions {
            seed,
            latest: duration(py, "latest", latest)?,
            lost,
            doubled,
            lost_lease,
            fault: Switch::default(),
        };
        Ok(Self { options })
    }

    fn go_down(&self) {
        self.options.fault.go_down();
    }

    fn come_back(&self) {
        self.options.fault.come_back();
    }
}

/// What a pool is told of its store.
pub fn fault_of(fault: &Bound<'_, PyAny>) -> PyResult<FaultOptions> {
    Ok(fault.cast::<Fault>()?.get().options.clone())
}
