//! Random times, and the wait loop of a gateway whose slots are polled for: the peer of rows about waiting.

use std::time::Duration;

/// SplitMix64: the same numbers from the same seed.
pub struct Random(u64);

impl Random {
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Evenly from [0, 1).
    pub fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Exponential.
    pub fn exponential(&mut self, mean: Duration) -> Duration {
        mean.mul_f64(-(1.0 - self.unit()).ln())
    }
}

/// When a waiter of that loop tries again: 100 ms, then half as long again, at most 2 s, each spread by a fifth. The
/// spread value is what grows next, and is kept within the first and the longest, as gateways have it.
pub struct Polling {
    next: Duration,
}

impl Polling {
    pub const NAME: &str = "poll with backoff";
    const FIRST: Duration = Duration::from_millis(100);
    const CAP: Duration = Duration::from_secs(2);

    pub const fn new() -> Self {
        Self { next: Self::FIRST }
    }

    pub fn next_delay(&mut self, random: &mut Random) -> Duration {
        let delay = self.next;
        let grown = delay.mul_f64(1.5).min(Self::CAP);
        let spread = grown.mul_f64(0.8 + 0.4 * random.unit());
        self.next = spread.clamp(Self::FIRST, Self::CAP);
        delay
    }
}
