//! Statuses: the latest state of each source (promise B10).
//!
//! A source is something that the host's readers care about besides events: an upstream, a link,
//! a feed. What is promised: the board keeps the latest state of at most [`MAX_SOURCES`] sources; a new
//! reader is first told all of them, then at each look only the latest of each source that changed
//! since its last look, [`GONE`] included for a source that it knew. A source that went and came back
//! between two looks is one item. A look when nothing changed is one load and allocates nothing.
//!
//! How: the board is an immutable list in order of change, replaced as a whole under a short lock, so
//! that readers walk it unlocked. Each change has a version; a reader remembers the last version it
//! was told and the names it knows, never a state: a reader that stopped pins nothing else.

#[cfg(all(test, not(loom)))]
mod tests;

use std::sync::Arc;

use crate::error::{Error, ErrorKind, Result};
use crate::event::check_label;
use crate::sync::{AtomicU64, Mutex, Ordering};

/// Most sources that a board keeps.
pub(crate) const MAX_SOURCES: usize = 64;
/// Longest detail of a status, in bytes.
pub(crate) const MAX_DETAIL: usize = 4096;
/// The state that removes a source.
pub(crate) const GONE: &str = "gone";

#[derive(Clone)]
struct Status {
    source: Arc<str>,
    state: Arc<str>,
    detail: Arc<str>,
    /// The board's version that this status made.
    version: u64,
}

/// All statuses at one version.
#[derive(Clone, Default)]
struct Snapshot {
    /// In order of change, the latest last.
    statuses: Vec<Status>,
    version: u64,
    /// The version of the last removal, 0 for none.
    removed_at: u64,
}

impl Snapshot {
    fn position(&self, source: &str) -> Option<usize> {
        self.statuses.iter().position(|s| *s.source == *source)
    }
}

/// The statuses of one bus. Any thread; nothing blocks for longer than it takes to copy 64 entries.
pub(crate) struct StatusBoard {
    /// The version of `current`, written under its lock. Release and Acquire: who reads a version
    /// finds a snapshot at least as new.
    version: AtomicU64,
    current: Mutex<Arc<Snapshot>>,
}

impl StatusBoard {
    /// No source yet, version 0.
    pub(crate) fn new() -> Self {
        Self {
            version: AtomicU64::new(0),
            current: Mutex::new(Arc::default()),
        }
    }

    /// Counts changes: differs from that of an earlier look exactly if something changed. One load.
    #[inline]
    pub(crate) fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// Sets the latest state of `source`, with a sentence or a datum in `detail`; [`GONE`] removes the
    /// source, and its detail is told to nobody. Returns whether anything changed: the same state and
    /// detail again, or `GONE` for a source that is not there, changes nothing.
    ///
    /// Errors: `InvalidArgument` for an empty source or state, `TooLarge` for one over 255 bytes or
    /// a detail over 4096, `TooManySources` for the 65th source. Nothing was changed.
    pub(crate) fn set(&self, source: &str, state: &str, detail: &str) -> Result<bool> {
        check_name("source", source)?;
        check_name("state", state)?;
        if detail.len() > MAX_DETAIL {
            return Err(Error::too_large("detail", detail.len(), MAX_DETAIL));
        }
        let mut current = self.current.lock();
        let found = current.position(source);
        let changes = match found {
            Some(at) => {
                let known = &current.statuses[at];
                *known.state != *state || *known.detail != *detail
            }
            None => state != GONE,
        };
        if !changes {
            return Ok(false);
        }
        if found.is_none() && current.statuses.len() >= MAX_SOURCES {
            return Err(Error::new(
                ErrorKind::TooManySources,
                "source",
                format!(
                    "the limit of {MAX_SOURCES} sources is reached; set one to \"{GONE}\" first"
                ),
            ));
        }
        // Copies the list only if a reader is walking the old one.
        let next = Arc::make_mut(&mut *current);
        next.version += 1;
        let old = found.map(|at| next.statuses.remove(at));
        if state == GONE {
            next.removed_at = next.version;
        } else {
            next.statuses.push(Status {
                source: old.map_or_else(|| Arc::from(source), |old| old.source),
                state: Arc::from(state),
                detail: Arc::from(detail),
                version: next.version,
            });
        }
        self.version.store(next.version, Ordering::Release);
        Ok(true)
    }

    fn snapshot(&self) -> Arc<Snapshot> {
        self.current.lock().clone()
    }
}

fn check_name(field: &'static str, name: &str) -> Result<()> {
    if name.is_empty() {
        let sentence = format!("{field} is empty");
        return Err(Error::new(ErrorKind::InvalidArgument, field, sentence));
    }
    check_label(field, name)
}

/// What one subscription has been told. It allocates at its first status.
#[derive(Default)]
pub(crate) struct StatusView {
    version: u64,
    /// The sources that it was told of and that were there at `version`.
    known: Vec<Arc<str>>,
}

impl StatusView {
    /// The view of a new subscription: everything is news to it.
    pub(crate) const fn new() -> Self {
        Self {
            version: 0,
            known: Vec::new(),
        }
    }

    /// Whether the board has changed since the last look. One load. A look may still find nothing to
    /// tell (a source that came and went).
    #[inline]
    pub(crate) fn is_behind(&self, board: &StatusBoard) -> bool {
        board.version() != self.version
    }

    /// Gives `emit` the source, state and detail of everything that changed since the last look: first
    /// the sources that went ([`GONE`], no detail), then the others in order of change; at most 128
    /// items. Returns how many. No lock is held while `emit` runs.
    pub(crate) fn changed(
        &mut self,
        board: &StatusBoard,
        mut emit: impl FnMut(Arc<str>, Arc<str>, Arc<str>),
    ) -> usize {
        if !self.is_behind(board) {
            return 0;
        }
        let now = board.snapshot();
        let mut told = 0;
        if now.removed_at > self.version {
            let gone: Arc<str> = Arc::from(GONE);
            for source in &self.known {
                if now.position(source).is_none() {
                    emit(source.clone(), gone.clone(), Arc::default());
                    told += 1;
                }
            }
        }
        let news = now.statuses.partition_point(|s| s.version <= self.version);
        for status in &now.statuses[news..] {
            let Status {
                source,
                state,
                detail,
                ..
            } = status.clone();
            emit(source, state, detail);
            told += 1;
        }
        self.known.clear();
        self.known
            .extend(now.statuses.iter().map(|s| s.source.clone()));
        self.version = now.version;
        told
    }
}
