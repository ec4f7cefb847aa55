//! What a wait's lock guards.

use std::sync::Arc;

use arrayvec::ArrayVec;

use crate::slots::agenda::{Class, Entry};
use crate::slots::ask::MAX_KEYS;
use crate::slots::backoff::Backoff;
use crate::slots::outcome::Refusal;
use crate::slots::store::{Grant, Grants, Ticket};
use crate::slots::ticket::StageTicket;
use crate::time::nanos;

pub(super) struct State {
    pub(super) phase: Phase,
    /// The ticket of the key that is asked for.
    pub(super) ticket: Option<Arc<StageTicket>>,
    /// Tickets that were granted: whatever else is said of them is old.
    pub(super) granted: ArrayVec<u64, MAX_KEYS>,
    pub(super) held: Grants,
    pub(super) ping: Ping,
    pub(super) pings: u32,
    /// When it joined the queue of the key that is asked for.
    pub(super) queued_ns: Option<u64>,
    /// Where in that queue, when last heard of.
    pub(super) position: u32,
    /// When to ask a store again whose answers can get lost, and how long after that.
    pub(super) poll_ns: u64,
    pub(super) backoff: Backoff,
    pub(super) entry: Option<Entry>,
}

pub(super) enum Phase {
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

pub(super) enum Ping {
    /// The host is away, writing one.
    Written,
    /// Due then.
    DueAt(u64),
    /// Due, and not told yet.
    Due,
}

impl State {
    pub(super) fn new(first_ping_ns: u64) -> Self {
        Self {
            phase: Phase::Ready,
            ticket: None,
            granted: ArrayVec::new(),
            held: Grants::new(),
            ping: Ping::DueAt(first_ping_ns),
            pings: 0,
            queued_ns: None,
            position: 0,
            poll_ns: u64::MAX,
            backoff: Backoff::exact(),
            entry: None,
        }
    }

    pub(super) fn ask_again_after(&mut self, now_ns: u64) {
        let delay_ns = nanos(self.backoff.next_delay());
        self.poll_ns = now_ns.saturating_add(delay_ns);
    }

    /// Whether it is this ticket that is asked for now.
    pub(super) fn is_current(&self, ticket: u64) -> bool {
        self.ticket.as_ref().is_some_and(|own| own.id() == ticket)
    }

    /// Whether some keys are held, and not all.
    pub(super) fn holds_a_part(&self, keys: usize) -> bool {
        (1..keys).contains(&self.held.len())
    }

    /// What is due next in this phase of a wait for so many keys.
    pub(super) fn due(&self, deadline_ns: u64, pings: bool, keys: usize) -> Option<(u64, Class)> {
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
            // A part that is held while nobody looks, and so nobody asks for the rest.
            Phase::Ready if self.holds_a_part(keys) => Some(deadline),
            Phase::Ready | Phase::Granted | Phase::Ending | Phase::Ended(_) | Phase::Told => None,
        }
    }
}
