//! How keys stand, for thousands in a call.

use std::time::Duration;

use super::shard::ShardState;
use super::{MemoryStore, SHARDS};
use crate::slots::key::Key;
use crate::slots::load::Load;

impl MemoryStore {
    /// Many keys: those of a shard under one lock.
    pub(super) fn load_many(&self, keys: &[Key<'_>], now_ns: u64, coarse_ns: u64) -> Vec<Load> {
        /// Keys that one hold of a lock looks up.
        const AT_ONCE: usize = 64;
        let mut loads = vec![Load::default(); keys.len()];
        // The keys of each shard as a list: its first, and after each key the next.
        let mut firsts = [usize::MAX; SHARDS];
        let mut spots = Vec::with_capacity(keys.len());
        for (at, key) in keys.iter().enumerate() {
            let spot = self.spot(key);
            let first = firsts.get_mut(spot.shard);
            let next = first.map_or(usize::MAX, |first| std::mem::replace(first, at));
            spots.push((spot.hash, next));
        }
        for (shard, mut at) in self.shards.iter().zip(firsts) {
            while at < keys.len() {
                let state = shard.lock();
                for _ in 0..AT_ONCE {
                    let (Some(key), Some(load), Some(&(hash, next))) =
                        (keys.get(at), loads.get_mut(at), spots.get(at))
                    else {
                        break;
                    };
                    *load = self.load_in(&state, hash, key, now_ns, coarse_ns);
                    at = next;
                }
            }
        }
        loads
    }

    #[inline]
    pub(super) fn load_in(
        &self,
        state: &ShardState,
        hash: u64,
        key: &Key<'_>,
        now_ns: u64,
        coarse_ns: u64,
    ) -> Load {
        let at = state.table.find(hash, key);
        let Some(row) = at.and_then(|at| state.table.get(at)) else {
            return Load::default();
        };
        let since = |now_ns: u64, then_ns| Duration::from_nanos(now_ns.saturating_sub(then_ns));
        Load {
            in_use: row.holders.len(),
            waiting: row.waiting(),
            lapsed: row.lapsed(),
            limit: row.limit().map(|limit| limit.share(self.shared.processes)),
            is_closed: row.is_closed,
            oldest_wait: row.oldest_wait_ns().map(|then| since(now_ns, then)),
            oldest_hold: row.holders.oldest_ns().map(|then| since(coarse_ns, then)),
        }
    }
}
