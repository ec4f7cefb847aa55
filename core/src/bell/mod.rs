//! Readiness: how a sleeping reader is woken.
//!
//! Promises:
//! * nobody asleep: a publish makes no wake-up call and pays one load;
//! * a wake may be spurious, it is never missed;
//! * no lock is held while anybody is woken, and no waker runs under a lock.
//!
//! How. A reader that found nothing *arms*: it links its [`Source`] into its row's [`ArmList`] under the
//! log's lock, in the same hold in which it saw that there is nothing. A publisher takes the whole list
//! in its own hold of that lock ([`Chain`], one pointer swap) and rings each source after unlocking.
//! What ringing does is the sleeper's affair: wake a task, unpark a thread (one per bus at a time, each
//! wakes the next: [`ParkLine`]), or mark a token ready on a [`Bell`] and wake its loop once.

mod arm;
#[allow(clippy::module_inception)]
mod bell;
#[cfg_attr(loom, path = "doorbell_model.rs")]
mod doorbell;
mod drive;
#[cfg(all(test, loom))]
mod loom_tests;
mod own;
mod park;
mod ready;
mod source;

pub(crate) use arm::{ArmList, Chain, LockToken};
pub use bell::Bell;
pub use drive::{Drive, Ready};
pub(crate) use park::ParkLine;
pub(crate) use source::{Parked, Source};
