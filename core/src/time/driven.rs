//! A clock that stands still until a test moves it. No published artefact carries it.
//!
//! Promised: whoever is woken by a timer reads a time at or after its deadline; a timer that is set
//! while the clock moves is either fired by that move or found due as it is set, never stranded.
//! How: time moves only under the lock of the timers.

use std::fmt;
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use super::nanos::nanos;
use super::queue::{Key, Queue};
use crate::sync::{AtomicU64, Mutex, Ordering};

/// 2026-01-01T00:00:00Z, where the wall clock of every driven clock starts.
const WALL_START_NS: u64 = 1_767_225_600_000_000_000;
/// Where the monotonic lines start: not 0, so that a test can tell "never set" from "at the start".
const MONOTONIC_START_NS: u64 = 1_000_000_000_000;

/// The one line of a driven clock, from which its three readings are made.
pub(super) struct Driven {
    /// Nanoseconds since the start. Written under the lock of `timers` only. Release and Acquire: who
    /// reads a time sees what the driver did before it moved there.
    elapsed_ns: AtomicU64,
    timers: Mutex<Timers>,
}

#[derive(Default)]
struct Timers {
    queue: Queue,
    /// The sum of all advances, in nanoseconds: where the line ends once each has returned.
    goal_ns: u64,
}

impl Driven {
    pub(super) fn new() -> Self {
        Self {
            elapsed_ns: AtomicU64::new(0),
            timers: Mutex::new(Timers::default()),
        }
    }

    pub(super) fn wall_ns(&self) -> u64 {
        WALL_START_NS.saturating_add(self.elapsed_ns.load(Ordering::Acquire))
    }

    pub(super) fn now_ns(&self) -> u64 {
        MONOTONIC_START_NS.saturating_add(self.elapsed_ns.load(Ordering::Acquire))
    }

    /// Moves the line to `monotonic_ns` unless it is there already. The lock of `timers` is held.
    fn move_to(&self, monotonic_ns: u64) {
        let elapsed_ns = monotonic_ns.saturating_sub(MONOTONIC_START_NS);
        if elapsed_ns > self.elapsed_ns.load(Ordering::Relaxed) {
            self.elapsed_ns.store(elapsed_ns, Ordering::Release);
        }
    }

    fn advance(&self, by: Duration) {
        let by_ns = nanos(by);
        let end_ns = {
            let mut timers = self.timers.lock();
            timers.goal_ns = timers.goal_ns.saturating_add(by_ns);
            MONOTONIC_START_NS.saturating_add(timers.goal_ns)
        };
        while let Some(waker) = self.step(end_ns) {
            waker.wake();
        }
    }

    /// Moves to the next timer up to `end_ns` and takes it, or moves to `end_ns`.
    fn step(&self, end_ns: u64) -> Option<Waker> {
        let mut timers = self.timers.lock();
        let due = timers.queue.pop_due(end_ns);
        self.move_to(due.as_ref().map_or(end_ns, |(deadline_ns, _)| *deadline_ns));
        due.map(|(_, waker)| waker)
    }
}

impl fmt::Debug for Driven {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Driven")
            .field("now_ns", &self.now_ns())
            .finish_non_exhaustive()
    }
}

/// Moves a driven [`Clock`](super::Clock). A clone drives the same clock.
#[derive(Clone, Debug)]
pub struct ClockDriver(Arc<Driven>);

impl ClockDriver {
    pub(super) const fn new(line: Arc<Driven>) -> Self {
        Self(line)
    }

    /// Moves wall time and both monotonic lines on by `by`, stopping at each timer that comes due to
    /// fire it on the calling thread, in time order. Returns when each has been fired, timers that
    /// others set meanwhile for a time within `by` included.
    ///
    /// From several threads the advances add up; each returns when the timers that it took have fired.
    pub fn advance(&self, by: Duration) {
        self.0.advance(by);
    }
}

/// A timer on a driven clock; dropping it cancels it.
pub(super) struct DrivenTimer {
    line: Arc<Driven>,
    key: Key,
}

impl DrivenTimer {
    /// Sets a timer, or wakes at once and returns `None` if it is due.
    pub(super) fn set(line: &Arc<Driven>, deadline_ns: u64, waker: Waker) -> Option<Self> {
        let mut timers = line.timers.lock();
        // Under the lock, so that no advance passes between the look and the setting.
        if deadline_ns <= line.now_ns() {
            drop(timers);
            waker.wake();
            return None;
        }
        let key = timers.queue.add(deadline_ns, waker);
        drop(timers);
        Some(Self {
            line: line.clone(),
            key,
        })
    }
}

impl Drop for DrivenTimer {
    fn drop(&mut self) {
        let cancelled = self.line.timers.lock().queue.remove(self.key);
        // A waker's drop is its executor's code: outside the lock.
        drop(cancelled);
    }
}
