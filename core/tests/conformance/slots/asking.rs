//! The steps that ask for slots and give them back.

use std::task::{Context, Poll, Waker};
use std::time::Duration;

use reqbus_core::slots::{Refusal, Slot, Step, Wait, WaitOptions};
use reqbus_core::{Error, ErrorKind};
use serde_json::{Value, json};

use super::saying::{self, as_asks, asks_of, text_of};
use super::script::{Face, Script};
use crate::fields::{Fields, Outcome};

impl Script {
    /// Compares what a call came to with field `expect`, and keeps the slot under its name.
    fn came_to(&mut self, f: &Fields<'_>, got: Result<Slot, Refusal>) -> Outcome {
        let granted = json!("granted");
        let want = f.get("expect").unwrap_or(&granted);
        let keys = f.list("keys")?;
        match got {
            Ok(slot) if *want == granted => {
                let got: Vec<_> = slot.keys().iter().map(saying::key_as_json).collect();
                if let Some(keys) = keys {
                    saying::same_list(keys, &got, true).map_err(|e| format!("keys: {e}"))?;
                }
                self.add_slot(f.need_text("as")?, slot)
            }
            Ok(_) => Err(format!("granted, not {want}")),
            Err(refusal) => self.refused(want, &refusal),
        }
    }

    fn refused(&self, want: &Value, refusal: &Refusal) -> Outcome {
        if want.is_object() {
            want["outcome"].as_str().ok_or("outcome is missing")?;
            let got = saying::refusal_as_json(refusal);
            return saying::same(&self.known_of(want), &got, self.is_timed());
        }
        if *want == refusal.outcome().name() {
            return Ok(());
        }
        Err(format!("{refusal:?}, not {want}"))
    }

    pub fn try_acquire(&mut self, f: &Fields<'_>) -> Outcome {
        let (asked, label) = (asks_of(f)?, text_of(f, "label")?);
        self.note_keys(&asked);
        let pool = self.pool()?;
        let got = if self.face == Face::Poll {
            // A try by another name.
            let options = WaitOptions {
                label: &label,
                timeout: Duration::ZERO,
                ..WaitOptions::default()
            };
            pool.wait(&as_asks(&asked), &options).wait()
        } else {
            pool.try_acquire(&as_asks(&asked), &label)
        };
        self.came_to(f, got)
    }

    pub fn try_first_of(&mut self, f: &Fields<'_>) -> Outcome {
        let (asked, label) = (asks_of(f)?, text_of(f, "label")?);
        self.note_keys(&asked);
        let got = self.pool()?.try_first_of(&as_asks(&asked), &label);
        let chosen = got.as_ref().map_or(Value::Null, |(at, _)| json!(at));
        if f.get("chosen").is_some_and(|want| *want != chosen) {
            return Err(format!("chosen is {chosen}"));
        }
        self.came_to(f, got.map(|(_, slot)| slot))
    }

    pub fn wait(&mut self, f: &Fields<'_>, on: Option<&'static str>) -> Outcome {
        let (asked, label) = (asks_of(f)?, text_of(f, "label")?);
        self.note_keys(&asked);
        let default = WaitOptions::default();
        let timeout_ms = f.number("timeout_ms")?;
        let ping_every = match f.get("ping_every_ms") {
            None => default.ping_every,
            Some(Value::Null) => None,
            Some(_) => f.number("ping_every_ms")?.map(Duration::from_millis),
        };
        let max_waiting = f.number("max_waiting")?.map(u32::try_from).transpose();
        let options = WaitOptions {
            label: &label,
            timeout: timeout_ms.map_or(default.timeout, Duration::from_millis),
            max_waiting: max_waiting
                .map_err(|e| e.to_string())?
                .unwrap_or(default.max_waiting),
            ping_every,
        };
        let (pool, asks) = (self.pool()?, as_asks(&asked));
        let wait = match on {
            None => pool.wait(&asks, &options),
            Some(on) => pool.wait_on_top(self.slot(f, on)?, &asks, &options),
        };
        f.same_number("position", u64::from(wait.position()))?;
        self.add_wait(f.need_text("as")?, wait)
    }

    /// What is new. A store far away is asked for the next key, and for an offer, when the owner looks: there one look
    /// is as many as it takes.
    fn look_at(&self, wait: &Wait) -> Outcome<Option<Step>> {
        for _ in 1..self.looks {
            if let Some(step) = self.look_once(wait)? {
                return Ok(Some(step));
            }
        }
        self.look_once(wait)
    }

    fn look_once(&self, wait: &Wait) -> Outcome<Option<Step>> {
        match self.face {
            Face::Try => Ok(wait.try_next()),
            Face::Poll => match wait.poll_next(&mut Context::from_waker(Waker::noop())) {
                Poll::Ready(step) => Ok(Some(step)),
                Poll::Pending => Ok(None),
            },
            Face::Block => match wait.next_timeout(Some(Duration::ZERO)) {
                Ok(step) => Ok(Some(step)),
                Err(e) if e.kind() == ErrorKind::Timeout => Ok(None),
                Err(e) => Err(e.to_string()),
            },
        }
    }

    pub fn look(&mut self, f: &Fields<'_>) -> Outcome {
        let step = self.look_at(self.wait_of(f, "at")?)?;
        let said = |said: &str| match f.get("expect") {
            Some(want) if *want == said => Ok(()),
            want => Err(format!("{said}, not {}", want.unwrap_or(&Value::Null))),
        };
        match step {
            None => said("nothing"),
            Some(Step::Ping) => said("ping"),
            Some(Step::Granted(slot)) => {
                said("granted")?;
                self.came_to(f, Ok(slot))
            }
            Some(Step::Ended(refusal)) => self.came_to(f, Err(refusal)),
        }
    }

    pub fn cancel(&self, f: &Fields<'_>) -> Outcome {
        let cause = f.text("cause")?.map(str::to_owned);
        let cause = cause.map(|cause| Error::new(ErrorKind::System, "host", cause));
        self.wait_of(f, "what")?.cancel(cause);
        Ok(())
    }

    pub fn release(&self, f: &Fields<'_>) -> Outcome {
        let got = self.slot(f, "what")?.release().name();
        match f.text("expect")?.unwrap_or("released") {
            want if want == got => Ok(()),
            want => Err(format!("{got}, not {want}")),
        }
    }

    pub fn release_scope(&self, f: &Fields<'_>) -> Outcome {
        let scope = text_of(f, "scope")?;
        let got = self.slot(f, "what")?.release_scope(&scope);
        let got = got.map_or("none", |got| got.name());
        match f.text("expect")?.unwrap_or("released") {
            want if want == got => Ok(()),
            want => Err(format!("{got}, not {want}")),
        }
    }

    pub fn join(&mut self, f: &Fields<'_>) -> Outcome {
        let (to, from) = (f.need_text("to")?, f.need_text("from")?);
        self.slot(f, "to")?;
        self.slot(f, "from")?;
        if to == from {
            return Err("a slot joins itself".into());
        }
        let target = self.slots.remove(to).flatten().ok_or("no such slot")?;
        let other = self.slots.get_mut(from).and_then(Option::as_mut);
        let joined = target.join(other.ok_or("no such slot")?);
        self.slots.insert(to.into(), Some(target));
        saying::answered(f, joined).map(drop)
    }

    pub fn slot_keys(&self, f: &Fields<'_>) -> Outcome {
        let keys = self.slot(f, "of")?.keys();
        let got: Vec<_> = keys.iter().map(saying::key_as_json).collect();
        saying::same_list(f.need_list("expect")?, &got, true)
    }

    pub fn lost(&self, f: &Fields<'_>) -> Outcome {
        let got = self
            .slot(f, "of")?
            .lost()
            .map_or("none", |reason| reason.name());
        match f.need_text("expect")? {
            want if want == got => Ok(()),
            want => Err(format!("{got}, not {want}")),
        }
    }
}
