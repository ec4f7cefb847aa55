//! What is set on keys, and how they stand.
//!
//! Memory answers at once, so no call here waits; JavaScript gets promises all the same, because stores to come do not.

use std::time::Duration;

use napi_derive::napi;
use reqbus_core::slots::{HolderId, Key, Limit};

use crate::asks::{keys, limit_as_number, set_limit};
use crate::failure::OrThrow;
use crate::looping::ringing;
use crate::pool::NativePool;
use crate::slot_stats::{NativeCounters, NativeHolder, NativeLoad};
use crate::whole::{Whole, to_duration, to_i64, to_u64};

const NOW: Option<Duration> = Some(Duration::ZERO);

#[napi]
impl NativePool {
    /// Sets a limit that wins over those of calls. Whether this thread must drain.
    #[napi]
    pub fn set_limit(&self, scope: String, id: String, limit: f64) -> napi::Result<bool> {
        let limit = set_limit(limit).or_throw()?;
        let pool = self.get()?;
        let (answer, rang) = ringing(|| pool.set_limit(Key::new(&scope, &id), limit).wait(NOW));
        answer.or_throw().map(|()| rang)
    }

    /// Changes a key: 0 clears its limit, 1 closes, 2 opens it. Whether this thread must drain.
    #[napi]
    pub fn change(&self, scope: String, id: String, what: u32) -> napi::Result<bool> {
        let (pool, key) = (self.get()?, Key::new(&scope, &id));
        let change = || {
            let reply = match what {
                0 => pool.clear_limit(key),
                1 => pool.close_key(key),
                _ => pool.open_key(key),
            };
            reply.wait(NOW)
        };
        let (answer, rang) = ringing(change);
        answer.or_throw().map(|()| rang)
    }

    /// How keys stand.
    #[napi]
    pub fn load(&self, names: Vec<String>) -> napi::Result<Vec<NativeLoad>> {
        let loads = self.get()?.load(&keys(&names)).wait(NOW).or_throw()?;
        Ok(loads.iter().map(NativeLoad::of).collect())
    }

    /// The order of keys by load rate.
    #[napi]
    pub fn order_by_load(&self, names: Vec<String>) -> napi::Result<Vec<f64>> {
        let order = self.get()?.order_by_load_timeout(&keys(&names), NOW);
        Ok(order.or_throw()?.iter().map(|&at| at as f64).collect())
    }

    /// Who holds slots of a key.
    #[napi]
    pub fn holders(&self, scope: String, id: String) -> napi::Result<Vec<NativeHolder>> {
        let holders = self.get()?.holders(Key::new(&scope, &id)).wait(NOW);
        Ok(holders.or_throw()?.iter().map(NativeHolder::of).collect())
    }

    /// Who has held a slot of any key for longer.
    #[napi]
    pub fn held_longer_than(&self, age_ms: f64) -> napi::Result<Vec<NativeHolder>> {
        let age = to_duration(age_ms, "age").or_throw()?;
        let holders = self.get()?.held_longer_than(age).wait(NOW);
        Ok(holders.or_throw()?.iter().map(NativeHolder::of).collect())
    }

    /// Takes a slot away: 1 if it was held, and 8 more if this thread must drain.
    #[napi]
    pub fn force(&self, scope: String, id: String, holder: Whole) -> napi::Result<u32> {
        let holder = HolderId::from_u64(to_u64(&holder, "holder").or_throw()?);
        let pool = self.get()?;
        let (answer, rang) = ringing(|| pool.force(Key::new(&scope, &id), holder).wait(NOW));
        Ok(u32::from(answer.or_throw()?) + if rang { 8 } else { 0 })
    }

    /// A key's counters.
    #[napi]
    pub fn key_stats(&self, scope: String, id: String) -> napi::Result<Option<NativeCounters>> {
        let stats = self.get()?.key_stats(Key::new(&scope, &id));
        Ok(stats.as_ref().map(NativeCounters::of_key))
    }

    /// The sum over the keys of a scope.
    #[napi]
    pub fn scope_stats(&self, scope: String) -> napi::Result<NativeCounters> {
        let stats = self.get()?.scope_stats(&scope);
        Ok(NativeCounters::of_scope(&stats))
    }

    /// How many keys the pool knows.
    #[napi]
    pub fn known_keys(&self) -> napi::Result<f64> {
        Ok(self.get()?.known_keys() as f64)
    }

    /// A limit as the replaced systems wrote it: 0 and less mean unlimited, which is `Infinity`.
    #[napi]
    pub fn nonpositive_is_unlimited(number: Whole) -> napi::Result<f64> {
        let number = to_i64(&number, "limit").or_throw()?;
        let limit = Limit::nonpositive_is_unlimited(number).or_throw()?;
        Ok(limit_as_number(Some(limit)))
    }
}
