//! All audiences behind one lock, and every step that changes one.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::task::Waker;

use super::membership::{Seat, SeatState};
use super::row::{Out, Row, Ticket};
use crate::error::{Error, ErrorKind, Result};
use crate::fork::Generation;
use crate::sync::Mutex;
use crate::time::Clock;

/// What a newcomer found.
pub(super) enum Step {
    /// It is a member from now on.
    Joined { first: bool },
    /// It stands in line under `ticket` and should look again at `look_ns` at the latest.
    InLine { ticket: Ticket, look_ns: u64 },
    /// It has joined nothing and stands in no line.
    Refused(Error),
}

/// The audiences of a bus. Its names are in a tree, which shrinks as they go, unlike a hash table.
pub(in crate::bus) struct Registry {
    pub(super) clock: Clock,
    born: Generation,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    rows: BTreeMap<Arc<str>, Row>,
    next_ticket: Ticket,
    closed: bool,
}

impl State {
    fn ticket(&mut self) -> Ticket {
        self.next_ticket += 1;
        self.next_ticket
    }

    /// Runs one step on the row of `name`, and removes the row if nothing is left of it. `None` if
    /// there is no such row.
    fn on_row<T>(&mut self, name: &str, step: impl FnOnce(&mut Row) -> T) -> Option<T> {
        let row = self.rows.get_mut(name)?;
        let outcome = step(row);
        if row.is_idle() {
            self.rows.remove(name);
        }
        Some(outcome)
    }
}

impl Registry {
    pub(super) fn new(clock: Clock) -> Self {
        Self {
            clock,
            born: Generation::current(),
            state: Mutex::new(State::default()),
        }
    }

    /// `Forked` in a child, where the lock must not be touched.
    pub(super) fn check_fork(&self) -> Result<()> {
        self.born.check()
    }

    pub(super) fn count(&self, name: &str) -> usize {
        if !self.born.is_current() {
            return 0;
        }
        let state = self.state.lock();
        state.rows.get(name).map_or(0, |row| row.members)
    }

    pub(super) fn close(&self) {
        if !self.born.is_current() {
            return;
        }
        let mut wakers = Vec::new();
        let mut state = self.state.lock();
        state.closed = true;
        for row in state.rows.values_mut() {
            row.rouse(&mut wakers);
        }
        drop(state);
        wake_all(wakers);
    }

    /// One look of a newcomer: joins, refuses, or (re)places `waker` in line. `ticket` is the one it
    /// got at an earlier look.
    pub(super) fn join(
        &self,
        name: &Arc<str>,
        ticket: Option<Ticket>,
        deadline_ns: u64,
        waker: Waker,
    ) -> Step {
        let now_ns = self.clock.now_ns();
        let mut unused = Some(waker);
        let mut wakers = Vec::new();
        let mut state = self.state.lock();
        if state.closed {
            drop(state);
            if let Some(ticket) = ticket {
                self.give_up(name, ticket);
            }
            return Step::Refused(Error::closed("audience"));
        }
        let fresh = state.ticket();
        let row = state.rows.entry(name.clone()).or_default();
        row.settle(now_ns, &mut wakers);
        let old;
        let step = if row.admits(ticket, now_ns) {
            old = ticket.and_then(|ticket| row.unqueue(ticket, now_ns, &mut wakers));
            let first = row.members == 0;
            row.members += 1;
            Step::Joined { first }
        } else if now_ns >= deadline_ns {
            old = ticket.and_then(|ticket| row.unqueue(ticket, now_ns, &mut wakers));
            Step::Refused(Error::fixed(
                ErrorKind::AudienceBusy,
                "audience",
                "the audience is being cleaned up, and was so until the deadline; nothing was joined",
            ))
        } else {
            let ticket = ticket.unwrap_or(fresh);
            let look_ns = row.next_look_ns().min(deadline_ns);
            old = unused.take().and_then(|waker| row.queue(ticket, waker));
            Step::InLine { ticket, look_ns }
        };
        drop(state);
        drop((old, unused));
        wake_all(wakers);
        step
    }

    /// A newcomer gives up its place in line.
    pub(super) fn give_up(&self, name: &str, ticket: Ticket) {
        if !self.born.is_current() {
            return;
        }
        let now_ns = self.clock.now_ns();
        let mut wakers = Vec::new();
        let mut state = self.state.lock();
        let own = state.on_row(name, |row| row.unqueue(ticket, now_ns, &mut wakers));
        drop(state);
        drop(own);
        wake_all(wakers);
    }

    /// Ends the membership of `seat`: whether it was the last, `None` if it has ended before.
    pub(super) fn leave(&self, seat: &Seat) -> Option<bool> {
        if !self.born.is_current() {
            return None;
        }
        let now_ns = self.clock.now_ns();
        let mut wakers = Vec::new();
        let mut state = self.state.lock();
        if seat.set(SeatState::Left) != SeatState::Live {
            return None;
        }
        let last = state.on_row(&seat.name, |row| {
            row.members = row.members.saturating_sub(1);
            let last = row.members == 0;
            if last {
                // Whoever is in line was woken to join this member, and is to be first instead.
                row.reopen(now_ns, &mut wakers);
            }
            last
        })?;
        drop(state);
        wake_all(wakers);
        Some(last)
    }

    /// The cleanup guard for `seat`, until `limit_ns`: its owner token, or `None` if `seat` is not
    /// that of the sole member.
    pub(super) fn take_guard(&self, seat: &Seat, limit_ns: u64) -> Option<Ticket> {
        if !self.born.is_current() {
            return None;
        }
        let mut state = self.state.lock();
        if seat.get() != SeatState::Live {
            return None;
        }
        let owner = state.ticket();
        // A live membership leaves no room for another's guard: nobody joins while one is out.
        let row = state.rows.get_mut(&*seat.name)?;
        if row.members != 1 || row.guard.is_some() {
            return None;
        }
        row.members = 0;
        row.guard = Some(Out { owner, limit_ns });
        seat.set(SeatState::Guarded);
        Some(owner)
    }

    /// Ends the guard of `owner`. With `give_back`, its membership lives again, if its subscription
    /// has not gone meanwhile. Whether that was done (`give_back`), or whether the guard was still in
    /// force (otherwise).
    pub(in crate::bus) fn end_guard(&self, seat: &Seat, owner: Ticket, give_back: bool) -> bool {
        if !self.born.is_current() {
            return false;
        }
        let now_ns = self.clock.now_ns();
        let mut wakers = Vec::new();
        let mut state = self.state.lock();
        let ended = state.on_row(&seat.name, |row| {
            // A guard over its limit may have been followed by members, and by another's guard.
            let limit_ns = row
                .guard
                .as_ref()
                .filter(|out| out.owner == owner)?
                .limit_ns;
            let in_force = now_ns < limit_ns;
            let back = give_back && in_force && seat.get() == SeatState::Guarded;
            if back {
                row.members = 1;
                seat.set(SeatState::Live);
            }
            row.reopen(now_ns, &mut wakers);
            Some(if give_back { back } else { in_force })
        });
        drop(state);
        wake_all(wakers);
        ended.flatten().unwrap_or(false)
    }

    /// How many audiences have a row.
    #[cfg(test)]
    pub(super) fn rows(&self) -> usize {
        self.state.lock().rows.len()
    }

    /// How many newcomers stand in the line of `name`.
    #[cfg(test)]
    pub(super) fn in_line(&self, name: &str) -> usize {
        let state = self.state.lock();
        state.rows.get(name).map_or(0, Row::line_len)
    }
}

fn wake_all(wakers: Vec<Waker>) {
    for waker in wakers {
        waker.wake();
    }
}
