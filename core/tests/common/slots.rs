//! What the tests of slots share.

use std::time::Duration;

use reqbus_core::slots::{
    Ask, Key, KeyStats, Limit, Load, Outcome, PoolOptions, Refusal, Slot, SlotPool, Step, Wait,
    WaitOptions,
};
use reqbus_core::time::{Clock, ClockDriver};

/// Seconds.
pub const fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Milliseconds.
pub const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// A pool on a clock that the test drives.
pub fn pool() -> (SlotPool, ClockDriver) {
    pool_with(PoolOptions::default())
}

/// The same with further options.
pub fn pool_with(options: PoolOptions) -> (SlotPool, ClockDriver) {
    let (clock, driver) = Clock::driven();
    let options = PoolOptions { clock, ..options };
    (SlotPool::new(options).unwrap(), driver)
}

/// A pool on the system's clock.
pub fn system_pool() -> SlotPool {
    SlotPool::new(PoolOptions::default()).unwrap()
}

/// Asks for one key of scope `user`.
pub fn user(id: &str, limit: u32) -> [Ask<'_>; 1] {
    [Ask::new("user", id, Limit::Of(limit))]
}

/// A wait that nothing ends but its slot.
pub fn patient() -> WaitOptions<'static> {
    WaitOptions {
        timeout: s(3_600),
        max_waiting: u32::MAX,
        ping_every: None,
        ..WaitOptions::default()
    }
}

/// How one key stands.
pub fn load(pool: &SlotPool, scope: &str, id: &str) -> Load {
    pool.load(&[Key::new(scope, id)]).wait(None).unwrap()[0]
}

/// In use and waiting of one key.
pub fn stands(pool: &SlotPool, scope: &str, id: &str) -> (u32, u32) {
    let load = load(pool, scope, id);
    (load.in_use, load.waiting)
}

/// What was counted for one key.
pub fn stats(pool: &SlotPool, scope: &str, id: &str) -> KeyStats {
    pool.key_stats(Key::new(scope, id)).unwrap()
}

/// The slot of a wait that has one.
#[track_caller]
pub fn granted(wait: &Wait) -> Slot {
    match wait.try_next() {
        Some(Step::Granted(slot)) => slot,
        other => panic!("not granted: {other:?}"),
    }
}

/// The refusal of a wait that has ended.
#[track_caller]
pub fn ended(wait: &Wait) -> Refusal {
    match wait.try_next() {
        Some(Step::Ended(refusal)) => refusal,
        other => panic!("not ended: {other:?}"),
    }
}

/// How a wait that has ended did.
#[track_caller]
pub fn outcome(wait: &Wait) -> Outcome {
    ended(wait).outcome()
}
