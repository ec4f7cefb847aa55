//! Promise B6: who joins, who waits, who is first and last. The guard's and the races' tests are beside.

mod guard;
mod races;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Poll, Wake, Waker};
use std::time::Duration;

use super::*;
use crate::bus::guard::{CleanupGuard, GUARD_LIMIT};
use crate::time::ClockDriver;

const SECOND: Duration = Duration::from_secs(1);

/// Counts its wakes.
#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// A newcomer with a waker of its own.
struct Newcomer {
    entry: Entry,
    wakes: Arc<Wakes>,
}

impl Newcomer {
    fn poll(&mut self) -> Poll<Result<Membership>> {
        self.entry.poll(&Waker::from(self.wakes.clone()))
    }
    fn is_waiting(&mut self) -> bool {
        self.poll().is_pending()
    }
    fn joined(&mut self) -> Membership {
        match self.poll() {
            Poll::Ready(Ok(membership)) => membership,
            Poll::Ready(Err(refused)) => panic!("refused: {refused}"),
            Poll::Pending => panic!("still waiting"),
        }
    }
    fn refused(&mut self) -> ErrorKind {
        match self.poll() {
            Poll::Ready(Err(refused)) => refused.kind(),
            _ => panic!("not refused"),
        }
    }
    fn wakes(&self) -> usize {
        self.wakes.0.load(Ordering::SeqCst)
    }
}

/// Audiences on a driven clock.
struct World {
    audiences: Audiences,
    clock: Clock,
    driver: ClockDriver,
}

impl World {
    fn new() -> Self {
        let (clock, driver) = Clock::driven();
        Self {
            audiences: Audiences::new(clock.clone()),
            clock,
            driver,
        }
    }
    /// A newcomer to `name` who has looked no time yet and waits for `wait` at most.
    fn newcomer(&self, name: &str, wait: Duration) -> Newcomer {
        let deadline_ns = self.clock.deadline_after(wait);
        let entry = self.audiences.enter(name, deadline_ns).unwrap();
        Newcomer {
            entry,
            wakes: Arc::default(),
        }
    }
    /// Joins `name` at once.
    fn join(&self, name: &str) -> Membership {
        self.newcomer(name, Duration::ZERO).joined()
    }
    /// The guard of an audience whose sole member it takes.
    fn guard(&self, name: &str) -> (Membership, CleanupGuard) {
        let member = self.join(name);
        let guard = member.guard(GUARD_LIMIT).unwrap();
        (member, guard)
    }
    /// A newcomer in the line of `name`.
    fn waiting(&self, name: &str, wait: Duration) -> Newcomer {
        let mut newcomer = self.newcomer(name, wait);
        assert!(newcomer.is_waiting());
        newcomer
    }
    fn rows(&self) -> usize {
        self.audiences.0.rows()
    }
    fn in_line(&self, name: &str) -> usize {
        self.audiences.0.in_line(name)
    }
}

#[test]
fn b6_first_and_last_alternate_and_each_membership_ends_once() {
    let world = World::new();
    for _ in 0..3 {
        let (a, b, other) = (world.join("x"), world.join("x"), world.join("y"));
        assert!(a.is_first() && !b.is_first() && other.is_first());
        assert_eq!(world.audiences.count("x"), 2);
        assert_eq!((a.leave(), a.leave()), (Some(false), None));
        drop(a);
        assert_eq!(world.audiences.count("x"), 1, "a double leave counts once");
        assert_eq!(b.leave(), Some(true));
        drop(other);
        assert_eq!(
            (world.audiences.count("x"), world.audiences.count("y")),
            (0, 0)
        );
        assert_eq!(world.rows(), 0);
    }
}

#[test]
fn b6_a_newcomer_joins_nothing_before_it_looks() {
    let world = World::new();
    let idle = world.newcomer("x", SECOND);
    assert_eq!(world.audiences.count("x"), 0);
    let member = world.join("x");
    assert!(member.is_first(), "who never looked is not before it");
    drop(idle);
    assert_eq!(member.leave(), Some(true));
}

#[test]
fn b6_dropping_a_membership_ends_it() {
    let world = World::new();
    drop(world.join("x"));
    assert_eq!((world.audiences.count("x"), world.rows()), (0, 0));
    assert!(world.join("x").is_first());
}

#[test]
fn b6_a_newcomer_is_answered_once() {
    let world = World::new();
    let mut newcomer = world.newcomer("x", SECOND);
    let member = newcomer.joined();
    assert_eq!(newcomer.refused(), ErrorKind::InvalidArgument);
    drop(newcomer);
    assert_eq!(world.audiences.count("x"), 1);
    assert_eq!(member.leave(), Some(true));
}

#[test]
fn b6_names_are_1_to_255_bytes() {
    let world = World::new();
    let kind = |name: &str| world.audiences.enter(name, 0).err().map(|e| e.kind());
    assert_eq!(kind(""), Some(ErrorKind::InvalidArgument));
    assert_eq!(kind(&"é".repeat(127)), None);
    assert_eq!(kind(&"é".repeat(128)), Some(ErrorKind::TooLarge));
    assert_eq!(world.join(&"n".repeat(255)).audience().len(), 255);
}

#[test]
fn b6_a_million_names_leave_no_row_behind() {
    let world = World::new();
    let mut members = Vec::new();
    for n in 0..1_000_000 {
        members.push(world.join(&n.to_string()));
        if members.len() == 1_000 {
            members.clear();
        }
    }
    members.clear();
    assert_eq!(world.rows(), 0);
    // Nor does what waited, was refused or gave up.
    let (_member, guard) = world.guard("x");
    let waiting = world.waiting("x", SECOND);
    assert_eq!(
        world.newcomer("x", Duration::ZERO).refused(),
        ErrorKind::AudienceBusy
    );
    drop((waiting, guard));
    assert_eq!(world.rows(), 0);
}

#[test]
fn b6_newcomers_join_in_order_the_earliest_as_first() {
    let world = World::new();
    let (_member, guard) = world.guard("x");
    let mut line: Vec<_> = (0..4).map(|_| world.waiting("x", 60 * SECOND)).collect();
    assert_eq!(world.in_line("x"), 4);
    drop(guard);
    assert!(line.iter().all(|newcomer| newcomer.wakes() == 1));
    // The others look before the head: they stay in line until it has had its turn.
    assert!(line[3].is_waiting() && line[1].is_waiting());
    let first = line[0].joined();
    assert!(first.is_first());
    assert_eq!(
        (line[1].wakes(), line[3].wakes()),
        (2, 2),
        "its joining lets them look again"
    );
    let rest = [line[3].joined(), line[1].joined(), line[2].joined()];
    assert!(rest.iter().all(|member| !member.is_first()));
    assert_eq!(world.audiences.count("x"), 4);
}

#[test]
fn b6_who_comes_while_the_head_has_its_turn_waits_behind_it() {
    let world = World::new();
    let (_member, guard) = world.guard("x");
    let mut head = world.waiting("x", 60 * SECOND);
    assert!(guard.release());
    let mut late = world.waiting("x", 60 * SECOND);
    assert_eq!(
        world.newcomer("x", Duration::ZERO).refused(),
        ErrorKind::AudienceBusy
    );
    let first = head.joined();
    assert!(first.is_first());
    assert_eq!(late.wakes(), 1);
    assert!(!late.joined().is_first());
}

#[test]
fn b6_a_head_that_does_not_look_loses_its_turn_but_nothing_else() {
    let world = World::new();
    let (_member, guard) = world.guard("x");
    let mut stuck = world.waiting("x", 60 * SECOND);
    let mut next = world.waiting("x", 60 * SECOND);
    drop(guard);
    assert!(next.is_waiting());
    world.driver.advance(SECOND - Duration::from_nanos(1));
    assert!(next.is_waiting());
    let woken = next.wakes();
    world.driver.advance(Duration::from_nanos(1));
    assert_eq!(next.wakes(), woken + 1, "by the timer");
    let first = next.joined();
    assert!(first.is_first());
    let late = stuck.joined();
    assert!(!late.is_first());
    assert_eq!(world.audiences.count("x"), 2);
}

#[test]
fn b6_dropping_a_waiting_newcomer_hands_its_turn_on() {
    let world = World::new();
    let (_member, guard) = world.guard("x");
    let head = world.waiting("x", 60 * SECOND);
    let middle = world.waiting("x", 60 * SECOND);
    let mut tail = world.waiting("x", 60 * SECOND);
    drop(middle);
    drop(guard);
    assert!(tail.is_waiting());
    drop(head);
    assert_eq!(tail.wakes(), 2, "once for the guard, once for the head");
    assert!(tail.joined().is_first());
    assert_eq!(world.rows(), 0, "its membership was dropped");
}

#[test]
fn b6_the_deadline_refuses_and_has_joined_nothing() {
    let world = World::new();
    let (member, guard) = world.guard("x");
    let mut newcomer = world.waiting("x", 5 * SECOND);
    world.driver.advance(5 * SECOND - Duration::from_nanos(1));
    assert_eq!(newcomer.wakes(), 0);
    world.driver.advance(Duration::from_nanos(1));
    assert_eq!(newcomer.wakes(), 1, "by its timer");
    assert_eq!(newcomer.refused(), ErrorKind::AudienceBusy);
    assert_eq!((world.audiences.count("x"), world.in_line("x")), (0, 0));
    assert!(guard.abort());
    assert_eq!(member.leave(), Some(true), "nobody else ever joined");
}

#[test]
fn b6_an_open_audience_is_joined_even_past_the_deadline() {
    let world = World::new();
    let (_member, guard) = world.guard("x");
    let mut newcomer = world.waiting("x", SECOND);
    drop(guard);
    world.driver.advance(5 * SECOND);
    assert!(newcomer.joined().is_first());
}

#[test]
fn b6_close_refuses_who_waits_and_who_comes_and_memberships_end_as_they_leave() {
    let world = World::new();
    let (guarded, guard) = world.guard("x");
    let mut waiting = world.waiting("x", 60 * SECOND);
    let (a, b) = (world.join("y"), world.join("y"));
    world.audiences.close();
    world.audiences.close();
    assert_eq!(waiting.wakes(), 1);
    assert_eq!(waiting.refused(), ErrorKind::Closed);
    assert_eq!(world.newcomer("z", SECOND).refused(), ErrorKind::Closed);
    assert_eq!(world.audiences.count("y"), 2);
    assert_eq!((a.leave(), b.leave()), (Some(false), Some(true)));
    assert!(guard.release());
    assert_eq!(guarded.leave(), None);
    assert_eq!(world.rows(), 0);
}
