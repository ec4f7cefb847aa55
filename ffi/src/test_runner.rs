//! An admission on a clock that tests drive. No published artefact carries it.

use reqbus_core::runner::Admission;

use crate::admission::{Kept, reqbus_admission};
use crate::error::reqbus_error;
use crate::handle::{Place, borrow};
use crate::panic::guard_status;
use crate::runner_options::reqbus_runner_options;
use crate::sized::read_or_defaults;
use crate::status::reqbus_status::{self, REQBUS_OK};
use crate::test_clock::reqbus_test_clock;

/// As reqbus_admission_new, with an admission that reads its time from `clock`, which may be freed before the admission.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reqbus_test_admission_new(
    options: *const reqbus_runner_options,
    clock: *mut reqbus_test_clock,
    admission: *mut *mut reqbus_admission,
    error: *mut *mut reqbus_error,
) -> reqbus_status {
    guard_status(error, || {
        // SAFETY: NULL or valid for a write, as the header asks.
        let place = unsafe { Place::new(admission) }?;
        // SAFETY: NULL or as long as its size field says, as the header asks.
        let mut options = unsafe { read_or_defaults(options)?.to_core() }?;
        // SAFETY: NULL or alive, as the header asks.
        options.clock = unsafe { borrow(clock) }?.0.clone();
        place.fill(Kept(Admission::new(options)?));
        Ok(REQBUS_OK)
    })
}
