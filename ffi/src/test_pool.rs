//! Pools on a clock that tests drive, and on a store that fails as they say. No published artefact carries them.

use std::ptr::null_mut;
use std::time::Duration;

use reqbus_core::SlotPool;
use reqbus_core::slots::{Fault, FaultOptions};

use crate::error::reqbus_error;
use crate::failure::Failure;
use crate::handle::{Boxed, Place, Stamped, borrow, free, handle};
use crate::panic::guard_status;
use crate::pool::reqbus_pool;
use crate::pool_options::reqbus_pool_options;
use crate::sized::{check_flags, read_or_defaults, sized_struct};
use crate::status::reqbus_status::{self, REQBUS_OK};
use crate::test_clock::reqbus_test_clock;

/// The switch of a store for tests: down, or back. Owned by the caller; any thread may use it.
pub struct reqbus_test_fault(Stamped<Fault>);

handle!(reqbus_test_fault, Fault, Boxed, "fault");

/// How bad the line to a store for tests is. Zero is a good one. Chances are out of 1,000.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct reqbus_test_fault_options {
    /// sizeof(reqbus_test_fault_options).
    pub size: usize,
    /// What is drawn is drawn from this: the same seed and the same calls, the same faults.
    pub seed: u64,
    /// A message takes up to so many nanoseconds, drawn for each, so that one overtakes another.
    pub latest_ns: u64,
    /// A message is lost.
    pub lost: u32,
    /// A message comes twice.
    pub doubled: u32,
    /// A lease is lost, within 10 s.
    pub lost_lease: u32,
    /// Must be 0.
    pub reserved: u32,
}

sized_struct!(reqbus_test_fault_options);

/// Makes a pool, on `clock`, and on a store for tests if there is one.
///
/// # Safety
/// Each pointer is NULL or valid, as the header asks.
unsafe fn pool_on(
    options: *const reqbus_pool_options,
    clock: *mut reqbus_test_clock,
    fault: Option<FaultOptions>,
    pool: *mut *mut reqbus_pool,
) -> Result<reqbus_status, Failure> {
    // SAFETY: this function's contract.
    let place = unsafe { Place::new(pool) }?;
    // SAFETY: as above.
    let (mut options, sink) = unsafe { read_or_defaults(options)?.to_core() }?;
    // SAFETY: as above.
    options.clock = unsafe { borrow(clock) }?.0.clone();
    options.fault = fault;
    let made = SlotPool::new(options)?;
    if let Some(sink) = sink {
        sink.take_over();
    }
    place.fill(made);
    Ok(REQBUS_OK)
}

/// As reqbus_pool_new, with a pool that reads its time from `clock`, which may be freed before the pool.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reqbus_test_pool_new(
    options: *const reqbus_pool_options,
    clock: *mut reqbus_test_clock,
    pool: *mut *mut reqbus_pool,
    error: *mut *mut reqbus_error,
) -> reqbus_status {
    // SAFETY: as the header asks.
    guard_status(error, || unsafe { pool_on(options, clock, None, pool) })
}

/// As reqbus_test_pool_new, with a store behind the line that `line` describes (NULL for a good one): it answers when the clock is
/// advanced. `fault` goes down and comes back; it may be freed before the pool.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reqbus_test_pool_new_on_fault(
    options: *const reqbus_pool_options,
    clock: *mut reqbus_test_clock,
    line: *const reqbus_test_fault_options,
    fault: *mut reqbus_test_fault,
    pool: *mut *mut reqbus_pool,
    error: *mut *mut reqbus_error,
) -> reqbus_status {
    guard_status(error, || {
        // SAFETY: NULL or as long as its size field says, as the header asks.
        let line = unsafe { read_or_defaults(line) }?;
        check_flags(line.reserved, 0, "reserved")?;
        let fault = FaultOptions {
            seed: line.seed,
            latest: Duration::from_nanos(line.latest_ns),
            lost: line.lost,
            doubled: line.doubled,
            lost_lease: line.lost_lease,
            // SAFETY: NULL or alive, as the header asks.
            fault: unsafe { borrow(fault) }?.clone(),
        };
        // SAFETY: as the header asks.
        unsafe { pool_on(options, clock, Some(fault), pool) }
    })
}

/// Makes a switch, which is not down, and writes it to `*fault`.
///
/// Free it with reqbus_test_fault_free. REQBUS_NULL_ARGUMENT if `fault` is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reqbus_test_fault_new(
    fault: *mut *mut reqbus_test_fault,
) -> reqbus_status {
    guard_status(null_mut(), || {
        // SAFETY: NULL or valid for a write, as the header asks.
        let place = unsafe { Place::new(fault) }?;
        place.fill(Fault::default());
        Ok(REQBUS_OK)
    })
}

/// From now on the store refuses half of the commands as unavailable and does not hear the others.
///
/// NULL answers REQBUS_NULL_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reqbus_test_fault_go_down(fault: *mut reqbus_test_fault) -> reqbus_status {
    guard_status(null_mut(), || {
        // SAFETY: NULL or alive, as the header asks.
        unsafe { borrow(fault) }?.go_down();
        Ok(REQBUS_OK)
    })
}

/// The end of that. What was not heard stays unheard.
///
/// NULL answers REQBUS_NULL_ARGUMENT.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reqbus_test_fault_come_back(
    fault: *mut reqbus_test_fault,
) -> reqbus_status {
    guard_status(null_mut(), || {
        // SAFETY: NULL or alive, as the header asks.
        unsafe { borrow(fault) }?.come_back();
        Ok(REQBUS_OK)
    })
}

/// Frees the switch in `*fault` and writes NULL there; REQBUS_OK also if there is none. The store stays as it is.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reqbus_test_fault_free(
    fault: *mut *mut reqbus_test_fault,
) -> reqbus_status {
    // SAFETY: NULL or valid, and freed once, as the header asks.
    guard_status(null_mut(), || unsafe { free(fault) })
}
