//! The one block of an event: header, encoding slots, kind, key and payload in one allocation.
//!
//! # The reference word
//!
//! | bits | meaning |
//! |---|---|
//! | 0 … 39 | references held outside the log, plus [`IN_LOG`] while the log holds the event |
//! | 40 … 63 | bytes of the texts made of this event so far, in units of 64 |
//!
//! A log hands out references under its lock without touching this word: it *lends* them, and counts
//! them in its own slot ([`LogRef::lend`]). A lent reference is an ordinary [`Event`]; whoever drops it
//! subtracts one here, which [`IN_LOG`] keeps from reaching zero. When the log lets go of the event it
//! settles the account in one step: minus `IN_LOG`, plus what it lent ([`LogRef::retire`]). So a
//! reader that takes a batch and gives it back pays two plain additions per event, no atomic one.
//!
//! The size of the texts sits in the same word so that whether a text was made before or after the log
//! let go has one answer: whoever sees `IN_LOG` set adds to the log's account, and `retire` takes from
//! it exactly what was added.

use std::mem::ManuallyDrop;
use std::ptr::NonNull;

#[cfg(loom)]
use loom::alloc::{Layout, alloc, dealloc};
#[cfg(not(loom))]
use std::alloc::{Layout, alloc, dealloc};

use super::event::Event;
use super::id::EventId;
use crate::sync::{AtomicU64, OnceLock, Ordering};

/// The log's own weight in the count: more than there can be references (each takes 8 bytes).
const IN_LOG: u64 = 1 << 39;
const COUNT: u64 = (1 << 40) - 1;
const TEXT_SHIFT: u32 = 40;
const TEXT_UNIT: usize = 64;
/// How many texts an event can have: one per cached form of `wire::Form`.
pub(crate) const FORMS: usize = 3;

/// What the bytes after the header are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Sort {
    Json,
    Text,
    Bytes,
    Request,
}

/// The header. The kind, the key and the payload follow it in the same allocation.
#[repr(C)]
pub(super) struct Block {
    refs: AtomicU64,
    pub(super) id: EventId,
    pub(super) time_ns: u64,
    pub(super) arrived_ns: u64,
    pub(super) forms: [OnceLock<Box<[u8]>>; FORMS],
    payload_len: u32,
    kind_len: u8,
    key_len: u8,
    pub(super) sort: Sort,
    /// Tells a model of any use that is not ordered before the free.
    #[cfg(loom)]
    alive: loom::cell::UnsafeCell<()>,
}

const _: () = assert!(super::MAX_KIND <= u8::MAX as usize && super::MAX_KEY <= u8::MAX as usize);
const _: () = assert!(super::MAX_PAYLOAD <= u32::MAX as usize);

/// The parts of a block that follow its header.
pub(super) struct Parts<'a> {
    pub(super) kind: &'a str,
    pub(super) key: &'a str,
    pub(super) sort: Sort,
    /// Copied one behind the other; together at most the payload limit.
    pub(super) payload: [&'a [u8]; 5],
}

fn layout(tail_len: usize) -> Option<Layout> {
    let size = size_of::<Block>().checked_add(tail_len)?;
    Layout::from_size_align(size, align_of::<Block>()).ok()
}

impl Block {
    fn tail_len(&self) -> usize {
        self.kind_len as usize + self.key_len as usize + self.payload_len as usize
    }

    /// The header is being looked at.
    #[cfg(loom)]
    pub(super) fn touch(&self) {
        self.alive.with(|_| ());
    }

    /// Size of the allocation, in bytes.
    pub(super) fn size(&self) -> usize {
        size_of::<Self>() + self.tail_len()
    }
}

/// The kind, the key and the payload of the block.
pub(super) fn tail(block: &NonNull<Block>) -> (&[u8], &[u8], &[u8]) {
    // SAFETY: a `NonNull<Block>` in this module is only ever held by somebody who owns a reference,
    // so the block is alive for as long as the borrow; `allocate` wrote all `tail_len` bytes after
    // the header before the pointer was handed out, and nobody writes them again.
    let (header, bytes) = unsafe {
        let header = block.as_ref();
        let start = block.as_ptr().add(1).cast::<u8>();
        (header, std::slice::from_raw_parts(start, header.tail_len()))
    };
    #[cfg(loom)]
    header.touch();
    let (kind, rest) = bytes.split_at(header.kind_len as usize);
    let (key, payload) = rest.split_at(header.key_len as usize);
    (kind, key, payload)
}

/// Makes a block with one reference and no id yet. `None` when the allocator has no memory.
#[inline]
pub(super) fn allocate(parts: &Parts<'_>, time_ns: u64) -> Option<NonNull<Block>> {
    let payload_len: usize = parts.payload.iter().map(|part| part.len()).sum();
    let layout = layout(parts.kind.len() + parts.key.len() + payload_len)?;
    // SAFETY: the layout's size is not zero, it holds a header.
    let memory = unsafe { alloc(layout) };
    let block = NonNull::new(memory.cast::<Block>())?;
    let header = Block {
        refs: AtomicU64::new(1),
        id: EventId { epoch: 0, seq: 0 },
        time_ns,
        arrived_ns: 0,
        forms: Default::default(),
        payload_len: payload_len as u32,
        kind_len: parts.kind.len() as u8,
        key_len: parts.key.len() as u8,
        sort: parts.sort,
        #[cfg(loom)]
        alive: loom::cell::UnsafeCell::new(()),
    };
    // SAFETY: `memory` is fresh, aligned for a `Block`, and holds one with the bytes of all parts behind it.
    let mut at = unsafe {
        block.as_ptr().write(header);
        block.as_ptr().add(1).cast::<u8>()
    };
    for part in [parts.kind.as_bytes(), parts.key.as_bytes()]
        .iter()
        .chain(&parts.payload)
    {
        // SAFETY: the parts' lengths add up to what was allocated behind the header; nobody else knows the
        // memory yet, so it cannot overlap a part.
        unsafe {
            copy_short(part, at);
            at = at.add(part.len());
        }
    }
    Some(block)
}

/// Copies `part` to `to`. Most parts are a few bytes, for which a call of the C library's `memcpy` costs more than
/// the copy.
///
/// # Safety
/// `to` is writable for `part.len()` bytes and does not overlap `part`.
#[inline]
unsafe fn copy_short(part: &[u8], to: *mut u8) {
    let (from, len) = (part.as_ptr(), part.len());
    // SAFETY: each branch reads and writes only the first and the last 1, 4, 8 or 16 of `len` bytes, which
    // overlap one another where `len` is no power of two.
    unsafe {
        match len {
            0 => {}
            1..4 => {
                let middle = len / 2;
                let (a, b, c) = (*from, *from.add(middle), *from.add(len - 1));
                *to = a;
                *to.add(middle) = b;
                *to.add(len - 1) = c;
            }
            4..8 => copy_ends::<[u8; 4]>(from, to, len),
            8..16 => copy_ends::<[u8; 8]>(from, to, len),
            16..=32 => copy_ends::<[u8; 16]>(from, to, len),
            _ => std::ptr::copy_nonoverlapping(from, to, len),
        }
    }
}

/// Copies the first and the last `size_of::<W>()` of `len` bytes.
///
/// # Safety
/// `size_of::<W>() <= len`, and both pointers are good for `len` bytes.
#[inline]
unsafe fn copy_ends<W: Copy>(from: *const u8, to: *mut u8, len: usize) {
    let last = len - size_of::<W>();
    // SAFETY: the caller's word; the accesses are unaligned ones.
    unsafe {
        let (head, tail) = (
            from.cast::<W>().read_unaligned(),
            from.add(last).cast::<W>().read_unaligned(),
        );
        to.cast::<W>().write_unaligned(head);
        to.add(last).cast::<W>().write_unaligned(tail);
    }
}

/// Sets the id and the arrival of a block that nobody else knows yet.
pub(super) fn seal(block: &mut NonNull<Block>, id: EventId, arrived_ns: u64) {
    // SAFETY: only `Draft` calls this, with a block of one reference that it alone holds.
    let header = unsafe { block.as_mut() };
    header.id = id;
    header.arrived_ns = arrived_ns;
}

fn free(block: NonNull<Block>) {
    // SAFETY: the caller took the last reference out of the count, so nobody else can reach the
    // block; the layout is the one it was allocated with, because the lengths never change.
    unsafe {
        let size = block.as_ref().size();
        #[cfg(loom)]
        block.as_ref().alive.with_mut(|_| ());
        std::ptr::drop_in_place(block.as_ptr());
        dealloc(
            block.as_ptr().cast(),
            Layout::from_size_align_unchecked(size, align_of::<Block>()),
        );
    }
}

/// Takes `weight` out of the reference word; frees the block if that was the last. Returns the word as
/// it was.
#[inline]
fn release(block: NonNull<Block>, weight: u64) -> u64 {
    // SAFETY: the caller owns `weight` of the count, so the block is alive.
    let refs = unsafe { &block.as_ref().refs };
    // Release: our uses of the block come before whoever frees it.
    let before = refs.fetch_sub(weight, Ordering::Release);
    if before & COUNT == weight {
        // Acquire: everybody's uses come before the free. A load of the word orders as a fence would, and
        // ThreadSanitizer, which knows no fences, sees it too.
        let _ = refs.load(Ordering::Acquire);
        free(block);
    }
    before
}

pub(super) fn clone(block: &NonNull<Block>) -> NonNull<Block> {
    // SAFETY: the caller holds a reference, so the block is alive.
    // Relaxed: a new reference is made from an old one, which already orders everything.
    unsafe { block.as_ref().refs.fetch_add(1, Ordering::Relaxed) };
    *block
}

pub(super) fn drop_one(block: NonNull<Block>) {
    release(block, 1);
}

/// Notes that a text of `len` bytes was made; the rounded size to add to the log's account, 0 if the log
/// has let go of the event (or never had it).
pub(super) fn note_text(block: &NonNull<Block>, len: usize) -> i64 {
    let units = len.div_ceil(TEXT_UNIT);
    // SAFETY: the caller holds a reference.
    // Relaxed: the two sides only need one order for this word itself, which every atomic has.
    let before = unsafe {
        block
            .as_ref()
            .refs
            .fetch_add((units as u64) << TEXT_SHIFT, Ordering::Relaxed)
    };
    // Lent references that were dropped, not taken back, leave less than `IN_LOG`, but never half of it.
    if before & COUNT >= IN_LOG / 2 {
        (units * TEXT_UNIT) as i64
    } else {
        0
    }
}

/// The log's reference to an event.
pub(crate) struct LogRef(NonNull<Block>);

// SAFETY: an event is immutable but for atomics and `OnceLock`s, so it may be used and dropped anywhere.
unsafe impl Send for LogRef {}

impl LogRef {
    /// Turns the only reference to an event into the log's.
    pub(super) fn new(block: NonNull<Block>) -> Self {
        // SAFETY: the caller hands over the one reference. Relaxed: not shared yet; the log's lock
        // publishes the block.
        unsafe { block.as_ref().refs.store(IN_LOG, Ordering::Relaxed) };
        Self(block)
    }

    /// A reference for a reader. The log must add one to its `lent` account for this event, under the
    /// same lock hold.
    #[inline]
    pub(crate) fn lend(&self) -> Event {
        Event::from_block(self.0)
    }

    /// Looks at the event.
    #[inline]
    pub(crate) fn peek(&self) -> ManuallyDrop<Event> {
        ManuallyDrop::new(Event::from_block(self.0))
    }

    /// Bytes of texts made so far, as the log's account knows them.
    pub(crate) fn text_bytes(&self) -> i64 {
        // SAFETY: the log holds the event. Relaxed: an estimate for the byte bound.
        let word = unsafe { self.0.as_ref().refs.load(Ordering::Relaxed) };
        ((word >> TEXT_SHIFT) as usize * TEXT_UNIT) as i64
    }

    /// Lets go of the event, `lent` references of which are still out (negative when readers gave back
    /// more than was lent: references that were cloned). Returns the bytes of texts to take out of
    /// the log's account. Frees the event if nobody holds it: call it without the lock.
    #[inline]
    pub(crate) fn retire(self, lent: i32) -> i64 {
        let weight = IN_LOG.wrapping_add_signed(-i64::from(lent));
        // SAFETY: the log holds the event until the release below.
        // Acquire: as in `release`, everybody's uses come before the free.
        let now = unsafe { self.0.as_ref().refs.load(Ordering::Acquire) };
        let before = if now & COUNT == weight {
            // The usual end: ours are all the references there are, so that nobody can make another or look at
            // the word, and no atomic step is needed to take them out.
            free(self.0);
            now
        } else {
            release(self.0, weight)
        };
        ((before >> TEXT_SHIFT) as usize * TEXT_UNIT) as i64
    }
}

/// Many references to one event, raised by one addition, for a fan-out.
pub(crate) struct Shares {
    block: NonNull<Block>,
    left: u64,
}

impl Shares {
    /// `count` references to `event`.
    #[inline]
    pub(crate) fn new(event: &Event, count: usize) -> Self {
        let block = *event.block();
        let left = count as u64;
        // SAFETY: `event` holds a reference. Relaxed: as in `clone`.
        unsafe { block.as_ref().refs.fetch_add(left, Ordering::Relaxed) };
        Self { block, left }
    }

    /// One of them; `None` when all are given out.
    #[inline]
    pub(crate) fn take(&mut self) -> Option<Event> {
        self.left = self.left.checked_sub(1)?;
        Some(Event::from_block(self.block))
    }

    /// Puts one back that found no taker, so that the remainder goes back in one subtraction.
    #[inline]
    pub(crate) fn put_back(&mut self, event: Event) {
        debug_assert!(self.block == *event.block());
        let _ = ManuallyDrop::new(event);
        self.left += 1;
    }
}

impl Drop for Shares {
    fn drop(&mut self) {
        if self.left > 0 {
            release(self.block, self.left);
        }
    }
}
