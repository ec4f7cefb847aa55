//! Blocking on a waker.

use std::sync::Arc;
use std::task::Wake;

use crate::sync::{Condvar, Mutex};

/// A thread that sleeps until its waker is called. A wake before the sleep ends it at once.
pub(super) struct Parker {
    woken: Mutex<bool>,
    changed: Condvar,
}

impl Parker {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            woken: Mutex::new(false),
            changed: Condvar::new(),
        })
    }

    /// Blocks until a wake since the last call.
    pub(super) fn park(&self) {
        let mut woken = self.woken.lock();
        while !*woken {
            self.changed.wait(&mut woken);
        }
        *woken = false;
    }
}

impl Wake for Parker {
    fn wake(self: Arc<Self>) {
        *self.woken.lock() = true;
        self.changed.notify_one();
    }
}
