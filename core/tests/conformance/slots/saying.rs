//! What a script says of keys, limits and refusals, and what the library says of them, as JSON that can be compared.

use std::time::Duration;

use reqbus_core::slots::{Ask, Holder, Key, Limit, OwnedKey, Refusal};
use reqbus_core::{Error, ErrorKind};
use serde_json::{Map, Value, json};

use crate::fields::{Fields, Outcome};

/// A text of a script: a text, or one that is repeated.
pub fn text(value: &Value) -> Outcome<String> {
    if let Some(text) = value.as_str() {
        return Ok(text.into());
    }
    let f = Fields::new(value)?;
    let text = f
        .need_text("text")?
        .repeat(f.need_number("times")? as usize);
    f.done()?;
    Ok(text)
}

/// The text of field `name`; empty if it is left out.
pub fn text_of(f: &Fields<'_>, name: &'static str) -> Outcome<String> {
    f.get(name).map_or_else(|| Ok(String::new()), text)
}

/// `[scope, id]`.
pub type Named = (String, String);

pub fn key(value: &Value) -> Outcome<Named> {
    match value.as_array().map(Vec::as_slice) {
        Some([scope, id]) => Ok((text(scope)?, text(id)?)),
        _ => Err(format!("not a key: {value:.80}")),
    }
}

pub fn key_of(f: &Fields<'_>) -> Outcome<Named> {
    key(f.get("key").ok_or("field key is missing")?)
}

pub fn as_key((scope, id): &Named) -> Key<'_> {
    Key::new(scope, id)
}

pub fn limit(value: &Value) -> Outcome<Limit> {
    if value == "unlimited" {
        return Ok(Limit::Unlimited);
    }
    let number = value.as_u64().and_then(|number| u32::try_from(number).ok());
    number
        .map(Limit::Of)
        .ok_or_else(|| format!("not a limit: {value}"))
}

/// `[scope, id]` or `[scope, id, limit]`.
pub type Asked = (Named, Option<Limit>);

pub fn asks_of(f: &Fields<'_>) -> Outcome<Vec<Asked>> {
    let asks = f.need_list("asks")?.iter();
    asks.map(|ask| match ask.as_array().map(Vec::as_slice) {
        Some([scope, id]) => Ok(((text(scope)?, text(id)?), None)),
        Some([scope, id, third]) => Ok(((text(scope)?, text(id)?), Some(limit(third)?))),
        _ => Err(format!("not an ask: {ask:.80}")),
    })
    .collect()
}

pub fn as_asks(asked: &[Asked]) -> Vec<Ask<'_>> {
    let asks = asked.iter();
    asks.map(|(key, limit)| Ask {
        key: as_key(key),
        limit: *limit,
    })
    .collect()
}

/// Whether a case asks with a number that this language's type does not hold: a negative limit.
pub fn is_unsayable(step: &Value) -> bool {
    let asks = |step: &Value| step["asks"].as_array().cloned().unwrap_or_default();
    let steps = step.as_object().into_iter().flat_map(Map::values);
    let mut asks = steps.flat_map(asks);
    asks.any(|ask| ask[2].as_i64().is_some_and(|limit| limit < 0))
}

pub fn ms(time: Duration) -> Value {
    json!(u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
}

pub fn limit_as_json(limit: Option<Limit>) -> Value {
    match limit {
        Some(Limit::Of(number)) => json!(number),
        Some(Limit::Unlimited) => json!("unlimited"),
        None => Value::Null,
    }
}

pub fn key_as_json(key: &OwnedKey) -> Value {
    json!([key.as_key().scope, key.as_key().id])
}

pub fn holder_as_json(holder: &Holder) -> Value {
    json!({"key": key_as_json(&holder.key), "label": &*holder.label, "age_ms": ms(holder.age)})
}

/// The fields of a refusal that say how its key stood.
pub const STANDING: &[&str] = &["limit", "in_use", "waiting", "position", "retry_after_s"];

pub fn refusal_as_json(refusal: &Refusal) -> Value {
    let cause = refusal.cause();
    json!({
        "outcome": refusal.outcome().name(),
        "scope": refusal.scope(),
        "limit": limit_as_json(refusal.limit()),
        "in_use": refusal.in_use(),
        "waiting": refusal.waiting(),
        "position": refusal.position(),
        "waited_ms": ms(refusal.waited()),
        "pings": refusal.pings(),
        "retry_after_s": refusal.retry_after().map(|after| after.as_secs()),
        "error": cause.map(|cause| cause.kind().name()),
        "context": cause.map(|cause| cause.context()),
        "cause": cause.map(|cause| cause.message()),
    })
}

/// Compares the fields that the expectation names. An expectation of a time needs a clock that stands still.
pub fn same(want: &Value, got: &Value, timed: bool) -> Outcome {
    let (Some(want), Some(fields)) = (want.as_object(), got.as_object()) else {
        return if want == got {
            Ok(())
        } else {
            Err(format!("it is {got}, not {want}"))
        };
    };
    for (name, value) in want {
        if name.ends_with("_ms") && !timed {
            return Err(format!("{name} is compared in a case that moves no clock"));
        }
        match fields.get(name) {
            None => return Err(format!("unknown field {name}")),
            Some(field) if field != value => {
                return Err(format!("{name} is {field}, not {value}\n    all: {got}"));
            }
            Some(_) => {}
        }
    }
    Ok(())
}

/// As [`same`], item by item.
pub fn same_list(want: &[Value], got: &[Value], timed: bool) -> Outcome {
    if want.len() != got.len() {
        return Err(format!("{} items, not {}: {got:?}", got.len(), want.len()));
    }
    for (at, (want, got)) in want.iter().zip(got).enumerate() {
        same(want, got, timed).map_err(|e| format!("item {at}: {e}"))?;
    }
    Ok(())
}

/// Compares a call's answer with fields `expect`, the name of an error kind or `ok`, the default, and `context`.
pub fn answered<T>(f: &Fields<'_>, answer: Result<T, Error>) -> Outcome<Option<T>> {
    let want = f.text("expect")?.unwrap_or("ok");
    let got = answer.as_ref().map_or_else(|e| e.kind().name(), |_| "ok");
    let context = f.text("context")?;
    match answer {
        _ if got != want => Err(format!("the answer is {got}, not {want}")),
        Ok(_) if context.is_some() => Err("context without an error".into()),
        Ok(answer) => Ok(Some(answer)),
        Err(e) if context.is_some_and(|context| context != e.context()) => {
            Err(format!("context is {}", e.context()))
        }
        Err(e) if e.kind() == ErrorKind::Timeout => Err(format!("a step must not wait: {e}")),
        Err(_) => Ok(None),
    }
}
