//! The bus itself.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Weak};

use super::audience::Audiences;
use super::fanout::Fanout;
use super::filter::Filter;
use super::index::{Index, KeyHasher};
use super::kinds::{Kind, Kinds};
use super::log::{Log, Reaped};
use super::options::BusOptions;
use super::publish::HOLD;
use super::row::Row;
use super::stats::Totals;
use super::status::StatusBoard;
use super::subscription::SubCore;
use crate::bell::{Chain, ParkLine};
use crate::error::{Error, ErrorKind, Result};
use crate::event::{EventId, NewEvent};
use crate::fork::Generation;
use crate::sync::{AtomicU64, Mutex, Ordering};
use crate::time::{Clock, nanos};

/// An event bus. Cheap to clone; clones are the same bus. Any thread may use it at any time.
///
/// Dropping the last clone closes the bus, as [`Bus::close`] does: subscriptions read up to the end.
#[derive(Clone)]
pub struct Bus {
    core: Arc<Core>,
    /// One for all clones. Beside the core, not around it: a publish has one pointer to follow.
    _last: Arc<CloseOnDrop>,
}

/// Closes the bus when its last handle goes.
struct CloseOnDrop(Arc<Core>);

impl Drop for CloseOnDrop {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// What all handles of one bus share.
pub(super) struct Core {
    pub(super) epoch: u64,
    pub(super) generation: Generation,
    pub(super) clock: Clock,
    pub(super) resume: bool,
    pub(super) resume_age_ns: u64,
    pub(super) log: Log,
    pub(super) fanout: Fanout,
    pub(super) kinds: Kinds,
    pub(super) hasher: KeyHasher,
    pub(super) line: ParkLine,
    pub(super) registry: Mutex<Registry>,
    /// How many subscriptions the registry holds, for publishers. Relaxed: a hint.
    pub(super) subscribers: AtomicU64,
    pub(super) audiences: Audiences,
    pub(super) statuses: StatusBoard,
    /// Union of the kinds of open subscriptions; all bits on a bus that can be resumed.
    pub(super) wanted: AtomicU64,
    pub(super) extra_clashes: AtomicU64,
    /// How much one hold of the log's lock may append: a fraction of what the log keeps.
    pub(super) hold_events: usize,
    pub(super) hold_bytes: usize,
}

/// Who subscribes: changed by subscribe, close and free, never by a publish.
pub(super) struct Registry {
    pub(super) subscriptions: HashMap<u64, Weak<SubCore>>,
    /// Equal filters share a row; with the number of subscriptions that do.
    rows: HashMap<Filter, (Arc<Row>, usize)>,
    /// The log's index, part for part: read here, so that a change is built without the log's lock.
    index: Index<Arc<Row>>,
    last_id: u64,
    /// Sums over subscriptions that were freed.
    pub(super) totals: Totals,
}

impl Registry {
    fn new() -> Self {
        Self {
            subscriptions: HashMap::new(),
            rows: HashMap::new(),
            index: Index::new(),
            last_id: 0,
            totals: Totals::default(),
        }
    }
}

impl Bus {
    /// A bus. [`ErrorKind::InvalidArgument`] names an option that is out of range;
    /// [`ErrorKind::System`] when the system has no random numbers for the epoch.
    pub fn new(options: BusOptions) -> Result<Self> {
        options.check()?;
        let epoch = getrandom::u64().map_err(|e| {
            Error::new(
                ErrorKind::System,
                "epoch",
                format!("no random numbers: {e}"),
            )
        })?;
        let kinds = Kinds::new();
        kinds.register("request");
        let core = Arc::new(Core {
            epoch,
            generation: Generation::current(),
            resume: options.resume,
            resume_age_ns: nanos(options.resume_age),
            log: Log::new(epoch, options.log_events, options.log_bytes),
            fanout: Fanout::new(),
            kinds,
            hasher: KeyHasher::default(),
            line: ParkLine::new(),
            registry: Mutex::new(Registry::new()),
            subscribers: AtomicU64::new(0),
            audiences: Audiences::new(options.clock.clone()),
            clock: options.clock,
            statuses: StatusBoard::new(),
            wanted: AtomicU64::new(if options.resume { u64::MAX } else { 0 }),
            extra_clashes: AtomicU64::new(0),
            hold_events: (options.log_events / 8).clamp(1, HOLD),
            hold_bytes: options.log_bytes / 8,
        });
        Ok(Self {
            _last: Arc::new(CloseOnDrop(core.clone())),
            core,
        })
    }

    #[inline]
    pub(super) fn core(&self) -> &Arc<Core> {
        &self.core
    }

    /// [`ErrorKind::Forked`] in a child of the process that made this bus.
    pub fn check_fork(&self) -> Result<()> {
        self.core.generation.check()
    }

    /// The epoch of this bus's ids.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.core.epoch
    }

    /// The id of the newest event; seq 0 before the first.
    #[must_use]
    pub fn newest(&self) -> EventId {
        EventId {
            epoch: self.core.epoch,
            seq: self.core.log.head(),
        }
    }

    /// The newest seq that has been offered to every channel. For measurements: takes part in nothing.
    #[doc(hidden)]
    #[must_use]
    pub fn offered(&self) -> u64 {
        self.core.fanout.needed_from().saturating_sub(1)
    }

    /// Registers a kind, for [`Bus::wanted`]. The first 63 kinds that filters or hosts name are matched by
    /// a bit; later ones share a bit and are compared as text, so that `wanted` may say yes for one when
    /// only another is. Idempotent. Errors as for the kind of a published event.
    pub fn kind(&self, name: &str) -> Result<Kind> {
        self.core.generation.check()?;
        NewEvent::bytes(name, &[]).check_kind()?;
        Ok(self.core.kinds.register(name))
    }

    /// Sets the latest state of a status source and tells every subscription of it, ahead of its next
    /// events. State `gone` removes the source. Nothing happens if nothing changed.
    ///
    /// `source` and `state`: 1 to 255 bytes; `detail`: at most 4,096 bytes.
    /// [`ErrorKind::TooManySources`] for a 65th source, [`ErrorKind::Closed`].
    pub fn set_status(&self, source: &str, state: &str, detail: &str) -> Result<()> {
        self.core.generation.check()?;
        if self.is_closed() {
            return Err(Error::closed("bus"));
        }
        if self.core.statuses.set(source, state, detail)? {
            // The board has changed; a reader that arms after this sees it under the log's lock.
            let mut chain = Chain::new();
            self.core.log.lock().take_all_armed(&mut chain);
            self.core.ring(chain);
        }
        Ok(())
    }

    /// How many subscriptions are members of this audience.
    #[must_use]
    pub fn audience_count(&self, name: &str) -> usize {
        if self.core.generation.is_current() {
            self.core.audiences.count(name)
        } else {
            0
        }
    }

    /// Closes the bus: later publishes are refused, readers read up to the newest event and then get the
    /// end, sleepers wake, waits for an audience end with [`ErrorKind::Closed`]. Idempotent.
    pub fn close(&self) {
        self.core.close();
    }

    /// Whether [`Bus::close`] was called.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.core.log.lock().closed
    }
}

impl Core {
    fn close(&self) {
        if !self.generation.is_current() {
            return;
        }
        let mut chain = Chain::new();
        {
            let mut state = self.log.lock();
            if state.closed {
                return;
            }
            state.closed = true;
            state.take_all_armed(&mut chain);
        }
        self.audiences.close();
        // Who is not armed either reads, and will meet the end, or has a ready token that its host has yet
        // to look at.
        self.ring(chain);
    }

    /// The row of a filter, and one more subscription on it.
    pub(super) fn intern(&self, registry: &mut Registry, filter: &Filter) -> Arc<Row> {
        if let Some((row, members)) = registry.rows.get_mut(filter) {
            *members += 1;
            return row.clone();
        }
        // The kinds get their bits before the account begins: an event that is being published with the
        // shared bit is matched as text.
        let row = Arc::new(Row::new(filter.clone(), &self.kinds));
        let change = registry.index.change(&self.hasher, filter.keys(), |rows| {
            rows.iter().cloned().chain([row.clone()]).collect()
        });
        registry.index.apply(&mut change.clone());
        let mut change = change;
        {
            let mut state = self.log.lock();
            row.begin(state.head());
            state.apply(&mut change);
        }
        registry.rows.insert(filter.clone(), (row.clone(), 1));
        row
    }

    /// One subscription less on the row of a filter.
    pub(super) fn release_row(&self, registry: &mut Registry, filter: &Filter) {
        let Some((_, members)) = registry.rows.get_mut(filter) else {
            return;
        };
        *members -= 1;
        if *members > 0 {
            return;
        }
        let Some((row, _)) = registry.rows.remove(filter) else {
            return;
        };
        let mut change = registry.index.change(&self.hasher, filter.keys(), |rows| {
            rows.iter()
                .filter(|known| !Arc::ptr_eq(known, &row))
                .cloned()
                .collect()
        });
        registry.index.apply(&mut change.clone());
        self.log.lock().apply(&mut change);
    }

    /// Recomputes what is wanted, after a subscription came, closed or went.
    pub(super) fn update_wanted(&self, registry: &Registry) {
        if self.resume {
            return;
        }
        let open = registry.subscriptions.values().filter_map(Weak::upgrade);
        let mask = open
            .filter(|sub| !sub.is_closed())
            .fold(0, |mask, sub| mask | sub.row.kinds());
        self.wanted.store(mask, Ordering::Relaxed);
    }

    /// On a bus that cannot be resumed: lets go of what no reader has yet to read. Now and then, because it
    /// looks at every subscription; at once when nobody reads.
    pub(super) fn trim(&self, before: u64, seq: u64) {
        const EVERY: u64 = 64;
        if before / EVERY == seq / EVERY && self.subscribers.load(Ordering::Relaxed) > 0 {
            return;
        }
        let Some(registry) = self.registry.try_lock() else {
            return;
        };
        let readers = registry.subscriptions.values().filter_map(Weak::upgrade);
        let positions = readers.map(|sub| sub.position.load(Ordering::Acquire));
        let needed = positions.fold(self.fanout.needed_from(), u64::min);
        drop(registry);
        let mut reaped = Reaped::default();
        let mut state = self.log.lock();
        state.evict_before(needed.min(seq + 1));
        state.reap(&mut reaped);
        drop(state);
        self.log.free(&mut reaped);
    }

    pub(super) fn next_id(registry: &mut Registry) -> u64 {
        registry.last_id += 1;
        registry.last_id
    }
}

impl fmt::Debug for Bus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bus")
            .field("newest", &self.newest())
            .finish_non_exhaustive()
    }
}
