//! What an event carries.

use super::request::RequestView;

/// The payload of an event, borrowed from it (or, in a [`super::NewEvent`], from the publisher).
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Payload<'a> {
    /// One JSON value, any sort. Written into JSON and SSE as it is, less insignificant line breaks.
    Json(&'a str),
    /// Text: a JSON string in JSON, its lines as `data:` lines in SSE.
    Text(&'a str),
    /// Bytes: base64 (RFC 4648 section 4, padded) in JSON and SSE.
    Bytes(&'a [u8]),
    /// The record of a request event. Only read from events; published by
    /// [`crate::Bus::publish_request`].
    Request(RequestView<'a>),
}
