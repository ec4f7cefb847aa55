//! Admits and accounts; runs nothing.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::flight::{Flights, InFlight};
use super::observer::FinishedCheck;
use super::options::RunnerOptions;
use super::permit::{Permit, Verdict};
use super::schedule::{Due, in_order};
use super::stats::RunnerStats;
use crate::bell::Source;
use crate::error::{Error, Result};
use crate::fork::Generation;
use crate::sync::{AtomicBool, Mutex, Ordering};
use crate::time::Clock;

/// Decides which checks begin, for hosts that run them themselves: as goroutines, coroutines or promises.
///
/// A host's loop sleeps for [`Admission::until_next_round`], asks its own store what is due, and gives that to
/// [`Admission::admit`]: for each permit it runs one check and gives the permit back with a verdict.
///
/// Cheap to clone; clones are the same. Any thread may use it at any time; nothing blocks.
#[derive(Clone)]
pub struct Admission {
    core: Arc<AdmissionCore>,
}

pub(super) struct AdmissionCore {
    options: RunnerOptions,
    /// How long after the beginning the first round is due.
    first_ns: u64,
    generation: Generation,
    /// No check begins any more. Set under the lock; Release, so that who sees it sees what came before.
    stopped: AtomicBool,
    state: Mutex<State>,
    /// Who is woken by a permit that is given back, and by a stop.
    watchers: Mutex<Vec<Arc<Source>>>,
}

struct State {
    flights: Flights,
    stats: RunnerStats,
    is_paused: bool,
    /// When the next round begins.
    next_ns: u64,
    /// Where equals begin in the next round.
    turn: usize,
}

impl Admission {
    /// An admission whose first round begins at once, or within the jitter. [`crate::ErrorKind::InvalidArgument`] names
    /// an option that is out of range.
    pub fn new(options: RunnerOptions) -> Result<Self> {
        options.check()?;
        let first_ns = options.draw_first_ns()?;
        let next_ns = options.clock.now_ns().saturating_add(first_ns);
        Ok(Self {
            core: Arc::new(AdmissionCore {
                options,
                first_ns,
                generation: Generation::current(),
                stopped: AtomicBool::new(false),
                state: Mutex::new(State {
                    flights: Flights::default(),
                    stats: RunnerStats::default(),
                    is_paused: false,
                    next_ns,
                    turn: 0,
                }),
                watchers: Mutex::new(Vec::new()),
            }),
        })
    }

    pub(super) fn core(&self) -> &Arc<AdmissionCore> {
        &self.core
    }

    /// How long until the next round; zero when it is due, and in a forked child, where [`Admission::admit`] says so.
    #[must_use]
    pub fn until_next_round(&self) -> Duration {
        if !self.core.generation.is_current() {
            return Duration::ZERO;
        }
        let now_ns = self.core.clock().now_ns();
        Duration::from_nanos(self.core.next_round_ns().saturating_sub(now_ns))
    }

    /// As [`Admission::admit_at_most`], with as many permits as there is room for: never more than `at_once`.
    pub fn admit(&self, due: &[Due<'_>]) -> Result<Vec<Permit>> {
        self.admit_at_most(due, usize::MAX)
    }

    /// Begins a round, whenever it is called: at most `most` permits for those of the due items that may be checked now,
    /// in the order in which they should begin. The next round is due `every` after this one was, or, if it comes late,
    /// at the first such time that is still to come.
    ///
    /// Each item gets a permit, or is counted: as busy if its id is being checked (an id that stands in the list twice is
    /// checked once), else as one that found no room. None while paused. [`crate::ErrorKind::Closed`] after a stop;
    /// [`crate::ErrorKind::InvalidArgument`] and [`crate::ErrorKind::TooLarge`] for an id, and then nothing was admitted;
    /// [`crate::ErrorKind::Forked`].
    pub fn admit_at_most(&self, due: &[Due<'_>], most: usize) -> Result<Vec<Permit>> {
        self.core.generation.check()?;
        due.iter().try_for_each(Due::check)?;
        let core = &self.core;
        let now_ns = core.clock().now_ns();
        // Before the lock, so that it outlives it: a permit that is dropped takes it.
        let mut permits = Vec::new();
        let mut state = core.state.lock();
        if core.is_stopped() {
            return Err(Error::closed("runner"));
        }
        core.begin_round(&mut state, now_ns);
        if state.is_paused {
            state.stats.paused_rounds += 1;
            return Ok(permits);
        }
        let State {
            flights,
            stats,
            turn,
            ..
        } = &mut *state;
        let room = flights.room(core.options.at_once).min(most);
        if room > 0 {
            let limit_ns = core.options.limit.as_nanos() as u64;
            let stuck_from_ns = now_ns.saturating_add(limit_ns);
            for at in in_order(due, *turn) {
                let Some(item) = due.get(at).filter(|item| !flights.holds(item.id)) else {
                    continue;
                };
                let id: Arc<str> = item.id.into();
                let number = flights.add(id.clone(), now_ns, stuck_from_ns);
                permits.push(Permit::new(core, id, number, stuck_from_ns));
                stats.late += u64::from(item.overdue > core.options.every);
                // Those after it come first the next time.
                *turn = at + 1;
                if permits.len() == room {
                    break;
                }
            }
        }
        let run = permits.len() as u64;
        let held = due.iter().filter(|item| flights.holds(item.id)).count() as u64;
        stats.run += run;
        stats.skipped_busy += held - run;
        stats.skipped_full += due.len() as u64 - held;
        Ok(permits)
    }

    /// Passes over a round, if it is paused. Whether it was.
    pub(super) fn pass_if_paused(&self) -> bool {
        let now_ns = self.core.clock().now_ns();
        let mut state = self.core.state.lock();
        let is_paused = state.is_paused;
        if is_paused {
            self.core.begin_round(&mut state, now_ns);
            state.stats.paused_rounds += 1;
        }
        is_paused
    }

    /// Notes a round in which the host could not say what is due.
    pub fn fail_round(&self) {
        if self.core.generation.is_current() {
            let now_ns = self.core.clock().now_ns();
            let mut state = self.core.state.lock();
            self.core.begin_round(&mut state, now_ns);
            state.stats.failed_rounds += 1;
        }
    }

    /// Pauses, or goes on: rounds are passed over, what is in flight goes on, and the list is not touched.
    pub fn pause(&self, paused: bool) {
        if self.core.generation.is_current() {
            self.core.state.lock().is_paused = paused;
        }
    }

    /// Whether it is paused.
    #[must_use]
    pub fn is_paused(&self) -> bool {
        self.core.generation.is_current() && self.core.state.lock().is_paused
    }

    /// No check begins any more, and those under way are told ([`Permit::should_end`]). Idempotent.
    pub fn stop(&self) {
        if self.core.generation.is_current() {
            {
                let _state = self.core.state.lock();
                self.core.stopped.store(true, Ordering::Release);
            }
            self.core.wake();
        }
    }

    /// What is being checked now, oldest first.
    #[must_use]
    pub fn in_flight(&self) -> Vec<InFlight> {
        if !self.core.generation.is_current() {
            return Vec::new();
        }
        let now_ns = self.core.clock().now_ns();
        let mut state = self.core.state.lock();
        self.core.note_stuck(&mut state, now_ns);
        state.flights.list(now_ns)
    }

    /// What was counted.
    #[must_use]
    pub fn stats(&self) -> RunnerStats {
        if !self.core.generation.is_current() {
            return RunnerStats::default();
        }
        let now_ns = self.core.clock().now_ns();
        let mut state = self.core.state.lock();
        self.core.note_stuck(&mut state, now_ns);
        state.stats
    }
}

impl AdmissionCore {
    pub(super) fn clock(&self) -> &Clock {
        &self.options.clock
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Acquire)
    }

    /// The schedule begins now, not when this was made.
    pub(super) fn begin_schedule(&self) {
        let now_ns = self.clock().now_ns();
        self.state.lock().next_ns = now_ns.saturating_add(self.first_ns);
    }

    pub(super) fn next_round_ns(&self) -> u64 {
        self.state.lock().next_ns
    }

    fn begin_round(&self, state: &mut State, now_ns: u64) {
        self.note_stuck(state, now_ns);
        state.stats.rounds += 1;
        let every_ns = self.options.every.as_nanos() as u64;
        let behind_ns = now_ns.saturating_sub(state.next_ns);
        let rounds = behind_ns / every_ns.max(1) + 1;
        let begun_early = now_ns < state.next_ns;
        if !begun_early {
            let step_ns = every_ns.saturating_mul(rounds);
            state.next_ns = state.next_ns.saturating_add(step_ns);
        }
    }

    fn note_stuck(&self, state: &mut State, now_ns: u64) {
        state.stats.stuck += u64::from(state.flights.note_stuck(now_ns));
    }

    pub(super) fn give_back(&self, id: &str, number: u64, verdict: Verdict) {
        // A permit that a forked child inherited is the parent's.
        if !self.generation.is_current() {
            return;
        }
        let now_ns = self.clock().now_ns();
        let (since_ns, was_stuck) = {
            let mut state = self.state.lock();
            self.note_stuck(&mut state, now_ns);
            let Some(flight) = state.flights.remove(id, number) else {
                return;
            };
            match verdict {
                Verdict::Succeeded => state.stats.succeeded += 1,
                Verdict::Failed => state.stats.failed += 1,
                Verdict::Panicked => state.stats.panicked += 1,
            }
            flight
        };
        if let Some(observer) = &self.options.observer {
            observer.check_finished(&FinishedCheck {
                id,
                verdict,
                took: Duration::from_nanos(now_ns.saturating_sub(since_ns)),
                was_stuck,
            });
        }
        self.wake();
    }

    /// Whether no check is under way, other than those that `is_apart` says.
    pub(super) fn is_idle(&self, is_apart: impl Fn(&str) -> bool) -> bool {
        self.state.lock().flights.ids().all(is_apart)
    }

    /// `source` is woken from now on when a permit is given back, and by a stop.
    pub(super) fn watch(&self, source: &Arc<Source>) {
        self.watchers.lock().push(source.clone());
    }

    pub(super) fn unwatch(&self, source: &Arc<Source>) {
        let mut watchers = self.watchers.lock();
        watchers.retain(|other| !Arc::ptr_eq(other, source));
    }

    pub(super) fn wake(&self) {
        // Few: a runner's thread, and whoever is stopping it.
        let watchers = self.watchers.lock().clone();
        for source in &watchers {
            source.wake_now();
        }
    }
}

impl fmt::Debug for Admission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Admission")
            .field("in_flight", &self.in_flight())
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}
