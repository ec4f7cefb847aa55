//! The ready set of a bell: a lock-free stack of attachments, emptied in one step.
//!
//! `Attachment::ready` says that it is in the set, so that many rings make one entry. It is cleared when the
//! token is handed to the host, *before* the host looks at its subscription: a ring after that makes a new
//! entry.

use std::collections::VecDeque;
use std::ptr::null_mut;
use std::sync::{Arc, Weak};

use super::source::Source;
use crate::sync::{AtomicBool, AtomicPtr, Ordering};

/// A source on a bell: made by each attach, so that a source which moves to another bell leaves nothing of
/// itself behind but an entry that is skipped.
pub(crate) struct Attachment {
    token: u64,
    source: Weak<Source>,
    ready: AtomicBool,
    /// Cleared by a detach. Relaxed: a token that is taken at the same moment is a spurious wake.
    attached: AtomicBool,
    next: AtomicPtr<Attachment>,
}

impl Attachment {
    pub(super) fn new(source: &Arc<Source>, token: u64) -> Arc<Self> {
        Arc::new(Self {
            token,
            source: Arc::downgrade(source),
            ready: AtomicBool::new(false),
            attached: AtomicBool::new(true),
            next: AtomicPtr::default(),
        })
    }

    pub(super) fn detach(&self) {
        self.attached.store(false, Ordering::Relaxed);
    }

    /// It is being handed to the host: a ring from now on makes a new entry. Its token, if it is attached.
    pub(super) fn hand_out(&self) -> Option<u64> {
        // Release: pairs with the swap in `ReadyStack::push`.
        self.ready.store(false, Ordering::Release);
        self.attached.load(Ordering::Relaxed).then_some(self.token)
    }

    /// The source, if it still is.
    pub(super) fn source(&self) -> Option<Arc<Source>> {
        self.source.upgrade()
    }
}

/// Attachments that are ready, not yet handed out.
#[derive(Default)]
pub(super) struct ReadyStack {
    head: AtomicPtr<Attachment>,
}

impl ReadyStack {
    /// Adds `entry` if it is not in the set. `true` if the stack was empty before: somebody must be
    /// woken.
    pub(super) fn push(&self, entry: &Arc<Attachment>) -> bool {
        // AcqRel: what the ringer wrote before comes before what the host does after it cleared the flag.
        if entry.ready.swap(true, Ordering::AcqRel) {
            return false;
        }
        let node = Arc::into_raw(entry.clone()).cast_mut();
        let mut head = self.head.load(Ordering::Relaxed);
        loop {
            entry.next.store(head, Ordering::Relaxed);
            // Release: the link is written before the node can be found.
            match self
                .head
                .compare_exchange_weak(head, node, Ordering::Release, Ordering::Relaxed)
            {
                Ok(_) => return head.is_null(),
                Err(now) => head = now,
            }
        }
    }

    /// Whether there is nothing to take.
    pub(super) fn is_empty(&self) -> bool {
        self.head.load(Ordering::Acquire).is_null()
    }

    /// Moves everybody to the back of `out`, first rung first. The flags stay set.
    pub(super) fn take(&self, out: &mut VecDeque<Arc<Attachment>>) {
        // Acquire: pairs with the Release in `push`.
        let mut node = self.head.swap(null_mut(), Ordering::Acquire);
        let at = out.len();
        while !node.is_null() {
            // SAFETY: `push` made this reference with `into_raw`, and the swap took it out.
            let entry = unsafe { Arc::from_raw(node.cast_const()) };
            node = entry.next.load(Ordering::Relaxed);
            out.push_back(entry);
        }
        out.make_contiguous()[at..].reverse();
    }
}

impl Drop for ReadyStack {
    fn drop(&mut self) {
        self.take(&mut VecDeque::new());
    }
}
