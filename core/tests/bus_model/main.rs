//! The bus against a small model that is obviously right: lists of numbers, walked from the front.
//!
//! One thread, random histories. After every step the account of every subscription must be the model's to the
//! last digit (B2); every read must bring a beginning of what the model says is next, and may stop only at a limit
//! (B3); every resume is answered by the table (B4); a cut and a resume from the settled id skip nothing (B9).

#![cfg(not(loom))]

#[path = "../common/mod.rs"]
mod common;
mod history;
mod reader;
mod reading;
mod world;

use proptest::prelude::*;
use reqbus_core::bus::Limits;

use history::*;
use world::World;

/// Runs a history, checking after every step; at the end everybody reads to the end and goes.
fn run(setup: Setup, ops: &[Op]) {
    let mut world = World::new(setup);
    for op in ops {
        world.step(op);
        world.check();
    }
    for at in 0..world.subs.len() {
        world.drain(at);
        world.check();
    }
    while !world.subs.is_empty() {
        world.free(0);
        world.check();
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 400 * common::stress() as u32,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn b2_b3_b4_b9_the_bus_does_what_the_model_says(setup in setup(), ops in history()) {
        run(setup, &ops);
    }
}

/// B3, B4, B9: a client that breaks off after any event, and comes back, has each event once.
#[test]
fn b4_a_cut_at_every_position_for_every_policy() {
    const EVENTS: u64 = 40;
    for policy in POLICIES {
        for again in POLICIES {
            let mut world = World::new(Setup {
                log_events: 25,
                log_bytes: 8 << 20,
                resume: true,
            });
            let new = |seq: u64| New {
                kind: seq as usize % KINDS.len(),
                key: 0,
                size: 3,
            };
            (1..=EVENTS).for_each(|seq| world.publish(&[new(seq)]));
            assert_eq!(world.tail, EVENTS - 24);
            // From before the first to after the newest; one before the oldest is the last that works.
            for cut in 0..=EVENTS + 2 {
                for filter in [0, 2] {
                    let id = world.id(cut);
                    world.subscribe_after(filter, policy, Begin::After(Pos::Zero), Some(id));
                    let at = world.subs.len() - 1;
                    let resumed = (world.tail - 1..=EVENTS).contains(&cut);
                    assert_eq!(world.subs[at].resync.is_none(), resumed, "{cut}");
                    // It is cut again after each item that it gets.
                    loop {
                        let one = Limits {
                            max_items: 1,
                            max_bytes: 1,
                        };
                        if world.recv(at, one, None) == 0 {
                            break;
                        }
                        let heard = world.subs[at].heard.to_string();
                        let expected = world.resolve(Begin::Live, Some(&heard));
                        world.subscribe_after(filter, again, Begin::After(Pos::Zero), Some(heard));
                        let back = world.subs.len() - 1;
                        if let Ok(after) = expected {
                            // Nothing that it was given comes again, nothing that it was not told is left
                            // out. (What it was told to be lost may come after all.)
                            let sub = &world.subs[at];
                            assert!(after >= sub.ledger.last_seq, "{after}: B3");
                            let untold = &sub.matched[sub.told..];
                            assert!(untold.iter().all(|seq| *seq > after), "{after}: B9");
                        }
                        world.drain(back);
                        world.check();
                        world.free(back);
                    }
                    world.free(at);
                }
            }
            world.check();
        }
    }
}

/// B4: the id of the last event before the oldest kept one works, the one before it has expired; and by age, to
/// the millisecond.
#[test]
fn b4_one_before_the_oldest_and_age_to_the_millisecond() {
    for policy in POLICIES {
        let mut world = World::new(Setup {
            log_events: 10,
            log_bytes: 8 << 20,
            resume: true,
        });
        let new = New {
            kind: 1,
            key: 1,
            size: 1,
        };
        for _ in 0..20 {
            world.publish(&[new]);
            world.step(&Op::Advance { ms: 10 });
        }
        // Event 20 is 10 ms old, event 11 is 100 ms old.
        let begin = Begin::After(Pos::Zero);
        for ms in [0, AGE_MS - 100, 1, 9, 1, 79, 1, 9, 1, AGE_MS] {
            world.step(&Op::Advance { ms });
            for seq in 0..=21 {
                let id = world.id(seq);
                world.subscribe_after(1, policy, begin, Some(id));
                let at = world.subs.len() - 1;
                world.check();
                world.drain(at);
                world.free(at);
            }
        }
        let id = world.id(20);
        assert_eq!(
            world.resolve(begin, Some(&id)),
            Ok(20),
            "the newest never expires"
        );
    }
}
