//! The steps that change something: publish, subscribe, status, close.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqbus_core::bus::{Filter, Overflow, Start, SubscribeOptions};
use reqbus_core::event::RequestStatus;
use reqbus_core::{Error, NewEvent, RequestEvent};

use super::fields::{Fields, Outcome};
use super::script::Script;

/// Compares what a call answered with field `expect`: the name of an error kind, or `ok`, the default.
fn expect<T>(f: &Fields<'_>, answer: Result<T, Error>) -> Outcome<Option<T>> {
    let want = f.text("expect")?.unwrap_or("ok");
    let got = answer.as_ref().map_or_else(|e| e.kind().name(), |_| "ok");
    if got != want {
        let why = answer.err().map_or(String::new(), |e| format!(" ({e})"));
        return Err(format!("the answer is {got}{why}, not {want}"));
    }
    Ok(answer.ok())
}

/// The payload of an event to be published, owned.
enum Payload {
    Json(String),
    Text(String),
    Bytes(Vec<u8>),
}

impl Payload {
    fn read(f: &Fields<'_>) -> Outcome<Self> {
        let times = f.size("text_times")?;
        let all = (f.text("text")?, f.text("json")?, f.text("base64")?);
        match all {
            (None, Some(json), None) if times.is_none() => Ok(Self::Json(json.into())),
            (None, None, Some(base64)) if times.is_none() => STANDARD
                .decode(base64)
                .map(Self::Bytes)
                .map_err(|e| e.to_string()),
            (text, None, None) => {
                let text = text.unwrap_or_default();
                Ok(Self::Text(text.repeat(times.unwrap_or(1))))
            }
            _ => Err("more than one payload".into()),
        }
    }

    fn event<'a>(&'a self, f: &Fields<'a>) -> Outcome<NewEvent<'a>> {
        let kind = f.need_text("kind")?;
        let event = match self {
            Self::Json(json) => NewEvent::json(kind, json),
            Self::Text(text) => NewEvent::text(kind, text),
            Self::Bytes(bytes) => NewEvent::bytes(kind, bytes),
        };
        let event = event.key(f.text("key")?.unwrap_or_default());
        Ok(match f.number("time_ms")? {
            Some(time_ms) => event.time_ns(time_ms * 1_000_000),
            None => event,
        })
    }
}

impl Script {
    pub fn publish(&self, f: &Fields<'_>) -> Outcome {
        let payload = Payload::read(f)?;
        let event = payload.event(f)?;
        let times = f.number("times")?.unwrap_or(1);
        (0..times).try_for_each(|_| expect(f, self.bus.publish(event)).map(drop))
    }

    pub fn publish_many(&self, f: &Fields<'_>) -> Outcome {
        let all = f.need_list("events")?.iter().map(Fields::new);
        let all = all.collect::<Outcome<Vec<_>>>()?;
        let payloads = all.iter().map(Payload::read).collect::<Outcome<Vec<_>>>()?;
        let events = payloads
            .iter()
            .zip(&all)
            .map(|(payload, f)| payload.event(f));
        let events = events.collect::<Outcome<Vec<_>>>()?;
        all.iter().try_for_each(Fields::done)?;
        expect(f, self.bus.publish_many(&events)).map(drop)
    }

    pub fn publish_request(&self, f: &Fields<'_>) -> Outcome {
        let name = f.need_text("status")?;
        let mut statuses = (0..3).filter_map(RequestStatus::from_number);
        let status = statuses.find(|status| status.name() == name);
        let event = RequestEvent {
            timestamp_ns: Some(f.need_number("time_ms")? * 1_000_000),
            method: f.need_text("method")?,
            path: f.need_text("path")?,
            model: f.need_text("model")?,
            account_id: Fields::need("account_id", f.signed("account_id"))?,
            status: status.ok_or("no such status")?,
            latency_ms: Fields::need("latency_ms", f.signed("latency_ms"))?,
            key: f.text("key")?.unwrap_or_default(),
            extra: f.text("extra")?,
        };
        expect(f, self.bus.publish_request(&event)).map(drop)
    }

    pub fn subscribe(&mut self, f: &Fields<'_>) -> Outcome {
        let name = f.need_text("as")?;
        if self.subs.contains_key(name) {
            return Err(format!("the name {name} was used before"));
        }
        let after = self.fill_in(f.text("after")?.unwrap_or_default());
        let after = after.repeat(f.size("after_times")?.unwrap_or(1));
        let start = match f.text("start")?.unwrap_or("live") {
            "live" => Start::Live,
            "oldest" => Start::Oldest,
            "after" => Start::After(after.as_bytes()),
            other => return Err(format!("no such start: {other}")),
        };
        let mut options = SubscribeOptions {
            start,
            overflow: overflow(f)?,
            label: f.text("label")?.unwrap_or_default(),
            pid: f.number("pid")?.unwrap_or_default() as u32,
            audience: f.text("audience")?,
            ..SubscribeOptions::default()
        };
        match f.number("audience_wait_ms")? {
            None => {}
            Some(0) => options.audience_wait = Duration::ZERO,
            Some(_) => return Err("a step must not wait".into()),
        }
        let filter = Filter::new(&f.texts("keys")?, &f.texts("kinds")?);
        let made = filter.and_then(|filter| {
            options.filter = filter;
            self.bus.subscribe(options)
        });
        let is_first = f.yes("is_first")?;
        if let Some(sub) = expect(f, made)? {
            if is_first.is_some_and(|first| first != sub.is_first()) {
                return Err(format!("is_first is {}", sub.is_first()));
            }
            self.subs.insert(name.into(), Some(sub));
        }
        Ok(())
    }

    pub fn status(&self, f: &Fields<'_>) -> Outcome {
        let (source, state) = (f.need_text("source")?, f.need_text("state")?);
        let detail = f.text("detail")?.unwrap_or_default();
        let detail = detail.repeat(f.size("detail_times")?.unwrap_or(1));
        let set = |source: &str| expect(f, self.bus.set_status(source, state, &detail)).map(drop);
        match f.number("numbered")? {
            None => set(source),
            Some(count) => (1..=count).try_for_each(|number| set(&format!("{source}{number}"))),
        }
    }

    pub fn close(&self, f: &Fields<'_>) -> Outcome {
        if f.need_text("what")? == "bus" {
            self.bus.close();
            return Ok(());
        }
        let got = self.sub(f, "what")?.close().was_last;
        match f.get("was_last") {
            Some(want) if *want != serde_json::json!(got) => {
                Err(format!("was_last is {got:?}, not {want}"))
            }
            _ => Ok(()),
        }
    }
}

fn overflow(f: &Fields<'_>) -> Outcome<Overflow> {
    let (events, bytes) = (f.size("capacity")?, f.size("capacity_bytes")?);
    match (f.text("overflow")?.unwrap_or("drop_newest"), events, bytes) {
        ("drop_newest", events, bytes) => Ok(Overflow::DropNewest {
            events: events.unwrap_or(64),
            bytes: bytes.unwrap_or(1 << 20),
        }),
        ("drop_oldest", events, None) => Ok(Overflow::DropOldest {
            events: events.unwrap_or(256),
        }),
        ("catch_up", None, None) => Ok(Overflow::CatchUp),
        (other, ..) => Err(format!("no such overflow: {other} with that capacity")),
    }
}
