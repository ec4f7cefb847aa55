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
    let (first, last) = match (f.number("event")?, f.list("events")?) {
        (Some(seq), None) => (Some(seq), seq),
        (None, Some([first, last])) => {
            let last = last.as_u64().ok_or("events are no numbers")?;
            (first.as_u64(), last)
        }
        (None, None) => (None, 0),
        _ => return Err("no such item".into()),
    };
    let head = ["lost", "resync", "status"]
        .into_iter()
        .find(|&sort| f.get(sort).is_some());
    let names: &[&'static str] = match (first, head) {
        (Some(_), None) => &["n", "kind", "key", "text", "json", "base64"],
        (None, Some("lost")) => &["lost", "reason", "next_n"],
        (None, Some("resync")) => &["resync", "head"],
        (None, Some("status")) => &["status", "state", "detail"],
        _ => return Err("no such item".into()),
    };
    let present = names
        .iter()
        .filter_map(|&name| Some((name.to_owned(), f.get(name)?.clone())));
    let mut item: Map<String, Value> = present.collect();
    if head == Some("lost") || head == Some("resync") {
        for name in names {
            f.get(name)
                .ok_or_else(|| format!("field {name} is missing"))?;
        }
    }
    let numbered = if head == Some("status") {
        f.number("numbered")?
    } else {
        None
    };
    f.done()?;
    match (first, numbered) {
        (Some(first), _) => {
            let n = f.number("n")?;
            for seq in first..=last {
                item.insert("event".into(), seq.into());
                n.map(|n| item.insert("n".into(), (n + seq - first).into()));
                all.push(item.clone().into());
            }
        }
        (None, Some(count)) => {
            let source = f.need_text("status")?;
            for number in 1..=count {
                item.insert("status".into(), format!("{source}{number}").into());
                all.push(item.clone().into());
            }
        }
        (None, None) => all.push(item.into()),
    }
    Ok(())
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
