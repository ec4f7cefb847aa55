//! What a wait is offered, and what is due: offers that lapse, deadlines, pings, polls.

use std::sync::Arc;

use super::ending::End;
use super::state::{Phase, Ping, State};
use super::{WaitCore, lapse_at};
use crate::slots::agenda::{Due, Entry};
use crate::slots::outcome::Outcome;
use crate::slots::reply::late;
use crate::slots::step::Step;
use crate::slots::store::{Grant, Ticket};
use crate::sync::MutexGuard;

impl WaitCore {
    /// An offer, under the store's lock. `false` if nobody waits for it.
    pub(in crate::slots) fn offer(&self, ticket: u64, grant: &Grant) -> bool {
        let mut state = self.state.lock();
        let is_current = state.is_current(ticket);
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
    pub(in crate::slots) fn take_back(&self, ticket: u64, grant: &Grant) -> bool {
        let mut state = self.state.lock();
        let is_current = state.is_current(ticket);
        match &state.phase {
            Phase::Offered(offered, _) if is_current && offered.is(grant) => {
                state.phase = Phase::Lapsed;
                self.put_on_agenda(&mut state);
                true
            }
            _ => false,
        }
    }

    /// The host is back from writing a ping, if it was away.
    pub(super) fn come_back(&self, state: &mut State, now_ns: u64) {
        if let (Ping::Written, Some(every_ns)) = (&state.ping, self.ping_every_ns) {
            state.pings += 1;
            state.ping = Ping::DueAt(now_ns.saturating_add(every_ns));
            self.put_on_agenda(state);
        }
    }

    /// The owner looks, and waits on.
    pub(super) fn look_for_ping(
        &self,
        mut state: MutexGuard<'_, State>,
        now_ns: u64,
    ) -> Option<Step> {
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

    /// Tells the owner to look. Never under a lock.
    pub(in crate::slots) fn wake(&self) {
        std::task::Wake::wake_by_ref(&self.source);
        // The agenda may have been written to under a lock.
        if let Err(cause) = self.pool.shared.agenda.arm() {
            self.fail(cause);
        }
    }

    /// Puts what is due next on the agenda, and unlocks.
    pub(super) fn plan(&self, mut state: MutexGuard<'_, State>) {
        self.put_on_agenda(&mut state);
        drop(state);
        if let Err(cause) = self.pool.shared.agenda.arm() {
            self.fail(cause);
        }
    }

    /// Puts what is due next on the agenda; [`super::agenda::Agenda::arm`] follows without the lock.
    pub(super) fn put_on_agenda(&self, state: &mut State) {
        let agenda = &self.pool.shared.agenda;
        let due = state.due(
            self.deadline_ns,
            self.ping_every_ns.is_some(),
            self.asks.len(),
        );
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
            Phase::Ready if is_late && state.holds_a_part(self.asks.len()) => {
                self.end(state, End::of(Outcome::TimedOut));
            }
            Phase::Asking(answer_ns) | Phase::Claiming(_, answer_ns) if now_ns >= *answer_ns => {
                self.end(state, End::failed(late()));
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
