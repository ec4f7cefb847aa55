//! Audiences: who is the first, who is the last, and who must wait meanwhile (promise B6).
//!
//! An audience is a name that subscriptions share because something outside must be set up for the
//! first of them and torn down after the last. What is promised, per audience, for any number of
//! racing threads:
//!
//! * from empty to empty again, exactly one member is told that it is the *first* and exactly one way
//!   out reports the *last*; a membership ends once, however it ends;
//! * the sole member may take the [`CleanupGuard`](super::guard::CleanupGuard): that ends its
//!   membership and reports the last, and nobody joins until the guard is dropped, given back or over
//!   its limit. Newcomers then join, the earliest as first;
//! * a newcomer that waits past its deadline has joined nothing, and neither has one that gave up.
//!   Nobody waits for another audience.
//!
//! How: one lock over a map of names. *A newcomer joins in the call that returns its membership*, on
//! its own thread: there is no moment at which it has joined and nobody knows, so giving up at any
//! time cannot lose a first or a last. Waiting is therefore only a ticket in a line: when the guard
//! ends everybody in line is woken and looks again; the head of the line joins as first, the others
//! after it. Should the head's owner not look within [`TURN_NS`], the first who does look goes ahead.
//! Every limit is judged when somebody looks; timers only see to it that somebody does.
//!
//! Wakers are cloned, called and dropped without the lock. A name that nobody uses has no row.

mod entry;
#[cfg(all(test, loom))]
mod loom_tests;
mod membership;
mod parker;
mod registry;
mod row;
#[cfg(all(test, not(loom)))]
mod tests;

use std::sync::Arc;

pub(crate) use entry::Entry;
pub(crate) use membership::Membership;
pub(in crate::bus) use membership::Seat;
use registry::Registry;

use crate::error::{Error, ErrorKind, Result};
use crate::event::check_label;
use crate::time::Clock;

/// How long the head of a line keeps its turn without looking, in nanoseconds. A thread looks within
/// microseconds; a task whose runtime is stuck must not hold up the others until its own deadline.
const TURN_NS: u64 = 1_000_000_000;

/// The audiences of one bus. A clone is the same registry.
#[derive(Clone)]
pub(crate) struct Audiences(Arc<Registry>);

impl Audiences {
    /// No audiences yet. Limits and deadlines are on the line of `clock.now_ns()`.
    pub(crate) fn new(clock: Clock) -> Self {
        Self(Arc::new(Registry::new(clock)))
    }

    /// A newcomer to the audience `name`, which gives up at `deadline_ns` (a deadline that has passed
    /// means one try; `u64::MAX` means never). Nothing happens before it is polled or waited for, and
    /// its place in line is that of its first poll. Never blocks.
    ///
    /// Errors: `InvalidArgument` for an empty name, `TooLarge` for one over 255 bytes.
    pub(crate) fn enter(&self, name: &str, deadline_ns: u64) -> Result<Entry> {
        if name.is_empty() {
            return Err(Error::fixed(
                ErrorKind::InvalidArgument,
                "audience",
                "the audience's name is empty; leave the audience out instead",
            ));
        }
        check_label("audience", name)?;
        Ok(Entry::new(self.0.clone(), Arc::from(name), deadline_ns))
    }

    /// Members of the audience `name` now. Whoever waits or holds a cleanup guard is not one. 0 in
    /// a forked child.
    pub(crate) fn count(&self, name: &str) -> usize {
        self.0.count(name)
    }

    /// The bus closes: whoever waits, and whoever comes from now on, gets `Closed`. Memberships and
    /// guards end as their owners leave. Idempotent.
    pub(crate) fn close(&self) {
        self.0.close();
    }
}
