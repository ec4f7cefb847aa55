//! What a pool tells of its keys, and what hosts set on them.

use std::time::Duration;

use super::key::Key;
use super::limit::Limit;
use super::load::{Holder, HolderId, Load};
use super::pool::SlotPool;
use super::reply::Reply;
use super::stats::{KeyStats, ScopeStats};
use super::store::Change;
use crate::error::Result;

impl SlotPool {
    /// Sets a limit that wins over those of calls until it is cleared. A higher one is offered to those who wait at once;
    /// under a lower one in use falls as slots are released.
    pub fn set_limit(&self, key: Key<'_>, limit: Limit) -> Reply<()> {
        match limit.check() {
            Ok(()) => self.set(key, Change::Limit(limit)),
            Err(error) => Reply::here(Err(error)),
        }
    }

    /// The limits of calls decide again.
    pub fn clear_limit(&self, key: Key<'_>) -> Reply<()> {
        self.set(key, Change::ClearLimit)
    }

    /// Closes a key: who waits is refused as [`super::Outcome::Closed`], and so are newcomers, until [`SlotPool::open_key`].
    /// Holders keep their slots.
    pub fn close_key(&self, key: Key<'_>) -> Reply<()> {
        self.set(key, Change::Close)
    }

    /// Opens a closed key.
    pub fn open_key(&self, key: Key<'_>) -> Reply<()> {
        self.set(key, Change::Open)
    }

    fn set(&self, key: Key<'_>, change: Change) -> Reply<()> {
        match self.check_fork().and_then(|()| key.check()) {
            Ok(()) => self.core.store.set(key, change),
            Err(error) => Reply::here(Err(error)),
        }
    }

    /// How keys stand, in their order; a key that is not known stands at zero.
    pub fn load(&self, keys: &[Key<'_>]) -> Reply<Vec<Load>> {
        let checked = match keys.iter().all(Key::is_valid) {
            true => Ok(()),
            false => keys.iter().try_for_each(Key::check),
        };
        if let Err(error) = self.check_fork().and(checked) {
            return Reply::here(Err(error));
        }
        self.core.shared.reap_leaks();
        self.core.store.load(keys)
    }

    /// The order of these keys by load rate, the least loaded first, of equal ones in the caller's order: what an account
    /// scheduler asks for. Keys without a limit count as not loaded. As [`SlotPool::load`] otherwise.
    pub async fn order_by_load(&self, keys: &[Key<'_>]) -> Result<Vec<usize>> {
        Ok(by_load(&self.load(keys).await?))
    }

    /// [`SlotPool::order_by_load`], blocking for at most `timeout`.
    pub fn order_by_load_timeout(
        &self,
        keys: &[Key<'_>],
        timeout: Option<Duration>,
    ) -> Result<Vec<usize>> {
        Ok(by_load(&self.load(keys).wait(timeout)?))
    }

    /// Who holds slots of a key, oldest first.
    pub fn holders(&self, key: Key<'_>) -> Reply<Vec<Holder>> {
        if let Err(error) = self.check_fork().and_then(|()| key.check()) {
            return Reply::here(Err(error));
        }
        self.core.shared.reap_leaks();
        self.core.store.holders(Some(key), Duration::ZERO)
    }

    /// Who has held a slot of any key for `age` or longer: suspects. It frees nothing.
    pub fn held_longer_than(&self, age: Duration) -> Reply<Vec<Holder>> {
        if let Err(error) = self.check_fork() {
            return Reply::here(Err(error));
        }
        self.core.shared.reap_leaks();
        self.core.store.holders(None, age)
    }

    /// Takes a slot away from its holder, who is told that it is lost, and whose own release will say so. Whether it was
    /// held.
    pub fn force(&self, key: Key<'_>, id: HolderId) -> Reply<bool> {
        match self.check_fork().and_then(|()| key.check()) {
            Ok(()) => self.core.store.force(key, id),
            Err(error) => Reply::here(Err(error)),
        }
    }

    /// A key's counters, peak and waits; `None` if it is not known (any more).
    #[must_use]
    pub fn key_stats(&self, key: Key<'_>) -> Option<KeyStats> {
        self.check_fork().and_then(|()| key.check()).ok()?;
        self.core.store.key_stats(key)
    }

    /// The sum over the keys of a scope, those that were forgotten included. Takes every lock of the pool in turn.
    #[must_use]
    pub fn scope_stats(&self, scope: &str) -> ScopeStats {
        match self.check_fork() {
            Ok(()) => self.core.store.scope_stats(scope),
            Err(_) => ScopeStats::default(),
        }
    }

    /// How many keys the pool knows: those in use, those with something set on them, and the latest 4,096 idle ones, none
    /// idle for longer than 5 minutes. Takes every lock of the pool in turn.
    #[must_use]
    pub fn known_keys(&self) -> usize {
        match self.check_fork() {
            Ok(()) => self.core.store.keys(),
            Err(_) => 0,
        }
    }

    /// Slots that were collected without a release, so far.
    #[must_use]
    pub fn leaked(&self) -> u64 {
        if self.check_fork().is_ok() {
            self.core.shared.reap_leaks();
        }
        self.core.shared.leaked()
    }
}

fn by_load(loads: &[Load]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..loads.len()).collect();
    order.sort_by_key(|&at| loads.get(at).map(Load::rate));
    order
}
