//! Who is armed: an intrusive list of sources under somebody else's lock.
//!
//! The list is doubly linked so that a reader that leaves can unlink itself in one step, and so that a
//! publisher can take all of it in one step. A generation tells a source whose list was taken meanwhile
//! that its links are no longer its own: they belong to the [`Chain`] until it has popped the source.

use std::ptr::{NonNull, null_mut};
use std::sync::Arc;

use super::source::Source;
use crate::sync::{AtomicPtr, AtomicU64, Ordering};

/// Proof that the lock which guards a family of arm lists is held: it lives inside that lock.
pub(crate) struct LockToken(());

impl LockToken {
    /// One per lock; whoever guards the lists with something else breaks them.
    pub(crate) fn new() -> Self {
        Self(())
    }
}

/// The links of a source. Relaxed everywhere: the guarding lock orders list and links, and after a take
/// the chain alone owns the links.
#[derive(Default)]
pub(super) struct Links {
    next: AtomicPtr<Source>,
    prev: AtomicPtr<Source>,
    generation: AtomicU64,
}

/// Sources to ring at the next matching event.
#[derive(Default)]
pub(crate) struct ArmList {
    head: AtomicPtr<Source>,
    tail: AtomicPtr<Source>,
    generation: AtomicU64,
}

impl ArmList {
    /// Whether nobody is armed: the one load that a publish pays.
    #[inline]
    pub(crate) fn is_empty(&self, _held: &LockToken) -> bool {
        self.head.load(Ordering::Relaxed).is_null()
    }

    /// Links `source`, unless it is armed or about to be rung anyway. The list keeps a reference.
    pub(crate) fn arm(&self, _held: &mut LockToken, source: &Arc<Source>) {
        // Acquire: pairs with the Release in `Chain::pop`, which has read our links before.
        if source.armed.load(Ordering::Acquire) {
            // Linked already, or in a chain on its way: that ring comes after our caller told the
            // source who waits, or else its section of the source's lock came before ours and then we
            // see its `armed = false`.
            return;
        }
        source.armed.store(true, Ordering::Relaxed);
        let node = Arc::into_raw(source.clone()).cast_mut();
        let tail = self.tail.load(Ordering::Relaxed);
        source.links.prev.store(tail, Ordering::Relaxed);
        source.links.next.store(null_mut(), Ordering::Relaxed);
        source
            .links
            .generation
            .store(self.generation.load(Ordering::Relaxed), Ordering::Relaxed);
        match NonNull::new(tail) {
            // SAFETY: a linked node is kept alive by the reference that the list holds.
            Some(tail) => unsafe { tail.as_ref() }
                .links
                .next
                .store(node, Ordering::Relaxed),
            None => self.head.store(node, Ordering::Relaxed),
        }
        self.tail.store(node, Ordering::Relaxed);
    }

    /// Unlinks `source` if it stands in this list (a source only ever arms in one list).
    pub(crate) fn disarm(&self, _held: &mut LockToken, source: &Arc<Source>) {
        let ours = self.generation.load(Ordering::Relaxed);
        if !source.armed.load(Ordering::Relaxed)
            || source.links.generation.load(Ordering::Relaxed) != ours
        {
            return;
        }
        let next = source.links.next.load(Ordering::Relaxed);
        let prev = source.links.prev.load(Ordering::Relaxed);
        match NonNull::new(prev) {
            // SAFETY: as in `arm`.
            Some(prev) => unsafe { prev.as_ref() }
                .links
                .next
                .store(next, Ordering::Relaxed),
            None => self.head.store(next, Ordering::Relaxed),
        }
        match NonNull::new(next) {
            // SAFETY: as in `arm`.
            Some(next) => unsafe { next.as_ref() }
                .links
                .prev
                .store(prev, Ordering::Relaxed),
            None => self.tail.store(prev, Ordering::Relaxed),
        }
        source.armed.store(false, Ordering::Relaxed);
        // SAFETY: `arm` made this reference with `into_raw`, and the list has just forgotten it.
        drop(unsafe { Arc::from_raw(Arc::as_ptr(source)) });
    }

    /// Moves everybody to `chain`, in the order in which they armed.
    #[inline]
    pub(crate) fn take(&self, _held: &mut LockToken, chain: &mut Chain) {
        let Some(head) = NonNull::new(self.head.load(Ordering::Relaxed)) else {
            return;
        };
        let tail = self.tail.load(Ordering::Relaxed);
        self.head.store(null_mut(), Ordering::Relaxed);
        self.tail.store(null_mut(), Ordering::Relaxed);
        self.generation.store(
            self.generation.load(Ordering::Relaxed) + 1,
            Ordering::Relaxed,
        );
        match NonNull::new(chain.tail) {
            Some(last) => {
                // SAFETY: the chain holds a reference to each of its nodes.
                unsafe { last.as_ref() }
                    .links
                    .next
                    .store(head.as_ptr(), Ordering::Relaxed);
            }
            None => chain.head = head.as_ptr(),
        }
        chain.tail = tail;
    }
}

impl Drop for ArmList {
    fn drop(&mut self) {
        // Only a list whose row is gone: nobody will ring these, and nobody waits on them.
        let mut token = LockToken::new();
        let mut chain = Chain::new();
        self.take(&mut token, &mut chain);
        while chain.pop().is_some() {}
    }
}

/// Sources that were taken to be rung.
pub(crate) struct Chain {
    head: *mut Source,
    tail: *mut Source,
}

impl Chain {
    /// An empty chain.
    pub(crate) const fn new() -> Self {
        Self {
            head: null_mut(),
            tail: null_mut(),
        }
    }

    /// Whether there is nobody to ring.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.head.is_null()
    }

    /// The next source, which from now on may arm again.
    pub(crate) fn pop(&mut self) -> Option<Arc<Source>> {
        let node = NonNull::new(self.head)?;
        // SAFETY: the chain owns the reference that `ArmList::arm` made for this node.
        let source = unsafe { Arc::from_raw(node.as_ptr().cast_const()) };
        self.head = source.links.next.load(Ordering::Relaxed);
        if self.head.is_null() {
            self.tail = null_mut();
        }
        // Release: whoever sees `false` and links the source anew must not have its new links read by
        // the load above. (It sees it under the log's lock, or after the source's own.)
        source.armed.store(false, Ordering::Release);
        Some(source)
    }
}
