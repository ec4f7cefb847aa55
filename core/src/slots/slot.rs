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
use super::lost_reason::LostReason;
use super::released::Released;
use super::store::{Grant, Grants};
use crate::bell::{Bell, Parked, Source};
use crate::error::{Error, ErrorKind, Result};
use crate::fork::Generation;
use crate::sync::{AtomicU8, OnceCell, Ordering, fence};
use crate::time::{Clock, Deadline};

/// A request's place within its limits: one unit of each key that was asked for. It counts as in use until it is
/// released, which its drop does too.
///
/// Any thread may use it at any time.
#[must_use = "dropping a slot releases it"]
pub struct Slot {
    grants: Grants,
    /// Of the process that it was taken in.
    generation: Generation,
    /// What was done to it, in bits. One word, so that of a release, a join and a watch that race, each comes after the
    /// other: who comes second sees to both. AcqRel: what was joined, or who watches, is there when its bit is seen.
    state: AtomicU8,
    /// Who is woken when it is lost or released; made with the first who asks.
    watch: OnceCell<Arc<Source>>,
    /// What was joined to it: a list, to which any thread adds at its end.
    joined: OnceCell<Box<Slot>>,
}

/// Nothing is left for the drop to do.
const RELEASED: u8 = 1;
const JOINED: u8 = 2;
const WATCHED: u8 = 4;
/// A thread is blocked until it is lost.
const AWAITED: u8 = 8;

impl Slot {
    #[inline]
    pub(super) fn new(grants: Grants, generation: Generation) -> Self {
        Self {
            grants,
            generation,
            state: AtomicU8::new(0),
            watch: OnceCell::new(),
            joined: OnceCell::new(),
        }
    }

    /// It, and what was joined to it.
    fn parts(&self) -> impl Iterator<Item = &Self> {
        std::iter::successors(Some(self), |part| part.joined.get().map(Box::as_ref))
    }

    pub(super) fn grants(&self) -> impl Iterator<Item = &Grant> {
        self.parts().flat_map(|part| part.grants.iter())
    }

    /// Whether this process is the one that it was taken in.
    #[inline]
    fn is_here(&self) -> bool {
        self.generation.is_current()
    }

    fn is_released(&self) -> bool {
        self.state.load(Ordering::Acquire) & RELEASED != 0
    }

    /// Gives everything back, the last scope first, and hands it to whoever waits. Never waits and never fails; in a
    /// forked child it does nothing and says `Already`. Call it as often as you like: it happens once.
    #[inline]
    pub fn release(&self) -> Released {
        if !self.is_here() {
            return Released::Already;
        }
        match self.state.fetch_or(RELEASED, Ordering::AcqRel) & (JOINED | WATCHED) {
            0 => self.grants.release(),
            _ => self.release_all(),
        }
    }

    fn release_all(&self) -> Released {
        let joined = self.joined.get().map(|part| {
            part.state.fetch_or(RELEASED, Ordering::AcqRel);
            // Its own bits do not tell of what was joined behind it later: that was joined to the whole.
            part.release_all()
        });
        let released = self.grants.release();
        if let Some(source) = self.watch.get() {
            // Dekker with those who wait: it is said that it is released, now wake who said that it waits.
            fence(Ordering::SeqCst);
            source.wake_now();
        }
        joined.map_or(released, |joined| joined.and(released))
    }

    /// Releases a slot that no caller had.
    pub(super) fn give_back(self) {
        if self.is_here() {
            self.state.fetch_or(RELEASED, Ordering::AcqRel);
            self.grants.iter().rev().for_each(Grant::give_back);
        }
    }

    /// Gives back the unit of one scope and keeps the rest. `None` if the slot has no such scope, or has it no more.
    pub fn release_scope(&self, scope: &str) -> Option<Released> {
        if !self.is_here() {
            return None;
        }
        let mut grants = self.grants();
        let grant = grants.find(|grant| grant.lessor.is_of(grant.token, scope))?;
        Some(grant.release())
    }

    /// Moves what `other` holds to this slot: both are then released by one call, and `other` is left empty. What is
    /// joined to a slot that was released is released too, so a release may race it.
    ///
    /// [`ErrorKind::InvalidArgument`] if that were more than 8 keys, [`ErrorKind::Forked`] if either is a parent's; then
    /// nothing is moved.
    pub fn join(&self, other: &mut Self) -> Result<()> {
        self.generation.check()?;
        other.generation.check()?;
        if self.grants().count() + other.grants().count() > MAX_KEYS {
            return Err(Error::fixed(
                ErrorKind::InvalidArgument,
                "slot",
                "both slots together hold more than 8 keys",
            ));
        }
        other.detach();
        let empty = Self::new(Grants::new(), other.generation);
        let mut moved = Box::new(std::mem::replace(other, empty));
        let mut end = self;
        let moved = loop {
            while let Some(next) = end.joined.get() {
                end = next;
            }
            match end.joined.set(moved) {
                Ok(()) => break end.joined.get(),
                Err(back) => moved = back,
            }
        };
        let before = self.state.fetch_or(JOINED, Ordering::AcqRel);
        let Some(moved) = moved else { return Ok(()) };
        if before & WATCHED != 0
            && let Some(source) = self.watch.get()
        {
            moved.watch_by(source);
        }
        if before & RELEASED != 0 {
            moved.release();
        }
        Ok(())
    }

    /// The keys it still holds or has lost, in the order they were taken.
    #[must_use]
    pub fn keys(&self) -> Vec<OwnedKey> {
        if !self.is_here() {
            return Vec::new();
        }
        let key = |grant: &Grant| grant.lessor.key(grant.token);
        self.grants().filter_map(key).collect()
    }

    /// Its entries in the lists of holders: label, age, key. Without those it holds no more.
    #[must_use]
    pub fn holders(&self) -> Vec<Holder> {
        if !self.is_here() {
            return Vec::new();
        }
        let holder = |grant: &Grant| grant.lessor.holder(grant.token);
        self.grants().filter_map(holder).collect()
    }

    /// Why it was lost, or a part of it; `None` while it is not.
    #[must_use]
    pub fn lost(&self) -> Option<LostReason> {
        if !self.is_here() {
            return None;
        }
        let mut grants = self.grants();
        grants.find_map(|grant| grant.lessor.lost(grant.token))
    }

    /// The source that is woken by a loss and by a release.
    pub(super) fn watch(&self) -> &Arc<Source> {
        let mut is_new = false;
        let source = self.watch.get_or_init(|| {
            is_new = true;
            Source::new()
        });
        if is_new {
            let before = self.state.fetch_or(WATCHED, Ordering::AcqRel);
            self.watch_by(source);
            if before & RELEASED != 0 {
                source.wake_now(); // the release saw nobody; who found the source meanwhile may sleep on it
            }
        }
        source
    }

    fn watch_by(&self, source: &Arc<Source>) {
        for grant in self.grants() {
            grant.lessor.watch(grant.token, source);
        }
    }

    /// Rings `bell` under `token` when the slot is lost; the token is ready at once, so that nothing is missed. It is
    /// never rung for a release.
    pub fn attach(&self, bell: &Bell, token: u64) -> Result<()> {
        self.generation.check()?;
        self.watch().attach(bell, token);
        Ok(())
    }

    /// Leaves its bell, if it has one: its token is not taken from then on.
    pub fn detach(&self) {
        if let Some(source) = self.watch.get()
            && self.is_here()
        {
            source.detach();
        }
    }

    /// What a wait for a loss ends with, if it does: the loss, or `None` for a release.
    fn end_of_watch(&self) -> Option<Option<LostReason>> {
        // Dekker with `release`: it is said who waits, now look.
        fence(Ordering::SeqCst);
        // First whether it was released, which a store forgets a loss with.
        let is_released = self.is_released();
        match self.lost() {
            Some(reason) => Some(Some(reason)),
            None => is_released.then_some(None),
        }
    }

    /// Waits until the slot is lost, and says why, or until it is released, which is `None`. One wait at a time: the
    /// latest poll is the one that is woken. In a forked child it is `None` at once.
    pub async fn until_lost(&self) -> Option<LostReason> {
        poll_fn(|cx| {
            if !self.is_here() {
                return Poll::Ready(None);
            }
            self.watch().wait_as_task(cx.waker());
            match self.end_of_watch() {
                Some(end) => Poll::Ready(end),
                None => Poll::Pending,
            }
        })
        .await
    }

    /// As [`Slot::until_lost`], blocking the thread, at most for `timeout`, where `None` waits as long as it is held.
    ///
    /// [`ErrorKind::Timeout`] when that has passed. [`ErrorKind::Busy`]: another thread waits on it.
    pub fn wait_lost(&self, timeout: Option<Duration>) -> Result<Option<LostReason>> {
        let Some(shared) = self.grants().next().map(|grant| grant.lessor.shared()) else {
            return Ok(None);
        };
        shared.generation.check()?;
        let source = self.watch();
        if self.state.fetch_or(AWAITED, Ordering::AcqRel) & AWAITED != 0 {
            return Err(Error::fixed(
                ErrorKind::Busy,
                "slot",
                "another thread waits on this; one at a time",
            ));
        }
        let answer = self.block(&shared.clock, source, timeout);
        source.end_wait();
        self.state.fetch_and(!AWAITED, Ordering::AcqRel);
        answer
    }

    fn block(
        &self,
        clock: &Clock,
        source: &Arc<Source>,
        timeout: Option<Duration>,
    ) -> Result<Option<LostReason>> {
        let deadline = Deadline::new(clock, timeout);
        let _timer = deadline.timer(clock, source)?;
        loop {
            source.begin_park();
            if let Some(end) = self.end_of_watch() {
                return Ok(end);
            }
            if deadline.has_passed(clock) || source.park(deadline.instant()) == Parked::TimedOut {
                let late =
                    || Error::fixed(ErrorKind::Timeout, "slot", "it was not lost in that time");
                return self.end_of_watch().ok_or_else(late);
            }
        }
    }

    /// For the finalisers of garbage-collected languages: nobody can use this slot any more, and nobody released it. It
    /// is put on a list, without a lock, and the pool's next call releases it, counts it as leaked, and tells the
    /// host's sink. Nothing happens if it was released after all.
    pub fn leak(self) {
        if !self.is_here() || self.is_released() {
            return;
        }
        let first = self.grants().next();
        if let Some(shared) = first.map(|grant| grant.lessor.shared().clone()) {
            shared.leak(LeakNode::new(self));
        }
    }
}

impl Drop for Slot {
    #[inline]
    fn drop(&mut self) {
        // Relaxed: nobody else has it any more.
        let state = self.state.load(Ordering::Relaxed);
        if state & WATCHED != 0 {
            self.detach();
        }
        if state & RELEASED != 0 {
            return;
        }
        if self.is_here() {
            if let Some(joined) = self.joined.get() {
                joined.release();
            }
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
