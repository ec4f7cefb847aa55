//! Locks, atomics and the bounded channel, from one place, with their loom faces.
//!
//! Under `cfg(loom)` every type here is a modelled one, so that the models in `core/tests/loom_*.rs`
//! run the code that ships. The channel becomes a bounded queue with the documented contract of
//! `try_send` and `try_recv`: the models prove our protocol, not crossbeam.
//!
//! House rule: order between *different* variables is made with [`fence`], never with `SeqCst`
//! accesses, which loom does not model.

mod channel;
#[cfg(loom)]
mod loom_face;

pub(crate) use channel::{Receiver, Sender, TrySend, bounded};

#[cfg(not(loom))]
pub(crate) use once_cell::sync::OnceCell;
#[cfg(not(loom))]
pub(crate) use parking_lot::{Condvar, Mutex, MutexGuard};
#[cfg(not(loom))]
pub(crate) use std::sync::OnceLock;
#[cfg(not(loom))]
pub(crate) use std::sync::atomic::{
    AtomicBool, AtomicI64, AtomicPtr, AtomicU8, AtomicU64, Ordering, fence,
};
#[cfg(not(loom))]
pub(crate) use std::thread_local as local_key;

#[cfg(loom)]
pub(crate) use loom::sync::atomic::{
    AtomicBool, AtomicI64, AtomicPtr, AtomicU8, AtomicU64, Ordering, fence,
};
#[cfg(all(test, loom))]
pub(crate) use loom_face::check;
#[cfg(loom)]
pub(crate) use loom_face::{Condvar, Mutex, MutexGuard, OnceCell, OnceCell as OnceLock, local_key};

/// A value on cache lines of its own, so that its writers do not slow its neighbours' readers.
/// 128 bytes: two lines, because adjacent lines are prefetched in pairs on x86-64 and aarch64.
#[derive(Default)]
#[repr(align(128))]
pub(crate) struct Padded<T>(pub(crate) T);

impl<T> std::ops::Deref for Padded<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.0
    }
}
