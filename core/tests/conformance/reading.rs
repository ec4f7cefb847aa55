//! The steps that read and compare.

use reqbus_core::ErrorKind;
use reqbus_core::bus::{Batch, Item, Limits, SubscriptionStats};
use reqbus_core::wire::Form;
use serde_json::{Value, json};

use super::fields::{Fields, Outcome};
use super::items;
use super::script::Script;

/// Promise B2.
pub fn adds_up(stats: &SubscriptionStats) -> Outcome {
    let parts = stats.delivered + stats.lost() + stats.pending + stats.abandoned;
    if parts == stats.matched {
        return Ok(());
    }
    Err(format!("the account does not add up: {stats:?}"))
}

/// Compares the counts that the expectation names.
fn same_counts(f: &Fields<'_>, stats: &SubscriptionStats) -> Outcome {
    f.same_number("matched", stats.matched)?;
    f.same_number("delivered", stats.delivered)?;
    f.same_number("lost_full", stats.lost_full)?;
    f.same_number("lost_window", stats.lost_window)?;
    f.same_number("lost_evicted", stats.lost_evicted)?;
    f.same_number("pending", stats.pending)
}

fn form(f: &Fields<'_>) -> Outcome<Form> {
    let name = f.need_text("form")?;
    Form::from_name(name).ok_or_else(|| format!("no such form: {name}"))
}

fn text(bytes: &[u8]) -> Outcome<Value> {
    let text = std::str::from_utf8(bytes).map_err(|e| e.to_string())?;
    Ok(text.into())
}

impl Script {
    pub fn recv(&mut self, f: &Fields<'_>) -> Outcome {
        let epoch = self.bus.epoch();
        let want = items::wanted(f.need_list("expect")?)?;
        let got = self.read(f, None, |batch, got| {
            let events = batch
                .iter()
                .filter(|item| matches!(item, Item::Event { .. }));
            if events.count() != batch.events().count() {
                return Err("the batch counts its events otherwise".into());
            }
            batch.iter().try_for_each(|item| {
                got.push(items::got(item, epoch)?);
                Ok(())
            })
        })?;
        items::compare(&want, &got)
    }

    pub fn recv_texts(&mut self, f: &Fields<'_>) -> Outcome {
        let form = form(f)?;
        f.need_list("expect")?;
        let want = f.texts("expect")?;
        let want: Vec<_> = want
            .into_iter()
            .map(|text| json!(self.fill_in(text)))
            .collect();
        let got = self.read(f, Some(form), |batch, got| {
            if batch.texts().ends.len() != batch.len() {
                return Err("not one text for each item".into());
            }
            let texts = (0..batch.len()).filter_map(|at| batch.texts().get(at));
            texts.map(text).try_for_each(|text| {
                got.push(text?);
                Ok(())
            })
        })?;
        items::compare(&want, &got)
    }

    /// Reads once if the step has a limit, else until there is nothing more; `take` gets each batch.
    fn read(
        &mut self,
        f: &Fields<'_>,
        form: Option<Form>,
        take: impl Fn(&Batch, &mut Vec<Value>) -> Outcome,
    ) -> Outcome<Vec<Value>> {
        let (max_items, max_bytes) = (f.size("max_items")?, f.size("max_bytes")?);
        let once = max_items.is_some() || max_bytes.is_some();
        let closed = match f.text("then")? {
            Some(_) if once => return Err("then is not allowed beside a limit".into()),
            None | Some("empty") => false,
            Some("closed") => true,
            Some(other) => return Err(format!("no such then: {other}")),
        };
        let default = Limits::default();
        let limits = Limits {
            max_items: max_items.unwrap_or(if once {
                default.max_items
            } else {
                self.max_items
            }),
            max_bytes: max_bytes.unwrap_or(default.max_bytes),
        };
        let mut batch = std::mem::take(&mut self.batch);
        let sub = self.sub(f, "from")?;
        let (mut got, mut settled) = (Vec::new(), None);
        let end = loop {
            let answer = match form {
                None => sub.try_recv(&mut batch, limits),
                Some(form) => sub.try_recv_texts(&mut batch, form, limits),
            };
            match answer {
                Ok(0) => break "empty",
                Ok(_) => {}
                Err(e) if e.kind() == ErrorKind::Closed => break "closed",
                Err(e) => return Err(e.to_string()),
            }
            take(&batch, &mut got)?;
            settled = Some(batch.settled().seq);
            if once {
                break "once";
            }
        };
        if !once && closed != (end == "closed") {
            return Err(format!("after {} items it is {end}", got.len()));
        }
        if let Some(settled) = settled {
            f.same_number("settled", settled)?;
        }
        self.batch = batch;
        Ok(got)
    }

    pub fn heartbeat(&self, f: &Fields<'_>) -> Outcome {
        let mut got = Vec::new();
        self.sub(f, "of")?.heartbeat(form(f)?, &mut got);
        let want = self.fill_in(f.need_text("text")?);
        items::compare(&[json!(want)], &[text(&got)?])
    }

    pub fn stats(&self, f: &Fields<'_>) -> Outcome {
        let stats = self.sub(f, "of")?.stats();
        f.same_number("resyncs", stats.resyncs)?;
        same_counts(f, &stats)
    }

    pub fn totals(&self, f: &Fields<'_>) -> Outcome {
        let stats = self.bus.stats();
        f.same_number("abandoned", stats.totals.abandoned)?;
        f.same_number("subscriptions", stats.subscriptions)?;
        same_counts(f, &stats.totals)
    }

    pub fn consumers(&self, f: &Fields<'_>) -> Outcome {
        let got = self.bus.consumers().into_iter().map(|consumer| {
            json!({
                "label": consumer.label,
                "pid": consumer.pid,
                "overflow": consumer.overflow.name(),
                "audience": consumer.audience.unwrap_or_default(),
                "closed": consumer.closed,
                "matched": consumer.stats.matched,
                "delivered": consumer.stats.delivered,
                "lost": consumer.stats.lost(),
                "pending": consumer.stats.pending,
            })
        });
        items::compare(f.need_list("expect")?, &got.collect::<Vec<_>>())
    }
}
