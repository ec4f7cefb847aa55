//! The line between a pool and the store of tests.

use std::sync::Arc;
use std::time::Duration;

use crate::random::next_random;
use crate::slots::agenda::{Class, Due, Entry};
use crate::slots::shared::Shared;
use crate::sync::{AtomicBool, Mutex, Ordering};
use crate::time::nanos;

/// How bad the line is. Chances are out of 1,000.
#[derive(Clone, Debug, Default)]
pub struct FaultOptions {
    /// What is drawn is drawn from this: the same seed and the same calls, the same faults.
    pub seed: u64,
    /// A message takes up to this long, drawn for each, so that one overtakes another.
    pub latest: Duration,
    /// A message is lost.
    pub lost: u32,
    /// A message comes twice.
    pub doubled: u32,
    /// A lease is lost, within 10 s.
    pub lost_lease: u32,
    /// Down and up, by the test.
    pub fault: Fault,
}

/// Whether the store is down: a clone is the same switch.
#[derive(Clone, Debug, Default)]
pub struct Fault(Arc<AtomicBool>);

impl Fault {
    /// From now on the store refuses half of the commands as unavailable and does not hear the others.
    pub fn go_down(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// The end of that. What was not heard stays unheard.
    pub fn come_back(&self) {
        self.0.store(false, Ordering::Relaxed);
    }

    fn is_down(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// A lease that is lost is lost within this.
const LEASE: Duration = Duration::from_secs(10);

/// The line.
pub(super) struct Line {
    shared: Arc<Shared>,
    options: FaultOptions,
    random: Mutex<u64>,
}

/// On its way.
struct Message(Box<dyn Fn() + Send + Sync>);

impl Due for Message {
    fn fire(self: Arc<Self>, _entry: Entry) {
        (self.0)();
    }
}

impl Line {
    pub(super) fn new(shared: &Arc<Shared>, options: &FaultOptions) -> Self {
        Self {
            shared: shared.clone(),
            random: Mutex::new(options.seed),
            options: options.clone(),
        }
    }

    fn draw(&self) -> u64 {
        next_random(&mut self.random.lock())
    }

    fn happens(&self, chance: u32) -> bool {
        self.draw() % 1_000 < u64::from(chance)
    }

    fn up_to(&self, longest: Duration) -> Duration {
        let nanos = nanos(longest);
        Duration::from_nanos(self.draw() % nanos.saturating_add(1).max(1))
    }

    pub(super) fn is_down(&self) -> bool {
        self.options.fault.is_down()
    }

    /// Whether the store is down and says so.
    pub(super) fn refuses(&self) -> bool {
        self.is_down() && self.happens(500)
    }

    /// After how long a new lease is lost, if it is.
    pub(super) fn loses_lease(&self) -> Option<Duration> {
        self.happens(self.options.lost_lease)
            .then(|| self.up_to(LEASE))
    }

    /// Sends a message: late, twice, or not at all.
    pub(super) fn send(&self, deliver: impl Fn() + Send + Sync + 'static) {
        if self.is_down() || self.happens(self.options.lost) {
            return;
        }
        let message = Arc::new(Message(Box::new(deliver)));
        if self.happens(self.options.doubled) {
            self.put(self.up_to(self.options.latest), message.clone());
        }
        self.put(self.up_to(self.options.latest), message);
        self.arm();
    }

    /// What is never lost: it is sent again until it arrives.
    pub(super) fn later(&self, after: Duration, deliver: impl Fn() + Send + Sync + 'static) {
        self.put(after, Arc::new(Message(Box::new(deliver))));
        self.arm();
    }

    /// A delay of the line, and while the store is down one after which to try again.
    pub(super) fn delay(&self) -> Duration {
        let down = if self.is_down() {
            Duration::from_millis(500)
        } else {
            Duration::ZERO
        };
        down + self.up_to(self.options.latest)
    }

    fn put(&self, after: Duration, message: Arc<Message>) {
        let at_ns = self.shared.clock.deadline_after(after);
        self.shared.agenda.add(at_ns, Class::Delivery, message);
    }

    fn arm(&self) {
        // Without a thread for timers a test sees its messages lost.
        let _ = self.shared.agenda.arm();
    }
}
