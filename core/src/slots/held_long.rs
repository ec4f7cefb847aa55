//! Telling of slots that are held for long.

use std::collections::HashSet;
use std::sync::{Arc, Weak};
use std::time::Duration;

use super::agenda::{Class, Due, Entry};
use super::key::OwnedKey;
use super::load::{Holder, HolderId};
use super::observer::PoolEvent;
use super::pool::PoolCore;
use super::reply::Reply;
use super::shared::Shared;
use crate::error::Result;
use crate::sync::Mutex;

/// Looks for them no more often than this.
const SHORTEST: Duration = Duration::from_millis(100);

/// Looks again and again who holds a slot for long, and tells of each once.
pub(super) struct HeldLong {
    pool: Weak<PoolCore>,
    after: Duration,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    entry: Option<Entry>,
    /// A question to a store that has not answered yet.
    asked: Option<Reply<Vec<Holder>>>,
    told: HashSet<(OwnedKey, HolderId)>,
}

impl HeldLong {
    pub(super) fn new(pool: Weak<PoolCore>, after: Duration) -> Arc<Self> {
        Arc::new(Self {
            pool,
            after,
            state: Mutex::default(),
        })
    }

    /// Begins: from then on the pool has a timer.
    pub(super) fn begin(self: &Arc<Self>, shared: &Shared) -> Result<()> {
        self.plan(shared);
        shared.agenda.arm()
    }

    /// The pool is closed.
    pub(super) fn end(&self, shared: &Shared) {
        let entry = self.state.lock().entry.take();
        drop(entry.and_then(|entry| shared.agenda.remove(entry)));
    }

    /// The next look: a tenth of the time later, so that each is told soon after it is due.
    fn plan(self: &Arc<Self>, shared: &Shared) {
        let at_ns = shared.clock.deadline_after(SHORTEST.max(self.after / 10));
        let entry = shared.agenda.add(at_ns, Class::Poll, self.clone());
        self.state.lock().entry = Some(entry);
    }

    /// Those that are to be told of now.
    fn look(&self, pool: &PoolCore) -> Vec<Holder> {
        let mut state = self.state.lock();
        let asked = state.asked.take();
        let mut reply = asked.unwrap_or_else(|| pool.store.holders(None, self.after));
        let holders = match reply.try_take() {
            Some(Ok(holders)) => holders,
            Some(Err(_)) => return Vec::new(), // the next look asks anew
            None => {
                state.asked = Some(reply);
                return Vec::new();
            }
        };
        let name = |holder: &Holder| (holder.key.clone(), holder.id);
        let held: HashSet<_> = holders.iter().map(name).collect();
        let fresh = holders
            .into_iter()
            .filter(|holder| !state.told.contains(&name(holder)))
            .collect();
        state.told = held;
        fresh
    }
}

impl Due for HeldLong {
    fn fire(self: Arc<Self>, _entry: Entry) {
        let Some(pool) = self.pool.upgrade() else {
            return;
        };
        for holder in &self.look(&pool) {
            pool.shared.tell(&PoolEvent::HeldLong { holder });
        }
        self.plan(&pool.shared);
        if pool.is_closed() {
            self.end(&pool.shared); // it was closed meanwhile, and found no entry
        }
    }
}
