//! The runner: periodic checks of many things, a few at a time.
//!
//! Every 5 s the host says what is due, and at most 5 checks run, never two of one id. What is promised:
//!
//! * room is reserved before an item is claimed, and both are given back when the permit goes, however it goes;
//! * the longest overdue come first; of equals each comes first in turn, so that a full runner starves nobody;
//! * an item that finds no room, or is still being checked, is skipped and counted, and is due again at the next round;
//! * a check that is over its time is counted as stuck and told so; its id stays in flight until it returns. Its room is
//!   lent anew, once: at most 5 running and 5 stuck;
//! * a check that panics or fails, and a round that fails, end neither the round nor the runner.
//!
//! Two faces: [`Admission`] admits and accounts, for languages whose checks are tasks of their own; [`Runner`] runs
//! checks on threads of its own, which come with the work and go when there is none.

mod admission;
mod checks;
mod flight;
#[cfg(all(test, loom))]
mod loom_tests;
mod observer;
mod options;
mod permit;
#[expect(
    clippy::module_inception,
    reason = "one type per file, of the type's name"
)]
mod runner;
mod schedule;
mod stats;

pub use admission::Admission;
pub use checks::{Checks, DueList};
pub use flight::InFlight;
pub use observer::{CheckObserver, FinishedCheck};
pub use options::RunnerOptions;
pub use permit::{Permit, Verdict};
pub use runner::{Runner, Stopped};
pub use schedule::Due;
pub use stats::RunnerStats;
