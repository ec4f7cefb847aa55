//! The request event: what a gateway says of each finished request.

use super::json;
use crate::error::Result;

/// The JSON names of a request event, in their order on the wire.
pub const REQUEST_FIELDS: [&str; 7] = [
    "timestamp",
    "method",
    "path",
    "model",
    "account_id",
    "status",
    "latency_ms",
];

/// How a request ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum RequestStatus {
    /// It was answered.
    #[default]
    Success,
    /// It failed.
    Error,
    /// It was refused for its rate.
    RateLimited,
}

impl RequestStatus {
    /// The name on the wire: `success`, `error` or `rate_limited`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Error => "error",
            Self::RateLimited => "rate_limited",
        }
    }

    /// The status with this number (0, 1 or 2, as in the C ABI).
    #[must_use]
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            0 => Some(Self::Success),
            1 => Some(Self::Error),
            2 => Some(Self::RateLimited),
            _ => None,
        }
    }
}

/// A finished request, as its gateway describes it. Borrowed for the call.
#[derive(Clone, Copy, Debug, Default)]
pub struct RequestEvent<'a> {
    /// When it finished, in nanoseconds since 1970 UTC; `None` for now. At most 2⁶³−1 (year 2262).
    pub timestamp_ns: Option<u64>,
    /// HTTP method.
    pub method: &'a str,
    /// Path, without secrets: it is shown to whoever reads the bus.
    pub path: &'a str,
    /// Model name.
    pub model: &'a str,
    /// Upstream account.
    pub account_id: i64,
    /// How it ended.
    pub status: RequestStatus,
    /// Duration in milliseconds.
    pub latency_ms: i64,
    /// Key for filters, 0 to 255 bytes; often the user or the account.
    pub key: &'a str,
    /// A JSON object whose fields follow the seven of [`REQUEST_FIELDS`]; a field that bears one of
    /// those names is left out and counted.
    pub extra: Option<&'a str>,
}

/// A request record inside an event.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RequestView<'a> {
    /// HTTP method.
    pub method: &'a str,
    /// Path.
    pub path: &'a str,
    /// Model name.
    pub model: &'a str,
    /// Upstream account.
    pub account_id: i64,
    /// How it ended.
    pub status: RequestStatus,
    /// Duration in milliseconds.
    pub latency_ms: i64,
    /// The host's extra object, as published.
    pub extra: Option<&'a str>,
    /// How many fields of `extra` bear a name of [`REQUEST_FIELDS`] and are left out on the wire.
    pub clashes: u32,
}

/// Bytes of the fixed part of a record: two i64, four u32, a status byte and an extra flag.
pub(super) const FIXED: usize = 8 + 8 + 4 * 4 + 2;

impl<'a> RequestView<'a> {
    /// Checks `event`'s extra object and describes the record.
    #[inline]
    pub(super) fn new(event: &RequestEvent<'a>) -> Result<Self> {
        Ok(Self {
            method: event.method,
            path: event.path,
            model: event.model,
            account_id: event.account_id,
            status: event.status,
            latency_ms: event.latency_ms,
            extra: event.extra,
            clashes: event.extra.map_or(Ok(0), count_clashes)?,
        })
    }

    /// Size of the record in an event's block.
    #[inline]
    pub(super) fn record_len(&self) -> usize {
        // Saturating: each part is a slice that exists, but their sum is the caller's to choose.
        self.texts()
            .iter()
            .fold(FIXED, |sum, text| sum.saturating_add(text.len()))
    }

    /// The fixed part of the record; the four texts of [`RequestView::texts`] follow it. Each length fits a u32
    /// because the record was held against the payload limit.
    #[inline]
    pub(super) fn fixed_part(&self) -> [u8; FIXED] {
        let mut fixed = [0; FIXED];
        let mut rest = fixed.as_mut_slice();
        let mut put = |bytes: &[u8]| {
            if let Some((place, behind)) =
                std::mem::take(&mut rest).split_at_mut_checked(bytes.len())
            {
                place.copy_from_slice(bytes);
                rest = behind;
            }
        };
        put(&self.account_id.to_le_bytes());
        put(&self.latency_ms.to_le_bytes());
        put(&(self.method.len() as u32).to_le_bytes());
        put(&(self.path.len() as u32).to_le_bytes());
        put(&(self.model.len() as u32).to_le_bytes());
        put(&self.clashes.to_le_bytes());
        put(&[self.status as u8, u8::from(self.extra.is_some())]);
        fixed
    }

    /// The texts of the record, in their order.
    #[inline]
    pub(super) fn texts(&self) -> [&'a str; 4] {
        [self.method, self.path, self.model, self.extra.unwrap_or("")]
    }

    /// Reads back what [`RequestView::fixed_part`] and [`RequestView::texts`] say. `None` only for a foreign record.
    pub(super) fn read_record(record: &'a [u8]) -> Option<Self> {
        let (account_id, rest) = record.split_first_chunk::<8>()?;
        let (latency_ms, rest) = rest.split_first_chunk::<8>()?;
        let (method_len, rest) = rest.split_first_chunk::<4>()?;
        let (path_len, rest) = rest.split_first_chunk::<4>()?;
        let (model_len, rest) = rest.split_first_chunk::<4>()?;
        let (clashes, rest) = rest.split_first_chunk::<4>()?;
        let ([status, has_extra], rest) = rest.split_first_chunk::<2>()?;
        let texts = std::str::from_utf8(rest).ok()?;
        let (method, texts) = texts.split_at_checked(u32::from_le_bytes(*method_len) as usize)?;
        let (path, texts) = texts.split_at_checked(u32::from_le_bytes(*path_len) as usize)?;
        let (model, extra) = texts.split_at_checked(u32::from_le_bytes(*model_len) as usize)?;
        Some(Self {
            method,
            path,
            model,
            account_id: i64::from_le_bytes(*account_id),
            status: RequestStatus::from_number(*status)?,
            latency_ms: i64::from_le_bytes(*latency_ms),
            extra: (*has_extra == 1).then_some(extra),
            clashes: u32::from_le_bytes(*clashes),
        })
    }
}

/// How many fields of the JSON object `extra` bear a name of ours; an error if it is no object.
fn count_clashes(extra: &str) -> Result<u32> {
    let mut clashes = 0;
    json::check_object("extra", extra, |written| {
        let is_ours = |name: &&str| json::reads_as(written, name);
        clashes += u32::from(REQUEST_FIELDS.iter().any(is_ours));
    })?;
    Ok(clashes)
}
