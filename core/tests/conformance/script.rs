//! One case: a bus, its subscriptions and guards, and the steps.

use std::collections::BTreeMap;
use std::time::Duration;

use reqbus_core::bus::{Batch, BusOptions, CleanupGuard};
use reqbus_core::time::{Clock, ClockDriver};
use reqbus_core::{Bus, Subscription};
use serde_json::Value;

use super::fields::{Fields, Outcome};
use super::reading;

/// What a case has made.
pub struct Script {
    pub(super) bus: Bus,
    driver: Option<ClockDriver>,
    /// Freed ones stay, as `None`: names are not used twice.
    pub(super) subs: BTreeMap<String, Option<Subscription>>,
    guards: BTreeMap<String, CleanupGuard>,
    pub(super) batch: Batch,
    /// Most items of one read where the case does not say.
    pub(super) max_items: usize,
}

/// Runs one case, with reads of at most `max_items`. An error names the case, the step and what differs.
pub fn run(case: &Value, max_items: usize) -> Outcome {
    let name = case["name"].as_str().ok_or("a case has no name")?;
    let f = Fields::new(case)?;
    let steps = f.need_list("steps").map_err(|e| format!("{name}: {e}"))?;
    let timed = steps.iter().any(|step| step.get("advance").is_some());
    let mut script = Script::new(&f, timed, max_items).map_err(|e| format!("{name}: {e}"))?;
    for (at, step) in steps.iter().enumerate() {
        let told = script.step(step).and_then(|()| script.adds_up());
        let at = at + 1;
        told.map_err(|e| format!("{name}, step {at}: {e}\n    the step: {step:.300}"))?;
    }
    Ok(())
}

impl Script {
    fn new(f: &Fields<'_>, timed: bool, max_items: usize) -> Outcome<Self> {
        f.get("name");
        f.get("about");
        let empty = Value::Object(serde_json::Map::new());
        let bus = Fields::new(f.get("bus").unwrap_or(&empty))?;
        let (clock, driver) = if timed {
            let (clock, driver) = Clock::driven();
            (clock, Some(driver))
        } else {
            (Clock::system(), None)
        };
        let default = BusOptions::default();
        let age_ms = bus.number("resume_age_ms")?;
        let options = BusOptions {
            log_events: bus.size("log_events")?.unwrap_or(default.log_events),
            log_bytes: bus.size("log_bytes")?.unwrap_or(default.log_bytes),
            resume_age: age_ms.map_or(default.resume_age, Duration::from_millis),
            resume: bus.yes("resume")?.unwrap_or(default.resume),
            clock,
        };
        bus.done()?;
        f.done()?;
        Ok(Self {
            bus: Bus::new(options).map_err(|e| e.to_string())?,
            driver,
            subs: BTreeMap::new(),
            guards: BTreeMap::new(),
            batch: Batch::new(),
            max_items,
        })
    }

    fn step(&mut self, step: &Value) -> Outcome {
        let map = step.as_object().filter(|map| map.len() == 1);
        let (word, value) = map
            .and_then(|map| map.iter().next())
            .ok_or("not one step")?;
        let f = &Fields::new(value)?;
        match word.as_str() {
            "publish" => self.publish(f)?,
            "publish_many" => self.publish_many(f)?,
            "publish_request" => self.publish_request(f)?,
            "subscribe" => self.subscribe(f)?,
            "recv" => self.recv(f)?,
            "recv_texts" => self.recv_texts(f)?,
            "stats" => self.stats(f)?,
            "totals" => self.totals(f)?,
            "consumers" => self.consumers(f)?,
            "settled" => f.same_number("seq", self.sub(f, "of")?.settled().seq)?,
            "heartbeat" => self.heartbeat(f)?,
            "newest" => f.same_number("seq", self.bus.newest().seq)?,
            "wanted" => {
                let kind = self.bus.kind(f.need_text("kind")?);
                let wanted = self.bus.wanted(kind.map_err(|e| e.to_string())?);
                f.same_yes("answer", wanted)?;
            }
            "status" => self.status(f)?,
            "audience" => {
                let count = self.bus.audience_count(f.need_text("name")?);
                f.same_number("count", count as u64)?;
            }
            "guard" => {
                let guard = self.sub(f, "of")?.cleanup_guard();
                f.same_yes("taken", guard.is_some())?;
                let name = f.need_text("as")?;
                if let Some(guard) = guard {
                    self.guards.insert(name.into(), guard);
                }
            }
            "expired" => {
                let guard = self.guards.get(f.need_text("of")?).ok_or("no such guard")?;
                f.same_yes("answer", guard.is_expired())?;
            }
            "release" => f.same_yes("in_force", self.take_guard(f)?.release())?,
            "abort" => f.same_yes("is_member", self.take_guard(f)?.abort())?,
            "advance" => {
                let driver = self.driver.as_ref().ok_or("no clock to move")?;
                driver.advance(Duration::from_millis(f.need_number("ms")?));
            }
            "close" => self.close(f)?,
            "free" => {
                self.sub(f, "what")?;
                self.subs.insert(f.need_text("what")?.into(), None);
            }
            _ => return Err(format!("unknown step {word}")),
        }
        f.done()
    }

    pub(super) fn sub(&self, f: &Fields<'_>, field: &'static str) -> Outcome<&Subscription> {
        let sub = self.subs.get(f.need_text(field)?).and_then(Option::as_ref);
        sub.ok_or_else(|| format!("{field} names no subscription"))
    }

    fn take_guard(&mut self, f: &Fields<'_>) -> Outcome<CleanupGuard> {
        let guard = self.guards.remove(f.need_text("what")?);
        guard.ok_or_else(|| "no such guard".into())
    }

    /// The text with the epochs filled in.
    pub(super) fn fill_in(&self, text: &str) -> String {
        let epoch = self.bus.epoch();
        let other = format!("{:016x}", epoch ^ 1);
        text.replace("{epoch}", &format!("{epoch:016x}"))
            .replace("{other}", &other)
    }

    /// Promise B2, after every step and for each subscription.
    fn adds_up(&self) -> Outcome {
        let open = self.subs.values().flatten();
        open.map(Subscription::stats)
            .chain([self.bus.stats().totals])
            .try_for_each(|stats| reading::adds_up(&stats))
    }
}
