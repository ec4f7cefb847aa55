//! The stream: what it yields, what it leaves over for the next reader, and what that settles (B3, B5, B9).

#![cfg(not(loom))]

mod common;

use std::thread;

use common::{
    ALL, Got, POLICIES, Watchdog, everywhere, items, plain_bus, publish, publish_n, subscribe,
};
use reqbus_core::Bell;
use reqbus_core::bus::{Batch, BusOptions, Limits, Overflow, OwnedItem, Start, SubscribeOptions};
use reqbus_core::wire::Form;
use smol::stream::StreamExt;

#[test]
fn b5_the_stream_ends_on_close_after_everything_was_read() {
    let _watchdog = Watchdog::new("the stream ends");
    everywhere(|| async {
        for policy in POLICIES {
            for by_bus in [true, false] {
                let bus = plain_bus();
                let sub = subscribe(&bus, policy);
                publish_n(&bus, 10);
                let closer = {
                    let (bus, theirs) = (bus.clone(), bus.clone());
                    let id = sub.id();
                    thread::spawn(move || {
                        publish_n(&bus, 10);
                        if by_bus {
                            theirs.close();
                        }
                        id
                    })
                };
                let mut seqs = Vec::new();
                let mut items = sub.items();
                while let Some(item) = items.next().await {
                    if let OwnedItem::Event { event, n } = item.unwrap() {
                        assert_eq!(event.id().seq, n);
                        seqs.push(n);
                    }
                    if !by_bus && seqs.len() == 20 {
                        sub.close();
                    }
                }
                assert_eq!(seqs, (1..=20).collect::<Vec<_>>());
                assert!(items.next().await.is_none(), "it stays at its end");
                closer.join().unwrap();
            }
        }
    });
}

#[test]
fn a_stream_stopped_midway_leaves_the_rest_for_the_next() {
    everywhere(|| async {
        for policy in POLICIES {
            let bus = plain_bus();
            let sub = subscribe(&bus, policy);
            publish_n(&bus, 20);
            let mut seqs = Vec::new();
            for take in [1, 2, 3, 4] {
                let mut items = sub.items();
                for _ in 0..take {
                    if let OwnedItem::Event { event, n } = items.next().await.unwrap().unwrap() {
                        assert_eq!(event.id().seq, n);
                        seqs.push(n);
                    }
                }
            }
            publish(&bus);
            // The rest comes first, in a batch too, and the numbers stay.
            let mut batch = Batch::new();
            while sub
                .try_recv(
                    &mut batch,
                    Limits {
                        max_items: 3,
                        ..ALL
                    },
                )
                .unwrap()
                > 0
            {
                for got in items(&batch) {
                    let Got::Event { seq, n } = got else {
                        panic!("{got:?}")
                    };
                    assert_eq!(seq, n);
                    seqs.push(n);
                }
            }
            assert_eq!(seqs, (1..=21).collect::<Vec<_>>(), "{policy:?}");
            common::assert_adds_up(&sub.stats());
            assert_eq!(sub.stats().delivered, 21);
        }
    });
}

/// Losses and texts among what a stream left over.
#[test]
fn b3_a_stream_stopped_before_a_loss_leaves_the_loss() {
    smol::block_on(async {
        for policy in common::SMALL {
            let bus = common::bus(BusOptions {
                log_events: 6,
                ..BusOptions::default()
            });
            bus.set_status("s", "up", "").unwrap();
            let sub = subscribe(&bus, policy);
            publish_n(&bus, 20);
            let mut ledger = common::Ledger::default();
            let mut batch = Batch::new();
            let mut texts = 0;
            for _ in 0..3 {
                let mut items = sub.items();
                let item = items.next().await.unwrap().unwrap();
                ledger.take_item(&Got::of(item.as_item()));
            }
            while sub.try_recv_texts(&mut batch, Form::Sse, ALL).unwrap() > 0 {
                for got in items(&batch) {
                    ledger.take_item(&got);
                }
                texts += batch.texts().ends.len();
                assert_eq!(batch.texts().ends.len(), batch.len());
            }
            assert!(texts > 0);
            ledger.assert_matches(&sub.stats());
        }
    });
}

/// Limits hold for what a stream left over as for everything else; one item that is too much is returned alone.
#[test]
fn what_a_stream_left_over_is_read_within_the_limits() {
    smol::block_on(async {
        for policy in POLICIES {
            let bus = plain_bus();
            let sub = subscribe(&bus, policy);
            publish_n(&bus, 9);
            sub.items().next().await.unwrap().unwrap();
            let mut batch = Batch::new();
            let limits = |max_bytes| Limits { max_bytes, ..ALL };
            let mut read = |max_bytes| {
                sub.try_recv_texts(&mut batch, Form::Sse, limits(max_bytes))
                    .unwrap();
                (batch.len(), batch.texts().buffer.len())
            };
            let (alone, one) = read(1);
            assert_eq!(alone, 1, "{policy:?}");
            assert_eq!(read(3 * one), (3, 3 * one), "{policy:?}");
            assert_eq!(read(2 * one - 1), (1, one), "{policy:?}");
            assert_eq!(sub.try_recv(&mut batch, limits(1)).unwrap(), 1);
            assert_eq!(common::seqs(&sub), [8, 9], "{policy:?}");
            common::assert_adds_up(&sub.stats());
        }
    });
}

/// B9: what an iterator holds, or left over, was not given to anybody yet.
#[test]
fn b9_settled_does_not_count_what_a_stream_has_not_yielded() {
    smol::block_on(async {
        for policy in POLICIES {
            let bus = plain_bus();
            let sub = subscribe(&bus, policy);
            publish_n(&bus, 10);
            {
                let mut items = sub.items();
                items.next().await.unwrap().unwrap();
                items.next().await.unwrap().unwrap();
                assert!(
                    sub.settled().seq <= 2,
                    "settled is {}, and the host has seen 2 of 10",
                    sub.settled()
                );
            }
            assert!(sub.settled().seq <= 2, "{}", sub.settled());
            let mut batch = Batch::new();
            let limits = Limits {
                max_items: 3,
                ..ALL
            };
            assert_eq!(sub.try_recv(&mut batch, limits).unwrap(), 3);
            assert!(
                (2..=5).contains(&batch.settled().seq),
                "{}",
                batch.settled()
            );
            assert_eq!(common::seqs(&sub), [6, 7, 8, 9, 10]);
            assert_eq!(sub.settled().seq, 10);
        }
    });
}

/// What a stream has read ahead is for whoever reads next, and its token stays ready for it.
#[test]
fn what_a_stream_has_not_yielded_is_there_for_the_next_reader() {
    smol::block_on(async {
        for policy in POLICIES {
            let bus = plain_bus();
            let sub = subscribe(&bus, policy);
            let bell = Bell::new();
            sub.attach(&bell, 9).unwrap();
            publish_n(&bus, 9);
            let mut tokens = [0; 4];
            bell.take(&mut tokens);
            let (mut one, mut other) = (sub.items(), sub.items());
            let seq = |item: OwnedItem| match item {
                OwnedItem::Event { event, .. } => event.id().seq,
                other => panic!("{other:?}"),
            };
            for (by_one, want) in [(true, 1), (false, 2), (true, 3)] {
                let stream = if by_one { &mut one } else { &mut other };
                assert_eq!(seq(stream.next().await.unwrap().unwrap()), want);
                assert_eq!(sub.settled().seq, want);
            }
            assert_eq!(bell.take(&mut tokens), 1, "six are there");
            let limits = Limits {
                max_items: 3,
                ..ALL
            };
            let mut batch = Batch::new();
            assert_eq!(sub.recv(&mut batch, limits).await.unwrap(), 3);
            assert_eq!(batch.settled().seq, 6);
            assert_eq!(bell.take(&mut tokens), 1, "three are there");
            assert_eq!(seq(one.next().await.unwrap().unwrap()), 7);
            assert_eq!(bell.take(&mut tokens), 1, "two are there");
            drop((one, other));
            assert_eq!(common::seqs(&sub), [8, 9]);
            assert_eq!(sub.settled().seq, 9);
        }
    });
}

/// B9: neither a loss nor a resync that a stream holds is settled.
#[test]
fn b9_settled_waits_for_the_losses_that_a_stream_has_not_yielded() {
    smol::block_on(async {
        let bus = common::bus(BusOptions {
            log_events: 6,
            ..BusOptions::default()
        });
        bus.set_status("s", "up", "").unwrap();
        let sub = subscribe(&bus, Overflow::CatchUp);
        publish_n(&bus, 20);
        let mut items = sub.items();
        for settled in [0, 0, 15, 16, 17, 18, 19, 20] {
            items.next().await.unwrap().unwrap();
            assert_eq!(sub.settled().seq, settled);
        }
        let sub = bus
            .subscribe(SubscribeOptions {
                start: Start::After(b"nonsense"),
                overflow: Overflow::CatchUp,
                ..SubscribeOptions::default()
            })
            .unwrap();
        publish_n(&bus, 2);
        let mut items = sub.items();
        for settled in [0, 20, 21, 22] {
            items.next().await.unwrap().unwrap();
            assert_eq!(sub.settled().seq, settled);
        }
    });
}
