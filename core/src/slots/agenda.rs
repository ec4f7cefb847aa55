//! What is due when: all timers of a pool behind one timer of its clock.
//!
//! Promised: whatever is due fires in the order of its time, and at one time offers before deadlines before pings, on
//! the thread that fires the clock's timers, under no lock.

use std::any::Any;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Weak};
use std::task::{Wake, Waker};

use super::store::CLAIM;
use crate::error::Result;
use crate::sync::{AtomicU64, Mutex, Ordering};
use crate::time::{Clock, TimerHandle};

/// A timer that is due so soon stays set when nobody waits. Hand-over after hand-over sets and cancels an offer's time
/// of 3 s; each time, the timer's thread would have to be woken to hear of it.
const LINGER_NS: u64 = CLAIM.as_nanos() as u64;

/// What fires first of what is due at one time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Class {
    /// A store's message arrives.
    #[cfg(any(test, feature = "test-clock"))]
    Delivery,
    /// An offer that nobody took.
    Offer,
    /// A wait's time is up, or a store's time to answer.
    Deadline,
    /// A ping is due.
    Ping,
    /// Time to ask a store again.
    Poll,
}

/// Names an entry: when, what class, and its number.
pub(super) type Entry = (u64, Class, u64);

/// Something that is due.
pub(super) trait Due: Send + Sync {
    /// Its time has come; the entry, which is named, is gone.
    fn fire(self: Arc<Self>, entry: Entry);
}

/// The timers of a pool.
pub(crate) struct Agenda {
    clock: Clock,
    state: Mutex<State>,
    /// Numbers entries. Relaxed: only their order counts, and only among those of one time and class.
    last: AtomicU64,
    this: Weak<Self>,
}

struct State {
    entries: BTreeMap<Entry, Arc<dyn Due>>,
    /// For when the clock's timer is set, or being set; `u64::MAX` if it is not.
    armed_ns: u64,
    /// Tells settings of the timer apart.
    setting: u64,
    timer: Option<TimerHandle>,
    /// Somebody fires what is due, and arms afterwards: nobody else needs to.
    is_firing: bool,
}

impl State {
    fn is_armed_within(&self, now_ns: u64, after_ns: u64) -> bool {
        self.timer.is_some() && self.armed_ns <= now_ns.saturating_add(after_ns)
    }
}

impl Agenda {
    pub(super) fn new(clock: Clock) -> Arc<Self> {
        Arc::new_cyclic(|this| Self {
            clock,
            state: Mutex::new(State {
                entries: BTreeMap::new(),
                armed_ns: u64::MAX,
                setting: 0,
                timer: None,
                is_firing: false,
            }),
            last: AtomicU64::new(0),
            this: this.clone(),
        })
    }

    /// Puts `due` on the agenda. May be called under a lock; [`Agenda::arm`] follows after it.
    pub(super) fn add(&self, at_ns: u64, class: Class, due: Arc<dyn Due>) -> Entry {
        let entry = (at_ns, class, self.last.fetch_add(1, Ordering::Relaxed));
        self.state.lock().entries.insert(entry, due);
        entry
    }

    /// Takes an entry off, if it has not fired. What it held is for the caller to drop, under no lock.
    pub(super) fn remove(&self, entry: Entry) -> Option<Arc<dyn Due>> {
        self.state.lock().entries.remove(&entry)
    }

    /// Sets the clock's timer for the first entry. Never under a lock: a time that has passed fires here and now, unless
    /// somebody fires already: then that one comes to it, so that no firing is inside another.
    ///
    /// [`crate::ErrorKind::System`] if the timer's thread cannot be started.
    pub(super) fn arm(&self) -> Result<()> {
        let Some(this) = self.this.upgrade() else {
            return Ok(());
        };
        loop {
            let (at_ns, setting, before) = {
                let mut state = self.state.lock();
                if state.is_firing {
                    return Ok(());
                }
                let first = state.entries.first_key_value();
                let first_ns = first.map_or(u64::MAX, |(entry, _)| entry.0);
                if first_ns == u64::MAX {
                    if state.is_armed_within(self.clock.now_ns(), LINGER_NS) {
                        return Ok(()); // a next wait may come, and find it set
                    }
                    // Nobody waits: the timer's thread may go.
                    state.armed_ns = u64::MAX;
                    state.setting += 1;
                    (u64::MAX, state.setting, state.timer.take())
                } else if first_ns >= state.armed_ns {
                    return Ok(()); // it fires early enough, and sets itself anew
                } else {
                    state.armed_ns = first_ns;
                    state.setting += 1;
                    (first_ns, state.setting, state.timer.take())
                }
            };
            drop(before);
            if at_ns == u64::MAX {
                return Ok(());
            }
            let timer = self.clock.schedule(at_ns, Waker::from(this.clone()));
            let mut state = self.state.lock();
            let timer = match timer {
                Ok(timer) => timer,
                Err(error) => {
                    if state.setting == setting {
                        state.armed_ns = u64::MAX; // it is not: the next who comes tries again
                    }
                    return Err(error);
                }
            };
            if state.setting == setting {
                let before = state.timer.replace(timer);
                drop(state);
                drop(before);
                return Ok(());
            }
            drop(state);
            drop(timer);
        }
    }

    /// Nobody waits any more, nor will: lets the timer's thread go at once.
    pub(super) fn disarm(&self) {
        let mut state = self.state.lock();
        if !state.entries.is_empty() {
            return;
        }
        state.armed_ns = u64::MAX;
        state.setting += 1;
        let timer = state.timer.take();
        drop(state);
        drop(timer);
    }

    /// Fires what is due.
    fn fire(&self) {
        {
            let mut state = self.state.lock();
            // The timer is spent.
            state.armed_ns = u64::MAX;
            state.setting += 1;
            if std::mem::replace(&mut state.is_firing, true) {
                return;
            }
        }
        let panicked = self.fire_all();
        self.state.lock().is_firing = false;
        // What came due after the last look is found here. No thread to set a timer on: nobody here to tell, and the next
        // wait tries again, and is told.
        let _ = self.arm();
        if let Some(payload) = panicked
            && !std::thread::panicking()
        {
            resume_unwind(payload);
        }
    }

    /// Fires one after the other. A waker is somebody else's code: one that panics does not take the others' times with
    /// it. What the first panic carried.
    fn fire_all(&self) -> Option<Box<dyn Any + Send>> {
        let mut panicked = None;
        loop {
            let now_ns = self.clock.now_ns();
            let (entry, due) = match self.state.lock().entries.first_entry() {
                Some(first) if first.key().0 <= now_ns => first.remove_entry(),
                _ => return panicked,
            };
            if let Err(payload) = catch_unwind(AssertUnwindSafe(|| due.fire(entry))) {
                match panicked {
                    None => panicked = Some(payload),
                    // Its drop could panic.
                    Some(_) => std::mem::forget(payload),
                }
            }
        }
    }
}

impl Wake for Agenda {
    fn wake(self: Arc<Self>) {
        self.fire();
    }
}
