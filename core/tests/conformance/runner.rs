//! The scripts of `runner_*.json`: one admission on a driven clock. The steps are in `tests/conformance/README.md`.

use std::collections::BTreeMap;
use std::time::Duration;

use reqbus_core::runner::{Admission, Due, Permit, RunnerOptions, RunnerStats, Verdict};
use reqbus_core::time::{Clock, ClockDriver};
use serde_json::{Value, json};

use crate::fields::{Fields, Outcome};
use crate::slots::saying::{answered, ms, same_list, text, text_of};

/// What a case has made.
struct Script {
    admission: Admission,
    driver: ClockDriver,
    /// By id: no two are in flight at once.
    permits: BTreeMap<String, Permit>,
    /// Items in the lists of rounds that were neither refused nor passed over.
    listed: u64,
}

/// Runs one case. An error names the case, the step and what differs.
pub fn run(case: &Value) -> Outcome {
    let name = case["name"].as_str().ok_or("a case has no name")?;
    let told = |e| format!("{name}: {e}");
    let f = Fields::new(case)?;
    f.get("name");
    f.get("about");
    f.texts("from").map_err(told)?;
    let steps = f.need_list("steps").map_err(told)?;
    let empty = json!({});
    let options = Fields::new(f.get("runner").unwrap_or(&empty)).map_err(told)?;
    f.done().map_err(told)?;
    let Some(mut script) = Script::new(&options).map_err(told)? else {
        return if steps.is_empty() {
            Ok(())
        } else {
            Err(told("it has steps, but no runner".into()))
        };
    };
    for (at, step) in steps.iter().enumerate() {
        let told = script.step(step).and_then(|()| script.adds_up());
        let at = at + 1;
        told.map_err(|e| format!("{name}, step {at}: {e}\n    the step: {step:.300}"))?;
    }
    script.permits.clear();
    script.adds_up().map_err(told)
}

/// The name of a verdict.
fn verdict(name: &str) -> Outcome<Verdict> {
    match name {
        "succeeded" => Ok(Verdict::Succeeded),
        "failed" => Ok(Verdict::Failed),
        "panicked" => Ok(Verdict::Panicked),
        _ => Err(format!("unknown verdict {name}")),
    }
}

/// `[id, overdue in ms]`.
fn item(value: &Value) -> Outcome<(String, Duration)> {
    match value.as_array().map(Vec::as_slice) {
        Some([id, overdue]) => {
            let overdue = overdue.as_u64().ok_or("an overdue is no number")?;
            Ok((text(id)?, Duration::from_millis(overdue)))
        }
        _ => Err(format!("not an item: {value:.80}")),
    }
}

fn counters(stats: &RunnerStats) -> [(&'static str, u64); 11] {
    [
        ("rounds", stats.rounds),
        ("failed_rounds", stats.failed_rounds),
        ("paused_rounds", stats.paused_rounds),
        ("run", stats.run),
        ("succeeded", stats.succeeded),
        ("failed", stats.failed),
        ("panicked", stats.panicked),
        ("stuck", stats.stuck),
        ("skipped_busy", stats.skipped_busy),
        ("skipped_full", stats.skipped_full),
        ("late", stats.late),
    ]
}

impl Script {
    /// `None` if it was to be refused, and was.
    fn new(f: &Fields<'_>) -> Outcome<Option<Self>> {
        let (clock, driver) = Clock::driven();
        let mut options = RunnerOptions {
            clock,
            seed: f.number("seed")?,
            ..RunnerOptions::default()
        };
        for (field, time) in [
            ("every_ms", &mut options.every),
            ("limit_ms", &mut options.limit),
            ("jitter_ms", &mut options.jitter),
        ] {
            if let Some(ms) = f.number(field)? {
                *time = Duration::from_millis(ms);
            }
        }
        if let Some(at_once) = f.number("at_once")? {
            options.at_once = u32::try_from(at_once).map_err(|e| e.to_string())?;
        }
        let made = answered(f, Admission::new(options))?;
        f.done()?;
        Ok(made.map(|admission| Self {
            admission,
            driver,
            permits: BTreeMap::new(),
            listed: 0,
        }))
    }

    fn step(&mut self, step: &Value) -> Outcome {
        let map = step.as_object().filter(|map| map.len() == 1);
        let (word, value) = map
            .and_then(|map| map.iter().next())
            .ok_or("not one step")?;
        let f = &Fields::new(value)?;
        match word.as_str() {
            "round" => self.round(f)?,
            "fail_round" => self.admission.fail_round(),
            "pause" => {
                let paused = Fields::need("paused", f.yes("paused"))?;
                self.admission.pause(paused);
            }
            "paused" => f.same_yes("answer", self.admission.is_paused())?,
            "stop" => self.admission.stop(),
            "finish" => {
                let verdict = verdict(f.need_text("verdict")?)?;
                self.take(f)?.finish(verdict);
            }
            "drop" => drop(self.take(f)?),
            "advance" => {
                let by = Duration::from_millis(f.need_number("ms")?);
                self.driver.advance(by);
            }
            "until_next_round" => {
                let wait = self.admission.until_next_round();
                let wait_ms = wait.as_millis() as u64;
                f.same_number("ms", wait_ms)?;
                if f.number("at_most_ms")?.is_some_and(|most| wait_ms > most) {
                    return Err(format!("it is {wait:?}"));
                }
            }
            "in_flight" => {
                let flights = self.admission.in_flight();
                let got = flights.iter().map(|flight| {
                    json!({"id": &*flight.id, "age_ms": ms(flight.age), "is_stuck": flight.is_stuck})
                });
                let wanted = f.need_list("is")?.iter().cloned().map(|mut want| {
                    if let Some(id) = want.get_mut("id") {
                        *id = text(id)?.into();
                    }
                    Ok(want)
                });
                let wanted = wanted.collect::<Outcome<Vec<_>>>()?;
                same_list(&wanted, &got.collect::<Vec<_>>(), true)?;
            }
            "permit" => {
                let permit = self
                    .permits
                    .get(&text_of(f, "of")?)
                    .ok_or("no such permit")?;
                f.same_yes("should_end", permit.should_end())?;
                f.same_number("left_ms", permit.time_left().as_millis() as u64)?;
            }
            "stats" => {
                for (name, got) in counters(&self.admission.stats()) {
                    f.same_number(name, got)?;
                }
            }
            _ => return Err(format!("unknown step {word}")),
        }
        f.done()
    }

    fn round(&mut self, f: &Fields<'_>) -> Outcome {
        let items = f.need_list("due")?.iter().map(item);
        let items = items.collect::<Outcome<Vec<_>>>()?;
        let due: Vec<Due<'_>> = items
            .iter()
            .map(|(id, overdue)| Due {
                id,
                overdue: *overdue,
            })
            .collect();
        let most = f.size("at_most")?.unwrap_or(usize::MAX);
        let wanted = f.list("permits")?;
        let Some(permits) = answered(f, self.admission.admit_at_most(&due, most))? else {
            return Ok(());
        };
        if !self.admission.is_paused() {
            self.listed += due.len() as u64;
        }
        let got: Vec<String> = permits.iter().map(|permit| permit.id().into()).collect();
        for permit in permits {
            if let Some(other) = self.permits.insert(permit.id().into(), permit) {
                return Err(format!("two permits of one id: {other:?}"));
            }
        }
        let Some(wanted) = wanted else {
            return Ok(());
        };
        let wanted = wanted.iter().map(text).collect::<Outcome<Vec<_>>>()?;
        if got != wanted {
            return Err(format!("permits of {got:?}, not of {wanted:?}"));
        }
        Ok(())
    }

    fn take(&mut self, f: &Fields<'_>) -> Outcome<Permit> {
        let permit = self.permits.remove(&text_of(f, "id")?);
        permit.ok_or_else(|| "no such permit".into())
    }

    /// After every step: each permit is in flight and nothing else is, and each item and each check is counted once.
    fn adds_up(&self) -> Outcome {
        let flights = self.admission.in_flight();
        let held = |id: &str| self.permits.contains_key(id);
        if flights.len() != self.permits.len() || !flights.iter().all(|f| held(&f.id)) {
            return Err(format!("in flight {flights:?}, permits {:?}", self.permits));
        }
        let stats = self.admission.stats();
        let ended = stats.succeeded + stats.failed + stats.panicked;
        let counted = stats.run + stats.skipped_busy + stats.skipped_full;
        if stats.run != ended + flights.len() as u64 || counted != self.listed {
            return Err(format!("{} were listed: {stats:?}", self.listed));
        }
        Ok(())
    }
}
