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

use std::sync::{Arc, Weak};
use std::time::Duration;

use arrayvec::ArrayVec;

use super::agenda::{Class, Due, Entry};
use super::ask::{Ask, MAX_KEYS, OwnedAsk};
use super::backoff::Backoff;
use super::key::Key;
use super::outcome::{Outcome, Refusal, Standing};
use super::pool::PoolCore;
use super::slot::Slot;
use super::store::{Answer, CLAIM, Grant, Grants, Note, Refused, Ticket};
use super::ticket::StageTicket;
use super::undo::Undo;
use crate::bell::Source;
use crate::error::{Error, ErrorKind};
use crate::sync::{Mutex, MutexGuard};

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

struct State {
    phase: Phase,
    /// The ticket of the key that is asked for.
    ticket: Option<Arc<StageTicket>>,
    /// Tickets that were granted: whatever else is said of them is old.
    granted: ArrayVec<u64, MAX_KEYS>,
    held: Grants,
    ping: Ping,
    pings: u32,
    /// When it joined the queue of the key that is asked for.
    queued_ns: Option<u64>,
    /// Where in that queue, when last heard of.
    position: u32,
    /// When to ask a store again whose answers can get lost, and how long after that.
    poll_ns: u64,
    backoff: Backoff,
    entry: Option<Entry>,
}

enum Phase {
    /// The next key is to be asked for, by the owner.
    Ready,
    /// A store has been asked, and is to answer until then.
    Asking(u64),
    Queued,
    /// An offer was not taken in time; the owner has not looked since.
    Lapsed,
    /// Until then.
    Offered(Grant, u64),
    /// A store is asked whether the offer still stands, and is to answer until then.
    Claiming(Grant, u64),
    /// All keys are held.
    Granted,
    /// Decided, and being cleared up.
    Ending,
    Ended(Refusal),
    /// The slot was handed out.
    Told,
}

enum Ping {
    /// The host is away, writing one.
    Written,
    /// Due then.
    DueAt(u64),
    /// Due, and not told yet.
    Due,
}

/// What an owner sees who looks at a wait.
#[derive(Debug)]
#[must_use = "a slot is in it"]
pub enum Step {
    /// A ping is due: write one, then look again. The next is due a whole interval after that.
    Ping,
    /// The slot. The wait is over.
    Granted(Slot),
    /// There is no slot. The wait is over.
    Ended(Refusal),
}

/// How a wait is to end.
struct End {
    outcome: Outcome,
    cause: Option<Error>,
    /// From the store, if it refused.
    refused: Option<Refused>,
}

/// What is to be undone of a wait that ended, once its lock is free.
struct Leftover {
    ticket: Option<Arc<StageTicket>>,
    /// The ticket was asked for more than once, or in a queue: a refusal may be older than how it stands now.
    may_stand: bool,
    /// Offered, not taken.
    offered: Option<Grant>,
    held: Grants,
    entry: Option<Entry>,
    end: End,
}

impl End {
    fn of(outcome: Outcome) -> Self {
        Self {
            outcome,
            cause: None,
            refused: None,
        }
    }

    fn failed(cause: Error) -> Self {
        Self {
            outcome: Outcome::StoreUnavailable,
            cause: Some(cause),
            refused: None,
        }
    }

    fn refused(refused: Refused) -> Self {
        Self {
            outcome: refused.outcome,
            cause: refused.cause.clone(),
            refused: Some(refused),
        }
    }
}

/// Terms of a wait.
pub(super) struct Terms<'a> {
    pub(super) label: &'a str,
    pub(super) max_waiting: u32,
    pub(super) timeout: Duration,
    pub(super) ping_every: Option<Duration>,
}

impl WaitCore {
    pub(super) fn new(pool: &Arc<PoolCore>, asks: Box<[OwnedAsk]>, terms: &Terms<'_>) -> Arc<Self> {
        let clock = &pool.shared.clock;
        let begun_ns = clock.now_ns();
        let ping_every = terms.ping_every.filter(|every| !every.is_zero());
        let ping_every_ns =
            ping_every.map(|every| u64::try_from(every.as_nanos()).unwrap_or(u64::MAX));
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
            state: Mutex::new(State {
                phase: Phase::Ready,
                ticket: None,
                granted: ArrayVec::new(),
                held: Grants::new(),
                ping: Ping::DueAt(begun_ns.saturating_add(ping_every_ns.unwrap_or(u64::MAX))),
                pings: 0,
                queued_ns: None,
                position: 0,
                poll_ns: u64::MAX,
                backoff: Backoff::exact(),
                entry: None,
            }),
            this: this.clone(),
        })
    }

    /// What a stage asks for.
    pub(super) fn ask(&self, stage: usize) -> Ask<'_> {
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
    pub(super) fn look(self: &Arc<Self>) -> Option<Step> {
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
                Phase::Ready if is_late && !state.granted.is_empty() => {
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
                    let generation = self.pool.shared.generation;
                    return Some(Step::Granted(Slot::new(held, generation)));
                }
                Phase::Ended(refusal) => return Some(Step::Ended(refusal.clone())),
                Phase::Told => return Some(Step::Ended(Refusal::over())),
            }
        }
    }

    /// Asks for the first key, and for those after it as long as the answer is there at once.
    pub(super) fn start(self: &Arc<Self>) {
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
    pub(super) fn position(&self) -> u32 {
        let state = self.state.lock();
        match state.phase {
            Phase::Queued | Phase::Lapsed => state.position,
            _ => 0,
        }
    }

    /// The offer that stands.
    #[cfg(all(test, loom))]
    pub(super) fn offered(&self) -> Option<(Arc<StageTicket>, Grant)> {
        let state = self.state.lock();
        match &state.phase {
            Phase::Offered(grant, _) => Some((state.ticket.clone()?, grant.clone())),
            _ => None,
        }
    }

    pub(super) fn phase_name(&self) -> &'static str {
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

    /// The host is back from writing a ping, if it was away.
    fn come_back(&self, state: &mut State, now_ns: u64) {
        if let (Ping::Written, Some(every_ns)) = (&state.ping, self.ping_every_ns) {
            state.pings += 1;
            state.ping = Ping::DueAt(now_ns.saturating_add(every_ns));
            self.put_on_agenda(state);
        }
    }

    /// The owner looks, and waits on.
    fn look_for_ping(&self, mut state: MutexGuard<'_, State>, now_ns: u64) -> Option<Step> {
        let is_due = match state.ping {
            Ping::DueAt(due_ns) => self.ping_every_ns.is_some() && due_ns <= now_ns,
            Ping::Due => true,
            Ping::Written => false,
        };
        if is_due {
            state.ping = Ping::Written;
        }
        self.plan(state);
        is_due.then_some(Step::Ping)
    }

    /// Asks for the next key. `None` if the answer comes later.
    fn ask_next(self: &Arc<Self>, mut state: MutexGuard<'_, State>, now_ns: u64) -> Option<()> {
        let stage = state.held.len();
        let id = self.pool.shared.next_ticket();
        let ticket = Arc::new(StageTicket::new(self, stage, id));
        state.ticket = Some(ticket.clone());
        state.queued_ns = None;
        state.position = 0;
        state.backoff = Backoff::seeded(id);
        self.send(state, ticket, now_ns)
    }

    /// Asks again for a key that was asked for: the ticket keeps its number.
    fn ask_again(self: &Arc<Self>, mut state: MutexGuard<'_, State>, now_ns: u64) -> Option<()> {
        let Some(ticket) = state.ticket.clone() else {
            state.phase = Phase::Ready;
            return Some(());
        };
        self.send(state, ticket, now_ns)
    }

    fn send(
        &self,
        mut state: MutexGuard<'_, State>,
        ticket: Arc<StageTicket>,
        now_ns: u64,
    ) -> Option<()> {
        state.phase = Phase::Asking(self.answer_ns(now_ns));
        let store = &self.pool.store;
        if store.is_lossy() {
            state.ask_again_after(now_ns);
            self.plan(state);
        } else {
            drop(state); // it answers before it returns
        }
        let id = ticket.id();
        let ticket: Arc<dyn Ticket> = ticket;
        let answer = store.acquire(&ticket)?;
        let is_queued = matches!(answer, Answer::Queued(_));
        self.take_answer(id, answer);
        if is_queued && !self.knows(id) {
            // It ended while the store was asked, and its cancel came to the queue before it did.
            store.cancel(&ticket);
        }
        Some(())
    }

    /// Whether a ticket is waited on, or was granted.
    fn knows(&self, ticket: u64) -> bool {
        let state = self.state.lock();
        let is_current = state.ticket.as_ref().is_some_and(|own| own.id() == ticket);
        is_current || state.granted.contains(&ticket)
    }

    /// Until when a store that is asked now is to answer. One that answers before it returns has no such time, however
    /// long the thread that asks is kept from running.
    fn answer_ns(&self, now_ns: u64) -> u64 {
        if self.pool.store.is_lossy() {
            now_ns.saturating_add(ANSWER.as_nanos() as u64)
        } else {
            u64::MAX
        }
    }

    fn claim(&self, mut state: MutexGuard<'_, State>, grant: Grant, now_ns: u64) -> Option<()> {
        let ticket = state.ticket.clone()?;
        state.phase = Phase::Claiming(grant.clone(), self.answer_ns(now_ns));
        self.plan(state);
        let id = ticket.id();
        let ticket: Arc<dyn Ticket> = ticket;
        let answer = self.pool.store.claim(&ticket, &grant)?;
        self.take_answer(id, answer);
        Some(())
    }

    /// Takes an answer for a ticket. Whether the owner should look.
    pub(super) fn take_answer(&self, ticket: u64, answer: Answer) -> bool {
        let mut state = self.state.lock();
        if state.granted.contains(&ticket) {
            return false; // said before, or overtaken by the grant
        }
        let is_current = state.ticket.as_ref().is_some_and(|own| own.id() == ticket);
        let now_ns = self.now_ns();
        match (&state.phase, answer) {
            (
                Phase::Asking(_)
                | Phase::Queued
                | Phase::Lapsed
                | Phase::Offered(..)
                | Phase::Claiming(..),
                Answer::Granted(grant),
            ) if is_current => {
                self.hold(state, ticket, grant, now_ns);
                true
            }
            (Phase::Asking(_) | Phase::Queued | Phase::Lapsed, Answer::Offered(grant))
                if is_current =>
            {
                // The answer that would have said so may be lost.
                state.queued_ns.get_or_insert(now_ns);
                state.phase = Phase::Offered(grant, lapse_at(now_ns));
                self.plan(state);
                true
            }
            // The offer that stands, once more.
            (Phase::Offered(..) | Phase::Claiming(..), Answer::Offered(_)) if is_current => false,
            (Phase::Asking(_) | Phase::Claiming(..), Answer::Queued(position)) if is_current => {
                state.phase = Phase::Queued;
                state.position = position;
                state.queued_ns.get_or_insert(now_ns);
                if self.pool.store.is_lossy() {
                    state.ask_again_after(now_ns);
                }
                self.plan(state);
                true
            }
            (
                Phase::Asking(_) | Phase::Queued | Phase::Lapsed | Phase::Claiming(..),
                Answer::Refused(refused),
            ) if is_current => {
                self.end(state, End::refused(refused));
                true
            }
            (Phase::Asking(_) | Phase::Queued | Phase::Claiming(..), Answer::Failed(cause))
                if is_current =>
            {
                self.end(state, End::failed(cause));
                true
            }
            (_, Answer::Granted(grant)) if !is_current => {
                drop(state);
                // Nobody awaits it.
                grant.give_back();
                false
            }
            _ => false,
        }
    }

    /// One more key is held.
    fn hold(&self, mut state: MutexGuard<'_, State>, ticket: u64, grant: Grant, now_ns: u64) {
        let waited = state.queued_ns.take();
        let stage = state.held.len();
        state.granted.push(ticket);
        state.held.push(grant);
        let ticket = state.ticket.take();
        state.phase = Phase::Ready;
        self.plan(state);
        drop(ticket);
        if let (Some(since_ns), Some(ask)) = (waited, self.asks.get(stage)) {
            let waited = Duration::from_nanos(now_ns.saturating_sub(since_ns));
            let key = ask.as_ask().key;
            self.pool.store.note(key, Note::Waited(waited));
        }
    }

    /// An offer, under the store's lock. `false` if nobody waits for it.
    pub(super) fn offer(&self, ticket: u64, grant: &Grant) -> bool {
        let mut state = self.state.lock();
        let is_current = state.ticket.as_ref().is_some_and(|own| own.id() == ticket);
        if !is_current || !matches!(state.phase, Phase::Asking(_) | Phase::Queued) {
            return false;
        }
        let now_ns = self.now_ns();
        // An answer that would have said so is old news now.
        state.queued_ns.get_or_insert(now_ns);
        state.phase = Phase::Offered(grant.clone(), lapse_at(now_ns));
        self.put_on_agenda(&mut state);
        true
    }

    /// The store wants an offer back, under its lock. `false` if it was taken, or is not there.
    pub(super) fn take_back(&self, ticket: u64, grant: &Grant) -> bool {
        let mut state = self.state.lock();
        let is_current = state.ticket.as_ref().is_some_and(|own| own.id() == ticket);
        match &state.phase {
            Phase::Offered(offered, _) if is_current && offered.is(grant) => {
                state.phase = Phase::Lapsed;
                self.put_on_agenda(&mut state);
                true
            }
            _ => false,
        }
    }

    /// The owner gives up. Nothing if the wait is over; a slot that was granted and not handed out is given back.
    pub(super) fn cancel(&self, cause: Option<Error>) {
        let state = self.state.lock();
        if matches!(state.phase, Phase::Ending | Phase::Ended(_) | Phase::Told) {
            return;
        }
        let end = End {
            cause,
            ..End::of(Outcome::Cancelled)
        };
        self.end(state, end);
    }

    /// Ends the wait: decided under the lock, cleared up without it.
    fn end(&self, mut state: MutexGuard<'_, State>, end: End) {
        let offered = match std::mem::replace(&mut state.phase, Phase::Ending) {
            Phase::Offered(grant, _) | Phase::Claiming(grant, _) => Some(grant),
            _ => None,
        };
        let was_asked_again = state.backoff.attempt() > 1 || state.queued_ns.is_some();
        let leftover = Leftover {
            may_stand: self.pool.store.is_lossy() && was_asked_again,
            ticket: state.ticket.take(),
            offered,
            held: std::mem::take(&mut state.held),
            entry: state.entry.take(),
            end,
        };
        let pings = state.pings;
        drop(state);
        let refusal = self.clear_up(leftover, pings);
        self.state.lock().phase = Phase::Ended(refusal);
        self.wake();
    }

    fn clear_up(&self, leftover: Leftover, pings: u32) -> Refusal {
        let Leftover {
            ticket,
            may_stand,
            offered,
            held,
            entry,
            end,
        } = leftover;
        let agenda = &self.pool.shared.agenda;
        drop(entry.and_then(|entry| agenda.remove(entry)));
        let stage = held.len().min(self.asks.len().saturating_sub(1));
        let (mut standing, mut position) = (Standing::default(), 0);
        if let Some(refused) = &end.refused {
            standing = refused.standing;
        }
        if let Some(ticket) = ticket.filter(|_| end.refused.is_none() || may_stand) {
            let asked: Arc<dyn Ticket> = ticket.clone();
            match self.pool.store.cancel(&asked) {
                Some(Answer::Cancelled(left, was)) => (standing, position) = (left, was),
                _ => Undo::begin(&self.pool, ticket),
            }
        }
        if let Some(offered) = offered {
            offered.give_back();
        }
        for grant in held.iter().rev() {
            grant.give_back();
        }
        let ask = self.asks.get(stage).map(OwnedAsk::as_ask);
        let scope = match (&end.refused, ask) {
            (Some(refused), _) => refused.scope.clone(),
            (None, Some(ask)) => ask.key.scope.into(),
            (None, None) => "".into(),
        };
        if let Some(ask) = ask {
            self.pool.store.note(ask.key, Note::Ended(end.outcome));
        }
        let waited = Duration::from_nanos(self.now_ns().saturating_sub(self.begun_ns));
        Refusal {
            position,
            waited,
            pings,
            cause: end.cause.map(Box::new),
            ..Refusal::new(end.outcome, scope, standing)
        }
    }

    /// Tells the owner to look. Never under a lock.
    pub(super) fn wake(&self) {
        std::task::Wake::wake_by_ref(&self.source);
        // The agenda may have been written to under a lock.
        if let Err(cause) = self.pool.shared.agenda.arm() {
            self.fail(cause);
        }
    }

    /// No timer can be set: the wait cannot go on.
    #[cold]
    fn fail(&self, cause: Error) {
        let state = self.state.lock();
        if matches!(
            state.phase,
            Phase::Asking(_) | Phase::Queued | Phase::Lapsed
        ) {
            self.end(state, End::failed(cause));
        }
    }

    /// Puts what is due next on the agenda, and unlocks.
    fn plan(&self, mut state: MutexGuard<'_, State>) {
        self.put_on_agenda(&mut state);
        drop(state);
        if let Err(cause) = self.pool.shared.agenda.arm() {
            self.fail(cause);
        }
    }

    /// Puts what is due next on the agenda; [`super::agenda::Agenda::arm`] follows without the lock.
    fn put_on_agenda(&self, state: &mut State) {
        let agenda = &self.pool.shared.agenda;
        let due = state.due(self.deadline_ns, self.ping_every_ns.is_some());
        if let Some((at_ns, class, _)) = state.entry {
            if due == Some((at_ns, class)) {
                return;
            }
            // What it held is this wait, of which the caller holds a reference.
            drop(state.entry.take().and_then(|entry| agenda.remove(entry)));
        }
        if let Some((at_ns, class)) = due.filter(|(at_ns, _)| *at_ns < u64::MAX)
            && let Some(this) = self.this.upgrade()
        {
            state.entry = Some(agenda.add(at_ns, class, this));
        }
    }

    /// Asks a store again whose answers can get lost: the ticket and its number stay.
    fn poll(&self, mut state: MutexGuard<'_, State>, now_ns: u64) {
        state.ask_again_after(now_ns);
        let claimed = match &state.phase {
            Phase::Claiming(grant, _) => Some(grant.clone()),
            _ => None,
        };
        let ticket = state.ticket.clone();
        self.plan(state);
        let Some(ticket) = ticket else { return };
        let id = ticket.id();
        let ticket: Arc<dyn Ticket> = ticket;
        let store = &self.pool.store;
        let answer = match claimed {
            Some(grant) => store.claim(&ticket, &grant),
            None => store.acquire(&ticket),
        };
        if answer.is_some_and(|answer| self.take_answer(id, answer)) {
            self.wake();
        }
    }

    /// An offer was not taken in time.
    fn lapse(&self, state: MutexGuard<'_, State>, grant: &Grant) {
        let ticket = state.ticket.clone();
        drop(state);
        let Some(ticket) = ticket else { return };
        let id = ticket.id();
        let ticket: Arc<dyn Ticket> = ticket;
        self.pool.store.lapse(&ticket, grant);
        // A store that is far away lets its offers lapse by itself, and asks nobody for them.
        self.take_back(id, grant);
    }
}

impl State {
    fn ask_again_after(&mut self, now_ns: u64) {
        let delay_ns = u64::try_from(self.backoff.next_delay().as_nanos()).unwrap_or(u64::MAX);
        self.poll_ns = now_ns.saturating_add(delay_ns);
    }

    /// What is due next in this phase.
    fn due(&self, deadline_ns: u64, pings: bool) -> Option<(u64, Class)> {
        let deadline = (deadline_ns, Class::Deadline);
        let poll = (self.poll_ns, Class::Poll);
        match &self.phase {
            Phase::Offered(_, lapse_ns) => Some((*lapse_ns, Class::Offer)),
            Phase::Asking(answer_ns) => Some(deadline.min((*answer_ns, Class::Deadline)).min(poll)),
            Phase::Claiming(_, answer_ns) => Some((*answer_ns, Class::Deadline).min(poll)),
            Phase::Lapsed => Some(deadline),
            Phase::Queued => {
                let ping = match self.ping {
                    Ping::DueAt(due_ns) if pings => (due_ns, Class::Ping),
                    _ => deadline,
                };
                Some(deadline.min(ping).min(poll))
            }
            Phase::Ready | Phase::Granted | Phase::Ending | Phase::Ended(_) | Phase::Told => None,
        }
    }
}

impl Due for WaitCore {
    fn fire(self: Arc<Self>, entry: Entry) {
        self.pool.shared.reap_leaks();
        let mut state = self.state.lock();
        if state.entry != Some(entry) {
            return; // planned anew since it was taken off the agenda
        }
        state.entry = None;
        let now_ns = self.now_ns();
        let is_late = now_ns >= self.deadline_ns;
        match &state.phase {
            Phase::Offered(grant, lapse_ns) if now_ns >= *lapse_ns => {
                let grant = grant.clone();
                self.lapse(state, &grant);
            }
            Phase::Asking(_) | Phase::Queued | Phase::Lapsed if is_late => {
                self.end(state, End::of(Outcome::TimedOut));
            }
            Phase::Asking(answer_ns) | Phase::Claiming(_, answer_ns) if now_ns >= *answer_ns => {
                self.end(state, End::failed(no_answer()));
            }
            Phase::Queued
                if matches!(state.ping, Ping::DueAt(due_ns) if due_ns <= now_ns)
                    && self.ping_every_ns.is_some() =>
            {
                state.ping = Ping::Due;
                self.put_on_agenda(&mut state);
                drop(state);
                self.wake();
            }
            Phase::Asking(_) | Phase::Queued | Phase::Claiming(..) if now_ns >= state.poll_ns => {
                self.poll(state, now_ns);
            }
            _ => self.put_on_agenda(&mut state), // armed anew by whoever fires
        }
    }
}

fn lapse_at(now_ns: u64) -> u64 {
    now_ns.saturating_add(CLAIM.as_nanos() as u64)
}

fn no_answer() -> Error {
    Error::fixed(
        ErrorKind::Timeout,
        "store",
        "the store did not answer in time",
    )
}
