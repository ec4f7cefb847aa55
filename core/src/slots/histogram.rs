//! How often waits took how long, in 296 counters.
//!
//! A bucket's width is an eighth of the power of two below it: 8 buckets for each doubling, from 1 µs to 2³⁷ µs (38
//! hours). (The scheme of HdrHistogram with three bits; that crate's own takes some 20 kB for the same span.)

use std::time::Duration;

use super::stats::WaitTimes;

const SUB_BITS: u32 = 3;
const SUB: u64 = 1 << SUB_BITS;
/// Values below `SUB` have a bucket of their own; then `SUB` for each further bit.
const BUCKETS: usize = (SUB + (37 - SUB_BITS as u64 + 1) * SUB) as usize;

/// A histogram of durations.
pub(super) struct Histogram {
    buckets: [u32; BUCKETS],
    max_us: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self {
            buckets: [0; BUCKETS],
            max_us: 0,
        }
    }
}

fn bucket_of(us: u64) -> usize {
    if us < SUB {
        return us as usize;
    }
    let bits = us.ilog2();
    let in_octave = (us >> (bits - SUB_BITS)) - SUB;
    let bucket = SUB + u64::from(bits - SUB_BITS) * SUB + in_octave;
    (bucket as usize).min(BUCKETS - 1)
}

/// The greatest value of a bucket.
fn upper_us(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    if bucket < SUB {
        return bucket;
    }
    let octave = (bucket - SUB) / SUB;
    let lower = (SUB + (bucket - SUB) % SUB) << octave;
    lower + (1 << octave) - 1
}

impl Histogram {
    pub(super) fn record(&mut self, time: Duration) {
        let us = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        self.max_us = self.max_us.max(us);
        if let Some(count) = self.buckets.get_mut(bucket_of(us)) {
            *count = count.saturating_add(1);
        }
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.max_us = self.max_us.max(other.max_us);
        for (count, more) in self.buckets.iter_mut().zip(&other.buckets) {
            *count = count.saturating_add(*more);
        }
    }

    pub(super) fn times(&self) -> WaitTimes {
        let count: u64 = self.buckets.iter().map(|&count| u64::from(count)).sum();
        WaitTimes {
            count,
            p50: self.percentile(count, 50),
            p90: self.percentile(count, 90),
            p99: self.percentile(count, 99),
            max: Duration::from_micros(self.max_us),
        }
    }

    /// What `percent` of all did not exceed.
    fn percentile(&self, count: u64, percent: u64) -> Duration {
        let rank = (count * percent).div_ceil(100);
        let mut below = 0;
        for (bucket, &count) in self.buckets.iter().enumerate() {
            below += u64::from(count);
            if count > 0 && below >= rank {
                return Duration::from_micros(upper_us(bucket).min(self.max_us));
            }
        }
        Duration::ZERO
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn buckets_hold_what_they_say() {
        for us in (0..5_000).chain([1 << 20, (1 << 36) + 12_345, (1 << 38) - 1]) {
            let bucket = bucket_of(us);
            assert!(upper_us(bucket) >= us, "{us}");
            assert!(upper_us(bucket) <= us + us / 8, "{us}");
            assert!(bucket == 0 || upper_us(bucket - 1) < us, "{us}");
        }
        assert_eq!(bucket_of(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn percentiles_are_within_an_eighth() {
        let mut histogram = Histogram::default();
        for ms in 1..=1_000 {
            histogram.record(Duration::from_millis(ms));
        }
        let times = histogram.times();
        assert_eq!((times.count, times.max), (1_000, Duration::from_secs(1)));
        for (found, ms) in [(times.p50, 500), (times.p90, 900), (times.p99, 990)] {
            let true_value = Duration::from_millis(ms);
            assert!(found >= true_value && found <= true_value + true_value / 8);
        }
        let mut sum = Histogram::default();
        sum.add(&histogram);
        assert_eq!(sum.times(), times);
        assert_eq!(Histogram::default().times(), WaitTimes::default());
    }
}
