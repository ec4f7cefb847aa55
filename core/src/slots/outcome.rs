//! How an acquire ends if it does not end with a slot.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::limit::Limit;
use super::load::Load;
use super::store::Refused;
use crate::error::{Error, ErrorKind};

/// How an acquire can end without a slot: a closed set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// There is no room, and the caller would not wait: a try, a timeout of zero, `max_waiting` 0, or limit 0.
    Busy,
    /// There is no room, and as many as may wait do.
    QueueFull,
    /// The time that the caller gave has passed.
    TimedOut,
    /// The caller gave up.
    Cancelled,
    /// The key or the pool was closed.
    Closed,
    /// The store could not answer.
    StoreUnavailable,
    /// The call is wrong; [`Refusal::cause`] says how.
    Invalid,
}

impl Outcome {
    /// The stable name of this outcome, in snake case, the same in every language.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Busy => "busy",
            Self::QueueFull => "queue_full",
            Self::TimedOut => "timed_out",
            Self::Cancelled => "cancelled",
            Self::Closed => "closed",
            Self::StoreUnavailable => "store_unavailable",
            Self::Invalid => "invalid",
        }
    }
}

/// Why there is no slot, and how the key that refused stood at that moment.
#[derive(Clone)]
pub struct Refusal {
    pub(super) outcome: Outcome,
    pub(super) scope: Arc<str>,
    pub(super) standing: Standing,
    pub(super) position: u32,
    pub(super) waited: Duration,
    pub(super) pings: u32,
    pub(super) cause: Option<Box<Error>>,
}

/// How a key stands.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Standing {
    pub(super) limit: Option<Limit>,
    pub(super) in_use: u32,
    pub(super) waiting: u32,
    pub(super) mean_hold: Option<Duration>,
}

impl Refusal {
    pub(super) fn new(outcome: Outcome, scope: Arc<str>, standing: Standing) -> Self {
        Self {
            outcome,
            scope,
            standing,
            position: 0,
            waited: Duration::ZERO,
            pings: 0,
            cause: None,
        }
    }

    /// The call, or its key of this scope, is wrong.
    pub(super) fn invalid(scope: &str, cause: Error) -> Self {
        Self {
            cause: Some(Box::new(cause)),
            ..Self::new(Outcome::Invalid, scope.into(), Standing::default())
        }
    }

    /// The caller gave up a slot that it had not looked at. How the key stood is told without that slot.
    pub(super) fn cancelled(scope: &str, load: Load, cause: Option<Error>) -> Self {
        let standing = Standing {
            limit: load.limit,
            in_use: load.in_use.saturating_sub(1),
            waiting: load.waiting,
            mean_hold: None,
        };
        Self {
            cause: cause.map(Box::new),
            ..Self::new(Outcome::Cancelled, scope.into(), standing)
        }
    }

    /// The store did not answer.
    pub(super) fn unavailable(scope: &str, cause: Error) -> Self {
        Self {
            outcome: Outcome::StoreUnavailable,
            ..Self::invalid(scope, cause)
        }
    }

    /// A wait is asked that has handed out its slot.
    pub(super) fn over() -> Self {
        let cause = Error::fixed(
            ErrorKind::InvalidArgument,
            "wait",
            "it is over: its slot was handed out",
        );
        Self::invalid("", cause)
    }

    pub(super) fn of(refused: Refused) -> Self {
        Self {
            cause: refused.cause.map(Box::new),
            ..Self::new(refused.outcome, refused.scope, refused.standing)
        }
    }

    /// How it ended.
    #[must_use]
    pub const fn outcome(&self) -> Outcome {
        self.outcome
    }

    /// The scope of the key that refused, or that was waited for; of several the first. Empty if the call names none.
    #[must_use]
    pub fn scope(&self) -> &str {
        &self.scope
    }

    /// The limit of that key; `None` if it has none.
    #[must_use]
    pub const fn limit(&self) -> Option<Limit> {
        self.standing.limit
    }

    /// Slots of that key in use, offers included.
    #[must_use]
    pub const fn in_use(&self) -> u32 {
        self.standing.in_use
    }

    /// Waiters of that key, this one not included.
    #[must_use]
    pub const fn waiting(&self) -> u32 {
        self.standing.waiting
    }

    /// Where the caller stood in the queue, from 1; 0 if it did not stand there.
    #[must_use]
    pub const fn position(&self) -> u32 {
        self.position
    }

    /// How long the caller waited, over all keys of the call.
    #[must_use]
    pub const fn waited(&self) -> Duration {
        self.waited
    }

    /// Pings that the host was asked to write, and came back from.
    #[must_use]
    pub const fn pings(&self) -> u32 {
        self.pings
    }

    /// When to try again: the mean hold (a moving average over released slots, each weighing 1/8) × (waiting + 1) ÷
    /// limit, rounded up to whole seconds within 1 and 60. `None` until 8 slots of the key have been released, when the
    /// limit is 0 or there is none, and for an outcome that time does not cure ([`Outcome::Closed`], [`Outcome::Invalid`]).
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        if matches!(self.outcome, Outcome::Closed | Outcome::Invalid) {
            return None;
        }
        let Some(Limit::Of(limit @ 1..)) = self.standing.limit else {
            return None;
        };
        let rounds = f64::from(self.standing.waiting) + 1.0;
        let seconds = self.standing.mean_hold?.as_secs_f64() * rounds / f64::from(limit);
        Some(Duration::from_secs(seconds.ceil().clamp(1.0, 60.0) as u64))
    }

    /// What caused it: the host's own reason of a [`Outcome::Cancelled`], what is wrong with an [`Outcome::Invalid`]
    /// call, why the store is unavailable.
    #[must_use]
    pub fn cause(&self) -> Option<&Error> {
        self.cause.as_deref()
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Standing {
            in_use, waiting, ..
        } = self.standing;
        if let (Outcome::Invalid, Some(cause)) = (self.outcome, &self.cause) {
            return write!(f, "invalid: {cause}");
        }
        write!(
            f,
            "{}: {}: {in_use} in use of ",
            self.outcome.name(),
            self.scope
        )?;
        match self.standing.limit {
            Some(Limit::Of(limit)) => write!(f, "{limit}")?,
            Some(Limit::Unlimited) => f.write_str("unlimited")?,
            None => f.write_str("an unknown limit")?,
        }
        write!(f, ", {waiting} waiting")?;
        if !self.waited.is_zero() {
            write!(f, "; waited {:.3} s", self.waited.as_secs_f64())?;
        }
        if let Some(cause) = &self.cause {
            write!(f, " ({cause})")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Refusal")
            .field("outcome", &self.outcome)
            .field("scope", &self.scope)
            .field("limit", &self.standing.limit)
            .field("in_use", &self.standing.in_use)
            .field("waiting", &self.standing.waiting)
            .field("position", &self.position)
            .field("waited", &self.waited)
            .field("pings", &self.pings)
            .field("retry_after", &self.retry_after())
            .field("cause", &self.cause)
            .finish()
    }
}

impl std::error::Error for Refusal {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.cause.as_deref().map(|cause| cause as _)
    }
}
