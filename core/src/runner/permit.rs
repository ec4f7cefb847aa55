//! The right to check one item.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::admission::AdmissionCore;

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// The item is well.
    Succeeded,
    /// It is not, or could not be checked.
    Failed,
    /// The check itself broke down: it panicked, or threw.
    Panicked,
}

impl Verdict {
    /// The stable name, in snake case, the same in every language.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Panicked => "panicked",
        }
    }
}

/// The right to check one item, and its mark as being checked. Both end with it: dropped without a verdict, the check
/// counts as panicked. Any thread may hold it.
#[must_use = "a permit that is dropped counts as a check that panicked"]
pub struct Permit {
    core: Arc<AdmissionCore>,
    id: Arc<str>,
    number: u64,
    stuck_from_ns: u64,
    is_done: bool,
}

impl Permit {
    pub(super) fn new(
        core: &Arc<AdmissionCore>,
        id: Arc<str>,
        number: u64,
        stuck_from_ns: u64,
    ) -> Self {
        Self {
            core: core.clone(),
            id,
            number,
            stuck_from_ns,
            is_done: false,
        }
    }

    /// What is to be checked.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    pub(super) fn shared_id(&self) -> &Arc<str> {
        &self.id
    }

    /// How much time the check has left; zero when it is over its time.
    #[must_use]
    pub fn time_left(&self) -> Duration {
        let now_ns = self.core.clock().now_ns();
        Duration::from_nanos(self.stuck_from_ns.saturating_sub(now_ns))
    }

    /// Whether the check is to end: it is over its time, or the runner is being stopped. One read of the clock.
    #[must_use]
    pub fn should_end(&self) -> bool {
        self.core.is_stopped() || self.time_left().is_zero()
    }

    /// Gives the permit back, with a verdict.
    pub fn finish(mut self, verdict: Verdict) {
        self.give_back(verdict);
    }

    fn give_back(&mut self, verdict: Verdict) {
        if !std::mem::replace(&mut self.is_done, true) {
            self.core.give_back(&self.id, self.number, verdict);
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.give_back(Verdict::Panicked);
    }
}

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit")
            .field("id", &self.id)
            .field("time_left", &self.time_left())
            .finish_non_exhaustive()
    }
}
