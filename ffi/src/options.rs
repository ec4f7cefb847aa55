//! What hosts choose when they make a bus and when they subscribe.

use std::ffi::c_char;
use std::time::Duration;

use reqbus_core::bus::{BusOptions, Filter, Overflow, Start, SubscribeOptions};

use crate::event::reqbus_text;
use crate::failure::Failure;
use crate::sized::{check_flags, sized_struct};
use crate::slice::{array, text};
use crate::status::reqbus_status::REQBUS_INVALID_ARGUMENT;

/// A bit of reqbus_bus_options.flags: readers cannot resume by id; every id is answered with a resync,
/// and the log keeps only what attached readers have yet to read.
pub const REQBUS_BUS_NO_RESUME: u32 = 1;

/// A bit of reqbus_subscribe_options.flags: never waits for the cleanup of its audience; the answer is
/// REQBUS_AUDIENCE_BUSY at once.
pub const REQBUS_SUBSCRIBE_NO_WAIT: u32 = 1;

/// How a bus is made. Zero is every default, and NULL options are all defaults.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct reqbus_bus_options {
    /// sizeof(reqbus_bus_options).
    pub size: usize,
    /// Most events that the log keeps, 1 to 1048576. Default 2000.
    pub log_events: usize,
    /// Most bytes that the log keeps, 64 KiB to 16 GiB. Default 8 MiB.
    pub log_bytes: usize,
    /// Oldest event that a resume may still get, in milliseconds. Default 30000. Readers that are
    /// attached are not bound by it.
    pub resume_age_ms: u64,
    /// REQBUS_BUS_NO_RESUME or 0.
    pub flags: u32,
    /// Must be 0.
    pub reserved: u32,
}

/// Where a subscription begins.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum reqbus_start {
    /// After the newest event.
    REQBUS_START_LIVE = 0,
    /// At the oldest event that a resume could still get.
    REQBUS_START_OLDEST = 1,
    /// After the event whose id is in `after`. What is no id, or cannot be resumed from, is answered with
    /// a resync item, never with an error status.
    REQBUS_START_AFTER = 2,
}

/// What happens when a reader is slow. The publisher never waits, and the reader is always told exactly
/// what it missed.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum reqbus_overflow {
    /// A queue of the reader's own; when it is full, the newest event is lost ("full"). Only if publishers
    /// outrun the filling of queues by a whole log can it lose events to that ("evicted").
    REQBUS_OVERFLOW_DROP_NEWEST = 0,
    /// The newest matching events of the log; when there are more, the oldest is lost ("window").
    REQBUS_OVERFLOW_DROP_OLDEST = 1,
    /// The whole log; what the log lets go of is lost ("evicted").
    REQBUS_OVERFLOW_CATCH_UP = 2,
}

/// How a subscription is made. Zero is every default, and NULL options are all defaults. Everything is
/// borrowed for the call and copied.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct reqbus_subscribe_options {
    /// sizeof(reqbus_subscribe_options).
    pub size: usize,
    /// A reqbus_start.
    pub start: u32,
    /// A reqbus_overflow.
    pub overflow: u32,
    /// For REQBUS_START_AFTER: the text of an id, as it came from outside.
    pub after: *const c_char,
    /// Length of `after` in bytes; any length is fine.
    pub after_len: usize,
    /// Keys that match, at most 1024; the empty text matches events without a key.
    pub keys: *const reqbus_text,
    /// How many keys; 0 matches all.
    pub keys_count: usize,
    /// Kinds that match, at most 1024.
    pub kinds: *const reqbus_text,
    /// How many kinds; 0 matches all.
    pub kinds_count: usize,
    /// Drop newest: events in the queue, default 64. Drop oldest: events in the window, default 256.
    /// 1 to 65536. Catch up: must be 0.
    pub capacity: usize,
    /// Drop newest: bytes of events in the queue, default 1 MiB. Other policies: must be 0.
    pub capacity_bytes: usize,
    /// A name for listings, 0 to 255 bytes of UTF-8.
    pub label: *const c_char,
    /// Length of `label` in bytes.
    pub label_len: usize,
    /// The audience to join, 1 to 255 bytes of UTF-8.
    pub audience: *const c_char,
    /// Length of `audience` in bytes; 0 joins none.
    pub audience_len: usize,
    /// Longest wait while the audience is being cleaned up, in milliseconds. Default 5000.
    pub audience_wait_ms: u64,
    /// How long a blocking recv lets a burst gather after its first event, in milliseconds. Default 0.
    pub linger_ms: u64,
    /// A process id for listings, as the host knows it; not verified.
    pub pid: u32,
    /// REQBUS_SUBSCRIBE_NO_WAIT or 0.
    pub flags: u32,
}

sized_struct!(reqbus_bus_options, reqbus_subscribe_options);

/// 0 in the header is core's default.
pub(crate) fn or_default<T: Default + PartialEq>(value: T, default: T) -> T {
    if value == T::default() {
        default
    } else {
        value
    }
}

fn refused(field: &'static str, why: &'static str) -> Failure {
    Failure::new(REQBUS_INVALID_ARGUMENT, field, why)
}

impl reqbus_bus_options {
    pub(crate) fn to_core(self) -> Result<BusOptions, Failure> {
        check_flags(self.flags, REQBUS_BUS_NO_RESUME, "flags")?;
        check_flags(self.reserved, 0, "reserved")?;
        let default = BusOptions::default();
        let age = or_default(
            Duration::from_millis(self.resume_age_ms),
            default.resume_age,
        );
        Ok(BusOptions {
            log_events: or_default(self.log_events, default.log_events),
            log_bytes: or_default(self.log_bytes, default.log_bytes),
            resume_age: age,
            resume: self.flags & REQBUS_BUS_NO_RESUME == 0,
            clock: default.clock,
        })
    }
}

impl reqbus_subscribe_options {
    fn start<'a>(&self, after: &'a [u8]) -> Result<Start<'a>, Failure> {
        const LIVE: u32 = reqbus_start::REQBUS_START_LIVE as u32;
        const OLDEST: u32 = reqbus_start::REQBUS_START_OLDEST as u32;
        const AFTER: u32 = reqbus_start::REQBUS_START_AFTER as u32;
        match self.start {
            AFTER => Ok(Start::After(after)),
            _ if !after.is_empty() => Err(refused(
                "after",
                "an id was given, but start is not REQBUS_START_AFTER",
            )),
            LIVE => Ok(Start::Live),
            OLDEST => Ok(Start::Oldest),
            _ => Err(refused("start", "start is no reqbus_start")),
        }
    }

    fn overflow(&self) -> Result<Overflow, Failure> {
        const DROP_NEWEST: u32 = reqbus_overflow::REQBUS_OVERFLOW_DROP_NEWEST as u32;
        const DROP_OLDEST: u32 = reqbus_overflow::REQBUS_OVERFLOW_DROP_OLDEST as u32;
        const CATCH_UP: u32 = reqbus_overflow::REQBUS_OVERFLOW_CATCH_UP as u32;
        let mut overflow = match self.overflow {
            DROP_NEWEST => Overflow::default(),
            DROP_OLDEST => Overflow::drop_oldest(),
            CATCH_UP => Overflow::CatchUp,
            _ => return Err(refused("overflow", "overflow is no reqbus_overflow")),
        };
        let (mut capacity, mut capacity_bytes) = (self.capacity, self.capacity_bytes);
        if let Overflow::DropNewest { events, .. } | Overflow::DropOldest { events } = &mut overflow
        {
            *events = or_default(std::mem::take(&mut capacity), *events);
        }
        if let Overflow::DropNewest { bytes, .. } = &mut overflow {
            *bytes = or_default(std::mem::take(&mut capacity_bytes), *bytes);
        }
        if capacity != 0 {
            return Err(refused("capacity", "this overflow policy has no capacity"));
        }
        if capacity_bytes != 0 {
            return Err(refused(
                "capacity_bytes",
                "this overflow policy has no capacity in bytes",
            ));
        }
        Ok(overflow)
    }

    /// The options as core takes them.
    ///
    /// # Safety
    /// Each pointer is NULL or has as much behind it as its length says, for `'a`.
    pub(crate) unsafe fn to_core<'a>(self) -> Result<SubscribeOptions<'a>, Failure> {
        check_flags(self.flags, REQBUS_SUBSCRIBE_NO_WAIT, "flags")?;
        // SAFETY: this function's contract, for each of them.
        let (after, keys, kinds, label, audience) = unsafe {
            (
                array(self.after.cast::<u8>(), self.after_len, "after")?,
                names(self.keys, self.keys_count, "keys")?,
                names(self.kinds, self.kinds_count, "kinds")?,
                text(self.label, self.label_len, "label")?,
                text(self.audience, self.audience_len, "audience")?,
            )
        };
        let default = SubscribeOptions::default();
        let wait = or_default(
            Duration::from_millis(self.audience_wait_ms),
            default.audience_wait,
        );
        let no_wait = self.flags & REQBUS_SUBSCRIBE_NO_WAIT != 0;
        Ok(SubscribeOptions {
            filter: Filter::new(&keys, &kinds)?,
            start: self.start(after)?,
            overflow: self.overflow()?,
            label,
            pid: self.pid,
            audience: (!audience.is_empty()).then_some(audience),
            audience_wait: if no_wait { Duration::ZERO } else { wait },
            linger: Duration::from_millis(self.linger_ms),
        })
    }
}

/// The texts of an array of C's.
///
/// # Safety
/// As for [`array`], for the array and for each text in it.
pub(crate) unsafe fn names<'a>(
    ptr: *const reqbus_text,
    count: usize,
    field: &'static str,
) -> Result<Vec<&'a str>, Failure> {
    // SAFETY: this function's contract.
    let texts = unsafe { array(ptr, count, field) }?;
    // SAFETY: as above, for each of them.
    texts
        .iter()
        .map(|t| unsafe { text(t.ptr, t.len, field) })
        .collect()
}
