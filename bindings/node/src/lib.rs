//! reqbus for Node: the extension behind `bindings/node/lib`.
//!
//! It translates, and holds no logic. What JavaScript users see are the classes of `lib/`, which give these handles
//! their words; `index.d.ts` describes them.
//!
//! * No callback runs on a Rust thread. One [`looping::NativeLoop`] per environment has the one bell on which every
//!   subscription, wait and watched slot of that environment rings. A ring from another thread calls one weak
//!   thread-safe function; a ring from within a call of the environment's own thread only leaves a mark, and the call
//!   drains before it returns.
//! * Numbers come as number or BigInt and are checked here; 64-bit values go out as BigInt.
//! * An error goes out as kind, context and sentence in one reason ([`failure`]), which `lib/errors.js` takes apart.

#![warn(missing_docs)]
#![allow(
    clippy::too_many_arguments,
    reason = "positional: an object costs a microsecond to cross"
)]

mod admission;
mod asks;
mod backoff;
mod bus;
mod expected;
mod failure;
mod guard;
mod items;
mod join;
mod looping;
mod options;
mod permit;
mod pool;
mod pool_keys;
mod refusal;
mod reply;
mod slot;
mod slot_stats;
mod stats;
mod subscription;
mod teller;
#[cfg(feature = "test-clock")]
mod test_clock;
mod wait;
mod whole;
mod young;
