//! How a pool is made, and how a wait goes.

use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use super::key::check_len;
use super::leak::Leak;
use super::observer::PoolObserver;
use super::rank::Ranks;
use crate::error::{Error, ErrorKind, Result};
use crate::time::Clock;

/// Where the host hears of what it should look into. Called on whatever thread found it, under no lock; it must not
/// block for long. A panic of it is caught: no call fails by it.
pub type Sink = Arc<dyn Fn(&Leak) + Send + Sync>;

/// How a pool is made.
#[derive(Clone)]
pub struct PoolOptions {
    /// The order in which waits take their scopes.
    pub ranks: Ranks,
    /// Among how many processes a limit is divided (each gets limit ÷ processes, at least 1): for pre-fork workers
    /// without a shared store, each of which makes its own pool. 1 by default.
    pub processes: NonZeroU32,
    /// Hears of slots that were collected without a release.
    pub sink: Option<Sink>,
    /// Hears what happens to waits and slots. None by default.
    pub observer: Option<Arc<dyn PoolObserver>>,
    /// From when on a slot is held for long, if the observer wants to hear of that: 1 ms or more, 10 minutes by default.
    /// The pool looks every tenth of it, at most ten times a second, and has a timer from its beginning to its close.
    pub held_long: Duration,
    /// The clock of deadlines, pings and ages.
    pub clock: Clock,
    /// The store of tests instead of memory.
    #[cfg(any(test, feature = "test-clock"))]
    pub fault: Option<super::FaultOptions>,
}

impl PoolOptions {
    /// From when on a slot is held for long by default.
    pub const HELD_LONG: Duration = Duration::from_secs(600);

    pub(super) fn check(&self) -> Result<()> {
        if self.held_long < Duration::from_millis(1) {
            return Err(Error::fixed(
                ErrorKind::InvalidArgument,
                "held_long",
                "it is below 1 ms; every slot would be held for long",
            ));
        }
        Ok(())
    }
}

impl Default for PoolOptions {
    fn default() -> Self {
        Self {
            ranks: Ranks::default(),
            processes: NonZeroU32::MIN,
            sink: None,
            observer: None,
            held_long: Self::HELD_LONG,
            clock: Clock::system(),
            #[cfg(any(test, feature = "test-clock"))]
            fault: None,
        }
    }
}

impl fmt::Debug for PoolOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PoolOptions")
            .field("ranks", &self.ranks)
            .field("processes", &self.processes)
            .field("sink", &self.sink.is_some())
            .field("observer", &self.observer.is_some())
            .field("held_long", &self.held_long)
            .field("clock", &self.clock)
            .finish_non_exhaustive()
    }
}

/// How a wait goes.
#[derive(Clone, Copy, Debug)]
pub struct WaitOptions<'a> {
    /// What the holder is called in lists: a request id, a path. At most 255 bytes, empty by default.
    pub label: &'a str,
    /// How long to wait at most, over all keys; zero is one try. 30 s by default.
    pub timeout: Duration,
    /// How many may wait for a key when this wait joins its queue, itself not counted; 0 is not to wait. 20 by default.
    pub max_waiting: u32,
    /// After how long a ping is due, and again after the host came back from one. `None`: never. 15 s by default; only
    /// [`super::Wait::next`] and its like report pings.
    pub ping_every: Option<Duration>,
}

impl WaitOptions<'_> {
    /// The longest wait by default.
    pub const TIMEOUT: Duration = Duration::from_secs(30);
    /// How many may wait by default.
    pub const MAX_WAITING: u32 = 20;
    /// How far pings are apart by default.
    pub const PING_EVERY: Duration = Duration::from_secs(15);

    pub(super) fn check(&self) -> Result<()> {
        check_len("label", self.label.len())
    }

    /// Whether it is one try.
    pub(super) fn is_try(&self) -> bool {
        self.timeout.is_zero() || self.max_waiting == 0
    }
}

impl Default for WaitOptions<'_> {
    fn default() -> Self {
        Self {
            label: "",
            timeout: Self::TIMEOUT,
            max_waiting: Self::MAX_WAITING,
            ping_every: Some(Self::PING_EVERY),
        }
    }
}
