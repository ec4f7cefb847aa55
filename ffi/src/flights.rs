//! What is being checked: a snapshot.

use std::ffi::c_char;
use std::ptr::null_mut;

use reqbus_core::runner::InFlight;

use crate::failure::Failure;
use crate::handle::{Boxed, Stamped, borrow, free, handle};
use crate::panic::{guard, guard_status};
use crate::refusal::nanos;
use crate::sized::{defaults, sized_struct, write};
use crate::slice::start_of;
use crate::status::reqbus_status::{self, REQBUS_NO_SUCH_ITEM, REQBUS_OK};

/// A snapshot of checks that are under way; it does not change any more.
///
/// Made by reqbus_admission_in_flight, reqbus_runner_in_flight and reqbus_runner_stop, owned by the caller, freed with
/// reqbus_flights_free. Any thread may use it at any time.
pub struct reqbus_flights(Stamped<Vec<InFlight>>);

handle!(reqbus_flights, Vec<InFlight>, Boxed, "flights");

/// One check of a snapshot. Pointers are borrowed from the snapshot; texts are UTF-8 and not NUL-terminated.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct reqbus_flight {
    /// sizeof(reqbus_flight), set by the caller.
    pub size: usize,
    /// What is being checked.
    pub id: *const c_char,
    /// Length of `id` in bytes.
    pub id_len: usize,
    /// For how long, in nanoseconds.
    pub age_ns: u64,
    /// 1 if it is over its time.
    pub stuck: u32,
    /// 0.
    pub reserved: u32,
}

sized_struct!(reqbus_flight);

impl From<&InFlight> for reqbus_flight {
    fn from(flight: &InFlight) -> Self {
        Self {
            id: start_of(flight.id.as_bytes()),
            id_len: flight.id.len(),
            age_ns: nanos(flight.age),
            stuck: u32::from(flight.is_stuck),
            ..defaults()
        }
    }
}

/// How many checks the snapshot has. 0 for NULL. Any thread; never blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reqbus_flights_len(flights: *const reqbus_flights) -> usize {
    guard(|| {
        // SAFETY: NULL or alive, as the header asks.
        unsafe { borrow(flights) }.ok().map(Vec::len)
    })
}

/// Fills `*flight` (whose size field the caller set) with check `index`, counted from 0, the oldest.
///
/// Its pointers are borrowed from the snapshot. REQBUS_NO_SUCH_ITEM beyond the last; REQBUS_NULL_ARGUMENT if either is NULL;
/// REQBUS_INVALID_SIZE for its size. Any thread; never blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reqbus_flights_item(
    flights: *const reqbus_flights,
    index: usize,
    flight: *mut reqbus_flight,
) -> reqbus_status {
    guard_status(null_mut(), || {
        // SAFETY: NULL or alive, as the header asks.
        let entry = unsafe { borrow(flights) }?.get(index).ok_or(Failure::new(
            REQBUS_NO_SUCH_ITEM,
            "index",
            "the snapshot has no check with this index",
        ))?;
        // SAFETY: NULL or as long as its size field says, as the header asks.
        unsafe { write(flight, &entry.into()) }?;
        Ok(REQBUS_OK)
    })
}

/// Frees the snapshot in `*flights` and writes NULL there.
///
/// REQBUS_OK, also for NULL and for `*flights` being NULL. No other call may be using this handle. In a forked child the parent's
/// object is left alone (leaked) and the answer is REQBUS_OK.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reqbus_flights_free(flights: *mut *mut reqbus_flights) -> reqbus_status {
    // SAFETY: NULL or valid, and freed once, as the header asks.
    guard_status(null_mut(), || unsafe { free(flights) })
}
