//! The numbers that functions return.

use std::ffi::c_char;

use reqbus_core::ErrorKind;

use crate::panic::guard;

/// What a function answers.
///
/// Numbers come in ranges and are never reused: 0 and 1 are success, 2 to 99 say how a call ended
/// that did nothing wrong, 100 to 199 that an argument was refused, 200 to 299 that the object is in
/// a state where the call cannot work, 300 to 399 that the system or a store refused, 900 and above that reqbus
/// itself is at fault. A later version may add numbers: treat an unknown one by its range.
#[repr(i32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum reqbus_status {
    /// Done.
    REQBUS_OK = 0,
    /// Publish on a NULL bus: nothing was done, and that is fine.
    REQBUS_OK_IGNORED = 1,

    /// The time is up (or, with a timeout of 0, there is nothing now). Nothing was taken.
    REQBUS_TIMEOUT = 2,
    /// reqbus_subscription_interrupt ended the wait. Nothing was taken.
    REQBUS_INTERRUPTED = 3,
    /// The bus, subscription or bell is closed and everything in it has been read.
    REQBUS_CLOSED = 4,
    /// Another wait is under way on this object, or another call is using this batch. (No room for a request is
    /// REQBUS_SLOT_BUSY.)
    REQBUS_BUSY = 5,
    /// The audience was being cleaned up until the caller's deadline. Nothing was joined.
    REQBUS_AUDIENCE_BUSY = 6,
    /// A ping is due on a wait for a slot: write one to the client, then look at the wait again.
    REQBUS_PING_DUE = 7,
    /// No slot: there is no room, and the caller would not wait (a try, or limit 0).
    REQBUS_SLOT_BUSY = 8,
    /// No slot: there is no room, and as many as may wait do.
    REQBUS_SLOT_QUEUE_FULL = 9,
    /// No slot: the time that the wait was given has passed. The wait is over, unlike after REQBUS_TIMEOUT.
    REQBUS_SLOT_TIMED_OUT = 10,
    /// No slot: the wait was cancelled.
    REQBUS_SLOT_CANCELLED = 11,
    /// No slot: the key or the pool is closed.
    REQBUS_SLOT_CLOSED = 12,
    /// The slot, or this scope of it, was released before; or it never had this scope.
    REQBUS_SLOT_ALREADY_RELEASED = 13,
    /// The slot was lost: forced away, expired, or forgotten by its store. What was left of it is free.
    REQBUS_SLOT_LOST = 14,

    /// A pointer that must not be NULL is NULL.
    REQBUS_NULL_ARGUMENT = 100,
    /// A value is outside its documented range, or two values contradict each other.
    REQBUS_INVALID_ARGUMENT = 101,
    /// The `size` of a struct is none that any version had.
    REQBUS_INVALID_SIZE = 102,
    /// An option (a flag bit, or a field of a newer version) that this version does not know.
    REQBUS_UNKNOWN_OPTION = 103,
    /// A NULL pointer came with a length that is not 0.
    REQBUS_NULL_WITH_LENGTH = 104,
    /// A pointer is not aligned for what it points to.
    REQBUS_MISALIGNED = 105,
    /// A length is larger than any object can be.
    REQBUS_LENGTH_OVERFLOW = 106,
    /// Text is not UTF-8.
    REQBUS_INVALID_UTF8 = 107,
    /// A JSON payload or an `extra` object is not JSON, is nested deeper than 128 levels, or, for `extra`, is not an
    /// object.
    REQBUS_INVALID_JSON = 108,
    /// A payload, key, kind, scope, id, label, cause or list is longer than its limit.
    REQBUS_TOO_LARGE = 109,
    /// A kind that begins with "reqbus.", which only reqbus uses.
    REQBUS_RESERVED_KIND = 110,
    /// A 65th status source.
    REQBUS_TOO_MANY_SOURCES = 111,
    /// There is no item with this index, or it is not of the sort asked for.
    REQBUS_NO_SUCH_ITEM = 112,
    /// The text is not an event id.
    REQBUS_MALFORMED_ID = 113,
    /// The buffer is too small; the length that is needed was told.
    REQBUS_BUFFER_TOO_SMALL = 114,

    /// The object was made before fork() in the parent process. Make a new one in the child.
    REQBUS_FORKED = 200,
    /// The subscription is not the sole member of an audience, so there is nothing to guard.
    REQBUS_NOT_SOLE_MEMBER = 201,

    /// The operating system refused (file descriptors, random numbers, memory).
    REQBUS_SYSTEM = 300,
    /// The store of a pool cannot be reached, or did not answer.
    REQBUS_STORE_UNAVAILABLE = 301,

    /// A bug in reqbus: a panic was caught at the boundary. Free the object and report it.
    REQBUS_PANICKED = 900,
    /// A bug in reqbus: an error without a number of its own.
    REQBUS_UNKNOWN_ERROR = 901,
    // last added: 901
}

use reqbus_status::*;

/// Every status, for tests and for names.
pub(crate) const ALL: &[(reqbus_status, &[u8])] = &[
    (REQBUS_OK, b"ok\0"),
    (REQBUS_OK_IGNORED, b"ok_ignored\0"),
    (REQBUS_TIMEOUT, b"timeout\0"),
    (REQBUS_INTERRUPTED, b"interrupted\0"),
    (REQBUS_CLOSED, b"closed\0"),
    (REQBUS_BUSY, b"busy\0"),
    (REQBUS_AUDIENCE_BUSY, b"audience_busy\0"),
    (REQBUS_PING_DUE, b"ping_due\0"),
    (REQBUS_SLOT_BUSY, b"slot_busy\0"),
    (REQBUS_SLOT_QUEUE_FULL, b"slot_queue_full\0"),
    (REQBUS_SLOT_TIMED_OUT, b"slot_timed_out\0"),
    (REQBUS_SLOT_CANCELLED, b"slot_cancelled\0"),
    (REQBUS_SLOT_CLOSED, b"slot_closed\0"),
    (REQBUS_SLOT_ALREADY_RELEASED, b"slot_already_released\0"),
    (REQBUS_SLOT_LOST, b"slot_lost\0"),
    (REQBUS_NULL_ARGUMENT, b"null_argument\0"),
    (REQBUS_INVALID_ARGUMENT, b"invalid_argument\0"),
    (REQBUS_INVALID_SIZE, b"invalid_size\0"),
    (REQBUS_UNKNOWN_OPTION, b"unknown_option\0"),
    (REQBUS_NULL_WITH_LENGTH, b"null_with_length\0"),
    (REQBUS_MISALIGNED, b"misaligned\0"),
    (REQBUS_LENGTH_OVERFLOW, b"length_overflow\0"),
    (REQBUS_INVALID_UTF8, b"invalid_utf8\0"),
    (REQBUS_INVALID_JSON, b"invalid_json\0"),
    (REQBUS_TOO_LARGE, b"too_large\0"),
    (REQBUS_RESERVED_KIND, b"reserved_kind\0"),
    (REQBUS_TOO_MANY_SOURCES, b"too_many_sources\0"),
    (REQBUS_NO_SUCH_ITEM, b"no_such_item\0"),
    (REQBUS_MALFORMED_ID, b"malformed_id\0"),
    (REQBUS_BUFFER_TOO_SMALL, b"buffer_too_small\0"),
    (REQBUS_FORKED, b"forked\0"),
    (REQBUS_NOT_SOLE_MEMBER, b"not_sole_member\0"),
    (REQBUS_SYSTEM, b"system\0"),
    (REQBUS_STORE_UNAVAILABLE, b"store_unavailable\0"),
    (REQBUS_PANICKED, b"panicked\0"),
    (REQBUS_UNKNOWN_ERROR, b"unknown_error\0"),
];

/// The number of an error kind of core.
pub(crate) fn of_kind(kind: ErrorKind) -> reqbus_status {
    match kind {
        ErrorKind::InvalidArgument => REQBUS_INVALID_ARGUMENT,
        ErrorKind::InvalidUtf8 => REQBUS_INVALID_UTF8,
        ErrorKind::InvalidJson => REQBUS_INVALID_JSON,
        ErrorKind::TooLarge => REQBUS_TOO_LARGE,
        ErrorKind::ReservedKind => REQBUS_RESERVED_KIND,
        ErrorKind::TooManySources => REQBUS_TOO_MANY_SOURCES,
        ErrorKind::Closed => REQBUS_CLOSED,
        ErrorKind::Timeout => REQBUS_TIMEOUT,
        ErrorKind::Interrupted => REQBUS_INTERRUPTED,
        ErrorKind::Busy => REQBUS_BUSY,
        ErrorKind::AudienceBusy => REQBUS_AUDIENCE_BUSY,
        ErrorKind::StoreUnavailable => REQBUS_STORE_UNAVAILABLE,
        ErrorKind::Forked => REQBUS_FORKED,
        ErrorKind::System => REQBUS_SYSTEM,
        // The enum may grow in core; tests/c_abi.rs fails when a kind ends here.
        _ => REQBUS_UNKNOWN_ERROR,
    }
}

/// The name of a status in snake case, for logs; the same words in every language.
///
/// Returns a constant NUL-terminated string, never NULL: "unknown" for a number that is none.
/// Any thread; never blocks.
#[unsafe(no_mangle)]
pub extern "C" fn reqbus_status_name(status: i32) -> *const c_char {
    guard(|| {
        let known = ALL.iter().find(|(known, _)| *known as i32 == status);
        Some(
            known
                .map_or(&b"unknown\0"[..], |(_, name)| name)
                .as_ptr()
                .cast(),
        )
    })
}
