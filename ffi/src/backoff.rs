//! When to try again: a delay that grows.

use std::ptr::null_mut;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use reqbus_core::slots::Backoff;

use crate::error::reqbus_error;
use crate::failure::Failure;
use crate::handle::{Boxed, Place, Stamped, borrow, free, handle};
use crate::options::or_default;
use crate::panic::guard_status;
use crate::refusal::nanos;
use crate::sized::{check_flags, read_or_defaults, sized_struct};
use crate::slice::{put, required};
use crate::status::reqbus_status::{self, REQBUS_INVALID_ARGUMENT, REQBUS_OK};

/// A bit of reqbus_backoff_options.flags: the jitter is drawn from `seed`, so that the delays are the same each time.
pub const REQBUS_BACKOFF_SEEDED: u32 = 1;
/// A bit of reqbus_backoff_options.flags: no jitter.
pub const REQBUS_BACKOFF_EXACT: u32 = 2;

/// Delays between tries: the first, then each half as long again, up to a cap, each spread by a jitter of a fifth. Without
/// jitter 100, 150, 225, 337.5 ... 2000 ms by default.
///
/// It knows no clock and waits for nobody. Made by reqbus_backoff_new, owned by the caller, freed with reqbus_backoff_free. Any
/// thread may use it at any time.
pub struct reqbus_backoff(Stamped<Mutex<Backoff>>);

handle!(reqbus_backoff, Mutex<Backoff>, Boxed, "backoff");

/// How a backoff is made. Zero is every default, and NULL options are all defaults.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct reqbus_backoff_options {
    /// sizeof(reqbus_backoff_options).
    pub size: usize,
    /// The first delay, in nanoseconds. Default 100 ms.
    pub first_ns: u64,
    /// The longest delay, in nanoseconds, not below the first. Default 2 s.
    pub cap_ns: u64,
    /// For REQBUS_BACKOFF_SEEDED; else must be 0, and the seed is random.
    pub seed: u64,
    /// REQBUS_BACKOFF_SEEDED, REQBUS_BACKOFF_EXACT, or 0.
    pub flags: u32,
    /// Must be 0.
    pub reserved: u32,
}

sized_struct!(reqbus_backoff_options);

impl reqbus_backoff_options {
    fn to_core(self) -> Result<Backoff, Failure> {
        check_flags(
            self.flags,
            REQBUS_BACKOFF_SEEDED | REQBUS_BACKOFF_EXACT,
            "flags",
        )?;
        check_flags(self.reserved, 0, "reserved")?;
        if self.flags != REQBUS_BACKOFF_SEEDED && self.seed != 0 {
            return Err(Failure::new(
                REQBUS_INVALID_ARGUMENT,
                "seed",
                "a seed was given, but flags are not REQBUS_BACKOFF_SEEDED alone",
            ));
        }
        let backoff = match self.flags {
            0 => Backoff::new()?,
            REQBUS_BACKOFF_SEEDED => Backoff::seeded(self.seed),
            _ => Backoff::exact(),
        };
        let first = or_default(self.first_ns, nanos(Backoff::FIRST));
        let cap = or_default(self.cap_ns, nanos(Backoff::CAP));
        Ok(backoff.between(Duration::from_nanos(first), Duration::from_nanos(cap))?)
    }
}

/// The object behind the handle, for one call.
///
/// # Safety
/// `backoff` is NULL or alive for `'a`.
unsafe fn lock<'a>(backoff: *const reqbus_backoff) -> Result<MutexGuard<'a, Backoff>, Failure> {
    // SAFETY: this function's contract.
    let backoff = unsafe { borrow(backoff) }?;
    Ok(backoff.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Makes a backoff with `options` (NULL for all defaults) and writes it to `*backoff`.
///
/// Owned by the caller: free it with reqbus_backoff_free. On failure `*backoff` is NULL. REQBUS_NULL_ARGUMENT if `backoff` is NULL;
/// REQBUS_INVALID_SIZE, REQBUS_UNKNOWN_OPTION, REQBUS_INVALID_ARGUMENT for the options, also for a first delay above the cap;
/// REQBUS_SYSTEM if the system gave no random numbers. `error` may be NULL. Any thread; never blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reqbus_backoff_new(
    options: *const reqbus_backoff_options,
    backoff: *mut *mut reqbus_backoff,
    error: *mut *mut reqbus_error,
) -> reqbus_status {
    guard_status(error, || {
        // SAFETY: NULL or valid for a write, as the header asks.
        let place = unsafe { Place::new(backoff) }?;
        // SAFETY: NULL or as long as its size field says, as the header asks.
        let options = unsafe { read_or_defaults(options) }?;
        place.fill(Mutex::new(options.to_core()?));
        Ok(REQBUS_OK)
    })
}

/// Writes the next delay, in nanoseconds, to `*delay_ns`.
///
/// REQBUS_NULL_ARGUMENT if either is NULL. Any thread; takes a short lock.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reqbus_backoff_next(
    backoff: *mut reqbus_backoff,
    delay_ns: *mut u64,
) -> reqbus_status {
    guard_status(null_mut(), || {
        let delay_ns = required(delay_ns, "delay_ns")?;
        // SAFETY: NULL or alive, as the header asks.
        let delay = unsafe { lock(backoff) }?.next_delay();
        // SAFETY: not NULL, and valid for a write as the header asks.
        unsafe { put(delay_ns, nanos(delay)) };
        Ok(REQBUS_OK)
    })
}

/// Writes to `*attempt` how many delays were taken since the beginning, or the last reset.
///
/// REQBUS_NULL_ARGUMENT if either is NULL. Any thread; takes a short lock.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reqbus_backoff_attempt(
    backoff: *const reqbus_backoff,
    attempt: *mut u32,
) -> reqbus_status {
    guard_status(null_mut(), || {
        let attempt = required(attempt, "attempt")?;
        // SAFETY: NULL or alive, as the header asks.
        let taken = unsafe { lock(backoff) }?.attempt();
        // SAFETY: not NULL, and valid for a write as the header asks.
        unsafe { put(attempt, taken) };
        Ok(REQBUS_OK)
    })
}

/// Begins again with the first delay; the jitter goes on.
///
/// NULL answers REQBUS_NULL_ARGUMENT. Any thread; takes a short lock.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reqbus_backoff_reset(backoff: *mut reqbus_backoff) -> reqbus_status {
    guard_status(null_mut(), || {
        // SAFETY: NULL or alive, as the header asks.
        unsafe { lock(backoff) }?.reset();
        Ok(REQBUS_OK)
    })
}

/// Frees the backoff in `*backoff` and writes NULL there.
///
/// REQBUS_OK, also for NULL and for `*backoff` being NULL. No other call may be using this handle. In a forked child the parent's
/// object is left alone (leaked) and the answer is REQBUS_OK. Never blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reqbus_backoff_free(backoff: *mut *mut reqbus_backoff) -> reqbus_status {
    // SAFETY: NULL or valid, and freed once, as the header asks.
    guard_status(null_mut(), || unsafe { free(backoff) })
}
