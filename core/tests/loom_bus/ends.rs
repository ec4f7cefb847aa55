//! Publish against close, unsubscribe and free.

use std::sync::Arc;

use loom::thread;
use reqbus_core::NewEvent;
use reqbus_core::bus::Overflow;

use crate::{QUEUE, Seen, bus, check, publisher, subscribe};

/// Closing the bus fixes the end: what was published before it is read, and nothing else.
fn publish_against_close(overflow: Overflow) {
    check(3, move || {
        let bus = bus(2);
        let sub = subscribe(&bus, overflow);
        let closes = {
            let bus = bus.clone();
            thread::spawn(move || bus.close())
        };
        let publishes = {
            let bus = bus.clone();
            thread::spawn(move || bus.publish(NewEvent::bytes("k", b"")).is_ok())
        };
        let mut seen = Seen::default();
        seen.await_end(&sub);
        closes.join().unwrap();
        let published = publishes.join().unwrap();
        assert_eq!((seen.seqs.len(), seen.lost), (usize::from(published), 0));
    });
}

/// Catches: a `close` that does not take who is armed; a poll that looks before it leaves its waker.
#[test]
fn loom_publish_and_close_on_the_log() {
    publish_against_close(Overflow::CatchUp);
}

/// Catches: a `close` that does not take who is armed.
#[test]
fn loom_publish_and_close_on_a_channel() {
    publish_against_close(QUEUE);
}

/// Closing one subscription from another thread fixes its end, and wakes its task.
fn publish_against_unsubscribe(overflow: Overflow) {
    check(3, move || {
        let bus = bus(2);
        let sub = Arc::new(subscribe(&bus, overflow));
        let closes = {
            let sub = sub.clone();
            thread::spawn(move || sub.close())
        };
        let thread = publisher(&bus, 1);
        let mut seen = Seen::default();
        seen.await_end(&sub);
        closes.join().unwrap();
        thread.join().unwrap();
        let stats = sub.stats();
        assert_eq!(stats.matched, seen.seqs.len() as u64);
        assert_eq!((stats.delivered, stats.lost()), (stats.matched, 0));
    });
}

/// Catches: a `close` that wakes nobody.
#[test]
fn loom_publish_and_unsubscribe_on_the_log() {
    publish_against_unsubscribe(Overflow::CatchUp);
}

/// Catches: a `fix_end` that does not complete the fan-out.
#[test]
fn loom_publish_and_unsubscribe_on_a_channel() {
    publish_against_unsubscribe(QUEUE);
}
