//! Events as a host describes them to publish.

use std::ffi::{c_char, c_void};

use reqbus_core::event::{NewEvent, RequestEvent, RequestStatus};

use crate::failure::Failure;
use crate::sized::{check_flags, sized_struct};
use crate::slice::{bytes, text};
use crate::status::reqbus_status::REQBUS_INVALID_ARGUMENT;

/// What a payload is.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum reqbus_payload_sort {
    /// One JSON value, checked when published.
    REQBUS_PAYLOAD_JSON = 0,
    /// UTF-8 text, checked when published.
    REQBUS_PAYLOAD_TEXT = 1,
    /// Bytes; base64 in JSON and SSE.
    REQBUS_PAYLOAD_BYTES = 2,
    /// A request record: only in items that are read; see reqbus_batch_request.
    REQBUS_PAYLOAD_REQUEST = 3,
}

/// How a request ended.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum reqbus_request_status {
    /// "success".
    REQBUS_REQUEST_SUCCESS = 0,
    /// "error".
    REQBUS_REQUEST_ERROR = 1,
    /// "rate_limited".
    REQBUS_REQUEST_RATE_LIMITED = 2,
}

/// A bit of the flags of an event: `timestamp_ns` is meant as it is, also when it is 0 (1970).
pub const REQBUS_EVENT_TIME_SET: u32 = 1;

/// Start and length of a UTF-8 text, not NUL-terminated. NULL with length 0 is the empty text.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct reqbus_text {
    /// First byte; may be NULL if `len` is 0.
    pub ptr: *const c_char,
    /// Length in bytes.
    pub len: usize,
}

/// An event to be published. Everything is borrowed for the call and copied. Zero is every default.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct reqbus_new_event {
    /// sizeof(reqbus_new_event).
    pub size: usize,
    /// What happened: 1 to 255 bytes of UTF-8, not beginning with "reqbus.", without CR, LF or NUL.
    pub kind: *const c_char,
    /// Length of `kind` in bytes.
    pub kind_len: usize,
    /// What filters by key look at: 0 to 255 bytes of UTF-8.
    pub key: *const c_char,
    /// Length of `key` in bytes.
    pub key_len: usize,
    /// The payload: at most 1 MiB.
    pub payload: *const c_void,
    /// Length of `payload` in bytes.
    pub payload_len: usize,
    /// A reqbus_payload_sort other than REQBUS_PAYLOAD_REQUEST.
    pub payload_sort: u32,
    /// REQBUS_EVENT_TIME_SET or 0.
    pub flags: u32,
    /// When it happened, in nanoseconds since 1970 UTC, at most 2^63-1; 0 is now, unless the flag is set.
    pub timestamp_ns: u64,
}

/// A finished request. To publish, everything is borrowed for the call and copied; to read
/// (reqbus_batch_request), everything is borrowed from the batch. Zero is every default.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct reqbus_request_event {
    /// sizeof(reqbus_request_event).
    pub size: usize,
    /// HTTP method.
    pub method: *const c_char,
    /// Length of `method` in bytes.
    pub method_len: usize,
    /// Path, without secrets: it is shown to whoever reads the bus.
    pub path: *const c_char,
    /// Length of `path` in bytes.
    pub path_len: usize,
    /// Model name.
    pub model: *const c_char,
    /// Length of `model` in bytes.
    pub model_len: usize,
    /// Upstream account.
    pub account_id: i64,
    /// Duration in milliseconds.
    pub latency_ms: i64,
    /// A reqbus_request_status.
    pub status: u32,
    /// REQBUS_EVENT_TIME_SET or 0; set in a record that is read.
    pub flags: u32,
    /// When it finished, in nanoseconds since 1970 UTC, at most 2^63-1; 0 is now, unless the flag is set.
    pub timestamp_ns: u64,
    /// What filters by key look at, often the user or the account: 0 to 255 bytes of UTF-8.
    pub key: *const c_char,
    /// Length of `key` in bytes.
    pub key_len: usize,
    /// A JSON object whose fields follow the seven of a request event; NULL for none. A field with
    /// the name of one of the seven is left out and counted.
    pub extra: *const c_char,
    /// Length of `extra` in bytes; 0 for none.
    pub extra_len: usize,
}

sized_struct!(reqbus_new_event, reqbus_request_event);

/// 0 stands for "now" in the header; core has a word for it.
fn time(timestamp_ns: u64, flags: u32) -> Option<u64> {
    (timestamp_ns != 0 || flags & REQBUS_EVENT_TIME_SET != 0).then_some(timestamp_ns)
}

impl reqbus_new_event {
    /// The event as core takes it.
    ///
    /// # Safety
    /// Each pointer is NULL or has as many bytes behind it as its length says, for `'a`.
    pub(crate) unsafe fn to_core<'a>(self) -> Result<NewEvent<'a>, Failure> {
        check_flags(self.flags, REQBUS_EVENT_TIME_SET, "flags")?;
        // SAFETY: this function's contract, for each of the three.
        let (kind, key, payload) = unsafe {
            (
                text(self.kind, self.kind_len, "kind")?,
                text(self.key, self.key_len, "key")?,
                bytes(self.payload, self.payload_len, "payload")?,
            )
        };
        let utf8 = || {
            std::str::from_utf8(payload)
                .map_err(|e| reqbus_core::Error::not_utf8("payload", e.valid_up_to()))
        };
        const JSON: u32 = reqbus_payload_sort::REQBUS_PAYLOAD_JSON as u32;
        const TEXT: u32 = reqbus_payload_sort::REQBUS_PAYLOAD_TEXT as u32;
        const BYTES: u32 = reqbus_payload_sort::REQBUS_PAYLOAD_BYTES as u32;
        let event = match self.payload_sort {
            JSON => NewEvent::json(kind, utf8()?),
            TEXT => NewEvent::text(kind, utf8()?),
            BYTES => NewEvent::bytes(kind, payload),
            _ => {
                return Err(Failure::new(
                    REQBUS_INVALID_ARGUMENT,
                    "payload_sort",
                    "payload_sort is none of REQBUS_PAYLOAD_JSON, _TEXT and _BYTES",
                ));
            }
        };
        let event = event.key(key);
        Ok(time(self.timestamp_ns, self.flags).map_or(event, |ns| event.time_ns(ns)))
    }
}

impl reqbus_request_event {
    /// The event as core takes it.
    ///
    /// # Safety
    /// As for [`reqbus_new_event::to_core`].
    pub(crate) unsafe fn to_core<'a>(self) -> Result<RequestEvent<'a>, Failure> {
        check_flags(self.flags, REQBUS_EVENT_TIME_SET, "flags")?;
        let status = u8::try_from(self.status)
            .ok()
            .and_then(RequestStatus::from_number);
        let status = status.ok_or(Failure::new(
            REQBUS_INVALID_ARGUMENT,
            "status",
            "status is none of REQBUS_REQUEST_SUCCESS, _ERROR and _RATE_LIMITED",
        ))?;
        // SAFETY: this function's contract, for each of the five.
        let (method, path, model, key, extra) = unsafe {
            (
                text(self.method, self.method_len, "method")?,
                text(self.path, self.path_len, "path")?,
                text(self.model, self.model_len, "model")?,
                text(self.key, self.key_len, "key")?,
                text(self.extra, self.extra_len, "extra")?,
            )
        };
        Ok(RequestEvent {
            timestamp_ns: time(self.timestamp_ns, self.flags),
            method,
            path,
            model,
            account_id: self.account_id,
            status,
            latency_ms: self.latency_ms,
            key,
            extra: (!extra.is_empty()).then_some(extra),
        })
    }
}
