//! Finding what matches an event: a list for filters without keys, a table by key for those with.
//!
//! Parts are replaced, not changed: whoever adds or removes builds the new part outside the log's lock and
//! swaps it in, so that a publisher never pays for a growing table.

use std::hash::BuildHasher;
use std::sync::Arc;

use hashbrown::{DefaultHashBuilder, HashTable};

use crate::event::Event;

/// How many tables the keys are spread over: a change copies one of them.
const TABLES: usize = 64;

/// Hashes keys, seeded per bus, so that a client who chooses keys cannot aim at one bucket.
#[derive(Clone, Default)]
pub(super) struct KeyHasher(DefaultHashBuilder);

impl KeyHasher {
    /// The hash of `key`; 0 for the empty one, which most events have.
    #[inline]
    pub(super) fn hash(&self, key: &str) -> u32 {
        if key.is_empty() {
            0
        } else {
            self.0.hash_one(key) as u32
        }
    }
}

/// Spreads the 32 bits over 64, since the table looks at the upper ones.
fn spread(hash: u32) -> u64 {
    u64::from(hash).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

#[derive(Clone)]
struct ByKey<T> {
    key: Box<str>,
    hash: u32,
    entries: Arc<[T]>,
}

/// The entries for one key's table: clone it, change the clone, swap it in.
pub(super) struct Table<T>(HashTable<ByKey<T>>);

/// The entries of an index, found by an event's key.
pub(super) struct Index<T> {
    /// Entries whose filter names no key.
    plain: Arc<[T]>,
    keyed: Box<[Arc<Table<T>>]>,
    /// Whether any filter names a key.
    has_keys: bool,
}

impl<T: Clone> Index<T> {
    pub(super) fn new() -> Self {
        let empty = Arc::new(Table(HashTable::new()));
        Self {
            plain: Arc::new([]),
            keyed: vec![empty; TABLES].into(),
            has_keys: false,
        }
    }

    /// Every entry without keys, and those that name the event's key. The caller still looks at kinds.
    #[inline]
    pub(super) fn for_each(&self, hash: u32, event: &Event, mut f: impl FnMut(&T)) {
        for entry in &*self.plain {
            f(entry);
        }
        if !self.has_keys {
            return;
        }
        let Some(table) = self.keyed.get(hash as usize % TABLES) else {
            return;
        };
        let key = event.key();
        if let Some(found) = table
            .0
            .find(spread(hash), |e| e.hash == hash && *e.key == *key)
        {
            found.entries.iter().for_each(f);
        }
    }

    /// A change: `plain` or some tables are to be replaced by these.
    pub(super) fn change(
        &self,
        hasher: &KeyHasher,
        keys: &[Box<str>],
        mut edit: impl FnMut(&[T]) -> Vec<T>,
    ) -> Change<T> {
        if keys.is_empty() {
            return Change {
                plain: Some(edit(&self.plain).into()),
                tables: Vec::new(),
            };
        }
        let mut tables: Vec<(usize, Table<T>)> = Vec::new();
        for key in keys {
            let hash = hasher.hash(key);
            let at = hash as usize % TABLES;
            let place = match tables.iter().position(|(known, _)| *known == at) {
                Some(place) => place,
                None => {
                    let copy = self
                        .keyed
                        .get(at)
                        .map_or_else(HashTable::new, |t| t.0.clone());
                    tables.push((at, Table(copy)));
                    tables.len() - 1
                }
            };
            let Some((_, table)) = tables.get_mut(place) else {
                continue;
            };
            let table = &mut table.0;
            match table.find_entry(spread(hash), |e| e.hash == hash && *e.key == **key) {
                Ok(mut found) => {
                    let entries = edit(&found.get().entries);
                    if entries.is_empty() {
                        found.remove();
                    } else {
                        found.get_mut().entries = entries.into();
                    }
                }
                Err(absent) => {
                    let entries = edit(&[]);
                    let table = absent.into_table();
                    if !entries.is_empty() {
                        let entry = ByKey {
                            key: key.clone(),
                            hash,
                            entries: entries.into(),
                        };
                        table.insert_unique(spread(hash), entry, |e| spread(e.hash));
                    }
                }
            }
        }
        Change {
            plain: None,
            tables: tables
                .into_iter()
                .map(|(at, t)| (at, Arc::new(t)))
                .collect(),
        }
    }

    /// Swaps a change in. No allocation, no free: what was replaced is left in `change`, for its owner to
    /// drop without the lock.
    pub(super) fn apply(&mut self, change: &mut Change<T>) {
        if let Some(plain) = &mut change.plain {
            std::mem::swap(&mut self.plain, plain);
        }
        for (at, table) in &mut change.tables {
            if let Some(place) = self.keyed.get_mut(*at) {
                std::mem::swap(place, table);
            }
        }
        self.has_keys = self.keyed.iter().any(|table| !table.0.is_empty());
    }

    /// Every entry once per place it stands in.
    pub(super) fn all(&self) -> impl Iterator<Item = &T> {
        let keyed = self.keyed.iter().flat_map(|table| table.0.iter());
        self.plain
            .iter()
            .chain(keyed.flat_map(|by_key| by_key.entries.iter()))
    }
}

/// Parts of an index to be swapped in.
#[derive(Clone)]
pub(super) struct Change<T> {
    plain: Option<Arc<[T]>>,
    tables: Vec<(usize, Arc<Table<T>>)>,
}
