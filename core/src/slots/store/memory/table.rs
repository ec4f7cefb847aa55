//! The rows of one shard: found by key, named by number, forgotten when idle.

use std::collections::HashMap;
use std::sync::Arc;

use hashbrown::HashTable;

use super::row::Row;
use crate::slots::key::Key;
use crate::slots::stats::Ledger;

/// No row.
const NONE: u32 = u32::MAX;

/// Rows. A row in use keeps its number; an idle one is on a list, oldest first, and may be forgotten.
///
/// A row that is used again stays on the list, and is moved to its end when it is idle again: so a key that is used again
/// and again by itself touches no other.
#[repr(C)]
pub(super) struct Table {
    oldest_idle: u32,
    newest_idle: u32,
    /// Idle rows: those on the list that are not in use.
    idle: usize,
    max_idle: usize,
    max_idle_ns: u64,
    /// No row is idle for too long before this time has passed.
    forget_ns: u64,
    /// The hash and the number of each row.
    index: HashTable<(u64, u32)>,
    rows: Vec<Option<Box<Row>>>,
    free: Vec<u32>,
    /// One forgotten row, for the next new key.
    spare: Option<Box<Row>>,
    /// What is left of forgotten rows, by scope. Every scope that was ever used is here.
    scopes: HashMap<Arc<str>, Ledger>,
}

impl Table {
    pub(super) fn new(max_idle: usize, max_idle_ns: u64) -> Self {
        Self {
            oldest_idle: NONE,
            newest_idle: NONE,
            idle: 0,
            max_idle,
            max_idle_ns,
            forget_ns: 0,
            index: HashTable::new(),
            rows: Vec::new(),
            free: Vec::new(),
            spare: None,
            scopes: HashMap::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.index.len()
    }

    #[inline]
    pub(super) fn get(&self, at: u32) -> Option<&Row> {
        self.rows.get(at as usize)?.as_deref()
    }

    #[inline]
    pub(super) fn get_mut(&mut self, at: u32) -> Option<&mut Row> {
        self.rows.get_mut(at as usize)?.as_deref_mut()
    }

    /// A row, and the count of idle ones.
    #[inline]
    pub(super) fn get_with_idle(&mut self, at: u32) -> Option<(&mut Row, &mut usize)> {
        let row = self.rows.get_mut(at as usize)?.as_deref_mut()?;
        Some((row, &mut self.idle))
    }

    pub(super) fn rows_mut(&mut self) -> impl Iterator<Item = &mut Row> {
        self.rows.iter_mut().filter_map(Option::as_deref_mut)
    }

    pub(super) fn rows(&self) -> impl Iterator<Item = &Row> {
        self.rows.iter().filter_map(Option::as_deref)
    }

    /// The row of a key.
    #[inline]
    pub(super) fn find(&self, hash: u64, key: &Key<'_>) -> Option<u32> {
        let is_it = |&(known, at): &(u64, u32)| {
            known == hash && self.get(at).is_some_and(|row| row.is(key))
        };
        self.index.find(hash, is_it).map(|&(_, at)| at)
    }

    /// The row of a key, made if need be. The caller ends with [`Table::settle`], or with a row that is in use.
    #[inline]
    pub(super) fn find_or_add(&mut self, hash: u64, key: &Key<'_>) -> u32 {
        match self.find(hash, key) {
            Some(at) => at,
            None => self.add(hash, key),
        }
    }

    fn add(&mut self, hash: u64, key: &Key<'_>) -> u32 {
        let row = match self.spare.take() {
            Some(mut row) => {
                if *row.scope == *key.scope {
                    let scope = row.scope.clone();
                    row.renew(hash, &scope, key.id);
                } else {
                    row.renew(hash, &self.scope(key.scope), key.id);
                }
                row
            }
            None => Box::new(Row::new(hash, self.scope(key.scope), key.id)),
        };
        let at = match self.free.pop() {
            Some(at) => at,
            None => {
                self.rows.push(None);
                self.rows.len() as u32 - 1
            }
        };
        if let Some(place) = self.rows.get_mut(at as usize) {
            *place = Some(row);
        }
        self.index
            .insert_unique(hash, (hash, at), |&(hash, _)| hash);
        at
    }

    /// The one copy of a scope's name in this shard.
    fn scope(&mut self, name: &str) -> Arc<str> {
        if let Some((known, _)) = self.scopes.get_key_value(name) {
            return known.clone();
        }
        let name = Arc::<str>::from(name);
        self.scopes.insert(name.clone(), Ledger::default());
        name
    }

    /// What is left of a scope's forgotten rows.
    pub(super) fn scope_ledger(&mut self, name: &str) -> Option<&mut Ledger> {
        self.scopes.get_mut(name)
    }

    /// The row is about to be used.
    #[inline]
    pub(super) fn begin_use(&mut self, at: u32) {
        if self.get_mut(at).is_some_and(Row::leave_idle) {
            self.idle -= 1;
        }
    }

    /// Puts a row that is not used any more among the idle ones, and forgets those that are too many or too old.
    #[inline]
    pub(super) fn settle(&mut self, at: u32, now_ns: u64) {
        let newest = self.newest_idle;
        let Some(row) = self.get_mut(at) else { return };
        if row.is_unused() == row.is_idle() {
            return;
        }
        if row.is_idle() {
            self.begin_use(at);
            return;
        }
        row.begin_idle(now_ns);
        if !row.is_listed() || newest != at {
            self.move_to_end(at);
        }
        self.idle += 1;
        if self.idle > self.max_idle || now_ns > self.forget_ns {
            self.forget(now_ns);
        }
    }

    fn move_to_end(&mut self, at: u32) {
        self.unlist(at);
        let newest = self.newest_idle;
        let Some(row) = self.get_mut(at) else { return };
        row.set_listed(true);
        row.prev = newest;
        row.next = NONE;
        match self.get_mut(newest) {
            Some(newest) => newest.next = at,
            None => self.oldest_idle = at,
        }
        self.newest_idle = at;
    }

    /// Takes a row off the list, if it is on it.
    fn unlist(&mut self, at: u32) {
        let Some(row) = self.get_mut(at) else { return };
        if !row.is_listed() {
            return;
        }
        row.set_listed(false);
        let (prev, next) = (row.prev, row.next);
        match self.get_mut(prev) {
            Some(prev) => prev.next = next,
            None => self.oldest_idle = next,
        }
        match self.get_mut(next) {
            Some(next) => next.prev = prev,
            None => self.newest_idle = prev,
        }
    }

    /// Forgets idle rows that are too many or too old; what they counted goes to their scopes.
    pub(super) fn forget(&mut self, now_ns: u64) {
        let mut oldest_ns = now_ns;
        while let Some(oldest) = self.get(self.oldest_idle) {
            if !oldest.is_idle() {
                self.unlist(self.oldest_idle); // it comes to the end when it is idle
                continue;
            }
            let age_ns = oldest.idle_ns(now_ns);
            oldest_ns = now_ns.saturating_sub(age_ns);
            if self.idle <= self.max_idle && age_ns <= self.max_idle_ns {
                break;
            }
            self.forget_one(self.oldest_idle);
        }
        self.forget_ns = oldest_ns.saturating_add(self.max_idle_ns);
    }

    fn forget_one(&mut self, at: u32) {
        self.begin_use(at);
        self.unlist(at);
        let Some(mut row) = self.rows.get_mut(at as usize).and_then(Option::take) else {
            return;
        };
        if let Some(ledger) = self.scopes.get_mut(&row.scope) {
            row.fold_into(ledger);
        }
        if let Ok(entry) = self.index.find_entry(row.hash, |&(_, known)| known == at) {
            entry.remove();
        }
        self.free.push(at);
        row.forget_more();
        self.spare = Some(row);
        self.shrink();
    }

    /// Gives memory back after many rows were in use at once.
    fn shrink(&mut self) {
        const FEW: usize = 64;
        let live = self.index.len();
        let last_is_free = matches!(self.rows.last(), Some(None));
        if !last_is_free || self.rows.len() <= FEW.max(live * 4) {
            return;
        }
        while self.rows.pop_if(|last| last.is_none()).is_some() {}
        let places = self.rows.len() as u32;
        self.free.retain(|&at| at < places);
        self.rows.shrink_to(live * 2);
        self.free.shrink_to(live * 2);
        self.index.shrink_to(live * 2, |&(hash, _)| hash);
    }
}
