//! An event between its allocation and its place in the order.

use super::block::{self, LogRef, Parts, Sort};
use super::event::Event;
use super::id::EventId;
use super::new_event::NewEvent;
use super::payload::Payload;
use crate::error::{Error, ErrorKind, Result};

/// A checked event in its block, without an id: built outside the log's lock, sealed inside it.
pub(crate) struct Draft(Event);

impl Draft {
    /// Checks `new` and copies it into a block. `now_ns` is asked only if the host gave no time.
    #[inline]
    pub(crate) fn new(new: &NewEvent<'_>, now_ns: impl FnOnce() -> u64) -> Result<Self> {
        new.check()?;
        let fixed;
        let empty: &[u8] = &[];
        let (sort, payload) = match &new.payload {
            Payload::Json(text) => (Sort::Json, [text.as_bytes(), empty, empty, empty, empty]),
            Payload::Text(text) => (Sort::Text, [text.as_bytes(), empty, empty, empty, empty]),
            Payload::Bytes(bytes) => (Sort::Bytes, [*bytes, empty, empty, empty, empty]),
            Payload::Request(record) => {
                fixed = record.fixed_part();
                let [method, path, model, extra] = record.texts().map(str::as_bytes);
                (
                    Sort::Request,
                    [fixed.as_slice(), method, path, model, extra],
                )
            }
        };
        let time_ns = new.time_ns.unwrap_or_else(now_ns);
        let parts = Parts {
            kind: new.kind,
            key: new.key,
            sort,
            payload,
        };
        let block = block::allocate(&parts, time_ns);
        let block = block.ok_or_else(|| {
            Error::fixed(
                ErrorKind::System,
                "event",
                "the allocator has no memory for the event",
            )
        })?;
        Ok(Self(Event::from_block(block)))
    }

    /// Looks at the event, which has no id yet.
    #[inline]
    pub(crate) fn peek(&self) -> &Event {
        &self.0
    }

    /// Gives the event its place and hands it to the log.
    #[inline]
    pub(crate) fn seal(self, id: EventId, arrived_ns: u64) -> LogRef {
        self.sealed(id, arrived_ns).into_log()
    }

    /// Gives the event its place in an order that is not a log's: for peers in benchmarks and for tests.
    pub(crate) fn sealed(self, id: EventId, arrived_ns: u64) -> Event {
        let mut block = *self.0.block();
        block::seal(&mut block, id, arrived_ns);
        self.0
    }
}

impl Event {
    /// An event outside any bus: the same block, built and stamped by the same code. For benchmarks
    /// beside other channels, and for tests of what reads events.
    pub fn detached(new: &NewEvent<'_>, id: EventId) -> Result<Self> {
        let clock = crate::time::Clock::system();
        Ok(Draft::new(new, || clock.wall_ns())?.sealed(id, clock.coarse_ns()))
    }
}
