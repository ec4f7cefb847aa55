//! A bus.

use napi::bindgen_prelude::Uint8Array;
use napi_derive::napi;
use reqbus_core::bus::BusOptions;
use reqbus_core::event::RequestStatus;
use reqbus_core::{Bus, Error, ErrorKind, NewEvent, RequestEvent};

use crate::failure::OrThrow;
use crate::join::NativeJoin;
use crate::looping::ringing;
use crate::options::{NativeBusOptions, NativeSubscribeOptions};
use crate::stats::{NativeBusStats, NativeConsumer};
use crate::whole::{Whole, to_i64, to_u64};

/// A bus.
#[napi]
pub struct NativeBus {
    bus: Bus,
}

/// What an event says. `sort`: 0 JSON, 1 text; bytes go beside.
fn event<'a>(
    kind: &'a str,
    sort: u32,
    text: &'a str,
    bytes: Option<&'a [u8]>,
    key: Option<&'a str>,
    time_ns: Option<&Whole>,
) -> Result<NewEvent<'a>, Error> {
    let event = match (bytes, sort) {
        (Some(bytes), _) => NewEvent::bytes(kind, bytes),
        (None, 0) => NewEvent::json(kind, text),
        (None, _) => NewEvent::text(kind, text),
    };
    let event = event.key(key.unwrap_or_default());
    Ok(match time_ns {
        Some(time_ns) => event.time_ns(to_u64(time_ns, "timestamp")?),
        None => event,
    })
}

/// An event of [`NativeBus::publish_many`].
#[napi(object, object_to_js = false)]
pub struct NativeEvent {
    /// Its kind.
    pub kind: String,
    /// 0 JSON, 1 text.
    pub sort: u32,
    /// Its payload, if that is no bytes.
    pub text: String,
    /// Its payload, if that is bytes.
    pub bytes: Option<Uint8Array>,
    /// Its key.
    pub key: Option<String>,
    /// When it happened.
    pub time_ns: Option<Whole>,
}

impl NativeBus {
    pub(crate) fn make(options: BusOptions) -> napi::Result<Self> {
        Bus::new(options).or_throw().map(|bus| Self { bus })
    }

    pub(crate) const fn get(&self) -> &Bus {
        &self.bus
    }
}

#[napi]
impl NativeBus {
    /// A bus.
    #[napi(constructor)]
    pub fn new(options: NativeBusOptions) -> napi::Result<Self> {
        Self::make(options.to_core().or_throw()?)
    }

    /// Publishes one event. Whether this thread must drain.
    #[napi]
    pub fn publish(
        &self,
        kind: String,
        sort: u32,
        text: String,
        bytes: Option<&[u8]>,
        key: Option<String>,
        time_ns: Option<Whole>,
    ) -> napi::Result<bool> {
        let event = event(&kind, sort, &text, bytes, key.as_deref(), time_ns.as_ref());
        let event = event.or_throw()?;
        let (answer, rang) = ringing(|| self.bus.publish(event));
        answer.or_throw().map(|_| rang)
    }

    /// Publishes many events, all or none. Whether this thread must drain.
    #[napi]
    pub fn publish_many(&self, events: Vec<NativeEvent>) -> napi::Result<bool> {
        let events = events.iter().map(|one| {
            event(
                &one.kind,
                one.sort,
                &one.text,
                one.bytes.as_deref(),
                one.key.as_deref(),
                one.time_ns.as_ref(),
            )
        });
        let events = events.collect::<Result<Vec<_>, _>>().or_throw()?;
        let (answer, rang) = ringing(|| self.bus.publish_many(&events));
        answer.or_throw().map(|_| rang)
    }

    /// Publishes the event of a finished request. `status` is its number. Whether this thread must drain.
    #[napi]
    pub fn publish_request(
        &self,
        method: String,
        path: String,
        model: String,
        account_id: Whole,
        status: u32,
        latency_ms: Whole,
        key: Option<String>,
        extra: Option<String>,
        time_ns: Option<Whole>,
    ) -> napi::Result<bool> {
        let number = u8::try_from(status).ok();
        let status = number.and_then(RequestStatus::from_number).ok_or_else(|| {
            let why = "it is none of success, error and rate_limited";
            Error::fixed(ErrorKind::InvalidArgument, "status", why)
        });
        let time_ns = time_ns.as_ref().map(|time| to_u64(time, "timestamp"));
        let event = RequestEvent {
            timestamp_ns: time_ns.transpose().or_throw()?,
            method: &method,
            path: &path,
            model: &model,
            account_id: to_i64(&account_id, "account_id").or_throw()?,
            status: status.or_throw()?,
            latency_ms: to_i64(&latency_ms, "latency_ms").or_throw()?,
            key: key.as_deref().unwrap_or_default(),
            extra: extra.as_deref(),
        };
        let (answer, rang) = ringing(|| self.bus.publish_request(&event));
        answer.or_throw().map(|_| rang)
    }

    /// Begins to subscribe.
    #[napi]
    pub fn join(&self, options: NativeSubscribeOptions) -> napi::Result<NativeJoin> {
        let options = options.to_core().or_throw()?;
        self.bus.join(options).or_throw().map(NativeJoin::new)
    }

    /// Sets the latest state of a source. Whether this thread must drain.
    #[napi]
    pub fn set_status(&self, source: String, state: String, detail: String) -> napi::Result<bool> {
        let (answer, rang) = ringing(|| self.bus.set_status(&source, &state, &detail));
        answer.or_throw().map(|()| rang)
    }

    /// Whether anybody could get an event of this kind.
    #[napi]
    pub fn wanted(&self, kind: String) -> napi::Result<bool> {
        let kind = self.bus.kind(&kind).or_throw()?;
        Ok(self.bus.wanted(kind))
    }

    /// How many are members of an audience.
    #[napi]
    pub fn audience_count(&self, name: String) -> f64 {
        self.bus.audience_count(&name) as f64
    }

    /// The id of the newest event.
    #[napi]
    pub fn newest(&self) -> String {
        self.bus.newest().to_string()
    }

    /// The account.
    #[napi]
    pub fn stats(&self) -> NativeBusStats {
        NativeBusStats::of(&self.bus.stats())
    }

    /// Who reads.
    #[napi]
    pub fn consumers(&self) -> Vec<NativeConsumer> {
        let consumers = self.bus.consumers();
        consumers.iter().map(NativeConsumer::of).collect()
    }

    /// Closes the bus. Whether this thread must drain.
    #[napi]
    pub fn close(&self) -> bool {
        ringing(|| self.bus.close()).1
    }

    /// Whether it was closed.
    #[napi]
    pub fn is_closed(&self) -> bool {
        self.bus.is_closed()
    }
}
