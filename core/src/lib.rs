//! reqbus-core: what an API or LLM gateway hosts in its own process.
//!
//! * [`Bus`]: each finished request becomes an event; dashboards, loggers and metrics subscribe,
//!   live or resuming after a disconnect. A slow reader never slows a publisher down, and always
//!   learns exactly what it missed.
//! * [`SlotPool`]: at most so many requests in flight per user, account or key; who finds no room waits
//!   its turn in a bounded queue, and gets its slot the moment one is given back.
//!
//! The rooms, from the ground up (a room imports only from lower floors):
//!
//! | floor | room | what it holds |
//! |---|---|---|
//! | 1 | `sync`, [`time`], [`error`], [`fork`] | locks and atomics with their loom faces, clocks, errors, the at-fork generation |
//! | 2 | [`event`], [`bell`] | the immutable event and its ids; readiness |
//! | 3 | [`wire`] | JSON, SSE frames, NDJSON, made once per event |
//! | 4 | [`bus`] | log, filters, fan-out, resume, batches, subscriptions, audiences, statuses |
//! | 4 | [`slots`] | keys, limits, waits, slots, load, backoff, and the stores behind them |
//! | 5 | [`runner`] | what is due, who may be checked, threads that check |
//! | 6 | [`told`] | what pools and runners tell on a bus |
//!
//! Nothing here spawns a thread before a feature needs one, reads an environment variable, installs
//! a signal handler or prints. The one global effect is an at-fork handler ([`fork`]).

pub mod bell;
pub mod bus;
pub mod error;
pub mod event;
pub mod fork;
mod guarded;
mod random;
pub mod runner;
pub mod slots;
pub(crate) mod sync;
mod threads;
pub mod time;
pub mod told;
pub mod wire;

pub use bell::Bell;
pub use bus::{Batch, Bus, Item, Subscription};
pub use error::{Error, ErrorKind};
pub use event::{Event, EventId, NewEvent, RequestEvent};
pub use slots::{Slot, SlotPool, Wait};
pub use told::Teller;

/// The Rust snippets of the README and the guide run as tests of this crate.
#[cfg(doctest)]
mod documents {
    #[doc = include_str!("../../README.md")]
    struct Readme;
    #[doc = include_str!("../../docs/guide.md")]
    struct Guide;
}
