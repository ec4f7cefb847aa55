//! Models of slots: release, cancel, take, lapse, close and leak against each other, on the memory store.
//!
//! A missed wake is a deadlock, which loom reports. *Catches* names the change to the code under which the model was
//! seen to fail.

use std::sync::Arc;
use std::time::Duration;

use loom::future::block_on;
use loom::thread;

use super::step::Step;
use super::store::{CLAIM, Ticket};
use super::wait::Wait;
use super::{
    Ask, Key, Limit, Outcome, PoolOptions, Refusal, Released, Slot, SlotPool, WaitOptions,
};
use crate::sync::check;
use crate::time::{Clock, ClockDriver};

const USER: Key<'static> = Key::new("user", "1");
const ACCOUNT: Key<'static> = Key::new("account", "2");

fn pool() -> (SlotPool, ClockDriver) {
    let (clock, driver) = Clock::driven();
    let options = PoolOptions {
        clock,
        ..PoolOptions::default()
    };
    (SlotPool::new(options).unwrap(), driver)
}

fn ask(key: Key<'static>) -> Ask<'static> {
    Ask {
        key,
        limit: Some(Limit::Of(1)),
    }
}

fn take(pool: &SlotPool, key: Key<'static>) -> Slot {
    pool.try_acquire(&[ask(key)], "").unwrap()
}

fn wait(pool: &SlotPool, keys: &[Key<'static>]) -> Arc<Wait> {
    let asks: Vec<_> = keys.iter().map(|&key| ask(key)).collect();
    let options = WaitOptions {
        ping_every: None,
        ..WaitOptions::default()
    };
    Arc::new(pool.wait(&asks, &options))
}

/// Looks, and sleeps until there is an end.
fn end_of(wait: &Arc<Wait>) -> Result<Slot, Refusal> {
    match block_on(wait.next()) {
        Step::Granted(slot) => Ok(slot),
        Step::Ended(refusal) => Err(refusal),
        Step::Ping => panic!("none was asked for"),
    }
}

fn stands(pool: &SlotPool, key: Key<'static>) -> (u32, u32) {
    let load = pool.load(&[key]).wait(None).unwrap()[0];
    (load.in_use, load.waiting)
}

/// A thread that gives back.
fn releaser(slot: Slot) -> thread::JoinHandle<Released> {
    thread::spawn(move || slot.release())
}

/// A release hands over to a thread that sleeps, or is about to.
///
/// Catches: a hand-over that does not ring; an offer that is rung before it is made; a poll that looks before it says
/// who waits.
#[test]
fn loom_a_release_wakes_who_waits() {
    check(3, || {
        let (pool, _) = pool();
        let held = take(&pool, USER);
        let wait = wait(&pool, &[USER]);
        let thread = releaser(held);
        let slot = end_of(&wait).unwrap();
        assert_eq!(thread.join().unwrap(), Released::Released);
        assert_eq!(stands(&pool, USER), (1, 0));
        drop(slot);
        assert_eq!(stands(&pool, USER), (0, 0));
    });
}

/// The same by a parked thread.
///
/// Catches: a `block` that looks before it begins to park.
#[test]
fn loom_a_release_wakes_a_parked_thread() {
    check(3, || {
        let (pool, _) = pool();
        let held = take(&pool, USER);
        let wait = wait(&pool, &[USER]);
        let thread = releaser(held);
        let Ok(Step::Granted(slot)) = wait.next_timeout(None) else {
            panic!("no slot");
        };
        thread.join().unwrap();
        drop(slot);
        assert_eq!(stands(&pool, USER), (0, 0));
    });
}

/// A cancel meets a hand-over: whoever is decided first, the unit is free or with its taker, and nobody waits.
///
/// Catches: an `end` that leaves an offer where it is; an offer to a wait that has ended which is kept all the same.
#[test]
fn loom_a_cancel_meets_a_release() {
    check(3, || {
        let (pool, _) = pool();
        let held = take(&pool, USER);
        let wait = wait(&pool, &[USER]);
        let thread = releaser(held);
        let canceller = {
            let wait = wait.clone();
            thread::spawn(move || wait.cancel(None))
        };
        thread.join().unwrap();
        canceller.join().unwrap();
        assert_eq!(end_of(&wait).unwrap_err().outcome(), Outcome::Cancelled);
        assert_eq!(stands(&pool, USER), (0, 0));
        drop(take(&pool, USER));
    });
}

/// A cancel meets the take of an offer: one of them wins, wholly.
///
/// Catches: a `look` that hands out what it saw before another ended the wait.
#[test]
fn loom_a_cancel_meets_a_take() {
    check(3, || {
        let (pool, _) = pool();
        let held = take(&pool, USER);
        let wait = wait(&pool, &[USER]);
        held.release();
        let canceller = {
            let wait = wait.clone();
            thread::spawn(move || wait.cancel(None))
        };
        let answer = end_of(&wait);
        canceller.join().unwrap();
        match answer {
            Ok(slot) => {
                assert_eq!(stands(&pool, USER), (1, 0));
                assert_eq!(slot.release(), Released::Released);
            }
            Err(refusal) => assert_eq!(refusal.outcome(), Outcome::Cancelled),
        }
        assert_eq!(stands(&pool, USER), (0, 0));
    });
}

/// A cancel from elsewhere while the owner goes on to its next key: the queue keeps no ticket that nobody waits on.
///
/// Catches: a `send` that does not look whether its wait has ended meanwhile.
#[test]
fn loom_a_cancel_meets_the_next_key() {
    check(3, || {
        let (pool, _) = pool();
        let (user, account) = (take(&pool, USER), take(&pool, ACCOUNT));
        let wait = wait(&pool, &[USER, ACCOUNT]);
        user.release();
        let canceller = {
            let wait = wait.clone();
            thread::spawn(move || wait.cancel(None))
        };
        let step = wait.try_next();
        assert!(!matches!(step, Some(Step::Granted(_))));
        canceller.join().unwrap();
        assert_eq!(end_of(&wait).unwrap_err().outcome(), Outcome::Cancelled);
        assert_eq!(stands(&pool, USER), (0, 0));
        assert_eq!(stands(&pool, ACCOUNT), (1, 0));
        drop(account);
    });
}

/// Two releases and two who wait: each gets one.
///
/// Catches: a hand-over that ends after one offer when more is free; a ring that is lost on the way.
#[test]
fn loom_two_releases_reach_two_waits() {
    check(2, || {
        let (pool, _) = pool();
        let two = [Ask::new("user", "1", Limit::Of(2))];
        let options = WaitOptions {
            ping_every: None,
            ..WaitOptions::default()
        };
        let slots = [0, 1].map(|_| pool.try_acquire(&two, "").unwrap());
        let waits = [0, 1].map(|_| Arc::new(pool.wait(&two, &options)));
        let threads = slots.map(releaser);
        for wait in &waits {
            drop(end_of(wait).unwrap());
        }
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!(stands(&pool, USER), (0, 0));
        drop(take(&pool, USER));
    });
}

/// A newcomer tries while a release hands over: it never gets what is due to who waits.
///
/// Catches: an `admit` that does not look at the queue; a hand-over that unlocks between the unit and the offer.
#[test]
fn loom_a_newcomer_does_not_overtake() {
    check(3, || {
        let (pool, _) = pool();
        let held = take(&pool, USER);
        let wait = wait(&pool, &[USER]);
        let thread = releaser(held);
        let newcomer = pool.try_acquire(&[ask(USER)], "");
        assert_eq!(newcomer.unwrap_err().outcome(), Outcome::Busy);
        thread.join().unwrap();
        drop(end_of(&wait).unwrap());
        drop(take(&pool, USER));
    });
}

/// A close meets a wait that joins: it is told, or had its slot; nobody is left in a queue.
///
/// Catches: an `acquire` that looks whether the pool is closed before it locks; a `close` that refuses before it says
/// that it is closed.
#[test]
fn loom_a_close_meets_a_newcomer() {
    check(3, || {
        let (pool, _) = pool();
        let held = take(&pool, USER);
        let closer = {
            let pool = pool.clone();
            thread::spawn(move || pool.close())
        };
        let wait = wait(&pool, &[USER]);
        assert_eq!(end_of(&wait).unwrap_err().outcome(), Outcome::Closed);
        closer.join().unwrap();
        assert_eq!(held.release(), Released::Released);
        assert_eq!(stands(&pool, USER), (0, 0));
    });
}

/// A slot is leaked while the pool closes and another call reaps: it is released and counted once.
///
/// Catches: `leak` or `close` without its fence; a `leak` that does not look whether the pool is closed.
#[test]
fn loom_a_leak_meets_a_close_and_a_reap() {
    check(3, || {
        let (pool, _) = pool();
        let slot = take(&pool, USER);
        let leaker = thread::spawn(move || slot.leak());
        let closer = {
            let pool = pool.clone();
            thread::spawn(move || pool.close())
        };
        pool.core.shared.reap_leaks();
        leaker.join().unwrap();
        closer.join().unwrap();
        // Nothing reaps any more but what is looked at here.
        assert_eq!(pool.core.shared.leaked(), 1);
        assert_eq!(
            pool.core.store.load(&[USER]).wait(None).unwrap()[0].in_use,
            0
        );
    });
}

/// Two leaks and a reap: the list loses none.
///
/// Catches: a push that does not try again; a `take` of the first alone.
#[test]
fn loom_two_leaks_meet_a_reap() {
    check(3, || {
        let (pool, _) = pool();
        let slots = [take(&pool, USER), take(&pool, ACCOUNT)];
        let threads = slots.map(|slot| thread::spawn(move || slot.leak()));
        pool.core.shared.reap_leaks();
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!(pool.leaked(), 2);
        assert_eq!(
            (stands(&pool, USER), stands(&pool, ACCOUNT)),
            ((0, 0), (0, 0))
        );
    });
}

/// A slot is taken away while it is released, and somebody watches: one of them frees the unit, both are told.
///
/// Catches: a `lose` that does not look whether the unit is held; a loss that takes the count down a second time.
#[test]
fn loom_a_force_meets_a_release() {
    check(3, || {
        let (pool, _) = pool();
        let slot = Arc::new(take(&pool, USER));
        let id = pool.holders(USER).wait(None).unwrap()[0].id;
        let next = wait(&pool, &[USER]);
        let forcer = {
            let pool = pool.clone();
            thread::spawn(move || pool.force(USER, id).wait(None).unwrap())
        };
        let released = slot.release();
        let forced = forcer.join().unwrap();
        let expected = if forced {
            Released::Lost
        } else {
            Released::Released
        };
        assert_eq!(released, expected);
        assert_eq!(slot.release(), Released::Already);
        drop(end_of(&next).unwrap());
        assert_eq!(stands(&pool, USER), (0, 0));
    });
}

/// Who watches a slot is woken by its loss.
///
/// Catches: a `watch` of a lost unit that wakes nobody; an `until_lost` that looks before it says who waits.
#[test]
fn loom_a_loss_wakes_who_watches() {
    check(3, || {
        let (pool, _) = pool();
        let slot = take(&pool, USER);
        let id = pool.holders(USER).wait(None).unwrap()[0].id;
        let forcer = {
            let pool = pool.clone();
            thread::spawn(move || pool.force(USER, id).wait(None).unwrap())
        };
        assert_eq!(block_on(slot.until_lost()), Some(super::LostReason::Forced));
        assert!(forcer.join().unwrap());
        assert_eq!(slot.release(), Released::Lost);
    });
}

/// Who sleeps on the source that another thread is making is woken by a release.
///
/// Catches: a `watch` that does not look whether there was a release while it was made.
#[test]
fn loom_a_release_meets_two_who_watch() {
    check(3, || {
        let (pool, _) = pool();
        let slot = Arc::new(take(&pool, USER));
        let (watched, released) = (slot.clone(), slot.clone());
        let watcher = thread::spawn(move || drop(watched.watch().clone()));
        let releaser = thread::spawn(move || released.release());
        assert_eq!(slot.wait_lost(None).unwrap(), None);
        watcher.join().unwrap();
        assert_eq!(releaser.join().unwrap(), Released::Released);
    });
}

/// Double releases: one is told that it did it.
///
/// Catches: a `remove` that does not compare generations.
#[test]
fn loom_two_releases_of_one_slot() {
    check(3, || {
        let (pool, _) = pool();
        let slot = Arc::new(take(&pool, USER));
        let other = {
            let slot = slot.clone();
            thread::spawn(move || slot.release())
        };
        let mut answers = [slot.release(), other.join().unwrap()];
        answers.sort_by_key(|answer| *answer as u8);
        assert_eq!(answers, [Released::Released, Released::Already]);
        assert_eq!(stands(&pool, USER), (0, 0));
    });
}

/// An owner looks as its offer lapses: it has the slot, or the next in line has.
///
/// Catches: a `lapse` that takes the unit without asking the wait; a `take_back` of an offer that was taken.
#[test]
fn loom_a_look_meets_a_lapse() {
    check(2, || {
        let (pool, driver) = pool();
        let held = take(&pool, USER);
        let (first, next) = (wait(&pool, &[USER]), wait(&pool, &[USER]));
        held.release();
        let lapser = thread::spawn(move || driver.advance(CLAIM));
        match first.try_next() {
            Some(Step::Granted(slot)) => {
                assert!(next.try_next().is_none());
                slot.release();
                lapser.join().unwrap();
                drop(end_of(&next).unwrap());
            }
            Some(other) => panic!("{other:?}"),
            None => {
                lapser.join().unwrap();
                drop(end_of(&next).unwrap());
                drop(end_of(&first).unwrap());
            }
        }
        assert_eq!(stands(&pool, USER), (0, 0));
    });
}

/// The same by the store's own command, with a cancel in place of a look.
///
/// Catches: a `lapse` that puts a ticket back that nobody waits on.
#[test]
fn loom_a_cancel_meets_a_lapse() {
    check(3, || {
        let (pool, _) = pool();
        let held = take(&pool, USER);
        let first = wait(&pool, &[USER]);
        held.release();
        let (ticket, grant) = first.core().offered().unwrap();
        let lapser = {
            let pool = pool.clone();
            thread::spawn(move || {
                let ticket: Arc<dyn Ticket> = ticket;
                pool.core.store.lapse(&ticket, &grant);
            })
        };
        first.cancel(None);
        lapser.join().unwrap();
        assert_eq!(end_of(&first).unwrap_err().outcome(), Outcome::Cancelled);
        assert_eq!(stands(&pool, USER), (0, 0));
    });
}

/// A deadline meets a release: a wait that was offered a unit does not time out, and one that timed out keeps none.
///
/// Catches: a `fire` that ends a wait which was offered a unit; an offer to a wait that is ending.
#[test]
fn loom_a_deadline_meets_a_release() {
    check(2, || {
        let (pool, driver) = pool();
        let held = take(&pool, USER);
        let wait = wait(&pool, &[USER]);
        let clock = thread::spawn(move || driver.advance(Duration::from_secs(30)));
        held.release();
        clock.join().unwrap();
        match end_of(&wait) {
            Ok(slot) => {
                assert_eq!(stands(&pool, USER), (1, 0));
                drop(slot);
            }
            Err(refusal) => assert_eq!(refusal.outcome(), Outcome::TimedOut),
        }
        assert_eq!(stands(&pool, USER), (0, 0));
    });
}

/// A pool whose waits and slots raced is freed with all that is in it.
///
/// Catches: a ticket that stays in its wait, or in a queue, after the end.
#[test]
fn loom_all_is_freed() {
    check(2, || {
        let (pool, _) = pool();
        let weak = Arc::downgrade(&pool.core);
        let held = take(&pool, USER);
        let wait = wait(&pool, &[USER, ACCOUNT]);
        let thread = releaser(held);
        let step = wait.try_next();
        drop((step, wait));
        thread.join().unwrap();
        drop(pool);
        assert!(weak.upgrade().is_none(), "something keeps the pool");
    });
}
