//! What a runner asks its host.

use std::time::Duration;

use super::permit::Permit;
use super::schedule::Due;
use crate::error::Result;

/// What a [`Runner`](super::Runner) asks its host. Called on the runner's threads, under no lock; a panic is caught and counted. Dropped
/// when nobody will call it any more: with the runner, or when the last thread that outlived it ends.
pub trait Checks: Send + Sync + 'static {
    /// Lists what is due now. An error is a failed round; the next comes all the same. Called by one thread at a time;
    /// while it runs no check begins.
    fn due(&self, list: &mut DueList) -> Result<(), String>;

    /// Checks one item; whether it is well. Called by many threads at once, never for one id by two. It should look at
    /// [`Permit::should_end`] now and then.
    fn check(&self, permit: &Permit) -> bool;
}

/// What is due, as [`Checks::due`] lists it.
#[derive(Default)]
pub struct DueList(Vec<(Box<str>, Duration)>);

impl DueList {
    /// Adds an item of 1 to 255 bytes that is due for so long.
    pub fn add(&mut self, id: &str, overdue: Duration) -> Result<()> {
        Due { id, overdue }.check()?;
        self.0.push((id.into(), overdue));
        Ok(())
    }

    /// What was added, in order.
    pub(super) fn items(&self) -> Vec<Due<'_>> {
        let items = self.0.iter();
        items
            .map(|(id, overdue)| Due {
                id,
                overdue: *overdue,
            })
            .collect()
    }
}
