//! Resuming by id (B4, B9), and what a filter makes of it (B2).

#![cfg(not(loom))]

mod common;
#[path = "bus_resume/settled.rs"]
mod settled;

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use common::{
    ALL, Got, Ledger, POLICIES, Watchdog, drain, driven, id, oldest, plain_bus, publish, publish_n,
    resume, seqs, stress, subscribe,
};
use reqbus_core::bus::{
    Batch, Bus, BusOptions, LostReason, Overflow, ResyncReason, Start, SubscribeOptions,
};
use reqbus_core::{NewEvent, RequestEvent, Subscription};

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
