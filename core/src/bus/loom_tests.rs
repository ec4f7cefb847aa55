//! Models of the bus that look inside: what a fan-out leaves, and that everything is freed.
//!
//! *Catches* names the change to the code under which the model was seen to fail.

use std::sync::Arc;

use loom::thread;

use super::{Batch, Bus, BusOptions, Filter, Limits, Overflow, SubscribeOptions, Subscription};
use crate::bell::Bell;
use crate::event::NewEvent;
use crate::sync::check;
use crate::wire::Form;

fn bus() -> Bus {
    let options = BusOptions {
        log_events: 4,
        ..BusOptions::default()
    };
    Bus::new(options).unwrap()
}

fn subscribe(bus: &Bus) -> Subscription {
    let options = SubscribeOptions {
        overflow: Overflow::DropNewest {
            events: 4,
            bytes: 1 << 20,
        },
        ..SubscribeOptions::default()
    };
    bus.subscribe(options).unwrap()
}

fn publisher(bus: &Bus) -> thread::JoinHandle<()> {
    let bus = bus.clone();
    thread::spawn(move || {
        bus.publish(NewEvent::bytes("k", b"")).unwrap();
    })
}

/// Whether the channel of `sub` was offered all that is in the log.
fn is_offered(bus: &Bus, sub: &Subscription) -> bool {
    let (shard, _) = sub.core().fan().unwrap();
    shard.next() == bus.core().log.head() + 1
}

fn read(sub: &Subscription) -> usize {
    let mut batch = Batch::new();
    // 0 also at the end.
    sub.try_recv(&mut batch, Limits::default()).unwrap_or(0)
}

/// Two publishers meet at a shard: the one that does not get its lock leaves its event to the holder.
///
/// Catches: `Fanout::turn` without its fence, `Shard::turn` without its own or without its second look; a
/// publisher that offers its event out of turn.
#[test]
fn loom_publishers_leave_nothing_unoffered() {
    check(4, || {
        let bus = bus();
        let sub = subscribe(&bus);
        let threads = [publisher(&bus), publisher(&bus)];
        for thread in threads {
            thread.join().unwrap();
        }
        assert!(is_offered(&bus, &sub));
        assert_eq!(read(&sub), 2);
    });
}

/// Three publishers: the holder looks again after it offered what the second left.
///
/// Catches: either fence left out, with fewer preemptions.
#[test]
fn loom_three_publishers_leave_nothing_unoffered() {
    check(2, || {
        let bus = bus();
        let sub = subscribe(&bus);
        let threads = [publisher(&bus), publisher(&bus), publisher(&bus)];
        for thread in threads {
            thread.join().unwrap();
        }
        assert!(is_offered(&bus, &sub));
        assert_eq!(read(&sub), 3);
    });
}

/// A publisher that meets the reader at the shard leaves the event in the log, and the reader finds it there: in
/// this read or, if its publisher had not returned, in the next.
///
/// Catches: an `end_of_queue` that does not complete the fan-out.
#[test]
fn loom_a_reader_completes_what_a_publisher_left() {
    check(3, || {
        let bus = bus();
        let sub = subscribe(&bus);
        let threads = [publisher(&bus), publisher(&bus)];
        let early = read(&sub);
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!(early + read(&sub), 2);
        assert!(is_offered(&bus, &sub));
    });
}

/// Readers share a shard's turn and the count of its row: one closes while a publisher offers.
///
/// Catches: a `fix_end` that does not complete the fan-out.
#[test]
fn loom_a_reader_leaves_its_shard_while_a_publisher_offers() {
    check(3, || {
        let bus = bus();
        // A multiple of the number of shards, so that the last shares the first one's.
        let stays = subscribe(&bus);
        drop([subscribe(&bus), subscribe(&bus), subscribe(&bus)]);
        let goes = subscribe(&bus);
        let thread = publisher(&bus);
        goes.close();
        let read_there = read(&goes);
        thread.join().unwrap();
        let stats = goes.stats();
        assert_eq!(stats.matched, stats.delivered + stats.pending);
        assert_eq!(stats.delivered, read_there as u64);
        assert_eq!(read(&stays), 1);
    });
}

/// A reader joins a shard that lags, and the log moves past both: what it lost of what came after it is counted.
///
/// Catches: a count that begins where the log begins, beyond the reader's own beginning.
#[test]
fn loom_the_log_moves_past_a_reader_that_joins_a_shard() {
    check(3, || {
        let options = BusOptions {
            log_events: 1,
            ..BusOptions::default()
        };
        let bus = Bus::new(options).unwrap();
        // A multiple of the number of shards, less one: the next shares the first one's.
        let _stays = subscribe(&bus);
        drop(subscribe(&bus));
        let thread = {
            let bus = bus.clone();
            thread::spawn(move || {
                for _ in 0..3 {
                    bus.publish(NewEvent::bytes("k", b"")).unwrap();
                }
            })
        };
        let options = SubscribeOptions {
            filter: Filter::new(&[], &["k"]).unwrap(),
            ..SubscribeOptions::default()
        };
        let comes = bus.subscribe(options).unwrap();
        thread.join().unwrap();
        let stats = comes.stats();
        let sum = stats.delivered + stats.lost() + stats.pending;
        assert_eq!(stats.matched, sum, "{stats:?}");
    });
}

/// A text is made while the log lets go of its event: the log's account ends with what it still holds.
///
/// Catches: a `note_text` that reckons with the log after it let go.
#[test]
fn loom_the_log_accounts_for_the_texts_it_holds() {
    check(4, || {
        let options = BusOptions {
            log_events: 1,
            ..BusOptions::default()
        };
        let bus = Bus::new(options).unwrap();
        let options = SubscribeOptions {
            overflow: Overflow::CatchUp,
            ..SubscribeOptions::default()
        };
        let sub = bus.subscribe(options).unwrap();
        bus.publish(NewEvent::bytes("k", b"")).unwrap();
        let thread = publisher(&bus);
        let mut batch = Batch::new();
        for _ in 0..2 {
            let _items = sub
                .try_recv_texts(&mut batch, Form::Sse, Limits::default())
                .unwrap();
        }
        drop(batch);
        thread.join().unwrap();
        let core = bus.core();
        let state = core.log.lock();
        let held = state.ring.get(2).unwrap().text_bytes();
        assert_eq!(core.log.text_bytes(), held);
    });
}

/// Bus, subscriptions and bell go while two publishes ring: nobody holds the bus, the subscription or the bell
/// afterwards.
///
/// Catches: a `disarm` that unlinks a source which a chain has taken.
#[test]
fn loom_everything_is_freed() {
    check(3, || {
        let bus = bus();
        let sub = subscribe(&bus);
        let bell = Bell::new();
        sub.attach(&bell, 7).unwrap();
        assert_eq!(read(&sub), 0);
        let threads = [publisher(&bus), publisher(&bus)];
        let core = Arc::downgrade(bus.core());
        let source = Arc::downgrade(&sub.core().source);
        let reader = Arc::downgrade(sub.core());
        let rung = Arc::downgrade(bell.core());
        drop(sub);
        drop(bell);
        drop(bus);
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!(core.strong_count(), 0);
        assert_eq!(source.strong_count(), 0);
        assert_eq!(reader.strong_count(), 0);
        assert_eq!(rung.strong_count(), 0);
    });
}
