//! Items as JSON, as the expectations say them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqbus_core::bus::Item;
use reqbus_core::event::Payload;
use serde_json::{Map, Value, json};

use super::fields::{Fields, Outcome};

/// An item of a batch, with every field that an expectation may name.
pub fn got(item: Item<'_>, epoch: u64) -> Outcome<Value> {
    Ok(match item {
        Item::Event { event, n } => {
            if event.id().epoch != epoch {
                return Err(format!("{event:?} has another epoch than its bus"));
            }
            let (seq, kind, key) = (event.id().seq, event.kind(), event.key());
            let mut value = json!({"event": seq, "n": n, "kind": kind, "key": key});
            match event.payload() {
                Payload::Json(json) => value["json"] = json.into(),
                Payload::Text(text) => value["text"] = text.into(),
                Payload::Bytes(bytes) => value["base64"] = STANDARD.encode(bytes).into(),
                Payload::Request(_) => {}
                other => return Err(format!("no such payload: {other:?}")),
            }
            value
        }
        Item::Lost {
            missed,
            reason,
            next_n,
        } => json!({"lost": missed, "reason": reason.name(), "next_n": next_n}),
        Item::Resync { reason, head } => {
            if head.epoch != epoch {
                return Err(format!("{head} has another epoch than its bus"));
            }
            json!({"resync": reason.name(), "head": head.seq})
        }
        Item::Status {
            source,
            state,
            detail,
        } => json!({"status": source, "state": state, "detail": detail}),
    })
}

/// The items that `expect` says, one by one.
pub fn wanted(expect: &[Value]) -> Outcome<Vec<Value>> {
    let mut all = Vec::new();
    for raw in expect {
        want(raw, &mut all).map_err(|e| format!("{e} in {raw}"))?;
    }
    Ok(all)
}

fn want(raw: &Value, all: &mut Vec<Value>) -> Outcome {
    let f = Fields::new(raw)?;
    if let Some((first, last)) = seqs(&f)? {
        let item = pick(&f, &["n", "kind", "key", "text", "json", "base64"]);
        let n = f.number("n")?;
        all.extend((first..=last).map(|seq| {
            let mut item = item.clone();
            item.insert("event".into(), seq.into());
            if let Some(n) = n {
                item.insert("n".into(), (n + seq - first).into());
            }
            item.into()
        }));
    } else if let Some(source) = f.text("status")? {
        f.need_text("state")?;
        let mut item = pick(&f, &["status", "state", "detail"]);
        match f.number("numbered")? {
            None => all.push(item.into()),
            Some(count) => all.extend((1..=count).map(|number| {
                item.insert("status".into(), format!("{source}{number}").into());
                item.clone().into()
            })),
        }
    } else if f.text("resync")?.is_some() {
        f.need_number("head")?;
        all.push(pick(&f, &["resync", "head"]).into());
    } else {
        f.need_number("lost")?;
        f.need_text("reason")?;
        f.need_number("next_n")?;
        all.push(pick(&f, &["lost", "reason", "next_n"]).into());
    }
    f.done()
}

/// The first and the last seq of an expected event or row of events.
fn seqs(f: &Fields<'_>) -> Outcome<Option<(u64, u64)>> {
    let one = f.number("event")?.map(|seq| (seq, seq));
    let Some(list) = f.list("events")? else {
        return Ok(one);
    };
    let ends: Vec<u64> = list.iter().filter_map(Value::as_u64).collect();
    match ends[..] {
        [first, last] if one.is_none() => Ok(Some((first, last))),
        _ => Err("events are not two numbers".into()),
    }
}

/// The fields of these names that are there.
fn pick(f: &Fields<'_>, names: &[&'static str]) -> Map<String, Value> {
    let there = names
        .iter()
        .filter_map(|&name| Some((name.to_owned(), f.get(name)?.clone())));
    there.collect()
}

/// Compares what was read with what was expected, at each place only the fields that the expectation names.
pub fn compare(want: &[Value], got: &[Value]) -> Outcome {
    for (at, want) in want.iter().enumerate() {
        let Some(got) = got.get(at) else {
            return Err(format!("item {at} is missing: {want}"));
        };
        let same = match want.as_object() {
            Some(fields) => fields
                .iter()
                .all(|(name, value)| got.get(name) == Some(value)),
            None => want == got,
        };
        if !same {
            return Err(format!("item {at} is {got}, not {want}"));
        }
    }
    match got.get(want.len()) {
        None => Ok(()),
        Some(extra) => Err(format!("item {} is one too many: {extra}", want.len())),
    }
}
