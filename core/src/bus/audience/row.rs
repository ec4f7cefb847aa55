//! One audience: its members, its guard, its line. Pure state, under the registry's lock.

use std::collections::BTreeMap;
use std::task::Waker;

use super::TURN_NS;

/// Names one newcomer in line, or one taking of the guard. Never given twice by a registry, so that
/// an owner who comes too late is told from the one who followed.
pub(in crate::bus) type Ticket = u64;

/// The cleanup guard that is out.
pub(super) struct Out {
    pub(super) owner: Ticket,
    /// From then on it is not in force.
    pub(super) limit_ns: u64,
}

/// The state of one audience. A row with no members, no guard and no line is removed.
#[derive(Default)]
pub(super) struct Row {
    pub(super) members: usize,
    pub(super) guard: Option<Out>,
    /// Since when the head of the line has had its turn to be first. Goes with no members, no guard.
    turn_since_ns: u64,
    /// Newcomers in order of arrival. No waker: it was woken and has not looked since.
    line: BTreeMap<Ticket, Option<Waker>>,
}

impl Row {
    /// Ends a guard that is over its limit.
    pub(super) fn settle(&mut self, now_ns: u64, wakers: &mut Vec<Waker>) {
        if self
            .guard
            .as_ref()
            .is_some_and(|out| now_ns >= out.limit_ns)
        {
            self.reopen(now_ns, wakers);
        }
    }

    /// No guard is out any more: the head of the line has its turn from now on, and everybody in
    /// line shall look again.
    pub(super) fn reopen(&mut self, now_ns: u64, wakers: &mut Vec<Waker>) {
        self.guard = None;
        self.turn_since_ns = now_ns;
        self.rouse(wakers);
    }

    /// Moves the wakers of everybody in line to `wakers`, to be woken after unlocking.
    pub(super) fn rouse(&mut self, wakers: &mut Vec<Waker>) {
        wakers.extend(self.line.values_mut().filter_map(Option::take));
    }

    /// Whether the newcomer with `ticket` (none: it has just come) may join now.
    pub(super) fn admits(&self, ticket: Option<Ticket>, now_ns: u64) -> bool {
        if self.guard.is_some() {
            return false;
        }
        match self.line.first_key_value() {
            // Whoever is not the first of an audience need not wait for its turn.
            _ if self.members > 0 => true,
            None => true,
            Some((head, _)) => {
                ticket == Some(*head) || now_ns >= self.turn_since_ns.saturating_add(TURN_NS)
            }
        }
    }

    /// When somebody in line should look again, if nobody wakes it before.
    pub(super) fn next_look_ns(&self) -> u64 {
        match &self.guard {
            Some(out) => out.limit_ns,
            None => self.turn_since_ns.saturating_add(TURN_NS),
        }
    }

    /// Puts `ticket` in line, or gives it a new waker; the old one is for the caller to drop, unlocked.
    pub(super) fn queue(&mut self, ticket: Ticket, waker: Waker) -> Option<Waker> {
        self.line.insert(ticket, Some(waker)).flatten()
    }

    /// Takes `ticket` out of line; its own waker is for the caller to drop, unlocked. If it was its
    /// turn, the others look again: they join after it, or the next one's turn begins.
    pub(super) fn unqueue(
        &mut self,
        ticket: Ticket,
        now_ns: u64,
        wakers: &mut Vec<Waker>,
    ) -> Option<Waker> {
        let head = self.line.first_key_value().map(|(head, _)| *head);
        let own = self.line.remove(&ticket).flatten();
        if head == Some(ticket) && self.guard.is_none() {
            self.reopen(now_ns, wakers);
        }
        own
    }

    /// How many newcomers stand in line.
    #[cfg(test)]
    pub(super) fn line_len(&self) -> usize {
        self.line.len()
    }

    /// Whether nothing is left of this audience.
    pub(super) fn is_idle(&self) -> bool {
        self.members == 0 && self.guard.is_none() && self.line.is_empty()
    }
}
