//! What is being checked now.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// A check that is under way.
#[derive(Clone, Debug)]
pub struct InFlight {
    /// What is being checked.
    pub id: Arc<str>,
    /// For how long.
    pub age: Duration,
    /// Whether it is over its time.
    pub is_stuck: bool,
}

/// The set of ids in flight, and the room that they take.
#[derive(Default)]
pub(super) struct Flights {
    by_id: HashMap<Arc<str>, Flight>,
    stuck: u32,
    last: u64,
}

struct Flight {
    /// Tells the checks of one id apart.
    number: u64,
    since_ns: u64,
    stuck_from_ns: u64,
    is_stuck: bool,
}

impl Flights {
    pub(super) fn ids(&self) -> impl Iterator<Item = &str> {
        self.by_id.keys().map(|id| &**id)
    }

    pub(super) fn holds(&self, id: &str) -> bool {
        self.by_id.contains_key(id)
    }

    /// How many more may begin, if `at_once` may run: the room of as many as are stuck is lent anew.
    pub(super) fn room(&self, at_once: u32) -> usize {
        let lent = self.stuck.min(at_once) as usize;
        (at_once as usize + lent).saturating_sub(self.by_id.len())
    }

    /// Marks an id that is not in flight. Its number.
    pub(super) fn add(&mut self, id: Arc<str>, since_ns: u64, stuck_from_ns: u64) -> u64 {
        self.last += 1;
        let flight = Flight {
            number: self.last,
            since_ns,
            stuck_from_ns,
            is_stuck: false,
        };
        self.by_id.insert(id, flight);
        self.last
    }

    /// Takes the mark back: since when it was there, and whether it is over its time. `None` if it was taken back before.
    pub(super) fn remove(&mut self, id: &str, number: u64) -> Option<(u64, bool)> {
        self.by_id
            .get(id)
            .filter(|flight| flight.number == number)?;
        let flight = self.by_id.remove(id)?;
        self.stuck -= u32::from(flight.is_stuck);
        Some((flight.since_ns, flight.is_stuck))
    }

    /// Notes who is over its time by now; how many that are more than before.
    pub(super) fn note_stuck(&mut self, now_ns: u64) -> u32 {
        let mut more = 0;
        for flight in self.by_id.values_mut() {
            if !flight.is_stuck && flight.stuck_from_ns <= now_ns {
                flight.is_stuck = true;
                more += 1;
            }
        }
        self.stuck += more;
        more
    }

    /// Who is in flight, oldest first.
    pub(super) fn list(&self, now_ns: u64) -> Vec<InFlight> {
        let mut list: Vec<_> = self.by_id.iter().collect();
        list.sort_by_key(|(_, flight)| flight.number);
        let shown = |(id, flight): (&Arc<str>, &Flight)| InFlight {
            id: id.clone(),
            age: Duration::from_nanos(now_ns.saturating_sub(flight.since_ns)),
            is_stuck: flight.is_stuck,
        };
        list.into_iter().map(shown).collect()
    }
}
