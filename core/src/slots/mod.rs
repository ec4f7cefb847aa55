//! Slots: at most so many requests in flight per user, account or key; who finds no room waits its turn.
//!
//! What is promised (each has its test, found by its letter and number):
//!
//! * **S1** in use never passes the limit, but while a lowered limit drains, and the count is that of a set of holders;
//! * **S2** each grant is given back exactly once, whatever cancels, drops, panics or races;
//! * **S3** first come, first served per key: who releases hands over, and no newcomer overtakes;
//! * **S4** a closed set of outcomes, and a refusal that says which scope refused and how it stood;
//! * **S5** a ping is reported as due, never written here;
//! * **S6** several keys: all or none, in one order;
//! * **S7** [`Backoff`];
//! * **S8** load of many keys in one call, holders by age and label, force;
//! * **S9** idle keys are forgotten, their counters kept by scope;
//! * **S10** a slot can be lost, and is told so once;
//! * **S11** a slot that was collected without a release is released and counted.
//!
//! How: [`SlotPool`] checks and tries; what has to wait is a state machine (`wait_core`) before a seam (`store`), behind
//! which holders and queues live: `store/memory` for one process. `agenda` holds all timers of a pool behind one.

mod agenda;
mod ask;
mod backoff;
mod held_long;
mod histogram;
mod key;
mod leak;
mod limit;
mod load;
#[cfg(all(test, loom))]
mod loom_tests;
mod lost_reason;
mod observer;
mod options;
mod outcome;
mod pool;
mod pool_keys;
mod pool_waits;
mod rank;
mod released;
mod reply;
mod shared;
mod slot;
mod stats;
mod step;
mod store;
mod ticket;
mod undo;
mod wait;
mod wait_core;

pub use ask::{Ask, MAX_KEYS};
pub use backoff::Backoff;
pub use key::{Key, MAX_NAME, OwnedKey};
pub use leak::Leak;
pub use limit::Limit;
pub use load::{Holder, HolderId, Load};
pub use lost_reason::LostReason;
pub use observer::{PoolEvent, PoolEventKind, PoolObserver};
pub use options::{PoolOptions, Sink, WaitOptions};
pub use outcome::{Outcome, Refusal};
pub use pool::SlotPool;
pub use rank::Ranks;
pub use released::Released;
pub use reply::Reply;
pub use slot::Slot;
pub use stats::{Counters, KeyStats, ScopeStats, WaitTimes};
pub use step::Step;
#[cfg(any(test, feature = "test-clock"))]
pub use store::fault::{Fault, FaultOptions};
pub use wait::Wait;
