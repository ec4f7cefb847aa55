//! The items of a batch on their way to JavaScript, laid flat.
//!
//! One array for all of them: making objects is cheaper in JavaScript, where their shape is known. Each item is its tag
//! and then its parts, which `lib/items.js` reads in the same order:
//!
//! | tag | parts |
//! |---|---|
//! | 0 JSON, 1 text, 2 bytes | id, n, kind, key, time in ns, payload |
//! | 3 request | id, n, kind, key, time in ns, method, path, model, account, status, latency, extra or null |
//! | 4 lost | missed, reason, n of the next |
//! | 5 resync | reason, id of the newest |
//! | 6 status | source, state, detail |
//!
//! The id of the batch's settled event comes first of all.

use napi::Env;
use napi::bindgen_prelude::{Array, ToNapiValue, Uint8Array, i64n};
use reqbus_core::Event;
use reqbus_core::bus::{Batch, Item};
use reqbus_core::event::Payload;

/// Writes values one behind the other.
struct Writer<'env> {
    array: Array<'env>,
    at: u32,
}

impl Writer<'_> {
    fn put<T: ToNapiValue>(&mut self, value: T) -> napi::Result<()> {
        self.array.set(self.at, value)?;
        self.at += 1;
        Ok(())
    }

    fn event(&mut self, event: &Event, n: u64) -> napi::Result<()> {
        let payload = event.payload();
        self.put(match payload {
            Payload::Json(_) => 0,
            Payload::Text(_) => 1,
            Payload::Request(_) => 3,
            _ => 2,
        })?;
        self.put(event.id().to_string())?;
        self.put(n)?;
        self.put(event.kind())?;
        self.put(event.key())?;
        self.put(event.time_ns())?;
        match payload {
            Payload::Json(text) | Payload::Text(text) => self.put(text),
            Payload::Bytes(bytes) => self.put(Uint8Array::from(bytes)),
            Payload::Request(request) => {
                self.put(request.method)?;
                self.put(request.path)?;
                self.put(request.model)?;
                self.put(i64n(request.account_id))?;
                self.put(request.status.name())?;
                self.put(i64n(request.latency_ms))?;
                self.put(request.extra)
            }
            _ => self.put(Uint8Array::from(&[][..])),
        }
    }

    fn item(&mut self, item: Item<'_>) -> napi::Result<()> {
        match item {
            Item::Event { event, n } => self.event(event, n),
            Item::Lost {
                missed,
                reason,
                next_n,
            } => {
                self.put(4)?;
                self.put(missed)?;
                self.put(reason.name())?;
                self.put(next_n)
            }
            Item::Resync { reason, head } => {
                self.put(5)?;
                self.put(reason.name())?;
                self.put(head.to_string())
            }
            Item::Status {
                source,
                state,
                detail,
            } => {
                self.put(6)?;
                self.put(source)?;
                self.put(state)?;
                self.put(detail)
            }
        }
    }
}

/// All items of a batch.
pub fn flat<'env>(env: &'env Env, batch: &Batch) -> napi::Result<Array<'env>> {
    let array = env.create_array(0)?;
    let mut writer = Writer { array, at: 0 };
    writer.put(batch.settled().to_string())?;
    for item in batch.iter() {
        writer.item(item)?;
    }
    Ok(writer.array)
}
