//! The seam: what a pool asks of the place where holders and queues live, and what comes back.
//!
//! A store takes commands and answers each at once, or later through the command's [`Ticket`], from any thread, perhaps
//! twice, perhaps in another order, perhaps never. What is before the seam (`wait_core`, `undo`) is written once and
//! bears all of that; what is behind it decides who holds and who is next:
//!
//! * `memory`: this process, answers inside the call;
//! * `fault`: for tests, `memory` behind a bad line.
//!
//! **Locks.** A store may call [`Ticket::offer`] and [`Ticket::take_back`] under its own lock. A ticket never calls a
//! store under its lock, and a store wakes nobody under its own: it rings the tickets it offered to afterwards.

#[cfg(any(test, feature = "test-clock"))]
pub(super) mod fault;
pub(super) mod memory;

use std::sync::Arc;
use std::time::Duration;

use arrayvec::ArrayVec;

use super::ask::Ask;
use super::key::{Key, OwnedKey};
use super::limit::Limit;
use super::load::{Holder, HolderId, Load};
use super::lost_reason::LostReason;
use super::outcome::{Outcome, Standing};
use super::released::Released;
use super::reply::Reply;
use super::shared::Shared;
use super::stats::{KeyStats, ScopeStats};
use crate::bell::Source;
use crate::error::Error;

/// How long an offer stands for a waiter whose owner does not look.
pub(super) const CLAIM: Duration = Duration::from_secs(3);

/// Where holders, tickets and hand-over live.
pub(crate) trait Store: Send + Sync {
    /// Takes a unit of each key or of none, and queues for none. `asks` are in the pool's order. `None` if the answer
    /// cannot be given here: then the caller asks by [`Store::acquire`], without a place in the queue.
    fn try_all(&self, call: &TryAll<'_, '_>) -> Option<Result<Grants, Refused>>;

    /// A unit of the ticket's key, or a place in its queue. Asked again for a ticket that is known, it answers how that
    /// stands, and the ticket gets offers again if an earlier one lapsed.
    fn acquire(&self, ticket: &Arc<dyn Ticket>) -> Option<Answer>;

    /// The owner takes an offer: granted, or queued if it lapsed meanwhile.
    fn claim(&self, ticket: &Arc<dyn Ticket>, grant: &Grant) -> Option<Answer>;

    /// The ticket is given up: out of the queue, and what it was given is freed. [`Answer::Cancelled`], or nothing yet:
    /// then it is asked again until it was answered.
    fn cancel(&self, ticket: &Arc<dyn Ticket>) -> Option<Answer>;

    /// [`CLAIM`] is over for an offer: if it was not taken, it goes to the next in line.
    fn lapse(&self, ticket: &Arc<dyn Ticket>, grant: &Grant);

    /// Whether answers and offers can get lost on the way: then a wait asks again, by a backoff.
    fn is_lossy(&self) -> bool;

    /// Changes what was set on a key.
    fn set(&self, key: Key<'_>, change: Change) -> Reply<()>;

    /// How keys stand, in their order.
    fn load(&self, keys: &[Key<'_>]) -> Reply<Vec<Load>>;

    /// Who holds `key`, or anything for `None`, for at least so long, oldest first per key.
    fn holders(&self, key: Option<Key<'_>>, at_least: Duration) -> Reply<Vec<Holder>>;

    /// Takes a unit away from its holder. Whether it held it.
    fn force(&self, key: Key<'_>, id: HolderId) -> Reply<bool>;

    /// A key's counters and waits; `None` if it is not known.
    fn key_stats(&self, key: Key<'_>) -> Option<KeyStats>;

    /// The sum over a scope's keys, those that were forgotten included.
    fn scope_stats(&self, scope: &str) -> ScopeStats;

    /// Keys that are known.
    fn keys(&self) -> usize;

    /// Notes how a wait for `key` went.
    fn note(&self, key: Key<'_>, note: Note);

    /// Refuses from now on, and refuses all who wait.
    fn close(&self);
}

/// A try of several keys.
pub(crate) struct TryAll<'a, 'k> {
    /// In the pool's order.
    pub(super) asks: &'a [Ask<'k>],
    pub(super) label: &'a str,
    /// A refusal is the call's outcome, and counted; else the caller goes on to wait.
    pub(super) is_final: bool,
}

/// Units, in the order of the asks; at most [`super::ask::MAX_KEYS`]. One is held in place: a slot of one key is
/// small, and made without an allocation.
#[derive(Clone, Default)]
pub(crate) struct Grants {
    first: Option<Grant>,
    /// Behind one pointer, which is quickly seen to be none.
    rest: Option<Box<Rest>>,
}

type Rest = ArrayVec<Grant, { super::ask::MAX_KEYS }>;

impl Grants {
    #[inline]
    pub(super) const fn new() -> Self {
        Self {
            first: None,
            rest: None,
        }
    }

    #[inline]
    pub(super) const fn one(grant: Grant) -> Self {
        Self {
            first: Some(grant),
            rest: None,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.iter().count()
    }

    pub(super) fn push(&mut self, grant: Grant) {
        match self.first {
            Some(_) => self.rest.get_or_insert_default().push(grant),
            None => self.first = Some(grant),
        }
    }

    #[inline]
    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = &Grant> {
        self.first
            .iter()
            .chain(self.rest.iter().flat_map(|rest| rest.iter()))
    }

    /// Gives all back, the last first.
    #[inline]
    pub(super) fn release(&self) -> Released {
        match (&self.first, &self.rest) {
            (Some(only), None) => only.release(),
            _ => self.release_several(),
        }
    }

    fn release_several(&self) -> Released {
        let parts = self.iter().rev().map(Grant::release);
        parts.fold(Released::Already, Released::and)
    }
}

/// A change to what is set on a key.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Change {
    /// This limit wins over those of calls.
    Limit(Limit),
    /// The limits of calls decide again.
    ClearLimit,
    /// Waiters and newcomers are refused as closed.
    Close,
    /// The end of that.
    Open,
}

/// What is noted of a wait.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Note {
    /// It was in the queue so long, and got its unit.
    Waited(Duration),
    /// It ended otherwise.
    Ended(Outcome),
}

/// What a store says to a command.
#[derive(Clone)]
#[cfg_attr(
    not(any(test, feature = "test-clock")),
    expect(
        dead_code,
        reason = "said by stores that are far away; memory has no need to"
    )
)]
pub(crate) enum Answer {
    /// The ticket holds a unit.
    Granted(Grant),
    /// A unit is kept for the ticket until it is claimed, for [`CLAIM`].
    Offered(Grant),
    /// The ticket has a place in the queue, from 1.
    Queued(u32),
    /// No.
    Refused(Refused),
    /// The ticket is given up. How the key stands without it, and where in the queue it was; 0 if it was in none.
    Cancelled(Standing, u32),
    /// The store cannot tell.
    Failed(Error),
}

/// A refusal, and by which key.
#[derive(Clone)]
pub(crate) struct Refused {
    pub(super) outcome: Outcome,
    pub(super) scope: Arc<str>,
    pub(super) standing: Standing,
    pub(super) cause: Option<Error>,
}

/// One command's end of the line: a wait's place in one queue. Its id is minted before the seam; a command with the
/// same id is the same command.
pub(crate) trait Ticket: Send + Sync {
    /// Unique in its pool.
    fn id(&self) -> u64;

    /// The key and its limit.
    fn ask(&self) -> Ask<'_>;

    /// How many may wait when it joins the queue; 0 if it would not wait.
    fn max_waiting(&self) -> u32;

    /// What the holder is called.
    fn label(&self) -> &str;

    /// When its wait began, on the line of the clock's deadlines.
    fn begun_ns(&self) -> u64;

    /// A number that the store keeps with the ticket, under the store's own lock: its order in the queue, 0 at first.
    fn order(&self) -> u64;
    fn set_order(&self, order: u64);

    /// Offers a unit. `false` if nobody waits any more: then it is still the store's. May be called under the store's
    /// lock; [`Ticket::ring`] follows after it.
    fn offer(&self, grant: &Grant) -> bool;

    /// Takes an offer back. `false` if it was taken, or never there. May be called under the store's lock.
    fn take_back(&self, grant: &Grant) -> bool;

    /// Tells the owner to look. Never under a lock.
    fn ring(&self);

    /// A late answer. Never under a lock.
    fn answer(&self, answer: Answer);
}

/// A unit that is held, or offered. Plain data: it is released by whoever decides, not by its drop, so that an answer
/// may come twice.
#[derive(Clone)]
pub(crate) struct Grant {
    pub(super) lessor: Arc<dyn Lessor>,
    pub(super) token: Token,
}

/// Which unit of a lessor. Never given twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Token {
    pub(super) row: u32,
    pub(super) entry: u32,
    pub(super) generation: u32,
}

/// The part of a store that a unit is of.
pub(crate) trait Lessor: Send + Sync {
    /// The pool it belongs to.
    fn shared(&self) -> &Arc<Shared>;

    /// Gives a unit back. Never waits, never fails.
    fn release(&self, token: Token) -> Released;

    /// As `release`, of a unit that no caller had: it says nothing of how long slots are held.
    fn give_back(&self, token: Token) {
        self.release(token);
    }

    /// Takes a unit away from its holder. Whether it was held.
    #[cfg(any(test, feature = "test-clock"))]
    fn lose(&self, token: Token, reason: LostReason) -> bool;

    /// Why the unit was lost, if it was.
    fn lost(&self, token: Token) -> Option<LostReason>;

    /// Wakes `source` when the unit is lost; at once if it is.
    fn watch(&self, token: Token, source: &Arc<Source>);

    /// Who holds it; `None` if it is not held.
    fn holder(&self, token: Token) -> Option<Holder>;

    /// Whether the unit, held or lost, is of this scope.
    fn is_of(&self, token: Token, scope: &str) -> bool;

    /// The unit's key, while it is held or lost.
    fn key(&self, token: Token) -> Option<OwnedKey>;

    /// Counts it as leaked. Whose it was, also if it was lost since; `None` if it was released.
    fn leak(&self, token: Token) -> Option<Holder>;
}

impl Grant {
    pub(super) fn release(&self) -> Released {
        self.lessor.release(self.token)
    }

    pub(super) fn give_back(&self) {
        self.lessor.give_back(self.token);
    }

    /// Whether this is the same unit.
    pub(super) fn is(&self, other: &Self) -> bool {
        self.token == other.token && Arc::ptr_eq(&self.lessor, &other.lessor)
    }
}
