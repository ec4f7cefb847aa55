//! Checks on threads of their own.

use std::cell::RefCell;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::admission::Admission;
use super::checks::{Checks, DueList};
use super::flight::InFlight;
use super::options::RunnerOptions;
use super::permit::{Permit, Verdict};
use super::stats::RunnerStats;
use crate::bell::Source;
use crate::error::{Error, Result};
use crate::fork::Generation;
use crate::guarded::guarded;
use crate::sync::{AtomicBool, Mutex, Ordering, local_key};
use crate::threads;
use crate::time::Deadline;

/// Periodic checks on threads of its own: one that asks what is due, and one for each check while it runs.
///
/// Dropped, it is stopped, and waits for nobody.
pub struct Runner {
    inner: Arc<Inner>,
}

struct Inner {
    admission: Admission,
    checks: Arc<dyn Checks>,
    generation: Generation,
    every: Duration,
    /// Whether there is a thread that asks, or was one.
    life: Mutex<Life>,
    threads: Arc<Threads>,
}

/// What is known of a runner's threads. Apart from the rest: a thread lets go of the host's checks before it says here, or
/// by its permit, that it has ended.
struct Threads {
    /// One asks what is due.
    is_asking: AtomicBool,
    /// Who has stopped the runner from inside: what it checks, or `None` if it asks. They do not wait for each other.
    stopping: Mutex<Vec<Option<Arc<str>>>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Life {
    New,
    Started,
    Stopped,
}

/// How far a stop came.
#[derive(Debug)]
pub struct Stopped {
    /// Checks that have not ended, oldest first.
    pub left: Vec<InFlight>,
    /// Nobody is left, and nobody asks what is due any more: nothing of the host's is called from now on.
    pub has_ended: bool,
}

/// What a thread of a runner does.
struct Work {
    runner: *const Inner,
    /// What it checks; `None` of the thread that asks what is due.
    id: Option<Arc<str>>,
}

local_key! {
    /// What the current thread does, if it is a runner's: a callback that stops its own runner does not wait for itself.
    static WORK: RefCell<Option<Work>> = const { RefCell::new(None) };
}

impl Runner {
    /// A runner that has not begun. Errors as for [`Admission::new`].
    pub fn new(options: RunnerOptions, checks: Arc<dyn Checks>) -> Result<Self> {
        Ok(Self {
            inner: Arc::new(Inner {
                every: options.every,
                admission: Admission::new(options)?,
                checks,
                generation: Generation::current(),
                life: Mutex::new(Life::New),
                threads: Arc::new(Threads {
                    is_asking: AtomicBool::new(false),
                    stopping: Mutex::new(Vec::new()),
                }),
            }),
        })
    }

    /// Begins. Twice is once. [`crate::ErrorKind::Closed`] after a stop; [`crate::ErrorKind::System`] if no thread can be started,
    /// and then it has not begun; [`crate::ErrorKind::Forked`].
    pub fn start(&self) -> Result<()> {
        self.inner.generation.check()?;
        let mut life = self.inner.life.lock();
        match *life {
            Life::Started => return Ok(()),
            Life::Stopped => return Err(Error::closed("runner")),
            Life::New => {}
        }
        let inner = self.inner.clone();
        inner.admission.core().begin_schedule();
        let is_asking = &self.inner.threads.is_asking;
        is_asking.store(true, Ordering::Release);
        if let Err(error) = threads::spawn("reqbus-runner", move || inner.ask()) {
            is_asking.store(false, Ordering::Release);
            return Err(error);
        }
        *life = Life::Started;
        Ok(())
    }

    /// Stops: no check is admitted any more, those under way are told, and this blocks until they have ended, at most for
    /// `timeout`. Those that did not end by then go on, and their threads end with them. Twice is fine.
    ///
    /// From inside [`Checks::due`] or a check it does not wait for that call, which does not count, nor for others that have
    /// stopped the runner from inside. Otherwise, once it has ended, the drop of the runner is that of the checks.
    pub fn stop(&self, timeout: Duration) -> Stopped {
        if !self.inner.generation.is_current() {
            // No thread is here.
            return Stopped {
                left: Vec::new(),
                has_ended: true,
            };
        }
        *self.inner.life.lock() = Life::Stopped;
        self.inner.admission.stop();
        self.inner.await_end(timeout);
        let own = self.inner.own();
        let is_asking = self.inner.threads.is_asking.load(Ordering::Acquire);
        let mut left = self.inner.admission.in_flight();
        left.retain(|flight| own != Some(Some(flight.id.clone())));
        let has_ended = left.is_empty() && (!is_asking || own == Some(None));
        Stopped { left, has_ended }
    }

    /// Pauses, or goes on: what is in flight goes on, and the host is not asked what is due.
    pub fn pause(&self, paused: bool) {
        self.inner.admission.pause(paused);
    }

    /// Whether it is paused.
    #[must_use]
    pub fn is_paused(&self) -> bool {
        self.inner.admission.is_paused()
    }

    /// What is being checked now, oldest first.
    #[must_use]
    pub fn in_flight(&self) -> Vec<InFlight> {
        self.inner.admission.in_flight()
    }

    /// What was counted.
    #[must_use]
    pub fn stats(&self) -> RunnerStats {
        self.inner.admission.stats()
    }
}

impl Drop for Runner {
    fn drop(&mut self) {
        if self.inner.generation.is_current() {
            *self.inner.life.lock() = Life::Stopped;
            self.inner.admission.stop();
        } else {
            // A forked child: the threads that would give their references back are not here.
            std::mem::forget(self.inner.clone());
        }
    }
}

impl Inner {
    /// Whether the calling thread works for this runner; what it checks, if it does not ask what is due.
    fn own(&self) -> Option<Option<Arc<str>>> {
        WORK.with(|work| match &*work.borrow() {
            Some(work) if std::ptr::eq(work.runner, self) => Some(work.id.clone()),
            _ => None,
        })
    }

    fn begin_work(self: &Arc<Self>, id: Option<Arc<str>>) {
        let work = Work {
            runner: Arc::as_ptr(self),
            id,
        };
        WORK.with(|current| current.replace(Some(work)));
    }

    /// Blocks until no check is under way and nobody asks what is due.
    fn await_end(&self, timeout: Duration) {
        let core = self.admission.core();
        let own = self.own();
        if let Some(own) = &own {
            self.threads.stopping.lock().push(own.clone());
            core.wake();
        }
        let source = Source::new();
        core.watch(&source);
        let deadline = Deadline::new(core.clock(), Some(timeout));
        let timer = deadline.timer(core.clock(), &source);
        loop {
            source.begin_park();
            if self.has_ended(own.is_some()) || timer.is_err() || deadline.has_passed(core.clock())
            {
                break;
            }
            source.park(deadline.instant());
        }
        source.end_wait();
        core.unwatch(&source);
    }

    /// Whether nobody works any more; from inside: nobody but those who have stopped it from inside. After a stop: what is in
    /// flight only becomes less.
    fn has_ended(&self, from_inside: bool) -> bool {
        let apart = if from_inside {
            self.threads.stopping.lock().clone()
        } else {
            Vec::new()
        };
        let is_apart = |id: Option<&str>| apart.iter().any(|other| other.as_deref() == id);
        let is_asking = self.threads.is_asking.load(Ordering::Acquire);
        (!is_asking || is_apart(None)) && self.admission.core().is_idle(|id| is_apart(Some(id)))
    }

    /// The thread that asks what is due.
    fn ask(self: Arc<Self>) {
        let core = self.admission.core().clone();
        let source = Source::new();
        core.watch(&source);
        self.begin_work(None);
        while !core.is_stopped() {
            let deadline = Deadline::at(core.clock(), core.next_round_ns());
            if deadline.has_passed(core.clock()) {
                self.round();
                continue;
            }
            source.begin_park();
            // Without a timer, which only a clock for tests needs, there is no next round.
            let Ok(_timer) = deadline.timer(core.clock(), &source) else {
                break;
            };
            if !core.is_stopped() {
                source.park(deadline.instant());
            }
        }
        source.end_wait();
        core.unwatch(&source);
        end_work();
        let threads = self.threads.clone();
        drop(self);
        threads.is_asking.store(false, Ordering::Release);
        core.wake();
    }

    fn round(self: &Arc<Self>) {
        if self.admission.pass_if_paused() {
            return;
        }
        let mut list = DueList::default();
        let asked = guarded(|| self.checks.due(&mut list));
        if !matches!(asked, Some(Ok(()))) {
            self.admission.fail_round();
            return;
        }
        // Closed: stopped meanwhile.
        let permits = self.admission.admit(&list.items()).unwrap_or_default();
        for permit in permits {
            let inner = self.clone();
            // Without a thread the permit goes with the closure, and is counted.
            let _ = threads::spawn("reqbus-check", move || inner.check(permit));
        }
    }

    /// A thread that checks one item.
    fn check(self: Arc<Self>, permit: Permit) {
        self.begin_work(Some(permit.shared_id().clone()));
        let ended = guarded(|| self.checks.check(&permit));
        end_work();
        drop(self);
        permit.finish(match ended {
            Some(true) => Verdict::Succeeded,
            Some(false) => Verdict::Failed,
            None => Verdict::Panicked,
        });
    }
}

/// The current thread works for no runner any more.
fn end_work() {
    WORK.with(|work| work.replace(None));
}

impl fmt::Debug for Runner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runner")
            .field("every", &self.inner.every)
            .field("in_flight", &self.in_flight())
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}
