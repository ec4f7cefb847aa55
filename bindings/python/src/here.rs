//! Calls into core: without the interpreter's lock, and the bell of this thread's loop served by the thread itself.
//!
//! Whatever a call rings on the thread of an event loop is dealt with there, and no descriptor is written: before the call
//! returns the futures of those that wait on that loop have their results, or, after a publish, in the loop's next turn.
//! Rings for other loops and threads go their own ways.

use std::cell::Cell;
use std::sync::Arc;

use pyo3::prelude::*;
use reqbus_core::Bell;

use crate::loop_bell::LoopCore;

thread_local! {
    /// The bell of the loop that ran on this thread last. Taken out while a call serves it: no count of references moves.
    static HERE: Cell<Option<Arc<LoopCore>>> = const { Cell::new(None) };
}

/// Whether this thread ran the loop of `core` last.
pub fn sits(core: &Arc<LoopCore>) -> bool {
    let here = HERE.take();
    let sits = here.as_ref().is_some_and(|here| Arc::ptr_eq(here, core));
    put_back(here);
    sits
}

/// This thread runs the loop of `core`.
pub fn sit(core: &Arc<LoopCore>) {
    put_back(Some(core.clone()));
}

/// The loop of `core` is gone, or its bell is.
pub fn stand_up(core: &Arc<LoopCore>) {
    if sits(core) {
        put_back(None);
    }
}

/// What was there, if something was, goes after it is no longer there.
fn put_back(here: Option<Arc<LoopCore>>) {
    let before = HERE.replace(here);
    drop(before);
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
    let taken = Taken(HERE.take().filter(|core| !core.is_gone()));
    let Some(core) = &taken.0 else {
        return py.detach(work);
    };
    let _serving = Serving::of(&core.bell);
    let answer = py.detach(work);
    if core.bell.has_ready() {
        drain(core, py);
    }
    answer
}

/// Who was taken out of [`HERE`], until it is put back. Python code that runs meanwhile and calls core rings by the
/// descriptor.
struct Taken(Option<Arc<LoopCore>>);

impl Drop for Taken {
    fn drop(&mut self) {
        put_back(self.0.take());
    }
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
