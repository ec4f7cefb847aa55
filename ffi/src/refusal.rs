//! Why there is no slot.

use std::ffi::c_char;
use std::time::Duration;

use reqbus_core::slots::{MAX_NAME, Outcome, Refusal};

use crate::error::reqbus_error;
use crate::failure::Failure;
use crate::key::{REQBUS_LIMIT_NOT_GIVEN, WrongAsk, number_of};
use crate::sized::{defaults, sized_struct, write};
use crate::status::of_kind;
use crate::status::reqbus_status::{
    self, REQBUS_INVALID_ARGUMENT, REQBUS_SLOT_BUSY, REQBUS_SLOT_CANCELLED, REQBUS_SLOT_CLOSED,
    REQBUS_SLOT_QUEUE_FULL, REQBUS_SLOT_TIMED_OUT, REQBUS_STORE_UNAVAILABLE,
};

/// How a request for a slot ended without one: a closed set.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum reqbus_outcome {
    /// It was not refused.
    REQBUS_OUTCOME_NONE = 0,
    /// No room, and the caller would not wait. Status REQBUS_SLOT_BUSY.
    REQBUS_OUTCOME_BUSY = 1,
    /// No room, and as many as may wait do. Status REQBUS_SLOT_QUEUE_FULL.
    REQBUS_OUTCOME_QUEUE_FULL = 2,
    /// The wait's time has passed. Status REQBUS_SLOT_TIMED_OUT.
    REQBUS_OUTCOME_TIMED_OUT = 3,
    /// The wait was cancelled. Status REQBUS_SLOT_CANCELLED.
    REQBUS_OUTCOME_CANCELLED = 4,
    /// The key or the pool was closed. Status REQBUS_SLOT_CLOSED.
    REQBUS_OUTCOME_CLOSED = 5,
    /// The store could not answer. Status REQBUS_STORE_UNAVAILABLE.
    REQBUS_OUTCOME_STORE_UNAVAILABLE = 6,
    /// The call is wrong. The status says how: REQBUS_INVALID_ARGUMENT, REQBUS_TOO_LARGE, REQBUS_FORKED and their like.
    REQBUS_OUTCOME_INVALID = 7,
}

/// Why there is no slot, and how the key that refused stood at that moment. Plain values: nothing in it is borrowed.
/// All zero, but for the size, when nothing was refused. A call that is wrong is refused too: REQBUS_OUTCOME_INVALID.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct reqbus_refusal {
    /// sizeof(reqbus_refusal), set by the caller.
    pub size: usize,
    /// A reqbus_outcome.
    pub outcome: u32,
    /// Slots of the key in use, those on offer included.
    pub in_use: u32,
    /// The key's limit: 0 to REQBUS_LIMIT_MAX, REQBUS_UNLIMITED, or REQBUS_LIMIT_NOT_GIVEN if it is not known.
    pub limit: i64,
    /// Waiters of the key, this one not included.
    pub waiting: u32,
    /// Where the caller stood in the queue, from 1; 0 if it did not stand there.
    pub position: u32,
    /// How long the caller waited, over all keys of the call, in nanoseconds.
    pub waited_ns: u64,
    /// Pings that the host was asked to write, and came back from.
    pub pings: u32,
    /// When to try again, in whole seconds, 1 to 60; 0 if nothing can be said.
    pub retry_after_s: u32,
    /// Length of `scope` in bytes; 0 if it is about no key.
    pub scope_len: usize,
    /// The scope of the key that refused, or that was waited for; of several the first. NUL-terminated UTF-8.
    pub scope: [c_char; 256],
}

sized_struct!(reqbus_refusal);

const fn outcome_of(outcome: Outcome) -> reqbus_outcome {
    match outcome {
        Outcome::Busy => reqbus_outcome::REQBUS_OUTCOME_BUSY,
        Outcome::QueueFull => reqbus_outcome::REQBUS_OUTCOME_QUEUE_FULL,
        Outcome::TimedOut => reqbus_outcome::REQBUS_OUTCOME_TIMED_OUT,
        Outcome::Cancelled => reqbus_outcome::REQBUS_OUTCOME_CANCELLED,
        Outcome::Closed => reqbus_outcome::REQBUS_OUTCOME_CLOSED,
        Outcome::StoreUnavailable => reqbus_outcome::REQBUS_OUTCOME_STORE_UNAVAILABLE,
        Outcome::Invalid => reqbus_outcome::REQBUS_OUTCOME_INVALID,
    }
}

fn status_of(refusal: &Refusal) -> reqbus_status {
    match refusal.outcome() {
        Outcome::Busy => REQBUS_SLOT_BUSY,
        Outcome::QueueFull => REQBUS_SLOT_QUEUE_FULL,
        Outcome::TimedOut => REQBUS_SLOT_TIMED_OUT,
        Outcome::Cancelled => REQBUS_SLOT_CANCELLED,
        Outcome::Closed => REQBUS_SLOT_CLOSED,
        Outcome::StoreUnavailable => REQBUS_STORE_UNAVAILABLE,
        Outcome::Invalid => refusal
            .cause()
            .map_or(REQBUS_INVALID_ARGUMENT, |cause| of_kind(cause.kind())),
    }
}

/// Nanoseconds of the header; 584 years and more are the greatest number.
pub(crate) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// A scope as the header has it, and its length. One that is too long is none, and not repeated.
fn scope_of(scope: &str) -> ([c_char; MAX_NAME + 1], usize) {
    let mut room = [0; MAX_NAME + 1];
    if scope.len() > MAX_NAME {
        return (room, 0);
    }
    for (to, from) in room.iter_mut().zip(scope.bytes()) {
        *to = from as c_char;
    }
    (room, scope.len())
}

/// The refusal of a call that is wrong, and about a key of this scope.
fn invalid(scope: &str) -> reqbus_refusal {
    let (scope, scope_len) = scope_of(scope);
    reqbus_refusal {
        outcome: reqbus_outcome::REQBUS_OUTCOME_INVALID as u32,
        limit: REQBUS_LIMIT_NOT_GIVEN,
        scope_len,
        scope,
        ..defaults()
    }
}

impl From<&Refusal> for reqbus_refusal {
    fn from(refusal: &Refusal) -> Self {
        let (scope, scope_len) = scope_of(refusal.scope());
        let retry_after = refusal.retry_after().map_or(0, |after| after.as_secs());
        Self {
            outcome: outcome_of(refusal.outcome()) as u32,
            in_use: refusal.in_use(),
            limit: number_of(refusal.limit()),
            waiting: refusal.waiting(),
            position: refusal.position(),
            waited_ns: nanos(refusal.waited()),
            pings: refusal.pings(),
            retry_after_s: u32::try_from(retry_after).unwrap_or(u32::MAX),
            scope_len,
            scope,
            ..defaults()
        }
    }
}

/// Where a caller wants a refusal, and the error that goes with it.
pub(crate) struct Told {
    into: *mut reqbus_refusal,
    error: *mut *mut reqbus_error,
}

impl Told {
    /// Checks `into`, and says there that the call is wrong: so it is, if nothing else is told.
    ///
    /// # Safety
    /// `into` is NULL, or as long as its size field says, for as long as this is used.
    pub(crate) unsafe fn new(
        into: *mut reqbus_refusal,
        error: *mut *mut reqbus_error,
    ) -> Result<Self, Failure> {
        let told = Self { into, error };
        told.put(&invalid(""))?;
        Ok(told)
    }

    fn put(&self, refusal: &reqbus_refusal) -> Result<(), Failure> {
        if self.into.is_null() {
            return Ok(());
        }
        // SAFETY: what `new` asks of its caller, for as long as this is used.
        unsafe { write(self.into, refusal) }
    }

    /// Nothing was refused.
    pub(crate) fn nothing(&self) -> Result<(), Failure> {
        self.put(&defaults())
    }

    /// What is wrong with a call is about a key of this scope.
    pub(crate) fn wrong(&self, wrong: WrongAsk<'_>) -> Failure {
        match self.put(&invalid(wrong.scope)) {
            Ok(()) => wrong.failure,
            Err(failure) => failure,
        }
    }

    /// Tells a refusal. No sentence is made for a caller that takes no error.
    pub(crate) fn tell(self, refusal: &Refusal) -> Result<reqbus_status, Failure> {
        self.put(&refusal.into())?;
        let status = status_of(refusal);
        if self.error.is_null() {
            return Ok(status);
        }
        Err(match (refusal.outcome(), refusal.cause()) {
            (Outcome::Invalid, Some(cause)) => cause.clone().into(),
            _ => Failure::Refused {
                status,
                scope: refusal.scope().into(),
                message: refusal.to_string().into(),
            },
        })
    }
}
