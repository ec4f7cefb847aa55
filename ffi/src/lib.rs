//! libreqbus: the C ABI of reqbus. Reviewers read `include/reqbus.h`, which is generated from here.
//!
//! This crate translates and holds no logic that another binding would have to repeat. A function
//! here checks its pointers, calls `reqbus_core`, and turns the answer into a status:
//!
//! * `panic`: where a panic ends, and what each return type answers to one, and to a NULL handle;
//! * `handle`: opaque handles, their ownership and their fork check;
//! * `sized`: structs that begin with their size;
//! * `slice`: pointer and length pairs;
//! * `failure`: what goes wrong before a status and a [`reqbus_error`] are made of it.
//!
//! Then one file per type of the header, in the header's order.

// A name here is the C name, so that one search finds both.
#![allow(non_camel_case_types)]
// The header's essay states once, for all functions, what a caller must keep to.
#![allow(clippy::missing_safety_doc)]
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::todo,
        clippy::unimplemented,
        clippy::unreachable,
        clippy::indexing_slicing
    )
)]

mod failure;
mod handle;
mod panic;
mod sized;
mod slice;

mod admission;
mod backoff;
mod batch;
mod bell;
mod bus;
mod consumers;
mod error;
mod event;
mod flights;
mod guard;
mod holders;
mod id;
mod item;
mod join;
mod key;
mod load;
mod options;
mod permit;
mod pool;
mod pool_keys;
mod pool_options;
mod publish;
mod refusal;
mod runner;
mod runner_callbacks;
mod runner_options;
mod runner_stats;
mod slot;
mod slot_stats;
mod stats;
mod status;
mod subscription;
mod teller;
#[cfg(feature = "test-clock")]
mod test_clock;
#[cfg(feature = "test-clock")]
mod test_pool;
#[cfg(feature = "test-clock")]
mod test_runner;
mod version;
mod wait;

pub use admission::*;
pub use backoff::*;
pub use batch::*;
pub use bell::*;
pub use bus::*;
pub use consumers::*;
pub use error::*;
pub use event::*;
pub use flights::*;
pub use guard::*;
pub use holders::*;
pub use id::*;
pub use item::*;
pub use join::*;
pub use key::*;
pub use load::*;
pub use options::*;
pub use permit::*;
pub use pool::*;
pub use pool_keys::*;
pub use pool_options::*;
pub use publish::*;
pub use refusal::*;
pub use runner::*;
pub use runner_callbacks::*;
pub use runner_options::*;
pub use runner_stats::*;
pub use slot::*;
pub use slot_stats::*;
pub use stats::*;
pub use status::*;
pub use subscription::*;
pub use teller::*;
#[cfg(feature = "test-clock")]
pub use test_clock::*;
#[cfg(feature = "test-clock")]
pub use test_pool::*;
#[cfg(feature = "test-clock")]
pub use test_runner::*;
pub use version::*;
pub use wait::*;
