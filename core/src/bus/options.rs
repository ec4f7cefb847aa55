//! What hosts choose.

use std::time::Duration;

use super::filter::Filter;
use crate::error::{Error, ErrorKind, Result};
use crate::event::check_label;
use crate::time::Clock;

/// How a bus is made.
#[derive(Clone, Debug)]
pub struct BusOptions {
    /// Most events that the log keeps, 1 to 1,048,576. Default 2,000.
    pub log_events: usize,
    /// Most bytes that the log keeps, blocks and made texts, 64 KiB to 16 GiB. Default 8 MiB. The
    /// newest event is kept whatever its size.
    pub log_bytes: usize,
    /// Oldest event that a *resume* may still get. Readers that are attached are not bound by it.
    /// Default 30 s.
    pub resume_age: Duration,
    /// Whether readers may resume by id. `false`: an id that could be resumed from is answered with a resync
    /// (`expired`) too, and the log keeps only what attached readers have yet to read. Default `true`.
    pub resume: bool,
    /// Where time comes from.
    pub clock: Clock,
}

impl Default for BusOptions {
    fn default() -> Self {
        Self {
            log_events: 2_000,
            log_bytes: 8 << 20,
            resume_age: Duration::from_secs(30),
            resume: true,
            clock: Clock::system(),
        }
    }
}

pub(super) const MAX_LOG_EVENTS: usize = 1 << 20;
pub(super) const MIN_LOG_BYTES: usize = 64 << 10;
pub(super) const MAX_LOG_BYTES: usize = 16 << 30;
pub(super) const MAX_CAPACITY: usize = 1 << 16;

fn in_range(field: &'static str, value: usize, low: usize, high: usize) -> Result<()> {
    if (low..=high).contains(&value) {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::InvalidArgument,
        field,
        format!("{field} is {value}; it must be {low} to {high}"),
    ))
}

impl BusOptions {
    pub(super) fn check(&self) -> Result<()> {
        in_range("log_events", self.log_events, 1, MAX_LOG_EVENTS)?;
        in_range("log_bytes", self.log_bytes, MIN_LOG_BYTES, MAX_LOG_BYTES)
    }
}

/// Where a subscription begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Start<'a> {
    /// After the newest event.
    #[default]
    Live,
    /// At the oldest event that a resume could still get.
    Oldest,
    /// After the event with this id, given as text and as it came from outside. What is no id, or an
    /// id that cannot be resumed from, is answered with a resync, never with an error.
    After(&'a [u8]),
}

/// What happens when a reader is slow. Whatever it is, the publisher does not wait, and the reader is told
/// exactly what it missed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overflow {
    /// The reader has a queue of its own; when it is full, new events are lost for this reader
    /// (reason `full`). It keeps its old events even when the log has let go of them.
    DropNewest {
        /// Most events in the queue, 1 to 65,536.
        events: usize,
        /// Most bytes of event blocks in the queue, 1 or more; an event that is larger is taken when
        /// the queue is empty.
        bytes: usize,
    },
    /// The reader may lag by this many matching events; the oldest beyond are lost (reason `window`).
    DropOldest {
        /// 1 to 65,536.
        events: usize,
    },
    /// The reader may lag by the whole log; what the log lets go of is lost (reason `evicted`).
    CatchUp,
}

impl Default for Overflow {
    fn default() -> Self {
        Self::DropNewest {
            events: 64,
            bytes: 1 << 20,
        }
    }
}

impl Overflow {
    /// Drop-oldest with its default of 256 events.
    #[must_use]
    pub const fn drop_oldest() -> Self {
        Self::DropOldest { events: 256 }
    }

    /// The name of the policy in listings: `drop_newest`, `drop_oldest` or `catch_up`.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::DropNewest { .. } => "drop_newest",
            Self::DropOldest { .. } => "drop_oldest",
            Self::CatchUp => "catch_up",
        }
    }

    fn check(&self) -> Result<()> {
        match *self {
            Self::DropNewest { events, bytes } => {
                in_range("capacity", events, 1, MAX_CAPACITY)?;
                in_range("capacity_bytes", bytes, 1, MAX_LOG_BYTES)
            }
            Self::DropOldest { events } => in_range("capacity", events, 1, MAX_CAPACITY),
            Self::CatchUp => Ok(()),
        }
    }
}

/// How a subscription is made.
#[derive(Clone, Debug)]
pub struct SubscribeOptions<'a> {
    /// Which events match. Default: all.
    pub filter: Filter,
    /// Where to begin. Default: live.
    pub start: Start<'a>,
    /// What happens when the reader is slow. Default: drop newest, 64 events, 1 MiB.
    pub overflow: Overflow,
    /// A name for listings, 0 to 255 bytes.
    pub label: &'a str,
    /// A process id for listings, as the host knows it; 0 when it does not. Not verified.
    pub pid: u32,
    /// The audience to join, 1 to 255 bytes.
    pub audience: Option<&'a str>,
    /// Longest wait while the audience is being cleaned up. Default 5 s; zero does not wait.
    pub audience_wait: Duration,
    /// How long a *blocking* wait lets a burst gather after its first event. Default 0. Asynchronous
    /// hosts do it on their own timers.
    pub linger: Duration,
}

impl Default for SubscribeOptions<'_> {
    fn default() -> Self {
        Self {
            filter: Filter::all(),
            start: Start::Live,
            overflow: Overflow::default(),
            label: "",
            pid: 0,
            audience: None,
            audience_wait: Duration::from_secs(5),
            linger: Duration::ZERO,
        }
    }
}

impl SubscribeOptions<'_> {
    pub(super) fn check(&self) -> Result<()> {
        self.overflow.check()?;
        check_label("label", self.label)?;
        match self.audience {
            Some("") => Err(Error::fixed(
                ErrorKind::InvalidArgument,
                "audience",
                "audience is empty",
            )),
            Some(name) => check_label("audience", name),
            None => Ok(()),
        }
    }
}

/// How much one read may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Most items, 1 or more. Default 256.
    pub max_items: usize,
    /// Most bytes of events (payload, kind, key and a header of some 150 bytes each) or, when texts are asked
    /// for, of texts; 1 or more. One event that is larger is still returned, alone. Default 1 MiB.
    pub max_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_items: 256,
            max_bytes: 1 << 20,
        }
    }
}

impl Limits {
    pub(super) fn check(self) -> Result<()> {
        in_range("max_items", self.max_items, 1, usize::MAX)?;
        in_range("max_bytes", self.max_bytes, 1, usize::MAX)
    }
}
