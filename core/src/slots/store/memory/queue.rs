//! Those who wait for one key, first come first.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::slots::store::Ticket;

/// A queue, by the order in which its tickets were taken.
#[derive(Default)]
pub(super) struct Queue {
    waiters: BTreeMap<u64, Waiter>,
    last: u64,
    /// How many of them get offers.
    awake: u32,
}

struct Waiter {
    ticket: Arc<dyn Ticket>,
    /// An offer lapsed and the owner has not looked since: gets no other.
    is_dormant: bool,
}

impl Queue {
    #[inline]
    pub(super) fn len(&self) -> u32 {
        self.waiters.len() as u32
    }

    /// Whether anybody in it gets offers: then a newcomer does not overtake.
    #[inline]
    pub(super) const fn is_awake(&self) -> bool {
        self.awake > 0
    }

    /// How many of them get no offers.
    pub(super) fn dormant(&self) -> u32 {
        self.len() - self.awake
    }

    /// Since when the first has waited.
    #[inline]
    pub(super) fn oldest_ns(&self) -> Option<u64> {
        let (_, first) = self.waiters.first_key_value()?;
        Some(first.ticket.begun_ns())
    }

    /// Adds a newcomer at the end.
    pub(super) fn join(&mut self, ticket: &Arc<dyn Ticket>) {
        self.last += 1;
        ticket.set_order(self.last);
        let waiter = Waiter {
            ticket: ticket.clone(),
            is_dormant: false,
        };
        self.waiters.insert(self.last, waiter);
        self.awake += 1;
    }

    /// Puts a ticket whose offer lapsed back where it was.
    pub(super) fn put_back(&mut self, ticket: &Arc<dyn Ticket>) {
        let waiter = Waiter {
            ticket: ticket.clone(),
            is_dormant: true,
        };
        self.waiters.insert(ticket.order(), waiter);
    }

    /// The owner of a ticket looks again. `false` if the ticket is not here.
    pub(super) fn wake(&mut self, ticket: &Arc<dyn Ticket>) -> bool {
        match self.waiters.get_mut(&ticket.order()) {
            Some(waiter) if waiter.ticket.id() == ticket.id() => {
                if std::mem::take(&mut waiter.is_dormant) {
                    self.awake += 1;
                }
                true
            }
            _ => false,
        }
    }

    /// Where a ticket stands, from 1; 0 if it is not here.
    pub(super) fn position(&self, ticket: &Arc<dyn Ticket>) -> u32 {
        match self.waiters.get(&ticket.order()) {
            Some(waiter) if waiter.ticket.id() == ticket.id() => {
                self.waiters.range(..ticket.order()).count() as u32 + 1
            }
            _ => 0,
        }
    }

    /// Takes a ticket out; where it stood, 0 if it was not here.
    pub(super) fn leave(&mut self, ticket: &Arc<dyn Ticket>) -> u32 {
        let position = self.position(ticket);
        if position > 0
            && let Some(waiter) = self.waiters.remove(&ticket.order())
            && !waiter.is_dormant
        {
            self.awake -= 1;
        }
        position
    }

    /// Takes out the first who gets offers.
    pub(super) fn next(&mut self) -> Option<Arc<dyn Ticket>> {
        if self.awake == 0 {
            return None;
        }
        let mut waiters = self.waiters.iter();
        let (&order, _) = waiters.find(|(_, waiter)| !waiter.is_dormant)?;
        let waiter = self.waiters.remove(&order)?;
        self.awake -= 1;
        Some(waiter.ticket)
    }

    /// Takes everybody out.
    pub(super) fn drain(&mut self) -> Vec<Arc<dyn Ticket>> {
        self.awake = 0;
        let waiters = std::mem::take(&mut self.waiters);
        waiters.into_values().map(|waiter| waiter.ticket).collect()
    }
}
