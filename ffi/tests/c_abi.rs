//! Bad input and lifetimes through the extern functions, from Rust: what `tests/c/bad_input.c` does from C,
//! and what needs threads of Rust's.

use std::ffi::{CStr, c_char};
use std::ptr::{null, null_mut};

use reqbus::reqbus_status::*;
use reqbus::*;

/// A zeroed struct with its size set.
fn sized<T: Copy>() -> T {
    // SAFETY: used with the structs of the header only: integers and pointers, size first.
    unsafe {
        let mut value = std::mem::zeroed::<T>();
        (&raw mut value).cast::<usize>().write(size_of::<T>());
        value
    }
}

struct Fixture {
    bus: *mut reqbus_bus,
    sub: *mut reqbus_subscription,
    batch: *mut reqbus_batch,
}

// SAFETY: what the header says of handles: any thread, at any time.
unsafe impl Sync for Fixture {}

impl Fixture {
    fn new(how: &reqbus_subscribe_options) -> Self {
        let (mut bus, mut sub, mut batch) = (null_mut(), null_mut(), null_mut());
        // SAFETY: places for handles, and valid options.
        unsafe {
            assert_eq!(reqbus_bus_new(null(), &mut bus, null_mut()), REQBUS_OK);
            assert_eq!(
                reqbus_bus_subscribe(bus, how, &mut sub, null_mut()),
                REQBUS_OK
            );
            assert_eq!(reqbus_batch_new(&mut batch, null_mut()), REQBUS_OK);
        }
        Self { bus, sub, batch }
    }

    fn publish(&self, event: &reqbus_new_event) -> reqbus_status {
        // SAFETY: the bus is alive.
        unsafe { reqbus_bus_publish(self.bus, event, null_mut(), null_mut()) }
    }

    fn try_recv(&self) -> reqbus_status {
        // SAFETY: both are alive.
        unsafe { reqbus_subscription_recv(self.sub, self.batch, 256, 1 << 20, 0) }
    }

    fn stats(&self) -> reqbus_subscription_stats {
        let mut stats = sized();
        // SAFETY: the subscription is alive, and the struct has its size.
        unsafe {
            assert_eq!(
                reqbus_subscription_get_stats(self.sub, &mut stats),
                REQBUS_OK
            )
        };
        stats
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        // SAFETY: each is freed through its one place; twice, which must be harmless.
        unsafe {
            for _ in 0..2 {
                assert_eq!(reqbus_bus_free(&mut self.bus), REQBUS_OK);
                assert_eq!(reqbus_subscription_free(&mut self.sub), REQBUS_OK);
                assert_eq!(reqbus_batch_free(&mut self.batch), REQBUS_OK);
            }
        }
        assert!(self.bus.is_null() && self.sub.is_null() && self.batch.is_null());
    }
}

fn event(kind: &str, payload: &[u8], sort: reqbus_payload_sort) -> reqbus_new_event {
    reqbus_new_event {
        kind: kind.as_ptr().cast(),
        kind_len: kind.len(),
        payload: payload.as_ptr().cast(),
        payload_len: payload.len(),
        payload_sort: sort as u32,
        ..sized()
    }
}

fn json(payload: &str) -> reqbus_new_event {
    event(
        "k",
        payload.as_bytes(),
        reqbus_payload_sort::REQBUS_PAYLOAD_JSON,
    )
}

#[test]
fn bad_events_have_one_status_each_and_use_no_id() {
    let f = Fixture::new(&sized());
    let long = "x".repeat(300);
    let big = vec![b'x'; (1 << 20) + 1];
    let text = reqbus_payload_sort::REQBUS_PAYLOAD_TEXT;
    let cases = [
        (event("", b"", text), REQBUS_INVALID_ARGUMENT),
        (event(&long, b"", text), REQBUS_TOO_LARGE),
        (event("reqbus.status", b"", text), REQBUS_RESERVED_KIND),
        (event("a\0b", b"", text), REQBUS_INVALID_ARGUMENT),
        (event("k", b"\xff", text), REQBUS_INVALID_UTF8),
        (event("k", &big, text), REQBUS_TOO_LARGE),
        (
            event("k", &big, reqbus_payload_sort::REQBUS_PAYLOAD_BYTES),
            REQBUS_TOO_LARGE,
        ),
        (
            event("k", b"", reqbus_payload_sort::REQBUS_PAYLOAD_REQUEST),
            REQBUS_INVALID_ARGUMENT,
        ),
        (json(""), REQBUS_INVALID_JSON),
        (json("{"), REQBUS_INVALID_JSON),
        (json("1 2"), REQBUS_INVALID_JSON),
        (json("NaN"), REQBUS_INVALID_JSON),
        (
            reqbus_new_event {
                kind: null(),
                ..json("1")
            },
            REQBUS_NULL_WITH_LENGTH,
        ),
        (
            reqbus_new_event {
                payload: null(),
                ..json("1")
            },
            REQBUS_NULL_WITH_LENGTH,
        ),
        (
            reqbus_new_event {
                key: long.as_ptr().cast(),
                key_len: 300,
                ..json("1")
            },
            REQBUS_TOO_LARGE,
        ),
        (
            reqbus_new_event {
                key_len: 1,
                ..json("1")
            },
            REQBUS_NULL_WITH_LENGTH,
        ),
        (
            reqbus_new_event {
                kind_len: usize::MAX,
                ..json("1")
            },
            REQBUS_LENGTH_OVERFLOW,
        ),
        (
            reqbus_new_event {
                timestamp_ns: 1 << 63,
                ..json("1")
            },
            REQBUS_INVALID_ARGUMENT,
        ),
        (
            reqbus_new_event {
                flags: 1 << 31,
                ..json("1")
            },
            REQBUS_UNKNOWN_OPTION,
        ),
        (
            reqbus_new_event {
                payload_sort: u32::MAX,
                ..json("1")
            },
            REQBUS_INVALID_ARGUMENT,
        ),
        (
            reqbus_new_event {
                size: 0,
                ..json("1")
            },
            REQBUS_INVALID_SIZE,
        ),
        (
            reqbus_new_event {
                size: 9,
                ..json("1")
            },
            REQBUS_INVALID_SIZE,
        ),
        (
            reqbus_new_event {
                size: usize::MAX,
                ..json("1")
            },
            REQBUS_INVALID_SIZE,
        ),
        // An older caller, whose struct ended after the kind.
        (
            reqbus_new_event {
                size: 24,
                ..event("k", b"", text)
            },
            REQBUS_INVALID_JSON,
        ),
    ];
    for (at, (event, status)) in cases.iter().enumerate() {
        assert_eq!(f.publish(event), *status, "case {at}");
    }
    assert_eq!(f.try_recv(), REQBUS_TIMEOUT);
    assert_eq!(f.publish(&json("1")), REQBUS_OK);
    let mut newest = reqbus_id { epoch: 0, seq: 0 };
    // SAFETY: the bus is alive.
    unsafe { assert_eq!(reqbus_bus_newest(f.bus, &mut newest), REQBUS_OK) };
    assert_eq!(newest.seq, 1);
}

#[test]
fn an_error_tells_what_where_and_why_and_not_the_value() {
    let f = Fixture::new(&sized());
    let secret = json("{\"key\": sk-secret}");
    let mut error = null_mut();
    // SAFETY: handles are alive, places are valid, the error's texts are read before it is freed.
    unsafe {
        let status = reqbus_bus_publish(f.bus, &secret, null_mut(), &mut error);
        assert_eq!(status, REQBUS_INVALID_JSON);
        assert_eq!(reqbus_error_kind(error), REQBUS_INVALID_JSON);
        let text = |get: unsafe extern "C" fn(*const reqbus_error, *mut usize) -> *const c_char| {
            let mut len = 0;
            let start = get(error, &mut len);
            String::from_utf8(std::slice::from_raw_parts(start.cast::<u8>(), len).to_vec()).unwrap()
        };
        assert_eq!(text(reqbus_error_context), "payload");
        let message = text(reqbus_error_message);
        assert!(
            message.contains("not JSON") && !message.contains("secret"),
            "{message}"
        );
        // Without a place for the length the answer is empty, never a text of unknown length.
        assert_eq!(CStr::from_ptr(reqbus_error_message(error, null_mut())), c"");
        assert_eq!(reqbus_error_free(&mut error), REQBUS_OK);
        // Success writes NULL.
        error = std::ptr::dangling_mut();
        assert_eq!(
            reqbus_bus_publish(f.bus, &json("1"), null_mut(), &mut error),
            REQBUS_OK
        );
        assert!(error.is_null());
    }
}

#[test]
fn a_constructor_that_fails_leaves_null() {
    let mut bus = std::ptr::dangling_mut();
    let options = reqbus_bus_options {
        log_events: usize::MAX,
        ..sized()
    };
    // SAFETY: a place for a handle, and valid options.
    unsafe {
        assert_eq!(
            reqbus_bus_new(&options, &mut bus, null_mut()),
            REQBUS_INVALID_ARGUMENT
        );
        assert!(bus.is_null());
        assert_eq!(
            reqbus_bus_new(null(), null_mut(), null_mut()),
            REQBUS_NULL_ARGUMENT
        );
    }
}

#[test]
fn close_ends_a_recv_under_way() {
    for overflow in 0..3 {
        let f = Fixture::new(&reqbus_subscribe_options {
            overflow,
            ..sized()
        });
        let f = &f;
        std::thread::scope(|scope| {
            let waiting = scope.spawn(move || {
                // SAFETY: both are alive; this thread alone uses the batch.
                unsafe { reqbus_subscription_recv(f.sub, f.batch, 1, 1, -1) }
            });
            while f.stats().sleeping == 0 {
                std::thread::yield_now();
            }
            // While a wait uses the batch, others are told so.
            // SAFETY: alive; that the batch serves one thread at a time is what is tried here.
            unsafe {
                assert_eq!(reqbus_batch_clear(f.batch), REQBUS_BUSY);
                assert_eq!(reqbus_batch_len(f.batch), 0);
                assert_eq!(
                    reqbus_subscription_recv(f.sub, f.batch, 1, 1, 0),
                    REQBUS_BUSY
                );
                assert_eq!(reqbus_bus_close(f.bus), REQBUS_OK);
            }
            assert_eq!(waiting.join().unwrap(), REQBUS_CLOSED);
        });
        assert_eq!(f.publish(&json("1")), REQBUS_CLOSED);
        assert_eq!(f.try_recv(), REQBUS_CLOSED);
    }
}

#[test]
fn items_end_with_the_next_read_and_not_before() {
    let f = Fixture::new(&sized());
    assert_eq!(f.publish(&json("[1]")), REQBUS_OK);
    assert_eq!(f.try_recv(), REQBUS_OK);
    let mut item: reqbus_item = sized();
    // SAFETY: the batch is alive and nobody writes it; the payload is read while it is valid.
    unsafe {
        assert_eq!(reqbus_batch_item(f.batch, 0, &mut item), REQBUS_OK);
        // Publishing, closing, and freeing the subscription do not touch a batch.
        assert_eq!(f.publish(&json("[2]")), REQBUS_OK);
        assert_eq!(reqbus_bus_close(f.bus), REQBUS_OK);
        let payload = std::slice::from_raw_parts(item.payload.cast::<u8>(), item.payload_len);
        assert_eq!(payload, b"[1]");
    }
    assert_eq!(f.try_recv(), REQBUS_OK);
    assert_eq!(f.try_recv(), REQBUS_CLOSED);
}

#[test]
fn every_error_kind_of_core_has_a_number() {
    // A kind that is added to core without a number would answer REQBUS_UNKNOWN_ERROR. The kinds are not
    // listed anywhere but in their own file.
    let source = include_str!("../../core/src/error.rs");
    let body = source
        .split_once("pub enum ErrorKind {")
        .unwrap()
        .1
        .split_once("\n}")
        .unwrap()
        .0;
    let kinds = body
        .lines()
        .filter(|line| !line.trim().starts_with("//") && line.ends_with(','));
    let mapped = include_str!("../src/status.rs");
    let mut count = 0;
    for kind in kinds {
        let kind = kind.trim().trim_end_matches(',');
        assert!(
            mapped.contains(&format!("ErrorKind::{kind} => ")),
            "{kind} has no status"
        );
        count += 1;
    }
    assert!(count >= 13);
}

#[test]
fn reason_names_are_core_s_own() {
    let f = Fixture::new(&reqbus_subscribe_options {
        capacity: 1,
        ..sized()
    });
    assert_eq!(f.publish(&json("1")), REQBUS_OK);
    assert_eq!(f.publish(&json("2")), REQBUS_OK);
    assert_eq!(f.try_recv(), REQBUS_OK);
    let mut item: reqbus_item = sized();
    // SAFETY: the batch is alive and nobody writes it.
    unsafe {
        assert_eq!(reqbus_batch_item(f.batch, 1, &mut item), REQBUS_OK);
        let name = std::slice::from_raw_parts(item.reason_name.cast::<u8>(), item.reason_name_len);
        assert_eq!(name, reqbus_core::bus::LostReason::Full.name().as_bytes());
    }
    assert_eq!(
        (item.tag, item.reason, item.missed, item.next_n),
        (2, 1, 1, 3)
    );
    let stats = f.stats();
    assert_eq!((stats.matched, stats.delivered, stats.lost_full), (2, 1, 1));
}
