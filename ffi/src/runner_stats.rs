//! What an admission or a runner has counted.

use reqbus_core::runner::RunnerStats;

use crate::sized::{defaults, sized_struct};

/// What an admission or a runner has counted since it was made. Never reset. At any moment run = succeeded + failed +
/// panicked + those in flight, and each due item of a round that was not passed over is counted once, in run,
/// skipped_busy or skipped_full.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct reqbus_runner_stats {
    /// sizeof(reqbus_runner_stats), set by the caller.
    pub size: usize,
    /// Rounds.
    pub rounds: u64,
    /// Rounds in which the host could not say what is due.
    pub failed_rounds: u64,
    /// Rounds that were passed over because of a pause.
    pub paused_rounds: u64,
    /// Checks that were begun.
    pub run: u64,
    /// Checks that ended well.
    pub succeeded: u64,
    /// Checks that failed.
    pub failed: u64,
    /// Checks that broke down, and permits that were freed without a verdict.
    pub panicked: u64,
    /// Checks that were over their time. They are counted by their end, too.
    pub stuck: u64,
    /// Due items that were being checked.
    pub skipped_busy: u64,
    /// Due items that found no room.
    pub skipped_full: u64,
    /// Checks that were begun more than a round after they were due.
    pub late: u64,
}

sized_struct!(reqbus_runner_stats);

impl From<RunnerStats> for reqbus_runner_stats {
    fn from(stats: RunnerStats) -> Self {
        Self {
            rounds: stats.rounds,
            failed_rounds: stats.failed_rounds,
            paused_rounds: stats.paused_rounds,
            run: stats.run,
            succeeded: stats.succeeded,
            failed: stats.failed,
            panicked: stats.panicked,
            stuck: stats.stuck,
            skipped_busy: stats.skipped_busy,
            skipped_full: stats.skipped_full,
            late: stats.late,
            ..defaults()
        }
    }
}
