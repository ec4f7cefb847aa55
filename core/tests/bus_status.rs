//! Statuses (B10): the latest state of each source, told apart from events and never at their expense.

#![cfg(not(loom))]

mod common;

use std::future::Future;
use std::sync::Arc;
use std::task::{Context, Wake, Waker};
use std::thread;

use common::{
    ALL, Got, POLICIES, SMALL, Watchdog, drain, drain_with, plain_bus, publish, publish_n,
    subscribe, until,
};
use reqbus_core::bus::{Batch, BusOptions, Limits, SubscribeOptions};
use reqbus_core::wire::Form;
use reqbus_core::{Bell, ErrorKind};

fn status(source: &str, state: &str, detail: &str) -> Got {
    Got::Status(source.into(), state.into(), detail.into())
}

#[test]
fn b10_a_new_subscription_first_gets_all_current_ones() {
    for policy in POLICIES {
        let bus = plain_bus();
        bus.set_status("a", "connecting", "").unwrap();
        bus.set_status("b", "connected", "12 ms").unwrap();
        bus.set_status("a", "connected", "").unwrap();
        bus.set_status("c", "connected", "").unwrap();
        bus.set_status("c", "gone", "").unwrap();
        publish(&bus);
        for from_oldest in [false, true] {
            let sub = if from_oldest {
                common::resume(&bus, policy, &format!("{:016x}-0", bus.epoch()))
            } else {
                subscribe(&bus, policy)
            };
            let mut expected = vec![
                status("b", "connected", "12 ms"),
                status("a", "connected", ""),
            ];
            if from_oldest {
                expected.push(Got::Event { seq: 1, n: 1 });
            }
            assert_eq!(drain(&sub), expected, "ahead of the events");
            assert_eq!(drain(&sub), []);
        }
    }
}

#[test]
fn b10_then_only_the_latest_of_what_changed_ahead_of_the_events() {
    for policy in POLICIES {
        let bus = plain_bus();
        let sub = subscribe(&bus, policy);
        bus.set_status("a", "up", "").unwrap();
        assert_eq!(drain(&sub), [status("a", "up", "")]);
        bus.set_status("a", "up", "").unwrap();
        assert_eq!(drain(&sub), [], "nothing changed");
        publish(&bus);
        for n in 0..100 {
            bus.set_status("a", "retrying", &n.to_string()).unwrap();
        }
        bus.set_status("b", "up", "").unwrap();
        publish(&bus);
        assert_eq!(
            drain(&sub),
            [
                status("a", "retrying", "99"),
                status("b", "up", ""),
                Got::Event { seq: 1, n: 1 },
                Got::Event { seq: 2, n: 2 },
            ]
        );
        bus.set_status("a", "gone", "not told").unwrap();
        bus.set_status("never there", "gone", "").unwrap();
        assert_eq!(drain(&sub), [status("a", "gone", "")]);
        bus.set_status("b", "gone", "").unwrap();
        bus.set_status("b", "up", "").unwrap();
        assert_eq!(
            drain(&sub),
            [status("b", "up", "")],
            "gone and back is one item"
        );
    }
}

#[test]
fn b10_statuses_are_outside_every_account_and_push_nothing_out() {
    for policy in SMALL {
        let bus = common::bus(BusOptions {
            log_events: 4,
            ..BusOptions::default()
        });
        let sub = subscribe(&bus, policy);
        publish_n(&bus, 4);
        let (before, kept) = (sub.stats(), bus.stats());
        for n in 0..64 {
            bus.set_status(&n.to_string(), "up", &"d".repeat(4_096))
                .unwrap();
        }
        assert_eq!((sub.stats(), bus.stats()), (before, kept));
        let got = drain(&sub);
        assert_eq!(got.len(), 68, "nothing was lost for 64 statuses");
        assert!(got[..64].iter().all(|got| got.seq().is_none()));
        let events: Vec<_> = (1..=4).map(|seq| Got::Event { seq, n: seq }).collect();
        assert_eq!(got[64..], events);
        let stats = sub.stats();
        common::assert_adds_up(&stats);
        assert_eq!((stats.matched, stats.delivered, stats.lost()), (4, 4, 0));
        assert_eq!(bus.newest().seq, 4, "they have no id");
    }
}

#[test]
fn b10_statuses_ignore_filters() {
    for policy in POLICIES {
        let bus = plain_bus();
        let filters = [
            common::kinds(&["never published"]),
            common::keys(&["nobody's"]),
        ];
        for filter in filters {
            let sub = bus
                .subscribe(SubscribeOptions {
                    filter,
                    overflow: policy,
                    ..SubscribeOptions::default()
                })
                .unwrap();
            publish(&bus);
            drain(&sub);
            bus.set_status("a", "down", "").unwrap();
            assert_eq!(drain(&sub), [status("a", "down", "")]);
            bus.set_status("a", "up", "").unwrap();
            assert_eq!(drain(&sub), [status("a", "up", "")]);
        }
    }
}

struct Nobody;

impl Wake for Nobody {
    fn wake(self: Arc<Self>) {}
}

#[test]
fn b10_statuses_ring_like_events() {
    let _watchdog = Watchdog::new("statuses ring");
    for policy in POLICIES {
        let bus = plain_bus();
        // A parked thread.
        let sub = subscribe(&bus, policy);
        thread::scope(|scope| {
            let waiter = scope.spawn(|| {
                let mut batch = Batch::new();
                sub.recv_timeout(&mut batch, ALL, None).unwrap();
                common::items(&batch)
            });
            until(|| sub.stats().sleeping);
            bus.set_status("a", "up", "1").unwrap();
            assert_eq!(waiter.join().unwrap(), [status("a", "up", "1")]);
        });
        // A task.
        let waker = Waker::from(Arc::new(Nobody));
        let mut batch = Batch::new();
        let mut recv = sub.recv(&mut batch, ALL);
        let mut cx = Context::from_waker(&waker);
        assert!(std::pin::Pin::new(&mut recv).poll(&mut cx).is_pending());
        bus.set_status("a", "up", "2").unwrap();
        assert!(!sub.stats().sleeping, "it was woken");
        assert!(std::pin::Pin::new(&mut recv).poll(&mut cx).is_ready());
        drop(recv);
        // A token.
        let bell = Bell::new();
        sub.attach(&bell, 4).unwrap();
        let mut tokens = [0; 4];
        while bell.take(&mut tokens) > 0 {
            drain(&sub);
        }
        bus.set_status("a", "up", "2").unwrap();
        assert_eq!(bell.take(&mut tokens), 0, "nothing changed");
        bus.set_status("a", "up", "3").unwrap();
        assert_eq!(bell.take(&mut tokens), 1);
        assert_eq!(drain(&sub), [status("a", "up", "3")]);
    }
}

#[test]
fn b10_a_small_batch_takes_statuses_first_and_the_latest_of_each() {
    for policy in POLICIES {
        let bus = plain_bus();
        let sub = subscribe(&bus, policy);
        for source in ["a", "b", "c"] {
            bus.set_status(source, "up", "").unwrap();
        }
        publish(&bus);
        let one = Limits {
            max_items: 1,
            ..ALL
        };
        let mut batch = Batch::new();
        let mut read = || {
            assert_eq!(sub.try_recv(&mut batch, one).unwrap(), 1);
            common::items(&batch).remove(0)
        };
        assert_eq!(read(), status("a", "up", ""));
        // Two were taken up and not told when one of them changes, and a third comes.
        bus.set_status("b", "down", "").unwrap();
        bus.set_status("a", "down", "").unwrap();
        assert_eq!(read(), status("c", "up", ""));
        assert_eq!(read(), status("b", "down", ""), "the latest, once");
        assert_eq!(read(), status("a", "down", ""));
        assert_eq!(read(), Got::Event { seq: 1, n: 1 });
        assert_eq!(drain(&sub), []);
    }
}

#[test]
fn b10_statuses_stand_before_a_resync_and_before_losses() {
    for policy in SMALL {
        let bus = common::bus(BusOptions {
            log_events: 4,
            ..BusOptions::default()
        });
        publish_n(&bus, 10);
        bus.set_status("a", "up", "").unwrap();
        let sub = common::resume(&bus, policy, "nonsense");
        publish_n(&bus, 10);
        let got = drain(&sub);
        assert_eq!(got[0], status("a", "up", ""));
        assert!(matches!(got[1], Got::Resync(..)), "{got:?}");
        assert!(
            got.iter().any(|got| matches!(got, Got::Lost(6, ..))),
            "{got:?}"
        );
        let mut ledger = common::Ledger::default();
        got.iter().for_each(|got| ledger.take_item(got));
        ledger.assert_matches(&sub.stats());
        // And one at a time.
        let sub = common::resume(&bus, policy, "nonsense");
        publish_n(&bus, 10);
        assert_eq!(
            drain_with(
                &sub,
                Limits {
                    max_items: 1,
                    ..ALL
                }
            )
            .len(),
            got.len()
        );
    }
}

#[test]
fn b10_statuses_have_a_text_in_every_form() {
    let bus = plain_bus();
    bus.set_status("up\"stream", "connected", "12 ms").unwrap();
    let data = r#"{"source":"up\"stream","state":"connected","detail":"12 ms"}"#;
    for (form, expected) in [
        (Form::Sse, format!("event: reqbus.status\ndata: {data}\n\n")),
        (
            Form::Ndjson,
            format!("{{\"kind\":\"reqbus.status\",\"data\":{data}}}\n"),
        ),
        (
            Form::Envelope,
            format!("{{\"kind\":\"reqbus.status\",\"data\":{data}}}"),
        ),
        (
            Form::Json,
            format!("{{\"kind\":\"reqbus.status\",\"data\":{data}}}"),
        ),
    ] {
        let sub = subscribe(&bus, POLICIES[0]);
        let mut batch = Batch::new();
        sub.try_recv_texts(&mut batch, form, ALL).unwrap();
        assert_eq!(batch.texts().get(0), Some(expected.as_bytes()), "{form}");
    }
}

#[test]
fn b10_b5_a_reader_at_its_end_still_gets_the_last_statuses() {
    for policy in POLICIES {
        let bus = plain_bus();
        let sub = subscribe(&bus, policy);
        publish(&bus);
        bus.set_status("a", "down", "").unwrap();
        bus.close();
        assert_eq!(
            bus.set_status("a", "up", "").unwrap_err().kind(),
            ErrorKind::Closed
        );
        assert_eq!(
            drain(&sub),
            [status("a", "down", ""), Got::Event { seq: 1, n: 1 }]
        );
        let ended = sub.try_recv(&mut Batch::new(), ALL).unwrap_err();
        assert_eq!(ended.kind(), ErrorKind::Closed);
    }
}
