//! One sleeper: a subscription (or a wait) as its publishers see it.

use std::sync::Arc;
use std::task::Waker;
use std::time::Instant;

use super::arm::Links;
use super::bell::{Bell, BellCore};
use super::park::ParkLine;
use super::ready::Attachment;
use crate::sync::{AtomicBool, AtomicPtr, Condvar, Mutex, Ordering, fence};

/// The wake point of one subscription.
///
/// A wait proceeds: say who waits ([`Source::wait_as_task`], [`Source::begin_park`]), *then* look once
/// more and arm under the log's lock, then sleep. A ring takes whoever waits, under the same inner lock,
/// and wakes it after unlocking. So a ring either finds the waiter, or came before the second look.
pub(crate) struct Source {
    pub(super) links: Links,
    /// In an arm list, or in a chain that has not popped it yet.
    pub(super) armed: AtomicBool,
    pub(super) parked_next: AtomicPtr<Source>,
    /// Whether `State::bell` is set, for those who only ask. Written under the lock; whoever attaches looks
    /// at the subscription afterwards, so a reader that sees it late loses nothing.
    attached: AtomicBool,
    /// Whether `State::waiter` is anybody, for the waiter itself, who alone sets it and so spares itself the
    /// lock after a ring took it out; if it sees that late, it takes the lock. Written under the lock; Release
    /// and Acquire: a waiter that was taken out sees what the lock would show it, a line behind it above all.
    waited_on: AtomicBool,
    state: Mutex<State>,
    unpark: Condvar,
}

struct State {
    waiter: Waiter,
    bell: Option<(Arc<BellCore>, Arc<Attachment>)>,
    /// The parked thread may go: set by a ring, an interrupt or a timer.
    go: bool,
}

enum Waiter {
    Nobody,
    Task(Waker),
    Thread,
}

/// How a park ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Parked {
    /// Something may be there.
    Rung,
    /// The deadline passed.
    TimedOut,
}

impl Source {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            links: Links::default(),
            armed: AtomicBool::new(false),
            parked_next: AtomicPtr::default(),
            attached: AtomicBool::new(false),
            waited_on: AtomicBool::new(false),
            state: Mutex::new(State {
                waiter: Waiter::Nobody,
                bell: None,
                go: false,
            }),
            unpark: Condvar::new(),
        })
    }

    /// Rings: something may be there. Threads are not woken but lined up in `line`; the caller wakes
    /// the first of it.
    pub(crate) fn ring(self: &Arc<Self>, line: &ParkLine) {
        let mut state = self.state.lock();
        if let Some((bell, entry)) = &state.bell {
            let first = bell.push(entry).then(|| bell.clone());
            // Dekker with `Drive::drop`: our token is pushed, now look whether anybody drives; it ends
            // its driving, then looks for tokens. Whoever comes second wakes the waiter.
            fence(Ordering::SeqCst);
            let driven = bell.is_driven();
            if driven || first.is_some() {
                drop(state);
                if let Some(bell) = first {
                    bell.wake();
                }
                if driven {
                    return; // the driver wakes the waiting task, on the task's own loop
                }
                state = self.state.lock();
            }
        }
        if matches!(state.waiter, Waiter::Thread) {
            // It stays the waiter, and is seen as such, until the line wakes it.
            drop(state);
            line.push(self);
        } else if let Waiter::Task(waker) = self.set_waiter(&mut state, Waiter::Nobody) {
            drop(state);
            waker.wake();
        }
    }

    /// Wakes whoever waits, here and now: interrupts, closes, timers, and a bell's driver.
    pub(crate) fn wake_now(&self) {
        let mut state = self.state.lock();
        match self.set_waiter(&mut state, Waiter::Nobody) {
            Waiter::Nobody => {}
            Waiter::Task(waker) => {
                drop(state);
                waker.wake();
            }
            Waiter::Thread => {
                state.go = true;
                drop(state);
                self.unpark.notify_one();
            }
        }
    }

    /// Wakes the thread that is parked here; `false` when none is (any more).
    pub(super) fn wake_thread(&self) -> bool {
        let mut state = self.state.lock();
        if !matches!(state.waiter, Waiter::Thread) {
            return false;
        }
        self.set_waiter(&mut state, Waiter::Nobody);
        state.go = true;
        drop(state);
        self.unpark.notify_one();
        true
    }

    /// The next ring wakes `waker`.
    pub(crate) fn wait_as_task(&self, waker: &Waker) {
        if self.waited_on.load(Ordering::Acquire)
            && let Waiter::Task(known) = &self.state.lock().waiter
            && known.will_wake(waker)
        {
            return;
        }
        // Cloned and dropped without the lock: that is the executor's code.
        let waiter = Waiter::Task(waker.clone());
        let before = self.set_waiter(&mut self.state.lock(), waiter);
        drop(before);
    }

    /// Nobody waits any more. The waker's own drop runs after unlocking.
    pub(crate) fn end_wait(&self) {
        if self.waited_on.load(Ordering::Acquire) {
            let waiter = self.set_waiter(&mut self.state.lock(), Waiter::Nobody);
            drop(waiter);
        }
    }

    fn set_waiter(&self, state: &mut State, waiter: Waiter) -> Waiter {
        let waits = !matches!(waiter, Waiter::Nobody);
        self.waited_on.store(waits, Ordering::Release);
        std::mem::replace(&mut state.waiter, waiter)
    }

    /// The next ring wakes the calling thread, if it then parks.
    pub(crate) fn begin_park(&self) {
        let mut state = self.state.lock();
        state.go = false;
        let waiter = self.set_waiter(&mut state, Waiter::Thread);
        drop(state);
        drop(waiter);
    }

    /// Sleeps until a ring or `deadline`; after [`Source::begin_park`] and a second look.
    pub(crate) fn park(&self, deadline: Option<Instant>) -> Parked {
        let mut state = self.state.lock();
        while !state.go {
            let timed_out = match deadline {
                Some(deadline) => self.unpark.wait_until(&mut state, deadline).timed_out(),
                None => {
                    self.unpark.wait(&mut state);
                    false
                }
            };
            if timed_out && !state.go {
                self.set_waiter(&mut state, Waiter::Nobody);
                return Parked::TimedOut;
            }
        }
        Parked::Rung
    }

    /// Whether a task or a thread waits here now.
    pub(crate) fn is_waited_on(&self) -> bool {
        self.waited_on.load(Ordering::Acquire)
    }

    /// Attaches to `bell`, leaving an earlier one, and marks the token ready at once.
    pub(crate) fn attach(self: &Arc<Self>, bell: &Bell, token: u64) {
        let entry = Attachment::new(self, token);
        self.set_bell(Some((bell.core().clone(), entry.clone())));
        bell.core().mark_ready(&entry);
    }

    /// Leaves its bell.
    pub(crate) fn detach(&self) {
        self.set_bell(None);
    }

    fn set_bell(&self, bell: Option<(Arc<BellCore>, Arc<Attachment>)>) {
        let mut state = self.state.lock();
        self.attached.store(bell.is_some(), Ordering::Release);
        let before = std::mem::replace(&mut state.bell, bell);
        drop(state);
        if let Some((_, entry)) = before {
            entry.detach();
        }
    }

    /// Whether it is attached to a bell. One load.
    #[inline]
    pub(crate) fn is_attached(&self) -> bool {
        self.attached.load(Ordering::Acquire)
    }

    /// Marks the token ready on the bell, if it is attached to one.
    pub(crate) fn mark_ready(&self) {
        self.mark_ready_where(|_| true);
    }

    /// What a read that took something says: the host may stop here, so its token stays ready. Tasks of a
    /// driven bell have no use for it: each looks again by itself before it sleeps.
    pub(crate) fn stay_ready(&self) {
        self.mark_ready_where(|bell| !bell.is_driven());
    }

    fn mark_ready_where(&self, wants: impl FnOnce(&BellCore) -> bool) {
        if !self.is_attached() {
            return;
        }
        let state = self.state.lock();
        if let Some((bell, entry)) = &state.bell
            && wants(bell)
            && bell.push(entry)
        {
            let bell = bell.clone();
            drop(state);
            bell.wake();
        }
    }
}

/// Wakes whoever waits here, and marks the token ready: how timers and other rooms reach a source.
impl std::task::Wake for Source {
    fn wake(self: Arc<Self>) {
        self.mark_ready();
        self.wake_now();
    }
}
