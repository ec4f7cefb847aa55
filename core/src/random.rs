//! Random enough for jitter.

use crate::error::{Error, ErrorKind, Result};

/// A seed of the system's. [`ErrorKind::System`] when it has no random numbers.
pub(crate) fn random_seed() -> Result<u64> {
    getrandom::u64().map_err(|e| {
        let message = format!("no random numbers: {e}");
        Error::new(ErrorKind::System, "seed", message)
    })
}

/// SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014): a delay needs no better one.
pub(crate) fn next_random(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
