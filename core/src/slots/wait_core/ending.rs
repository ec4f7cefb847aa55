//! Ending a wait: decided under its lock, cleared up without it.

use std::sync::Arc;
use std::time::Duration;

use super::WaitCore;
use super::state::{Phase, State};
use crate::error::Error;
use crate::slots::agenda::Entry;
use crate::slots::ask::OwnedAsk;
use crate::slots::outcome::{Outcome, Refusal, Standing};
use crate::slots::store::{Answer, Grant, Grants, Note, Refused, Ticket};
use crate::slots::ticket::StageTicket;
use crate::slots::undo::Undo;
use crate::sync::MutexGuard;

/// How a wait is to end.
pub(super) struct End {
    pub(super) outcome: Outcome,
    pub(super) cause: Option<Error>,
    /// From the store, if it refused.
    pub(super) refused: Option<Refused>,
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
    pub(super) fn of(outcome: Outcome) -> Self {
        Self {
            outcome,
            cause: None,
            refused: None,
        }
    }

    pub(super) fn failed(cause: Error) -> Self {
        Self {
            outcome: Outcome::StoreUnavailable,
            cause: Some(cause),
            refused: None,
        }
    }

    pub(super) fn refused(refused: Refused) -> Self {
        Self {
            outcome: refused.outcome,
            cause: refused.cause.clone(),
            refused: Some(refused),
        }
    }
}

impl WaitCore {
    /// The owner gives up. Nothing if the wait is over; a slot that was granted and not handed out is given back.
    pub(in crate::slots) fn cancel(&self, cause: Option<Error>) {
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
    pub(super) fn end(&self, mut state: MutexGuard<'_, State>, end: End) {
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
        let (ask, refusal) = self.clear_up(leftover, pings);
        if let Some(ask) = ask {
            let shared = &self.pool.shared;
            shared.tell_refused(ask.key.as_key(), &self.label, &refusal);
        }
        self.state.lock().phase = Phase::Ended(refusal);
        self.wake();
    }

    /// The key that it ends at, and what its owner is told.
    fn clear_up(&self, leftover: Leftover, pings: u32) -> (Option<&OwnedAsk>, Refusal) {
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
        let ask = self.asks.get(stage);
        let scope = match (&end.refused, ask) {
            (Some(refused), _) => refused.scope.clone(),
            (None, Some(ask)) => ask.key.as_key().scope.into(),
            (None, None) => "".into(),
        };
        if let Some(ask) = ask {
            self.pool
                .store
                .note(ask.key.as_key(), Note::Ended(end.outcome));
        }
        let waited = Duration::from_nanos(self.now_ns().saturating_sub(self.begun_ns));
        let refusal = Refusal {
            position,
            waited,
            pings,
            cause: end.cause.map(Box::new),
            ..Refusal::new(end.outcome, scope, standing)
        };
        (ask, refusal)
    }

    /// No timer can be set: the wait cannot go on.
    #[cold]
    pub(super) fn fail(&self, cause: Error) {
        let state = self.state.lock();
        let needs_timer = match state.phase {
            Phase::Asking(_) | Phase::Queued | Phase::Lapsed => true,
            Phase::Ready => state.holds_a_part(self.asks.len()),
            _ => false,
        };
        if needs_timer {
            self.end(state, End::failed(cause));
        }
    }
}
