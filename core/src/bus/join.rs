//! Subscribing in steps, for hosts that must not block.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use super::audience::{Entry, Membership};
use super::bus::Core;
use super::subscribe::Plan;
use super::subscription::Subscription;
use crate::bell::{Bell, Source};
use crate::error::{Error, ErrorKind, Result};

/// A subscription that is being made: it waits while its audience is being cleaned up.
///
/// A future (on any runtime), a blocking [`Join::wait`], or [`Join::try_finish`] on a bell. Ends with
/// [`ErrorKind::AudienceBusy`] at its deadline, and with [`ErrorKind::Closed`] if the bus closes. Dropped
/// before it ended, it has joined nothing.
#[must_use = "nothing is subscribed before this is awaited or waited for"]
pub struct Join {
    core: Arc<Core>,
    plan: Plan,
    state: State,
    source: Arc<Source>,
}

enum State {
    Entering(Entry),
    Free,
    Done,
}

impl Join {
    pub(super) fn new(core: Arc<Core>, plan: Plan, entry: Option<Entry>) -> Self {
        let state = entry.map_or(State::Free, State::Entering);
        Self {
            core,
            plan,
            state,
            source: Source::new(),
        }
    }

    /// Waits for the answer, blocking.
    pub fn wait(mut self) -> Result<Subscription> {
        self.core.generation.check()?;
        match std::mem::replace(&mut self.state, State::Done) {
            State::Entering(entry) => {
                let membership = entry.wait()?;
                self.core.open(&self.plan, Some(membership))
            }
            State::Free => self.core.open(&self.plan, None),
            State::Done => Err(done()),
        }
    }

    /// The answer, if it is there; `None` while the audience is being cleaned up, after which an attached bell
    /// rings. After an answer: [`ErrorKind::InvalidArgument`].
    pub fn try_finish(&mut self) -> Option<Result<Subscription>> {
        let waker = Waker::from(self.source.clone());
        match self.step(&waker) {
            Poll::Ready(answer) => Some(answer),
            Poll::Pending => None,
        }
    }

    /// Rings `bell` under `token` when it is worth to try again.
    pub fn attach(&self, bell: &Bell, token: u64) {
        if self.core.generation.is_current() {
            self.source.attach(bell, token);
        }
    }

    fn step(&mut self, waker: &Waker) -> Poll<Result<Subscription>> {
        if let Err(error) = self.core.generation.check() {
            return Poll::Ready(Err(error));
        }
        let membership: Option<Membership> = match &mut self.state {
            State::Entering(entry) => match entry.poll(waker) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(membership)) => Some(membership),
                Poll::Ready(Err(error)) => {
                    self.state = State::Done;
                    return Poll::Ready(Err(error));
                }
            },
            State::Free => None,
            State::Done => return Poll::Ready(Err(done())),
        };
        self.state = State::Done;
        Poll::Ready(self.core.open(&self.plan, membership))
    }
}

fn done() -> Error {
    Error::fixed(
        ErrorKind::InvalidArgument,
        "join",
        "it has given its answer already",
    )
}

impl Future for Join {
    type Output = Result<Subscription>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.step(cx.waker())
    }
}

impl Drop for Join {
    fn drop(&mut self) {
        if self.core.generation.is_current() {
            self.source.detach();
        } else if let State::Entering(entry) = std::mem::replace(&mut self.state, State::Done) {
            std::mem::forget(entry); // a forked child: its lock may be held by nobody who exists
        }
    }
}
