//! What pools and runners tell on a bus.

use std::ptr::null_mut;
use std::sync::Arc;

use reqbus_core::Teller;
use reqbus_core::told::TellOptions;

use crate::bus::reqbus_bus;
use crate::error::reqbus_error;
use crate::event::reqbus_text;
use crate::failure::Failure;
use crate::handle::{Boxed, Place, Stamped, borrow, free, handle};
use crate::options::names;
use crate::panic::guard_status;
use crate::sized::{check_flags, read_or_defaults, sized_struct};
use crate::slice::{put, required};
use crate::status::reqbus_status::{self, REQBUS_OK};

/// A bit of reqbus_teller_options.flags: no scope is secret. Without, and without `secret_scopes`, "api_key" is.
pub const REQBUS_TELLER_NO_SECRETS: u32 = 1;

/// Tells on a bus what happens in the pools and runners that it is given to, as events of their own kinds with a JSON object:
/// "slot.wait_begun", "slot.granted", "slot.refused", "slot.lost", "slot.held_long" and "check.finished"; docs/slots.md and
/// docs/runner.md list their fields. An event's key is the id of what it is about.
///
/// Made by reqbus_teller_new, owned by the caller, freed with reqbus_teller_free; pools and runners that were made with it go on to
/// tell. Any thread may use it at any time. What it tells, it tells on the thread on which it happened, under no lock.
pub struct reqbus_teller(Stamped<Arc<Teller>>);

handle!(reqbus_teller, Arc<Teller>, Boxed, "teller");

/// What a teller tells. Texts are borrowed for the call and copied.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct reqbus_teller_options {
    /// sizeof(reqbus_teller_options).
    pub size: usize,
    /// The kinds that it tells; none by default.
    pub kinds: *const reqbus_text,
    /// How many kinds.
    pub kinds_count: usize,
    /// Scopes whose ids are secrets: told as null, and not as an event's key.
    pub secret_scopes: *const reqbus_text,
    /// How many; 0 for "api_key" alone.
    pub secret_scopes_count: usize,
    /// REQBUS_TELLER_NO_SECRETS or 0.
    pub flags: u32,
    /// Must be 0.
    pub reserved: u32,
}

sized_struct!(reqbus_teller_options);

/// Makes a teller on `bus` with `options` (NULL for all defaults: it tells nothing) and writes it to `*teller`.
///
/// Owned by the caller: free it with reqbus_teller_free. It keeps the bus open after
/// reqbus_bus_free, until reqbus_bus_close or until it and all that was made with it is freed. On failure `*teller` is NULL. REQBUS_NULL_ARGUMENT if `bus` or `teller` is NULL; REQBUS_INVALID_ARGUMENT for a kind
/// that cannot be told; REQBUS_INVALID_UTF8, REQBUS_INVALID_SIZE, REQBUS_UNKNOWN_OPTION for the options; REQBUS_FORKED. `error` may be
/// NULL. Any thread; never blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reqbus_teller_new(
    bus: *const reqbus_bus,
    options: *const reqbus_teller_options,
    teller: *mut *mut reqbus_teller,
    error: *mut *mut reqbus_error,
) -> reqbus_status {
    guard_status(error, || {
        // SAFETY: NULL or valid for a write, as the header asks.
        let place = unsafe { Place::new(teller) }?;
        // SAFETY: NULL or alive, as the header asks.
        let bus = unsafe { borrow(bus) }?;
        // SAFETY: NULL or as long as its size field says, as the header asks.
        let options = unsafe { read_or_defaults(options) }?;
        check_flags(options.flags, REQBUS_TELLER_NO_SECRETS, "flags")?;
        check_flags(options.reserved, 0, "reserved")?;
        // SAFETY: arrays and texts as long as they say, as the header asks.
        let (kinds, secret_scopes) = unsafe {
            (
                names(options.kinds, options.kinds_count, "kinds")?,
                names(
                    options.secret_scopes,
                    options.secret_scopes_count,
                    "secret_scopes",
                )?,
            )
        };
        let are_given = !secret_scopes.is_empty() || options.flags & REQBUS_TELLER_NO_SECRETS != 0;
        let default = TellOptions::default();
        place.fill(Teller::new(
            bus,
            &TellOptions {
                kinds: &kinds,
                secret_scopes: if are_given {
                    &secret_scopes
                } else {
                    default.secret_scopes
                },
            },
        )?);
        Ok(REQBUS_OK)
    })
}

/// Writes to `*failed` how many events it could not publish, because the bus was closed.
///
/// REQBUS_NULL_ARGUMENT if `teller` or `failed` is NULL. Any thread; never blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reqbus_teller_failed(
    teller: *const reqbus_teller,
    failed: *mut u64,
) -> reqbus_status {
    guard_status(null_mut(), || {
        let failed = required(failed, "failed")?;
        // SAFETY: NULL or alive, as the header asks.
        let teller = unsafe { borrow(teller) }?;
        // SAFETY: not NULL, and valid for a write, as the header asks.
        unsafe { put(failed, teller.failed()) };
        Ok(REQBUS_OK)
    })
}

/// Frees the teller in `*teller` and writes NULL there. Pools and runners that were made with it go on to tell.
///
/// REQBUS_OK, also for NULL and for `*teller` being NULL. No other call may be using this handle. In a forked child the parent's
/// object is left alone (leaked) and the answer is REQBUS_OK. Never blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reqbus_teller_free(teller: *mut *mut reqbus_teller) -> reqbus_status {
    // SAFETY: NULL or valid, and freed once, as the header asks.
    guard_status(null_mut(), || unsafe { free(teller) })
}

/// The teller of options, if they name one.
///
/// # Safety
/// `teller` is NULL or alive.
pub(crate) unsafe fn teller_of(
    teller: *const reqbus_teller,
) -> Result<Option<Arc<Teller>>, Failure> {
    if teller.is_null() {
        return Ok(None);
    }
    // SAFETY: this function's contract.
    Ok(Some(unsafe { borrow(teller) }?.clone()))
}
