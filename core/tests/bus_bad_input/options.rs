//! What options of a bus, of a subscription and of filters may not be.

use std::time::Duration;

use reqbus_core::bus::{Batch, Bus, BusOptions, Filter, Overflow, SubscribeOptions};
use reqbus_core::{ErrorKind, NewEvent};

use crate::common::{ALL, POLICIES, plain_bus, publish, subscribe};

/// A dropped bus is a closed bus: whoever still reads gets everything, then the end.
#[test]
fn reading_after_the_bus_is_gone() {
    for policy in POLICIES {
        let bus = plain_bus();
        let sub = subscribe(&bus, policy);
        let clone = bus.clone();
        publish(&bus);
        drop(bus);
        publish(&clone);
        drop(clone);
        assert_eq!(crate::common::seqs(&sub), [1, 2]);
        let ended = sub.try_recv(&mut Batch::new(), ALL).unwrap_err();
        assert_eq!(ended.kind(), ErrorKind::Closed);
        assert!(sub.is_closed());
    }
}

#[test]
fn options_of_a_bus() {
    let refused = |options: BusOptions, field: &str| {
        let refused = Bus::new(options).unwrap_err();
        assert_eq!(
            (refused.kind(), refused.context()),
            (ErrorKind::InvalidArgument, field)
        );
    };
    for log_events in [0, (1 << 20) + 1, usize::MAX] {
        refused(
            BusOptions {
                log_events,
                ..BusOptions::default()
            },
            "log_events",
        );
    }
    for log_bytes in [0, (64 << 10) - 1, (16 << 30) + 1, usize::MAX] {
        refused(
            BusOptions {
                log_bytes,
                ..BusOptions::default()
            },
            "log_bytes",
        );
    }
    // Any age is an age.
    for resume_age in [Duration::ZERO, Duration::MAX] {
        let bus = crate::common::bus(BusOptions {
            resume_age,
            log_events: 1,
            ..BusOptions::default()
        });
        publish(&bus);
        let sub =
            crate::common::resume(&bus, Overflow::CatchUp, &format!("{:016x}-0", bus.epoch()));
        drop(sub);
    }
}

#[test]
fn options_of_a_subscription() {
    let bus = plain_bus();
    publish(&bus);
    let long = "x".repeat(256);
    let of = |overflow| SubscribeOptions {
        overflow,
        ..SubscribeOptions::default()
    };
    let newest = |events, bytes| of(Overflow::DropNewest { events, bytes });
    let oldest = |events| of(Overflow::DropOldest { events });
    for (options, kind, field) in [
        (newest(0, 1), ErrorKind::InvalidArgument, "capacity"),
        (
            newest((1 << 16) + 1, 1),
            ErrorKind::InvalidArgument,
            "capacity",
        ),
        (
            newest(usize::MAX, 1),
            ErrorKind::InvalidArgument,
            "capacity",
        ),
        (newest(1, 0), ErrorKind::InvalidArgument, "capacity_bytes"),
        (
            newest(1, usize::MAX),
            ErrorKind::InvalidArgument,
            "capacity_bytes",
        ),
        (oldest(0), ErrorKind::InvalidArgument, "capacity"),
        (
            oldest((1 << 16) + 1),
            ErrorKind::InvalidArgument,
            "capacity",
        ),
        (
            SubscribeOptions {
                label: &long,
                ..SubscribeOptions::default()
            },
            ErrorKind::TooLarge,
            "label",
        ),
        (
            SubscribeOptions {
                audience: Some(""),
                ..SubscribeOptions::default()
            },
            ErrorKind::InvalidArgument,
            "audience",
        ),
        (
            SubscribeOptions {
                audience: Some(&long),
                ..SubscribeOptions::default()
            },
            ErrorKind::TooLarge,
            "audience",
        ),
    ] {
        let refused = bus.subscribe(options).unwrap_err();
        assert_eq!((refused.kind(), refused.context()), (kind, field));
    }
    let stats = bus.stats();
    assert_eq!((stats.subscriptions, stats.newest.seq), (0, 1), "no effect");
    for good in [
        newest(1, 1),
        newest(1 << 16, 16 << 30),
        oldest(1),
        oldest(1 << 16),
    ] {
        bus.subscribe(good).unwrap();
    }
    let label = &long[..255];
    let sub = bus
        .subscribe(SubscribeOptions {
            label,
            audience: Some(label),
            ..SubscribeOptions::default()
        })
        .unwrap();
    assert_eq!(sub.label(), label);
}

#[test]
fn filters() {
    let long = "k".repeat(256);
    for (keys, kinds, kind, field) in [
        (vec![long.as_str()], vec![], ErrorKind::TooLarge, "keys"),
        (vec![], vec![long.as_str()], ErrorKind::TooLarge, "kinds"),
        (vec![], vec![""], ErrorKind::InvalidArgument, "kinds"),
        (vec!["k"; 1_025], vec![], ErrorKind::TooLarge, "keys"),
        (vec![], vec!["k"; 1_025], ErrorKind::TooLarge, "kinds"),
    ] {
        let refused = Filter::new(&keys, &kinds).unwrap_err();
        assert_eq!((refused.kind(), refused.context()), (kind, field));
    }
    let names: Vec<String> = (0..1_024).map(|n| n.to_string()).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let bus = plain_bus();
    let sub = bus
        .subscribe(SubscribeOptions {
            filter: Filter::new(&names, &names).unwrap(),
            ..SubscribeOptions::default()
        })
        .unwrap();
    for (kind, key) in [("5", "1023"), ("1024", "5"), ("1000", "0"), ("5", "x")] {
        bus.publish(NewEvent::text(kind, "x").key(key)).unwrap();
    }
    assert_eq!(
        crate::common::seqs(&sub),
        [1, 3],
        "kinds past the 63rd are compared as text"
    );
    assert_eq!(
        Filter::new(&["b", "a", "b"], &[]),
        Filter::new(&["a", "b"], &[]),
        "sets"
    );
}
