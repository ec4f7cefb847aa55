//! Timers on the system's clock: one thread per process, which comes with the first timer and goes
//! a moment after the last.
//!
//! Promised: the thread holds no lock while it wakes anybody, survives a waker that panics, takes none
//! of the host's signals, and ends after [`IDLE_NS`] without timers. After a fork the child has
//! a service of its own; the parent's lock, timers and thread are left as they are, for ever.
//!
//! How: a queue under a lock, and a condition that the thread sleeps on. It says under the lock until
//! when it sleeps, so that setting and cancelling wake it only if it would sleep too long.

use std::task::Waker;
use std::time::Duration;

use once_cell::race::OnceBox;

use super::clock::read;
use super::queue::{Key, Queue};
use crate::error::Result;
use crate::fork::Generation;
use crate::guarded::guarded;
use crate::sync::{Condvar, Mutex};
use crate::threads;

/// How long the thread stays without timers, so that a wait now and then does not start one each time.
pub(super) const IDLE_NS: u64 = 250_000_000;

/// The thread's name, as `ps -T` and debuggers show it.
pub(super) const THREAD_NAME: &str = "reqbus-timer";

/// The timers of one process. Never freed: a child may not touch its parent's, and the thread may
/// outlive every user by a moment.
pub(super) struct Service {
    born: Generation,
    state: Mutex<State>,
    /// Tells the thread that it sleeps too long. Goes with `state`.
    changed: Condvar,
    /// The service of a child of this process.
    successor: OnceBox<Service>,
}

#[derive(Default)]
struct State {
    queue: Queue,
    /// A thread serves the queue.
    running: bool,
    /// Until when the thread sleeps; 0 while it is awake.
    asleep_until_ns: u64,
}

/// First come, first set, without a lock: a lock here could be held by a thread that a fork left behind.
static FIRST: OnceBox<Service> = OnceBox::new();

impl Service {
    /// The service of this process.
    pub(super) fn current() -> &'static Self {
        let mut service = FIRST.get_or_init(Self::new);
        while !service.born.is_current() {
            service = service.successor.get_or_init(Self::new);
        }
        service
    }

    pub(super) fn new() -> Box<Self> {
        Box::new(Self {
            born: Generation::current(),
            state: Mutex::new(State::default()),
            changed: Condvar::new(),
            successor: OnceBox::new(),
        })
    }

    /// Sets a timer, and starts the thread if there is none.
    pub(super) fn set(&'static self, deadline_ns: u64, waker: Waker) -> Result<SystemTimer> {
        let mut state = self.state.lock();
        let key = state.queue.add(deadline_ns, waker);
        if !state.running {
            // Under the lock, or a second timer could rely on a thread that fails to start.
            if let Err(refused) = self.start() {
                let unset = state.queue.remove(key);
                drop(state);
                drop(unset);
                return Err(refused);
            }
            state.running = true;
        } else if deadline_ns < state.asleep_until_ns {
            self.changed.notify_one();
        }
        drop(state);
        Ok(SystemTimer { service: self, key })
    }

    fn start(&'static self) -> Result<()> {
        threads::spawn(THREAD_NAME, move || self.serve())
    }

    /// The thread.
    fn serve(&self) {
        while let Some(waker) = self.next_due() {
            // A waker is somebody else's code; one that panics must not take the other timers with it.
            let _ = guarded(|| waker.wake());
        }
    }

    /// Sleeps until a timer is due and takes it; `None` when the thread is to end.
    fn next_due(&self) -> Option<Waker> {
        let mut state = self.state.lock();
        let mut idle_since_ns = None;
        loop {
            let now_ns = now_ns();
            if let Some((_, waker)) = state.queue.pop_due(now_ns) {
                return Some(waker);
            }
            let until_ns = match state.queue.first_ns() {
                Some(deadline_ns) => {
                    idle_since_ns = None;
                    deadline_ns
                }
                None => *idle_since_ns.get_or_insert(now_ns) + IDLE_NS,
            };
            if until_ns <= now_ns {
                state.running = false;
                return None;
            }
            state.asleep_until_ns = until_ns;
            let nap = Duration::from_nanos(until_ns - now_ns);
            self.changed.wait_for(&mut state, nap);
            state.asleep_until_ns = 0;
        }
    }

    fn cancel(&self, key: Key) {
        // In a child the lock may be held by nobody who lives; the timer is leaked with its service.
        if !self.born.is_current() {
            return;
        }
        let mut state = self.state.lock();
        let cancelled = state.queue.remove(key);
        // The thread sleeps for a timer that is gone: it shall begin to be idle now.
        if state.queue.is_empty() && state.asleep_until_ns > now_ns().saturating_add(IDLE_NS) {
            self.changed.notify_one();
        }
        drop(state);
        // A waker's drop is its executor's code: outside the lock.
        drop(cancelled);
    }

    /// Whether a thread serves this queue.
    #[cfg(test)]
    pub(super) fn is_running(&self) -> bool {
        self.state.lock().running
    }

    /// Whether no timer is set.
    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.state.lock().queue.is_empty()
    }
}

/// The line of deadlines: the same that the condition's timed wait sleeps on.
fn now_ns() -> u64 {
    read(libc::CLOCK_MONOTONIC)
}

/// A timer on the system's clock; dropping it cancels it.
pub(super) struct SystemTimer {
    service: &'static Service,
    key: Key,
}

impl SystemTimer {
    /// Sets a timer with this process's service.
    pub(super) fn set(deadline_ns: u64, waker: Waker) -> Result<Self> {
        Service::current().set(deadline_ns, waker)
    }
}

impl Drop for SystemTimer {
    fn drop(&mut self) {
        self.service.cancel(self.key);
    }
}
