//! Resuming by id (B4, B9), what a bus without resume keeps, what is wanted, and the bounds of memory (B8).

#![cfg(not(loom))]

mod common;

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use common::{
    ALL, Got, Ledger, POLICIES, SMALL, Watchdog, drain, plain_bus, publish, publish_n, resume,
    seqs, stress, subscribe,
};
use reqbus_core::bus::{
    Batch, Bus, BusOptions, Limits, LostReason, Overflow, ResyncReason, Start, SubscribeOptions,
};
use reqbus_core::time::{Clock, ClockDriver};
use reqbus_core::wire::Form;
use reqbus_core::{NewEvent, RequestEvent, Subscription};

fn id(bus: &Bus, seq: u64) -> String {
    format!("{:016x}-{seq}", bus.epoch())
}

fn driven(options: BusOptions) -> (Bus, ClockDriver) {
    let (clock, driver) = Clock::driven();
    (common::bus(BusOptions { clock, ..options }), driver)
}

fn oldest(bus: &Bus, overflow: Overflow) -> Subscription {
    bus.subscribe(SubscribeOptions {
        start: Start::Oldest,
        overflow,
        ..SubscribeOptions::default()
    })
    .unwrap()
}

/// It was refused for `reason`, stands live at the newest event, and goes on from there.
#[track_caller]
fn assert_resynced(bus: &Bus, sub: &Subscription, reason: ResyncReason) {
    let head = bus.newest();
    assert_eq!(drain(sub), [Got::Resync(reason, head)]);
    assert_eq!((sub.settled(), sub.stats().resyncs), (head, 1));
    let next = publish(bus);
    assert_eq!(drain(sub), [Got::Event { seq: next, n: 1 }]);
    common::assert_adds_up(&sub.stats());
}

#[test]
fn b4_resume_without_an_id_is_the_start_asked_for() {
    for policy in POLICIES {
        let bus = plain_bus();
        let (live, all) = (subscribe(&bus, policy), oldest(&bus, policy));
        publish_n(&bus, 3);
        assert_eq!((seqs(&live), seqs(&all)), (vec![1, 2, 3], vec![1, 2, 3]));
        let (live, all) = (subscribe(&bus, policy), oldest(&bus, policy));
        assert_eq!((seqs(&live), seqs(&all)), (vec![], vec![1, 2, 3]));
        assert_eq!((live.stats().resyncs, all.stats().resyncs), (0, 0));
    }
}

#[test]
fn b4_resume_by_every_bad_form_is_a_resync() {
    for policy in POLICIES {
        let bus = plain_bus();
        publish_n(&bus, 12);
        let good = id(&bus, 5);
        let epoch = &good[..16];
        let malformed = [
            String::new(),
            "-".into(),
            "5".into(),
            "-5".into(),
            epoch.into(),
            format!("{epoch}-"),
            format!("{epoch}5"),
            format!("{epoch}--5"),
            format!("{epoch}-+5"),
            format!("{epoch}-05"),
            format!("{epoch}-00"),
            format!("{epoch}- 5"),
            format!(" {good}"),
            format!("{good} "),
            format!("{good}\n"),
            format!("{good}\0"),
            format!("{good}-6"),
            format!("{good},{good}"),
            format!("{epoch}-5.0"),
            format!("{epoch}-0x5"),
            format!("{epoch}-five"),
            format!("0x{good}"),
            format!("{}-5", &epoch[..15]),
            format!("{epoch}0-5"),
            format!("{}-5", "ABCDEF0123456789"),
            format!("{}-5", "g".repeat(16)),
            format!("{epoch}-18446744073709551615"),
            format!("{epoch}-18446744073709551616"),
            format!("{epoch}-99999999999999999999"),
            "1".repeat(10_000),
            format!("{good}{}", "0".repeat(10_000)),
        ];
        for text in &malformed {
            let sub = resume(&bus, policy, text);
            assert_resynced(&bus, &sub, ResyncReason::Malformed);
        }
        for epoch in [bus.epoch() ^ 1, bus.epoch().wrapping_add(1), !bus.epoch()] {
            for seq in [0, 5, u64::MAX - 1] {
                let sub = resume(&bus, policy, &format!("{epoch:016x}-{seq}"));
                assert_resynced(&bus, &sub, ResyncReason::Epoch);
            }
        }
        for ahead in [1, 2, 1_000] {
            let sub = resume(&bus, policy, &id(&bus, bus.newest().seq + ahead));
            assert_resynced(&bus, &sub, ResyncReason::Ahead);
        }
        let sub = resume(&bus, policy, &id(&bus, u64::MAX - 1));
        assert_resynced(&bus, &sub, ResyncReason::Ahead);
    }
}

#[test]
fn b4_resume_in_range_gets_exactly_the_tail_in_order() {
    for policy in POLICIES {
        let bus = plain_bus();
        publish_n(&bus, 50);
        for after in 0..=50 {
            let sub = resume(&bus, policy, &id(&bus, after));
            assert_eq!(
                seqs(&sub),
                (after + 1..=50).collect::<Vec<_>>(),
                "{policy:?}"
            );
            assert_eq!(sub.settled().seq, 50);
        }
    }
}

#[test]
fn b4_resume_on_an_empty_bus() {
    for policy in POLICIES {
        let bus = plain_bus();
        let sub = resume(&bus, policy, &id(&bus, 0));
        assert_eq!(drain(&sub), []);
        assert_eq!((publish(&bus), seqs(&sub)), (1, vec![1]));
        let bus = plain_bus();
        let sub = resume(&bus, policy, &id(&bus, 1));
        assert_resynced(&bus, &sub, ResyncReason::Ahead);
    }
}

/// The seed's table: 2,000 events, and 2,001 and more were published.
#[test]
fn b4_resume_falls_off_by_count() {
    for policy in POLICIES {
        let bus = plain_bus();
        publish_n(&bus, 2_000);
        for more in 0..3 {
            let newest = bus.newest().seq;
            assert_eq!(newest, 2_000 + more);
            let last = resume(&bus, policy, &id(&bus, more));
            let kept: Vec<_> = (more + 1..=newest).collect();
            let got: Vec<_> = drain(&last).iter().filter_map(Got::seq).collect();
            let window = match policy {
                Overflow::DropOldest { events } => kept.len() - events,
                _ => 0,
            };
            assert_eq!(got, kept[window..], "{policy:?}");
            assert_eq!(last.stats().resyncs, 0);
            if more > 0 {
                let lost = resume(&bus, policy, &id(&bus, more - 1));
                let head = bus.newest();
                assert_eq!(drain(&lost), [Got::Resync(ResyncReason::Expired, head)]);
            }
            publish(&bus);
        }
    }
}

#[test]
fn b4_resume_falls_off_by_age_when_read_not_when_published() {
    for policy in POLICIES {
        let (bus, driver) = driven(BusOptions::default());
        let attached = subscribe(&bus, policy);
        publish_n(&bus, 3);
        driver.advance(Duration::from_secs(30));
        // Exactly 30 s old is not older than 30 s.
        assert_eq!(seqs(&resume(&bus, policy, &id(&bus, 0))), [1, 2, 3]);
        assert_eq!(seqs(&oldest(&bus, policy)), [1, 2, 3]);
        driver.advance(Duration::from_nanos(1));
        // Nothing was published since: an idle bus forgets all the same.
        let late = resume(&bus, policy, &id(&bus, 0));
        assert_eq!(
            drain(&late),
            [Got::Resync(ResyncReason::Expired, bus.newest())]
        );
        assert_eq!(seqs(&oldest(&bus, policy)), Vec::<u64>::new());
        assert_eq!(
            seqs(&resume(&bus, policy, &id(&bus, 3))),
            Vec::<u64>::new(),
            "the newest never expires"
        );
        // Age binds resumes only.
        driver.advance(Duration::from_secs(3_600));
        assert_eq!(seqs(&attached), [1, 2, 3]);
        assert_eq!(publish(&bus), 4);
        assert_eq!(seqs(&resume(&bus, policy, &id(&bus, 3))), [4]);
        assert_eq!(seqs(&oldest(&bus, policy)), [4]);
        let late = resume(&bus, policy, &id(&bus, 2));
        assert_eq!(
            drain(&late),
            [Got::Resync(ResyncReason::Expired, bus.newest())]
        );
    }
}

/// The publisher's own time of an event says nothing about its age (the seed's weakness).
#[test]
fn b4_resume_does_not_look_at_the_time_that_a_host_gave() {
    let (bus, driver) = driven(BusOptions::default());
    for time_ns in [0, i64::MAX as u64, 5] {
        bus.publish(NewEvent::text("k", "x").time_ns(time_ns))
            .unwrap();
    }
    driver.advance(Duration::from_secs(29));
    for policy in POLICIES {
        assert_eq!(seqs(&resume(&bus, policy, &id(&bus, 0))), [1, 2, 3]);
    }
}

#[test]
fn b4_resume_through_a_filter_sees_what_matches_in_the_tail() {
    for policy in POLICIES {
        let bus = plain_bus();
        for seq in 1..=600_u64 {
            let kind = if seq.is_multiple_of(3) { "a" } else { "b" };
            bus.publish(NewEvent::text(kind, "x")).unwrap();
        }
        // The first two make the row at different moments, the third reaches back behind both.
        let rows: Vec<Subscription> = [500, 590, 3, 0, 599, 600]
            .iter()
            .map(|after| {
                let text = id(&bus, *after);
                bus.subscribe(SubscribeOptions {
                    filter: common::kinds(&["a"]),
                    start: Start::After(text.as_bytes()),
                    overflow: policy,
                    ..SubscribeOptions::default()
                })
                .unwrap()
            })
            .collect();
        for (sub, after) in rows.iter().zip([500_u64, 590, 3, 0, 599, 600]) {
            let expected: Vec<_> = (after + 1..=600)
                .filter(|seq| seq.is_multiple_of(3))
                .collect();
            assert_eq!(sub.stats().matched, expected.len() as u64);
            assert_eq!(seqs(sub), expected, "{policy:?} after {after}");
            assert_eq!(sub.settled().seq, 600, "what does not match is settled too");
        }
    }
}

/// SEEDS 6.7: a full subscriber keeps the newest 256, and knows what it lost.
#[test]
fn b2_a_full_drop_oldest_reader_keeps_the_newest_256() {
    let bus = plain_bus();
    let sub = subscribe(&bus, Overflow::drop_oldest());
    publish_n(&bus, 1_000);
    let got = drain(&sub);
    assert_eq!(got[0], Got::Lost(744, LostReason::Window, 745));
    let newest: Vec<_> = (745..=1_000)
        .map(|seq| Got::Event { seq, n: seq })
        .collect();
    assert_eq!(got[1..], newest);
}

/// SEEDS 6.7: replay comes before live, and nothing between them twice or never, while others publish.
#[test]
fn b3_b4_replay_and_live_are_one_sequence_under_publishers() {
    let _watchdog = Watchdog::new("replay and live");
    let bus = common::bus(BusOptions {
        log_events: 1 << 16,
        log_bytes: 1 << 30,
        resume_age: Duration::MAX,
        ..BusOptions::default()
    });
    let rounds = 300 * stress();
    let (read, done) = (AtomicU64::new(0), common::Flag::default());
    thread::scope(|scope| {
        for _ in 0..2 {
            let (bus, read, done) = (&bus, &read, done.clone());
            scope.spawn(move || {
                while !done.is_set() {
                    publish(bus);
                    // Ahead of the reader, but not by more than the log keeps.
                    while bus.newest().seq > read.load(Ordering::Relaxed) + 5_000 && !done.is_set()
                    {
                        thread::yield_now();
                    }
                }
            });
        }
        let mut batch = Batch::new();
        for round in 0..rounds {
            let head = bus.newest().seq;
            read.store(head, Ordering::Relaxed);
            let after = head.saturating_sub(round % 100);
            let overflow = [
                Overflow::CatchUp,
                Overflow::DropNewest {
                    events: 1 << 16,
                    bytes: 1 << 30,
                },
            ][round as usize % 2];
            let sub = resume(&bus, overflow, &id(&bus, after));
            let mut ledger = Ledger::default();
            let mut expected = after;
            while expected < head + 50 {
                sub.try_recv(&mut batch, ALL).unwrap();
                ledger.take(&batch);
                for event in batch.events() {
                    expected += 1;
                    assert_eq!(event.id().seq, expected, "{overflow:?}");
                }
            }
        }
        done.set();
    });
}

/// SEEDS 6.7: unsubscribing twice, and the last handle after the bus.
#[test]
fn b5_unsubscribing_twice_is_harmless() {
    for policy in POLICIES {
        let bus = plain_bus();
        let sub = subscribe(&bus, policy);
        publish(&bus);
        for _ in 0..3 {
            assert_eq!(sub.close().was_last, None);
        }
        assert_eq!(seqs(&sub), [1]);
        bus.close();
        sub.close();
        drop(bus);
        drop(sub);
    }
}

/// B9: a client that hears the heartbeat only, cut at any time, skips nothing.
#[test]
fn b9_a_heartbeat_carries_the_settled_id_never_the_newest() {
    for policy in POLICIES {
        let bus = plain_bus();
        let sub = subscribe(&bus, policy);
        let heartbeat = |sub: &Subscription| {
            let mut text = Vec::new();
            sub.heartbeat(Form::Sse, &mut text);
            String::from_utf8(text).unwrap()
        };
        let expected = |seq| format!("id: {}\n\n", id(&bus, seq));
        assert_eq!(heartbeat(&sub), expected(0));
        publish_n(&bus, 10);
        assert_eq!(heartbeat(&sub), expected(0), "10 are pending");
        let mut batch = Batch::new();
        for seq in 1..=10 {
            let one = Limits {
                max_items: 1,
                ..ALL
            };
            sub.try_recv(&mut batch, one).unwrap();
            assert_eq!(heartbeat(&sub), expected(seq));
            assert_eq!(batch.settled().seq, seq);
        }
        // Events that do not match are settled once a read has passed them.
        let picky = bus
            .subscribe(SubscribeOptions {
                filter: common::kinds(&["a"]),
                overflow: policy,
                ..SubscribeOptions::default()
            })
            .unwrap();
        publish_n(&bus, 10);
        assert_eq!(picky.try_recv(&mut batch, ALL).unwrap(), 0);
        assert_eq!(heartbeat(&picky), expected(20));
        assert_eq!(batch.settled().seq, 20);
    }
}

/// B9: before it was told that it lost its place, a reader's heartbeat must not give it a new one.
#[test]
fn b9_settled_is_not_the_head_before_the_resync_is_told() {
    for policy in POLICIES {
        let bus = common::bus(BusOptions {
            log_events: 5,
            ..BusOptions::default()
        });
        publish_n(&bus, 20);
        bus.set_status("a", "up", "").unwrap();
        for text in [id(&bus, 3), "nonsense".to_owned()] {
            let sub = resume(&bus, policy, &text);
            let again = resume(&bus, policy, &sub.settled().to_string());
            assert_eq!(
                again.stats().resyncs,
                1,
                "its client comes back before it read anything"
            );
            // The first read has room for the status only.
            let mut batch = Batch::new();
            let one = Limits {
                max_items: 1,
                ..ALL
            };
            assert_eq!(sub.try_recv(&mut batch, one).unwrap(), 1);
            let again = resume(&bus, policy, &batch.settled().to_string());
            assert_eq!(again.stats().resyncs, 1, "and after it read a status");
            assert_eq!(sub.try_recv(&mut batch, one).unwrap(), 1);
            assert_eq!(batch.settled(), bus.newest(), "told");
        }
    }
}

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

/// What a filter does not match is no loss, and no hole in `n`.
#[test]
fn b2_a_filtered_event_is_no_loss() {
    for policy in POLICIES {
        let bus = plain_bus();
        let sub = bus
            .subscribe(SubscribeOptions {
                filter: common::keys(&["x"]),
                overflow: policy,
                ..SubscribeOptions::default()
            })
            .unwrap();
        for at in 0..100 {
            let key = ["x", "y", ""][at % 3];
            bus.publish_request(&RequestEvent {
                key,
                ..RequestEvent::default()
            })
            .unwrap();
        }
        let got = drain(&sub);
        let expected: Vec<_> = (0..34)
            .map(|at| Got::Event {
                seq: 3 * at + 1,
                n: at + 1,
            })
            .collect();
        assert_eq!(got, expected);
        assert_eq!((sub.stats().matched, sub.stats().lost()), (34, 0));
    }
}
