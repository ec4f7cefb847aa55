//! Publish against resume.

use loom::thread;
use reqbus_core::bus::{Filter, Overflow, ResyncReason, Start, SubscribeOptions};
use reqbus_core::{ErrorKind, EventId, NewEvent};

use crate::{QUEUE, Seen, bus, check, publish};

/// The last event before the resume, and the two that are published while it is made.
fn resume_against_publish(overflow: Overflow, filter: fn() -> Filter) {
    check(3, move || {
        let bus = bus(2);
        for kind in ["other", "k"] {
            bus.publish(NewEvent::bytes(kind, b"")).unwrap();
        }
        let mut id = Vec::new();
        let epoch = bus.epoch();
        EventId { epoch, seq: 1 }.write_to(&mut id);
        let thread = {
            let bus = bus.clone();
            thread::spawn(move || {
                publish(&bus);
                publish(&bus);
                bus.close();
            })
        };
        let options = SubscribeOptions {
            overflow,
            filter: filter(),
            start: Start::After(&id),
            ..SubscribeOptions::default()
        };
        let mut seen = Seen::default();
        match bus.subscribe(options) {
            Ok(sub) => {
                seen.await_end(&sub);
                let stats = sub.stats();
                assert_eq!(stats.matched, stats.delivered + stats.lost());
            }
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Closed);
                seen.lost = 3;
            }
        }
        thread.join().unwrap();
        match seen.resync {
            Some((reason, head)) => {
                assert_eq!(reason, ResyncReason::Expired);
                assert_eq!(head.seq + seen.told, 4, "{seen:?}");
            }
            None => assert_eq!(seen.seqs.len() as u64 + seen.lost, 3, "{seen:?}"),
        }
    });
}

/// Catches: a ring of slots that takes back a run which is partly emptied as if it were not.
#[test]
fn loom_resume_and_publish_on_the_log() {
    resume_against_publish(Overflow::CatchUp, Filter::all);
}

/// Catches: a channel that does not begin where the log's part ends.
#[test]
fn loom_resume_and_publish_on_a_channel() {
    resume_against_publish(QUEUE, Filter::all);
}

fn kind_k() -> Filter {
    Filter::new(&[], &["k"]).unwrap()
}

/// Catches: a count of the place that goes on after the log let go of it; a run that is taken back though
/// partly emptied.
#[test]
fn loom_filtered_resume_and_publish_on_the_log() {
    resume_against_publish(Overflow::CatchUp, kind_k);
}

/// Catches: a count of the place that goes on after the log let go of it.
#[test]
fn loom_filtered_resume_and_publish_on_a_channel() {
    resume_against_publish(QUEUE, kind_k);
}
