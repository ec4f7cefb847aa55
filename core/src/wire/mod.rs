//! Texts: what an event looks like outside the process, as JSON, NDJSON and server-sent events.
//!
//! # What is promised
//!
//! * [`text()`] makes each text of an event at most once, whoever asks first and on whatever thread, and
//!   every later reader gets the same bytes: writing an event to a thousand clients is a thousand
//!   copies, not a thousand encodings. It cannot fail: what could be wrong was refused at publish.
//! * Every JSON text is one line, valid JSON (RFC 8259) in UTF-8, and says what the publisher said.
//! * An SSE frame is one whole event (WHATWG HTML, section 9.2): no payload, key or kind can end it
//!   early, add a field to it or change its id. A browser gets back the kind, the id and the payload;
//!   of a `text` payload, each CR and CRLF comes back as LF, because `data` lines cannot tell them
//!   apart. The JSON forms keep them.
//! * What reqbus itself has to say ([`lost`], [`resync`], [`status`], [`heartbeat`], [`retry`]) can be
//!   told from every event in every form; [`control`] says by what.
//!
//! The forms are compared byte for byte in every language by `tests/conformance/encodings.json`.
//!
//! # The forms
//!
//! | form | an event | in between |
//! |---|---|---|
//! | [`Form::Json`] | the payload alone (below) | nothing |
//! | [`Form::Envelope`] | `{"id":"…","kind":"…","key":"…","time":"…","data":…}`, no `key` when it is empty | nothing: a WebSocket message each |
//! | [`Form::Ndjson`] | the envelope | LF after each |
//! | [`Form::Sse`] | `id:`, `event:` and `data:` lines | a blank line after each |
//!
//! | payload | JSON (also the envelope's `data`) | SSE `data` |
//! |---|---|---|
//! | `json` | as published, without raw CR and LF: they are insignificant, a JSON string cannot hold them (one space more where [`control`] says so) | the same |
//! | request | one object: the seven [`crate::event::REQUEST_FIELDS`], then the fields of `extra` as published | the same |
//! | `text` | a JSON string | the text, a `data` line for each of its lines |
//! | `bytes` | a JSON string of base64 (RFC 4648 section 4, padded) | the base64, without quotes |
//!
//! Times are RFC 3339 in UTC, always with nine digits of fraction and `Z`, so that as text they sort as
//! they happened. JSON that a host published is passed on, not rewritten: repeated names, numbers
//! beyond a double and escapes of half a surrogate pair reach the reader as they are.

pub mod control;
mod form;
mod frame;
mod json;
mod payload;
mod text;

pub use control::{heartbeat, lost, resync, retry, status};
pub use form::Form;
pub use text::text;
