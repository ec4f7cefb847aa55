//! The doorbell of a model: a counter under a lock, as an eventfd is in the kernel, and a `poll` that
//! sleeps until it is readable.

use std::os::fd::RawFd;

use crate::error::Result;
use crate::sync::{Condvar, Mutex};

pub(super) struct Doorbell {
    count: Mutex<u64>,
    readable: Condvar,
}

impl Doorbell {
    pub(super) fn new() -> Result<Self> {
        Ok(Self {
            count: Mutex::new(0),
            readable: Condvar::new(),
        })
    }

    pub(super) fn raise(&self) {
        *self.count.lock() += 1;
        self.readable.notify_all();
    }

    pub(super) fn clear(&self) {
        *self.count.lock() = 0;
    }

    pub(super) fn fd(&self) -> RawFd {
        -1
    }

    /// Sleeps until the descriptor is readable: what a host's loop does.
    #[cfg(test)]
    pub(super) fn poll(&self) {
        let mut count = self.count.lock();
        while *count == 0 {
            self.readable.wait(&mut count);
        }
    }

    /// Whether the descriptor is readable now.
    #[cfg(test)]
    pub(super) fn is_readable(&self) -> bool {
        *self.count.lock() > 0
    }
}
