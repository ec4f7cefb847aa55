//! Event ids and their text form.

use std::ffi::c_char;
use std::ptr::null_mut;

use reqbus_core::EventId;

use crate::failure::Failure;
use crate::panic::guard_status;
use crate::slice::{array, fill, put, required};
use crate::status::reqbus_status;

/// The name of one event of one bus, and the token by which a reader resumes.
///
/// Text form: the epoch as 16 lowercase hexadecimal digits, '-', and the sequence number in decimal
/// without leading zeros, for example 0123456789abcdef-42: at most REQBUS_ID_TEXT_MAX bytes.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct reqbus_id {
    /// 64 random bits, drawn once per bus.
    pub epoch: u64,
    /// 1 for the first event of a bus; 0 stands before the first.
    pub seq: u64,
}

/// The longest text form of an id, in bytes.
pub const REQBUS_ID_TEXT_MAX: usize = 37;

impl From<EventId> for reqbus_id {
    fn from(id: EventId) -> Self {
        Self {
            epoch: id.epoch,
            seq: id.seq,
        }
    }
}

impl From<reqbus_id> for EventId {
    fn from(id: reqbus_id) -> Self {
        Self {
            epoch: id.epoch,
            seq: id.seq,
        }
    }
}

/// Reads the text form of an id into `*id`.
///
/// `text` is borrowed for the call; hostile text of any length is fine. Strict: no signs, blanks,
/// capitals, leading zeros or further parts, and a sequence number of at most 2^64-2.
/// REQBUS_MALFORMED_ID for anything else, and then `*id` is left alone. REQBUS_NULL_ARGUMENT if `id` is
/// NULL; NULL text with a length is REQBUS_NULL_WITH_LENGTH. Any thread; never blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reqbus_id_parse(
    text: *const c_char,
    text_len: usize,
    id: *mut reqbus_id,
) -> reqbus_status {
    guard_status(null_mut(), || {
        let id = required(id, "id")?;
        // SAFETY: the header asks for `text_len` readable bytes.
        let text = unsafe { array(text.cast::<u8>(), text_len, "text") }?;
        let parsed = EventId::parse(text).map_err(|_| {
            Failure::new(
                reqbus_status::REQBUS_MALFORMED_ID,
                "text",
                "not an event id",
            )
        })?;
        // SAFETY: not NULL, and valid for a write as the header asks.
        unsafe { put(id, parsed.into()) };
        Ok(reqbus_status::REQBUS_OK)
    })
}

/// Writes the text form of `*id` into `buffer`, without a NUL at its end, and its length to `*len`.
///
/// `buffer` belongs to the caller; REQBUS_ID_TEXT_MAX bytes hold any id. If `buffer_len` is less than is
/// needed, nothing is written but `*len`, and the answer is REQBUS_BUFFER_TOO_SMALL.
/// REQBUS_NULL_ARGUMENT if `id` or `len` is NULL. Any thread; never blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reqbus_id_format(
    id: *const reqbus_id,
    buffer: *mut c_char,
    buffer_len: usize,
    len: *mut usize,
) -> reqbus_status {
    guard_status(null_mut(), || {
        // SAFETY: NULL or a valid id, as the header asks.
        let id = *unsafe { id.as_ref() }.ok_or(Failure::null("id"))?;
        let mut text = Vec::with_capacity(REQBUS_ID_TEXT_MAX);
        EventId::from(id).write_to(&mut text);
        // SAFETY: the header asks for `buffer_len` writable bytes that nobody else uses, and a place.
        unsafe { fill(buffer, buffer_len, len, "buffer", &text) }?;
        Ok(reqbus_status::REQBUS_OK)
    })
}
