//! An event, as readers hold it.

use std::fmt;
use std::mem::ManuallyDrop;
use std::ptr::NonNull;

use super::block::{self, Block, FORMS, LogRef, Sort};
use super::id::EventId;
use super::payload::Payload;
use super::request::RequestView;

/// One published event: id, time, key, kind and payload. Immutable; a clone is another reference to
/// the same block, and may be kept for as long as its holder likes, on any thread.
pub struct Event(NonNull<Block>);

// SAFETY: everything in a block is immutable after it was sealed, but for an atomic and `OnceLock`s.
unsafe impl Send for Event {}
// SAFETY: as above.
unsafe impl Sync for Event {}

impl Event {
    #[inline]
    pub(super) fn from_block(block: NonNull<Block>) -> Self {
        Self(block)
    }

    #[inline]
    pub(super) fn block(&self) -> &NonNull<Block> {
        &self.0
    }

    #[inline]
    fn header(&self) -> &Block {
        // SAFETY: we hold a reference, so the block is alive, and nobody writes to it but through
        // its atomics.
        let header = unsafe { self.0.as_ref() };
        #[cfg(loom)]
        header.touch();
        header
    }

    /// Hands the only reference to a log.
    pub(super) fn into_log(self) -> LogRef {
        LogRef::new(ManuallyDrop::new(self).0)
    }

    /// Epoch and sequence number.
    #[inline]
    #[must_use]
    pub fn id(&self) -> EventId {
        self.header().id
    }

    /// When it happened, in nanoseconds since 1970 UTC: the publisher's word, else the time of the
    /// publish.
    #[must_use]
    pub fn time_ns(&self) -> u64 {
        self.header().time_ns
    }

    /// When the bus took it, on the bus's coarse monotonic clock.
    pub(crate) fn arrived_ns(&self) -> u64 {
        self.header().arrived_ns
    }

    /// What happened.
    #[must_use]
    pub fn kind(&self) -> &str {
        as_text(block::tail(&self.0).0)
    }

    /// What filters by key look at; often empty.
    #[must_use]
    pub fn key(&self) -> &str {
        as_text(block::tail(&self.0).1)
    }

    /// The payload.
    #[must_use]
    pub fn payload(&self) -> Payload<'_> {
        let bytes = block::tail(&self.0).2;
        match self.header().sort {
            Sort::Json => Payload::Json(as_text(bytes)),
            Sort::Text => Payload::Text(as_text(bytes)),
            Sort::Bytes => Payload::Bytes(bytes),
            Sort::Request => match RequestView::read_record(bytes) {
                Some(record) => Payload::Request(record),
                None => Payload::Bytes(bytes),
            },
        }
    }

    /// Length of the payload, in bytes.
    #[must_use]
    pub fn payload_len(&self) -> usize {
        block::tail(&self.0).2.len()
    }

    /// Size of the event's block, in bytes: what every byte bound counts.
    #[inline]
    pub(crate) fn size(&self) -> usize {
        self.header().size()
    }

    /// The text in slot `form`, made by `make` at most once, whoever asks first; the others wait for
    /// it. `grown` is told the bytes to add to the log's account, if the log still holds the event.
    pub(crate) fn text_in(
        &self,
        form: usize,
        make: impl FnOnce(&Self) -> Box<[u8]>,
        grown: impl FnOnce(i64),
    ) -> &[u8] {
        const { assert!(FORMS == 3) };
        let Some(slot) = self.header().forms.get(form) else {
            return &[];
        };
        slot.get_or_init(|| {
            let text = make(self);
            let bytes = block::note_text(&self.0, text.len());
            if bytes > 0 {
                grown(bytes);
            }
            text
        })
    }
}

/// The text of bytes that were a `&str` when they were copied into the block.
fn as_text(bytes: &[u8]) -> &str {
    // SAFETY: `Draft` copies whole `&str`s into these ranges, and nobody writes them again.
    unsafe { std::str::from_utf8_unchecked(bytes) }
}

impl Clone for Event {
    #[inline]
    fn clone(&self) -> Self {
        Self(block::clone(&self.0))
    }
}

impl Drop for Event {
    #[inline]
    fn drop(&mut self) {
        block::drop_one(self.0);
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Event")
            .field("id", &self.id())
            .field("kind", &self.kind())
            .field("key", &self.key())
            .field("payload_len", &self.payload_len())
            .finish_non_exhaustive()
    }
}
