//! A newcomer on its way into an audience.

use std::sync::Arc;
use std::task::{Poll, Waker};

use super::membership::{Membership, Seat};
use super::parker::Parker;
use super::registry::{Registry, Step};
use super::row::Ticket;
use crate::error::{Error, ErrorKind, Result};
use crate::time::TimerHandle;

/// A newcomer: polled, or waited for. Dropping it gives up; it has then joined nothing.
#[must_use = "a newcomer joins only when it is polled or waited for"]
pub(crate) struct Entry {
    registry: Arc<Registry>,
    name: Arc<str>,
    deadline_ns: u64,
    /// Its place in line, while it has one.
    ticket: Option<Ticket>,
    /// Wakes it when it should look again.
    timer: Option<TimerHandle>,
    answered: bool,
}

impl Entry {
    pub(super) const fn new(registry: Arc<Registry>, name: Arc<str>, deadline_ns: u64) -> Self {
        Self {
            registry,
            name,
            deadline_ns,
            ticket: None,
            timer: None,
            answered: false,
        }
    }

    /// One look: joins if no guard is out and it is this newcomer's turn. Never blocks. After
    /// `Pending`, `waker` is woken, from any thread, when another look may help and at the deadline at
    /// the latest; the last waker given counts.
    ///
    /// An audience that can be joined is joined even past the deadline. Errors, after which nothing
    /// was joined: `AudienceBusy` at the deadline, `Closed` once the bus is closed, `Forked` in
    /// a child, `System` if a timer was needed and its thread could not be started, `InvalidArgument`
    /// if this newcomer has had its answer.
    pub(crate) fn poll(&mut self, waker: &Waker) -> Poll<Result<Membership>> {
        if let Err(forked) = self.registry.check_fork() {
            return self.answer(Err(forked));
        }
        if self.answered {
            return Poll::Ready(Err(Error::fixed(
                ErrorKind::InvalidArgument,
                "audience",
                "this newcomer has had its answer; enter anew",
            )));
        }
        let step = self
            .registry
            .join(&self.name, self.ticket, self.deadline_ns, waker.clone());
        match step {
            Step::Joined { first } => {
                let seat = Seat::new(self.registry.clone(), self.name.clone());
                self.answer(Ok(Membership::new(seat, first)))
            }
            Step::Refused(refused) => self.answer(Err(refused)),
            Step::InLine { ticket, look_ns } => {
                self.ticket = Some(ticket);
                match self.registry.clock.schedule(look_ns, waker.clone()) {
                    Ok(timer) => {
                        self.timer = Some(timer);
                        Poll::Pending
                    }
                    Err(refused) => {
                        self.registry.give_up(&self.name, ticket);
                        self.answer(Err(refused))
                    }
                }
            }
        }
    }

    /// Blocks the calling thread until it has joined or has been refused, the deadline at the latest.
    /// Errors as [`Entry::poll`].
    pub(crate) fn wait(mut self) -> Result<Membership> {
        let parker = Parker::new();
        let waker = Waker::from(parker.clone());
        loop {
            match self.poll(&waker) {
                Poll::Ready(answer) => return answer,
                Poll::Pending => parker.park(),
            }
        }
    }

    fn answer(&mut self, answer: Result<Membership>) -> Poll<Result<Membership>> {
        self.answered = true;
        self.ticket = None;
        self.timer = None;
        Poll::Ready(answer)
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            self.registry.give_up(&self.name, ticket);
        }
    }
}
