//! What the tests of the bus share, and in [`slots`] those of slots. No test is in here.

#![allow(dead_code)] // each test binary uses a part of it

pub mod slots;

use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use reqbus_core::bus::{
    Batch, Bus, BusOptions, Filter, Item, Limits, LostReason, Overflow, ResyncReason, Start,
    SubscribeOptions, SubscriptionStats,
};
use reqbus_core::time::{Clock, ClockDriver};
use reqbus_core::{ErrorKind, EventId, NewEvent, Subscription};

/// The three policies with their defaults.
pub const POLICIES: [Overflow; 3] = [
    Overflow::DropNewest {
        events: 64,
        bytes: 1 << 20,
    },
    Overflow::DropOldest { events: 256 },
    Overflow::CatchUp,
];

/// The three policies, so small that they overflow at once.
pub const SMALL: [Overflow; 3] = [
    Overflow::DropNewest {
        events: 4,
        bytes: 1 << 20,
    },
    Overflow::DropOldest { events: 4 },
    Overflow::CatchUp,
];

/// As much as there is.
pub const ALL: Limits = Limits {
    max_items: usize::MAX,
    max_bytes: usize::MAX,
};

/// A bus with these options.
pub fn bus(options: BusOptions) -> Bus {
    Bus::new(options).unwrap()
}

/// A bus with the default options.
pub fn plain_bus() -> Bus {
    bus(BusOptions::default())
}

/// A live subscription to everything.
pub fn subscribe(bus: &Bus, overflow: Overflow) -> Subscription {
    bus.subscribe(SubscribeOptions {
        overflow,
        ..SubscribeOptions::default()
    })
    .unwrap()
}

/// A subscription to everything after the event with this id.
pub fn resume(bus: &Bus, overflow: Overflow, after: &str) -> Subscription {
    bus.subscribe(SubscribeOptions {
        overflow,
        start: Start::After(after.as_bytes()),
        ..SubscribeOptions::default()
    })
    .unwrap()
}

/// A subscription that is a member of `audience`.
pub fn member(bus: &Bus, audience: &str, wait: Duration) -> Result<Subscription, ErrorKind> {
    bus.subscribe(SubscribeOptions {
        audience: Some(audience),
        audience_wait: wait,
        ..SubscribeOptions::default()
    })
    .map_err(|error| error.kind())
}

/// Publishes one small event and returns its seq.
pub fn publish(bus: &Bus) -> u64 {
    bus.publish(NewEvent::text("k", "x")).unwrap().seq
}

/// Publishes that many small events.
pub fn publish_n(bus: &Bus, count: usize) {
    for _ in 0..count {
        publish(bus);
    }
}

/// A filter by kinds.
pub fn kinds(kinds: &[&str]) -> Filter {
    Filter::new(&[], kinds).unwrap()
}

/// A filter by keys.
pub fn keys(keys: &[&str]) -> Filter {
    Filter::new(keys, &[]).unwrap()
}

/// One item of a batch, without references.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Got {
    Event { seq: u64, n: u64 },
    Lost(u64, LostReason, u64),
    Resync(ResyncReason, EventId),
    Status(String, String, String),
}

impl Got {
    pub fn of(item: Item<'_>) -> Self {
        match item {
            Item::Event { event, n } => Self::Event {
                seq: event.id().seq,
                n,
            },
            Item::Lost {
                missed,
                reason,
                next_n,
            } => Self::Lost(missed, reason, next_n),
            Item::Resync { reason, head } => Self::Resync(reason, head),
            Item::Status {
                source,
                state,
                detail,
            } => Self::Status(source.into(), state.into(), detail.into()),
        }
    }

    /// The seq of an event.
    pub fn seq(&self) -> Option<u64> {
        match self {
            Self::Event { seq, .. } => Some(*seq),
            _ => None,
        }
    }
}

/// The items of a batch.
pub fn items(batch: &Batch) -> Vec<Got> {
    batch.iter().map(Got::of).collect()
}

/// Everything that is there, read with these limits. Ends at "nothing" or at the end.
pub fn drain_with(sub: &Subscription, limits: Limits) -> Vec<Got> {
    let mut batch = Batch::new();
    let mut all = Vec::new();
    loop {
        match sub.try_recv(&mut batch, limits) {
            Ok(0) => return all,
            Ok(_) => all.extend(items(&batch)),
            Err(error) if error.kind() == ErrorKind::Closed => return all,
            Err(error) => panic!("{error}"),
        }
    }
}

/// Everything that is there.
pub fn drain(sub: &Subscription) -> Vec<Got> {
    drain_with(sub, ALL)
}

/// The seqs of everything that is there; nothing else may be.
pub fn seqs(sub: &Subscription) -> Vec<u64> {
    let all = drain(sub);
    let seqs: Vec<_> = all.iter().filter_map(Got::seq).collect();
    assert_eq!(seqs.len(), all.len(), "only events: {all:?}");
    seqs
}

/// B2, for an account taken at a quiet moment.
#[track_caller]
pub fn assert_adds_up(stats: &SubscriptionStats) {
    assert_eq!(
        stats.matched,
        stats.delivered + stats.lost() + stats.pending + stats.abandoned,
        "B2: {stats:?}"
    );
}

/// What one reader was told, checked as it comes (B3).
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    /// The newest seq that it was given.
    pub last_seq: u64,
    /// `n` up to which it was told.
    pub told: u64,
    /// Events that it was given.
    pub events: u64,
    /// Told losses, by reason.
    pub lost: [u64; 3],
    /// How many resyncs.
    pub resyncs: u64,
    /// The settled id of its last batch.
    pub settled: u64,
}

impl Ledger {
    /// Takes what a read brought.
    #[track_caller]
    pub fn take(&mut self, batch: &Batch) {
        for item in batch.iter() {
            self.take_item(&Got::of(item));
        }
        let settled = batch.settled().seq;
        assert!(settled >= self.settled, "B9: settled moves back");
        assert!(settled >= self.last_seq, "B9: settled is behind an event");
        self.settled = settled;
    }

    /// Takes one item.
    #[track_caller]
    pub fn take_item(&mut self, item: &Got) {
        match item {
            Got::Event { seq, n } => {
                assert!(*seq > self.last_seq, "B3: {seq} after {}", self.last_seq);
                assert_eq!(*n, self.told + 1, "B3: n has a hole that was not told");
                self.last_seq = *seq;
                self.told = *n;
                self.events += 1;
            }
            Got::Lost(missed, reason, next_n) => {
                assert!(*missed > 0, "B3: a loss of nothing");
                self.told += missed;
                assert_eq!(*next_n, self.told + 1, "B3: next_n");
                self.lost[*reason as usize] += missed;
            }
            Got::Resync(_, head) => {
                assert_eq!((self.told, self.resyncs), (0, 0), "B4: a late resync");
                self.resyncs += 1;
                self.last_seq = head.seq;
            }
            Got::Status(..) => {}
        }
    }

    /// Against the account of a reader that has read everything.
    #[track_caller]
    pub fn assert_matches(&self, stats: &SubscriptionStats) {
        assert_adds_up(stats);
        assert_eq!(stats.delivered, self.events, "{stats:?}");
        let lost = [stats.lost_full, stats.lost_window, stats.lost_evicted];
        assert_eq!(lost, self.lost, "B3: told losses equal counted ones");
        assert_eq!(stats.pending, 0, "{stats:?}");
        assert_eq!(stats.matched, self.told);
        assert_eq!(stats.resyncs, self.resyncs);
    }
}

/// Ends the process if a test hangs: a missed wake is then a failure, not a build that never ends.
pub struct Watchdog {
    done: Arc<(Mutex<bool>, Condvar)>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Watchdog {
    pub fn new(name: &'static str) -> Self {
        let done = Arc::new((Mutex::new(false), Condvar::new()));
        let theirs = done.clone();
        let thread = std::thread::spawn(move || {
            let (done, changed) = &*theirs;
            let limit = Duration::from_secs(120 * stress());
            let (done, _) = changed
                .wait_timeout_while(done.lock().unwrap(), limit, |done| !*done)
                .unwrap();
            if !*done {
                eprintln!("{name}: still running after {limit:?}; a wake was missed, or worse");
                std::process::abort();
            }
        });
        Self {
            done,
            thread: Some(thread),
        }
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        *self.done.0.lock().unwrap() = true;
        self.done.1.notify_all();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// How much longer than usual to run: `REQBUS_STRESS`, 1 by default.
pub fn stress() -> u64 {
    let asked = std::env::var("REQBUS_STRESS").ok();
    asked.and_then(|n| n.parse().ok()).unwrap_or(1).max(1)
}

/// A flag that threads look at.
#[derive(Clone, Default)]
pub struct Flag(Arc<AtomicBool>);

impl Flag {
    pub fn set(&self) {
        self.0.store(true, Ordering::Release);
    }

    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// Waits, without a time limit of its own, until `so`.
pub fn until(so: impl Fn() -> bool) {
    while !so() {
        std::thread::yield_now();
    }
}

/// The text of the id with this seq.
pub fn id(bus: &Bus, seq: u64) -> String {
    format!("{:016x}-{seq}", bus.epoch())
}

/// A bus on a clock that the test drives.
pub fn driven(options: BusOptions) -> (Bus, ClockDriver) {
    let (clock, driver) = Clock::driven();
    (bus(BusOptions { clock, ..options }), driver)
}

/// Subscribes from the oldest event that is kept.
pub fn oldest(bus: &Bus, overflow: Overflow) -> Subscription {
    bus.subscribe(SubscribeOptions {
        start: Start::Oldest,
        overflow,
        ..SubscribeOptions::default()
    })
    .unwrap()
}

/// Runs one future on each runtime.
pub fn everywhere<F: Future<Output = ()>>(test: impl Fn() -> F) {
    let one = tokio::runtime::Builder::new_current_thread();
    let several = tokio::runtime::Builder::new_multi_thread();
    for mut builder in [one, several] {
        let runtime = builder.enable_all().worker_threads(2).build().unwrap();
        runtime.block_on(test());
    }
    smol::block_on(test());
}
