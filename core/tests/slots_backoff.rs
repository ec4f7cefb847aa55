//! Delays between tries (S7).

#![cfg(not(loom))]

mod common;

use std::time::Duration;

use common::slots::{ms, s};
use proptest::prelude::*;
use reqbus_core::ErrorKind::InvalidArgument;
use reqbus_core::slots::Backoff;

fn delays(mut backoff: Backoff, count: usize) -> Vec<Duration> {
    (0..count).map(|_| backoff.next_delay()).collect()
}

#[test]
fn s7_without_jitter_the_sequence_is_exact() {
    let exact: Vec<_> = [
        100_000_000,
        150_000_000,
        225_000_000,
        337_500_000,
        506_250_000,
        759_375_000,
        1_139_062_500,
        1_708_593_750,
        2_000_000_000,
        2_000_000_000,
    ]
    .map(Duration::from_nanos)
    .into();
    let mut backoff = Backoff::exact();
    assert_eq!(delays(backoff.clone(), 10), exact);
    for (at, delay) in exact.iter().enumerate() {
        assert_eq!(backoff.attempt(), at as u32);
        assert_eq!(backoff.next_delay(), *delay);
    }
    backoff.reset();
    assert_eq!((backoff.attempt(), backoff.next_delay()), (0, ms(100)));
    let other = Backoff::exact().between(ms(400), ms(1_000)).unwrap();
    assert_eq!(delays(other, 4), [ms(400), ms(600), ms(900), ms(1_000)]);
}

/// As long as a time can be: none overflows.
#[test]
fn s7_the_longest_delays() {
    let near = Duration::MAX.div_f64(Backoff::FACTOR) - Duration::from_nanos(1);
    for first in [near, near - s(1_000), Duration::MAX / 2, Duration::MAX] {
        let backoff = Backoff::exact().between(first, Duration::MAX).unwrap();
        let found = delays(backoff, 4);
        assert_eq!(found.first(), Some(&first));
        assert_eq!(found.last(), Some(&Duration::MAX));
    }
}

#[test]
fn s7_a_seed_gives_the_same_delays_and_no_seed_others() {
    assert_eq!(
        delays(Backoff::seeded(7), 50),
        delays(Backoff::seeded(7), 50)
    );
    assert_ne!(
        delays(Backoff::seeded(7), 50),
        delays(Backoff::seeded(8), 50)
    );
    let random = || delays(Backoff::new().unwrap(), 50);
    assert_ne!(random(), random());
    // A reset begins with the first delay again, and the jitter goes on.
    let mut backoff = Backoff::seeded(7);
    let before: Vec<_> = (0..3).map(|_| backoff.next_delay()).collect();
    backoff.reset();
    let after: Vec<_> = (0..3).map(|_| backoff.next_delay()).collect();
    assert_ne!(before, after);
    assert!(after[0] < ms(120));
}

#[test]
fn s7_jitter_spreads_over_the_whole_of_its_range() {
    let mut parts: Vec<f64> = (0..2_000)
        .map(|seed| delays(Backoff::seeded(seed), 4)[3].as_secs_f64() / 0.3375)
        .collect();
    parts.sort_by(f64::total_cmp);
    assert!(parts[0] >= 0.8 && parts[0] < 0.805, "{}", parts[0]);
    assert!(parts[1_999] < 1.2 && parts[1_999] > 1.195);
    let mean = parts.iter().sum::<f64>() / 2_000.0;
    assert!((0.99..1.01).contains(&mean), "{mean}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    /// Each delay is within a fifth of its exact one, however many came before, and between the first and the cap.
    #[test]
    fn s7_jitter_is_bounded_and_never_compounded(
        seed in any::<u64>(), first in 1..10_000_000_u64, times in 1..10_000_u64, count in 1..60_usize,
    ) {
        let (first, cap) = (Duration::from_micros(first), Duration::from_micros(first * times));
        let exact = delays(Backoff::exact().between(first, cap).unwrap(), count);
        let jittered = delays(Backoff::seeded(seed).between(first, cap).unwrap(), count);
        for (exact, jittered) in exact.iter().zip(&jittered) {
            prop_assert!((first..=cap).contains(exact) && (first..=cap).contains(jittered));
            let ratio = jittered.as_secs_f64() / exact.as_secs_f64();
            prop_assert!((0.799_999..1.2).contains(&ratio), "{} of {:?}", ratio, exact);
        }
        for pair in exact.windows(2) {
            let grown = (pair[0].as_secs_f64() * 1.5).min(cap.as_secs_f64());
            prop_assert!((pair[1].as_secs_f64() - grown).abs() < 1e-6 * grown + 1e-8);
        }
    }
}

#[test]
fn s7_backoffs_that_would_never_grow() {
    for (first, cap, context) in [(0, 10, "first"), (0, 0, "first"), (11, 10, "cap")] {
        let error = Backoff::exact().between(ms(first), ms(cap)).unwrap_err();
        assert_eq!((error.kind(), error.context()), (InvalidArgument, context));
    }
    let mut longest = Backoff::seeded(1)
        .between(Duration::MAX, Duration::MAX)
        .unwrap();
    assert_eq!(longest.next_delay(), Duration::MAX);
    assert_eq!(longest.next_delay(), Duration::MAX);
}
