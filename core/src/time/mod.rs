//! Time: one clock for wall time, ages and deadlines, which tests can drive.
//!
//! What is promised:
//!
//! * reading a [`Clock`] is one read of the operating system's clock, without a lock;
//! * a timer wakes its waker once its deadline has passed, never before, and timers of one clock fire
//!   in the order of their deadlines, those of one deadline in the order they were set;
//! * no waker is called, cloned or dropped while a lock of this room is held;
//! * no thread runs before the first timer is set, and none is left a moment after the last is gone.
//!
//! How: `clock` reads the lines, `timer` sets timers on either of two sides: `system_timer`, one
//! thread per process that comes and goes, and `driven`, where the test's own thread fires them.

mod clock;
mod deadline;
#[cfg(any(test, feature = "test-clock"))]
mod driven;
mod nanos;
#[cfg(any(not(loom), test, feature = "test-clock"))]
mod queue;
// Time stands still in a model, and a static cannot hold a modelled lock.
#[cfg(not(loom))]
mod system_timer;
#[cfg(all(test, not(loom)))]
mod tests;
mod timer;

pub use clock::Clock;
pub(crate) use deadline::Deadline;
#[cfg(any(test, feature = "test-clock"))]
pub use driven::ClockDriver;
pub(crate) use nanos::nanos;
pub(crate) use timer::TimerHandle;
