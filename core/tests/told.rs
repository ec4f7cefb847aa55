//! What pools and runners tell on a bus: each thing that happens once, of the kinds that were chosen, and no secret.

#![cfg(not(loom))]

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::slots::{ms, s, user};
use reqbus_core::bus::{BusOptions, Limits, SubscribeOptions};
use reqbus_core::event::Payload;
use reqbus_core::runner::{Admission, Due, RunnerOptions, Verdict};
use reqbus_core::slots::{Ask, Key, Limit, PoolOptions, SlotPool, Step, WaitOptions};
use reqbus_core::time::{Clock, ClockDriver};
use reqbus_core::told::TellOptions;
use reqbus_core::{Batch, Bus, ErrorKind, Subscription, Teller};
use serde_json::{Value, json};

struct World {
    bus: Bus,
    reader: Subscription,
    teller: Arc<Teller>,
    pool: SlotPool,
    driver: ClockDriver,
}

impl World {
    fn new(kinds: &[&str]) -> Self {
        let (clock, driver) = Clock::driven();
        let bus = common::bus(BusOptions::default());
        let reader = bus.subscribe(SubscribeOptions::default()).unwrap();
        let options = TellOptions {
            kinds,
            ..TellOptions::default()
        };
        let teller = Teller::new(&bus, &options).unwrap();
        let pool = SlotPool::new(PoolOptions {
            observer: Some(teller.clone()),
            held_long: s(60),
            clock,
            ..PoolOptions::default()
        });
        Self {
            bus,
            reader,
            teller,
            pool: pool.unwrap(),
            driver,
        }
    }

    /// Kind, key and payload of each event since the last call.
    fn told(&self) -> Vec<(String, String, Value)> {
        let mut batch = Batch::default();
        let mut all = Vec::new();
        while self.reader.try_recv(&mut batch, Limits::default()).unwrap() > 0 {
            for event in batch.events() {
                let Payload::Json(payload) = event.payload() else {
                    panic!("not JSON: {event:?}");
                };
                all.push((
                    event.kind().into(),
                    event.key().into(),
                    serde_json::from_str(payload).unwrap(),
                ));
            }
        }
        all
    }

    fn kinds(&self) -> Vec<String> {
        self.told().into_iter().map(|(kind, ..)| kind).collect()
    }

    fn wait(&self, label: &str) -> reqbus_core::Wait {
        let options = WaitOptions {
            label,
            max_waiting: 1,
            ..WaitOptions::default()
        };
        self.pool.wait(&user("42", 1), &options)
    }
}

#[test]
fn nothing_is_told_unless_it_was_chosen() {
    let world = World::new(&[]);
    drop(world.pool.try_acquire(&user("42", 1), "").unwrap());
    assert!(world.pool.try_acquire(&user("42", 0), "").is_err());
    assert_eq!(world.kinds(), [""; 0]);
    let world = World::new(&["slot.refused"]);
    drop(world.pool.try_acquire(&user("42", 1), "").unwrap());
    assert!(world.pool.try_acquire(&user("42", 0), "").is_err());
    assert_eq!(world.kinds(), ["slot.refused"]);
}

#[test]
fn a_kind_that_cannot_be_told_is_an_error() {
    let bus = common::bus(BusOptions::default());
    let options = TellOptions {
        kinds: &["slot.granted", "slot.eaten"],
        ..TellOptions::default()
    };
    let error = Teller::new(&bus, &options).unwrap_err();
    assert_eq!(
        (error.kind(), error.context()),
        (ErrorKind::InvalidArgument, "kinds")
    );
}

#[test]
fn a_wait_is_told_when_it_begins_and_when_it_ends() {
    let world = World::new(&Teller::KINDS);
    let held = world.pool.try_acquire(&user("42", 1), "first").unwrap();
    let wait = world.wait("second");
    let full = world.wait("third");
    world.driver.advance(s(2));
    assert!(wait.try_next().is_none(), "a look is not told");
    drop(held);
    let Some(Step::Granted(slot)) = wait.try_next() else {
        panic!("not granted");
    };
    let keys = json!([{"scope": "user", "id": "42"}]);
    let key = "42".to_owned();
    let told = [
        (
            "slot.granted".to_owned(),
            key.clone(),
            json!({"keys": keys, "label": "first", "waited_ms": 0, "pings": 0}),
        ),
        (
            "slot.wait_begun".to_owned(),
            key.clone(),
            json!({"keys": keys, "label": "second", "position": 1}),
        ),
        (
            "slot.refused".to_owned(),
            key.clone(),
            json!({
                "scope": "user", "id": "42", "label": "third", "outcome": "queue_full", "limit": 1,
                "in_use": 1, "waiting": 1, "position": 0, "waited_ms": 0, "pings": 0,
                "retry_after_s": null,
            }),
        ),
        (
            "slot.granted".to_owned(),
            key,
            json!({"keys": keys, "label": "second", "waited_ms": 2_000, "pings": 0}),
        ),
    ];
    assert_eq!(world.told(), told);
    drop((full, wait, slot));
    assert_eq!(world.kinds(), [""; 0], "the end was told, once");
}

#[test]
fn each_end_without_a_slot_is_told_once() {
    let world = World::new(&["slot.refused", "slot.granted"]);
    let held = world.pool.try_acquire(&user("42", 1), "").unwrap();
    let late = world.wait("late");
    world.driver.advance(WaitOptions::TIMEOUT);
    drop(late);
    let left = world.wait("left");
    left.cancel(None);
    let closed = world.wait("closed");
    let key = Key::new("user", "42");
    world.pool.close_key(key).wait(None).unwrap();
    drop(closed);
    world.pool.open_key(key).wait(None).unwrap();
    drop(held);
    // There at once, and not looked at.
    drop(world.wait("dropped"));
    let wrong = world
        .pool
        .try_acquire(&[Ask::new("", "42", Limit::Of(1))], "");
    assert!(wrong.is_err(), "and a wrong call is not told");
    let told: Vec<_> = world
        .told()
        .into_iter()
        .map(|(_, _, payload)| (payload["label"].clone(), payload["outcome"].clone()))
        .collect();
    assert_eq!(
        told,
        [
            (json!(""), Value::Null),
            (json!("late"), json!("timed_out")),
            (json!("left"), json!("cancelled")),
            (json!("closed"), json!("closed")),
            (json!("dropped"), json!("cancelled")),
        ]
    );
}

#[test]
fn a_lost_slot_is_told_with_who_held_it() {
    let world = World::new(&["slot.lost"]);
    let slot = world.pool.try_acquire(&user("42", 1), "batch").unwrap();
    world.driver.advance(s(5));
    let key = Key::new("user", "42");
    let id = world.pool.holders(key).wait(None).unwrap()[0].id;
    assert!(world.pool.force(key, id).wait(None).unwrap());
    assert!(!world.pool.force(key, id).wait(None).unwrap());
    drop(slot);
    let payload = json!({
        "scope": "user", "id": "42", "label": "batch", "holder": id.to_u64().to_string(),
        "held_ms": 5_000, "reason": "forced",
    });
    assert_eq!(
        world.told(),
        [("slot.lost".to_owned(), "42".to_owned(), payload)]
    );
}

#[test]
fn a_slot_that_is_held_long_is_told_once() {
    let world = World::new(&["slot.held_long"]);
    let first = world.pool.try_acquire(&user("1", 1), "a").unwrap();
    world.driver.advance(s(59));
    assert_eq!(world.kinds(), [""; 0]);
    let second = world.pool.try_acquire(&user("2", 1), "b").unwrap();
    world.driver.advance(s(7));
    let told = world.told();
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].2["label"], json!("a"));
    world.driver.advance(s(600));
    let told = world.told();
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(told[0].2["label"], json!("b"));
    drop((first, second));
    // Another hold of the same key is another.
    let third = world.pool.try_acquire(&user("1", 1), "c").unwrap();
    world.driver.advance(s(600));
    assert_eq!(world.told().len(), 1);
    world.pool.close();
    world.driver.advance(s(600));
    assert_eq!(world.kinds(), [""; 0]);
    drop(third);
}

#[test]
fn held_long_has_a_shortest() {
    let options = PoolOptions {
        held_long: Duration::from_micros(999),
        ..PoolOptions::default()
    };
    let error = SlotPool::new(options).unwrap_err();
    assert_eq!(error.context(), "held_long");
}

#[test]
fn the_id_of_a_secret_scope_is_told_to_nobody() {
    let world = World::new(&Teller::KINDS);
    let asks = [
        Ask::new("api_key", "sk-secret", Limit::Of(1)),
        Ask::new("user", "42", Limit::Of(1)),
    ];
    let slot = world.pool.try_acquire(&asks, "").unwrap();
    let refused = world.pool.try_acquire(&asks[..1], "");
    assert!(refused.is_err());
    world.driver.advance(s(70));
    let told = world.told();
    assert_eq!(told.len(), 4, "{told:?}");
    assert!(!format!("{told:?}").contains("sk-secret"), "{told:?}");
    let keys = json!([{"scope": "user", "id": "42"}, {"scope": "api_key", "id": null}]);
    assert_eq!((&told[0].1, &told[0].2["keys"]), (&"42".to_owned(), &keys));
    assert_eq!(told[1].1, "", "no secret for filters either");
    drop(slot);
}

#[test]
fn what_nobody_could_get_is_not_built_and_what_fails_is_counted() {
    let world = World::new(&["slot.granted"]);
    drop(world.pool.try_acquire(&user("1", 1), "").unwrap());
    assert_eq!((world.kinds().len(), world.teller.failed()), (1, 0));
    world.bus.close();
    drop(world.pool.try_acquire(&user("1", 1), "").unwrap());
    assert_eq!(world.teller.failed(), 1);
    world.driver.advance(ms(1));
}

#[test]
fn a_check_is_told_when_it_ended() {
    let world = World::new(&["check.finished"]);
    let (clock, driver) = Clock::driven();
    let admission = Admission::new(RunnerOptions {
        limit: s(10),
        observer: Some(world.teller.clone()),
        clock,
        ..RunnerOptions::default()
    })
    .unwrap();
    let due = |id| Due {
        id,
        overdue: Duration::ZERO,
    };
    let mut permits = admission.admit(&[due("a"), due("b"), due("c")]).unwrap();
    assert_eq!(world.kinds(), [""; 0], "not when it begins");
    driver.advance(ms(1_500));
    permits.remove(0).finish(Verdict::Succeeded);
    driver.advance(s(10));
    permits.remove(0).finish(Verdict::Failed);
    drop(permits);
    let told: Vec<_> = world.told();
    let check = |id: &str, verdict: &str, took_ms: u64, was_stuck: bool| {
        let payload =
            json!({"id": id, "verdict": verdict, "took_ms": took_ms, "was_stuck": was_stuck});
        ("check.finished".to_owned(), id.to_owned(), payload)
    };
    assert_eq!(
        told,
        [
            check("a", "succeeded", 1_500, false),
            check("b", "failed", 11_500, true),
            check("c", "panicked", 11_500, true),
        ]
    );
}
