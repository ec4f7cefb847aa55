//! Waking many parked threads without making a publisher pay for each.
//!
//! Unparking a thread is a system call of microseconds. A publisher therefore wakes one, and whoever
//! leaves a park wakes the next: the cost moves to the threads that asked to sleep.

use std::ptr::null_mut;
use std::sync::Arc;

use super::source::Source;
use crate::sync::{AtomicBool, Mutex, Ordering, fence};

/// Parked threads that have something to look at and wait to be woken by one another.
pub(crate) struct ParkLine {
    queue: Mutex<Queue>,
    /// Whether the queue may hold somebody: spares those who leave a park the lock. Ordered by fences:
    /// see [`ParkLine::wake_next`].
    occupied: AtomicBool,
}

/// Singly linked by `Source::parked_next`; holds a reference to each.
struct Queue {
    head: *mut Source,
    tail: *mut Source,
}

// SAFETY: the queue owns its references, and `Source` is `Send + Sync`.
unsafe impl Send for Queue {}

impl ParkLine {
    pub(crate) fn new() -> Self {
        Self {
            queue: Mutex::new(Queue {
                head: null_mut(),
                tail: null_mut(),
            }),
            occupied: AtomicBool::new(false),
        }
    }

    /// Lines up the thread that is parked at `source`. Whoever pushes calls [`ParkLine::wake_next`]
    /// after the last push.
    pub(super) fn push(&self, source: &Arc<Source>) {
        let mut queue = self.queue.lock();
        let tail = queue.tail;
        let node = Arc::as_ptr(source).cast_mut();
        if node == tail || !source.parked_next.load(Ordering::Relaxed).is_null() {
            return; // in line already
        }
        let _kept = Arc::into_raw(source.clone());
        // SAFETY: nodes in the queue are kept alive by the references it holds.
        match unsafe { tail.as_ref() } {
            Some(tail) => tail.parked_next.store(node, Ordering::Relaxed),
            None => queue.head = node,
        }
        queue.tail = node;
        self.occupied.store(true, Ordering::Relaxed);
    }

    fn pop(&self) -> Option<Arc<Source>> {
        let mut queue = self.queue.lock();
        if queue.head.is_null() {
            return None;
        }
        // SAFETY: `push` made this reference, and the queue forgets it here.
        let source = unsafe { Arc::from_raw(queue.head.cast_const()) };
        queue.head = source.parked_next.swap(null_mut(), Ordering::Relaxed);
        if queue.head.is_null() {
            queue.tail = null_mut();
            self.occupied.store(false, Ordering::Relaxed);
        }
        Some(source)
    }

    /// Wakes the first in line that is still parked. Called by a publisher after it lined threads up,
    /// and by every thread as it leaves a park, so that the line never stands while somebody is awake
    /// who has not called this yet.
    pub(crate) fn wake_next(&self) {
        // A pusher sets `occupied` under the lock and then calls this itself; a leaver that misses that
        // store leaves the line to the pusher. The fence keeps our own earlier steps (leaving the park)
        // before the look.
        fence(Ordering::SeqCst);
        while self.occupied.load(Ordering::Relaxed) {
            match self.pop() {
                Some(source) if source.wake_thread() => return,
                Some(_) => {} // it left by itself; whoever leaves calls us, but not on its behalf
                None => return,
            }
        }
    }
}

impl Drop for ParkLine {
    fn drop(&mut self) {
        while self.pop().is_some() {}
    }
}
