//! Calls into core: without the interpreter's lock, and the bell of this thread's loop served by the thread itself.
//!
//! Whatever a call rings on the thread of an event loop is dealt with there, and no descriptor is written: before the call
//! returns the futures of those that wait on that loop have their results, or, after a publish, in the loop's next turn.
//! Rings for other loops and threads go their own ways.

use std::cell::RefCell;
use std::sync::{Arc, Weak};

use pyo3::prelude::*;
use reqbus_core::Bell;

use crate::loop_bell::LoopCore;

thread_local! {
    /// The bell of the loop that ran on this thread last.
    static HERE: RefCell<Weak<LoopCore>> = const { RefCell::new(Weak::new()) };
}

/// Whether this thread ran the loop of `core` last.
pub fn sits(core: &Arc<LoopCore>) -> bool {
    HERE.with_borrow(|here| std::ptr::eq(here.as_ptr(), Arc::as_ptr(core)))
}

/// This thread runs the loop of `core`.
pub fn sit(core: &Arc<LoopCore>) {
    HERE.with_borrow_mut(|here| {
        if !std::ptr::eq(here.as_ptr(), Arc::as_ptr(core)) {
            *here = Arc::downgrade(core);
        }
    });
}

/// Runs `work`, which calls core and may take its locks; who is woken by it here has its result before this returns.
#[inline]
pub fn call<R: Send>(py: Python<'_>, work: impl FnOnce() -> R + Send) -> R {
    served(py, work, LoopCore::drain_here)
}

/// As [`call`], for publishes: who is woken by it here has its result in the loop's next turn. A burst over many
/// readers then costs its publisher one look, and not one for each reader.
#[inline]
pub fn publish<R: Send>(py: Python<'_>, work: impl FnOnce() -> R + Send) -> R {
    served(py, work, LoopCore::drain_soon)
}

#[inline]
fn served<R: Send>(
    py: Python<'_>,
    work: impl FnOnce() -> R + Send,
    drain: fn(&Arc<LoopCore>, Python<'_>),
) -> R {
    let here = HERE.with_borrow(Weak::upgrade);
    let Some(core) = here else {
        return py.detach(work);
    };
    let serving = Serving::of(&core.bell);
    let answer = py.detach(work);
    if core.bell.has_ready() {
        drain(&core, py);
    }
    drop(serving);
    answer
}

/// While it lives, this thread serves the bell by itself; what nobody took when it ends is rung, after a panic too.
pub struct Serving<'a>(&'a Bell);

impl<'a> Serving<'a> {
    pub fn of(bell: &'a Bell) -> Self {
        bell.enter();
        Self(bell)
    }
}

impl Drop for Serving<'_> {
    fn drop(&mut self) {
        self.0.leave(&mut []);
    }
}
