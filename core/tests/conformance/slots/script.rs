//! One case: a pool, what was made of it, and the steps.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reqbus_core::slots::{
    Backoff, FaultOptions, HolderId, Leak, PoolOptions, Ranks, Slot, SlotPool, Wait,
};
use reqbus_core::time::{Clock, ClockDriver};
use serde_json::{Value, json};

use super::saying::{self, Asked, Named, as_key};
use crate::fields::{Fields, Outcome};

/// By which of its faces a wait is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Face {
    Try,
    Poll,
    Block,
}

/// Where the slots are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    Memory,
    /// The store of tests, on a good line: every answer comes over it, in order and before the clock moves.
    Fault,
}

/// An answer for each key, and what comes of it.
const LOOKS: usize = 20;

/// What became of a case.
#[derive(Debug, PartialEq, Eq)]
pub enum Ran {
    Passed,
    /// It says what this language cannot.
    Skipped,
}

/// What a case has made.
pub struct Script {
    pool: Option<SlotPool>,
    driver: Option<ClockDriver>,
    pub(super) face: Face,
    place: Place,
    /// How many looks one step `look` is.
    pub(super) looks: usize,
    /// Freed ones stay, as `None`: names are not used twice.
    pub(super) slots: BTreeMap<String, Option<Slot>>,
    waits: BTreeMap<String, Option<Wait>>,
    pub(super) backoffs: BTreeMap<String, Backoff>,
    pub(super) holders: BTreeMap<String, HolderId>,
    /// Keys that were asked for.
    keys: BTreeSet<Named>,
    leaks: Arc<Mutex<Vec<Value>>>,
    /// Look at the keys after each step. Not where a leak must be found by the step itself.
    is_watched: bool,
}

/// Runs one case. An error names the case, the step and what differs.
pub fn run(case: &Value, face: Face, place: Place) -> Outcome<Ran> {
    let name = case["name"].as_str().ok_or("a case has no name")?;
    let f = Fields::new(case)?;
    let steps = f.need_list("steps").map_err(|e| format!("{name}: {e}"))?;
    if steps.iter().any(saying::is_unsayable) {
        return Ok(Ran::Skipped);
    }
    let has = |word| steps.iter().any(|step| step.get(word).is_some());
    let made = Script::new(&f, has("advance"), face, place);
    let mut script = made.map_err(|e| format!("{name}: {e}"))?;
    script.is_watched = !has("leak");
    for (at, step) in steps.iter().enumerate() {
        let told = script.step(step).and_then(|()| script.adds_up());
        let at = at + 1;
        told.map_err(|e| format!("{name}, step {at}: {e}\n    the step: {step:.300}"))?;
    }
    script
        .end()
        .map_err(|e| format!("{name}, at the end: {e}"))?;
    Ok(Ran::Passed)
}

impl Script {
    fn new(f: &Fields<'_>, timed: bool, face: Face, place: Place) -> Outcome<Self> {
        f.get("name");
        f.get("about");
        f.texts("from")?;
        f.text("memory_only")?;
        let empty = json!({});
        let pool = Fields::new(f.get("pool").unwrap_or(&empty))?;
        let (clock, driver) = if timed || place == Place::Fault {
            let (clock, driver) = Clock::driven();
            (clock, Some(driver))
        } else {
            (Clock::system(), None)
        };
        let (first, last) = (pool.list("first")?, pool.list("last")?);
        let ranks = match (first, last) {
            (None, None) => Ranks::default(),
            _ => Ranks::new(&pool.texts("first")?, &pool.texts("last")?),
        };
        let processes = pool.number("processes")?.unwrap_or(1);
        let processes = u32::try_from(processes).ok().and_then(NonZeroU32::new);
        let leaks = Arc::new(Mutex::new(Vec::new()));
        let told = leaks.clone();
        let sink = move |leak: &Leak| {
            let key = saying::key_as_json(&leak.key);
            let leak = json!({"key": key, "label": &*leak.label, "age_ms": saying::ms(leak.age)});
            told.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(leak);
        };
        let options = PoolOptions {
            ranks,
            processes: processes.ok_or("processes is not a number from 1")?,
            sink: Some(Arc::new(sink)),
            clock,
            fault: (place == Place::Fault).then(FaultOptions::default),
            ..PoolOptions::default()
        };
        pool.done()?;
        f.done()?;
        Ok(Self {
            pool: Some(SlotPool::new(options).map_err(|e| e.to_string())?),
            driver,
            face,
            place,
            looks: if place == Place::Memory { 1 } else { LOOKS },
            slots: BTreeMap::new(),
            waits: BTreeMap::new(),
            backoffs: BTreeMap::new(),
            holders: BTreeMap::new(),
            keys: BTreeSet::new(),
            leaks,
            is_watched: true,
        })
    }

    fn step(&mut self, step: &Value) -> Outcome {
        let map = step.as_object().filter(|map| map.len() == 1);
        let (word, value) = map
            .and_then(|map| map.iter().next())
            .ok_or("not one step")?;
        let f = &Fields::new(value)?;
        match word.as_str() {
            "try" => self.try_acquire(f)?,
            "try_first_of" => self.try_first_of(f)?,
            "wait" => self.wait(f, None)?,
            "wait_on_top" => self.wait(f, Some("on"))?,
            "look" => self.look(f)?,
            "position" => {
                let position = self.wait_of(f, "of")?.position();
                f.same_number("is", u64::from(position))?;
            }
            "cancel" => self.cancel(f)?,
            "release" => self.release(f)?,
            "release_scope" => self.release_scope(f)?,
            "join" => self.join(f)?,
            "keys" => self.slot_keys(f)?,
            "lost" => self.lost(f)?,
            "leak" => self.take_slot(f)?.leak(),
            "told_leaks" => {
                let got =
                    std::mem::take(&mut *self.leaks.lock().unwrap_or_else(PoisonError::into_inner));
                saying::same_list(f.need_list("is")?, &got, self.is_timed())?;
            }
            "leaked" => f.same_number("count", self.pool()?.leaked())?,
            "drop" => self.drop_one(f)?,
            "set_limit" => self.set_limit(f)?,
            "clear_limit" | "close_key" | "open_key" => self.change_key(f, word)?,
            "nonpositive_is_unlimited" => self.nonpositive_is_unlimited(f)?,
            "load" => self.load(f)?,
            "order_by_load" => self.order_by_load(f)?,
            "holders" => self.holders(f)?,
            "held_longer_than" => self.held_longer_than(f)?,
            "holder" => self.holder(f)?,
            "force" => self.force(f)?,
            "key_stats" => self.key_stats(f)?,
            "scope_stats" => self.scope_stats(f)?,
            "known_keys" => self.known_keys(f)?,
            "touch" => self.touch(f)?,
            "close" => self.pool()?.close(),
            "advance" => {
                let driver = self.driver.as_ref().ok_or("no clock to move")?;
                driver.advance(Duration::from_millis(f.need_number("ms")?));
            }
            "backoff" => self.backoff(f)?,
            "delays" => self.delays(f)?,
            "reset" => self.reset(f)?,
            "attempt" => self.attempt(f)?,
            _ => return Err(format!("unknown step {word}")),
        }
        f.done()
    }

    pub(super) fn is_timed(&self) -> bool {
        self.driver.is_some()
    }

    /// What of a refusal is known at this place: a wait that gives up does not ask a store far away how its key stands.
    pub(super) fn known_of(&self, want: &Value) -> Value {
        let mut want = want.clone();
        let gave_up = want["outcome"] == "timed_out" || want["outcome"] == "cancelled";
        if let (Place::Fault, true, Some(fields)) = (self.place, gave_up, want.as_object_mut()) {
            fields.retain(|name, _| !saying::STANDING.contains(&&**name));
        }
        want
    }

    pub(super) fn pool(&self) -> Outcome<&SlotPool> {
        self.pool.as_ref().ok_or_else(|| "the pool is gone".into())
    }

    pub(super) fn slot(&self, f: &Fields<'_>, field: &'static str) -> Outcome<&Slot> {
        let slot = self.slots.get(f.need_text(field)?).and_then(Option::as_ref);
        slot.ok_or_else(|| format!("{field} names no slot"))
    }

    pub(super) fn wait_of(&self, f: &Fields<'_>, field: &'static str) -> Outcome<&Wait> {
        let wait = self.waits.get(f.need_text(field)?).and_then(Option::as_ref);
        wait.ok_or_else(|| format!("{field} names no wait"))
    }

    fn is_new(&self, name: &str) -> Outcome {
        let is_known = self.slots.contains_key(name) || self.waits.contains_key(name);
        if is_known || name == "pool" {
            return Err(format!("the name {name} was used before"));
        }
        Ok(())
    }

    pub(super) fn add_slot(&mut self, name: &str, slot: Slot) -> Outcome {
        self.is_new(name)?;
        self.slots.insert(name.into(), Some(slot));
        Ok(())
    }

    pub(super) fn add_wait(&mut self, name: &str, wait: Wait) -> Outcome {
        self.is_new(name)?;
        self.waits.insert(name.into(), Some(wait));
        Ok(())
    }

    fn take_slot(&mut self, f: &Fields<'_>) -> Outcome<Slot> {
        let slot = self.slots.get_mut(f.need_text("what")?);
        slot.and_then(Option::take)
            .ok_or_else(|| "what names no slot".into())
    }

    fn drop_one(&mut self, f: &Fields<'_>) -> Outcome {
        let name = f.need_text("what")?;
        if name == "pool" {
            return self
                .pool
                .take()
                .map(drop)
                .ok_or_else(|| "the pool is gone".into());
        }
        if let Some(wait) = self.waits.get_mut(name) {
            return wait.take().map(drop).ok_or_else(|| "it is gone".into());
        }
        self.take_slot(f).map(drop)
    }

    pub(super) fn note_keys(&mut self, asked: &[Asked]) {
        let keys = asked.iter().map(|(key, _)| key);
        let valid = keys.filter(|key| as_key(key).check().is_ok());
        self.keys.extend(valid.cloned());
    }

    fn each_key(&self, check: impl Fn(&SlotPool, &Named) -> Outcome) -> Outcome {
        let Some(pool) = &self.pool else {
            return Ok(());
        };
        self.keys.iter().try_for_each(|key| check(pool, key))
    }

    /// Promise S1, after every step and for each key: the count is that of the set of holders.
    fn adds_up(&self) -> Outcome {
        if !self.is_watched {
            return Ok(());
        }
        self.each_key(|pool, key| {
            let load = pool.load(&[as_key(key)]).wait(None);
            let in_use = load.map_err(|e| e.to_string())?[0].in_use as usize;
            let holders = pool.holders(as_key(key)).wait(None);
            let holders = holders.map_err(|e| e.to_string())?.len();
            if in_use == holders {
                return Ok(());
            }
            Err(format!("{key:?}: {in_use} in use, {holders} holders"))
        })
    }

    /// Promise S2, in the end: whatever was granted has been given back, and nobody waits.
    fn end(&mut self) -> Outcome {
        if self.face == Face::Block {
            self.slots.clear();
        }
        self.waits.clear();
        self.slots.clear();
        self.each_key(|pool, key| {
            let load = pool.load(&[as_key(key)]).wait(None);
            let load = load.map_err(|e| e.to_string())?[0];
            if (load.in_use, load.waiting) == (0, 0) {
                return Ok(());
            }
            Err(format!("{key:?} is left behind: {load:?}"))
        })
    }
}
