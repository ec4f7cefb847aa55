//! Who hears how checks end.

use std::time::Duration;

use super::permit::Verdict;

/// Hears of each check that ended ([`super::RunnerOptions::observer`]).
///
/// Called when its permit comes back, on the thread that gives it back, under no lock: two threads may be in it at once.
/// It must not block for long.
pub trait CheckObserver: Send + Sync {
    /// A check has ended.
    fn check_finished(&self, check: &FinishedCheck<'_>);
}

/// A check that has ended.
#[derive(Clone, Copy, Debug)]
pub struct FinishedCheck<'a> {
    /// What was checked.
    pub id: &'a str,
    /// How it ended.
    pub verdict: Verdict,
    /// How long it took.
    pub took: Duration,
    /// Whether it took longer than it may, and was counted as stuck meanwhile.
    pub was_stuck: bool,
}
