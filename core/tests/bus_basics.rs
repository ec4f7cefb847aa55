//! The bus as its users first meet it; the promises in depth are in the other files here.

use reqbus_core::bus::{
    Batch, Bus, BusOptions, Filter, Item, Limits, LostReason, Overflow, ResyncReason, Start,
    SubscribeOptions,
};
use reqbus_core::wire::Form;
use reqbus_core::{ErrorKind, NewEvent, RequestEvent};

fn bus() -> Bus {
    Bus::new(BusOptions::default()).unwrap()
}

fn subscribe(bus: &Bus, overflow: Overflow) -> reqbus_core::Subscription {
    bus.subscribe(SubscribeOptions {
        overflow,
        ..SubscribeOptions::default()
    })
    .unwrap()
}

const POLICIES: [Overflow; 3] = [
    Overflow::DropNewest {
        events: 64,
        bytes: 1 << 20,
    },
    Overflow::DropOldest { events: 256 },
    Overflow::CatchUp,
];

fn drain(sub: &reqbus_core::Subscription) -> Vec<(u64, u64)> {
    let mut batch = Batch::new();
    let mut seen = Vec::new();
    while sub.try_recv(&mut batch, Limits::default()).unwrap_or(0) > 0 {
        for item in batch.iter() {
            if let Item::Event { event, n } = item {
                seen.push((event.id().seq, n));
            }
        }
    }
    seen
}

#[test]
fn basic_one_subscriber_gets_one_event() {
    for policy in POLICIES {
        let bus = bus();
        let sub = subscribe(&bus, policy);
        let id = bus
            .publish_request(&RequestEvent {
                method: "POST",
                ..Default::default()
            })
            .unwrap();
        let mut batch = Batch::new();
        assert_eq!(sub.try_recv(&mut batch, Limits::default()).unwrap(), 1);
        let Some(Item::Event { event, n }) = batch.get(0) else {
            panic!("{batch:?}")
        };
        assert_eq!((event.id(), n), (id, 1));
        assert_eq!(batch.settled(), id);
        assert_eq!(sub.try_recv(&mut batch, Limits::default()).unwrap(), 0);
    }
}

#[test]
fn fan_out_every_subscriber_gets_each_event_once_in_order() {
    let bus = bus();
    let subs: Vec<_> = (0..30).map(|i| subscribe(&bus, POLICIES[i % 3])).collect();
    for _ in 0..50 {
        bus.publish(NewEvent::text("k", "x")).unwrap();
    }
    let all: Vec<_> = (1..=50).map(|i| (i, i)).collect();
    for sub in &subs {
        assert_eq!(drain(sub), all);
        let stats = sub.stats();
        assert_eq!((stats.matched, stats.delivered, stats.pending), (50, 50, 0));
    }
}

#[test]
fn b2_drop_newest_keeps_the_oldest_and_tells_the_rest() {
    let bus = bus();
    let sub = subscribe(&bus, Overflow::default());
    for _ in 0..100 {
        bus.publish(NewEvent::text("k", "x")).unwrap();
    }
    let stats = sub.stats();
    assert_eq!(
        (stats.matched, stats.pending, stats.lost_full),
        (100, 64, 36)
    );
    let mut batch = Batch::new();
    assert_eq!(sub.try_recv(&mut batch, Limits::default()).unwrap(), 65);
    assert!(matches!(
        batch.get(64),
        Some(Item::Lost {
            missed: 36,
            reason: LostReason::Full,
            next_n: 101
        })
    ));
    assert_eq!(batch.settled().seq, 100);
}

#[test]
fn b2_drop_oldest_keeps_the_newest_256() {
    let bus = bus();
    let filter = Filter::new(&[], &["a"]).unwrap();
    for filter in [Filter::all(), filter] {
        let sub = bus
            .subscribe(SubscribeOptions {
                filter: filter.clone(),
                overflow: Overflow::drop_oldest(),
                ..Default::default()
            })
            .unwrap();
        for _ in 0..1000 {
            bus.publish(NewEvent::text("a", "x")).unwrap();
        }
        let stats = sub.stats();
        assert_eq!(
            (stats.matched, stats.pending, stats.lost_window),
            (1000, 256, 744),
            "{filter:?}"
        );
        let mut batch = Batch::new();
        sub.try_recv(
            &mut batch,
            Limits {
                max_items: 1000,
                ..Default::default()
            },
        )
        .unwrap();
        assert_eq!(batch.len(), 257);
        assert!(matches!(
            batch.get(0),
            Some(Item::Lost {
                missed: 744,
                reason: LostReason::Window,
                next_n: 745
            })
        ));
        assert!(matches!(batch.get(1), Some(Item::Event { n: 745, .. })));
        assert_eq!(sub.stats().delivered, 256);
    }
}

#[test]
fn b2_catch_up_loses_only_what_the_log_evicts() {
    let bus = Bus::new(BusOptions {
        log_events: 100,
        ..Default::default()
    })
    .unwrap();
    let keyed = Filter::new(&["a"], &[]).unwrap();
    for filter in [Filter::all(), keyed] {
        let sub = bus
            .subscribe(SubscribeOptions {
                filter,
                overflow: Overflow::CatchUp,
                ..Default::default()
            })
            .unwrap();
        for i in 0..500 {
            bus.publish(NewEvent::text("k", "x").key(if i % 2 == 0 { "a" } else { "b" }))
                .unwrap();
        }
        let stats = sub.stats();
        assert_eq!(stats.matched, stats.pending + stats.lost_evicted);
        let seen = drain(&sub);
        let stats = sub.stats();
        assert_eq!(stats.delivered, seen.len() as u64);
        assert_eq!(stats.matched, stats.delivered + stats.lost());
        assert_eq!(stats.lost_evicted, stats.matched - seen.len() as u64);
    }
}

#[test]
fn b4_resume_rows() {
    let bus = Bus::new(BusOptions {
        log_events: 10,
        ..Default::default()
    })
    .unwrap();
    for _ in 0..20 {
        bus.publish(NewEvent::text("k", "x")).unwrap();
    }
    let id = |seq: u64| format!("{:016x}-{seq}", bus.epoch());
    let other = format!("{:016x}-5", bus.epoch() ^ 1);
    let rows: Vec<(String, Result<Vec<u64>, ResyncReason>)> = vec![
        (id(20), Ok(vec![])),
        (id(19), Ok(vec![20])),
        (id(10), Ok((11..=20).collect())),
        (id(9), Err(ResyncReason::Expired)),
        (id(0), Err(ResyncReason::Expired)),
        (id(21), Err(ResyncReason::Ahead)),
        (id(u64::MAX - 1), Err(ResyncReason::Ahead)),
        (id(u64::MAX), Err(ResyncReason::Malformed)),
        (other, Err(ResyncReason::Epoch)),
        (String::new(), Err(ResyncReason::Malformed)),
        ("1".repeat(10_000), Err(ResyncReason::Malformed)),
    ];
    for policy in POLICIES {
        for (text, expected) in &rows {
            let sub = bus
                .subscribe(SubscribeOptions {
                    start: Start::After(text.as_bytes()),
                    overflow: policy,
                    ..Default::default()
                })
                .unwrap();
            let mut batch = Batch::new();
            sub.try_recv(&mut batch, Limits::default()).unwrap();
            match expected {
                Ok(seqs) => {
                    let got: Vec<_> = batch.events().map(|event| event.id().seq).collect();
                    assert_eq!(&got, seqs, "{text:.40} {policy:?}");
                    assert_eq!(batch.len(), seqs.len());
                }
                Err(expected) => {
                    assert_eq!(batch.len(), 1);
                    let Some(Item::Resync { reason, head }) = batch.get(0) else {
                        panic!()
                    };
                    assert_eq!((reason, head), (*expected, bus.newest()), "{text:.40}");
                }
            }
        }
    }
}

#[test]
fn b5_close_lets_readers_reach_the_end() {
    for policy in POLICIES {
        let bus = bus();
        let sub = subscribe(&bus, policy);
        let own = subscribe(&bus, policy);
        bus.publish(NewEvent::text("k", "1")).unwrap();
        own.close();
        own.close();
        bus.publish(NewEvent::text("k", "2")).unwrap();
        bus.close();
        bus.close();
        assert_eq!(
            bus.publish(NewEvent::text("k", "3")).unwrap_err().kind(),
            ErrorKind::Closed
        );
        assert_eq!(drain(&sub), [(1, 1), (2, 2)]);
        assert_eq!(drain(&own), [(1, 1)], "{policy:?}");
        let error = sub
            .try_recv(&mut Batch::new(), Limits::default())
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Closed);
        assert_eq!(own.stats().matched, 1);
        assert_eq!(sub.stats().matched, 2);
    }
}

#[test]
fn b9_losses_stay_told_before_a_text_that_does_not_fit() {
    let bus = Bus::new(BusOptions {
        log_events: 3,
        ..Default::default()
    })
    .unwrap();
    let sub = subscribe(&bus, Overflow::DropOldest { events: 4 });
    for _ in 0..6 {
        bus.publish(NewEvent::text("k", "x")).unwrap();
    }
    let one_byte = Limits {
        max_bytes: 1,
        ..Limits::default()
    };
    let mut batch = Batch::new();
    sub.try_recv_texts(&mut batch, Form::Sse, one_byte).unwrap();
    let lost: Vec<_> = batch
        .iter()
        .map(|item| match item {
            Item::Lost { missed, reason, .. } => (missed, reason),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(lost, [(2, LostReason::Window), (1, LostReason::Evicted)]);
    assert_eq!(batch.texts().ends.len(), 2);
    assert_eq!(batch.settled().seq, 3);
    sub.try_recv_texts(&mut batch, Form::Sse, one_byte).unwrap();
    assert_eq!(batch.len(), 1);
    assert!(matches!(batch.get(0), Some(Item::Event { n: 4, .. })));
}
