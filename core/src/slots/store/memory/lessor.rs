//! What is done to a unit that is out.

use std::sync::Arc;

use super::holders::Removed;
use super::row::Row;
use super::shard::{Shard, holder_of, shown};
use crate::bell::Source;
use crate::slots::key::OwnedKey;
use crate::slots::load::Holder;
use crate::slots::lost_reason::LostReason;
use crate::slots::released::Released;
use crate::slots::shared::Shared;
use crate::slots::store::{Lessor, Token};

impl Shard {
    /// Frees a unit; as a hold that ended, it counts in the mean.
    #[inline]
    fn free(&self, token: Token, is_hold: bool) -> Released {
        let now_ns = self.shared.clock.coarse_ns();
        let mut state = self.lock();
        let Some(row) = state.table.get_mut(token.row) else {
            return Released::Already;
        };
        let (removed, leavings) = row.holders.remove(token.entry, token.generation);
        let answer = match removed {
            Removed::Held(since_ns) => {
                if is_hold {
                    row.learn_hold(now_ns.saturating_sub(since_ns));
                }
                Released::Released
            }
            Removed::Lost => Released::Lost,
            Removed::Unknown => return Released::Already,
        };
        if row.is_awaited() {
            self.hand_over(state, token.row);
        } else {
            state.table.settle(token.row, now_ns);
            drop(state);
        }
        drop(leavings);
        answer
    }

    fn with_row<T>(&self, token: Token, f: impl FnOnce(&mut Row) -> T) -> Option<T> {
        let mut state = self.lock();
        state.table.get_mut(token.row).map(f)
    }
}

impl Lessor for Shard {
    fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    #[inline]
    fn release(&self, token: Token) -> Released {
        self.free(token, true)
    }

    fn give_back(&self, token: Token) {
        self.free(token, false);
    }

    #[cfg(any(test, feature = "test-clock"))]
    fn lose(&self, token: Token, reason: LostReason) -> bool {
        self.lose_in(self.lock(), token, reason)
    }

    fn lost(&self, token: Token) -> Option<LostReason> {
        self.with_row(token, |row| row.holders.lost(token.entry, token.generation))?
    }

    fn watch(&self, token: Token, source: &Arc<Source>) {
        let is_held = self.with_row(token, |row| {
            row.holders.watch(token.entry, token.generation, source)
        });
        if is_held != Some(true) {
            std::task::Wake::wake_by_ref(source);
        }
    }

    fn holder(&self, token: Token) -> Option<Holder> {
        let now_ns = self.shared.clock.coarse_ns();
        self.with_row(token, |row| holder_of(row, token, now_ns))?
    }

    fn is_of(&self, token: Token, scope: &str) -> bool {
        let has = self.with_row(token, |row| {
            row.holders.has(token.entry, token.generation) && *row.scope == *scope
        });
        has == Some(true)
    }

    fn key(&self, token: Token) -> Option<OwnedKey> {
        self.with_row(token, |row| {
            let is_there = row.holders.has(token.entry, token.generation);
            is_there.then(|| row.key().into())
        })?
    }

    fn leak(&self, token: Token) -> Option<Holder> {
        let now_ns = self.shared.clock.coarse_ns();
        self.with_row(token, |row| {
            let known = row.holders.known(token.entry, token.generation);
            let holder = known.map(|(since_ns, label)| shown(row, token, since_ns, label, now_ns));
            if holder.is_some() {
                row.ledger().counters.leaked += 1;
            }
            holder
        })?
    }
}
