//! `slot/timeouts`, `slot/lost`: how many requests of a busy key get no slot.
//!
//! 60,000 requests a round arrive at random (Poisson) for 5 slots, each to hold one for a random time (exponential, mean
//! 5 s), at a load of 0.9. At most 20 wait, at most 30 s. Ours is the real pool on a clock that is driven from event to
//! event; the peer is the wait loop of the replaced gateways, simulated on the same arrivals and holds: a try at once,
//! then one after each delay, whoever comes first. Lost are those that timed out and those refused by a full queue.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use reqbus_core::slots::{Ask, Limit, Outcome, PoolOptions, Step, WaitOptions};
use reqbus_core::time::{Clock, ClockDriver};
use reqbus_core::{Slot, SlotPool, Wait};

use super::random::{Polling, Random};
use super::report::{Report, Row};
use super::rounds::interleave;

pub const ROWS: [&str; 2] = ["slot/timeouts", "slot/lost"];

const REQUESTS: usize = 60_000;
const SLOTS: u32 = 5;
const HOLD: Duration = Duration::from_secs(5);
const LOAD: f64 = 0.9;
const TIMEOUT: Duration = Duration::from_secs(30);
const MAX_WAITING: u32 = 20;

/// A request: when it comes, and how long it holds its slot.
struct Request {
    at: Duration,
    hold: Duration,
}

fn requests(seed: u64) -> Vec<Request> {
    let mut random = Random::new(seed);
    let gap = HOLD.div_f64(LOAD * f64::from(SLOTS));
    let mut at = Duration::ZERO;
    let request = |_| {
        at += random.exponential(gap);
        let hold = random.exponential(HOLD);
        Request { at, hold }
    };
    (0..REQUESTS).map(request).collect()
}

/// What became of them.
#[derive(Default)]
struct Tally {
    granted: usize,
    timed_out: usize,
    refused: usize,
}

impl Tally {
    /// Timed out, and lost in all, in percent.
    fn percent(&self) -> [f64; 2] {
        let all = self.granted + self.timed_out + self.refused;
        assert_eq!(all, REQUESTS, "each request came to an end");
        let percent = |part: usize| part as f64 * 100.0 / all as f64;
        [
            percent(self.timed_out),
            percent(self.timed_out + self.refused),
        ]
    }
}

/// The pool, and who holds and waits.
struct Ours {
    pool: SlotPool,
    driver: ClockDriver,
    now: Duration,
    /// When each holder ends, and its slot.
    ends: BinaryHeap<Reverse<(Duration, usize)>>,
    held: Vec<Option<Slot>>,
    waits: Vec<(Wait, Duration)>,
    tally: Tally,
}

impl Ours {
    fn new() -> Self {
        let (clock, driver) = Clock::driven();
        let options = PoolOptions {
            clock,
            ..PoolOptions::default()
        };
        Self {
            pool: SlotPool::new(options).expect("a pool"),
            driver,
            now: Duration::ZERO,
            ends: BinaryHeap::new(),
            held: Vec::new(),
            waits: Vec::new(),
            tally: Tally::default(),
        }
    }

    /// Moves time to `at`; slots whose hold ends by then are released at their time.
    fn go_to(&mut self, at: Duration) {
        while let Some(&Reverse((end, slot))) = self.ends.peek()
            && end <= at
        {
            self.ends.pop();
            self.advance(end);
            self.held[slot] = None;
            self.look();
        }
        self.advance(at);
        self.look();
    }

    fn advance(&mut self, to: Duration) {
        self.driver.advance(to - self.now);
        self.now = to;
    }

    fn hold(&mut self, slot: Slot, hold: Duration) {
        self.tally.granted += 1;
        self.ends.push(Reverse((self.now + hold, self.held.len())));
        self.held.push(Some(slot));
    }

    /// Every waiter looks, as it does at once when it is woken.
    fn look(&mut self) {
        let mut at = 0;
        while let Some((wait, hold)) = self.waits.get(at) {
            let hold = *hold;
            match wait.try_next() {
                None | Some(Step::Ping) => at += 1,
                Some(Step::Granted(slot)) => {
                    drop(self.waits.remove(at));
                    self.hold(slot, hold);
                }
                Some(Step::Ended(refusal)) => {
                    match refusal.outcome() {
                        Outcome::TimedOut => self.tally.timed_out += 1,
                        Outcome::QueueFull => self.tally.refused += 1,
                        other => unreachable!("{other:?}"),
                    }
                    drop(self.waits.remove(at));
                }
            }
        }
    }

    fn arrive(&mut self, request: &Request) {
        let asks = [Ask::new("account", "7", Limit::Of(SLOTS))];
        let options = WaitOptions {
            timeout: TIMEOUT,
            max_waiting: MAX_WAITING,
            ..WaitOptions::default()
        };
        let wait = self.pool.wait(&asks, &options);
        self.waits.push((wait, request.hold));
        self.look();
    }

    fn run(requests: &[Request]) -> Tally {
        let mut ours = Self::new();
        for request in requests {
            ours.go_to(request.at);
            ours.arrive(request);
        }
        while let Some(&Reverse((end, _))) = ours.ends.peek() {
            ours.go_to(end);
        }
        ours.go_to(ours.now + TIMEOUT);
        ours.tally
    }
}

/// What happens next to a request of the peer.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Next {
    Release,
    Arrive(usize),
    Poll(usize),
}

/// The peer, by events.
fn poll(requests: &[Request], seed: u64) -> Tally {
    let mut random = Random::new(!seed);
    let mut tally = Tally::default();
    let (mut in_use, mut waiting) = (0, 0);
    let mut polls: Vec<Polling> = requests.iter().map(|_| Polling::new()).collect();
    let mut events = BinaryHeap::new();
    events.extend(
        requests
            .first()
            .map(|first| Reverse((first.at, Next::Arrive(0)))),
    );
    while let Some(Reverse((now, next))) = events.pop() {
        let at = match next {
            Next::Release => {
                in_use -= 1;
                continue;
            }
            Next::Arrive(at) => {
                if let Some(after) = requests.get(at + 1) {
                    events.push(Reverse((after.at, Next::Arrive(at + 1))));
                }
                if in_use == SLOTS && waiting == MAX_WAITING {
                    tally.refused += 1;
                    continue;
                }
                waiting += 1;
                at
            }
            Next::Poll(at) => at,
        };
        let request = &requests[at];
        let deadline = request.at + TIMEOUT;
        if now >= deadline {
            tally.timed_out += 1;
        } else if in_use < SLOTS {
            tally.granted += 1;
            in_use += 1;
            events.push(Reverse((now + request.hold, Next::Release)));
        } else {
            let then = now + polls[at].next_delay(&mut random);
            events.push(Reverse((then.min(deadline), Next::Poll(at))));
            continue;
        }
        waiting -= 1;
    }
    tally
}

pub fn measure(report: &mut Report) {
    let (mut seed, mut peer_seed) = (0, 0);
    let outcome = interleave(
        report.rounds(8),
        || {
            seed += 1;
            Ours::run(&requests(seed)).percent()
        },
        || {
            peer_seed += 1;
            poll(&requests(peer_seed), peer_seed).percent()
        },
    );
    for ((name, target), outcome) in ROWS.into_iter().zip([0.05, 0.4]).zip(outcome) {
        let row = Row {
            name,
            peer: Polling::NAME,
            unit: "% of requests",
            target,
        };
        report.add(row, outcome);
    }
}
