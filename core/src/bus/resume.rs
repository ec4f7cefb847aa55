//! Where a subscription begins: the table of B4.
//!
//! | given | answer |
//! |---|---|
//! | `Live` | after the newest event |
//! | `Oldest` | at the oldest kept event that is not older than the resume age |
//! | `After`, no event id | resync `malformed` |
//! | `After`, another epoch | resync `epoch` |
//! | `After`, seq above the newest | resync `ahead` |
//! | `After`, an event after it evicted or too old, or a bus without resume | resync `expired` |
//! | `After`, else | exactly the events after it |
//!
//! After a resync the reader stands at the newest event, live.

use super::bus::Core;
use super::item::ResyncReason;
use super::log::{LogState, REAP};
use super::options::Start;
use super::row::Row;
use crate::event::EventId;

/// Where a reader stands: the next seq to look at, and the ordinal of the newest matching event before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) next: u64,
    pub(super) ordinal: i64,
}

impl Core {
    /// The next seq for `start`, or why there is none.
    pub(super) fn resolve(
        &self,
        state: &mut LogState,
        start: Start<'_>,
    ) -> Result<u64, ResyncReason> {
        let head = state.head();
        let id = match start {
            Start::Live => return Ok(head + 1),
            Start::Oldest if !self.resume => return Ok(head + 1),
            Start::Oldest => return Ok(self.first_young(state)),
            Start::After(text) => EventId::parse(text).map_err(|_| ResyncReason::Malformed)?,
        };
        if id.epoch != self.epoch {
            return Err(ResyncReason::Epoch);
        }
        if id.seq > head {
            return Err(ResyncReason::Ahead);
        }
        if !self.resume {
            return Err(ResyncReason::Expired);
        }
        let next = id.seq + 1;
        if id.seq < head && (next < state.tail() || self.is_old(state, next)) {
            return Err(ResyncReason::Expired);
        }
        Ok(next)
    }

    /// Whether a resume may no longer get the event with this seq.
    fn is_old(&self, state: &mut LogState, seq: u64) -> bool {
        let now_ns = self.clock.coarse_ns();
        let age = |arrived_ns| now_ns.saturating_sub(arrived_ns);
        state
            .arrived_ns(seq)
            .is_some_and(|arrived_ns| age(arrived_ns) > self.resume_age_ns)
    }

    /// The oldest seq that a resume may still get; head + 1 when there is none. Events arrive in the order
    /// of their ages, but for the few microseconds between a clock read and the lock.
    fn first_young(&self, state: &mut LogState) -> u64 {
        let (mut old, mut young) = (state.tail(), state.head() + 1);
        while old < young {
            let middle = old + (young - old) / 2;
            if self.is_old(state, middle) {
                old = middle + 1;
            } else {
                young = middle;
            }
        }
        young
    }

    /// The ordinal of `row` at `next`: that of the newest matching event before it. Counts backwards from the
    /// newest event, a bounded number of slots per hold of the lock, and extends the row's account as far
    /// back, so that what is evicted from there on is counted. `None` if the log let go of `next` meanwhile.
    ///
    /// `last` runs in the hold in which the count ends, so that nothing can come between.
    ///
    /// With `oldest`, the place is where the log begins instead, if that has moved past `next` meanwhile.
    pub(super) fn place<T>(
        &self,
        row: &Row,
        mut next: u64,
        oldest: bool,
        mut last: impl FnMut(&mut LogState, Place) -> T,
    ) -> Option<T> {
        let mut at: Option<Place> = None;
        loop {
            let mut state = self.log.lock();
            let head = state.head();
            if oldest && next < state.tail() {
                next = state.tail();
            }
            if row.all {
                return (next >= state.tail()).then(|| {
                    last(
                        &mut state,
                        Place {
                            next,
                            ordinal: next as i64 - 1,
                        },
                    )
                });
            }
            // Ordinals do not move, so the next hold goes on where this one ends.
            let mut place = at.unwrap_or(Place {
                next: head + 1,
                ordinal: row.matched(head),
            });
            if next < state.tail() {
                return None;
            }
            if place.next < next {
                // Counted past the log's new beginning, where the row now knows its ordinal.
                if state.is_reaped() {
                    let ordinal = row.evicted(next);
                    return Some(last(&mut state, Place { next, ordinal }));
                }
                drop(state);
                self.log.reap_all();
                continue;
            }
            let stop = next.max(place.next.saturating_sub(SCAN));
            while place.next > stop {
                place.next -= 1;
                place.ordinal -= i64::from(state.matches(place.next, row));
            }
            row.extend_back(place.next, place.ordinal);
            if place.next == next {
                return Some(last(&mut state, place));
            }
            at = Some(place);
        }
    }
}

/// Slots that one hold of the lock looks at without copying them.
pub(super) const SCAN: u64 = 4 * REAP as u64;
