//! What hosts choose when they make a pool and when they wait for a slot.

use std::ffi::{c_char, c_void};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use reqbus_core::slots::{Leak, PoolObserver, PoolOptions, Ranks, WaitOptions};

use crate::event::reqbus_text;
use crate::failure::Failure;
use crate::options::{names, or_default};
use crate::refusal::nanos;
use crate::sized::{check_flags, read, sized_struct};
use crate::slice::{start_of, text};
use crate::status::reqbus_status::REQBUS_INVALID_ARGUMENT;
use crate::subscription::timeout;
use crate::teller::{reqbus_teller, teller_of};

/// A bit of reqbus_wait_options.flags: does not wait. One try, which a store that answers later may take up to 2 s for.
pub const REQBUS_WAIT_TRY: u32 = 1;
/// A bit of reqbus_wait_options.flags: no ping ever falls due.
pub const REQBUS_WAIT_NO_PINGS: u32 = 2;

/// A slot that was collected without a release (reqbus_slot_leak), as a sink is told of each key it held. Borrowed for
/// the call of the sink; texts are UTF-8 and not NUL-terminated.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct reqbus_leak {
    /// sizeof(reqbus_leak) of the library.
    pub size: usize,
    /// The scope that was held.
    pub scope: *const c_char,
    /// Length of `scope` in bytes.
    pub scope_len: usize,
    /// The id that was held.
    pub id: *const c_char,
    /// Length of `id` in bytes.
    pub id_len: usize,
    /// What its host had called the holder.
    pub label: *const c_char,
    /// Length of `label` in bytes.
    pub label_len: usize,
    /// How long it was held, in nanoseconds.
    pub age_ns: u64,
}

/// A callback that hears of leaked slots.
///
/// `call` runs on whatever thread found the leak (any thread that uses the pool, or its timer thread), under no lock:
/// it may call reqbus, must not block for long, and must not throw. Several threads may be in it at once. `drop` runs
/// exactly once, after the last call, when the pool and everything made of it is freed, on the thread that freed the last of
/// it or on the timer's; it may be NULL.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct reqbus_leak_sink {
    /// Passed to both functions; never looked at.
    pub ctx: *mut c_void,
    /// Hears of one key of a leaked slot. NULL for no sink; then `ctx` and `drop` must be NULL too.
    pub call: Option<unsafe extern "C" fn(ctx: *mut c_void, leak: *const reqbus_leak)>,
    /// Frees what `ctx` leads to.
    pub drop: Option<unsafe extern "C" fn(ctx: *mut c_void)>,
}

/// How a pool is made. Zero is every default, and NULL options are all defaults. Texts are borrowed for the call and
/// copied.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct reqbus_pool_options {
    /// sizeof(reqbus_pool_options).
    pub size: usize,
    /// Scopes that waits take first, in this order. If neither these nor `last` are given: first "user" and "api_key",
    /// last "account". All others come between, by their bytes.
    pub first: *const reqbus_text,
    /// How many scopes `first` has.
    pub first_count: usize,
    /// Scopes that waits take last, in this order.
    pub last: *const reqbus_text,
    /// How many scopes `last` has.
    pub last_count: usize,
    /// Among how many processes a limit is divided (each gets limit / processes, at least 1): for pre-fork workers, each of
    /// which makes its own pool. Default 1.
    pub processes: u32,
    /// Must be 0.
    pub flags: u32,
    /// Hears of slots that were collected without a release. Taken over if the pool is made; else `drop` is not called.
    pub leak_sink: reqbus_leak_sink,
    /// Tells on its bus what happens to waits and slots. NULL for none.
    pub teller: *const reqbus_teller,
    /// From when on a slot is held for long, in milliseconds, if the teller tells "slot.held_long": the pool looks every tenth of
    /// it, at most ten times a second, and has a timer from its beginning to its close. Default 600000.
    pub held_long_ms: u64,
}

/// How a wait goes. Zero is every default, and NULL options are all defaults. Texts are borrowed for the call and
/// copied.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct reqbus_wait_options {
    /// sizeof(reqbus_wait_options).
    pub size: usize,
    /// What the holder is called in lists: a request id, a path. 0 to 255 bytes of UTF-8.
    pub label: *const c_char,
    /// Length of `label` in bytes.
    pub label_len: usize,
    /// How long to wait at most, over all keys, in milliseconds; -1 for ever. Default (0) 30000; see REQBUS_WAIT_TRY.
    pub timeout_ms: i64,
    /// After how many milliseconds a ping is due, and again after the host came back from one. Default 15000; see
    /// REQBUS_WAIT_NO_PINGS.
    pub ping_every_ms: u64,
    /// How many may wait for a key when this wait joins its queue, itself not counted. Default 20; see REQBUS_WAIT_TRY.
    pub max_waiting: u32,
    /// REQBUS_WAIT_TRY, REQBUS_WAIT_NO_PINGS, or 0.
    pub flags: u32,
}

sized_struct!(reqbus_leak, reqbus_pool_options, reqbus_wait_options);

/// A host's sink, which is dropped once: with the last object of its pool, if there ever was one.
pub(crate) struct Sink {
    ctx: *mut c_void,
    call: unsafe extern "C" fn(ctx: *mut c_void, leak: *const reqbus_leak),
    drop: Option<unsafe extern "C" fn(ctx: *mut c_void)>,
    is_taken_over: AtomicBool,
}

// SAFETY: the header asks for functions that any thread may call at any time.
unsafe impl Send for Sink {}
// SAFETY: as above.
unsafe impl Sync for Sink {}

impl Sink {
    fn of(sink: reqbus_leak_sink) -> Result<Option<Arc<Self>>, Failure> {
        match sink.call {
            Some(call) => Ok(Some(Arc::new(Self {
                ctx: sink.ctx,
                call,
                drop: sink.drop,
                is_taken_over: AtomicBool::new(false),
            }))),
            None if sink.ctx.is_null() && sink.drop.is_none() => Ok(None),
            None => Err(Failure::new(
                REQBUS_INVALID_ARGUMENT,
                "leak_sink",
                "ctx or drop is given, but nothing to call",
            )),
        }
    }

    /// The pool was made: from now on the drop is ours.
    pub(crate) fn take_over(&self) {
        self.is_taken_over.store(true, Ordering::Release);
    }

    fn tell(&self, leak: &Leak) {
        let key = leak.key.as_key();
        let told = reqbus_leak {
            size: size_of::<reqbus_leak>(),
            scope: start_of(key.scope.as_bytes()),
            scope_len: key.scope.len(),
            id: start_of(key.id.as_bytes()),
            id_len: key.id.len(),
            label: start_of(leak.label.as_bytes()),
            label_len: leak.label.len(),
            age_ns: nanos(leak.age),
        };
        // SAFETY: the header asks for a function that may be called with this until the drop.
        unsafe { (self.call)(self.ctx, &raw const told) };
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        if let (true, Some(drop)) = (*self.is_taken_over.get_mut(), self.drop) {
            // SAFETY: once, and after the last call: nobody else has a reference.
            unsafe { drop(self.ctx) };
        }
    }
}

impl reqbus_pool_options {
    /// The options as core takes them, and the sink in them.
    ///
    /// # Safety
    /// Each pointer is NULL or has as much behind it as its length says.
    pub(crate) unsafe fn to_core(self) -> Result<(PoolOptions, Option<Arc<Sink>>), Failure> {
        check_flags(self.flags, 0, "flags")?;
        // SAFETY: this function's contract, for both.
        let (first, last) = unsafe {
            (
                names(self.first, self.first_count, "first")?,
                names(self.last, self.last_count, "last")?,
            )
        };
        let default = PoolOptions::default();
        // SAFETY: this function's contract.
        let teller = unsafe { teller_of(self.teller) }?;
        let sink = Sink::of(self.leak_sink)?;
        let options = PoolOptions {
            ranks: if first.is_empty() && last.is_empty() {
                default.ranks
            } else {
                Ranks::new(&first, &last)
            },
            processes: NonZeroU32::new(self.processes).unwrap_or(default.processes),
            sink: sink.clone().map(|sink| -> reqbus_core::slots::Sink {
                Arc::new(move |leak: &Leak| sink.tell(leak))
            }),
            observer: teller.map(|teller| -> Arc<dyn PoolObserver> { teller }),
            held_long: match self.held_long_ms {
                0 => default.held_long,
                ms => Duration::from_millis(ms),
            },
            ..PoolOptions::default()
        };
        Ok((options, sink))
    }
}

impl reqbus_wait_options {
    /// The options that a caller's pointer leads to; NULL for all defaults.
    ///
    /// # Safety
    /// `from` is NULL, or as many bytes as its first field says are readable, with a label as long as it says, for `'a`.
    #[inline]
    pub(crate) unsafe fn at<'a>(from: *const Self) -> Result<WaitOptions<'a>, Failure> {
        if from.is_null() {
            return Ok(WaitOptions::default());
        }
        // SAFETY: this function's contract.
        unsafe { read(from)?.to_core() }
    }

    /// The options as core takes them.
    ///
    /// # Safety
    /// As for [`text`], for the label.
    unsafe fn to_core<'a>(self) -> Result<WaitOptions<'a>, Failure> {
        check_flags(self.flags, REQBUS_WAIT_TRY | REQBUS_WAIT_NO_PINGS, "flags")?;
        let default = WaitOptions::default();
        let is_try = self.flags & REQBUS_WAIT_TRY != 0;
        let longest = match self.timeout_ms {
            0 => default.timeout,
            ms => timeout(ms)?.unwrap_or(Duration::MAX),
        };
        let ping = or_default(
            self.ping_every_ms,
            nanos(WaitOptions::PING_EVERY) / 1_000_000,
        );
        let pings = self.flags & REQBUS_WAIT_NO_PINGS == 0;
        Ok(WaitOptions {
            // SAFETY: this function's contract.
            label: unsafe { text(self.label, self.label_len, "label") }?,
            timeout: if is_try { Duration::ZERO } else { longest },
            max_waiting: or_default(self.max_waiting, default.max_waiting),
            ping_every: pings.then_some(Duration::from_millis(ping)),
        })
    }
}
