//! The state machine of one wait: what is before the seam.
//!
//! ```text
//!            ask                     offer             owner looks
//!   Ready ────────> Asking ──> Queued ────> Offered ────────────> Claiming ──> (next key: Ready, else Granted)
//!                     ^          │             │ 3 s
//!                     └──────────┼── Lapsed <──┘
//!        owner looks             │
//!                                └──> Ending ──> Ended        deadline, cancel, refusal, close
//! ```
//!
//! One lock, of this wait alone, decides every race (S2): a cancel that comes before the owner takes an offer wins, and
//! the offer goes to the next; a deadline passes over a wait that was offered a unit. It is held for no call to a store
//! and for no wake. Answers that come late or twice are told by their ticket and by whether it was granted before: a
//! second grant of a known ticket is dropped, one that nobody awaits is given back.

mod asking;
mod ending;
mod state;
mod timing;

use std::sync::{Arc, Weak};
use std::time::Duration;

use arrayvec::ArrayVec;

use self::ending::End;
use self::state::{Phase, State};
use super::ask::{Ask, MAX_KEYS, OwnedAsk};
use super::key::Key;
use super::observer::{PoolEvent, PoolEventKind};
use super::outcome::{Outcome, Refusal};
use super::pool::PoolCore;
use super::slot::Slot;
use super::step::Step;
use super::store::CLAIM;
#[cfg(all(test, loom))]
use super::store::Grant;
#[cfg(all(test, loom))]
use super::ticket::StageTicket;
use crate::bell::Source;
use crate::sync::Mutex;
use crate::time::nanos;

/// How long a store may take to answer before the wait ends as unavailable.
pub(super) const ANSWER: Duration = Duration::from_secs(2);

/// One wait.
pub(super) struct WaitCore {
    pub(super) pool: Arc<PoolCore>,
    /// In the pool's order.
    pub(super) asks: Box<[OwnedAsk]>,
    pub(super) label: Box<str>,
    pub(super) max_waiting: u32,
    pub(super) begun_ns: u64,
    deadline_ns: u64,
    ping_every_ns: Option<u64>,
    pub(super) source: Arc<Source>,
    state: Mutex<State>,
    this: Weak<Self>,
}

/// Terms of a wait.
pub(super) struct Terms<'a> {
    pub(super) label: &'a str,
    pub(super) max_waiting: u32,
    pub(super) timeout: Duration,
    pub(super) ping_every: Option<Duration>,
}

impl WaitCore {
    pub(in crate::slots) fn new(
        pool: &Arc<PoolCore>,
        asks: Box<[OwnedAsk]>,
        terms: &Terms<'_>,
    ) -> Arc<Self> {
        let clock = &pool.shared.clock;
        let begun_ns = clock.now_ns();
        let ping_every = terms.ping_every.filter(|every| !every.is_zero());
        let ping_every_ns = ping_every.map(nanos);
        let is_try = terms.timeout.is_zero();
        Arc::new_cyclic(|this| Self {
            pool: pool.clone(),
            asks,
            label: terms.label.into(),
            max_waiting: if is_try { 0 } else { terms.max_waiting },
            begun_ns,
            // One try lasts as long as its answer takes.
            deadline_ns: if is_try {
                u64::MAX
            } else {
                clock.deadline_after(terms.timeout)
            },
            ping_every_ns,
            source: Source::new(),
            state: Mutex::new(State::new(
                begun_ns.saturating_add(ping_every_ns.unwrap_or(u64::MAX)),
            )),
            this: this.clone(),
        })
    }

    /// What a stage asks for.
    pub(in crate::slots) fn ask(&self, stage: usize) -> Ask<'_> {
        match self.asks.get(stage) {
            Some(ask) => ask.as_ask(),
            // No stage is without an ask; an empty key matches none.
            None => Ask {
                key: Key::new("", ""),
                limit: None,
            },
        }
    }

    fn now_ns(&self) -> u64 {
        self.pool.shared.clock.now_ns()
    }

    /// The owner looks: takes what was offered, asks for the next key, hears of a ping or of the end.
    pub(in crate::slots) fn look(self: &Arc<Self>) -> Option<Step> {
        loop {
            let mut state = self.state.lock();
            let now_ns = self.now_ns();
            let is_late = now_ns >= self.deadline_ns;
            self.come_back(&mut state, now_ns);
            match &state.phase {
                Phase::Ready if state.held.len() == self.asks.len() => {
                    state.phase = Phase::Granted;
                    self.plan(state);
                }
                Phase::Ready if is_late && state.holds_a_part(self.asks.len()) => {
                    self.end(state, End::of(Outcome::TimedOut));
                }
                Phase::Ready => self.ask_next(state, now_ns)?,
                Phase::Asking(_) | Phase::Claiming(..) | Phase::Ending => return None,
                Phase::Queued | Phase::Lapsed if is_late => {
                    self.end(state, End::of(Outcome::TimedOut));
                }
                Phase::Queued => return self.look_for_ping(state, now_ns),
                Phase::Lapsed => self.ask_again(state, now_ns)?,
                Phase::Offered(grant, _) => {
                    let grant = grant.clone();
                    self.claim(state, grant, now_ns)?;
                }
                Phase::Granted => {
                    state.phase = Phase::Told;
                    let held = std::mem::take(&mut state.held);
                    let pings = state.pings;
                    drop(state);
                    self.tell_granted(now_ns, pings);
                    let generation = self.pool.shared.generation;
                    return Some(Step::Granted(Slot::new(held, generation)));
                }
                Phase::Ended(refusal) => return Some(Step::Ended(refusal.clone())),
                Phase::Told => return Some(Step::Ended(Refusal::over())),
            }
        }
    }

    fn keys(&self) -> ArrayVec<Key<'_>, MAX_KEYS> {
        self.asks.iter().map(|ask| ask.key.as_key()).collect()
    }

    fn tell_granted(&self, now_ns: u64, pings: u32) {
        let shared = &self.pool.shared;
        if shared.tells(PoolEventKind::Granted) {
            shared.tell(&PoolEvent::Granted {
                keys: &self.keys(),
                label: &self.label,
                waited: Duration::from_nanos(now_ns.saturating_sub(self.begun_ns)),
                pings,
            });
        }
    }

    /// Tells that it waits, if it does.
    pub(in crate::slots) fn tell_begun(&self) {
        let shared = &self.pool.shared;
        if !shared.tells(PoolEventKind::WaitBegun) {
            return;
        }
        let position = match &*self.state.lock() {
            State {
                phase: Phase::Granted | Phase::Ending | Phase::Ended(_) | Phase::Told,
                ..
            } => return,
            state => state.position,
        };
        shared.tell(&PoolEvent::WaitBegun {
            keys: &self.keys(),
            label: &self.label,
            position,
        });
    }

    /// Asks for the first key, and for those after it as long as the answer is there at once.
    pub(in crate::slots) fn start(self: &Arc<Self>) {
        loop {
            let state = self.state.lock();
            let now_ns = self.now_ns();
            let is_open = state.held.len() < self.asks.len();
            if !matches!(state.phase, Phase::Ready) || !is_open {
                return;
            }
            if self.ask_next(state, now_ns).is_none() {
                return;
            }
        }
    }

    /// Where it stands in the queue it waits in, as last heard of; 0 if it waits in none.
    pub(in crate::slots) fn position(&self) -> u32 {
        let state = self.state.lock();
        match state.phase {
            Phase::Queued | Phase::Lapsed => state.position,
            _ => 0,
        }
    }

    /// The offer that stands.
    #[cfg(all(test, loom))]
    pub(in crate::slots) fn offered(&self) -> Option<(Arc<StageTicket>, Grant)> {
        let state = self.state.lock();
        match &state.phase {
            Phase::Offered(grant, _) => Some((state.ticket.clone()?, grant.clone())),
            _ => None,
        }
    }

    pub(in crate::slots) fn phase_name(&self) -> &'static str {
        match self.state.lock().phase {
            Phase::Ready => "ready",
            Phase::Asking(_) => "asking",
            Phase::Queued => "queued",
            Phase::Lapsed => "lapsed",
            Phase::Offered(..) => "offered",
            Phase::Claiming(..) => "claiming",
            Phase::Granted => "granted",
            Phase::Ending | Phase::Ended(_) => "ended",
            Phase::Told => "over",
        }
    }
}

fn lapse_at(now_ns: u64) -> u64 {
    now_ns.saturating_add(CLAIM.as_nanos() as u64)
}
