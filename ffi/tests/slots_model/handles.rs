//! Handles that free themselves, and what is done with all of them but the pool.

use std::ffi::c_char;
use std::ptr::{null, null_mut};
use std::time::Duration;

use reqbus::reqbus_outcome::*;
use reqbus::reqbus_status::*;
use reqbus::*;
use reqbus_core::slots::{Outcome, Released};

/// A zeroed struct with its size set.
pub fn sized<T: Copy>() -> T {
    // SAFETY: used with the structs of the header only: integers and pointers, size first.
    unsafe {
        let mut value = std::mem::zeroed::<T>();
        (&raw mut value).cast::<usize>().write(size_of::<T>());
        value
    }
}

/// A handle, and what frees it.
macro_rules! owned {
    ($name:ident, $c:ident, $free:ident) => {
        #[derive(Debug)]
        pub struct $name(pub *mut $c);

        impl Drop for $name {
            fn drop(&mut self) {
                // SAFETY: freed once, through its one place.
                unsafe { assert_eq!($free(&mut self.0), REQBUS_OK) };
                assert!(self.0.is_null());
            }
        }
    };
}

owned!(Clock, reqbus_test_clock, reqbus_test_clock_free);
owned!(Fault, reqbus_test_fault, reqbus_test_fault_free);
owned!(Pool, reqbus_pool, reqbus_pool_free);
owned!(Slot, reqbus_slot, reqbus_slot_free);
owned!(Wait, reqbus_wait, reqbus_wait_free);
owned!(Holders, reqbus_holders, reqbus_holders_free);

// SAFETY: what the header says of clocks: any thread may use one.
unsafe impl Sync for Clock {}

/// A refusal: its outcome, and the scope that refused.
#[derive(Debug, PartialEq, Eq)]
pub struct Refused {
    pub outcome: Outcome,
    pub scope: String,
}

/// What a look brings.
#[derive(Debug)]
pub enum Seen {
    Nothing,
    Ping,
    Granted(Slot),
    Ended(Refused),
}

/// Status and refusal say the same.
pub fn refused(status: reqbus_status, why: &reqbus_refusal) -> Refused {
    let (outcome, number) = match status {
        REQBUS_SLOT_BUSY => (Outcome::Busy, REQBUS_OUTCOME_BUSY),
        REQBUS_SLOT_QUEUE_FULL => (Outcome::QueueFull, REQBUS_OUTCOME_QUEUE_FULL),
        REQBUS_SLOT_TIMED_OUT => (Outcome::TimedOut, REQBUS_OUTCOME_TIMED_OUT),
        REQBUS_SLOT_CANCELLED => (Outcome::Cancelled, REQBUS_OUTCOME_CANCELLED),
        REQBUS_SLOT_CLOSED => (Outcome::Closed, REQBUS_OUTCOME_CLOSED),
        REQBUS_STORE_UNAVAILABLE => (Outcome::StoreUnavailable, REQBUS_OUTCOME_STORE_UNAVAILABLE),
        REQBUS_INVALID_ARGUMENT => (Outcome::Invalid, REQBUS_OUTCOME_INVALID),
        other => panic!("{other:?}"),
    };
    assert_eq!(why.outcome, number as u32);
    let scope = &why.scope[..why.scope_len];
    let scope = scope.iter().map(|&byte| byte as u8).collect();
    Refused {
        outcome,
        scope: String::from_utf8(scope).expect("UTF-8"),
    }
}

impl Clock {
    pub fn new() -> Self {
        let mut clock = null_mut();
        // SAFETY: a place for a handle.
        unsafe { assert_eq!(reqbus_test_clock_new(&mut clock), REQBUS_OK) };
        Self(clock)
    }

    pub fn advance(&self, by: Duration) {
        // SAFETY: alive.
        let status = unsafe { reqbus_test_clock_advance(self.0, by.as_nanos() as u64) };
        assert_eq!(status, REQBUS_OK);
    }
}

impl Fault {
    pub fn new() -> Self {
        let mut fault = null_mut();
        // SAFETY: a place for a handle.
        unsafe { assert_eq!(reqbus_test_fault_new(&mut fault), REQBUS_OK) };
        Self(fault)
    }

    pub fn go_down(&self) {
        // SAFETY: alive.
        unsafe { assert_eq!(reqbus_test_fault_go_down(self.0), REQBUS_OK) };
    }

    pub fn come_back(&self) {
        // SAFETY: alive.
        unsafe { assert_eq!(reqbus_test_fault_come_back(self.0), REQBUS_OK) };
    }
}

/// Number, scope and id of each holder of a snapshot.
pub fn entries(holders: &Holders) -> Vec<(u64, String, String)> {
    // SAFETY: alive; texts are as long as they say, and read while the snapshot is there.
    unsafe {
        let text = |start: *const c_char, len: usize| {
            let bytes = std::slice::from_raw_parts(start.cast::<u8>(), len);
            String::from_utf8(bytes.to_vec()).expect("UTF-8")
        };
        let entry = |at| {
            let mut holder: reqbus_holder = sized();
            assert_eq!(reqbus_holders_item(holders.0, at, &mut holder), REQBUS_OK);
            let scope = text(holder.scope, holder.scope_len);
            (holder.holder, scope, text(holder.id, holder.id_len))
        };
        (0..reqbus_holders_len(holders.0)).map(entry).collect()
    }
}

impl Wait {
    pub fn look(&self) -> Seen {
        let (mut slot, mut why) = (null_mut(), sized());
        // SAFETY: alive, and places for what comes.
        let status = unsafe { reqbus_wait_next(self.0, 0, &mut slot, &mut why, null_mut()) };
        assert_eq!(status == REQBUS_OK, !slot.is_null());
        match status {
            REQBUS_OK => Seen::Granted(Slot(slot)),
            REQBUS_PING_DUE => Seen::Ping,
            REQBUS_TIMEOUT => Seen::Nothing,
            status => Seen::Ended(refused(status, &why)),
        }
    }

    pub fn cancel(&self) {
        // SAFETY: alive; no text is given.
        unsafe { assert_eq!(reqbus_wait_cancel(self.0, null(), 0), REQBUS_OK) };
    }

    pub fn position(&self) -> u32 {
        let mut position = u32::MAX;
        // SAFETY: alive, and a place for the number.
        unsafe { assert_eq!(reqbus_wait_position(self.0, &mut position), REQBUS_OK) };
        position
    }
}

fn released(status: reqbus_status) -> Released {
    match status {
        REQBUS_OK => Released::Released,
        REQBUS_SLOT_ALREADY_RELEASED => Released::Already,
        REQBUS_SLOT_LOST => Released::Lost,
        other => panic!("{other:?}"),
    }
}

impl Slot {
    pub fn release(&self) -> Released {
        // SAFETY: alive.
        released(unsafe { reqbus_slot_release(self.0) })
    }

    pub fn release_scope(&self, scope: &str) -> Released {
        // SAFETY: alive, and a text as long as it says.
        released(unsafe { reqbus_slot_release_scope(self.0, scope.as_ptr().cast(), scope.len()) })
    }

    /// Number, scope and id of what it holds, in the order it was taken.
    pub fn holders(&self) -> Vec<(u64, String, String)> {
        let mut holders = null_mut();
        // SAFETY: alive, and a place for a handle.
        let status = unsafe { reqbus_slot_holders(self.0, &mut holders, null_mut()) };
        assert_eq!(status, REQBUS_OK);
        entries(&Holders(holders))
    }
}
