//! Models of an audience: first, last, cleanup guard, newcomers in line.
//!
//! *Catches* names the change to the code under which the model was seen to fail.

use std::sync::Arc;
use std::task::{Poll, Waker};
use std::time::Duration;

use loom::thread;

use super::{Audiences, Membership};
use crate::bus::CleanupGuard;
use crate::error::ErrorKind;
use crate::sync::{AtomicU64, Ordering, check};
use crate::time::{Clock, ClockDriver};

const LIMIT: Duration = Duration::from_secs(30);

/// What the members of an audience share: set up by the first, torn down after the last.
struct Shared {
    audiences: Audiences,
    clock: ClockDriver,
    /// How many were told that they are the first, and how many that they were the last.
    firsts: AtomicU64,
    lasts: AtomicU64,
    /// A tear-down is under way.
    cleaning: AtomicU64,
}

impl Shared {
    fn new() -> Arc<Self> {
        let (clock, driver) = Clock::driven();
        Arc::new(Self {
            audiences: Audiences::new(clock),
            clock: driver,
            firsts: AtomicU64::new(0),
            lasts: AtomicU64::new(0),
            cleaning: AtomicU64::new(0),
        })
    }

    fn enter(&self) -> super::Entry {
        self.audiences.enter("a", u64::MAX).unwrap()
    }

    fn join(&self) -> Membership {
        self.joined(self.enter().wait().unwrap())
    }

    fn joined(&self, member: Membership) -> Membership {
        if member.is_first() {
            self.firsts.fetch_add(1, Ordering::Relaxed);
        }
        member
    }

    fn leave(&self, member: &Membership) {
        if member.leave() == Some(true) {
            self.lasts.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Tears down under a guard, if `member` is the sole one.
    fn guard(&self, member: &Membership) -> Option<CleanupGuard> {
        let guard = member.guard(LIMIT)?;
        self.lasts.fetch_add(1, Ordering::Relaxed);
        Some(guard)
    }

    /// One last for each first, and nothing is left.
    fn assert_over(&self) {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        assert_eq!(count(&self.firsts), count(&self.lasts));
        assert_eq!(self.audiences.count("a"), 0);
        assert_eq!(self.audiences.0.rows(), 0);
        assert_eq!(self.audiences.0.in_line("a"), 0);
    }
}

fn spawn<T: 'static>(
    shared: &Arc<Shared>,
    run: impl FnOnce(&Shared) -> T + 'static,
) -> thread::JoinHandle<T> {
    let shared = shared.clone();
    thread::spawn(move || run(&shared))
}

fn comes_and_goes(shared: &Shared) {
    let member = shared.join();
    assert_eq!(shared.cleaning.load(Ordering::Relaxed), 0);
    shared.leave(&member);
}

/// The plain case, with the most threads.
#[test]
fn loom_each_first_has_its_last() {
    check(4, || {
        let shared = Shared::new();
        let threads: [_; 3] = std::array::from_fn(|_| spawn(&shared, comes_and_goes));
        for thread in threads {
            thread.join().unwrap();
        }
        shared.assert_over();
    });
}

/// A membership ends once, whoever ends it.
///
/// Catches: a `leave` after a guard that ends the membership again.
#[test]
fn loom_a_membership_ends_once() {
    check(5, || {
        let shared = Shared::new();
        let member = Arc::new(shared.join());
        let threads: [_; 2] = std::array::from_fn(|_| {
            let member = member.clone();
            spawn(&shared, move |shared| shared.leave(&member))
        });
        let guard = shared.guard(&member);
        for thread in threads {
            thread.join().unwrap();
        }
        drop(guard);
        shared.assert_over();
    });
}

/// Nobody is a member while the sole one tears down, and whoever waited joins after it, one as the first.
///
/// Catches: a guard for one of several members; a `reopen` that wakes nobody.
#[test]
fn loom_newcomers_wait_for_the_guard() {
    check(4, || {
        let shared = Shared::new();
        let member = shared.join();
        let threads: [_; 2] = std::array::from_fn(|_| spawn(&shared, comes_and_goes));
        match shared.guard(&member) {
            Some(guard) => {
                shared.cleaning.store(1, Ordering::Relaxed);
                shared.cleaning.store(0, Ordering::Relaxed);
                assert!(guard.release());
            }
            None => shared.leave(&member),
        }
        for thread in threads {
            thread.join().unwrap();
        }
        shared.assert_over();
    });
}

/// A guard that is given back revives the membership, unless its subscription has gone meanwhile.
///
/// Catches: an `abort` that revives a membership whose subscription has gone.
#[test]
fn loom_a_guard_is_given_back() {
    check(5, || {
        let shared = Shared::new();
        let member = Arc::new(shared.join());
        let guard = shared.guard(&member).unwrap();
        let closes = {
            let member = member.clone();
            spawn(&shared, move |shared| shared.leave(&member))
        };
        let comes = spawn(&shared, comes_and_goes);
        if guard.abort() {
            // The membership that was reported as the last goes on.
            shared.lasts.fetch_sub(1, Ordering::Relaxed);
        }
        closes.join().unwrap();
        comes.join().unwrap();
        shared.assert_over();
    });
}

/// Who came earliest to the guard is the first after it, however the others race.
///
/// Catches: a line that admits whoever looks first.
#[test]
fn loom_the_earliest_newcomer_is_the_first() {
    check(4, || {
        let shared = Shared::new();
        let member = shared.join();
        let guard = shared.guard(&member).unwrap();
        let (mut head, mut second) = (shared.enter(), shared.enter());
        assert!(head.poll(Waker::noop()).is_pending());
        assert!(second.poll(Waker::noop()).is_pending());
        let releases = thread::spawn(move || guard.release());
        let follows = thread::spawn(move || second.wait().unwrap());
        let first = shared.joined(head.wait().unwrap());
        assert!(first.is_first());
        let second = follows.join().unwrap();
        assert!(!second.is_first());
        assert!(releases.join().unwrap());
        shared.leave(&first);
        shared.leave(&second);
        shared.assert_over();
    });
}

/// The head of the line gives up as the guard ends: the next one joins in its place.
///
/// Catches: an `unqueue` that keeps the turn.
#[test]
fn loom_whoever_gives_up_passes_its_turn_on() {
    check(5, || {
        let shared = Shared::new();
        let member = shared.join();
        let guard = shared.guard(&member).unwrap();
        let mut head = shared.enter();
        assert!(head.poll(Waker::noop()).is_pending());
        let comes = spawn(&shared, comes_and_goes);
        let releases = thread::spawn(move || guard.release());
        drop(head);
        assert!(releases.join().unwrap());
        comes.join().unwrap();
        shared.assert_over();
    });
}

/// The limit of a guard passes while it is released: a newcomer joins once, and the holder is told the truth.
///
/// Catches: a look that does not end a guard over its limit.
#[test]
fn loom_a_guard_over_its_limit_holds_nobody_up() {
    check(5, || {
        let shared = Shared::new();
        let member = shared.join();
        let guard = shared.guard(&member).unwrap();
        let comes = spawn(&shared, comes_and_goes);
        let ticks = spawn(&shared, |shared| shared.clock.advance(LIMIT));
        comes.join().unwrap();
        ticks.join().unwrap();
        assert!(guard.is_expired());
        assert!(!guard.release(), "a newcomer joined before");
        shared.assert_over();
    });
}

/// A guard that is over its limit was followed by a member, and that one's own guard: ending the old one admits
/// nobody to the new one's tear-down.
///
/// Catches: an `end_guard` that does not ask whose guard is out.
#[test]
fn loom_an_expired_guard_ends_no_other() {
    check(4, || {
        let shared = Shared::new();
        let member = shared.join();
        let expired = shared.guard(&member).unwrap();
        shared.clock.advance(LIMIT);
        let cleans = spawn(&shared, |shared| {
            let member = shared.join();
            if let Some(guard) = shared.guard(&member) {
                shared.cleaning.store(1, Ordering::Relaxed);
                shared.cleaning.store(0, Ordering::Relaxed);
                assert!(guard.release());
            } else {
                shared.leave(&member);
            }
        });
        let comes = spawn(&shared, comes_and_goes);
        drop(expired);
        cleans.join().unwrap();
        comes.join().unwrap();
        shared.assert_over();
    });
}

/// Catches: a `close` that wakes nobody.
#[test]
fn loom_a_close_wakes_the_line() {
    check(5, || {
        let shared = Shared::new();
        let member = shared.join();
        let guard = shared.guard(&member).unwrap();
        let waits = spawn(&shared, |shared| shared.enter().wait().err());
        shared.audiences.close();
        let refused = waits.join().unwrap().unwrap();
        assert_eq!(refused.kind(), ErrorKind::Closed);
        drop(guard);
        shared.assert_over();
    });
}

/// A newcomer that is polled, woken and polled again: as a future on a loop.
///
/// Catches: a `reopen` that wakes nobody.
#[test]
fn loom_a_newcomer_that_is_polled_misses_no_wake() {
    check(5, || {
        let shared = Shared::new();
        let member = shared.join();
        let guard = shared.guard(&member).unwrap();
        let releases = thread::spawn(move || guard.release());
        let mut entry = shared.enter();
        let answer = std::future::poll_fn(|cx| match entry.poll(cx.waker()) {
            Poll::Ready(answer) => Poll::Ready(answer.unwrap()),
            Poll::Pending => Poll::Pending,
        });
        let member = shared.joined(loom::future::block_on(answer));
        assert!(member.is_first());
        assert!(releases.join().unwrap());
        shared.leave(&member);
        shared.assert_over();
    });
}
