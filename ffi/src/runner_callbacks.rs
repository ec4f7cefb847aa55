//! What a runner calls: functions of the host's, which are dropped once.

use std::ffi::{c_char, c_void};
use std::ptr::null_mut;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use reqbus_core::fork::Generation;
use reqbus_core::runner::{Checks, DueList, Permit};

use crate::failure::Failure;
use crate::handle::{Handle, Lent, Stamped, borrow, handle};
use crate::panic::guard_status;
use crate::permit::{Lease, reqbus_permit};
use crate::slice::text;
use crate::status::reqbus_status::{self, REQBUS_OK};

/// What is due, as a callback lists it: lent for the call, never freed by the host. Any thread may add to it until the callback
/// returns.
pub struct reqbus_due_list(Stamped<Mutex<DueList>>);

handle!(reqbus_due_list, Mutex<DueList>, Lent, "list");

/// A callback that lists what is due.
///
/// `call` runs on the runner's own thread ("reqbus-runner"), one call at a time, under no lock: it may block and may call
/// reqbus (stop and free of its runner included), and must neither throw nor longjmp. `drop` runs exactly once, after the last
/// call, on whichever thread came last: that of reqbus_runner_free, or one of the runner's if a call was under way then. It may be
/// NULL.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct reqbus_due_callback {
    /// Passed to both functions; never looked at.
    pub ctx: *mut c_void,
    /// Adds what is due to `list` (reqbus_due_list_add) and answers 1; or answers 0: it cannot say what is due, the round has
    /// failed, and the next comes all the same. Must not be NULL.
    pub call: Option<unsafe extern "C" fn(ctx: *mut c_void, list: *mut reqbus_due_list) -> i32>,
    /// Frees what `ctx` leads to.
    pub drop: Option<unsafe extern "C" fn(ctx: *mut c_void)>,
}

/// A callback that checks one item.
///
/// `call` runs on a thread of its own for each check ("reqbus-check"), as many at once as the options say, never two for one
/// id. All else as for reqbus_due_callback.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct reqbus_check_callback {
    /// Passed to both functions; never looked at.
    pub ctx: *mut c_void,
    /// Checks what `permit` names (reqbus_permit_id) and answers 1 if it is well, else 0. It should look at
    /// reqbus_permit_should_end now and then. The permit is lent for the call. Must not be NULL.
    pub call: Option<unsafe extern "C" fn(ctx: *mut c_void, permit: *const reqbus_permit) -> i32>,
    /// Frees what `ctx` leads to.
    pub drop: Option<unsafe extern "C" fn(ctx: *mut c_void)>,
}

/// A host's function, and its drop, which is called once: with the last object of its runner, if there ever was one.
struct Hook<F> {
    ctx: *mut c_void,
    call: F,
    drop: Option<unsafe extern "C" fn(ctx: *mut c_void)>,
    is_taken_over: AtomicBool,
}

// SAFETY: the header asks for functions that the runner's threads may call.
unsafe impl<F> Send for Hook<F> {}
// SAFETY: as above.
unsafe impl<F> Sync for Hook<F> {}

impl<F> Hook<F> {
    fn new(
        ctx: *mut c_void,
        call: Option<F>,
        drop: Option<unsafe extern "C" fn(ctx: *mut c_void)>,
        context: &'static str,
    ) -> Result<Self, Failure> {
        Ok(Self {
            ctx,
            call: call.ok_or(Failure::null(context))?,
            drop,
            is_taken_over: AtomicBool::new(false),
        })
    }
}

impl<F> Drop for Hook<F> {
    fn drop(&mut self) {
        if let (true, Some(drop)) = (*self.is_taken_over.get_mut(), self.drop) {
            // SAFETY: once, and after the last call: nobody else has a reference.
            unsafe { drop(self.ctx) };
        }
    }
}

/// Both callbacks of a runner.
pub(crate) struct Callbacks {
    due: Hook<unsafe extern "C" fn(*mut c_void, *mut reqbus_due_list) -> i32>,
    check: Hook<unsafe extern "C" fn(*mut c_void, *const reqbus_permit) -> i32>,
}

impl Callbacks {
    /// # Safety
    /// Each is NULL or readable.
    pub(crate) unsafe fn new(
        due: *const reqbus_due_callback,
        check: *const reqbus_check_callback,
    ) -> Result<Self, Failure> {
        // SAFETY: this function's contract.
        let (due, check) = unsafe { (due.as_ref(), check.as_ref()) };
        let due = due.ok_or(Failure::null("due"))?;
        let check = check.ok_or(Failure::null("check"))?;
        Ok(Self {
            due: Hook::new(due.ctx, due.call, due.drop, "due")?,
            check: Hook::new(check.ctx, check.call, check.drop, "check")?,
        })
    }

    /// The runner was made: from now on the drops are ours.
    pub(crate) fn take_over(&self) {
        self.due.is_taken_over.store(true, Ordering::Release);
        self.check.is_taken_over.store(true, Ordering::Release);
    }
}

impl Checks for Callbacks {
    fn due(&self, list: &mut DueList) -> Result<(), String> {
        let empty = Mutex::new(std::mem::take(list));
        let lent = reqbus_due_list::wrap(Stamped::new(Generation::current(), empty));
        // SAFETY: the header asks for a function that may be called with this until the drop.
        let is_told = unsafe { (self.due.call)(self.due.ctx, (&raw const lent).cast_mut()) };
        let filled = lent.unwrap().into_value().into_inner();
        *list = filled.unwrap_or_else(PoisonError::into_inner);
        // Nobody reads why: the host knows.
        if is_told == 0 {
            Err(String::new())
        } else {
            Ok(())
        }
    }

    fn check(&self, permit: &Permit) -> bool {
        let lease = Lease::Lent(permit);
        let lent = reqbus_permit::wrap(Stamped::new(Generation::current(), lease));
        // SAFETY: as above.
        unsafe { (self.check.call)(self.check.ctx, &raw const lent) != 0 }
    }
}

/// Adds an item that has been due for `overdue_ms` milliseconds. `id` is borrowed UTF-8 of 1 to 255 bytes, and copied.
///
/// REQBUS_INVALID_ARGUMENT, REQBUS_TOO_LARGE and REQBUS_INVALID_UTF8 for the id, and then nothing was added;
/// REQBUS_NULL_ARGUMENT if `list` is NULL. Any thread, until the callback that got the list returns; takes a short lock.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reqbus_due_list_add(
    list: *mut reqbus_due_list,
    id: *const c_char,
    id_len: usize,
    overdue_ms: u64,
) -> reqbus_status {
    guard_status(null_mut(), || {
        // SAFETY: NULL or alive, as the header asks.
        let list = unsafe { borrow(list) }?;
        // SAFETY: the header asks for `id_len` readable bytes.
        let id = unsafe { text(id, id_len, "id") }?;
        let mut list = list.lock().unwrap_or_else(PoisonError::into_inner);
        list.add(id, Duration::from_millis(overdue_ms))?;
        Ok(REQBUS_OK)
    })
}
