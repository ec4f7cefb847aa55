//! A wait's place in the queue of one of its keys, as stores see it.

use std::sync::Arc;

use super::ask::Ask;
use super::store::{Answer, Grant, Ticket};
use super::wait_core::WaitCore;
use crate::sync::{AtomicBool, AtomicU64, Ordering};

/// One stage of a wait.
pub(super) struct StageTicket {
    wait: Arc<WaitCore>,
    stage: usize,
    id: u64,
    /// The store's number. Relaxed: read and written under the store's lock.
    order: AtomicU64,
    /// The store has answered that it is given up. Relaxed: who misses it asks once more.
    is_undone: AtomicBool,
}

impl StageTicket {
    pub(super) fn new(wait: &Arc<WaitCore>, stage: usize, id: u64) -> Self {
        Self {
            wait: wait.clone(),
            stage,
            id,
            order: AtomicU64::new(0),
            is_undone: AtomicBool::new(false),
        }
    }

    pub(super) fn is_undone(&self) -> bool {
        self.is_undone.load(Ordering::Relaxed)
    }

    pub(super) fn set_undone(&self) {
        self.is_undone.store(true, Ordering::Relaxed);
    }
}

impl Ticket for StageTicket {
    fn id(&self) -> u64 {
        self.id
    }

    fn ask(&self) -> Ask<'_> {
        // Its stage is one of the wait's by construction.
        self.wait.ask(self.stage)
    }

    fn max_waiting(&self) -> u32 {
        self.wait.max_waiting
    }

    fn label(&self) -> &str {
        &self.wait.label
    }

    fn begun_ns(&self) -> u64 {
        self.wait.begun_ns
    }

    fn order(&self) -> u64 {
        self.order.load(Ordering::Relaxed)
    }

    fn set_order(&self, order: u64) {
        self.order.store(order, Ordering::Relaxed);
    }

    fn offer(&self, grant: &Grant) -> bool {
        self.wait.offer(self.id, grant)
    }

    fn take_back(&self, grant: &Grant) -> bool {
        self.wait.take_back(self.id, grant)
    }

    fn ring(&self) {
        self.wait.wake();
    }

    fn answer(&self, answer: Answer) {
        if let Answer::Cancelled(..) = answer {
            self.set_undone();
        } else if self.wait.take_answer(self.id, answer) {
            self.wait.wake();
        }
    }
}
