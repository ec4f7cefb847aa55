//! What a runner has counted.

/// What a runner has counted, since its beginning. Never reset.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RunnerStats {
    /// Rounds.
    pub rounds: u64,
    /// Rounds in which the host could not say what is due.
    pub failed_rounds: u64,
    /// Rounds that were passed over because the runner was paused.
    pub paused_rounds: u64,
    /// Checks that were begun.
    pub run: u64,
    /// Checks that ended well.
    pub succeeded: u64,
    /// Checks that failed.
    pub failed: u64,
    /// Checks that panicked, threw, or whose permit was dropped without a verdict.
    pub panicked: u64,
    /// Checks that were over their time. They are counted by their end, too.
    pub stuck: u64,
    /// Due items that were still being checked.
    pub skipped_busy: u64,
    /// Due items that found no room.
    pub skipped_full: u64,
    /// Checks that were begun more than a round after they were due.
    pub late: u64,
}
