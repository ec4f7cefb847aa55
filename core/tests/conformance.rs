#![cfg(not(loom))]
//! The scripts of `tests/conformance`, as Rust sees them: the same files that every language runs. The format
//! is in the README there. `encodings.json` is run by `wire_conformance.rs`.
//!
//! Each case of a bus runs three times, with batches of 1, 3 and 256 items: what is read must not depend on them.
//! Each case of a pool (`slots_*.json`) does too, looked at by each face of a wait, on memory and on the store of tests.
//! Each case of a runner (`runner_*.json`) runs once.

#[path = "conformance/actions.rs"]
mod actions;
#[path = "conformance/fields.rs"]
mod fields;
#[path = "conformance/items.rs"]
mod items;
#[path = "conformance/reading.rs"]
mod reading;
#[path = "conformance/runner.rs"]
mod runner;
#[path = "conformance/script.rs"]
mod script;
#[path = "conformance/slots/mod.rs"]
mod slots;

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Value, json};

use self::fields::Outcome;
use self::slots::{Face, Place, Ran};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/conformance");

/// Runs a file, and says how many cases it has. Panics after the last case with all that failed.
fn run(file: &str) {
    let cases = cases(&Path::new(FOLDER).join(file));
    let run = if file.starts_with("slots_") {
        with_each_face
    } else if file.starts_with("runner_") {
        of_a_runner
    } else {
        with_batches
    };
    let mut failed = Vec::new();
    let mut skipped = 0;
    for case in &cases {
        match run(case) {
            Ok(Ran::Passed) => {}
            Ok(Ran::Skipped) => skipped += 1,
            Err(told) => failed.push(told),
        }
    }
    println!("{file}: {} cases, {skipped} skipped", cases.len());
    assert!(!cases.is_empty(), "{file} holds no case");
    assert!(failed.is_empty(), "{file}:\n{}", failed.join("\n"));
}

/// A case of a bus.
fn with_batches(case: &Value) -> Outcome<Ran> {
    [256, 1, 3]
        .into_iter()
        .try_fold(Ran::Passed, |_, max_items| {
            let told = script::run(case, max_items);
            told.map_err(|e| format!("{e}\n    (batches of {max_items})"))?;
            Ok(Ran::Passed)
        })
}

/// A case of a pool.
fn with_each_face(case: &Value) -> Outcome<Ran> {
    let faces = [Face::Try, Face::Poll, Face::Block];
    let mut ran = Ran::Passed;
    for (place, face) in [Place::Memory, Place::Fault]
        .map(|place| faces.map(|face| (place, face)))
        .concat()
    {
        let told = slots::run(case, face, place);
        if place == Place::Fault && case.get("memory_only").is_some() {
            let name = &case["name"];
            told.err()
                .ok_or_else(|| format!("{name} holds on {place:?} too (face {face:?})"))?;
            continue;
        }
        ran = told.map_err(|e| format!("{e}\n    (face {face:?}, on {place:?})"))?;
    }
    Ok(ran)
}

fn of_a_runner(case: &Value) -> Outcome<Ran> {
    runner::run(case).map(|()| Ran::Passed)
}

fn cases(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).expect("the shared cases");
    let mut file: Value = serde_json::from_str(&text).expect("JSON");
    match file["cases"].take() {
        Value::Array(cases) => cases,
        _ => Vec::new(),
    }
}

/// One test for each file, named like it.
macro_rules! files {
    ($($name:ident),*) => {
        const FILES: &[&str] = &[$(concat!(stringify!($name), ".json")),*];
        $(
            #[test]
            fn $name() {
                run(concat!(stringify!($name), ".json"));
            }
        )*
    };
}

files!(
    audiences,
    close,
    expiry,
    filters,
    lifecycle,
    overflow,
    resume,
    runner_bad_input,
    runner_in_flight,
    runner_order,
    runner_rounds,
    runner_stop,
    slots_backoff,
    slots_bad_input,
    slots_close,
    slots_keys,
    slots_limits,
    slots_lost,
    slots_order,
    slots_outcomes,
    slots_pings,
    slots_scopes,
    slots_try,
    statuses,
    texts
);

#[test]
fn every_file_has_a_test_and_every_case_a_name_of_its_own() {
    let (mut files, mut names) = (BTreeSet::new(), BTreeSet::new());
    for entry in std::fs::read_dir(FOLDER).expect("the folder") {
        let path = entry.expect("an entry").path();
        let file = path.file_name().and_then(|name| name.to_str());
        if path.extension().is_some_and(|e| e == "json") {
            files.extend(file.map(str::to_owned));
        }
        if file.is_some_and(|file| FILES.contains(&file)) {
            for case in cases(&path) {
                let name = case["name"].as_str().expect("a name").to_owned();
                assert!(names.insert(name), "{}: said twice", case["name"]);
            }
        }
    }
    files.remove("encodings.json");
    assert!(files.iter().eq(FILES), "{files:?}");
}

/// What the runner says of these steps, on a bus with three events and a subscription `r` that has two of them
/// to read.
fn told(steps: Value) -> Result<(), String> {
    let mut all = vec![
        json!({"publish": {"kind": "k", "text": "a"}}),
        json!({"subscribe": {"as": "r"}}),
        json!({"publish": {"kind": "k", "text": "a", "times": 2, "time_ms": 0}}),
    ];
    all.extend(steps.as_array().expect("a list").iter().cloned());
    script::run(&json!({"name": "the-case", "steps": all}), 256)
}

#[test]
fn a_wrong_expectation_fails_and_names_case_step_and_difference() {
    let right = json!([
        {"recv": {"from": "r", "expect": [{"events": [2, 3], "n": 1, "kind": "k", "key": "", "text": "a"}]}},
        {"stats": {"of": "r", "matched": 2}},
        {"settled": {"of": "r", "seq": 3}},
        {"audience": {"name": "x", "count": 0}},
        {"close": {"what": "r", "was_last": null}}
    ]);
    assert_eq!(told(right), Ok(()));
    let wrong = [
        (
            json!({"recv": {"from": "r", "expect": [{"event": 2}]}}),
            "item 1 is one too many",
        ),
        (
            json!({"recv": {"from": "r", "expect": [{"events": [2, 4]}]}}),
            "item 2 is missing",
        ),
        (
            json!({"recv": {"from": "r", "expect": [{"events": [1, 2]}]}}),
            "item 0 is",
        ),
        (
            json!({"recv": {"from": "r", "expect": [{"events": [2, 3], "n": 2}]}}),
            "item 0 is",
        ),
        (
            json!({"recv": {"from": "r", "expect": [{"events": [2, 3], "text": "b"}]}}),
            "item 0 is",
        ),
        (
            json!({"recv": {"from": "r", "expect": [{"events": [2, 3], "json": "a"}]}}),
            "item 0 is",
        ),
        (
            json!({"recv": {"from": "r", "expect": [{"lost": 1, "reason": "full", "next_n": 2}]}}),
            "item 0 is",
        ),
        (
            json!({"recv": {"from": "r", "expect": [{"events": [2, 3]}], "then": "closed"}}),
            "it is empty",
        ),
        (
            json!({"recv": {"from": "r", "expect": [{"events": [2, 3]}], "settled": 2}}),
            "settled is 3, not 2",
        ),
        (
            json!({"recv_texts": {"from": "r", "form": "json", "expect": ["\"a\"", "\"b\""]}}),
            "item 1 is",
        ),
        (
            json!({"publish": {"kind": "k", "expect": "closed"}}),
            "the answer is ok, not closed",
        ),
        (
            json!({"publish": {"kind": "", "expect": "closed"}}),
            "not closed",
        ),
        (
            json!({"subscribe": {"as": "x", "is_first": true}}),
            "is_first is false",
        ),
        (
            json!({"stats": {"of": "r", "matched": 3}}),
            "matched is 2, not 3",
        ),
        (
            json!({"totals": {"subscriptions": 2}}),
            "subscriptions is 1, not 2",
        ),
        (json!({"settled": {"of": "r", "seq": 3}}), "seq is 1, not 3"),
        (
            json!({"heartbeat": {"of": "r", "form": "sse", "text": "id: {epoch}-3\n\n"}}),
            "item 0 is",
        ),
        (json!({"newest": {"seq": 2}}), "seq is 3, not 2"),
        (
            json!({"wanted": {"kind": "k", "answer": false}}),
            "answer is true",
        ),
        (
            json!({"audience": {"name": "x", "count": 1}}),
            "count is 0, not 1",
        ),
        (
            json!({"guard": {"of": "r", "as": "g", "taken": true}}),
            "taken is false",
        ),
        (
            json!({"close": {"what": "r", "was_last": true}}),
            "was_last is None",
        ),
        (
            json!({"consumers": {"expect": [{"label": "x"}]}}),
            "item 0 is",
        ),
    ];
    for (step, difference) in wrong {
        let said = told(json!([step])).expect_err(&step.to_string());
        assert!(said.starts_with("the-case, step 4: "), "{said}");
        assert!(said.contains(difference), "{difference:?} in {said}");
    }
}

#[test]
fn what_the_runner_does_not_know_is_an_error() {
    let unknown = [
        json!({"pubish": {"kind": "k"}}),
        json!({"publish": {"kind": "k", "txet": "a"}}),
        json!({"publish": {"kind": "k"}, "close": {"what": "r"}}),
        json!({"publish": {"kind": "k", "times": "2"}}),
        json!({"publish": {"kind": "k", "text": "a", "json": "1"}}),
        json!({"publish": {"kind": "k", "expect": "okay"}}),
        json!({"publish_many": {"events": [{"kind": "k", "times": 2}]}}),
        json!({"subscribe": {"as": "r"}}),
        json!({"subscribe": {"as": "x", "start": "newest"}}),
        json!({"subscribe": {"as": "x", "overflow": "drop"}}),
        json!({"subscribe": {"as": "x", "overflow": "catch_up", "capacity": 2}}),
        json!({"subscribe": {"as": "x", "audience_wait_ms": 1}}),
        json!({"recv": {"from": "x", "expect": []}}),
        json!({"recv": {"from": "r"}}),
        json!({"recv": {"from": "r", "max_items": 2, "expect": [{"events": [2, 3]}], "then": "empty"}}),
        json!({"recv": {"from": "r", "expect": [{"events": [2, 3], "m": 1}]}}),
        json!({"recv": {"from": "r", "expect": [{"events": [2, 3], "reason": "full"}]}}),
        json!({"recv": {"from": "r", "expect": [{"n": 1}]}}),
        json!({"recv": {"from": "r", "expect": [{"events": [2, 3], "lost": 2}]}}),
        json!({"recv_texts": {"from": "r", "form": "xml", "expect": []}}),
        json!({"stats": {"of": "r", "mathced": 2}}),
        json!({"consumers": {"expect": [{"name": ""}]}}),
        json!({"release": {"what": "g"}}),
        json!({"free": {"what": "x"}}),
    ];
    for step in unknown {
        told(json!([step])).expect_err(&step.to_string());
    }
    let case = json!({"name": "x", "steps": [], "bus": {"log": 1}});
    script::run(&case, 1).expect_err("an unknown field of the bus");
    let case = json!({"name": "x", "steps": [], "step": []});
    script::run(&case, 1).expect_err("an unknown field of the case");
}

#[test]
fn a_wrong_expectation_of_a_runner_fails() {
    let case = |steps: Value| json!({"name": "the-case", "steps": steps});
    let told = |step: Value| {
        let round = json!({"round": {"due": [["a", 0]], "permits": ["a"]}});
        runner::run(&case(json!([round, step])))
    };
    assert_eq!(told(json!({"stats": {"run": 1}})), Ok(()));
    let wrong = [
        json!({"round": {"due": [["b", 0]], "permits": []}}),
        json!({"round": {"due": [["a", 0]], "permits": ["a"]}}),
        json!({"round": {"due": [["b", 0]], "expect": "closed"}}),
        json!({"round": {"due": [["", 0]], "expect": "invalid_argument", "context": "key"}}),
        json!({"round": {"due": [["b"]]}}),
        json!({"stats": {"run": 2}}),
        json!({"stats": {"runs": 1}}),
        json!({"in_flight": {"is": []}}),
        json!({"in_flight": {"is": [{"id": "a", "age_ms": 1}]}}),
        json!({"permit": {"of": "a", "should_end": true}}),
        json!({"permit": {"of": "b"}}),
        json!({"until_next_round": {"ms": 4999}}),
        json!({"until_next_round": {"at_most_ms": 4999}}),
        json!({"finish": {"id": "a", "verdict": "ok"}}),
        json!({"paused": {"answer": true}}),
        json!({"start": {}}),
    ];
    for step in wrong {
        told(step.clone()).expect_err(&step.to_string());
    }
    let bad = json!({"name": "x", "runner": {"at_once": 1025, "expect": "invalid_argument"}, "steps": [{"stop": {}}]});
    runner::run(&bad).expect_err("steps without a runner");
    runner::run(&json!({"name": "x", "runner": {"at": 1}, "steps": []}))
        .expect_err("an unknown option");
}
