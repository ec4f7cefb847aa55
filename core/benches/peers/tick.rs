//! `runner/tick-10000`: one round over 10,000 things that are due while no more may be checked.
//!
//! The peer does what a scan does that wants to be fair: it sorts the list, the longest overdue first, and goes through it,
//! looking for each whether it is being checked already and whether there is room. Both sides count what they pass over.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use reqbus_core::runner::{Admission, Due, Permit, RunnerOptions};

use super::random::Random;
use super::report::{Report, Row};
use super::rounds::interleave;

pub const ROWS: [&str; 1] = ["runner/tick-10000"];

const DUE: usize = 10_000;
const AT_ONCE: usize = 5;

/// What a round came to: begun, busy, without room.
type Counts = (usize, usize, usize);

/// A runner that sorts.
struct Scan {
    in_flight: HashSet<String>,
}

impl Scan {
    const NAME: &str = "scan of a sorted list";

    fn tick(&mut self, due: &[Due<'_>]) -> Counts {
        let mut order: Vec<&Due<'_>> = due.iter().collect();
        order.sort_by_key(|item| std::cmp::Reverse(item.overdue));
        let (mut begun, mut busy, mut full) = (0, 0, 0);
        for item in order {
            if self.in_flight.contains(item.id) {
                busy += 1;
            } else if self.in_flight.len() == AT_ONCE {
                full += 1;
            } else {
                self.in_flight.insert(item.id.to_owned());
                begun += 1;
            }
        }
        (begun, busy, full)
    }
}

/// Ours, with the permits of what is in flight.
struct Ours {
    admission: Admission,
    permits: Vec<Permit>,
}

impl Ours {
    fn tick(&mut self, due: &[Due<'_>]) -> Counts {
        let before = self.admission.stats();
        let permits = self.admission.admit(due).expect("not stopped");
        let begun = permits.len();
        self.permits.extend(permits);
        let stats = self.admission.stats();
        let busy = stats.skipped_busy - before.skipped_busy;
        let full = stats.skipped_full - before.skipped_full;
        (begun, busy as usize, full as usize)
    }
}

/// The time of one tick, in microseconds; it begins nothing.
fn measured(tick: impl FnOnce() -> Counts) -> [f64; 1] {
    let begin = Instant::now();
    let counts = tick();
    let took = begin.elapsed();
    assert_eq!(counts, (0, AT_ONCE, DUE - AT_ONCE));
    [took.as_nanos() as f64 / 1e3]
}

pub fn measure(report: &mut Report) {
    let mut random = Random::new(1);
    let ids: Vec<String> = (0..DUE).map(|id| format!("account-{id}")).collect();
    let due = ids.iter().map(|id| Due {
        id,
        overdue: random.exponential(Duration::from_secs(5)),
    });
    let due: Vec<Due<'_>> = due.collect();
    let mut ours = Ours {
        admission: Admission::new(RunnerOptions::default()).expect("the default options"),
        permits: Vec::new(),
    };
    let mut peer = Scan {
        in_flight: HashSet::new(),
    };
    // The first round of each fills it.
    let (ours_begun, _, _) = ours.tick(&due);
    let (peer_begun, _, _) = peer.tick(&due);
    assert_eq!((ours_begun, peer_begun), (AT_ONCE, AT_ONCE));
    let [outcome] = interleave(
        report.rounds(400),
        || measured(|| ours.tick(&due)),
        || measured(|| peer.tick(&due)),
    );
    let row = Row {
        name: ROWS[0],
        peer: Scan::NAME,
        unit: "us",
        target: 1.0,
    };
    report.add(row, outcome);
}
