//! Which checks begin, for hosts that run them themselves.

use std::ffi::c_char;
use std::ptr::null_mut;
use std::time::Duration;

use reqbus_core::runner::{Admission, Due};

use crate::error::reqbus_error;
use crate::failure::Failure;
use crate::flights::reqbus_flights;
use crate::handle::{Boxed, Place, Stamped, borrow, free, handle};
use crate::panic::guard_status;
use crate::permit::{Lease, reqbus_permit};
use crate::refusal::nanos;
use crate::runner_options::reqbus_runner_options;
use crate::runner_stats::reqbus_runner_stats;
use crate::sized::{read_or_defaults, write};
use crate::slice::{array, buffer, put, required, text};
use crate::status::reqbus_status::{self, REQBUS_OK};

/// Decides which checks begin, for hosts that run them themselves: as goroutines, coroutines or promises. It starts no thread.
///
/// A host's loop sleeps for reqbus_admission_until_next_round, asks its own store what is due, gives that to
/// reqbus_admission_admit, and runs one check for each permit. Made by reqbus_admission_new, owned by the caller, freed with
/// reqbus_admission_free. Any thread may use it at any time.
pub struct reqbus_admission(Stamped<Kept>);

handle!(reqbus_admission, Kept, Boxed, "admission");

/// An admission that is stopped when its handle is freed: who still holds a permit is told.
pub(crate) struct Kept(pub(crate) Admission);

impl Drop for Kept {
    fn drop(&mut self) {
        self.0.stop();
    }
}

/// Something that is due. Texts are borrowed for the call and copied.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct reqbus_due {
    /// What is to be checked: 1 to 255 bytes of UTF-8.
    pub id: *const c_char,
    /// Length of `id` in bytes.
    pub id_len: usize,
    /// For how long it has been due, in milliseconds: the longest come first, equals take turns.
    pub overdue_ms: u64,
}

impl reqbus_due {
    /// The item as core takes it, which checks it where it is used.
    ///
    /// # Safety
    /// As for [`text`], for the id.
    unsafe fn to_core<'a>(self) -> Result<Due<'a>, Failure> {
        Ok(Due {
            // SAFETY: this function's contract.
            id: unsafe { text(self.id, self.id_len, "id") }?,
            overdue: Duration::from_millis(self.overdue_ms),
        })
    }
}

/// Makes an admission with `options` (NULL for all defaults) and writes it to `*admission`. Its first round is due at once, or
/// within the jitter.
///
/// Owned by the caller: free it with reqbus_admission_free. On failure `*admission` is NULL. REQBUS_NULL_ARGUMENT if `admission`
/// is NULL; REQBUS_INVALID_SIZE, REQBUS_UNKNOWN_OPTION, REQBUS_INVALID_ARGUMENT for the options; REQBUS_SYSTEM if the system
/// refused. `error` may be NULL. Any thread; never blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reqbus_admission_new(
    options: *const reqbus_runner_options,
    admission: *mut *mut reqbus_admission,
    error: *mut *mut reqbus_error,
) -> reqbus_status {
    guard_status(error, || {
        // SAFETY: NULL or valid for a write, as the header asks.
        let place = unsafe { Place::new(admission) }?;
        // SAFETY: NULL or as long as its size field says, and its teller alive, as the header asks.
        let options = unsafe { read_or_defaults(options)?.to_core() }?;
        place.fill(Kept(Admission::new(options)?));
        Ok(REQBUS_OK)
    })
}

/// Writes to `*wait_ns` how long it is until the next round, in nanoseconds; 0 when it is due.
///
/// REQBUS_NULL_ARGUMENT if either is NULL. Any thread; takes a short lock.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reqbus_admission_until_next_round(
    admission: *const reqbus_admission,
    wait_ns: *mut u64,
) -> reqbus_status {
    guard_status(null_mut(), || {
        // SAFETY: NULL or alive, as the header asks.
        let Kept(admission) = unsafe { borrow(admission) }?;
        let wait = nanos(admission.until_next_round());
        // SAFETY: not NULL, and valid for a write as the header asks.
        unsafe { put(required(wait_ns, "wait_ns")?, wait) };
        Ok(REQBUS_OK)
    })
}

/// Begins a round, whenever it is called: writes permits for those of `due` that may be checked now to `permits`, which has room
/// for `capacity`, in the order in which they should begin, and their number to `*count`.
///
/// There are at most `capacity` permits, and never more than `at_once` of the options. Each is owned by the caller: give it back
/// with reqbus_permit_finish. What got none was counted as busy or as without room, and is due again in the next round. While
/// paused there are none. REQBUS_CLOSED after a stop. REQBUS_INVALID_ARGUMENT, REQBUS_TOO_LARGE and REQBUS_INVALID_UTF8 for an
/// id, and then nothing was admitted; REQBUS_NULL_ARGUMENT if `admission` or `count` is NULL; REQBUS_NULL_WITH_LENGTH for the
/// arrays. On failure `*count` is 0. `error` may be NULL. Any thread; takes a short lock.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reqbus_admission_admit(
    admission: *mut reqbus_admission,
    due: *const reqbus_due,
    due_count: usize,
    permits: *mut *mut reqbus_permit,
    capacity: usize,
    count: *mut usize,
    error: *mut *mut reqbus_error,
) -> reqbus_status {
    guard_status(error, || {
        let count = required(count, "count")?;
        // SAFETY: not NULL, and valid for a write as the header asks.
        unsafe { put(count, 0) };
        // SAFETY: NULL or alive, as the header asks.
        let Kept(admission) = unsafe { borrow(admission) }?;
        // SAFETY: an array as long as it says, as the header asks.
        let (due, space) = unsafe {
            (
                array(due, due_count, "due")?,
                buffer(permits, capacity, "permits")?,
            )
        };
        // SAFETY: texts as long as they say, as the header asks.
        let due = due.iter().map(|item| unsafe { item.to_core() });
        let due = due.collect::<Result<Vec<_>, _>>()?;
        let admitted = admission.admit_at_most(&due, space.len())?;
        // SAFETY: not NULL, and valid for a write as the header asks.
        unsafe { put(count, admitted.len()) };
        for (to, permit) in space.iter_mut().zip(admitted) {
            // SAFETY: a place of the caller's array.
            unsafe { Place::new(to) }?.fill(Lease::Own(permit));
        }
        Ok(REQBUS_OK)
    })
}

/// Notes a round in which the host could not say what is due: it is counted, and the next comes in its time.
///
/// NULL answers REQBUS_NULL_ARGUMENT. Any thread; takes a short lock.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reqbus_admission_fail_round(
    admission: *mut reqbus_admission,
) -> reqbus_status {
    guard_status(null_mut(), || {
        // SAFETY: NULL or alive, as the header asks.
        unsafe { borrow(admission) }?.0.fail_round();
        Ok(REQBUS_OK)
    })
}

/// Pauses (`paused` is not 0), or goes on (0): rounds are passed over, what is in flight goes on.
///
/// NULL answers REQBUS_NULL_ARGUMENT. Any thread; takes a short lock.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reqbus_admission_pause(
    admission: *mut reqbus_admission,
    paused: i32,
) -> reqbus_status {
    guard_status(null_mut(), || {
        // SAFETY: NULL or alive, as the header asks.
        unsafe { borrow(admission) }?.0.pause(paused != 0);
        Ok(REQBUS_OK)
    })
}

/// Writes to `*answer` 1 if it is paused, else 0: a host need not look for what is due then.
///
/// REQBUS_NULL_ARGUMENT if either is NULL. Any thread; takes a short lock.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reqbus_admission_is_paused(
    admission: *const reqbus_admission,
    answer: *mut i32,
) -> reqbus_status {
    guard_status(null_mut(), || {
        // SAFETY: NULL or alive, as the header asks.
        let Kept(admission) = unsafe { borrow(admission) }?;
        // SAFETY: not NULL, and valid for a write as the header asks.
        unsafe { put(required(answer, "answer")?, admission.is_paused().into()) };
        Ok(REQBUS_OK)
    })
}

/// Stops: nothing is admitted any more, and those under way are told (reqbus_permit_should_end). Their permits stay valid; who
/// wants to wait for them looks at reqbus_admission_in_flight.
///
/// Idempotent. NULL answers REQBUS_NULL_ARGUMENT. Any thread; takes a short lock.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reqbus_admission_stop(admission: *mut reqbus_admission) -> reqbus_status {
    guard_status(null_mut(), || {
        // SAFETY: NULL or alive, as the header asks.
        unsafe { borrow(admission) }?.0.stop();
        Ok(REQBUS_OK)
    })
}

/// Takes a snapshot of what is being checked, oldest first, and writes it to `*flights`.
///
/// Owned by the caller: free it with reqbus_flights_free. On failure `*flights` is NULL. REQBUS_NULL_ARGUMENT if either is NULL.
/// `error` may be NULL. Any thread; takes a short lock.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reqbus_admission_in_flight(
    admission: *const reqbus_admission,
    flights: *mut *mut reqbus_flights,
    error: *mut *mut reqbus_error,
) -> reqbus_status {
    guard_status(error, || {
        // SAFETY: NULL or valid for a write, as the header asks.
        let place = unsafe { Place::new(flights) }?;
        // SAFETY: NULL or alive, as the header asks.
        place.fill(unsafe { borrow(admission) }?.0.in_flight());
        Ok(REQBUS_OK)
    })
}

/// Fills `*stats` (whose size field the caller set) with what was counted.
///
/// REQBUS_NULL_ARGUMENT if either is NULL, REQBUS_INVALID_SIZE for its size. Any thread; takes a short lock.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reqbus_admission_get_stats(
    admission: *const reqbus_admission,
    stats: *mut reqbus_runner_stats,
) -> reqbus_status {
    guard_status(null_mut(), || {
        // SAFETY: NULL or alive, as the header asks.
        let counted = unsafe { borrow(admission) }?.0.stats();
        // SAFETY: NULL or as long as its size field says, as the header asks.
        unsafe { write(stats, &counted.into()) }?;
        Ok(REQBUS_OK)
    })
}

/// Stops the admission in `*admission`, frees it and writes NULL there. Permits that are out stay valid.
///
/// REQBUS_OK, also for NULL and for `*admission` being NULL. No other call may be using this handle. In a forked child the parent's
/// object is left alone (leaked) and the answer is REQBUS_OK. Takes a short lock.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reqbus_admission_free(
    admission: *mut *mut reqbus_admission,
) -> reqbus_status {
    // SAFETY: NULL or valid, and freed once, as the header asks.
    guard_status(null_mut(), || unsafe { free(admission) })
}
