//! The bell's futures.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use super::bell::BellCore;
use super::ready::Attachment;
use crate::sync::{Ordering, fence};

/// Ends when tokens may be ready: [`crate::Bell::ready`].
#[must_use = "a future does nothing until it is awaited"]
pub struct Ready(Arc<BellCore>);

impl Ready {
    pub(super) fn new(core: Arc<BellCore>) -> Self {
        Self(core)
    }
}

impl Future for Ready {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let core = &*self.0;
        // First say who waits, then look: a ring after the look finds the waker.
        core.set_task(cx.waker());
        fence(Ordering::SeqCst);
        if core.has_tokens() || core.is_closed() {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }
}

/// Wakes the tasks of one loop from within: [`crate::Bell::drive`].
#[must_use = "a future does nothing until it is spawned"]
pub struct Drive {
    core: Arc<BellCore>,
    /// Empty between polls: its memory is kept.
    ready: VecDeque<Arc<Attachment>>,
}

impl Drive {
    pub(super) fn new(core: Arc<BellCore>) -> Self {
        core.set_driven(true);
        Self {
            core,
            ready: VecDeque::new(),
        }
    }
}

impl Future for Drive {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Self { core, ready } = &mut *self;
        core.set_task(cx.waker());
        fence(Ordering::SeqCst);
        core.wake_ready(ready);
        if core.is_closed() {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }
}

impl Drop for Drive {
    fn drop(&mut self) {
        self.core.set_driven(false);
        // Dekker with `Source::ring`: we stop driving, then look for tokens; it pushes its token, then
        // looks whether anybody drives. Whoever comes second wakes the task.
        fence(Ordering::SeqCst);
        self.core.wake_ready(&mut self.ready);
    }
}
