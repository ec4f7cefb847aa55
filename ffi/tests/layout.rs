//! Sizes, offsets and numbers of the C interface, on 64-bit systems. Who changes one changes the ABI:
//! fields are added at the end of a struct that begins with `size`, numbers are never reused.
#![cfg(target_pointer_width = "64")]

use std::mem::{align_of, offset_of, size_of};

use reqbus::*;

/// Every field of a struct with its offset, in order, and the struct's size.
macro_rules! layout {
    ($struct:ident, $size:literal, [$($field:ident @ $offset:literal),+ $(,)?]) => {
        $(assert_eq!(
            offset_of!($struct, $field), $offset,
            "{}.{}", stringify!($struct), stringify!($field)
        );)+
        assert_eq!(size_of::<$struct>(), $size, stringify!($struct));
        assert_eq!(align_of::<$struct>(), 8, stringify!($struct));
        // No field that is not listed: a struct pattern must name all of them.
        let _ = |value: &$struct| {
            let $struct { $($field: _),+ } = value;
        };
    };
}

#[test]
fn small_structs() {
    layout!(reqbus_id, 16, [epoch @ 0, seq @ 8]);
    layout!(reqbus_text, 16, [ptr @ 0, len @ 8]);
    layout!(
        reqbus_texts,
        40,
        [size @ 0, buffer @ 8, buffer_len @ 16, ends @ 24, count @ 32]
    );
}

#[test]
fn options() {
    layout!(
        reqbus_bus_options,
        40,
        [
            size @ 0,
            log_events @ 8,
            log_bytes @ 16,
            resume_age_ms @ 24,
            flags @ 32,
            reserved @ 36,
        ]
    );
    layout!(
        reqbus_subscribe_options,
        136,
        [
            size @ 0,
            start @ 8,
            overflow @ 12,
            after @ 16,
            after_len @ 24,
            keys @ 32,
            keys_count @ 40,
            kinds @ 48,
            kinds_count @ 56,
            capacity @ 64,
            capacity_bytes @ 72,
            label @ 80,
            label_len @ 88,
            audience @ 96,
            audience_len @ 104,
            audience_wait_ms @ 112,
            linger_ms @ 120,
            pid @ 128,
            flags @ 132,
        ]
    );
}

#[test]
fn events() {
    layout!(
        reqbus_new_event,
        72,
        [
            size @ 0,
            kind @ 8,
            kind_len @ 16,
            key @ 24,
            key_len @ 32,
            payload @ 40,
            payload_len @ 48,
            payload_sort @ 56,
            flags @ 60,
            timestamp_ns @ 64,
        ]
    );
    layout!(
        reqbus_request_event,
        120,
        [
            size @ 0,
            method @ 8,
            method_len @ 16,
            path @ 24,
            path_len @ 32,
            model @ 40,
            model_len @ 48,
            account_id @ 56,
            latency_ms @ 64,
            status @ 72,
            flags @ 76,
            timestamp_ns @ 80,
            key @ 88,
            key_len @ 96,
            extra @ 104,
            extra_len @ 112,
        ]
    );
    layout!(
        reqbus_item,
        184,
        [
            size @ 0,
            tag @ 8,
            reason @ 12,
            reason_name @ 16,
            reason_name_len @ 24,
            id @ 32,
            n @ 48,
            missed @ 56,
            next_n @ 64,
            timestamp_ns @ 72,
            kind @ 80,
            kind_len @ 88,
            key @ 96,
            key_len @ 104,
            payload @ 112,
            payload_len @ 120,
            payload_sort @ 128,
            reserved @ 132,
            source @ 136,
            source_len @ 144,
            state @ 152,
            state_len @ 160,
            detail @ 168,
            detail_len @ 176,
        ]
    );
}

#[test]
fn numbers_that_hosts_watch() {
    layout!(
        reqbus_subscription_stats,
        80,
        [
            size @ 0,
            matched @ 8,
            delivered @ 16,
            lost_full @ 24,
            lost_window @ 32,
            lost_evicted @ 40,
            pending @ 48,
            abandoned @ 56,
            resyncs @ 64,
            sleeping @ 72,
            reserved @ 76,
        ]
    );
    layout!(
        reqbus_bus_stats,
        112,
        [
            size @ 0,
            newest @ 8,
            kept_events @ 24,
            kept_bytes @ 32,
            subscriptions @ 40,
            extra_clashes @ 48,
            matched @ 56,
            delivered @ 64,
            lost_full @ 72,
            lost_window @ 80,
            lost_evicted @ 88,
            pending @ 96,
            abandoned @ 104,
        ]
    );
    layout!(
        reqbus_consumer,
        160,
        [
            size @ 0,
            id @ 8,
            label @ 16,
            label_len @ 24,
            audience @ 32,
            audience_len @ 40,
            pid @ 48,
            overflow @ 52,
            capacity @ 56,
            capacity_bytes @ 64,
            keys_count @ 72,
            kinds_count @ 80,
            age_ns @ 88,
            matched @ 96,
            delivered @ 104,
            lost_full @ 112,
            lost_window @ 120,
            lost_evicted @ 128,
            pending @ 136,
            resyncs @ 144,
            sleeping @ 152,
            closed @ 156,
        ]
    );
}

#[test]
fn slots_asked_for() {
    layout!(
        reqbus_key,
        32,
        [scope @ 0, scope_len @ 8, id @ 16, id_len @ 24]
    );
    layout!(reqbus_ask, 40, [key @ 0, limit @ 32]);
    layout!(reqbus_leak_sink, 24, [ctx @ 0, call @ 8, drop @ 16]);
    layout!(
        reqbus_leak,
        64,
        [
            size @ 0,
            scope @ 8,
            scope_len @ 16,
            id @ 24,
            id_len @ 32,
            label @ 40,
            label_len @ 48,
            age_ns @ 56,
        ]
    );
    layout!(
        reqbus_pool_options,
        88,
        [
            size @ 0,
            first @ 8,
            first_count @ 16,
            last @ 24,
            last_count @ 32,
            processes @ 40,
            flags @ 44,
            leak_sink @ 48,
            teller @ 72,
            held_long_ms @ 80,
        ]
    );
    layout!(
        reqbus_wait_options,
        48,
        [
            size @ 0,
            label @ 8,
            label_len @ 16,
            timeout_ms @ 24,
            ping_every_ms @ 32,
            max_waiting @ 40,
            flags @ 44,
        ]
    );
    layout!(
        reqbus_backoff_options,
        40,
        [
            size @ 0,
            first_ns @ 8,
            cap_ns @ 16,
            seed @ 24,
            flags @ 32,
            reserved @ 36,
        ]
    );
}

#[test]
fn slots_told_of() {
    layout!(
        reqbus_refusal,
        312,
        [
            size @ 0,
            outcome @ 8,
            in_use @ 12,
            limit @ 16,
            waiting @ 24,
            position @ 28,
            waited_ns @ 32,
            pings @ 40,
            retry_after_s @ 44,
            scope_len @ 48,
            scope @ 56,
        ]
    );
    layout!(
        reqbus_load,
        64,
        [
            size @ 0,
            in_use @ 8,
            waiting @ 12,
            limit @ 16,
            rate @ 24,
            oldest_wait_ns @ 32,
            oldest_hold_ns @ 40,
            closed @ 48,
            has_room @ 52,
            lapsed @ 56,
            reserved @ 60,
        ]
    );
    layout!(
        reqbus_holder,
        72,
        [
            size @ 0,
            holder @ 8,
            scope @ 16,
            scope_len @ 24,
            id @ 32,
            id_len @ 40,
            label @ 48,
            label_len @ 56,
            age_ns @ 64,
        ]
    );
    layout!(
        reqbus_slot_stats,
        160,
        [
            size @ 0,
            granted @ 8,
            granted_after_wait @ 16,
            busy @ 24,
            queue_full @ 32,
            timed_out @ 40,
            cancelled @ 48,
            closed @ 56,
            store_unavailable @ 64,
            lost @ 72,
            leaked @ 80,
            lapsed_offers @ 88,
            limit_changes @ 96,
            waits @ 104,
            wait_p50_ns @ 112,
            wait_p90_ns @ 120,
            wait_p99_ns @ 128,
            wait_max_ns @ 136,
            mean_hold_ns @ 144,
            peak @ 152,
            known @ 156,
        ]
    );
}

#[test]
fn tellers() {
    layout!(
        reqbus_teller_options,
        48,
        [
            size @ 0,
            kinds @ 8,
            kinds_count @ 16,
            secret_scopes @ 24,
            secret_scopes_count @ 32,
            flags @ 40,
            reserved @ 44,
        ]
    );
}

#[test]
fn checks() {
    layout!(
        reqbus_runner_options,
        56,
        [
            size @ 0,
            every_ms @ 8,
            limit_ms @ 16,
            jitter_ms @ 24,
            seed @ 32,
            at_once @ 40,
            flags @ 44,
            teller @ 48,
        ]
    );
    layout!(
        reqbus_runner_stats,
        96,
        [
            size @ 0,
            rounds @ 8,
            failed_rounds @ 16,
            paused_rounds @ 24,
            run @ 32,
            succeeded @ 40,
            failed @ 48,
            panicked @ 56,
            stuck @ 64,
            skipped_busy @ 72,
            skipped_full @ 80,
            late @ 88,
        ]
    );
    layout!(reqbus_due, 24, [id @ 0, id_len @ 8, overdue_ms @ 16]);
    layout!(
        reqbus_flight,
        40,
        [
            size @ 0,
            id @ 8,
            id_len @ 16,
            age_ns @ 24,
            stuck @ 32,
            reserved @ 36,
        ]
    );
    layout!(reqbus_due_callback, 24, [ctx @ 0, call @ 8, drop @ 16]);
    layout!(reqbus_check_callback, 24, [ctx @ 0, call @ 8, drop @ 16]);
}

#[test]
fn statuses_keep_their_numbers() {
    use reqbus_status::*;
    let numbers = [
        (REQBUS_OK, 0),
        (REQBUS_OK_IGNORED, 1),
        (REQBUS_TIMEOUT, 2),
        (REQBUS_INTERRUPTED, 3),
        (REQBUS_CLOSED, 4),
        (REQBUS_BUSY, 5),
        (REQBUS_AUDIENCE_BUSY, 6),
        (REQBUS_PING_DUE, 7),
        (REQBUS_SLOT_BUSY, 8),
        (REQBUS_SLOT_QUEUE_FULL, 9),
        (REQBUS_SLOT_TIMED_OUT, 10),
        (REQBUS_SLOT_CANCELLED, 11),
        (REQBUS_SLOT_CLOSED, 12),
        (REQBUS_SLOT_ALREADY_RELEASED, 13),
        (REQBUS_SLOT_LOST, 14),
        (REQBUS_NULL_ARGUMENT, 100),
        (REQBUS_INVALID_ARGUMENT, 101),
        (REQBUS_INVALID_SIZE, 102),
        (REQBUS_UNKNOWN_OPTION, 103),
        (REQBUS_NULL_WITH_LENGTH, 104),
        (REQBUS_MISALIGNED, 105),
        (REQBUS_LENGTH_OVERFLOW, 106),
        (REQBUS_INVALID_UTF8, 107),
        (REQBUS_INVALID_JSON, 108),
        (REQBUS_TOO_LARGE, 109),
        (REQBUS_RESERVED_KIND, 110),
        (REQBUS_TOO_MANY_SOURCES, 111),
        (REQBUS_NO_SUCH_ITEM, 112),
        (REQBUS_MALFORMED_ID, 113),
        (REQBUS_BUFFER_TOO_SMALL, 114),
        (REQBUS_FORKED, 200),
        (REQBUS_NOT_SOLE_MEMBER, 201),
        (REQBUS_SYSTEM, 300),
        (REQBUS_STORE_UNAVAILABLE, 301),
        (REQBUS_PANICKED, 900),
        (REQBUS_UNKNOWN_ERROR, 901),
    ];
    for (status, number) in numbers {
        assert_eq!(status as i32, number, "{status:?}");
    }
    assert_eq!(size_of::<reqbus_status>(), 4);
    // Each has a name, and no other number has one.
    let named = (-1000..=2000).filter(|number| {
        // SAFETY: a constant NUL-terminated string.
        let name = unsafe { std::ffi::CStr::from_ptr(reqbus_status_name(*number)) };
        name != c"unknown"
    });
    assert_eq!(named.collect::<Vec<_>>(), numbers.map(|(_, number)| number));
}

#[test]
fn enums_keep_their_numbers() {
    use reqbus_core::wire::Form;
    assert_eq!(reqbus_payload_sort::REQBUS_PAYLOAD_JSON as u32, 0);
    assert_eq!(reqbus_payload_sort::REQBUS_PAYLOAD_TEXT as u32, 1);
    assert_eq!(reqbus_payload_sort::REQBUS_PAYLOAD_BYTES as u32, 2);
    assert_eq!(reqbus_payload_sort::REQBUS_PAYLOAD_REQUEST as u32, 3);
    assert_eq!(reqbus_request_status::REQBUS_REQUEST_SUCCESS as u32, 0);
    assert_eq!(reqbus_request_status::REQBUS_REQUEST_ERROR as u32, 1);
    assert_eq!(reqbus_request_status::REQBUS_REQUEST_RATE_LIMITED as u32, 2);
    assert_eq!(reqbus_start::REQBUS_START_LIVE as u32, 0);
    assert_eq!(reqbus_start::REQBUS_START_OLDEST as u32, 1);
    assert_eq!(reqbus_start::REQBUS_START_AFTER as u32, 2);
    assert_eq!(reqbus_overflow::REQBUS_OVERFLOW_DROP_NEWEST as u32, 0);
    assert_eq!(reqbus_overflow::REQBUS_OVERFLOW_DROP_OLDEST as u32, 1);
    assert_eq!(reqbus_overflow::REQBUS_OVERFLOW_CATCH_UP as u32, 2);
    assert_eq!(reqbus_item_tag::REQBUS_ITEM_EVENT as u32, 1);
    assert_eq!(reqbus_item_tag::REQBUS_ITEM_LOST as u32, 2);
    assert_eq!(reqbus_item_tag::REQBUS_ITEM_RESYNC as u32, 3);
    assert_eq!(reqbus_item_tag::REQBUS_ITEM_STATUS as u32, 4);
    assert_eq!(reqbus_lost_reason::REQBUS_LOST_FULL as u32, 1);
    assert_eq!(reqbus_lost_reason::REQBUS_LOST_WINDOW as u32, 2);
    assert_eq!(reqbus_lost_reason::REQBUS_LOST_EVICTED as u32, 3);
    assert_eq!(reqbus_resync_reason::REQBUS_RESYNC_MALFORMED as u32, 1);
    assert_eq!(reqbus_resync_reason::REQBUS_RESYNC_EPOCH as u32, 2);
    assert_eq!(reqbus_resync_reason::REQBUS_RESYNC_AHEAD as u32, 3);
    assert_eq!(reqbus_resync_reason::REQBUS_RESYNC_EXPIRED as u32, 4);
    assert_eq!(reqbus_outcome::REQBUS_OUTCOME_NONE as u32, 0);
    assert_eq!(reqbus_outcome::REQBUS_OUTCOME_BUSY as u32, 1);
    assert_eq!(reqbus_outcome::REQBUS_OUTCOME_QUEUE_FULL as u32, 2);
    assert_eq!(reqbus_outcome::REQBUS_OUTCOME_TIMED_OUT as u32, 3);
    assert_eq!(reqbus_outcome::REQBUS_OUTCOME_CANCELLED as u32, 4);
    assert_eq!(reqbus_outcome::REQBUS_OUTCOME_CLOSED as u32, 5);
    assert_eq!(reqbus_outcome::REQBUS_OUTCOME_STORE_UNAVAILABLE as u32, 6);
    assert_eq!(reqbus_outcome::REQBUS_OUTCOME_INVALID as u32, 7);
    assert_eq!(reqbus_slot_loss::REQBUS_LOSS_NONE as u32, 0);
    assert_eq!(reqbus_slot_loss::REQBUS_LOSS_EXPIRED as u32, 1);
    assert_eq!(reqbus_slot_loss::REQBUS_LOSS_FORCED as u32, 2);
    assert_eq!(reqbus_slot_loss::REQBUS_LOSS_STORE as u32, 3);
    let forms = [
        (reqbus_form::REQBUS_FORM_JSON, Form::Json),
        (reqbus_form::REQBUS_FORM_ENVELOPE, Form::Envelope),
        (reqbus_form::REQBUS_FORM_NDJSON, Form::Ndjson),
        (reqbus_form::REQBUS_FORM_SSE, Form::Sse),
    ];
    for (number, (c, core)) in forms.into_iter().enumerate() {
        assert_eq!(c as usize, number);
        assert_eq!(usize::from(core.number()), number);
    }
    assert_eq!(
        (
            REQBUS_BUS_NO_RESUME,
            REQBUS_SUBSCRIBE_NO_WAIT,
            REQBUS_EVENT_TIME_SET
        ),
        (1, 1, 1)
    );
    assert_eq!(reqbus_verdict::REQBUS_VERDICT_SUCCEEDED as u32, 0);
    assert_eq!(reqbus_verdict::REQBUS_VERDICT_FAILED as u32, 1);
    assert_eq!(reqbus_verdict::REQBUS_VERDICT_PANICKED as u32, 2);
    assert_eq!(REQBUS_RUNNER_SEEDED, 1);
    assert_eq!((REQBUS_WAIT_TRY, REQBUS_WAIT_NO_PINGS), (1, 2));
    assert_eq!((REQBUS_BACKOFF_SEEDED, REQBUS_BACKOFF_EXACT), (1, 2));
    assert_eq!(REQBUS_LIMIT_MAX, 1_000_000_000);
    assert_eq!(
        (REQBUS_UNLIMITED, REQBUS_LIMIT_NOT_GIVEN),
        (i64::MAX, i64::MAX - 1)
    );
    assert_eq!(
        REQBUS_ID_TEXT_MAX,
        reqbus_core::EventId {
            epoch: 0,
            seq: u64::MAX
        }
        .to_string()
        .len()
    );
}
