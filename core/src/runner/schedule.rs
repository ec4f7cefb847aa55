//! What is due, and what of it comes first.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use crate::error::{Error, ErrorKind, Result};

/// Something that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Due<'a> {
    /// What is to be checked: 1 to 255 bytes.
    pub id: &'a str,
    /// For how long it has been due; the longest come first.
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

/// The positions of the items, the longest overdue first, of equals beginning at position `start` and round from the end
/// to the beginning.
///
/// A heap: what is not taken of it is not sorted.
pub(super) fn in_order(items: &[Due<'_>], start: usize) -> impl Iterator<Item = usize> {
    let count = items.len().max(1);
    let start = start % count;
    let rank =
        |(at, item): (usize, &Due<'_>)| (item.overdue, Reverse((at + count - start) % count));
    let mut heap: BinaryHeap<_> = items.iter().enumerate().map(rank).collect();
    std::iter::from_fn(move || heap.pop()).map(move |(_, Reverse(turn))| (start + turn) % count)
}
