//! A store for tests: memory behind a bad line.
//!
//! Commands and answers travel on the pool's clock, late, doubled, in another order or not at all, drawn from a seed; the
//! store can lose a lease, and go down and come back. What it does to holders and queues is what `memory` does: all that
//! goes wrong goes wrong on the line, as it would with a server.

mod lease;
mod line;
mod proxy;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Weak};
use std::time::Duration;

use self::lease::Lease;
use self::line::Line;
pub use self::line::{Fault, FaultOptions};
use self::proxy::Proxy;
use super::memory::MemoryStore;
use super::{Answer, Change, Grant, Grants, Note, Refused, Store, Ticket, TryAll};
use crate::error::{Error, ErrorKind, Result};
use crate::slots::key::{Key, OwnedKey};
use crate::slots::load::{Holder, HolderId, Load};
use crate::slots::outcome::Standing;
use crate::slots::reply::Reply;
use crate::slots::shared::Shared;
use crate::slots::stats::{KeyStats, ScopeStats};
use crate::sync::Mutex;

/// The store, both ends of the line.
pub(in crate::slots) struct FaultStore {
    shared: Arc<Shared>,
    inner: MemoryStore,
    line: Line,
    /// The server's side.
    server: Mutex<Server>,
    this: Weak<Self>,
}

#[derive(Default)]
struct Server {
    tickets: HashMap<u64, Arc<Proxy>>,
    /// Tickets that were given up: a command that comes after that is too late.
    given_up: HashSet<u64>,
}

impl FaultStore {
    pub(in crate::slots) fn new(shared: &Arc<Shared>, options: &FaultOptions) -> Arc<Self> {
        Arc::new_cyclic(|this| Self {
            shared: shared.clone(),
            inner: MemoryStore::new(shared),
            line: Line::new(shared, options),
            server: Mutex::new(Server::default()),
            this: this.clone(),
        })
    }

    /// Sends a command over the line.
    fn command(&self, run: impl Fn(&Self) + Send + Sync + 'static) {
        let this = self.this.clone();
        self.line.send(move || {
            if let Some(store) = this.upgrade() {
                run(&store);
            }
        });
    }

    /// Sends an answer back over the line.
    fn answer(&self, to: &Arc<dyn Ticket>, answer: Answer) {
        let to = to.clone();
        self.line.send(move || to.answer(answer.clone()));
    }

    /// The server's ticket for a client's; `None` if that was given up.
    fn proxy(&self, ticket: &Arc<dyn Ticket>) -> Option<Arc<Proxy>> {
        let mut server = self.server.lock();
        if server.given_up.contains(&ticket.id()) {
            return None;
        }
        let proxy = server.tickets.entry(ticket.id());
        let proxy = proxy.or_insert_with(|| Proxy::new(&self.this, ticket));
        Some(proxy.clone())
    }

    fn forget(&self, ticket: u64) -> Option<Arc<Proxy>> {
        let mut server = self.server.lock();
        server.given_up.insert(ticket);
        server.tickets.remove(&ticket)
    }

    /// A unit that the memory gave, as the client sees it; sometimes it will be lost.
    fn lease(&self, ticket: u64, grant: Grant) -> Arc<Lease> {
        let lease = Lease::new(&self.this, ticket, grant);
        if let Some(after) = self.line.loses_lease() {
            let doomed = lease.clone();
            self.line.later(after, move || doomed.expire());
        }
        lease
    }

    fn serve_acquire(&self, ticket: &Arc<dyn Ticket>) {
        let Some(proxy) = self.proxy(ticket) else {
            return;
        };
        if let Some(known) = proxy.known() {
            return self.answer(ticket, known);
        }
        let asked: Arc<dyn Ticket> = proxy.clone();
        let Some(answer) = self.inner.acquire(&asked) else {
            return;
        };
        let answer = match answer {
            Answer::Granted(grant) => Answer::Granted(proxy.hold(self.lease(ticket.id(), grant))),
            Answer::Refused(refused) => {
                self.forget(ticket.id());
                Answer::Refused(refused)
            }
            // An offer may have been made meanwhile.
            other => proxy.known().unwrap_or(other),
        };
        self.answer(ticket, answer);
    }

    fn serve_claim(&self, ticket: &Arc<dyn Ticket>) {
        let Some(proxy) = self.proxy(ticket) else {
            return;
        };
        match proxy.claim() {
            Some(granted) => self.answer(ticket, granted),
            None => self.serve_acquire(ticket),
        }
    }

    fn serve_cancel(&self, ticket: &Arc<dyn Ticket>) {
        let (standing, position) = self.give_up(ticket.id());
        self.answer(ticket, Answer::Cancelled(standing, position));
    }

    /// Out of the queue, and what it was given is free.
    fn give_up(&self, ticket: u64) -> (Standing, u32) {
        let Some(proxy) = self.forget(ticket) else {
            return (Standing::default(), 0);
        };
        let asked: Arc<dyn Ticket> = proxy.clone();
        let answer = self.inner.cancel(&asked);
        proxy.give_up();
        match answer {
            Some(Answer::Cancelled(standing, position)) => (standing, position),
            _ => (Standing::default(), 0),
        }
    }

    /// A question that is answered once.
    fn question<T: Send + 'static>(
        &self,
        ask: impl Fn(&MemoryStore) -> Reply<T> + Send + Sync + 'static,
    ) -> Reply<T> {
        if self.line.is_down() {
            return Reply::here(Err(down()));
        }
        let (reply, later) = Reply::later(&self.shared.clock);
        self.command(move |store| {
            let answer = ask(&store.inner).wait(Some(Duration::ZERO));
            let later = later.clone();
            let answer = Mutex::new(Some(answer));
            store.line.send(move || {
                if let Some(answer) = answer.lock().take() {
                    later.put(answer);
                }
            });
        });
        reply
    }

    fn is_refusing(&self) -> Option<Answer> {
        self.line.refuses().then(|| Answer::Failed(down()))
    }
}

fn down() -> Error {
    Error::fixed(ErrorKind::StoreUnavailable, "store", "the store is down")
}

impl Store for FaultStore {
    fn try_all(&self, _call: &TryAll<'_, '_>) -> Option<Result<Grants, Refused>> {
        None
    }

    fn acquire(&self, ticket: &Arc<dyn Ticket>) -> Option<Answer> {
        if let Some(failed) = self.is_refusing() {
            return Some(failed);
        }
        let ticket = ticket.clone();
        self.command(move |store| store.serve_acquire(&ticket));
        None
    }

    fn claim(&self, ticket: &Arc<dyn Ticket>, _grant: &Grant) -> Option<Answer> {
        if let Some(failed) = self.is_refusing() {
            return Some(failed);
        }
        let ticket = ticket.clone();
        self.command(move |store| store.serve_claim(&ticket));
        None
    }

    fn cancel(&self, ticket: &Arc<dyn Ticket>) -> Option<Answer> {
        let ticket = ticket.clone();
        self.command(move |store| store.serve_cancel(&ticket));
        None
    }

    fn lapse(&self, _ticket: &Arc<dyn Ticket>, _grant: &Grant) {
        // The server lets its offers lapse by itself.
    }

    fn is_lossy(&self) -> bool {
        true
    }

    fn set(&self, key: Key<'_>, change: Change) -> Reply<()> {
        let key = OwnedKey::from(key);
        self.question(move |inner| inner.set(key.as_key(), change))
    }

    fn load(&self, keys: &[Key<'_>]) -> Reply<Vec<Load>> {
        let keys: Vec<OwnedKey> = keys.iter().map(|&key| key.into()).collect();
        self.question(move |inner| {
            let keys: Vec<Key<'_>> = keys.iter().map(OwnedKey::as_key).collect();
            inner.load(&keys)
        })
    }

    fn holders(&self, key: Option<Key<'_>>, at_least: Duration) -> Reply<Vec<Holder>> {
        let key = key.map(OwnedKey::from);
        self.question(move |inner| inner.holders(key.as_ref().map(OwnedKey::as_key), at_least))
    }

    fn force(&self, key: Key<'_>, id: HolderId) -> Reply<bool> {
        let key = OwnedKey::from(key);
        self.question(move |inner| inner.force(key.as_key(), id))
    }

    fn key_stats(&self, key: Key<'_>) -> Option<KeyStats> {
        self.inner.key_stats(key)
    }

    fn scope_stats(&self, scope: &str) -> ScopeStats {
        self.inner.scope_stats(scope)
    }

    fn keys(&self) -> usize {
        self.inner.keys()
    }

    fn note(&self, key: Key<'_>, note: Note) {
        self.inner.note(key, note);
    }

    fn close(&self) {
        self.inner.close();
    }
}
