//! Durations as the clock counts them.

use std::time::Duration;

/// Nanoseconds; 584 years and more are the greatest number.
#[inline]
pub(crate) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
