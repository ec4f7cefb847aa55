//! That the runner of pools notices what is wrong: with a case, and with a step.

use std::path::Path;

use serde_json::{Value, json};

use super::{Face, Place, Ran};
use crate::fields::Outcome;
use crate::{FILES, FOLDER, cases};

/// A case as memory tells it.
fn run(case: &Value, face: Face) -> Outcome<Ran> {
    super::run(case, face, Place::Memory)
}

/// The cases with one expectation made wrong, in every way there is to make one wrong.
fn made_wrong(case: &Value) -> Vec<Value> {
    const EXPECTATIONS: &[&str] = &[
        "expect", "is", "position", "keys", "chosen", "us", "was_held", "is_same", "count",
        "limit", "context",
    ];
    let mut all = Vec::new();
    for (at, step) in case["steps"].as_array().expect("steps").iter().enumerate() {
        let (word, fields) = step
            .as_object()
            .and_then(|step| step.iter().next())
            .expect("a step");
        let is_asked = |name: &str| match name {
            // What is asked for, not what is expected.
            "keys" => !matches!(&**word, "load" | "order_by_load"),
            "limit" => word == "nonpositive_is_unlimited",
            "count" => !matches!(&**word, "delays" | "touch"),
            _ => true,
        };
        for (name, expected) in fields.as_object().expect("fields") {
            if !EXPECTATIONS.contains(&name.as_str()) || !is_asked(name) {
                continue;
            }
            for wrong in wrong_values(expected) {
                let mut case = case.clone();
                case["steps"][at][word.as_str()][name.as_str()] = wrong;
                all.push(case);
            }
        }
    }
    all
}

/// A value with one part of it changed.
fn wrong_values(value: &Value) -> Vec<Value> {
    match value {
        Value::Null => vec![json!(7)],
        Value::Bool(yes) => vec![json!(!yes)],
        Value::Number(number) => vec![json!(number.as_u64().expect("a number") + 1)],
        Value::String(text) => vec![json!(format!("{text}x"))],
        Value::Array(list) => {
            let mut longer = list.clone();
            longer.push(json!(7));
            let parts = list.iter().enumerate().flat_map(|(at, part)| {
                wrong_values(part).into_iter().map(move |wrong| {
                    let mut list = list.clone();
                    list[at] = wrong;
                    Value::Array(list)
                })
            });
            parts.chain([Value::Array(longer)]).collect()
        }
        Value::Object(map) => map
            .iter()
            .flat_map(|(name, part)| {
                wrong_values(part).into_iter().map(move |wrong| {
                    let mut map = map.clone();
                    map.insert(name.clone(), wrong);
                    Value::Object(map)
                })
            })
            .collect(),
    }
}

#[test]
fn every_case_of_a_pool_can_fail_by_each_of_its_expectations() {
    let (mut tried, mut passed) = (0, Vec::new());
    for file in FILES.iter().filter(|file| file.starts_with("slots_")) {
        for case in cases(&Path::new(FOLDER).join(file)) {
            if run(&case, Face::Try) == Ok(Ran::Skipped) {
                continue;
            }
            let wrong = made_wrong(&case);
            let is_bounded = case["steps"].to_string().contains("_us\":");
            assert!(is_bounded || !wrong.is_empty(), "{}", case["name"]);
            tried += wrong.len();
            let passing = wrong
                .into_iter()
                .filter(|case| run(case, Face::Try).is_ok());
            passed.extend(passing.map(|case| format!("{} {}", case["name"], case["steps"])));
        }
    }
    println!("{tried} wrong expectations");
    assert!(passed.is_empty(), "{}", passed.join("\n"));
}

#[test]
fn what_the_runner_of_pools_does_not_know_is_an_error() {
    let asks = json!([["user", "42", 1]]);
    let unknown = [
        json!({"tyr": {"as": "x", "asks": asks}}),
        json!({"try": {"as": "x", "asks": asks, "lable": "x"}}),
        json!({"try": {"asks": asks}}),
        json!({"try": {"as": "x", "asks": [["user"]]}}),
        json!({"try": {"as": "x", "asks": [["user", "42", "none"]]}}),
        json!({"try": {"as": "s", "asks": [["user", "43", 1]]}}),
        json!({"try": {"as": "x", "asks": [["user", "43", 1]], "expect": "granted "}}),
        json!({"try": {"asks": [["user", "1", 0]], "expect": {"outcome": "busy", "in_us": 0}}}),
        json!({"try": {"asks": [["user", "1", 0]], "expect": {"in_use": 0}}}),
        json!({"try": {"asks": [["user", "1", 0]], "expect": {"outcome": "busy", "waited_ms": 0}}}),
        json!({"wait": {"as": "s", "asks": asks}}),
        json!({"wait": {"as": "x", "asks": asks, "timeout": 5}}),
        json!({"wait_on_top": {"as": "x", "on": "y", "asks": asks}}),
        json!({"look": {"at": "s", "expect": "nothing"}}),
        json!({"look": {"at": "w"}}),
        json!({"look": {"at": "w", "expect": "granted"}}),
        json!({"cancel": {"what": "s"}}),
        json!({"release": {"what": "w"}}),
        json!({"release": {"what": "s", "expect": "freed"}}),
        json!({"join": {"to": "s", "from": "s"}}),
        json!({"drop": {"what": "x"}}),
        json!({"load": {"keys": [["user", "42"]]}}),
        json!({"load": {"keys": [["user", "42"]], "is": [{"inuse": 1}]}}),
        json!({"load": {"keys": [["user", "42"]], "is": [{"oldest_hold_ms": 0}]}}),
        json!({"key_stats": {"key": ["user", "42"], "is": {"grants": 1}}}),
        json!({"force": {"key": ["user", "42"], "holder": "h"}}),
        json!({"advance": {"seconds": 1}}),
        json!({"delays": {"of": "b", "count": 1}}),
        json!({"close": {"what": "pool"}}),
        json!({"close": {}, "drop": {"what": "s"}}),
    ];
    for step in unknown {
        let steps = json!([
            {"try": {"as": "s", "asks": asks}},
            {"wait": {"as": "w", "asks": asks}},
            step
        ]);
        let case = json!({"name": "the-case", "steps": steps});
        let said = run(&case, Face::Try).expect_err(&step.to_string());
        let is_clock = step.get("advance").is_some();
        assert!(is_clock || said.starts_with("the-case, step 3: "), "{said}");
    }
    for case in [
        json!({"name": "x", "steps": [], "pool": {"rank": []}}),
        json!({"name": "x", "steps": [], "bus": {}}),
        json!({"name": "x", "steps": [], "pool": {"processes": 0}}),
    ] {
        run(&case, Face::Try).expect_err("an unknown field of the case");
    }
}
