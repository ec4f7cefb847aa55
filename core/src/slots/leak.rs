//! Slots that were collected without a release: a lock-free list that finalisers push on.

use std::ptr::null_mut;
use std::time::Duration;

use super::key::OwnedKey;
use super::slot::Slot;
use crate::sync::{AtomicPtr, Ordering};

/// A slot that its host forgot: what the sink is told of each key it held.
#[derive(Clone, Debug)]
pub struct Leak {
    /// What was held.
    pub key: OwnedKey,
    /// What its host had called it.
    pub label: Box<str>,
    /// How long it was held.
    pub age: Duration,
}

/// A slot on its way to the list.
pub(super) struct LeakNode {
    slot: Slot,
    next: *mut LeakNode,
}

impl LeakNode {
    pub(super) fn new(slot: Slot) -> Box<Self> {
        Box::new(Self {
            slot,
            next: null_mut(),
        })
    }
}

/// A stack of leaked slots (Treiber, 1986), which is only ever emptied as a whole: no node is read after it may have
/// been freed.
#[derive(Default)]
pub(super) struct LeakList {
    head: AtomicPtr<LeakNode>,
}

impl LeakList {
    /// Adds a slot, without a lock and without a wait.
    pub(super) fn push(&self, node: Box<LeakNode>) {
        let node = Box::into_raw(node);
        let mut head = self.head.load(Ordering::Relaxed);
        loop {
            // SAFETY: the node is ours until the exchange succeeds.
            unsafe { (*node).next = head };
            // Release: the slot and the link are written before the node can be found.
            match self
                .head
                .compare_exchange_weak(head, node, Ordering::Release, Ordering::Relaxed)
            {
                Ok(_) => return,
                Err(now) => head = now,
            }
        }
    }

    /// Whether there is none. One load: asked by every call of the pool.
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.head.load(Ordering::Relaxed).is_null()
    }

    /// Takes all.
    pub(super) fn take(&self) -> Vec<Slot> {
        // Acquire: pairs with the Release in `push`.
        let mut head = self.head.swap(null_mut(), Ordering::Acquire);
        let mut slots = Vec::new();
        while !head.is_null() {
            // SAFETY: `push` made this pointer by `into_raw`, and the swap made it ours alone.
            let node = unsafe { Box::from_raw(head) };
            head = node.next;
            slots.push(node.slot);
        }
        slots
    }
}

impl Drop for LeakList {
    fn drop(&mut self) {
        drop(self.take());
    }
}
