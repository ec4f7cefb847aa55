//! The steps about keys: what is set on them, how they stand, who holds them, what was counted.

use std::time::Duration;

use reqbus_core::slots::{Counters, Holder, Limit, Load, WaitTimes};
use serde_json::{Map, Value, json};

use super::saying::{self, Named, answered, as_key, key_of, ms};
use super::script::Script;
use crate::fields::{Fields, Outcome};

/// Memory answers at once; a step waits for no other store.
const NOW: Option<Duration> = Some(Duration::ZERO);

fn load_as_json(load: &Load) -> Value {
    json!({
        "in_use": load.in_use,
        "waiting": load.waiting,
        "limit": saying::limit_as_json(load.limit),
        "rate": load.rate(),
        "is_closed": load.is_closed,
        "lapsed": load.lapsed,
        "has_room": load.has_room(),
        "oldest_wait_ms": load.oldest_wait.map(ms),
        "oldest_hold_ms": load.oldest_hold.map(ms),
    })
}

fn counted(counters: &Counters, waits: &WaitTimes) -> Map<String, Value> {
    let all = json!({
        "granted": counters.granted,
        "granted_after_wait": counters.granted_after_wait,
        "busy": counters.busy,
        "queue_full": counters.queue_full,
        "timed_out": counters.timed_out,
        "cancelled": counters.cancelled,
        "closed": counters.closed,
        "store_unavailable": counters.store_unavailable,
        "lost": counters.lost,
        "leaked": counters.leaked,
        "lapsed_offers": counters.lapsed_offers,
        "limit_changes": counters.limit_changes,
        "waits": waits.count,
        "wait_p50_ms": ms(waits.p50),
        "wait_p90_ms": ms(waits.p90),
        "wait_p99_ms": ms(waits.p99),
        "wait_max_ms": ms(waits.max),
    });
    all.as_object().cloned().unwrap_or_default()
}

impl Script {
    fn keys_of(&self, f: &Fields<'_>) -> Outcome<Vec<Named>> {
        f.need_list("keys")?.iter().map(saying::key).collect()
    }

    pub fn set_limit(&mut self, f: &Fields<'_>) -> Outcome {
        let key = key_of(f)?;
        let limit = saying::limit(f.get("limit").ok_or("field limit is missing")?)?;
        let answer = self.pool()?.set_limit(as_key(&key), limit).wait(NOW);
        answered(f, answer).map(drop)
    }

    pub fn change_key(&mut self, f: &Fields<'_>, word: &str) -> Outcome {
        let (key, pool) = (key_of(f)?, self.pool()?);
        let reply = match word {
            "clear_limit" => pool.clear_limit(as_key(&key)),
            "close_key" => pool.close_key(as_key(&key)),
            _ => pool.open_key(as_key(&key)),
        };
        answered(f, reply.wait(NOW)).map(drop)
    }

    pub fn nonpositive_is_unlimited(&self, f: &Fields<'_>) -> Outcome {
        let number = Fields::need("number", f.signed("number"))?;
        let answer = Limit::nonpositive_is_unlimited(number);
        let want = f.get("limit").map(saying::limit).transpose()?;
        let got = answered(f, answer)?;
        if got == want {
            return Ok(());
        }
        Err(format!("limit is {got:?}, not {want:?}"))
    }

    pub fn load(&self, f: &Fields<'_>) -> Outcome {
        let keys = self.keys_of(f)?;
        let keys: Vec<_> = keys.iter().map(as_key).collect();
        let answer = self.pool()?.load(&keys).wait(NOW);
        let want = f.list("is")?;
        match answered(f, answer)? {
            None => Ok(()),
            Some(loads) => {
                let got: Vec<_> = loads.iter().map(load_as_json).collect();
                saying::same_list(want.ok_or("field is is missing")?, &got, self.is_timed())
            }
        }
    }

    pub fn order_by_load(&self, f: &Fields<'_>) -> Outcome {
        let keys = self.keys_of(f)?;
        let keys: Vec<_> = keys.iter().map(as_key).collect();
        let order = self.pool()?.order_by_load_timeout(&keys, NOW);
        let want = f.list("is")?;
        match answered(f, order)? {
            Some(order) if want.is_none_or(|want| json!(want) != json!(order)) => {
                Err(format!("the order is {order:?}"))
            }
            _ => Ok(()),
        }
    }

    fn same_holders(&self, f: &Fields<'_>, mut holders: Vec<Holder>) -> Outcome {
        // Oldest first for each key; the order of keys is not told.
        holders.sort_by(|one, other| one.key.cmp(&other.key));
        let got: Vec<_> = holders.iter().map(saying::holder_as_json).collect();
        let want = f.list("is")?.ok_or("field is is missing")?;
        saying::same_list(want, &got, self.is_timed())
    }

    pub fn holders(&self, f: &Fields<'_>) -> Outcome {
        let key = key_of(f)?;
        match answered(f, self.pool()?.holders(as_key(&key)).wait(NOW))? {
            Some(holders) => self.same_holders(f, holders),
            None => Ok(()),
        }
    }

    pub fn held_longer_than(&self, f: &Fields<'_>) -> Outcome {
        let age = Duration::from_millis(f.need_number("ms")?);
        let holders = self.pool()?.held_longer_than(age).wait(NOW);
        self.same_holders(f, holders.map_err(|e| e.to_string())?)
    }

    pub fn holder(&mut self, f: &Fields<'_>) -> Outcome {
        let (key, label) = (key_of(f)?, f.need_text("label")?);
        let holders = self.pool()?.holders(as_key(&key)).wait(NOW);
        let holders = holders.map_err(|e| e.to_string())?;
        let found = holders.iter().find(|holder| &*holder.label == label);
        let id = found.ok_or("no holder has that label")?.id;
        match self.holders.insert(f.need_text("as")?.into(), id) {
            None => Ok(()),
            Some(_) => Err("the name was used before".into()),
        }
    }

    pub fn force(&mut self, f: &Fields<'_>) -> Outcome {
        let key = key_of(f)?;
        let id = self.holders.get(f.need_text("holder")?);
        let id = *id.ok_or("no such holder")?;
        let was_held = self.pool()?.force(as_key(&key), id).wait(NOW);
        match answered(f, was_held)? {
            Some(was_held) => f.same_yes("was_held", was_held),
            None => Ok(()),
        }
    }

    pub fn key_stats(&self, f: &Fields<'_>) -> Outcome {
        let key = key_of(f)?;
        let stats = self.pool()?.key_stats(as_key(&key));
        let got = stats.map_or(Value::Null, |stats| {
            let mut all = counted(&stats.counters, &stats.waits);
            all.insert("peak".into(), json!(stats.peak));
            all.insert("mean_hold_ms".into(), json!(stats.mean_hold.map(ms)));
            all.into()
        });
        let want = f.get("is").ok_or("field is is missing")?;
        saying::same(want, &got, self.is_timed())
    }

    pub fn scope_stats(&self, f: &Fields<'_>) -> Outcome {
        let stats = self.pool()?.scope_stats(&saying::text_of(f, "scope")?);
        let got = counted(&stats.counters, &stats.waits).into();
        let want = f.get("is").ok_or("field is is missing")?;
        saying::same(want, &got, self.is_timed())
    }

    pub fn known_keys(&self, f: &Fields<'_>) -> Outcome {
        let count = self.pool()?.known_keys() as u64;
        f.same_number("count", count)?;
        match f.number("at_most")? {
            Some(most) if count > most => Err(format!("{count} keys")),
            _ => Ok(()),
        }
    }

    /// Takes and gives back a slot of many keys, one after the other.
    pub fn touch(&self, f: &Fields<'_>) -> Outcome {
        let scope = f.need_text("scope")?;
        for number in 1..=f.need_number("count")? {
            let key = (scope.to_owned(), number.to_string());
            let asked = [(key, Some(Limit::Of(1)))];
            let slot = self.pool()?.try_acquire(&saying::as_asks(&asked), "");
            slot.map_err(|refusal| refusal.to_string())?.release();
        }
        Ok(())
    }
}
