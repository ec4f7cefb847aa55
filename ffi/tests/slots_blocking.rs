//! Threads that block in a call on slots, and how others end it: what must be done before a handle is freed.

use std::ptr::{null, null_mut};
use std::sync::atomic::{AtomicUsize, Ordering};

use reqbus::reqbus_status::*;
use reqbus::*;

/// Handles that threads share, as the header allows.
struct Shared {
    pool: *mut reqbus_pool,
    slot: *mut reqbus_slot,
    wait: *mut reqbus_wait,
}

// SAFETY: what the header says of handles: any thread, at any time.
unsafe impl Sync for Shared {}

fn ask() -> reqbus_ask {
    reqbus_ask {
        key: reqbus_key {
            scope: c"user".as_ptr(),
            scope_len: 4,
            id: c"42".as_ptr(),
            id_len: 2,
        },
        limit: 1,
    }
}

impl Shared {
    /// The only slot of a key is held, and a wait without an end stands in the queue.
    fn new() -> Self {
        let (mut pool, mut slot, mut wait) = (null_mut(), null_mut(), null_mut());
        // SAFETY: the options are integers and pointers, of which zero is a value; places for handles, and NULL where it may be.
        unsafe {
            let mut how = std::mem::zeroed::<reqbus_wait_options>();
            how.size = size_of::<reqbus_wait_options>();
            (how.timeout_ms, how.flags) = (-1, REQBUS_WAIT_NO_PINGS);
            assert_eq!(reqbus_pool_new(null(), &mut pool, null_mut()), REQBUS_OK);
            let status = reqbus_pool_try_acquire(
                pool,
                &ask(),
                1,
                null(),
                0,
                &mut slot,
                null_mut(),
                null_mut(),
            );
            assert_eq!(status, REQBUS_OK);
            let status = reqbus_pool_wait(pool, &ask(), 1, &how, &mut wait, null_mut());
            assert_eq!(status, REQBUS_OK);
        }
        Self { pool, slot, wait }
    }

    fn next(&self, timeout_ms: i64) -> (reqbus_status, *mut reqbus_slot) {
        let mut slot = null_mut();
        // SAFETY: alive, and a place for a handle.
        let status =
            unsafe { reqbus_wait_next(self.wait, timeout_ms, &mut slot, null_mut(), null_mut()) };
        (status, slot)
    }

    fn wait_lost(&self, timeout_ms: i64) -> reqbus_status {
        // SAFETY: alive; the reason is not asked for.
        unsafe { reqbus_slot_wait_lost(self.slot, timeout_ms, null_mut()) }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // SAFETY: each is freed through its one place, when no other thread is left.
        unsafe {
            assert_eq!(reqbus_pool_free(&mut self.pool), REQBUS_OK);
            assert_eq!(reqbus_wait_free(&mut self.wait), REQBUS_OK);
            assert_eq!(reqbus_slot_free(&mut self.slot), REQBUS_OK);
        }
    }
}

/// What `block` answers when another thread, that has seen it block, calls `end`. `is_blocked` asks with a short time.
fn ended_by(
    shared: &Shared,
    block: impl Fn(&Shared) -> reqbus_status + Send,
    is_blocked: impl Fn(&Shared) -> reqbus_status,
    end: impl FnOnce(&Shared),
) -> reqbus_status {
    let attempts = &AtomicUsize::new(0);
    std::thread::scope(|scope| {
        let blocked = scope.spawn(move || {
            loop {
                attempts.fetch_add(1, Ordering::Relaxed);
                match block(shared) {
                    REQBUS_BUSY => std::thread::yield_now(), // the other thread is asking
                    status => return status,
                }
            }
        });
        while is_blocked(shared) != REQBUS_BUSY {
            assert!(!blocked.is_finished(), "nothing ended it yet");
            let before = attempts.load(Ordering::Relaxed);
            // Its turn, unless it has taken it.
            let is_waiting = |_: &i32| attempts.load(Ordering::Relaxed) == before;
            (0..1_000)
                .take_while(is_waiting)
                .for_each(|_| std::thread::yield_now());
        }
        end(shared);
        blocked.join().expect("no panic")
    })
}

#[test]
fn s4_a_pool_that_is_closed_or_cancel_ends_a_wait_that_a_thread_blocks_on() {
    type End = fn(&Shared) -> reqbus_status;
    // SAFETY: alive.
    let close: End = |all: &Shared| unsafe { reqbus_pool_close(all.pool) };
    // SAFETY: alive; no text is given.
    let cancel: End = |all: &Shared| unsafe { reqbus_wait_cancel(all.wait, null(), 0) };
    for (end, status) in [(close, REQBUS_SLOT_CLOSED), (cancel, REQBUS_SLOT_CANCELLED)] {
        let shared = Shared::new();
        let got = ended_by(
            &shared,
            |all| all.next(-1).0,
            |all| all.next(1).0,
            |all| assert_eq!(end(all), REQBUS_OK),
        );
        assert_eq!(got, status);
        assert_eq!(shared.next(-1), (status, null_mut()), "it says it again");
    }
}

#[test]
fn s4_freeing_the_pool_ends_a_wait_that_a_thread_blocks_on() {
    let mut shared = Shared::new();
    let mut pool = std::mem::replace(&mut shared.pool, null_mut());
    let got = ended_by(
        &shared,
        |all| all.next(-1).0,
        |all| all.next(1).0,
        // SAFETY: freed through its one place; no other call uses the pool's own handle.
        |_| unsafe { assert_eq!(reqbus_pool_free(&mut pool), REQBUS_OK) },
    );
    assert_eq!(got, REQBUS_SLOT_CLOSED);
    // The slot outlives the pool, and is given back once.
    // SAFETY: alive.
    unsafe {
        assert_eq!(reqbus_slot_release(shared.slot), REQBUS_OK);
        assert_eq!(
            reqbus_slot_release(shared.slot),
            REQBUS_SLOT_ALREADY_RELEASED
        );
    }
}

#[test]
fn s10_a_release_ends_the_wait_for_a_loss() {
    let shared = Shared::new();
    let got = ended_by(
        &shared,
        |all| all.wait_lost(-1),
        |all| all.wait_lost(1),
        // SAFETY: alive.
        |all| unsafe { assert_eq!(reqbus_slot_release(all.slot), REQBUS_OK) },
    );
    assert_eq!(got, REQBUS_SLOT_ALREADY_RELEASED);
}
