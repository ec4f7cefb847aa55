//! The model: what a pool on the memory store does, without locks, tables or timers.

use reqbus_core::slots::{Counters, Limit, Outcome, Released};

use crate::op::{CALLS, limit_of};

const LAPSE_NS: u64 = 3_000_000_000;
const PING_NS: u64 = 15_000_000_000;

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    Held(usize),
    Lost(usize),
    Gone,
}

#[derive(Default)]
pub struct Row {
    call: Option<Limit>,
    set: Option<Limit>,
    pub is_closed: bool,
    /// Units, oldest first.
    pub held: Vec<usize>,
    /// Waits, first come first; `true` = gets no offers until its owner looks.
    pub queue: Vec<(usize, bool)>,
    pub counters: Counters,
}

impl Row {
    pub fn limit(&self) -> Option<Limit> {
        self.set.or(self.call)
    }

    fn has_room(&self) -> bool {
        match self.limit() {
            Some(Limit::Of(limit)) => (self.held.len() as u32) < limit,
            Some(Limit::Unlimited) => true,
            None => false,
        }
    }

    /// Whether anybody waits who gets offers.
    fn is_awaited(&self) -> bool {
        self.queue.iter().any(|(_, dormant)| !dormant)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Ready,
    Queued,
    Lapsed,
    Offered(usize, u64),
    /// And by which key.
    Ended(Outcome, usize),
    Told,
}

pub struct Wait {
    /// Keys in the order of their ranks, with the call's limits.
    asks: Vec<(usize, Limit)>,
    held: Vec<usize>,
    phase: Phase,
    /// When it joined the queue it is in.
    order: usize,
    joined_at: u32,
    max_waiting: u32,
    deadline_ns: u64,
    /// When a ping is due; `None` while the host writes one.
    ping_ns: Option<u64>,
    pings: bool,
    pub written: u32,
}

/// What a look brings.
#[derive(Debug, PartialEq, Eq)]
pub enum Seen {
    Nothing,
    Ping,
    Granted(Vec<usize>),
    Ended(Outcome, usize),
}

#[derive(Default)]
pub struct Model {
    pub now_ns: u64,
    pub rows: [Row; 4],
    pub units: Vec<Unit>,
    pub waits: Vec<Wait>,
    joined: usize,
    is_closed: bool,
}

/// What a try or a wait that is decided at once comes to: units, or who refused.
pub type Tried = Result<Vec<usize>, (Outcome, usize)>;

fn asks(call: usize, limit: u32) -> Vec<(usize, Limit)> {
    let mut asks: Vec<_> = CALLS[call]
        .iter()
        .map(|&key| (key, Limit::Of(limit + key as u32 % 2)))
        .collect();
    asks.sort_by_key(|ask| ask.0); // KEYS is in the order of ranks
    asks
}

fn count(counters: &mut Counters, outcome: Outcome) {
    match outcome {
        Outcome::Busy => counters.busy += 1,
        Outcome::QueueFull => counters.queue_full += 1,
        Outcome::TimedOut => counters.timed_out += 1,
        Outcome::Cancelled => counters.cancelled += 1,
        Outcome::Closed => counters.closed += 1,
        Outcome::StoreUnavailable | Outcome::Invalid => panic!("{outcome:?}"),
    }
}

impl Model {
    fn add(&mut self, key: usize) -> usize {
        self.units.push(Unit::Held(key));
        self.rows[key].held.push(self.units.len() - 1);
        self.units.len() - 1
    }

    fn hand_over(&mut self, key: usize) {
        while !self.is_closed && self.rows[key].has_room() {
            let Some(first) = self.rows[key]
                .queue
                .iter()
                .position(|(_, dormant)| !dormant)
            else {
                return;
            };
            let (wait, _) = self.rows[key].queue.remove(first);
            let unit = self.add(key);
            self.waits[wait].phase = Phase::Offered(unit, self.now_ns + LAPSE_NS);
        }
    }

    pub fn release(&mut self, unit: usize) -> Released {
        match std::mem::replace(&mut self.units[unit], Unit::Gone) {
            Unit::Held(key) => {
                self.rows[key].held.retain(|&held| held != unit);
                self.hand_over(key);
                Released::Released
            }
            Unit::Lost(_) => Released::Lost,
            Unit::Gone => Released::Already,
        }
    }

    /// Whether a newcomer gets a unit.
    fn admit(&mut self, (key, limit): (usize, Limit)) -> Result<(), Outcome> {
        let row = &mut self.rows[key];
        if row.is_closed || self.is_closed {
            return Err(Outcome::Closed);
        }
        row.counters.limit_changes += u64::from(row.call.is_some_and(|before| before != limit));
        row.call = Some(limit);
        if row.is_awaited() || !row.has_room() {
            return Err(Outcome::Busy);
        }
        Ok(())
    }

    pub fn try_all(&mut self, call: usize, limit: u32, is_final: bool) -> Tried {
        let asks = asks(call, limit);
        let mut anew = asks.len();
        while let Some((key, outcome)) = asks
            .iter()
            .find_map(|&ask| Some((ask.0, self.admit(ask).err()?)))
        {
            let row = &self.rows[key];
            let may_fit = outcome == Outcome::Busy && row.is_awaited() && row.has_room();
            if may_fit && anew > 0 {
                // The call raised the limit: first those who wait, then itself.
                anew -= 1;
                self.hand_over(key);
                continue;
            }
            if is_final || outcome != Outcome::Busy {
                count(&mut self.rows[key].counters, outcome);
            }
            self.hand_over(key);
            return Err((outcome, key));
        }
        Ok(asks.iter().map(|&(key, _)| self.take(key)).collect())
    }

    fn take(&mut self, key: usize) -> usize {
        self.rows[key].counters.granted += 1;
        self.add(key)
    }

    /// The slot or the refusal, or the number of a wait.
    pub fn wait(
        &mut self,
        call: usize,
        limit: u32,
        max_waiting: u32,
        timeout_ms: u64,
        pings: bool,
    ) -> Result<Tried, usize> {
        let is_try = timeout_ms == 0 || max_waiting == 0;
        let tried = self.try_all(call, limit, is_try);
        if is_try || !matches!(tried, Err((Outcome::Busy, _))) {
            return Ok(tried);
        }
        self.waits.push(Wait {
            asks: asks(call, limit),
            held: Vec::new(),
            phase: Phase::Ready,
            order: 0,
            joined_at: 0,
            max_waiting,
            deadline_ns: self.now_ns + timeout_ms * 1_000_000,
            ping_ns: Some(self.now_ns + PING_NS),
            pings,
            written: 0,
        });
        self.go_on(self.waits.len() - 1);
        Err(self.waits.len() - 1)
    }

    /// Takes key after key until one is not to be had.
    fn go_on(&mut self, wait: usize) {
        while let Some(&(key, limit)) = self.waits[wait].asks.get(self.waits[wait].held.len()) {
            let tried = self.admit((key, limit));
            let may_fit = self.rows[key].is_awaited() && self.rows[key].has_room();
            let tried = if tried == Err(Outcome::Busy) && may_fit {
                // The call raised the limit: first those who wait, then itself.
                self.hand_over(key);
                self.admit((key, limit))
            } else {
                tried
            };
            let outcome = match tried {
                Ok(()) => {
                    let unit = self.take(key);
                    self.waits[wait].held.push(unit);
                    continue;
                }
                Err(outcome) => outcome,
            };
            let waiting = self.rows[key].queue.len() as u32;
            let outcome = match outcome {
                Outcome::Busy if self.rows[key].limit() == Some(Limit::Of(0)) => Outcome::Busy,
                Outcome::Busy if waiting >= self.waits[wait].max_waiting => Outcome::QueueFull,
                Outcome::Busy => {
                    self.joined += 1;
                    self.waits[wait].order = self.joined;
                    self.waits[wait].phase = Phase::Queued;
                    self.rows[key].queue.push((wait, false));
                    self.waits[wait].joined_at = waiting + 1;
                    return self.hand_over(key);
                }
                outcome => outcome,
            };
            self.hand_over(key);
            return self.end(wait, outcome);
        }
    }

    fn end(&mut self, wait: usize, outcome: Outcome) {
        let stage = self.waits[wait]
            .held
            .len()
            .min(self.waits[wait].asks.len() - 1);
        let key = self.waits[wait].asks[stage].0;
        self.rows[key].queue.retain(|(queued, _)| *queued != wait);
        let before = std::mem::replace(&mut self.waits[wait].phase, Phase::Ended(outcome, key));
        if let Phase::Offered(unit, _) = before {
            self.release(unit);
        }
        for unit in std::mem::take(&mut self.waits[wait].held).into_iter().rev() {
            self.release(unit);
        }
        count(&mut self.rows[key].counters, outcome);
    }

    pub fn cancel(&mut self, wait: usize) {
        if !matches!(self.waits[wait].phase, Phase::Ended(..) | Phase::Told) {
            self.end(wait, Outcome::Cancelled);
        }
    }

    pub fn look(&mut self, at: usize) -> Seen {
        if self.waits[at].ping_ns.is_none() {
            self.waits[at].ping_ns = Some(self.now_ns + PING_NS); // the host is back
            self.waits[at].written += 1;
        }
        loop {
            let now_ns = self.now_ns;
            let wait = &mut self.waits[at];
            let key = wait.asks[wait.held.len().min(wait.asks.len() - 1)].0;
            match wait.phase {
                Phase::Ended(outcome, key) => return Seen::Ended(outcome, key),
                Phase::Told => return Seen::Ended(Outcome::Invalid, usize::MAX),
                Phase::Ready if wait.held.len() == wait.asks.len() => {
                    wait.phase = Phase::Told;
                    return Seen::Granted(std::mem::take(&mut wait.held));
                }
                Phase::Ready if now_ns >= wait.deadline_ns => self.end(at, Outcome::TimedOut),
                Phase::Ready => self.go_on(at),
                Phase::Queued => {
                    let is_due = wait.pings && wait.ping_ns.is_some_and(|due| due <= now_ns);
                    if is_due {
                        wait.ping_ns = None;
                        return Seen::Ping;
                    }
                    return Seen::Nothing;
                }
                Phase::Lapsed => {
                    wait.phase = Phase::Queued;
                    for queued in &mut self.rows[key].queue {
                        queued.1 &= queued.0 != at;
                    }
                    self.hand_over(key);
                }
                Phase::Offered(unit, _) => {
                    wait.held.push(unit);
                    let counters = &mut self.rows[key].counters;
                    counters.granted += 1;
                    counters.granted_after_wait += 1;
                    wait.phase = Phase::Ready;
                }
            }
        }
    }

    /// What is due first: when, whether it is a deadline, and whose.
    fn next_due(&self) -> Option<(u64, bool, usize)> {
        let due = |(at, wait): (usize, &Wait)| match wait.phase {
            Phase::Offered(_, lapse_ns) => Some((lapse_ns, false, at)),
            Phase::Queued | Phase::Lapsed => Some((wait.deadline_ns, true, at)),
            Phase::Ready | Phase::Ended(..) | Phase::Told => None,
        };
        self.waits.iter().enumerate().filter_map(due).min()
    }

    pub fn advance(&mut self, by_ns: u64) {
        let end_ns = self.now_ns + by_ns;
        while let Some((due_ns, is_deadline, at)) = self.next_due().filter(|due| due.0 <= end_ns) {
            self.now_ns = self.now_ns.max(due_ns);
            match self.waits[at].phase {
                _ if is_deadline => self.end(at, Outcome::TimedOut),
                Phase::Offered(unit, _) => self.lapse(at, unit),
                _ => {}
            }
        }
        self.now_ns = end_ns;
    }

    /// An offer goes to the next; who did not take it keeps its place, which is before all who came later.
    fn lapse(&mut self, at: usize, unit: usize) {
        let wait = &mut self.waits[at];
        let key = wait.asks[wait.held.len()].0;
        wait.phase = Phase::Lapsed;
        self.rows[key].held.retain(|&held| held != unit);
        self.units[unit] = Unit::Gone;
        self.rows[key].counters.lapsed_offers += 1;
        if self.rows[key].is_closed || self.is_closed {
            return self.end(at, Outcome::Closed);
        }
        let order = self.waits[at].order;
        let place = self.rows[key]
            .queue
            .iter()
            .position(|&(other, _)| order < self.waits[other].order);
        let place = place.unwrap_or(self.rows[key].queue.len());
        self.rows[key].queue.insert(place, (at, true));
        self.hand_over(key);
    }

    pub fn set(&mut self, key: usize, limit: Option<Option<u32>>) {
        let row = &mut self.rows[key];
        let limit = limit.map(limit_of);
        row.counters.limit_changes += u64::from(row.set != limit);
        row.set = limit;
        self.hand_over(key);
    }

    pub fn close(&mut self, key: usize) {
        self.rows[key].is_closed = true;
        for (wait, _) in std::mem::take(&mut self.rows[key].queue) {
            self.end(wait, Outcome::Closed);
        }
    }

    /// The pool: offers that were made stand, and no more are.
    pub fn close_all(&mut self) {
        self.is_closed = true;
        for key in 0..self.rows.len() {
            for (wait, _) in std::mem::take(&mut self.rows[key].queue) {
                self.end(wait, Outcome::Closed);
            }
        }
    }

    pub fn open(&mut self, key: usize) {
        self.rows[key].is_closed = false;
        self.hand_over(key);
    }

    /// Where a wait stood when it joined the queue it is in, from 1; 0 if it is in none.
    pub fn position(&self, at: usize) -> u32 {
        match self.waits[at].phase {
            Phase::Queued => self.waits[at].joined_at,
            _ => 0,
        }
    }

    pub fn force(&mut self, key: usize, at: usize) {
        let unit = self.rows[key].held.remove(at);
        self.units[unit] = Unit::Lost(key);
        self.rows[key].counters.lost += 1;
        self.hand_over(key);
    }
}
