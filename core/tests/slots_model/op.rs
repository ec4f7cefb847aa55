//! What a history is made of.

use proptest::prelude::*;
use reqbus_core::slots::{Ask, Key, Limit};

/// The keys, in the order of their ranks.
pub const KEYS: [Key<'static>; 4] = [
    Key::new("user", "1"),
    Key::new("user", "2"),
    Key::new("model", "m"),
    Key::new("account", "7"),
];

/// Which keys a call asks for, and in which order it names them.
pub const CALLS: [&[usize]; 9] = [
    &[0],
    &[0],
    &[1],
    &[3],
    &[3, 0],
    &[1, 3],
    &[2],
    &[3, 2, 0],
    &[2, 1],
];

/// One step. `at` is taken modulo what there is.
#[derive(Clone, Copy, Debug)]
pub enum Op {
    Try {
        call: usize,
        limit: u32,
    },
    Wait {
        call: usize,
        limit: u32,
        max_waiting: u32,
        timeout_ms: u64,
        pings: bool,
    },
    Look {
        at: usize,
    },
    Cancel {
        at: usize,
    },
    DropWait {
        at: usize,
    },
    Release {
        at: usize,
    },
    ReleaseScope {
        at: usize,
        scope: usize,
    },
    DropSlot {
        at: usize,
    },
    Advance {
        millis: u64,
    },
    SetLimit {
        key: usize,
        limit: Option<u32>,
    },
    ClearLimit {
        key: usize,
    },
    Close {
        key: usize,
    },
    Open {
        key: usize,
    },
    Force {
        key: usize,
        at: usize,
    },
    /// A wait for further keys on top of a slot.
    WaitOnTop {
        at: usize,
        call: usize,
        limit: u32,
    },
    Join {
        at: usize,
        other: usize,
    },
    Leak {
        at: usize,
    },
}

impl Op {
    /// The asks of a call.
    pub fn asks(call: usize, limit: u32) -> Vec<Ask<'static>> {
        let ask = |&key: &usize| Ask {
            key: KEYS[key],
            // Never the same limit for all keys of a call.
            limit: Some(Limit::Of(limit + key as u32 % 2)),
        };
        CALLS[call].iter().map(ask).collect()
    }

    fn any() -> impl Strategy<Value = Self> {
        let at = 0..64_usize;
        let key = 0..KEYS.len();
        let call = 0..CALLS.len();
        // Mostly one limit, so that it is not always changing.
        let limit = prop_oneof![8 => Just(1_u32), 2 => 0..4_u32];
        let max = prop_oneof![4 => Just(20_u32), 2 => 0..3_u32];
        let timeout =
            prop_oneof![6 => Just(30_000_u64), 2 => Just(4_000), 2 => Just(20_000), 1 => Just(0)];
        let wait = (call.clone(), limit.clone(), max, timeout, any::<bool>());
        let on_top = (call.clone(), limit.clone());
        let advance =
            prop_oneof![3 => 1..500_u64, 2 => Just(3_000), 1 => Just(2_999), 1 => 1..16_000_u64];
        prop_oneof![
            6 => (call, limit).prop_map(|(call, limit)| Self::Try { call, limit }),
            12 => wait.prop_map(|(call, limit, max_waiting, timeout_ms, pings)| Self::Wait {
                call, limit, max_waiting, timeout_ms, pings,
            }),
            16 => at.clone().prop_map(|at| Self::Look { at }),
            2 => at.clone().prop_map(|at| Self::Cancel { at }),
            2 => at.clone().prop_map(|at| Self::DropWait { at }),
            8 => at.clone().prop_map(|at| Self::Release { at }),
            2 => (at.clone(), 0..3_usize).prop_map(|(at, scope)| Self::ReleaseScope { at, scope }),
            3 => at.clone().prop_map(|at| Self::DropSlot { at }),
            6 => advance.prop_map(|millis| Self::Advance { millis }),
            3 => (key.clone(), prop_oneof![1 => Just(None), 6 => (0..4_u32).prop_map(Some)])
                .prop_map(|(key, limit)| Self::SetLimit { key, limit }),
            2 => key.clone().prop_map(|key| Self::ClearLimit { key }),
            1 => key.clone().prop_map(|key| Self::Close { key }),
            2 => key.clone().prop_map(|key| Self::Open { key }),
            1 => (key, at.clone()).prop_map(|(key, at)| Self::Force { key, at }),
            3 => (at.clone(), on_top).prop_map(|(at, (call, limit))| Self::WaitOnTop { at, call, limit }),
            3 => (at.clone(), at.clone()).prop_map(|(at, other)| Self::Join { at, other }),
            2 => at.prop_map(|at| Self::Leak { at }),
        ]
    }

    /// Histories.
    pub fn histories(longest: usize) -> impl Strategy<Value = Vec<Self>> {
        proptest::collection::vec(Self::any(), 1..longest)
    }
}

/// A limit that is set; `None` in an [`Op`] is unlimited.
pub fn limit_of(limit: Option<u32>) -> Limit {
    limit.map_or(Limit::Unlimited, Limit::Of)
}
