//! Publishing: one event, many in one step, a finished request.

use std::ptr::null_mut;

use reqbus_core::event::NewEvent;

use crate::bus::reqbus_bus;
use crate::error::reqbus_error;
use crate::event::{reqbus_new_event, reqbus_request_event};
use crate::failure::Failure;
use crate::handle::borrow;
use crate::id::reqbus_id;
use crate::panic::guard_status;
use crate::sized::read;
use crate::slice::{array, put};
use crate::status::reqbus_status::{
    self, REQBUS_INVALID_SIZE, REQBUS_LENGTH_OVERFLOW, REQBUS_OK, REQBUS_OK_IGNORED,
};

/// Publishes one event; its id goes to `*id`, which may be NULL.
///
/// `event` and all it points to are borrowed for the call. A NULL bus answers REQBUS_OK_IGNORED and a
/// closed one REQBUS_CLOSED; neither has an effect. REQBUS_NULL_ARGUMENT if `event` is NULL;
/// REQBUS_RESERVED_KIND, REQBUS_TOO_LARGE, REQBUS_INVALID_UTF8, REQBUS_INVALID_JSON and other argument
/// errors use no id. `error` may be NULL. Any thread; waits for nothing but the log's short lock, and
/// never for a reader.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reqbus_bus_publish(
    bus: *mut reqbus_bus,
    event: *const reqbus_new_event,
    id: *mut reqbus_id,
    error: *mut *mut reqbus_error,
) -> reqbus_status {
    guard_status(error, || {
        if bus.is_null() {
            return Ok(REQBUS_OK_IGNORED);
        }
        // SAFETY: alive, as the header asks.
        let bus = unsafe { borrow(bus) }?;
        // SAFETY: NULL or as long as its size field says, with texts as long as their lengths say.
        let event = unsafe { read(event)?.to_core() }?;
        let published = bus.publish(event)?;
        // SAFETY: NULL or valid for a write, as the header asks.
        unsafe { put(id, published.into()) };
        Ok(REQBUS_OK)
    })
}

/// Publishes `count` events in one step: all of them, in their order and with no event of another
/// publisher between them, or, if one is refused, none. The id of the last goes to `*last`, which may be
/// NULL.
///
/// `events` is an array whose elements are `event_size` bytes apart: sizeof(reqbus_new_event). All is
/// borrowed for the call. `count` of 0 answers REQBUS_INVALID_ARGUMENT. Otherwise as reqbus_bus_publish.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reqbus_bus_publish_many(
    bus: *mut reqbus_bus,
    events: *const reqbus_new_event,
    count: usize,
    event_size: usize,
    last: *mut reqbus_id,
    error: *mut *mut reqbus_error,
) -> reqbus_status {
    guard_status(error, || {
        if bus.is_null() {
            return Ok(REQBUS_OK_IGNORED);
        }
        // SAFETY: alive, as the header asks.
        let bus = unsafe { borrow(bus) }?;
        // SAFETY: NULL, or an array of that shape whose texts are as long as they say.
        let events = unsafe { events_of(events, count, event_size) }?;
        let published = bus.publish_many(&events)?;
        // SAFETY: NULL or valid for a write, as the header asks.
        unsafe { put(last, published.into()) };
        Ok(REQBUS_OK)
    })
}

/// The events of an array whose elements are of a version of their own.
///
/// # Safety
/// `count` elements, `event_size` bytes apart, are readable, and what each points to is too, for `'a`.
unsafe fn events_of<'a>(
    events: *const reqbus_new_event,
    count: usize,
    event_size: usize,
) -> Result<Vec<NewEvent<'a>>, Failure> {
    let Some(bytes) = count.checked_mul(event_size) else {
        return Err(Failure::new(
            REQBUS_LENGTH_OVERFLOW,
            "events",
            "the array is larger than any object can be",
        ));
    };
    // SAFETY: this function's contract; a look at NULL, alignment and length.
    unsafe { array(events.cast::<u8>(), bytes, "events") }?;
    let element = |at: usize| {
        let start = events
            .cast::<u8>()
            .wrapping_add(at * event_size)
            .cast::<reqbus_new_event>();
        if !start.is_aligned() || event_size < size_of::<usize>() {
            return Err(Failure::new(
                REQBUS_INVALID_SIZE,
                "event_size",
                "no such element size",
            ));
        }
        // SAFETY: aligned, and the first field of an element of the array.
        if unsafe { start.cast::<usize>().read() } > event_size {
            return Err(Failure::new(
                REQBUS_INVALID_SIZE,
                "event_size",
                "an element's size field is larger than the elements are apart",
            ));
        }
        // SAFETY: an element of the array, not longer than the elements are apart.
        unsafe { read(start)?.to_core() }
    };
    (0..count).map(element).collect()
}

/// Publishes the event of a finished request. As reqbus_bus_publish, without id and error.
///
/// `event` and all it points to are borrowed for the call. A NULL bus answers REQBUS_OK_IGNORED.
/// REQBUS_INVALID_JSON if `extra` is not a JSON object.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reqbus_bus_publish_request(
    bus: *mut reqbus_bus,
    event: *const reqbus_request_event,
) -> reqbus_status {
    // SAFETY: the same contract.
    unsafe { reqbus_bus_publish_request_id(bus, event, null_mut(), null_mut()) }
}

/// As reqbus_bus_publish_request, and the event's id goes to `*id` and an error to `*error`; both may
/// be NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn reqbus_bus_publish_request_id(
    bus: *mut reqbus_bus,
    event: *const reqbus_request_event,
    id: *mut reqbus_id,
    error: *mut *mut reqbus_error,
) -> reqbus_status {
    guard_status(error, || {
        if bus.is_null() {
            return Ok(REQBUS_OK_IGNORED);
        }
        // SAFETY: alive, as the header asks.
        let bus = unsafe { borrow(bus) }?;
        // SAFETY: NULL or as long as its size field says, with texts as long as their lengths say.
        let event = unsafe { read(event)?.to_core() }?;
        let published = bus.publish_request(&event)?;
        // SAFETY: NULL or valid for a write, as the header asks.
        unsafe { put(id, published.into()) };
        Ok(REQBUS_OK)
    })
}
