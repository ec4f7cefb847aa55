//! How a bus and a subscription are made.

use std::time::Duration;

use napi_derive::napi;
use reqbus_core::bus::{BusOptions, Filter, Overflow, Start, SubscribeOptions};
use reqbus_core::{Error, ErrorKind};

use crate::whole::{Whole, to_duration, to_size, to_u32};

/// Options of a bus; what is left out has the library's default.
#[napi(object, object_to_js = false)]
#[derive(Default)]
pub struct NativeBusOptions {
    /// Most events that the log keeps.
    pub log_events: Option<Whole>,
    /// Most bytes that the log keeps.
    pub log_bytes: Option<Whole>,
    /// Oldest event that a resume may get, in milliseconds.
    pub resume_age_ms: Option<f64>,
    /// Whether readers may resume.
    pub resume: Option<bool>,
}

impl NativeBusOptions {
    pub(crate) fn to_core(&self) -> Result<BusOptions, Error> {
        let mut options = BusOptions::default();
        if let Some(events) = &self.log_events {
            options.log_events = to_size(events, "log_events")?;
        }
        if let Some(bytes) = &self.log_bytes {
            options.log_bytes = to_size(bytes, "log_bytes")?;
        }
        if let Some(age_ms) = self.resume_age_ms {
            options.resume_age = to_duration(age_ms, "resume_age")?;
        }
        options.resume = self.resume.unwrap_or(options.resume);
        Ok(options)
    }
}

/// Options of a subscription; what is left out has the library's default.
#[napi(object, object_to_js = false)]
#[derive(Default)]
pub struct NativeSubscribeOptions {
    /// Keys of the filter.
    pub keys: Option<Vec<String>>,
    /// Kinds of the filter.
    pub kinds: Option<Vec<String>>,
    /// `live`, `oldest`; beside `after` it is not looked at.
    pub start: Option<String>,
    /// The id to resume after.
    pub after: Option<String>,
    /// The policy's name.
    pub overflow: Option<String>,
    /// Events of the queue or of the window.
    pub capacity: Option<Whole>,
    /// Bytes of the queue.
    pub capacity_bytes: Option<Whole>,
    /// A name for listings.
    pub label: Option<String>,
    /// A process id for listings.
    pub pid: Option<Whole>,
    /// The audience to join.
    pub audience: Option<String>,
    /// Longest wait while the audience is being cleaned up.
    pub audience_wait_ms: Option<f64>,
}

fn refused(context: &'static str, why: &'static str) -> Error {
    Error::fixed(ErrorKind::InvalidArgument, context, why)
}

impl NativeSubscribeOptions {
    /// The options of the core, borrowed from these.
    pub(crate) fn to_core(&self) -> Result<SubscribeOptions<'_>, Error> {
        let start = match (&self.after, self.start.as_deref()) {
            (Some(after), _) => Start::After(after.as_bytes()),
            (None, None | Some("live")) => Start::Live,
            (None, Some("oldest")) => Start::Oldest,
            (None, Some(_)) => return Err(refused("start", "it is neither live nor oldest")),
        };
        let default = SubscribeOptions::default();
        Ok(SubscribeOptions {
            filter: Filter::new(&texts(&self.keys), &texts(&self.kinds))?,
            start,
            overflow: self.overflow()?,
            label: self.label.as_deref().unwrap_or_default(),
            pid: match &self.pid {
                Some(pid) => to_u32(pid, "pid")?,
                None => 0,
            },
            audience: self.audience.as_deref(),
            audience_wait: match self.audience_wait_ms {
                Some(wait_ms) => to_duration(wait_ms, "audience_wait")?,
                None => default.audience_wait,
            },
            linger: Duration::ZERO,
        })
    }

    fn overflow(&self) -> Result<Overflow, Error> {
        let size = |value: &Option<Whole>, context, default| match value {
            Some(value) => to_size(value, context),
            None => Ok(default),
        };
        let name = self.overflow.as_deref().unwrap_or("drop_newest");
        if self.capacity_bytes.is_some() && name != "drop_newest" {
            return Err(refused(
                "capacity_bytes",
                "only drop_newest has a queue of its own",
            ));
        }
        match name {
            "drop_newest" => Ok(Overflow::DropNewest {
                events: size(&self.capacity, "capacity", 64)?,
                bytes: size(&self.capacity_bytes, "capacity_bytes", 1 << 20)?,
            }),
            "drop_oldest" => Ok(Overflow::DropOldest {
                events: size(&self.capacity, "capacity", 256)?,
            }),
            "catch_up" if self.capacity.is_some() => Err(refused(
                "capacity",
                "catch_up has none: its reader may lag by the whole log",
            )),
            "catch_up" => Ok(Overflow::CatchUp),
            _ => Err(refused(
                "overflow",
                "it is none of drop_newest, drop_oldest and catch_up",
            )),
        }
    }
}

fn texts(names: &Option<Vec<String>>) -> Vec<&str> {
    names.iter().flatten().map(String::as_str).collect()
}
