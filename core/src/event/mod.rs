//! Events: immutable, reference-counted, one block of memory each.
//!
//! An event is described by a borrowed [`NewEvent`] (or [`RequestEvent`]), checked once, copied into
//! one block, and given its [`EventId`] at the bus's ordering point. From then on nothing in it
//! changes but its reference count and the slots that hold its texts ([`crate::wire`]).

mod block;
mod draft;
#[allow(clippy::module_inception)]
mod event;
mod id;
mod json;
mod limits;
#[cfg(all(test, loom))]
mod loom_tests;
mod new_event;
mod payload;
mod request;

pub(crate) use block::{LogRef, Shares};
pub(crate) use draft::Draft;
pub use event::Event;
pub use id::{EventId, Malformed};
pub(crate) use limits::check_label;
pub use limits::{MAX_DEPTH, MAX_KEY, MAX_KIND, MAX_LABEL, MAX_PAYLOAD, RESERVED_PREFIX};
pub use new_event::NewEvent;
pub use payload::Payload;
pub use request::{REQUEST_FIELDS, RequestEvent, RequestStatus, RequestView};
