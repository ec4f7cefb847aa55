//! The extension module `reqbus._reqbus`: core's objects for Python.
//!
//! It translates and holds no logic that another binding would have to repeat. The package around it (`python/reqbus`)
//! adds what is easier to say in Python: coroutines, the threaded face, documentation of types.
//!
//! What is promised here:
//!
//! * no thread of Rust ever takes the interpreter's lock: whoever waits in asyncio is rung through a descriptor
//!   ([`loop_bell`]);
//! * that lock is released before any lock of core is taken ([`here`]), and no lock is held while Python code runs;
//! * nothing is taken from core before its caller can have it: a wait that is cancelled has taken nothing.

#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )
)]
// Who reads this crate reads Python: what a function answers and raises stands in the package's documentation.
#![allow(clippy::too_many_arguments)]

mod acquire;
mod answer;
mod ask;
mod backoff;
mod bus;
mod errors;
mod event;
mod fork;
mod guard;
mod here;
mod interpreter;
mod items;
mod leaks;
mod loop_bell;
mod new_event;
mod pool;
mod pool_keys;
mod reading;
mod ready;
mod records;
mod renewed;
mod runner;
mod seconds;
mod slot;
mod subscribe;
mod subscription;
mod teller;
#[cfg(feature = "test-clock")]
mod testing;
mod wait;
mod waiting;

/// The extension module of the package reqbus.
#[pyo3::pymodule(gil_used = false)]
mod _reqbus {
    use pyo3::prelude::*;

    /// Classes and loops are remembered once per process, so a second interpreter in it would be handed the first one's.
    #[pymodule_init]
    fn init(_module: &Bound<'_, PyModule>) -> PyResult<()> {
        crate::interpreter::claim()
    }

    #[pymodule_export]
    use crate::acquire::Acquire;
    #[pymodule_export]
    use crate::answer::Answer;
    #[pymodule_export]
    use crate::backoff::Backoff;
    #[pymodule_export]
    use crate::bus::Bus;
    #[pymodule_export]
    use crate::event::{Event, EventId, Request};
    #[pymodule_export]
    use crate::fork::{has_test_clock, renewed};
    #[pymodule_export]
    use crate::guard::CleanupGuard;
    #[pymodule_export]
    use crate::items::{Lost, Resync, Status};
    #[pymodule_export]
    use crate::loop_bell::LoopBell;
    #[pymodule_export]
    use crate::new_event::NewEvent;
    #[pymodule_export]
    use crate::pool::SlotPool;
    #[pymodule_export]
    use crate::pool_keys::{
        clear_limit, close_key, force, held_longer_than, holders, load, nonpositive_is_unlimited,
        open_key, set_limit,
    };
    #[pymodule_export]
    use crate::ready::Ready;
    #[pymodule_export]
    use crate::runner::{Permit, Runner};
    #[pymodule_export]
    use crate::slot::Slot;
    #[pymodule_export]
    use crate::subscription::Subscription;
    #[pymodule_export]
    use crate::teller::Teller;
    #[cfg(feature = "test-clock")]
    #[pymodule_export]
    use crate::testing::{Clock, Fault};
    #[pymodule_export]
    use crate::wait::Wait;
}
