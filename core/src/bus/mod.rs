//! The bus: one order of events, any number of readers, exact loss.
//!
//! What is promised (the numbers are the ones that tests carry in their names):
//!
//! * **B1** publish waits for nothing but the log's lock, and never fails because of a reader.
//! * **B2** at any quiet moment, for each subscription: matched = delivered + lost + pending + abandoned.
//! * **B3** all subscriptions see one order; a resumed one gets each event once, or is told the hole.
//! * **B4** every resume id has one answer: the events after it, or a resync with its reason.
//! * **B5** close is idempotent, wakes sleepers and fixes the end that readers read up to.
//! * **B6** an audience has one *first* and one *last*, and a guarded cleanup.
//! * **B7** loss is decided before a position moves.
//! * **B8** memory is bounded by the log's bytes and the channels of drop-newest readers.
//! * **B9** heartbeats carry the settled id.
//! * **B10** statuses are latest values, apart from events.
//!
//! How an event travels: `publish` builds it outside the lock, [`log`] orders it and collects who is
//! armed, [`fanout`] copies it to the channels of drop-newest readers, [`read`] moves it into batches.
//!
//! Lock order: registry → reader (one subscription's position) → shard (fan-out) → log. The log's lock
//! is held for a few dozen nanoseconds, and across no allocation, free, wake or user code.

mod audience;
mod batch;
#[allow(clippy::module_inception)]
mod bus;
mod consumer;
mod fanout;
mod filling;
mod filter;
mod group;
mod guard;
mod index;
mod item;
mod join;
mod kinds;
mod log;
#[cfg(all(test, loom))]
mod loom_tests;
mod options;
mod outlet;
mod publish;
mod read;
mod read_queue;
mod reader;
mod resume;
mod ring;
mod row;
mod stats;
mod status;
mod stream;
mod subscribe;
mod subscription;
mod texts;
mod wait;

pub use batch::{Batch, Texts};
pub use bus::Bus;
pub use consumer::Consumer;
pub use filter::Filter;
pub use guard::CleanupGuard;
pub use item::{Item, LostReason, OwnedItem, ResyncReason};
pub use join::Join;
pub use kinds::Kind;
pub use options::{BusOptions, Limits, Overflow, Start, SubscribeOptions};
pub use stats::{BusStats, SubscriptionStats};
pub use stream::Items;
pub use subscription::{Closed, Subscription};
pub use wait::Recv;
