//! Timers in the order they are due.

use std::collections::BTreeMap;
use std::task::Waker;

/// Names one timer of a queue: its deadline, then its number in the order of setting.
pub(super) type Key = (u64, u64);

/// Timers by deadline; those of one deadline by age. Its owner locks it.
#[derive(Default)]
pub(super) struct Queue {
    timers: BTreeMap<Key, Waker>,
    next: u64,
}

impl Queue {
    /// Sets a timer.
    pub(super) fn add(&mut self, deadline_ns: u64, waker: Waker) -> Key {
        let key = (deadline_ns, self.next);
        self.next += 1;
        self.timers.insert(key, waker);
        key
    }

    /// Takes a timer out; `None` if it has fired. The waker is for the caller to drop, unlocked.
    pub(super) fn remove(&mut self, key: Key) -> Option<Waker> {
        self.timers.remove(&key)
    }

    /// The deadline of the timer that is due first.
    #[cfg(not(loom))]
    pub(super) fn first_ns(&self) -> Option<u64> {
        self.timers.first_key_value().map(|(key, _)| key.0)
    }

    /// Takes out the first timer that is due at `now_ns`, with its deadline.
    pub(super) fn pop_due(&mut self, now_ns: u64) -> Option<(u64, Waker)> {
        let first = self.timers.first_entry()?;
        let deadline_ns = first.key().0;
        (deadline_ns <= now_ns).then(|| (deadline_ns, first.remove()))
    }

    /// Whether no timer is set.
    #[cfg(not(loom))]
    pub(super) fn is_empty(&self) -> bool {
        self.timers.is_empty()
    }
}
