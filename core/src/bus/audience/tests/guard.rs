//! The cleanup guard.

use super::*;

#[test]
fn b6_guard_is_for_the_sole_member_only() {
    let world = World::new();
    let (a, b) = (world.join("x"), world.join("x"));
    assert!(a.guard(GUARD_LIMIT).is_none(), "two members");
    assert_eq!(b.leave(), Some(false));
    assert!(b.guard(GUARD_LIMIT).is_none(), "not a member any more");
    let guard = a.guard(GUARD_LIMIT).unwrap();
    assert!(a.guard(GUARD_LIMIT).is_none(), "it is out");
    assert_eq!(guard.audience(), "x");
    assert_eq!(a.leave(), None, "the guard reported the last");
    assert_eq!(world.audiences.count("x"), 0);
    assert!(guard.release());
    assert!(a.guard(GUARD_LIMIT).is_none(), "zero members");
    assert_eq!(world.rows(), 0);
}

#[test]
fn b6_guard_holds_up_its_own_audience_only() {
    let world = World::new();
    let (_member, _guard) = world.guard("x");
    let _waiting = world.waiting("x", 60 * SECOND);
    assert!(world.join("y").is_first());
    let (_other, guard) = world.guard("z");
    assert!(guard.release());
}

#[test]
fn b6_abort_gives_the_membership_back_and_newcomers_are_not_first() {
    let world = World::new();
    let (member, guard) = world.guard("x");
    let mut newcomers = [
        world.waiting("x", 60 * SECOND),
        world.waiting("x", 60 * SECOND),
    ];
    assert!(guard.abort());
    assert_eq!(world.audiences.count("x"), 1);
    assert!(newcomers.iter().all(|newcomer| newcomer.wakes() == 1));
    // Not first: they need not wait for each other.
    let [a, b] = &mut newcomers;
    let (b, a) = (b.joined(), a.joined());
    assert!(!a.is_first() && !b.is_first());
    assert_eq!(
        (member.leave(), a.leave(), b.leave()),
        (Some(false), Some(false), Some(true))
    );
}

#[test]
fn b6_guard_may_be_taken_again_after_an_abort() {
    let world = World::new();
    let (member, guard) = world.guard("x");
    assert!(guard.abort());
    let again = member.guard(GUARD_LIMIT).unwrap();
    assert!(again.release());
    assert_eq!(member.leave(), None);
}

#[test]
fn b6_abort_after_the_subscription_closed_gives_nothing_back() {
    let world = World::new();
    let (member, guard) = world.guard("x");
    let mut newcomer = world.waiting("x", 60 * SECOND);
    drop(member);
    assert!(!guard.abort());
    assert!(newcomer.joined().is_first());
}

#[test]
fn b6_who_was_woken_by_an_abort_is_first_if_the_member_leaves_before_it_looks() {
    let world = World::new();
    let (member, guard) = world.guard("x");
    let mut slow = [
        world.waiting("x", 60 * SECOND),
        world.waiting("x", 60 * SECOND),
    ];
    assert!(guard.abort());
    world.driver.advance(2 * SECOND);
    assert_eq!(member.leave(), Some(true));
    assert!(slow[1].is_waiting(), "the head's turn begins only now");
    let first = slow[0].joined();
    assert!(first.is_first() && !slow[1].joined().is_first());
}

#[test]
fn b6_guard_may_be_taken_while_woken_newcomers_have_not_looked() {
    let world = World::new();
    let (member, guard) = world.guard("x");
    let mut slow = world.waiting("x", 60 * SECOND);
    assert!(guard.abort());
    let guard = member.guard(GUARD_LIMIT).unwrap();
    assert!(slow.is_waiting(), "it had joined nothing");
    drop(guard);
    assert!(slow.joined().is_first());
}

#[test]
fn b6_guard_over_its_limit_admits_newcomers_as_first_and_tells_its_holder() {
    let world = World::new();
    let (member, guard) = world.guard("x");
    let mut newcomers = [
        world.waiting("x", 60 * SECOND),
        world.waiting("x", 60 * SECOND),
    ];
    world.driver.advance(GUARD_LIMIT - Duration::from_nanos(1));
    assert!(!guard.is_expired() && newcomers[0].is_waiting());
    world.driver.advance(Duration::from_nanos(1));
    assert!(guard.is_expired());
    assert_eq!(
        (newcomers[0].wakes(), newcomers[1].wakes()),
        (1, 1),
        "by their timers"
    );
    let first = newcomers[0].joined();
    assert!(first.is_first() && !newcomers[1].joined().is_first());
    assert_eq!(
        world.audiences.count("x"),
        1,
        "the second one was dropped again"
    );
    assert!(!guard.release(), "not in force any more");
    assert_eq!(world.audiences.count("x"), 1, "and its end disturbs nobody");
    assert_eq!((member.leave(), first.leave()), (None, Some(true)));
}

#[test]
fn b6_expired_guard_does_not_end_the_guard_that_followed_it() {
    let world = World::new();
    let (_member, old) = world.guard("x");
    world.driver.advance(GUARD_LIMIT);
    let (_second, new) = world.guard("x");
    assert!(old.is_expired() && !new.is_expired());
    drop(old);
    let mut waiting = world.waiting("x", 60 * SECOND);
    assert!(new.release());
    assert!(waiting.joined().is_first());
}

#[test]
fn b6_abort_after_the_limit_gives_nothing_back() {
    let world = World::new();
    let (member, guard) = world.guard("x");
    let mut newcomer = world.waiting("x", 60 * SECOND);
    world.driver.advance(GUARD_LIMIT);
    // Nobody has looked: time alone decides.
    assert!(!guard.abort());
    assert_eq!(world.audiences.count("x"), 0);
    assert!(newcomer.joined().is_first());
    assert_eq!(member.leave(), None);
    let (_member, guard) = world.guard("y");
    world.driver.advance(GUARD_LIMIT);
    let first = world.join("y");
    assert!(first.is_first());
    assert!(!guard.abort());
    assert_eq!(world.audiences.count("y"), 1);
}

#[test]
fn b6_expired_guard_that_nobody_met_leaves_no_row() {
    let world = World::new();
    let (_member, guard) = world.guard("x");
    world.driver.advance(GUARD_LIMIT);
    assert_eq!(world.rows(), 1);
    assert!(!guard.release());
    assert_eq!(world.rows(), 0);
}

#[test]
fn b6_guard_with_a_limit_of_its_own() {
    let world = World::new();
    let member = world.join("x");
    let guard = member.guard(Duration::MAX).unwrap();
    world.driver.advance(GUARD_LIMIT * 1_000);
    assert!(!guard.is_expired());
    assert!(guard.release());
    let member = world.join("x");
    let guard = member.guard(Duration::ZERO).unwrap();
    assert!(guard.is_expired());
    assert!(world.join("x").is_first());
    assert_eq!(
        format!("{guard:?}"),
        "CleanupGuard { audience: \"x\", expired: true, .. }"
    );
}

#[test]
fn b6_waiting_at_limit_and_deadline_at_once_joins() {
    let world = World::new();
    let (_member, _guard) = world.guard("x");
    let mut newcomer = world.waiting("x", GUARD_LIMIT);
    world.driver.advance(GUARD_LIMIT);
    assert!(newcomer.joined().is_first());
}
