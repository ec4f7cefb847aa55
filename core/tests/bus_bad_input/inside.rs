//! Publishing from inside a waker.

use std::future::Future;
use std::sync::Arc;
use std::task::{Context, Wake, Waker};

use reqbus_core::bus::{Batch, Bus};

use crate::common::{ALL, POLICIES, Watchdog, assert_adds_up, plain_bus, publish, subscribe};

/// What a waker may do: anything.
struct Busybody {
    bus: Bus,
    close: bool,
}

impl Wake for Busybody {
    fn wake(self: Arc<Self>) {
        publish(&self.bus);
        let _ = (self.bus.stats(), self.bus.consumers());
        drop(subscribe(&self.bus, POLICIES[0]));
        self.bus
            .set_status("waker", &self.bus.newest().to_string(), "")
            .unwrap();
        if self.close {
            self.bus.close();
        }
    }
}

#[test]
fn publish_from_inside_a_waker() {
    let _watchdog = Watchdog::new("publish from inside a waker");
    for policy in POLICIES {
        let bus = plain_bus();
        let sub = subscribe(&bus, policy);
        let mut batch = Batch::new();
        for round in 1..=10 {
            let close = round == 10;
            let waker = Waker::from(Arc::new(Busybody {
                bus: bus.clone(),
                close,
            }));
            let mut recv = sub.recv(&mut batch, ALL);
            let mut cx = Context::from_waker(&waker);
            assert!(std::pin::Pin::new(&mut recv).poll(&mut cx).is_pending());
            publish(&bus);
            drop(recv);
            let seqs: Vec<_> = crate::common::drain(&sub)
                .iter()
                .filter_map(crate::common::Got::seq)
                .collect();
            assert_eq!(seqs, [2 * round - 1, 2 * round], "the waker's event too");
        }
        assert!(sub.is_closed());
        assert_adds_up(&sub.stats());
    }
}
