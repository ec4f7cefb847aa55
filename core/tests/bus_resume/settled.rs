//! B9: the id up to which a reader has everything.

use std::time::Duration;

use reqbus_core::bus::{Batch, BusOptions, Limits, SubscribeOptions};
use reqbus_core::wire::Form;
use reqbus_core::{ErrorKind, Subscription};

use crate::common::{ALL, POLICIES, id, plain_bus, publish_n, resume, subscribe};

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
                filter: crate::common::kinds(&["a"]),
                overflow: policy,
                ..SubscribeOptions::default()
            })
            .unwrap();
        publish_n(&bus, 10);
        assert_eq!(picky.try_recv(&mut batch, ALL).unwrap(), 0);
        assert_eq!(heartbeat(&picky), expected(20));
        assert_eq!(batch.settled().seq, 20);
        // A wait that ends with nothing has passed them too: what a server does before it writes a heartbeat.
        publish_n(&bus, 10);
        let waited = picky.recv_timeout(&mut batch, ALL, Some(Duration::from_millis(1)));
        assert_eq!(waited.unwrap_err().kind(), ErrorKind::Timeout);
        assert_eq!(heartbeat(&picky), expected(30));
    }
}

/// B9: before it was told that it lost its place, a reader's heartbeat must not give it a new one.
#[test]
fn b9_settled_is_not_the_head_before_the_resync_is_told() {
    for policy in POLICIES {
        let bus = crate::common::bus(BusOptions {
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
