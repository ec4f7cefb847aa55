//! What may happen to a bus: the steps of a random history.

use proptest::prelude::*;

use reqbus_core::bus::Overflow;
use reqbus_core::wire::Form;

pub const KINDS: [&str; 4] = ["request", "a", "c", "nobody-registers-this"];
pub const KEYS: [&str; 4] = ["", "x", "y", "z"];
pub const AGE_MS: u64 = 1_000;

/// Keys and kinds of each filter; empty = all.
pub const FILTERS: [(&[&str], &[&str]); 9] = [
    (&[], &[]),
    (&[], &["a"]),
    (&[], &["a", "c"]),
    (&["x"], &[]),
    (&["x", "y"], &[]),
    (&[""], &[]),
    (&["x", "z"], &["a", "request"]),
    (&[], &["never published"]),
    (&["no such key"], &[]),
];

pub const POLICIES: [Overflow; 8] = [
    Overflow::DropNewest {
        events: 1,
        bytes: 1 << 20,
    },
    Overflow::DropNewest {
        events: 3,
        bytes: 1 << 20,
    },
    Overflow::DropNewest {
        events: 8,
        bytes: 700,
    },
    Overflow::DropNewest {
        events: 64,
        bytes: 1 << 20,
    },
    Overflow::DropOldest { events: 1 },
    Overflow::DropOldest { events: 4 },
    Overflow::DropOldest { events: 256 },
    Overflow::CatchUp,
];

/// Texts that are no ids.
pub const MALFORMED: [&str; 9] = [
    "",
    "5",
    "-",
    "0123456789abcdef",
    "0123456789abcdef-",
    "0123456789abcdef-+1",
    "0123456789abcdef-01",
    "0123456789abcdef-1-1",
    "0123456789abcdef-18446744073709551615",
];

#[derive(Clone, Copy, Debug)]
pub struct New {
    pub kind: usize,
    pub key: usize,
    pub size: usize,
}

/// Where a resume begins.
#[derive(Clone, Copy, Debug)]
pub enum Pos {
    /// This many before the newest.
    Newest(u64),
    /// This many after the newest.
    Ahead(u64),
    /// This many before the oldest kept: 1 is the id from which everything that is kept follows.
    BeforeOldest(u64),
    Zero,
    OtherEpoch,
    Malformed(usize),
}

#[derive(Clone, Copy, Debug)]
pub enum Begin {
    Live,
    Oldest,
    After(Pos),
}

#[derive(Clone, Debug)]
pub enum Op {
    Publish(New),
    Many(Vec<New>),
    Subscribe {
        filter: usize,
        policy: usize,
        begin: Begin,
    },
    Recv {
        sub: usize,
        max_items: usize,
        max_bytes: usize,
        form: Option<usize>,
    },
    Drain {
        sub: usize,
    },
    /// The connection breaks; the client comes back with the id that it heard last.
    Cut {
        sub: usize,
        policy: Option<usize>,
    },
    Close {
        sub: usize,
    },
    Free {
        sub: usize,
    },
    Advance {
        ms: u64,
    },
    CloseBus,
}

pub fn new_event() -> impl Strategy<Value = New> {
    let size = prop_oneof![8 => 0_usize..200, 1 => 5_000_usize..40_000];
    (0..KINDS.len(), 0..KEYS.len(), size).prop_map(|(kind, key, size)| New { kind, key, size })
}

pub fn pos() -> impl Strategy<Value = Pos> {
    prop_oneof![
        4 => (0_u64..60).prop_map(Pos::Newest),
        1 => (1_u64..4).prop_map(Pos::Ahead),
        4 => (0_u64..4).prop_map(Pos::BeforeOldest),
        1 => Just(Pos::Zero),
        1 => Just(Pos::OtherEpoch),
        1 => (0..MALFORMED.len()).prop_map(Pos::Malformed),
    ]
}

pub fn begin() -> impl Strategy<Value = Begin> {
    prop_oneof![2 => Just(Begin::Live), 1 => Just(Begin::Oldest), 4 => pos().prop_map(Begin::After)]
}

pub fn op() -> impl Strategy<Value = Op> {
    let max_items = prop_oneof![3 => 1_usize..6, 1 => 6_usize..400];
    let max_bytes = prop_oneof![1 => 1_usize..1_000, 1 => 1_000_usize..100_000, 2 => Just(1 << 20)];
    let form = prop_oneof![3 => Just(None), 1 => (0..Form::ALL.len()).prop_map(Some)];
    prop_oneof![
        30 => new_event().prop_map(Op::Publish),
        4 => prop::collection::vec(new_event(), 1..=90).prop_map(Op::Many),
        6 => (0..FILTERS.len(), 0..POLICIES.len(), begin())
            .prop_map(|(filter, policy, begin)| Op::Subscribe { filter, policy, begin }),
        20 => (any::<prop::sample::Index>(), max_items, max_bytes, form)
            .prop_map(|(sub, max_items, max_bytes, form)| Op::Recv { sub: sub.index(64), max_items, max_bytes, form }),
        4 => any::<prop::sample::Index>().prop_map(|sub| Op::Drain { sub: sub.index(64) }),
        4 => (any::<prop::sample::Index>(), prop::option::of(0..POLICIES.len()))
            .prop_map(|(sub, policy)| Op::Cut { sub: sub.index(64), policy }),
        1 => any::<prop::sample::Index>().prop_map(|sub| Op::Close { sub: sub.index(64) }),
        1 => any::<prop::sample::Index>().prop_map(|sub| Op::Free { sub: sub.index(64) }),
        3 => (0_u64..AGE_MS * 3 / 2).prop_map(|ms| Op::Advance { ms }),
    ]
}

#[derive(Clone, Debug)]
pub struct Setup {
    pub log_events: usize,
    pub log_bytes: usize,
    pub resume: bool,
}

pub fn setup() -> impl Strategy<Value = Setup> {
    let log_events = prop_oneof![2 => 1_usize..6, 3 => 6_usize..50, 1 => Just(2_000)];
    let log_bytes = prop_oneof![Just(64_usize << 10), Just(8 << 20)];
    let resume = prop_oneof![6 => Just(true), 1 => Just(false)];
    (log_events, log_bytes, resume).prop_map(|(log_events, log_bytes, resume)| Setup {
        log_events,
        log_bytes,
        resume,
    })
}

pub fn history() -> impl Strategy<Value = Vec<Op>> {
    let end = prop_oneof![3 => Just(None), 1 => (0_usize..10).prop_map(Some)];
    (prop::collection::vec(op(), 1..150), end).prop_map(|(mut ops, end)| {
        if let Some(from_end) = end {
            ops.insert(ops.len().saturating_sub(from_end), Op::CloseBus);
        }
        ops
    })
}
