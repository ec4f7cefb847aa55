//! Batches: what one read took, and how C looks at it.

use std::cell::UnsafeCell;
use std::ffi::c_char;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicBool, Ordering};

use reqbus_core::Batch;
use reqbus_core::bus::Item;
use reqbus_core::event::Payload;

use crate::error::reqbus_error;
use crate::event::reqbus_request_event;
use crate::failure::Failure;
use crate::handle::{Boxed, Place, Stamped, borrow, free, handle};
use crate::id::reqbus_id;
use crate::item::reqbus_item;
use crate::panic::{guard, guard_status};
use crate::sized::{sized_struct, write};
use crate::slice::{put, required, start_of};
use crate::status::reqbus_status::{self, REQBUS_BUSY, REQBUS_NO_SUCH_ITEM, REQBUS_OK};

/// A batch: the items of one read, reused from read to read.
///
/// Made by reqbus_batch_new, owned by the caller, freed with reqbus_batch_free. Items and texts stay valid
/// until the next recv into the batch, reqbus_batch_clear or reqbus_batch_free. One thread at a time;
/// a call that meets another one at work on the same batch answers REQBUS_BUSY.
pub struct reqbus_batch(Stamped<BatchCell>);

handle!(reqbus_batch, BatchCell, Boxed, "batch");

/// A batch that notices when two threads write it at once.
pub(crate) struct BatchCell {
    in_use: AtomicBool,
    batch: UnsafeCell<Batch>,
}

// SAFETY: `batch` is written only by whoever turned `in_use` from false to true. Reads look at `in_use` but
// do not hold it: that nobody writes meanwhile is what the header asks ("one thread at a time").
unsafe impl Sync for BatchCell {}

/// Sets `in_use` back, also when the call panics.
struct InUse<'a>(&'a AtomicBool);

impl Drop for InUse<'_> {
    fn drop(&mut self) {
        // Release: our writes come before those of the next user.
        self.0.store(false, Ordering::Release);
    }
}

/// Where nothing ends: C is given an address, as of an empty text.
static NO_END: usize = 0;

const BUSY: Failure = Failure::new(
    REQBUS_BUSY,
    "batch",
    "another call is using this batch; one thread at a time",
);

impl BatchCell {
    /// Runs `change` on the batch, alone.
    pub(crate) fn change<R>(
        &self,
        change: impl FnOnce(&mut Batch) -> Result<R, Failure>,
    ) -> Result<R, Failure> {
        // Acquire: pairs with the drop of `InUse`.
        if self.in_use.swap(true, Ordering::Acquire) {
            return Err(BUSY);
        }
        let _in_use = InUse(&self.in_use);
        // SAFETY: we turned `in_use` to true, so no other writer is here till `_in_use` is dropped.
        change(unsafe { &mut *self.batch.get() })
    }

    /// Looks at the batch.
    ///
    /// # Safety
    /// No other thread writes it meanwhile.
    unsafe fn look(&self) -> Result<&Batch, Failure> {
        if self.in_use.load(Ordering::Acquire) {
            return Err(BUSY);
        }
        // SAFETY: this function's contract.
        Ok(unsafe { &*self.batch.get() })
    }
}

/// The texts of a batch, ready to write: one buffer, in which text `i` ends before offset `ends[i]` and
/// begins where text `i - 1` ends (the first at 0). Borrowed from the batch.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct reqbus_texts {
    /// sizeof(reqbus_texts), set by the caller.
    pub size: usize,
    /// All texts, one behind the other; not NUL-terminated.
    pub buffer: *const c_char,
    /// Length of `buffer` in bytes.
    pub buffer_len: usize,
    /// Where each text ends, as an offset into `buffer`.
    pub ends: *const usize,
    /// How many texts there are: one per item, or 0 if the read did not ask for texts.
    pub count: usize,
}

sized_struct!(reqbus_texts);

/// Makes an empty batch and writes it to `*batch`.
///
/// Owned by the caller: free it with reqbus_batch_free. REQBUS_NULL_ARGUMENT if `batch` is NULL. `error`
/// may be NULL. Any thread; never blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reqbus_batch_new(
    batch: *mut *mut reqbus_batch,
    error: *mut *mut reqbus_error,
) -> reqbus_status {
    guard_status(error, || {
        // SAFETY: NULL or valid for a write, as the header asks.
        let place = unsafe { Place::new(batch) }?;
        place.fill(BatchCell {
            in_use: AtomicBool::new(false),
            batch: UnsafeCell::new(Batch::new()),
        });
        Ok(REQBUS_OK)
    })
}

/// Lets go of all items and keeps the memory for the next read.
///
/// NULL answers REQBUS_NULL_ARGUMENT. One thread at a time; never blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reqbus_batch_clear(batch: *mut reqbus_batch) -> reqbus_status {
    guard_status(null_mut(), || {
        // SAFETY: NULL or alive, as the header asks.
        unsafe { borrow(batch) }?.change(|batch| {
            batch.clear();
            Ok(REQBUS_OK)
        })
    })
}

/// Frees the batch in `*batch` and writes NULL there. Its items end with it.
///
/// REQBUS_OK, also for NULL and for `*batch` being NULL. No other call may be using this handle. In a
/// forked child the parent's object is left alone (leaked) and the answer is REQBUS_OK.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reqbus_batch_free(batch: *mut *mut reqbus_batch) -> reqbus_status {
    // SAFETY: NULL or valid, and freed once, as the header asks.
    guard_status(null_mut(), || unsafe { free(batch) })
}

/// How many items the batch holds. 0 for NULL. Never blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reqbus_batch_len(batch: *const reqbus_batch) -> usize {
    guard(|| {
        // SAFETY: NULL or alive, and not written by another thread, as the header asks.
        unsafe { borrow(batch).ok()?.look() }.ok().map(Batch::len)
    })
}

/// Item `index` of a batch, counted from 0.
///
/// # Safety
/// `batch` is NULL or alive, and no other thread writes it while `'a` lasts.
unsafe fn item_of<'a>(batch: *const reqbus_batch, index: usize) -> Result<Item<'a>, Failure> {
    // SAFETY: this function's contract.
    let batch = unsafe { borrow(batch)?.look() }?;
    batch.get(index).ok_or(Failure::new(
        REQBUS_NO_SUCH_ITEM,
        "index",
        "the batch has no item with this index",
    ))
}

/// Fills `*item` (whose size field the caller set) with item `index`, counted from 0.
///
/// Its pointers are borrowed from the batch. REQBUS_NO_SUCH_ITEM beyond the last; REQBUS_NULL_ARGUMENT if
/// `batch` or `item` is NULL; REQBUS_INVALID_SIZE for the item's size. Never blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reqbus_batch_item(
    batch: *const reqbus_batch,
    index: usize,
    item: *mut reqbus_item,
) -> reqbus_status {
    guard_status(null_mut(), || {
        // SAFETY: NULL or alive, and not written by another thread, as the header asks.
        let inside = unsafe { item_of(batch, index) }?;
        // SAFETY: NULL or as long as its size field says, as the header asks.
        unsafe { write(item, &reqbus_item::of(&inside)) }?;
        Ok(REQBUS_OK)
    })
}

/// Fills `*request` (whose size field the caller set) with the record of item `index`, an event with
/// payload_sort REQBUS_PAYLOAD_REQUEST.
///
/// Its pointers are borrowed from the batch. REQBUS_NO_SUCH_ITEM beyond the last and for another sort of
/// item; otherwise as reqbus_batch_item.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reqbus_batch_request(
    batch: *const reqbus_batch,
    index: usize,
    request: *mut reqbus_request_event,
) -> reqbus_status {
    guard_status(null_mut(), || {
        // SAFETY: NULL or alive, and not written by another thread, as the header asks.
        let inside = unsafe { item_of(batch, index) }?;
        if let Item::Event { event, .. } = inside
            && let Payload::Request(record) = event.payload()
        {
            // SAFETY: NULL or as long as its size field says, as the header asks.
            unsafe { write(request, &reqbus_request_event::of(event, &record)) }?;
            return Ok(REQBUS_OK);
        }
        Err(Failure::new(
            REQBUS_NO_SUCH_ITEM,
            "index",
            "the item is not a request event",
        ))
    })
}

/// Fills `*texts` (whose size field the caller set) with the texts of the batch, if the read was
/// reqbus_subscription_recv_texts; else there are none.
///
/// Its pointers are borrowed from the batch. REQBUS_NULL_ARGUMENT if `batch` or `texts` is NULL;
/// REQBUS_INVALID_SIZE for its size. Never blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reqbus_batch_texts(
    batch: *const reqbus_batch,
    texts: *mut reqbus_texts,
) -> reqbus_status {
    guard_status(null_mut(), || {
        // SAFETY: NULL or alive, and not written by another thread, as the header asks.
        let inside = unsafe { borrow(batch)?.look() }?.texts();
        let answer = reqbus_texts {
            size: size_of::<reqbus_texts>(),
            buffer: start_of(inside.buffer),
            buffer_len: inside.buffer.len(),
            ends: match inside.ends {
                [] => &raw const NO_END,
                ends => ends.as_ptr(),
            },
            count: inside.ends.len(),
        };
        // SAFETY: NULL or as long as its size field says, as the header asks.
        unsafe { write(texts, &answer) }?;
        Ok(REQBUS_OK)
    })
}

/// Writes to `*id` up to where the subscription knows everything once this batch is dealt with: what a
/// heartbeat may carry, and where a resume loses nothing.
///
/// REQBUS_NULL_ARGUMENT if either is NULL. Never blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reqbus_batch_settled(
    batch: *const reqbus_batch,
    id: *mut reqbus_id,
) -> reqbus_status {
    guard_status(null_mut(), || {
        // SAFETY: NULL or alive, and not written by another thread, as the header asks.
        let settled = unsafe { borrow(batch)?.look() }?.settled();
        // SAFETY: not NULL, and valid for a write as the header asks.
        unsafe { put(required(id, "id")?, settled.into()) };
        Ok(REQBUS_OK)
    })
}
