//! A clock that tests drive, for C and for bindings built on C. No published artefact carries it.

use std::ptr::null_mut;
use std::time::Duration;

use reqbus_core::Bus;
use reqbus_core::time::{Clock, ClockDriver};

use crate::bus::reqbus_bus;
use crate::error::reqbus_error;
use crate::handle::{Boxed, Place, Stamped, borrow, free, handle};
use crate::options::reqbus_bus_options;
use crate::panic::guard_status;
use crate::sized::read_or_defaults;
use crate::status::reqbus_status::{self, REQBUS_OK};

/// A clock that stands still until it is advanced. Owned by the caller; any thread may use it.
pub struct reqbus_test_clock(Stamped<(Clock, ClockDriver)>);

handle!(reqbus_test_clock, (Clock, ClockDriver), Boxed, "clock");

/// Makes a clock that stands at 2026-01-01T00:00:00Z and writes it to `*clock`.
///
/// Free it with reqbus_test_clock_free. REQBUS_NULL_ARGUMENT if `clock` is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reqbus_test_clock_new(
    clock: *mut *mut reqbus_test_clock,
) -> reqbus_status {
    guard_status(null_mut(), || {
        // SAFETY: NULL or valid for a write, as the header asks.
        let place = unsafe { Place::new(clock) }?;
        place.fill(Clock::driven());
        Ok(REQBUS_OK)
    })
}

/// Moves the clock on by `by_ns` nanoseconds; every timer that comes due has fired when it returns.
///
/// NULL answers REQBUS_NULL_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reqbus_test_clock_advance(
    clock: *mut reqbus_test_clock,
    by_ns: u64,
) -> reqbus_status {
    guard_status(null_mut(), || {
        // SAFETY: NULL or alive, as the header asks.
        unsafe { borrow(clock) }?
            .1
            .advance(Duration::from_nanos(by_ns));
        Ok(REQBUS_OK)
    })
}

/// As reqbus_bus_new, with a bus that reads its time from `clock`, which may be freed before the bus.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reqbus_test_bus_new(
    options: *const reqbus_bus_options,
    clock: *mut reqbus_test_clock,
    bus: *mut *mut reqbus_bus,
    error: *mut *mut reqbus_error,
) -> reqbus_status {
    guard_status(error, || {
        // SAFETY: NULL or valid for a write, as the header asks.
        let place = unsafe { Place::new(bus) }?;
        // SAFETY: NULL or as long as its size field says, as the header asks.
        let mut options = unsafe { read_or_defaults(options) }?.to_core()?;
        // SAFETY: NULL or alive, as the header asks.
        options.clock = unsafe { borrow(clock) }?.0.clone();
        place.fill(Bus::new(options)?);
        Ok(REQBUS_OK)
    })
}

/// Frees the clock in `*clock` and writes NULL there; REQBUS_OK also if there is none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reqbus_test_clock_free(
    clock: *mut *mut reqbus_test_clock,
) -> reqbus_status {
    // SAFETY: NULL or valid, and freed once, as the header asks.
    guard_status(null_mut(), || unsafe { free(clock) })
}
