//! The JSON forms: one line each, valid, and the same value as what was published.

use reqbus_core::event::{EventId, REQUEST_FIELDS, RequestEvent};
use reqbus_core::wire::{self, Form};
use reqbus_core::{Event, NewEvent};
use serde_json::{Map, Value, json};

use super::recipe::Recipe;

const CONTROL: &[u8] = b"{\"kind\":\"reqbus.";

/// Writes the event and the control items that `data` describes, and reads them back.
pub fn json_writer(data: &[u8]) {
    let mut recipe = Recipe::new(data);
    let (id, time_ns) = (recipe.id(), recipe.time_ns());
    match recipe.byte() % 5 {
        0 => request(&mut recipe, id, time_ns),
        1 => {
            let (kind, key, text) = (recipe.kind(), recipe.key(), recipe.text());
            let new = NewEvent::text(&kind, &text).key(&key).time_ns(time_ns);
            event(&new, id, time_ns, &key, Some(Value::from(text.as_str())));
        }
        2 => {
            let (kind, key, mut json) = (recipe.kind(), recipe.key(), String::new());
            recipe.json(&mut json, 4);
            host_json(&kind, &key, &json, id, time_ns);
        }
        3 => {
            // Whatever the fuzzer thinks JSON is.
            let (kind, key) = (recipe.kind(), recipe.key());
            let mut json = recipe.text();
            while !recipe.is_empty() {
                json.push_str(&recipe.text());
            }
            host_json(&kind, &key, &json, id, time_ns);
        }
        _ => control(&mut recipe, id),
    }
}

/// A text of `event` as its readers get it, one line.
fn line(event: &Event, form: Form) -> &str {
    let text = wire::text(event, form, |_| {});
    let again = wire::text(&event.clone(), form, |_| {}).as_ptr();
    assert_eq!(text.as_ptr(), again, "made once");
    let text = std::str::from_utf8(text).expect("UTF-8");
    let line = if form == Form::Ndjson {
        text.strip_suffix('\n').expect("LF")
    } else {
        text
    };
    assert!(!line.contains(['\r', '\n']), "{form} is one line");
    serde_json::from_str::<serde::de::IgnoredAny>(line).expect("valid JSON");
    line
}

/// Checks all forms of an event; its payload should read as `value`, if serde_json can hold that.
fn event(new: &NewEvent<'_>, id: EventId, time_ns: u64, key: &str, value: Option<Value>) -> Event {
    let event = Event::detached(new, id).expect("nothing to refuse");
    let json = line(&event, Form::Json).to_owned();
    assert!(
        !json.as_bytes().starts_with(CONTROL),
        "no payload begins like a control item"
    );
    if let Some(value) = &value {
        assert_eq!(
            serde_json::from_str::<Value>(&json).ok().as_ref(),
            Some(value)
        );
    }

    let envelope = line(&event, Form::Envelope).to_owned();
    assert_eq!(line(&event, Form::Ndjson), envelope);
    let head = envelope
        .strip_suffix(&format!(",\"data\":{json}}}"))
        .expect("the JSON form inside");
    let head: Value = serde_json::from_str(&format!("{head}}}")).expect("valid without it too");
    let mut want = json!({"id": id.to_string(), "kind": event.kind(), "time": head["time"]});
    if !key.is_empty() {
        want["key"] = Value::from(key);
    }
    assert_eq!(head, want);
    check_time(&head["time"], time_ns);
    event
}

/// `time` is RFC 3339 with nine digits, and `ns`.
fn check_time(time: &Value, ns: u64) {
    let time = time.as_str().expect("a string");
    assert_eq!(time.len(), "2023-11-16T18:15:46.680590000Z".len());
    let (seconds, fraction) = time.split_once('.').expect("a fraction");
    let nanoseconds: u64 = fraction
        .strip_suffix('Z')
        .expect("UTC")
        .parse()
        .expect("digits");
    assert_eq!(nanoseconds, ns % 1_000_000_000);
    let part = |range: std::ops::Range<usize>| -> u64 { seconds[range].parse().expect("digits") };
    // Days from the civil date, counted by Julian day number: not the way the writer goes.
    let (year, month, day) = (part(0..4) as i64, part(5..7) as i64, part(8..10) as i64);
    let before = (month - 14) / 12;
    let julian = 1461 * (year + 4800 + before) / 4 + 367 * (month - 2 - 12 * before) / 12
        - 3 * ((year + 4900 + before) / 100) / 4
        + day
        - 32075;
    let days = (julian - 2_440_588) as u64;
    let second = part(11..13) * 3600 + part(14..16) * 60 + part(17..19);
    assert_eq!(days * 86_400 + second, ns / 1_000_000_000, "{time}");
}

fn host_json(kind: &str, key: &str, json: &str, id: EventId, time_ns: u64) {
    let new = NewEvent::json(kind, json).key(key).time_ns(time_ns);
    let refused = Event::detached(&new, id).err();
    if serde_json::from_str::<serde::de::IgnoredAny>(json).is_err() {
        assert!(refused.is_some(), "what is not JSON is refused");
        return;
    }
    if let Some(refused) = refused {
        assert!(refused.message().contains("nested too deep"), "{refused}");
        return;
    }
    let event = event(&new, id, time_ns, key, serde_json::from_str(json).ok());
    let mut want = json.replace(['\r', '\n'], "");
    if want.as_bytes().starts_with(CONTROL) {
        want.insert(1, ' ');
    }
    assert_eq!(
        line(&event, Form::Json),
        want,
        "as published, less line breaks"
    );
}

fn request(recipe: &mut Recipe<'_>, id: EventId, time_ns: u64) {
    let (method, path, model, key) = (recipe.text(), recipe.text(), recipe.text(), recipe.key());
    let mut extra = String::new();
    let has_extra = !recipe.byte().is_multiple_of(4);
    if has_extra {
        recipe.object(&mut extra, 3, &REQUEST_FIELDS);
    }
    let request = RequestEvent {
        timestamp_ns: Some(time_ns),
        method: &method,
        path: &path,
        model: &model,
        account_id: recipe.number() as i64,
        status: recipe.status(),
        latency_ms: recipe.number() as i64,
        key: &key,
        extra: has_extra.then_some(extra.as_str()),
    };
    let new = NewEvent::request(&request).expect("extra is an object");
    let event = event(&new, id, time_ns, &key, None);
    let text = line(&event, Form::Json);

    let mut got: Map<String, Value> = serde_json::from_str(text).expect("an object");
    check_time(&got.remove("timestamp").expect("timestamp"), time_ns);
    let mut want = json!({
        "method": method, "path": path, "model": model, "account_id": request.account_id,
        "status": request.status.name(), "latency_ms": request.latency_ms,
    });
    if has_extra {
        let fields: Map<String, Value> = serde_json::from_str(&extra).expect("an object");
        let free = fields
            .into_iter()
            .filter(|(name, _)| !REQUEST_FIELDS.contains(&name.as_str()));
        want.as_object_mut().expect("an object").extend(free);
    }
    assert_eq!(Value::Object(got), want);

    let mut at = 0;
    for name in REQUEST_FIELDS {
        let next = text[at..]
            .find(&format!("\"{name}\":"))
            .expect("each of the seven");
        at += next;
    }
}

fn control(recipe: &mut Recipe<'_>, id: EventId) {
    let (reason, source, state, detail) =
        (recipe.text(), recipe.text(), recipe.text(), recipe.text());
    let (missed, next_n) = (recipe.number(), recipe.number());
    let name = id.to_string();
    let wants = [
        json!({"kind": "reqbus.lost", "data": {"missed": missed, "reason": reason, "next_n": next_n}}),
        json!({"kind": "reqbus.resync", "id": name, "data": {"reason": reason, "head": name}}),
        json!({"kind": "reqbus.status", "data": {"source": source, "state": state, "detail": detail}}),
        json!({"kind": "reqbus.heartbeat", "id": name}),
    ];
    for form in [Form::Json, Form::Envelope, Form::Ndjson] {
        let mut out = Vec::new();
        let mut ends = Vec::new();
        wire::lost(&mut out, form, missed, &reason, next_n);
        ends.push(out.len());
        wire::resync(&mut out, form, &reason, id);
        ends.push(out.len());
        wire::status(&mut out, form, &source, &state, &detail);
        ends.push(out.len());
        wire::heartbeat(&mut out, form, id);
        ends.push(out.len());
        wire::retry(&mut out, form, missed);
        assert_eq!(ends.last(), Some(&out.len()), "no retry in {form}");

        let mut start = 0;
        for (end, want) in ends.into_iter().zip(&wants) {
            let mut item = &out[start..end];
            assert!(item.starts_with(CONTROL));
            if form == Form::Ndjson {
                item = item.strip_suffix(b"\n").expect("LF");
            }
            assert!(!item.contains(&b'\n') && !item.contains(&b'\r'));
            assert_eq!(
                serde_json::from_slice::<Value>(item).ok().as_ref(),
                Some(want)
            );
            start = end;
        }
    }
}
