//! Models of an event's reference word: lent and given back, cloned and dropped, retired while any of that
//! goes on, and the account of its texts.
//!
//! The block is allocated and freed through loom, which reports a leak and a second free, and every look at
//! its header is checked to be ordered before the free. *Catches* names the change to the code under which
//! the model was seen to fail.

use std::sync::Arc;

use loom::thread;

use super::{Draft, Event, EventId, LogRef, NewEvent, Shares};
use crate::sync::{AtomicI64, Mutex, Ordering, check};

/// One slot of a log, its lock, and the log's account of texts.
struct Slot {
    held: Mutex<(Option<LogRef>, i32)>,
    texts: AtomicI64,
}

impl Slot {
    fn new() -> Arc<Self> {
        let id = EventId { epoch: 1, seq: 1 };
        let log = Draft::new(&NewEvent::text("k", "x"), || 0)
            .unwrap()
            .seal(id, 0);
        Arc::new(Self {
            held: Mutex::new((Some(log), 0)),
            texts: AtomicI64::new(0),
        })
    }

    fn lend(&self) -> Option<Event> {
        let mut held = self.held.lock();
        let event = held.0.as_ref()?.lend();
        held.1 += 1;
        Some(event)
    }

    fn give_back(&self, event: Event) {
        let mut held = self.held.lock();
        if held.0.is_some() {
            std::mem::forget(event);
            held.1 -= 1;
        } else {
            drop(held);
            drop(event);
        }
    }

    fn evict(&self) {
        let mut held = self.held.lock();
        let log = held.0.take().unwrap();
        let lent = held.1;
        drop(held);
        let texts = log.retire(lent);
        self.texts.fetch_sub(texts, Ordering::Relaxed);
    }

    fn text(&self, event: &Event, form: usize) {
        let grown = |bytes| {
            self.texts.fetch_add(bytes, Ordering::Relaxed);
        };
        let text = event.text_in(form, |event| event.kind().as_bytes().into(), grown);
        assert_eq!(text, b"k");
    }
}

fn use_up(event: Event) {
    assert_eq!(event.id().seq, 1);
    drop(event);
}

/// Readers drop what they were lent, or give it back, while the log lets go.
///
/// Catches: a `release` that is not Release, or has no Acquire; a `retire` that forgets what is lent.
#[test]
fn loom_the_last_one_frees_the_block() {
    check(3, || {
        let slot = Slot::new();
        let drops = {
            let slot = slot.clone();
            thread::spawn(move || slot.lend().map(use_up))
        };
        let gives_back = {
            let slot = slot.clone();
            thread::spawn(move || {
                if let Some(event) = slot.lend() {
                    assert_eq!(event.kind(), "k");
                    slot.give_back(event);
                }
            })
        };
        slot.evict();
        drops.join().unwrap();
        gives_back.join().unwrap();
    });
}

/// A clone may be given back too: the log's account of what it lent goes below zero.
///
/// Catches: a `retire` that takes an account below zero for zero.
#[test]
fn loom_a_clone_may_be_given_back() {
    check(3, || {
        let slot = Slot::new();
        let lent = slot.lend().unwrap();
        let reader = {
            let (slot, event) = (slot.clone(), lent.clone());
            thread::spawn(move || slot.give_back(event))
        };
        let other = {
            let event = lent.clone();
            thread::spawn(move || use_up(event))
        };
        slot.give_back(lent);
        slot.evict();
        reader.join().unwrap();
        other.join().unwrap();
    });
}

/// A fan-out raises the count once and hands references out, while the log lets go.
///
/// Catches: `Shares` that forget what is left, or what was put back.
#[test]
fn loom_shares_are_counted_once_each() {
    check(3, || {
        let slot = Slot::new();
        let event = slot.lend().unwrap();
        let evicts = {
            let slot = slot.clone();
            thread::spawn(move || slot.evict())
        };
        let mut shares = Shares::new(&event, 3);
        let readers: Vec<_> = (0..2)
            .filter_map(|_| shares.take())
            .map(|event| thread::spawn(move || use_up(event)))
            .collect();
        let refused = shares.take().unwrap();
        shares.put_back(refused);
        drop(event);
        drop(shares);
        for reader in readers {
            reader.join().unwrap();
        }
        evicts.join().unwrap();
    });
}

/// Two readers ask for texts, one of which is the same, while the log lets go: each is made once, and the account
/// returns to zero, though a reader drops what it was lent before the other asks.
///
/// Catches: a `note_text` that reckons with the log after it let go, or takes a loan that was dropped for that.
#[test]
fn loom_the_account_of_texts_returns_to_zero() {
    check(3, || {
        let slot = Slot::new();
        let readers: [_; 2] = std::array::from_fn(|own_form| {
            let (slot, event) = (slot.clone(), slot.lend().unwrap());
            thread::spawn(move || {
                slot.text(&event, own_form);
                slot.text(&event, 2);
                drop(event);
            })
        });
        slot.evict();
        for reader in readers {
            reader.join().unwrap();
        }
        assert_eq!(slot.texts.load(Ordering::Relaxed), 0);
    });
}
