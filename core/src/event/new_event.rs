//! An event to be published.

use super::json;
use super::limits::{MAX_PAYLOAD, check_key, check_kind};
use super::payload::Payload;
use super::request::{RequestEvent, RequestView};
use crate::error::{Error, ErrorKind, Result};

/// An event as its publisher describes it; everything is borrowed for the call.
///
/// ```
/// # use reqbus_core::{bus::{Bus, BusOptions}, NewEvent};
/// let bus = Bus::new(BusOptions::default())?;
/// bus.publish(NewEvent::json("deploy", r#"{"version":"1.4"}"#).key("eu"))?;
/// # Ok::<(), reqbus_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct NewEvent<'a> {
    pub(super) kind: &'a str,
    pub(super) key: &'a str,
    pub(super) time_ns: Option<u64>,
    pub(super) payload: Payload<'a>,
}

/// Kind of request events.
pub(super) const REQUEST_KIND: &str = "request";

impl<'a> NewEvent<'a> {
    const fn with(kind: &'a str, payload: Payload<'a>) -> Self {
        Self {
            kind,
            key: "",
            time_ns: None,
            payload,
        }
    }

    /// An event whose payload is one JSON value. It is checked when published: [`ErrorKind::InvalidJson`] if it is
    /// none, or nested deeper than [`MAX_DEPTH`](super::MAX_DEPTH).
    #[must_use]
    pub const fn json(kind: &'a str, json: &'a str) -> Self {
        Self::with(kind, Payload::Json(json))
    }

    /// An event whose payload is text.
    #[must_use]
    pub const fn text(kind: &'a str, text: &'a str) -> Self {
        Self::with(kind, Payload::Text(text))
    }

    /// An event whose payload is bytes (base64 on the wire).
    #[must_use]
    pub const fn bytes(kind: &'a str, bytes: &'a [u8]) -> Self {
        Self::with(kind, Payload::Bytes(bytes))
    }

    /// The event of a finished request, kind `request`. [`ErrorKind::InvalidJson`] if `extra` is not
    /// a JSON object, or nested deeper than [`MAX_DEPTH`](super::MAX_DEPTH).
    #[inline]
    pub fn request(request: &RequestEvent<'a>) -> Result<Self> {
        Ok(Self {
            kind: REQUEST_KIND,
            key: request.key,
            time_ns: request.timestamp_ns,
            payload: Payload::Request(RequestView::new(request)?),
        })
    }

    /// Sets the key that filters look at, 0 to 255 bytes. Empty by default.
    #[must_use]
    pub const fn key(mut self, key: &'a str) -> Self {
        self.key = key;
        self
    }

    /// Sets the event's time, in nanoseconds since 1970 UTC (at most 2⁶³−1). By default the time of
    /// the publish.
    #[must_use]
    pub const fn time_ns(mut self, time_ns: u64) -> Self {
        self.time_ns = Some(time_ns);
        self
    }

    /// The kind.
    #[must_use]
    pub const fn kind(&self) -> &'a str {
        self.kind
    }

    /// The payload.
    #[must_use]
    pub const fn payload(&self) -> Payload<'a> {
        self.payload
    }

    /// Length of the payload in an event's block.
    pub(super) fn payload_len(&self) -> usize {
        match &self.payload {
            Payload::Json(text) | Payload::Text(text) => text.len(),
            Payload::Bytes(bytes) => bytes.len(),
            Payload::Request(record) => record.record_len(),
        }
    }

    /// Whether hosts may use this kind.
    pub(crate) fn check_kind(&self) -> Result<()> {
        check_kind(self.kind)
    }

    /// Everything that can be wrong with an event, so that encoding it later cannot fail.
    #[inline]
    pub(super) fn check(&self) -> Result<()> {
        if !matches!(self.payload, Payload::Request(_)) {
            check_kind(self.kind)?;
        }
        check_key(self.key)?;
        if self.time_ns.is_some_and(|ns| i64::try_from(ns).is_err()) {
            return Err(Error::fixed(
                ErrorKind::InvalidArgument,
                "timestamp",
                "timestamp is past the year 2262 (2^63-1 nanoseconds since 1970)",
            ));
        }
        let len = self.payload_len();
        if len > MAX_PAYLOAD {
            return Err(Error::too_large("payload", len, MAX_PAYLOAD));
        }
        if let Payload::Json(json) = self.payload {
            json::check("payload", json)?;
        }
        Ok(())
    }
}
