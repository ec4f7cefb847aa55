//! A ticket on the server's side of the line.

use std::sync::{Arc, Weak};

use super::FaultStore;
use super::lease::Lease;
use crate::slots::agenda::{Class, Due, Entry};
use crate::slots::ask::Ask;
use crate::slots::store::{Answer, CLAIM, Grant, Store, Ticket};
use crate::sync::{AtomicU64, Mutex, Ordering};

/// What the server knows of a ticket.
pub(super) struct Proxy {
    store: Weak<FaultStore>,
    client: Arc<dyn Ticket>,
    order: AtomicU64,
    state: Mutex<State>,
    this: Weak<Self>,
}

enum State {
    /// In a queue, or not asked for yet.
    Waiting,
    /// A unit is kept for it: the memory's, and the lease that the client was told of.
    Offered(Grant, Arc<Lease>),
    Held(Arc<Lease>),
    GivenUp,
}

impl Proxy {
    pub(super) fn new(store: &Weak<FaultStore>, client: &Arc<dyn Ticket>) -> Arc<Self> {
        Arc::new_cyclic(|this| Self {
            store: store.clone(),
            client: client.clone(),
            order: AtomicU64::new(0),
            state: Mutex::new(State::Waiting),
            this: this.clone(),
        })
    }

    /// What there is to say of it without asking the memory.
    pub(super) fn known(&self) -> Option<Answer> {
        match &*self.state.lock() {
            State::Offered(_, lease) => Some(Answer::Offered(lease.grant())),
            State::Held(lease) => Some(Answer::Granted(lease.grant())),
            State::Waiting | State::GivenUp => None,
        }
    }

    /// It was granted.
    pub(super) fn hold(&self, lease: Arc<Lease>) -> Grant {
        let grant = lease.grant();
        let mut state = self.state.lock();
        if let State::GivenUp = *state {
            drop(state);
            grant.release();
        } else {
            *state = State::Held(lease);
        }
        grant
    }

    /// The client takes what was offered; `None` if nothing is.
    pub(super) fn claim(&self) -> Option<Answer> {
        let mut state = self.state.lock();
        if let State::Offered(_, lease) = &*state {
            *state = State::Held(lease.clone());
        }
        drop(state);
        match self.known() {
            Some(granted @ Answer::Granted(_)) => Some(granted),
            _ => None,
        }
    }

    /// The client wants it no more: what it had is free.
    pub(super) fn give_up(&self) {
        let before = std::mem::replace(&mut *self.state.lock(), State::GivenUp);
        match before {
            State::Offered(_, lease) | State::Held(lease) => {
                lease.grant().release();
            }
            State::Waiting | State::GivenUp => {}
        }
    }
}

impl Ticket for Proxy {
    fn id(&self) -> u64 {
        self.client.id()
    }

    fn ask(&self) -> Ask<'_> {
        self.client.ask()
    }

    fn max_waiting(&self) -> u32 {
        self.client.max_waiting()
    }

    fn label(&self) -> &str {
        self.client.label()
    }

    fn begun_ns(&self) -> u64 {
        self.client.begun_ns()
    }

    fn order(&self) -> u64 {
        self.order.load(Ordering::Relaxed)
    }

    fn set_order(&self, order: u64) {
        self.order.store(order, Ordering::Relaxed);
    }

    fn offer(&self, grant: &Grant) -> bool {
        let mut state = self.state.lock();
        let (State::Waiting, Some(this)) = (&*state, self.this.upgrade()) else {
            return false;
        };
        let lease = Lease::new(&self.store, self.id(), grant.clone());
        *state = State::Offered(grant.clone(), lease);
        drop(state);
        let shared = grant.lessor.shared();
        let at_ns = shared.clock.deadline_after(CLAIM);
        shared.agenda.add(at_ns, Class::Offer, this);
        true
    }

    fn take_back(&self, grant: &Grant) -> bool {
        let mut state = self.state.lock();
        match &*state {
            State::Offered(offered, _) if offered.is(grant) => {
                *state = State::Waiting;
                true
            }
            _ => false,
        }
    }

    fn ring(&self) {
        if let (Some(store), Some(offered)) = (self.store.upgrade(), self.known()) {
            store.answer(&self.client, offered);
            let _ = store.shared.agenda.arm();
        }
    }

    fn answer(&self, answer: Answer) {
        if let Some(store) = self.store.upgrade() {
            store.answer(&self.client, answer);
        }
    }
}

/// An offer's time is up.
impl Due for Proxy {
    fn fire(self: Arc<Self>, _entry: Entry) {
        let offered = match &*self.state.lock() {
            State::Offered(grant, _) => grant.clone(),
            _ => return,
        };
        if let Some(store) = self.store.upgrade() {
            let ticket: Arc<dyn Ticket> = self;
            store.inner.lapse(&ticket, &offered);
        }
    }
}
