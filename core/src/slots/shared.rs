//! What every part of a pool sees.

use std::num::NonZeroU32;
use std::sync::Arc;

use super::agenda::Agenda;
use super::key::Key;
use super::leak::{Leak, LeakList, LeakNode};
use super::observer::{Observation, PoolEvent, PoolEventKind};
use super::options::{PoolOptions, Sink};
use super::outcome::{Outcome, Refusal};
use crate::fork::Generation;
use crate::guarded::guarded;
use crate::sync::{AtomicBool, AtomicU64, Ordering, fence};
use crate::time::Clock;

/// What every part of a pool sees. It outlives the pool as long as a slot does.
pub(crate) struct Shared {
    pub(super) clock: Clock,
    pub(super) generation: Generation,
    pub(super) processes: NonZeroU32,
    pub(super) agenda: Arc<Agenda>,
    leaks: LeakList,
    sink: Option<Sink>,
    observation: Option<Observation>,
    last_ticket: AtomicU64,
    leaked: AtomicU64,
    is_closed: AtomicBool,
}

impl Shared {
    pub(super) fn new(options: &PoolOptions) -> Arc<Self> {
        Arc::new(Self {
            clock: options.clock.clone(),
            generation: Generation::current(),
            processes: options.processes,
            agenda: Agenda::new(options.clock.clone()),
            leaks: LeakList::default(),
            sink: options.sink.clone(),
            observation: options.observer.as_ref().map(Observation::new),
            last_ticket: AtomicU64::new(0),
            leaked: AtomicU64::new(0),
            is_closed: AtomicBool::new(false),
        })
    }

    /// Whether somebody wants to hear of such events: asked before one is put together.
    #[inline]
    pub(super) fn tells(&self, kind: PoolEventKind) -> bool {
        self.observation
            .as_ref()
            .is_some_and(|observation| observation.wants(kind))
    }

    /// Tells of one that is wanted. Never under a lock. A panic of the host's ends here: who calls holds units.
    #[cold]
    pub(super) fn tell(&self, event: &PoolEvent<'_>) {
        if let Some(observation) = &self.observation {
            let _ = guarded(|| observation.tell(event));
        }
    }

    /// Tells of a call that ended without a slot, unless it was wrong.
    pub(super) fn tell_refused(&self, key: Key<'_>, label: &str, refusal: &Refusal) {
        if self.tells(PoolEventKind::Refused) && refusal.outcome() != Outcome::Invalid {
            self.tell(&PoolEvent::Refused {
                key,
                label,
                refusal,
            });
        }
    }

    /// The next ticket's id, from 1. Relaxed: only distinctness counts.
    pub(super) fn next_ticket(&self) -> u64 {
        self.last_ticket.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Slots that were leaked. Relaxed: a statistic.
    pub(super) fn leaked(&self) -> u64 {
        self.leaked.load(Ordering::Relaxed)
    }

    /// Puts a slot on the list of those that were collected without a release; without a lock, unless the pool is
    /// closed: then nobody else would ever look.
    pub(super) fn leak(&self, node: Box<LeakNode>) {
        self.leaks.push(node);
        // Dekker with `close`: the slot is on the list, now look whether the pool is closed.
        fence(Ordering::SeqCst);
        if self.is_closed.load(Ordering::Relaxed) {
            self.reap();
        }
    }

    /// The pool is closed.
    pub(super) fn close(&self) {
        self.is_closed.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        self.reap();
        self.agenda.disarm();
    }

    /// Releases slots that were collected without a release, counts them and tells the host. Never under a lock.
    #[inline]
    pub(super) fn reap_leaks(&self) {
        if !self.leaks.is_empty() {
            self.reap();
        }
    }

    #[cold]
    fn reap(&self) {
        for slot in self.leaks.take() {
            let mut is_leak = false;
            for grant in slot.grants() {
                let Some(holder) = grant.lessor.leak(grant.token) else {
                    continue; // released before
                };
                is_leak = true;
                let Some(sink) = &self.sink else { continue };
                let leak = Leak {
                    key: holder.key,
                    label: holder.label,
                    age: holder.age,
                };
                // One that panics is called for the others all the same, and nobody's call ends by it.
                let _ = guarded(|| sink(&leak));
            }
            self.leaked.fetch_add(u64::from(is_leak), Ordering::Relaxed);
            // The drop releases it.
        }
    }
}
