//! A unit, as the client of a store far away holds it.

use std::sync::{Arc, Weak};

use super::FaultStore;
use crate::bell::Source;
use crate::slots::key::OwnedKey;
use crate::slots::load::Holder;
use crate::slots::lost_reason::LostReason;
use crate::slots::released::Released;
use crate::slots::shared::Shared;
use crate::slots::store::{Grant, Lessor, Token};
use crate::sync::{AtomicBool, Ordering};

/// A unit of the memory behind the line.
pub(super) struct Lease {
    shared: Arc<Shared>,
    store: Weak<FaultStore>,
    ticket: u64,
    unit: Grant,
    /// The holder has given it back; the server may not know yet.
    is_released: AtomicBool,
}

impl Lease {
    pub(super) fn new(store: &Weak<FaultStore>, ticket: u64, unit: Grant) -> Arc<Self> {
        Arc::new(Self {
            shared: unit.lessor.shared().clone(),
            store: store.clone(),
            ticket,
            unit,
            is_released: AtomicBool::new(false),
        })
    }

    pub(super) fn grant(self: &Arc<Self>) -> Grant {
        Grant {
            lessor: self.clone(),
            token: self.unit.token,
        }
    }

    /// Nobody renewed it in time.
    pub(super) fn expire(&self) {
        self.unit.lessor.lose(self.unit.token, LostReason::Expired);
    }

    /// The server hears of the release, however long that takes.
    fn tell(store: Weak<FaultStore>, ticket: u64, unit: Grant) {
        let Some(line_of) = store.upgrade() else {
            unit.release();
            return;
        };
        let after = line_of.line.delay();
        let was_down = line_of.line.is_down();
        line_of.line.later(after, move || {
            let is_down = store.upgrade().is_some_and(|store| store.line.is_down());
            if was_down && is_down {
                Self::tell(store.clone(), ticket, unit.clone());
                return;
            }
            if let Some(store) = store.upgrade() {
                store.give_up(ticket); // of an offer that lapsed it may still be in the queue
            }
            unit.release();
        });
    }
}

impl Lessor for Lease {
    fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    fn release(&self, _token: Token) -> Released {
        if self.is_released.swap(true, Ordering::AcqRel) {
            return Released::Already;
        }
        let lost = self.unit.lessor.lost(self.unit.token);
        Self::tell(self.store.clone(), self.ticket, self.unit.clone());
        match lost {
            Some(_) => Released::Lost,
            None => Released::Released,
        }
    }

    fn lose(&self, _token: Token, reason: LostReason) -> bool {
        self.unit.lessor.lose(self.unit.token, reason)
    }

    fn lost(&self, _token: Token) -> Option<LostReason> {
        if self.is_released.load(Ordering::Acquire) {
            return None;
        }
        self.unit.lessor.lost(self.unit.token)
    }

    fn watch(&self, _token: Token, source: &Arc<Source>) {
        self.unit.lessor.watch(self.unit.token, source);
    }

    fn holder(&self, _token: Token) -> Option<Holder> {
        if self.is_released.load(Ordering::Acquire) {
            return None;
        }
        self.unit.lessor.holder(self.unit.token)
    }

    fn is_of(&self, _token: Token, scope: &str) -> bool {
        !self.is_released.load(Ordering::Acquire) && self.unit.lessor.is_of(self.unit.token, scope)
    }

    fn key(&self, _token: Token) -> Option<OwnedKey> {
        if self.is_released.load(Ordering::Acquire) {
            return None;
        }
        self.unit.lessor.key(self.unit.token)
    }

    fn leak(&self, _token: Token) -> Option<Holder> {
        if self.is_released.load(Ordering::Acquire) {
            return None;
        }
        self.unit.lessor.leak(self.unit.token)
    }
}
