//! A forked child: what it inherited of slots says so, or does nothing, and never waits for what only its parent can do.
//! The only test of its process, so that no other thread is in the middle of anything as it forks.

#![cfg(all(not(loom), unix))]

mod common;

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use common::slots::{patient, pool, stands, user};
use reqbus_core::ErrorKind;
use reqbus_core::slots::{Released, Slot};

/// Whether all of it holds in a child.
fn in_child(holds: impl FnOnce() -> bool) -> bool {
    // SAFETY: the child runs what follows on this one thread, and ends without a destructor of the parent's.
    let child = unsafe { libc::fork() };
    assert!(child >= 0);
    if child == 0 {
        let code = i32::from(!holds());
        // SAFETY: it ends the child, here and now.
        unsafe { libc::_exit(code) };
    }
    let mut status = 0;
    // SAFETY: `status` is a valid place for a write.
    let waited = unsafe { libc::waitpid(child, &mut status, 0) };
    waited == child && libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0
}

fn is_forked(joined: reqbus_core::error::Result<()>) -> bool {
    joined.is_err_and(|error| error.kind() == ErrorKind::Forked)
}

/// Whether a wait for the loss of a slot ends at once.
fn ends_at_once(slot: &Slot) -> bool {
    let mut future = pin!(slot.until_lost());
    let polled = future
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()));
    polled == Poll::Ready(None)
}

#[test]
fn s2_a_child_takes_nothing_of_its_parents_and_loses_nothing_of_its_own() {
    let (own, _driver) = pool();
    let asks = [user("1", 2), user("2", 1)];
    let mut slot = own.try_acquire(&asks[0], "").unwrap();
    let _held = own.try_acquire(&asks[1], "").unwrap();
    let wait = own.wait(&asks[1], &patient());
    let child = in_child(|| {
        let (new, _driver) = pool();
        let mut fresh = new.try_acquire(&asks[0], "").unwrap();
        let is_kept = is_forked(fresh.join(&mut slot))
            && is_forked(slot.join(&mut fresh))
            && stands(&new, "user", "1") == (1, 0)
            && fresh.release() == Released::Released;
        let shown = format!("{slot:?} {wait:?}");
        is_kept
            && ends_at_once(&slot)
            && slot.release() == Released::Already
            && shown.contains("forked")
    });
    assert!(child);
    assert_eq!(stands(&own, "user", "1"), (1, 0));
    assert_eq!(slot.release(), Released::Released);
}
