//! A part of the keys behind one lock: what is done to holders and queues.
//!
//! Order of locks: a shard's, then a wait's own ([`Ticket::offer`], [`Ticket::take_back`]), then the agenda's. Of several
//! shards, by their number. Nobody is woken and no host's code runs under one.

use std::sync::{Arc, Weak};
use std::time::Duration;

use arrayvec::ArrayVec;

use super::holders::Extra;
use super::row::Row;
use super::table::Table;
use crate::slots::ask::Ask;
use crate::slots::load::{Holder, HolderId};
use crate::slots::lost_reason::LostReason;
use crate::slots::observer::{PoolEvent, PoolEventKind};
use crate::slots::shared::Shared;
use crate::slots::store::{Grant, Ticket, Token};
use crate::sync::{Mutex, MutexGuard};

/// How often a thread looks for the lock before it sleeps: some microseconds in all.
#[cfg(not(loom))]
const LOOKS: u32 = 7;
/// Offers that one hold of the lock makes.
const OFFERS: usize = 16;

/// Tickets that were offered a unit: to be rung after unlocking.
pub(super) type Rings = ArrayVec<Arc<dyn Ticket>, OFFERS>;

/// One shard.
#[repr(C)]
pub(super) struct Shard {
    /// First, beside the count of references: each try counts one while it has the lock, and finds both on one line.
    state: Mutex<ShardState>,
    pub(super) shared: Arc<Shared>,
    this: Weak<Self>,
    /// Keeps the lines of another shard, or of anything else, apart.
    _apart: [u64; 16],
}

/// What a shard's lock guards.
#[repr(C)]
pub(super) struct ShardState {
    pub(super) is_closed: bool,
    /// Tells the holders of a row's entry apart, and those of a row's number.
    last_generation: u32,
    pub(super) table: Table,
}

impl Shard {
    pub(super) fn new(shared: &Arc<Shared>, max_idle: usize, max_idle_ns: u64) -> Arc<Self> {
        Arc::new_cyclic(|this| Self {
            state: Mutex::new(ShardState {
                is_closed: false,
                last_generation: 0,
                table: Table::new(max_idle, max_idle_ns),
            }),
            shared: shared.clone(),
            this: this.clone(),
            _apart: [0; 16],
        })
    }

    /// Takes the lock. Nobody holds it for longer than a few hundred instructions: it is worth to look again, less and
    /// less often, before the thread is put to sleep. Who looks often takes the lock's line away from its holder.
    #[inline]
    pub(super) fn lock(&self) -> MutexGuard<'_, ShardState> {
        // In a model the try is one more step to no end.
        let free = if cfg!(loom) {
            None
        } else {
            self.state.try_lock()
        };
        match free {
            Some(state) => state,
            None => self.lock_contended(),
        }
    }

    #[cold]
    fn lock_contended(&self) -> MutexGuard<'_, ShardState> {
        #[cfg(not(loom))]
        for look in 0..LOOKS {
            for _ in 0..1_u32 << look {
                std::hint::spin_loop();
            }
            if let Some(state) = self.state.try_lock() {
                return state;
            }
        }
        self.state.lock()
    }

    /// A unit of this shard.
    #[inline]
    pub(super) fn grant(self: &Arc<Self>, token: Token) -> Grant {
        Grant {
            lessor: self.clone(),
            token,
        }
    }

    /// Offers what is free in a row to those who wait, and does so until no more is or nobody does. The lock is held at
    /// first, and not after.
    pub(super) fn hand_over<'a>(&'a self, mut state: MutexGuard<'a, ShardState>, at: u32) {
        loop {
            let mut rings = Rings::new();
            let more = self.offer(&mut state, at, &mut rings);
            state.table.settle(at, self.shared.clock.coarse_ns());
            drop(state);
            for ticket in &rings {
                ticket.ring();
            }
            if !more {
                return;
            }
            state = self.lock();
        }
    }

    /// Makes offers, as many as `rings` takes. Whether there may be more to make.
    fn offer(&self, state: &mut ShardState, at: u32, rings: &mut Rings) -> bool {
        let ShardState {
            is_closed: false,
            table,
            last_generation,
        } = state
        else {
            return false; // who waits is about to be refused
        };
        let Some(row) = table.get_mut(at) else {
            return false;
        };
        let Some(this) = self.this.upgrade() else {
            return false;
        };
        while row.is_awaited() && row.has_room(self.shared.processes) {
            if rings.is_full() {
                return true;
            }
            let Some(ticket) = row.queue().next() else {
                return false;
            };
            let now_ns = self.shared.clock.coarse_ns();
            let extra = Extra::of_label(ticket.label());
            let token = add_holder(row, at, last_generation, now_ns, extra);
            if ticket.offer(&this.grant(token)) {
                rings.push(ticket);
            } else {
                // Nobody waits there any more. Its label is short, and this is rare.
                let _ = row.holders.remove(token.entry, token.generation);
            }
        }
        false
    }

    /// An offer's time is up: if nobody took it, it goes to the next, and its ticket back to its place.
    pub(super) fn lapse(&self, ticket: &Arc<dyn Ticket>, grant: &Grant) {
        let Token {
            row: at,
            entry,
            generation,
        } = grant.token;
        let mut state = self.lock();
        let is_closed = state.is_closed;
        let Some(row) = state.table.get_mut(at) else {
            return;
        };
        if !row.holders.has(entry, generation) || !ticket.take_back(grant) {
            return;
        }
        let (_, leavings) = row.holders.remove(entry, generation);
        row.ledger().counters.lapsed_offers += 1;
        let refused = (is_closed || row.is_closed).then(|| {
            let outcome = crate::slots::Outcome::Closed;
            row.refuse(outcome, false, self.shared.processes)
        });
        if refused.is_none() {
            row.queue().put_back(ticket);
        }
        self.hand_over(state, at);
        drop(leavings);
        if let Some(refused) = refused {
            ticket.answer(crate::slots::store::Answer::Refused(refused));
        }
    }

    /// Takes a unit away. Whether it was held. The lock is held at first, and not after.
    pub(super) fn lose_in<'a>(
        &'a self,
        mut state: MutexGuard<'a, ShardState>,
        token: Token,
        reason: LostReason,
    ) -> bool {
        let Some(row) = state.table.get_mut(token.row) else {
            return false;
        };
        let tells = self.shared.tells(PoolEventKind::Lost);
        let holder = tells.then(|| holder_of(row, token, self.shared.clock.coarse_ns()));
        let Some(watch) = row.holders.lose(token.entry, token.generation, reason) else {
            return false;
        };
        row.ledger().counters.lost += 1;
        self.hand_over(state, token.row);
        if let Some(source) = watch {
            std::task::Wake::wake(source);
        }
        if let Some(holder) = holder.flatten() {
            self.shared.tell(&PoolEvent::Lost {
                holder: &holder,
                reason,
            });
        }
        true
    }
}

impl ShardState {
    /// Adds a holder to a row that has room.
    #[inline]
    pub(super) fn take(
        &mut self,
        at: u32,
        now_ns: u64,
        extra: Option<Box<Extra>>,
    ) -> Option<Token> {
        self.table.begin_use(at);
        let row = self.table.get_mut(at)?;
        row.count_granted();
        Some(add_holder(
            row,
            at,
            &mut self.last_generation,
            now_ns,
            extra,
        ))
    }

    /// [`ShardState::admit`] and [`ShardState::take`].
    #[inline]
    pub(super) fn admit_and_take(
        &mut self,
        at: u32,
        ask: &Ask<'_>,
        shared: &Shared,
        now_ns: u64,
        extra: Option<Box<Extra>>,
    ) -> Result<Token, crate::slots::Outcome> {
        let Self {
            is_closed: false,
            last_generation,
            table,
        } = self
        else {
            return Err(crate::slots::Outcome::Closed);
        };
        let Some((row, idle)) = table.get_with_idle(at) else {
            return Err(crate::slots::Outcome::Closed);
        };
        row.admit(ask, shared.processes)?;
        *idle -= usize::from(row.leave_idle());
        row.count_granted();
        Ok(add_holder(row, at, last_generation, now_ns, extra))
    }

    /// Takes over what a call says of the limit, and whether a newcomer gets a unit.
    #[inline]
    pub(super) fn admit(
        &mut self,
        at: u32,
        ask: &Ask<'_>,
        shared: &Shared,
    ) -> Result<(), crate::slots::Outcome> {
        if self.is_closed {
            return Err(crate::slots::Outcome::Closed);
        }
        match self.table.get_mut(at) {
            Some(row) => row.admit(ask, shared.processes),
            None => Err(crate::slots::Outcome::Closed),
        }
    }
}

#[inline]
fn add_holder(
    row: &mut Row,
    at: u32,
    last_generation: &mut u32,
    now_ns: u64,
    extra: Option<Box<Extra>>,
) -> Token {
    // Never 0, which is a free entry's.
    *last_generation = last_generation.wrapping_add(1).max(1);
    let generation = *last_generation;
    let entry = row.holders.add(generation, now_ns, extra);
    row.count_in();
    Token {
        row: at,
        entry,
        generation,
    }
}

/// Who holds a unit; `None` if it is not held.
pub(super) fn holder_of(row: &Row, token: Token, now_ns: u64) -> Option<Holder> {
    let (since_ns, label) = row.holders.held(token.entry, token.generation)?;
    Some(shown(row, token, since_ns, label, now_ns))
}

/// A holder, as lists and sinks show it.
pub(super) fn shown(row: &Row, token: Token, since_ns: u64, label: &str, now_ns: u64) -> Holder {
    Holder {
        id: holder_id(token.entry, token.generation),
        key: row.key().into(),
        label: label.into(),
        age: Duration::from_nanos(now_ns.saturating_sub(since_ns)),
    }
}

/// The number by which a holder is named: its place and generation.
pub(super) fn holder_id(entry: u32, generation: u32) -> HolderId {
    HolderId(u64::from(generation) << 32 | u64::from(entry))
}
