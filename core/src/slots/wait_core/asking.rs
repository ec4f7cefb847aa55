//! Asking the store, and taking what it answers, whenever and however often.

use std::sync::Arc;
use std::time::Duration;

use super::ending::End;
use super::state::{Phase, State};
use super::{ANSWER, WaitCore, lapse_at};
use crate::slots::backoff::Backoff;
use crate::slots::store::{Answer, Grant, Note, Ticket};
use crate::slots::ticket::StageTicket;
use crate::sync::MutexGuard;

impl WaitCore {
    /// Asks for the next key. `None` if the answer comes later.
    pub(super) fn ask_next(
        self: &Arc<Self>,
        mut state: MutexGuard<'_, State>,
        now_ns: u64,
    ) -> Option<()> {
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
    pub(super) fn ask_again(
        self: &Arc<Self>,
        mut state: MutexGuard<'_, State>,
        now_ns: u64,
    ) -> Option<()> {
        let Some(ticket) = state.ticket.clone() else {
            state.phase = Phase::Ready;
            return Some(());
        };
        self.send(state, ticket, now_ns)
    }

    pub(super) fn claim(
        &self,
        mut state: MutexGuard<'_, State>,
        grant: Grant,
        now_ns: u64,
    ) -> Option<()> {
        let ticket = state.ticket.clone()?;
        state.phase = Phase::Claiming(grant.clone(), self.answer_ns(now_ns));
        self.plan(state);
        let id = ticket.id();
        let ticket: Arc<dyn Ticket> = ticket;
        let answer = self.pool.store.claim(&ticket, &grant)?;
        self.take_answer(id, answer);
        Some(())
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
        state.is_current(ticket) || state.granted.contains(&ticket)
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

    /// Takes an answer for a ticket. Whether the owner should look.
    pub(in crate::slots) fn take_answer(&self, ticket: u64, answer: Answer) -> bool {
        let mut state = self.state.lock();
        if state.granted.contains(&ticket) {
            return false; // said before, or overtaken by the grant
        }
        let is_current = state.is_current(ticket);
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
        if self.pool.store.is_lossy() {
            self.plan(state);
        } else {
            drop(state); // whoever asked goes on at once, and nothing was planned
        }
        drop(ticket);
        if let (Some(since_ns), Some(ask)) = (waited, self.asks.get(stage)) {
            let waited = Duration::from_nanos(now_ns.saturating_sub(since_ns));
            let key = ask.as_ask().key;
            self.pool.store.note(key, Note::Waited(waited));
        }
    }

    /// Asks a store again whose answers can get lost: the ticket and its number stay.
    pub(super) fn poll(&self, mut state: MutexGuard<'_, State>, now_ns: u64) {
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
}
