//! What a batch holds, as C reads it.

use std::ffi::{c_char, c_void};
use std::ptr::null;

use reqbus_core::bus::{Item, LostReason, ResyncReason};
use reqbus_core::event::{Event, EventId, Payload, RequestView};

use crate::event::{REQBUS_EVENT_TIME_SET, reqbus_payload_sort, reqbus_request_event};
use crate::id::reqbus_id;
use crate::sized::{defaults, sized_struct};
use crate::slice::start_of;

/// What an item is.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum reqbus_item_tag {
    /// An event: id, n, timestamp_ns, kind, key and payload are set.
    REQBUS_ITEM_EVENT = 1,
    /// Events were lost here, between the items before and behind: missed, reason and next_n are set.
    /// Never an error, and never the end.
    REQBUS_ITEM_LOST = 2,
    /// The resume was not possible: reason and id (the newest event at that moment, after which the
    /// reader goes on live) are set.
    REQBUS_ITEM_RESYNC = 3,
    /// The latest state of a status source: source, state and detail are set.
    REQBUS_ITEM_STATUS = 4,
}

/// Why events were lost for a subscription.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum reqbus_lost_reason {
    /// "full": the queue of a drop-newest reader was full.
    REQBUS_LOST_FULL = 1,
    /// "window": a drop-oldest reader lagged by more than its window.
    REQBUS_LOST_WINDOW = 2,
    /// "evicted": the log let go of events before the reader came to them.
    REQBUS_LOST_EVICTED = 3,
}

/// Why a resume was not possible.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum reqbus_resync_reason {
    /// "malformed": the text is no event id.
    REQBUS_RESYNC_MALFORMED = 1,
    /// "epoch": the id is another bus's, or of an earlier life of this one.
    REQBUS_RESYNC_EPOCH = 2,
    /// "ahead": the id is newer than the newest event.
    REQBUS_RESYNC_AHEAD = 3,
    /// "expired": an event after it has left the log or is too old.
    REQBUS_RESYNC_EXPIRED = 4,
}

/// One item of a batch. Pointers are borrowed from the batch; texts are UTF-8 and not NUL-terminated.
/// What a tag does not set is 0 or NULL.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct reqbus_item {
    /// sizeof(reqbus_item), set by the caller.
    pub size: usize,
    /// A reqbus_item_tag. Skip tags that you do not know.
    pub tag: u32,
    /// A reqbus_lost_reason or a reqbus_resync_reason, by the tag.
    pub reason: u32,
    /// The name of the reason, the same in every language: "full", "expired" and so on.
    pub reason_name: *const c_char,
    /// Length of `reason_name` in bytes.
    pub reason_name_len: usize,
    /// The event's id; of a resync, the newest event's.
    pub id: reqbus_id,
    /// The subscription's own number of the event, from 1: a hole in it is loss.
    pub n: u64,
    /// How many events were lost.
    pub missed: u64,
    /// The number that the next matching event has.
    pub next_n: u64,
    /// When the event happened, in nanoseconds since 1970 UTC.
    pub timestamp_ns: u64,
    /// The event's kind.
    pub kind: *const c_char,
    /// Length of `kind` in bytes.
    pub kind_len: usize,
    /// The event's key.
    pub key: *const c_char,
    /// Length of `key` in bytes.
    pub key_len: usize,
    /// The payload as it was published; NULL for a request record, see reqbus_batch_request.
    pub payload: *const c_void,
    /// Length of `payload` in bytes.
    pub payload_len: usize,
    /// A reqbus_payload_sort.
    pub payload_sort: u32,
    /// 0.
    pub reserved: u32,
    /// The status source.
    pub source: *const c_char,
    /// Length of `source` in bytes.
    pub source_len: usize,
    /// Its state.
    pub state: *const c_char,
    /// Length of `state` in bytes.
    pub state_len: usize,
    /// Free text.
    pub detail: *const c_char,
    /// Length of `detail` in bytes.
    pub detail_len: usize,
}

sized_struct!(reqbus_item);

/// Start and length of a text for C.
fn lent(text: &str) -> (*const c_char, usize) {
    (start_of(text.as_bytes()), text.len())
}

fn lost_reason(reason: LostReason) -> u32 {
    let reason = match reason {
        LostReason::Full => reqbus_lost_reason::REQBUS_LOST_FULL,
        LostReason::Window => reqbus_lost_reason::REQBUS_LOST_WINDOW,
        LostReason::Evicted => reqbus_lost_reason::REQBUS_LOST_EVICTED,
    };
    reason as u32
}

fn resync_reason(reason: ResyncReason) -> u32 {
    let reason = match reason {
        ResyncReason::Malformed => reqbus_resync_reason::REQBUS_RESYNC_MALFORMED,
        ResyncReason::Epoch => reqbus_resync_reason::REQBUS_RESYNC_EPOCH,
        ResyncReason::Ahead => reqbus_resync_reason::REQBUS_RESYNC_AHEAD,
        ResyncReason::Expired => reqbus_resync_reason::REQBUS_RESYNC_EXPIRED,
    };
    reason as u32
}

impl reqbus_item {
    /// The item, with pointers into whatever `item` borrows from.
    pub(crate) fn of(item: &Item<'_>) -> Self {
        let mut out: Self = defaults();
        match item {
            Item::Event { event, n } => {
                out.tag = reqbus_item_tag::REQBUS_ITEM_EVENT as u32;
                out.n = *n;
                out.event(event);
            }
            Item::Lost {
                missed,
                reason,
                next_n,
            } => {
                out.tag = reqbus_item_tag::REQBUS_ITEM_LOST as u32;
                out.reason = lost_reason(*reason);
                (out.reason_name, out.reason_name_len) = lent(reason.name());
                out.missed = *missed;
                out.next_n = *next_n;
            }
            Item::Resync { reason, head } => {
                out.tag = reqbus_item_tag::REQBUS_ITEM_RESYNC as u32;
                out.reason = resync_reason(*reason);
                (out.reason_name, out.reason_name_len) = lent(reason.name());
                out.id = (*head).into();
            }
            Item::Status {
                source,
                state,
                detail,
            } => {
                out.tag = reqbus_item_tag::REQBUS_ITEM_STATUS as u32;
                (out.source, out.source_len) = lent(source);
                (out.state, out.state_len) = lent(state);
                (out.detail, out.detail_len) = lent(detail);
            }
        }
        out
    }

    fn event(&mut self, event: &Event) {
        self.id = EventId::into(event.id());
        self.timestamp_ns = event.time_ns();
        (self.kind, self.kind_len) = lent(event.kind());
        (self.key, self.key_len) = lent(event.key());
        let (sort, payload) = match event.payload() {
            Payload::Json(text) => (
                reqbus_payload_sort::REQBUS_PAYLOAD_JSON,
                Some(text.as_bytes()),
            ),
            Payload::Text(text) => (
                reqbus_payload_sort::REQBUS_PAYLOAD_TEXT,
                Some(text.as_bytes()),
            ),
            Payload::Bytes(bytes) => (reqbus_payload_sort::REQBUS_PAYLOAD_BYTES, Some(bytes)),
            // `Payload` may grow in core; a sort that C does not know has no bytes for C.
            _ => (reqbus_payload_sort::REQBUS_PAYLOAD_REQUEST, None),
        };
        self.payload_sort = sort as u32;
        self.payload = payload.map_or(null(), |bytes| start_of(bytes).cast());
        self.payload_len = payload.map_or(0, <[u8]>::len);
    }
}

impl reqbus_request_event {
    /// The record of a request event, with pointers into the event.
    pub(crate) fn of(event: &Event, record: &RequestView<'_>) -> Self {
        let mut out: Self = defaults();
        (out.method, out.method_len) = lent(record.method);
        (out.path, out.path_len) = lent(record.path);
        (out.model, out.model_len) = lent(record.model);
        (out.key, out.key_len) = lent(event.key());
        (out.extra, out.extra_len) = record.extra.map_or((null(), 0), lent);
        out.account_id = record.account_id;
        out.latency_ms = record.latency_ms;
        out.status = record.status as u32;
        out.flags = REQBUS_EVENT_TIME_SET;
        out.timestamp_ns = event.time_ns();
        out
    }
}
