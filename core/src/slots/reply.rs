//! An answer that may come later.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use crate::bell::{Bell, Parked, Source};
use crate::error::{Error, ErrorKind, Result};
use crate::sync::Mutex;
use crate::time::{Clock, Deadline};

/// The answer of a store to a question: from memory it is there at once, from another store it may come later.
///
/// A future on any runtime, or [`Reply::wait`]. Dropped, the question is forgotten; what it changed stays changed.
#[must_use = "a question to a store is answered in its reply"]
pub struct Reply<T>(State<T>);

#[cfg_attr(
    not(any(test, feature = "test-clock")),
    expect(dead_code, reason = "memory answers at once")
)]
enum State<T> {
    Here(Option<Result<T>>),
    Later(Arc<Later<T>>),
}

/// Where a later answer is put.
pub(super) struct Later<T> {
    answer: Mutex<Option<Result<T>>>,
    source: Arc<Source>,
    clock: Clock,
}

impl<T> Reply<T> {
    pub(super) fn here(answer: Result<T>) -> Self {
        Self(State::Here(Some(answer)))
    }

    /// A reply whose answer is still to come, and where to put it.
    #[cfg(any(test, feature = "test-clock"))]
    pub(super) fn later(clock: &Clock) -> (Self, Arc<Later<T>>) {
        let later = Arc::new(Later {
            answer: Mutex::new(None),
            source: Source::new(),
            clock: clock.clone(),
        });
        (Self(State::Later(later.clone())), later)
    }

    /// The answer, if it is there; it is given once.
    pub fn try_take(&mut self) -> Option<Result<T>> {
        match &mut self.0 {
            State::Here(answer) => Some(answer.take().unwrap_or_else(|| Err(taken()))),
            State::Later(later) => later.answer.lock().take(),
        }
    }

    /// Rings `bell` under `token` when the answer is there; the token is ready at once, so that nothing is missed.
    pub fn attach(&self, bell: &Bell, token: u64) {
        if let State::Later(later) = &self.0 {
            later.source.attach(bell, token);
        }
    }

    /// The answer; blocks for at most `timeout` if it is not there yet. `None` waits for ever.
    ///
    /// [`ErrorKind::Timeout`] when it does not come in time: then it is not known whether the question was heard.
    /// [`ErrorKind::StoreUnavailable`] if the store cannot answer.
    pub fn wait(self, timeout: Option<Duration>) -> Result<T> {
        let later = match self.0 {
            State::Here(answer) => return answer.unwrap_or_else(|| Err(taken())),
            State::Later(later) => later,
        };
        let deadline = Deadline::new(&later.clock, timeout);
        let _timer = deadline.timer(&later.clock, &later.source)?;
        loop {
            later.source.begin_park();
            if let Some(answer) = later.answer.lock().take() {
                return answer;
            }
            if deadline.has_passed(&later.clock)
                || later.source.park(deadline.instant()) == Parked::TimedOut
            {
                return later.answer.lock().take().unwrap_or_else(|| Err(late()));
            }
        }
    }
}

#[cfg(any(test, feature = "test-clock"))]
impl<T> Later<T> {
    /// Puts the answer there; the first counts.
    pub(super) fn put(&self, answer: Result<T>) {
        {
            let mut place = self.answer.lock();
            if place.is_some() {
                return;
            }
            *place = Some(answer);
        }
        self.source.mark_ready();
        self.source.wake_now();
    }
}

impl<T: Unpin> Future for Reply<T> {
    type Output = Result<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            State::Here(answer) => Poll::Ready(answer.take().unwrap_or_else(|| Err(taken()))),
            State::Later(later) => {
                // First say who waits, then look.
                later.source.wait_as_task(cx.waker());
                match later.answer.lock().take() {
                    Some(answer) => Poll::Ready(answer),
                    None => Poll::Pending,
                }
            }
        }
    }
}

/// A store did not answer in time.
pub(super) fn late() -> Error {
    Error::fixed(
        ErrorKind::Timeout,
        "store",
        "the store did not answer in time",
    )
}

fn taken() -> Error {
    Error::fixed(
        ErrorKind::InvalidArgument,
        "reply",
        "its answer was taken before",
    )
}
