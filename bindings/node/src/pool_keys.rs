//! What is set on keys, and how they stand. What rings in these calls, JavaScript drains after each.

use napi_derive::napi;
use reqbus_core::slots::{HolderId, Key, Limit};

use crate::asks::{keys, limit_as_number, set_limit};
use crate::failure::OrThrow;
use crate::looping::ringing;
use crate::pool::NativePool;
use crate::reply::{Answer, Question};
use crate::slot_stats::NativeCounters;
use crate::whole::{Whole, to_duration, to_i64, to_u64};

#[napi]
impl NativePool {
    /// Sets a limit that wins over those of calls.
    #[napi]
    pub fn set_limit(&self, scope: String, id: String, limit: f64) -> napi::Result<Answer> {
        let limit = set_limit(limit).or_throw()?;
        let pool = self.get()?;
        let (reply, _) = ringing(|| pool.set_limit(Key::new(&scope, &id), limit));
        Question::Change(reply).ask()
    }

    /// Changes a key: 0 clears its limit, 1 closes, 2 opens it.
    #[napi]
    pub fn change(&self, scope: String, id: String, what: u32) -> napi::Result<Answer> {
        let (pool, key) = (self.get()?, Key::new(&scope, &id));
        let change = || match what {
            0 => pool.clear_limit(key),
            1 => pool.close_key(key),
            _ => pool.open_key(key),
        };
        Question::Change(ringing(change).0).ask()
    }

    /// How keys stand.
    #[napi]
    pub fn load(&self, names: Vec<String>) -> napi::Result<Answer> {
        Question::Loads(self.get()?.load(&keys(&names))).ask()
    }

    /// Who holds slots of a key.
    #[napi]
    pub fn holders(&self, scope: String, id: String) -> napi::Result<Answer> {
        Question::Holders(self.get()?.holders(Key::new(&scope, &id))).ask()
    }

    /// Who has held a slot of any key for longer.
    #[napi]
    pub fn held_longer_than(&self, age_ms: f64) -> napi::Result<Answer> {
        let age = to_duration(age_ms, "age").or_throw()?;
        Question::Holders(self.get()?.held_longer_than(age)).ask()
    }

    /// Takes a slot away. Whether it was held.
    #[napi]
    pub fn force(&self, scope: String, id: String, holder: Whole) -> napi::Result<Answer> {
        let holder = HolderId::from_u64(to_u64(&holder, "holder").or_throw()?);
        let pool = self.get()?;
        let (reply, _) = ringing(|| pool.force(Key::new(&scope, &id), holder));
        Question::Flag(reply).ask()
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
