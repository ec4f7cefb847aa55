//! The steps about backoffs.

use std::collections::BTreeSet;
use std::time::Duration;

use reqbus_core::slots::Backoff;
use serde_json::json;

use super::saying::answered;
use super::script::Script;
use crate::fields::{Fields, Outcome};

impl Script {
    pub fn backoff(&mut self, f: &Fields<'_>) -> Outcome {
        let name = f.need_text("as")?;
        let backoff = match f.number("seed")? {
            Some(seed) => Ok(Backoff::seeded(seed)),
            None if f.yes("random")? == Some(true) => Backoff::new(),
            None => Ok(Backoff::exact()),
        };
        let (first, cap) = (f.number("first_ms")?, f.number("cap_ms")?);
        let backoff = backoff.and_then(|backoff| {
            if first.is_none() && cap.is_none() {
                return Ok(backoff);
            }
            backoff.between(
                first.map_or(Backoff::FIRST, Duration::from_millis),
                cap.map_or(Backoff::CAP, Duration::from_millis),
            )
        });
        if let Some(backoff) = answered(f, backoff)?
            && self.backoffs.insert(name.into(), backoff).is_some()
        {
            return Err(format!("the name {name} was used before"));
        }
        Ok(())
    }

    fn backoff_of(&mut self, f: &Fields<'_>, field: &'static str) -> Outcome<&mut Backoff> {
        let backoff = self.backoffs.get_mut(f.need_text(field)?);
        backoff.ok_or_else(|| format!("{field} names no backoff"))
    }

    pub fn delays(&mut self, f: &Fields<'_>) -> Outcome {
        let count = f.size("count")?;
        let us = f.list("us")?;
        let count = count.or(us.map(<[_]>::len)).ok_or("how many?")?;
        let backoff = self.backoff_of(f, "of")?;
        let got: Vec<u64> = (0..count)
            .map(|_| backoff.next_delay().as_micros() as u64)
            .collect();
        if us.is_some_and(|us| json!(us) != json!(got)) {
            return Err(format!("they are {got:?}"));
        }
        if let Some(of) = f.text("same_as")? {
            let other = self.backoffs.get_mut(of).ok_or("no such backoff")?;
            let other: Vec<u64> = (0..count)
                .map(|_| other.next_delay().as_micros() as u64)
                .collect();
            let is_same = f.yes("is_same")?.unwrap_or(true);
            if (other == got) != is_same {
                return Err(format!("{got:?} and {other:?}"));
            }
        }
        let least_us = f.number("least_us")?.unwrap_or(0);
        let most_us = f.number("most_us")?.unwrap_or(u64::MAX);
        if !got.iter().all(|delay| (least_us..=most_us).contains(delay)) {
            return Err(format!("out of bounds: {got:?}"));
        }
        let distinct = got.iter().collect::<BTreeSet<_>>().len();
        if f.size("distinct_at_least")?
            .is_some_and(|least| distinct < least)
        {
            return Err(format!("only {distinct} differ"));
        }
        let mean_us = got.iter().sum::<u64>() / (count as u64).max(1);
        match f.number("mean_above_us")? {
            Some(above) if mean_us <= above => Err(format!("their mean is {mean_us}")),
            _ => Ok(()),
        }
    }

    pub fn reset(&mut self, f: &Fields<'_>) -> Outcome {
        self.backoff_of(f, "of")?.reset();
        Ok(())
    }

    pub fn attempt(&mut self, f: &Fields<'_>) -> Outcome {
        let attempt = self.backoff_of(f, "of")?.attempt();
        f.same_number("is", u64::from(attempt))
    }
}
