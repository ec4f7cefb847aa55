//! The pool itself.

use std::fmt;
use std::sync::{Arc, Weak};
use std::time::Duration;

use arrayvec::ArrayVec;

use super::ask::{Ask, MAX_KEYS};
use super::held_long::HeldLong;
use super::key::Key;
use super::limit::Limit;
use super::observer::{PoolEvent, PoolEventKind};
use super::options::{PoolOptions, WaitOptions};
use super::outcome::Refusal;
use super::rank::Ranks;
use super::shared::Shared;
use super::slot::Slot;
use super::store::memory::MemoryStore;
use super::store::{Grants, Refused, Store, TryAll};
use crate::error::{Error, ErrorKind, Result};
use crate::sync::{AtomicBool, Ordering};

/// Limits on requests in flight, per user, account, key or whatever else a host names.
///
/// Cheap to clone; clones are the same pool. Any thread may use it at any time. Dropping the last clone closes it, as
/// [`SlotPool::close`] does; slots that are out stay valid and are released as ever.
#[derive(Clone)]
pub struct SlotPool {
    pub(super) core: Arc<PoolCore>,
    /// One for all clones.
    _last: Arc<CloseOnDrop>,
}

/// Closes the pool when its last handle goes.
struct CloseOnDrop(Arc<PoolCore>);

impl Drop for CloseOnDrop {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// What all handles of one pool, and its waits, share.
pub(super) struct PoolCore {
    pub(super) shared: Arc<Shared>,
    pub(super) store: Arc<dyn Store>,
    /// The same store, if it is this process's memory: spares the common try a call through a table.
    pub(super) memory: Option<Arc<MemoryStore>>,
    pub(super) ranks: Ranks,
    /// If the pool's observer wants to hear of slots that are held for long.
    held_long: Option<Arc<HeldLong>>,
    is_closed: AtomicBool,
}

impl PoolCore {
    pub(super) fn is_closed(&self) -> bool {
        self.is_closed.load(Ordering::Acquire)
    }

    fn close(&self) {
        if self.shared.generation.is_current() && !self.is_closed.swap(true, Ordering::AcqRel) {
            self.store.close();
            if let Some(held_long) = &self.held_long {
                held_long.end(&self.shared);
            }
            self.shared.close();
        }
    }
}

impl SlotPool {
    /// A pool. It starts no thread before a wait needs a timer. [`ErrorKind::System`] when the system cannot give what
    /// the store needs; [`ErrorKind::InvalidArgument`] names an option that is out of range.
    pub fn new(options: PoolOptions) -> Result<Self> {
        options.check()?;
        let shared = Shared::new(&options);
        let in_memory = || {
            let memory = Arc::new(MemoryStore::new(&shared));
            (memory.clone() as Arc<dyn Store>, Some(memory))
        };
        #[cfg(any(test, feature = "test-clock"))]
        let (store, memory) = match &options.fault {
            Some(fault) => (
                super::store::fault::FaultStore::new(&shared, fault) as Arc<dyn Store>,
                None,
            ),
            None => in_memory(),
        };
        #[cfg(not(any(test, feature = "test-clock")))]
        let (store, memory) = in_memory();
        let tells_held_long = shared.tells(PoolEventKind::HeldLong);
        let core = Arc::new_cyclic(|this: &Weak<PoolCore>| PoolCore {
            held_long: tells_held_long.then(|| HeldLong::new(this.clone(), options.held_long)),
            shared,
            store,
            memory,
            ranks: options.ranks,
            is_closed: AtomicBool::new(false),
        });
        if let Some(held_long) = &core.held_long {
            held_long.begin(&core.shared)?;
        }
        Ok(Self {
            _last: Arc::new(CloseOnDrop(core.clone())),
            core,
        })
    }

    /// [`ErrorKind::Forked`] in a child of the process that made this pool.
    pub fn check_fork(&self) -> Result<()> {
        self.core.shared.generation.check()
    }

    /// Takes a slot of every key or of none, in one step, and does not wait; `label` names the holder in lists, at most
    /// 255 bytes.
    ///
    /// From memory it answers at once, and does not allocate for one key that is known and no label. It blocks on a
    /// store that answers later, for at most 2 s. Outcomes: [`super::Outcome::Busy`], [`super::Outcome::Closed`],
    /// [`super::Outcome::StoreUnavailable`], [`super::Outcome::Invalid`].
    #[inline]
    pub fn try_acquire(&self, asks: &[Ask<'_>], label: &str) -> Result<Slot, Refusal> {
        // The common call by itself: what `try_now` answers is large to hand on.
        if let ([ask], Some(memory)) = (asks, &self.core.memory) {
            self.check(asks, label)?;
            self.core.shared.reap_leaks();
            return match memory.try_one(ask, label, true) {
                Ok(grant) => {
                    self.tell_granted(asks, label);
                    Ok(self.slot(Grants::one(grant)))
                }
                Err(refused) => Err(self.refusal(asks, label, *refused)),
            };
        }
        match self.try_now(asks, label, true)? {
            Ok(Some(slot)) => {
                self.tell_granted(asks, label);
                Ok(slot)
            }
            Err(refused) => Err(self.refusal(asks, label, refused)),
            Ok(None) => {
                let options = WaitOptions {
                    label,
                    timeout: Duration::ZERO,
                    ..WaitOptions::default()
                };
                self.begin(asks, &options).wait()
            }
        }
    }

    /// Tells of a slot that was there at once.
    #[inline]
    pub(super) fn tell_granted(&self, asks: &[Ask<'_>], label: &str) {
        if self.core.shared.tells(PoolEventKind::Granted) {
            let keys: ArrayVec<Key<'_>, MAX_KEYS> =
                self.in_order(asks).iter().map(|ask| ask.key).collect();
            self.core.shared.tell(&PoolEvent::Granted {
                keys: &keys,
                label,
                waited: Duration::ZERO,
                pings: 0,
            });
        }
    }

    /// Tells of a refusal by the store, and makes it one.
    #[cold]
    pub(super) fn refusal(&self, asks: &[Ask<'_>], label: &str, refused: Refused) -> Refusal {
        let refusal = Refusal::of(refused);
        if let Some(ask) = asks.iter().find(|ask| ask.key.scope == refusal.scope()) {
            self.core.shared.tell_refused(ask.key, label, &refusal);
        }
        refusal
    }

    fn in_order<'a>(&self, asks: &[Ask<'a>]) -> ArrayVec<Ask<'a>, MAX_KEYS> {
        let mut sorted: ArrayVec<Ask<'a>, MAX_KEYS> = asks.iter().copied().collect();
        self.core.ranks.sort(&mut sorted, |ask| *ask);
        sorted
    }

    /// The try that a call begins with, but for the common one: its callers make that by themselves. `None` if the store
    /// cannot tell at once. The outer refusal is of a call that is wrong.
    #[inline]
    pub(super) fn try_now(
        &self,
        asks: &[Ask<'_>],
        label: &str,
        is_final: bool,
    ) -> Result<Result<Option<Slot>, Refused>, Refusal> {
        self.check(asks, label)?;
        self.core.shared.reap_leaks();
        let answer = self.core.store.try_all(&TryAll {
            asks: &self.in_order(asks),
            label,
            is_final,
        });
        Ok(answer
            .transpose()
            .map(|grants| grants.map(|grants| self.slot(grants))))
    }

    #[inline]
    pub(super) fn slot(&self, grants: Grants) -> Slot {
        Slot::new(grants, self.core.shared.generation)
    }

    #[inline]
    pub(super) fn check(&self, asks: &[Ask<'_>], label: &str) -> Result<(), Refusal> {
        if let [ask] = asks
            && ask.is_valid()
            && label.len() <= super::key::MAX_NAME
            && self.core.shared.generation.is_current()
        {
            return Ok(());
        }
        self.find_fault(asks, label)
    }

    /// What is wrong with a call, if anything is.
    fn find_fault(&self, asks: &[Ask<'_>], label: &str) -> Result<(), Refusal> {
        let generation = self.core.shared.generation.check();
        generation.map_err(|error| Refusal::invalid("", error))?;
        Ask::check_all(asks).map_err(|invalid| {
            let ask = invalid.at.and_then(|at| asks.get(at));
            let scope = ask.map_or("", |ask| ask.key.scope);
            // A scope that is too long is not repeated.
            let scope = if scope.len() > super::key::MAX_NAME {
                ""
            } else {
                scope
            };
            Refusal::invalid(scope, invalid.error)
        })?;
        let label = super::key::check_len("label", label.len());
        label.map_err(|error| Refusal::invalid("", error))
    }

    /// Takes the first of these keys that has room: the one with the lowest load rate first, of equal ones in the
    /// caller's order. The slot, and which of `asks` it is of. A refusal is that of the least loaded key.
    ///
    /// Blocks as [`SlotPool::try_acquire`] does.
    pub fn try_first_of(&self, asks: &[Ask<'_>], label: &str) -> Result<(usize, Slot), Refusal> {
        let keys: Vec<Key<'_>> = asks.iter().map(|ask| ask.key).collect();
        for ask in asks {
            self.check(std::slice::from_ref(ask), label)?;
        }
        let timeout = Some(super::wait_core::ANSWER);
        let loads = self.core.store.load(&keys).wait(timeout);
        let loads = loads.map_err(|error| {
            let scope = keys.first().map_or("", |key| key.scope);
            Refusal::unavailable(scope, error)
        })?;
        let mut order: Vec<(u64, usize)> = Vec::with_capacity(asks.len());
        for (at, (ask, load)) in asks.iter().zip(&loads).enumerate() {
            let limit = load.limit.or(ask.limit).unwrap_or(Limit::Unlimited);
            order.push((limit.load_rate(load.in_use, load.waiting), at));
        }
        order.sort_unstable();
        let mut first_refusal = None;
        for (_, at) in order {
            let Some(ask) = asks.get(at) else { continue };
            match self.try_acquire(std::slice::from_ref(ask), label) {
                Ok(slot) => return Ok((at, slot)),
                Err(refusal) => first_refusal = first_refusal.or(Some(refusal)),
            }
        }
        Err(first_refusal.unwrap_or_else(|| {
            let error = Error::fixed(
                ErrorKind::InvalidArgument,
                "keys",
                "there is none to choose from",
            );
            Refusal::invalid("", error)
        }))
    }

    /// Closes the pool: who waits is refused as [`super::Outcome::Closed`], and so is every newcomer. Slots that are out
    /// stay valid. Idempotent.
    pub fn close(&self) {
        self.core.close();
    }

    /// Whether it was closed.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.core.is_closed()
    }
}

impl fmt::Debug for SlotPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SlotPool")
            .field("closed", &self.is_closed())
            .finish_non_exhaustive()
    }
}
