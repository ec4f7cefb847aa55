//! What is due, and what of it comes first.

use std::time::Duration;

use crate::error::{Error, ErrorKind, Result};

/// Something that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Due<'a> {
    /// What is to be checked: 1 to 255 bytes.
    pub id: &'a str,
    /// Since when it is due; the longest come first.
    pub overdue: Duration,
}

/// Longest id, in bytes.
const MAX_ID: usize = 255;

impl Due<'_> {
    pub(super) fn check(&self) -> Result<()> {
        if self.id.is_empty() {
            return Err(Error::fixed(
                ErrorKind::InvalidArgument,
                "id",
                "it is empty; a check has an id",
            ));
        }
        if self.id.len() > MAX_ID {
            return Err(Error::too_large("id", self.id.len(), MAX_ID));
        }
        Ok(())
    }
}

/// The positions of up to `room` items, the longest overdue first, of equals beginning at position `start` and round
/// from the end to the beginning. `is_free` says which of them may be taken; it is asked once for each item.
///
/// One pass over the items, and a sorted list of `room`: what will not run is not sorted.
pub(super) fn first_of(
    items: &[Due<'_>],
    room: usize,
    start: usize,
    mut is_free: impl FnMut(&Due<'_>) -> bool,
) -> Vec<usize> {
    let count = items.len().max(1);
    // Smaller is earlier: overdue turned round, then the turn.
    let rank = |at: usize, item: &Due<'_>| {
        let turn = (at + count - start % count) % count;
        (std::cmp::Reverse(item.overdue), turn)
    };
    let mut first: Vec<((std::cmp::Reverse<Duration>, usize), usize)> = Vec::with_capacity(room);
    for (at, item) in items.iter().enumerate() {
        if !is_free(item) || room == 0 {
            continue;
        }
        let rank = rank(at, item);
        if first.len() == room {
            if first.last().is_some_and(|(last, _)| *last < rank) {
                continue;
            }
            first.pop();
        }
        let place = first.partition_point(|(other, _)| *other < rank);
        first.insert(place, (rank, at));
    }
    first.into_iter().map(|(_, at)| at).collect()
}
