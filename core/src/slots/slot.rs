//! Units that are held.

use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use super::ask::MAX_KEYS;
use super::key::OwnedKey;
use super::leak::LeakNode;
use super::load::Holder;
use super::store::{Grant, Grants};
use crate::bell::{Bell, Parked, Source};
use crate::error::{Error, ErrorKind, Result};
use crate::fork::Generation;
use crate::sync::{AtomicBool, OnceCell, Ordering};
use crate::time::Deadline;

/// A request's place within its limits: one unit of each key that was asked for. It counts as in use until it is
/// released, which its drop does too.
///
/// Any thread may use it at any time.
#[must_use = "dropping a slot releases it"]
pub struct Slot {
    grants: Grants,
    /// Of the process that it was taken in.
    generation: Generation,
    /// Nothing is left for the drop to do. Relaxed: whether a unit is held is decided by its store.
    is_released: AtomicBool,
    /// Who is woken when it is lost; made with the first who asks.
    watch: OnceCell<Arc<Source>>,
}

/// What a release came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Released {
    /// It was held, and is free now.
    Released,
    /// It was released before.
    Already,
    /// It was lost before; the rest of it is free now.
    Lost,
}

impl Released {
    /// The stable name, in snake case.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Released => "released",
            Self::Already => "already",
            Self::Lost => "lost",
        }
    }

    pub(super) fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Lost, _) | (_, Self::Lost) => Self::Lost,
            (Self::Released, _) | (_, Self::Released) => Self::Released,
            _ => Self::Already,
        }
    }
}

/// Why a slot was lost. The work that it was for may still be running: nothing of the host's is cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LostReason {
    /// Its lease ended, because nobody renewed it in time.
    Expired,
    /// Somebody took it away ([`super::SlotPool::force`]).
    Forced,
    /// The store forgot it.
    Store,
}

impl LostReason {
    /// The stable name, in snake case.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::Forced => "forced",
            Self::Store => "store",
        }
    }
}

impl Slot {
    #[inline]
    pub(super) fn new(grants: Grants, generation: Generation) -> Self {
        Self {
            grants,
            generation,
            is_released: AtomicBool::new(false),
            watch: OnceCell::new(),
        }
    }

    pub(super) fn grants(&self) -> impl Iterator<Item = &Grant> {
        self.grants.iter()
    }

    /// Whether this process is the one that it was taken in.
    #[inline]
    fn is_here(&self) -> bool {
        self.generation.is_current()
    }

    /// Gives everything back, the last scope first, and hands it to whoever waits. Never waits and never fails; in a
    /// forked child it does nothing and says `Already`. Call it as often as you like: it happens once.
    #[inline]
    pub fn release(&self) -> Released {
        if !self.is_here() {
            return Released::Already;
        }
        self.is_released.store(true, Ordering::Relaxed);
        self.grants.release()
    }

    /// Releases a slot that no caller had.
    pub(super) fn give_back(self) {
        if self.is_here() {
            self.is_released.store(true, Ordering::Relaxed);
            self.grants.iter().rev().for_each(Grant::give_back);
        }
    }

    /// Gives back the unit of one scope and keeps the rest. `None` if the slot has no such scope, or has it no more.
    pub fn release_scope(&self, scope: &str) -> Option<Released> {
        if !self.is_here() {
            return None;
        }
        let grant = self
            .grants
            .iter()
            .find(|grant| grant.lessor.is_of(grant.token, scope))?;
        Some(grant.release())
    }

    /// Moves what `other` holds to this slot: both are then released by one call, and `other` is left empty.
    /// [`ErrorKind::InvalidArgument`] if that were more than 8 keys; then nothing is moved.
    pub fn join(&mut self, other: &mut Self) -> Result<()> {
        if self.grants.len() + other.grants.len() > MAX_KEYS {
            return Err(Error::fixed(
                ErrorKind::InvalidArgument,
                "slot",
                "both slots together hold more than 8 keys",
            ));
        }
        if !other.grants.is_empty() {
            // Whatever was released before, these may be held.
            self.is_released.store(false, Ordering::Relaxed);
        }
        if let Some(source) = self.watch.get() {
            for grant in other.grants.iter() {
                grant.lessor.watch(grant.token, source);
            }
        }
        for grant in other.grants.drain() {
            self.grants.push(grant);
        }
        Ok(())
    }

    /// The keys it still holds or has lost, in the order they were taken.
    #[must_use]
    pub fn keys(&self) -> Vec<OwnedKey> {
        if !self.is_here() {
            return Vec::new();
        }
        let keys = self.grants.iter();
        keys.filter_map(|grant| grant.lessor.key(grant.token))
            .collect()
    }

    /// Its entries in the lists of holders: label, age, key. Without those it holds no more.
    #[must_use]
    pub fn holders(&self) -> Vec<Holder> {
        if !self.is_here() {
            return Vec::new();
        }
        let grants = self.grants.iter();
        grants
            .filter_map(|grant| grant.lessor.holder(grant.token))
            .collect()
    }

    /// Why it was lost, or a part of it; `None` while it is not.
    #[must_use]
    pub fn lost(&self) -> Option<LostReason> {
        if !self.is_here() {
            return None;
        }
        let mut parts = self.grants.iter();
        parts.find_map(|grant| grant.lessor.lost(grant.token))
    }

    /// The source that is woken by a loss.
    fn watch(&self) -> &Arc<Source> {
        self.watch.get_or_init(|| {
            let source = Source::new();
            for grant in self.grants.iter() {
                grant.lessor.watch(grant.token, &source);
            }
            source
        })
    }

    /// Rings `bell` under `token` when the slot is lost; the token is ready at once, so that nothing is missed. It is
    /// never rung for a release.
    pub fn attach(&self, bell: &Bell, token: u64) -> Result<()> {
        self.generation.check()?;
        self.watch().attach(bell, token);
        Ok(())
    }

    /// Waits until the slot is lost, and says why. Never ends while it is not. One wait at a time: the latest poll is
    /// the one that is woken.
    pub async fn until_lost(&self) -> LostReason {
        poll_fn(|cx| {
            // First say who waits, then look.
            self.watch().wait_as_task(cx.waker());
            match self.lost() {
                Some(reason) => Poll::Ready(reason),
                None => Poll::Pending,
            }
        })
        .await
    }

    /// As [`Slot::until_lost`], blocking the thread for at most `timeout`; `None` when that has passed.
    pub fn wait_lost(&self, timeout: Duration) -> Option<LostReason> {
        let shared = self.grants.first()?.lessor.shared().clone();
        let source = self.watch();
        let deadline = Deadline::new(&shared.clock, Some(timeout));
        let _timer = deadline.timer(&shared.clock, source).ok()?;
        loop {
            source.begin_park();
            if let Some(reason) = self.lost() {
                source.end_wait();
                return Some(reason);
            }
            if deadline.has_passed(&shared.clock)
                || source.park(deadline.instant()) == Parked::TimedOut
            {
                source.end_wait();
                return self.lost();
            }
        }
    }

    /// For the finalisers of garbage-collected languages: nobody can use this slot any more, and nobody released it. It
    /// is put on a list, without a lock, and the pool's next call releases it, counts it as leaked, and tells the
    /// host's sink. Nothing happens if it was released after all.
    pub fn leak(self) {
        if !self.is_here() || self.is_released.load(Ordering::Relaxed) {
            return;
        }
        let Some(shared) = self
            .grants
            .first()
            .map(|grant| grant.lessor.shared().clone())
        else {
            return;
        };
        shared.leak(LeakNode::new(self));
    }
}

impl Drop for Slot {
    #[inline]
    fn drop(&mut self) {
        if self.grants.is_empty() || self.is_released.load(Ordering::Relaxed) {
            return;
        }
        if self.is_here() {
            self.grants.release();
        } else {
            // A forked child: the locks may be held by threads that do not exist here, and a reference that is given
            // up here could be the last one of something that has a lock in it.
            std::mem::forget(std::mem::take(&mut self.grants));
        }
    }
}

impl fmt::Debug for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slot")
            .field("holders", &self.holders())
            .field("lost", &self.lost())
            .finish_non_exhaustive()
    }
}
