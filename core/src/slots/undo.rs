//! Giving up a ticket of which a store does not say that it is given up.

use std::sync::Arc;

use super::agenda::{Class, Due, Entry};
use super::backoff::Backoff;
use super::pool::PoolCore;
use super::store::Ticket;
use super::ticket::StageTicket;
use crate::sync::Mutex;

/// Asks a store again and again to cancel a ticket, by a backoff, until it answers or the pool is closed.
pub(super) struct Undo {
    pool: Arc<PoolCore>,
    ticket: Arc<StageTicket>,
    backoff: Mutex<Backoff>,
}

impl Undo {
    /// The ticket has been cancelled once, without an answer so far.
    pub(super) fn begin(pool: &Arc<PoolCore>, ticket: Arc<StageTicket>) {
        let backoff = Backoff::seeded(ticket.id());
        let undo = Arc::new(Self {
            pool: pool.clone(),
            ticket,
            backoff: Mutex::new(backoff),
        });
        undo.plan();
        // Without a thread for timers it waits for the next wait that gets one.
        let _ = pool.shared.agenda.arm();
    }

    fn plan(self: Arc<Self>) {
        let shared = self.pool.shared.clone();
        let delay = self.backoff.lock().next_delay();
        let at_ns = shared.clock.deadline_after(delay);
        shared.agenda.add(at_ns, Class::Poll, self);
    }
}

impl Due for Undo {
    fn fire(self: Arc<Self>, _entry: Entry) {
        if self.ticket.is_undone() || self.pool.is_closed() {
            return;
        }
        let ticket: Arc<dyn Ticket> = self.ticket.clone();
        match self.pool.store.cancel(&ticket) {
            Some(_) => self.ticket.set_undone(),
            None => self.plan(),
        }
    }
}
