//! The text of an event, made once.

use super::form::Form;
use super::{frame, payload};
use crate::event::{Event, Payload};

/// The slots of [`Event::text_in`]. Envelope and NDJSON share one: they differ in the last byte.
const JSON: usize = 0;
const NDJSON: usize = 1;
const SSE: usize = 2;

/// The text of `event` in `form`, complete and ready to write (see [`crate::wire`]).
///
/// It is made by the first caller, in one allocation of about its own length (escapes can lengthen a
/// `text` payload sixfold and then cost a few more), and kept in the event for all later ones, who pay
/// two loads. Callers that come while it is being made wait for it. `grown` is told, at most once, by
/// how many bytes the log that holds the event has grown; it may be called on any caller's thread.
///
/// A `json` payload that is already one line is its own [`Form::Json`]: nothing is made or kept.
#[must_use]
pub fn text(event: &Event, form: Form, grown: impl Fn(i64)) -> &[u8] {
    match form {
        Form::Json => json(event, grown),
        Form::Ndjson => event.text_in(NDJSON, |event| frame::ndjson(event).into(), grown),
        Form::Envelope => {
            let line = event.text_in(NDJSON, |event| frame::ndjson(event).into(), grown);
            line.strip_suffix(b"\n").unwrap_or(line)
        }
        Form::Sse => event.text_in(SSE, |event| frame::sse(event).into(), grown),
    }
}

fn json(event: &Event, grown: impl Fn(i64)) -> &[u8] {
    // No JSON text is empty, so an empty one in the slot says: the payload is its own form. That is
    // remembered to spare each reader a look at every byte.
    let text = event.text_in(
        JSON,
        |event| {
            let payload = event.payload();
            if matches!(payload, Payload::Json(json) if payload::is_own_form(json)) {
                return Box::default();
            }
            let mut out = Vec::with_capacity(payload::estimate(&payload));
            payload::write(&mut out, event, &payload);
            out.into()
        },
        grown,
    );
    match event.payload() {
        Payload::Json(json) if text.is_empty() => json.as_bytes(),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Draft, EventId, NewEvent};

    fn event(new: &NewEvent<'_>) -> Event {
        Event::detached(new, EventId { epoch: 1, seq: 2 }).unwrap()
    }

    fn of(event: &Event, form: Form) -> &[u8] {
        text(event, form, |_| {})
    }

    #[test]
    fn each_text_is_made_once_and_shared() {
        let event = event(&NewEvent::text("k", "a\nb"));
        let other = event.clone();
        for form in Form::ALL {
            let first = of(&event, form);
            assert!(std::ptr::eq(first, of(&other, form)), "{form}");
        }
        let (line, object) = (of(&event, Form::Ndjson), of(&event, Form::Envelope));
        assert_eq!(line.as_ptr(), object.as_ptr());
        assert_eq!(line.split_last(), Some((&b'\n', object)));
    }

    #[test]
    fn json_that_is_its_own_form_is_not_copied() {
        for json in ["{\"a\": [1, 2]}", " 1 ", "\"\\n\"", "{}"] {
            let event = event(&NewEvent::json("k", json));
            let Payload::Json(payload) = event.payload() else {
                panic!("sort")
            };
            for _ in 0..2 {
                assert!(
                    std::ptr::eq(of(&event, Form::Json), payload.as_bytes()),
                    "{json}"
                );
            }
        }
        let folded = event(&NewEvent::json("k", "[1,\n2]"));
        assert_eq!(of(&folded, Form::Json), b"[1,2]");
        assert!(std::ptr::eq(
            of(&folded, Form::Json),
            of(&folded, Form::Json)
        ));
    }

    #[test]
    fn threads_that_ask_at_once_get_one_text() {
        let event = event(&NewEvent::bytes("k", &[1; 4096]));
        let addresses: Vec<usize> = std::thread::scope(|scope| {
            let asks: Vec<_> = (0..4)
                .map(|_| scope.spawn(|| of(&event, Form::Sse).as_ptr().addr()))
                .collect();
            asks.into_iter().map(|ask| ask.join().unwrap()).collect()
        });
        assert!(
            addresses
                .iter()
                .all(|&at| at == of(&event, Form::Sse).as_ptr().addr())
        );
    }

    #[test]
    fn the_log_is_told_once_while_it_holds_the_event() {
        let told = std::cell::Cell::new(0);
        let grown = |bytes| told.set(told.get() + bytes);
        let new = NewEvent::text("k", "a");
        let _ = text(&event(&new), Form::Sse, grown);
        assert_eq!(told.get(), 0, "no log ever held it");

        let log = Draft::new(&new, || 0)
            .unwrap()
            .seal(EventId { epoch: 1, seq: 2 }, 0);
        for _ in 0..2 {
            for form in Form::ALL {
                let _ = text(&log.peek(), form, grown);
            }
        }
        // In units of 64 bytes: JSON, NDJSON (which the envelope shares), SSE.
        assert_eq!(told.get(), 64 + 128 + 64);
        assert_eq!(log.retire(0), told.get());
    }
}
