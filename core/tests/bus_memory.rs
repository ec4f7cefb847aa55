//! What a bus keeps: without resume, for whom, what is wanted, and the bounds of memory (B8).

#![cfg(not(loom))]

mod common;

use std::time::Duration;

use common::{
    ALL, Got, POLICIES, SMALL, drain, driven, id, oldest, plain_bus, publish, publish_n, resume,
    seqs, subscribe,
};
use reqbus_core::NewEvent;
use reqbus_core::bus::{Batch, Bus, BusOptions, Limits, Overflow, ResyncReason, SubscribeOptions};
use reqbus_core::wire::Form;

fn without_resume(log_events: usize) -> Bus {
    common::bus(BusOptions {
        resume: false,
        log_events,
        ..BusOptions::default()
    })
}

#[test]
fn b4_a_bus_without_resume_answers_expired() {
    for policy in POLICIES {
        let bus = without_resume(2_000);
        let keeper = subscribe(&bus, Overflow::CatchUp);
        publish_n(&bus, 10);
        for seq in [0, 5, 9, 10] {
            let sub = resume(&bus, policy, &id(&bus, seq));
            assert_eq!(
                drain(&sub),
                [Got::Resync(ResyncReason::Expired, bus.newest())],
                "{seq}"
            );
        }
        // No id, no resync: the oldest that a resume could get is none.
        assert_eq!(drain(&oldest(&bus, policy)), []);
        assert_eq!(seqs(&keeper).len(), 10);
    }
}

#[test]
fn b8_a_bus_without_resume_keeps_only_what_readers_need() {
    let bus = without_resume(2_000);
    publish_n(&bus, 10);
    assert_eq!(bus.stats().kept_events, 0, "nobody reads");
    for policy in [POLICIES[1], POLICIES[2]] {
        let (slow, fast) = (subscribe(&bus, policy), subscribe(&bus, Overflow::CatchUp));
        let from = bus.newest().seq;
        publish_n(&bus, 200);
        seqs(&fast);
        assert!(
            bus.stats().kept_events >= 200,
            "the slow one has yet to read them"
        );
        let limits = Limits {
            max_items: 100,
            ..ALL
        };
        let mut batch = Batch::new();
        slow.try_recv(&mut batch, limits).unwrap();
        assert_eq!(batch.settled().seq, from + 100);
        publish_n(&bus, 64);
        let kept = bus.stats().kept_events;
        assert!(
            (164..=264).contains(&kept),
            "{kept}: the first 100 were read by all"
        );
        drop(slow);
        seqs(&fast);
        publish_n(&bus, 64);
        let kept = bus.stats().kept_events;
        assert!(kept <= 64, "{kept}");
        drop(fast);
        publish(&bus);
        assert_eq!(bus.stats().kept_events, 0, "nobody reads");
    }
    // A queue of its own needs nothing of the log.
    let sub = subscribe(&bus, Overflow::default());
    publish_n(&bus, 1_000);
    let kept = bus.stats().kept_events;
    assert!(kept <= 64, "{kept}");
    assert_eq!(sub.stats().pending, 64);
}

/// However the events come: singly, or many at a time that never end on a round seq.
#[test]
fn b8_a_bus_without_resume_lets_go_under_publish_many_too() {
    for many in [3, 10, 64] {
        let bus = without_resume(2_000);
        let sub = subscribe(&bus, Overflow::CatchUp);
        publish(&bus);
        let events = vec![NewEvent::text("k", "x"); many];
        for _ in 0..1_000 / many {
            bus.publish_many(&events).unwrap();
            drain(&sub);
        }
        let kept = bus.stats().kept_events;
        assert!(
            kept <= 64 + 2 * many as u64,
            "{kept} of {} after {many} at a time",
            bus.newest().seq
        );
    }
}

/// A closed subscription needs nothing after its end; one that was read to its end needs nothing at all.
#[test]
fn b8_a_closed_reader_holds_nothing_after_its_end() {
    for policy in [POLICIES[1], POLICIES[2]] {
        let bus = without_resume(2_000);
        let sub = subscribe(&bus, policy);
        publish_n(&bus, 10);
        sub.close();
        assert_eq!(seqs(&sub).len(), 10);
        publish_n(&bus, 500);
        let kept = bus.stats().kept_events;
        assert!(
            kept <= 64,
            "{kept} kept for {policy:?}, closed and read to its end"
        );
    }
}

#[test]
fn wanted_says_whether_anybody_could_get_a_kind() {
    let bus = plain_bus();
    let kind = bus.kind("a").unwrap();
    assert_eq!(bus.kind("a").unwrap(), kind);
    assert!(bus.wanted(kind), "somebody may resume");
    let bus = without_resume(100);
    let [a, b, request] = ["a", "b", "request"].map(|name| bus.kind(name).unwrap());
    let wanted = || [a, b, request].map(|kind| bus.wanted(kind));
    assert_eq!(wanted(), [false; 3], "nobody");
    let of = |names: &[&str]| {
        bus.subscribe(SubscribeOptions {
            filter: common::kinds(names),
            ..SubscribeOptions::default()
        })
        .unwrap()
    };
    let only_a = of(&["a"]);
    assert_eq!(wanted(), [true, false, false]);
    let also_a = of(&["a", "b"]);
    assert_eq!(wanted(), [true, true, false]);
    only_a.close();
    drop(also_a);
    assert_eq!(wanted(), [false; 3], "a closed one wants nothing");
    let by_key = bus
        .subscribe(SubscribeOptions {
            filter: common::keys(&["x"]),
            ..SubscribeOptions::default()
        })
        .unwrap();
    assert_eq!(wanted(), [true; 3], "any kind may have the key");
    drop(by_key);
    let all = subscribe(&bus, Overflow::CatchUp);
    assert_eq!(wanted(), [true; 3]);
    let late = bus.kind("late").unwrap();
    assert!(bus.wanted(late));
    drop(all);
    assert!(!bus.wanted(late));
    // From the 64th on kinds share a bit: "wanted" may say yes for another's sake, never no.
    let many: Vec<_> = (0..100)
        .map(|n| bus.kind(&format!("kind {n}")).unwrap())
        .collect();
    let last = of(&["kind 99"]);
    assert!(bus.wanted(many[99]));
    assert!(!bus.wanted(many[0]));
    bus.publish(NewEvent::text("kind 98", "x")).unwrap();
    bus.publish(NewEvent::text("kind 99", "x")).unwrap();
    assert_eq!(seqs(&last), [2], "the event is compared as text");
}

const LOG_BYTES: usize = 64 << 10;

/// B8: the log's bytes bound what is kept whatever stands still, texts included.
#[test]
fn b8_a_stalled_reader_of_any_policy_costs_what_the_log_may_hold() {
    for policy in SMALL {
        for form in [None, Some(Form::Json), Some(Form::Sse), Some(Form::Ndjson)] {
            let (bus, driver) = driven(BusOptions {
                log_bytes: LOG_BYTES,
                ..BusOptions::default()
            });
            let stalled = subscribe(&bus, policy);
            let reader = subscribe(&bus, Overflow::CatchUp);
            let mut batch = Batch::new();
            let payload = "p".repeat(3_000);
            let mut most = 0;
            for round in 0..2_000 {
                let size = round * 37 % 3_000;
                bus.publish(NewEvent::text("k", &payload[..size])).unwrap();
                let kept = bus.stats().kept_bytes as usize;
                assert!(kept <= LOG_BYTES + 3_200, "{kept} after {round}, {form:?}");
                most = most.max(kept);
                if let Some(form) = form {
                    reader.try_recv_texts(&mut batch, form, ALL).unwrap();
                    let kept = bus.stats().kept_bytes as usize;
                    // One event and its text may stand over until the next publish.
                    assert!(kept <= LOG_BYTES + 2 * 3_200, "{kept} after a text");
                }
            }
            assert!(most > LOG_BYTES / 2, "the log is used");
            let before = bus.stats().kept_bytes;
            driver.advance(Duration::from_secs(3_600));
            assert_eq!(bus.stats().kept_bytes, before, "an hour later");
            let stats = stalled.stats();
            common::assert_adds_up(&stats);
            assert_eq!(stats.matched, 2_000);
            let kept = bus.stats().kept_events;
            match policy {
                Overflow::DropNewest { .. } => {
                    assert_eq!((stats.pending, stats.lost_full), (4, 1_996))
                }
                Overflow::DropOldest { .. } => {
                    assert_eq!((stats.pending, stats.lost_window), (4, 1_996))
                }
                Overflow::CatchUp => {
                    assert_eq!((stats.pending, stats.lost_evicted), (kept, 2_000 - kept))
                }
            }
        }
    }
}

/// B8: many texts made at once, of events that the log held without them, push out the oldest.
#[test]
fn b8_texts_count_even_when_nothing_is_published() {
    let bus = common::bus(BusOptions {
        log_bytes: LOG_BYTES,
        ..BusOptions::default()
    });
    let reader = subscribe(&bus, Overflow::CatchUp);
    // Control characters grow sixfold in JSON.
    let payload = "\u{1}".repeat(500);
    for _ in 0..90 {
        bus.publish(NewEvent::text("k", &payload)).unwrap();
    }
    let kept_before = bus.stats().kept_events;
    assert_eq!(kept_before, 90);
    let mut batch = Batch::new();
    let mut last = 0;
    for _ in 0..90 {
        let one = Limits {
            max_items: 1,
            ..ALL
        };
        reader.try_recv_texts(&mut batch, Form::Sse, one).unwrap();
        last = bus.stats().kept_bytes as usize;
    }
    assert!(
        last <= LOG_BYTES + 10_000,
        "{last} bytes are kept; the limit is {LOG_BYTES}"
    );
    publish(&bus);
    let kept = bus.stats().kept_bytes as usize;
    assert!(
        kept <= LOG_BYTES,
        "{kept} at the latest after the next publish"
    );
}

/// The queue of a drop-newest reader is bounded by events and by bytes; one that is too large alone is taken.
#[test]
fn b8_a_queue_is_bounded_by_bytes_too() {
    let bus = common::bus(BusOptions {
        log_bytes: LOG_BYTES,
        ..BusOptions::default()
    });
    let sub = subscribe(
        &bus,
        Overflow::DropNewest {
            events: 1_000,
            bytes: 10_000,
        },
    );
    let payload = "p".repeat(20_000);
    bus.publish(NewEvent::text("k", &payload)).unwrap();
    assert_eq!(
        sub.stats().pending,
        1,
        "larger than the queue, which was empty"
    );
    publish(&bus);
    assert_eq!(sub.stats().lost_full, 1);
    assert_eq!(drain(&sub).len(), 2);
    for _ in 0..100 {
        bus.publish(NewEvent::text("k", &payload[..900])).unwrap();
    }
    let stats = sub.stats();
    assert!((8..=11).contains(&stats.pending), "{stats:?}");
    // It keeps them though the log let go.
    for _ in 0..10 {
        bus.publish(NewEvent::text("k", &payload)).unwrap();
    }
    assert!(bus.stats().kept_events < 10);
    let got: Vec<_> = drain(&sub).iter().filter_map(Got::seq).collect();
    assert_eq!(got[..8], [3, 4, 5, 6, 7, 8, 9, 10]);
    common::assert_adds_up(&sub.stats());
}
