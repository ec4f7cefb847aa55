//! A request that waits for its slot.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use super::observer::{PoolEvent, PoolEventKind};
use super::outcome::{Outcome, Refusal};
use super::pool::PoolCore;
use super::slot::Slot;
use super::step::Step;
use super::store::Note;
use super::wait_core::WaitCore;
use crate::bell::{Bell, Parked, Source};
use crate::error::{Error, ErrorKind, Result};
use crate::fork::Generation;
use crate::sync::{AtomicBool, Mutex, OnceCell, Ordering};
use crate::time::Deadline;

/// A place in the queue of a key, or, of several keys, in exactly one of their queues, while what was taken before is
/// held ([`super::SlotPool::wait`]).
///
/// Its owner looks: [`Wait::try_next`], [`Wait::next_timeout`] (blocking), [`Wait::next`] (async), or by a bell. It ends
/// with exactly one [`Step::Granted`] or [`Step::Ended`]; a look after that repeats the refusal. Dropped before, it is
/// cancelled: everything it had is given back.
///
/// An owner that does not look for 3 s after a slot was kept for it loses that to the next in line, keeps its place, and
/// gets no other until it looks.
#[must_use = "a wait that is dropped is cancelled"]
pub struct Wait {
    inner: Inner,
    generation: Generation,
    /// One blocking or async wait at a time.
    waiting: AtomicBool,
}

enum Inner {
    /// Decided before there was anything to wait for.
    Decided(Box<Decided>),
    Open(Arc<WaitCore>),
}

/// Decided by the try that a wait begins with.
struct Decided {
    verdict: Mutex<Verdict>,
    /// Where a slot came from; `None` beside a refusal.
    pool: Option<Arc<PoolCore>>,
    /// What its bell knows it by, if it has one. Nothing new will come: the ring as it is attached is all it needs.
    source: OnceCell<Arc<Source>>,
}

enum Verdict {
    Granted(Slot),
    Refused(Refusal),
    /// The slot was handed out.
    Told,
}

impl Decided {
    fn look(&self) -> Step {
        let mut verdict = self.verdict.lock();
        match std::mem::replace(&mut *verdict, Verdict::Told) {
            Verdict::Granted(slot) => {
                drop(verdict);
                self.tell_granted(&slot);
                Step::Granted(slot)
            }
            Verdict::Refused(refusal) => {
                *verdict = Verdict::Refused(refusal.clone());
                Step::Ended(refusal)
            }
            Verdict::Told => Step::Ended(Refusal::over()),
        }
    }

    fn tell_granted(&self, slot: &Slot) {
        let Some(pool) = &self.pool else { return };
        if pool.shared.tells(PoolEventKind::Granted) {
            let holders = slot.holders();
            let keys: Vec<_> = holders.iter().map(|holder| holder.key.as_key()).collect();
            pool.shared.tell(&PoolEvent::Granted {
                keys: &keys,
                label: holders.first().map_or("", |holder| &holder.label),
                waited: Duration::ZERO,
                pings: 0,
            });
        }
    }

    /// Gives a slot back that nobody has looked at.
    fn cancel(&self, cause: Option<Error>) {
        let Some(pool) = &self.pool else { return };
        let mut verdict = self.verdict.lock();
        let Verdict::Granted(slot) = &*verdict else {
            return;
        };
        let Some(key) = slot.keys().pop() else { return };
        let loads = pool.store.load(&[key.as_key()]).wait(Some(Duration::ZERO));
        let load = loads.ok().and_then(|loads| loads.first().copied());
        let refusal = Refusal::cancelled(key.as_key().scope, load.unwrap_or_default(), cause);
        let slot = std::mem::replace(&mut *verdict, Verdict::Refused(refusal.clone()));
        drop(verdict);
        if let Verdict::Granted(slot) = slot {
            let label = slot.holders().pop().map(|holder| holder.label);
            slot.give_back();
            let label = label.unwrap_or_default();
            pool.shared.tell_refused(key.as_key(), &label, &refusal);
        }
        pool.store
            .note(key.as_key(), Note::Ended(Outcome::Cancelled));
    }
}

impl Wait {
    /// A slot was there at once.
    pub(super) fn granted(slot: Slot, pool: &Arc<PoolCore>) -> Self {
        let verdict = Verdict::Granted(slot);
        Self::decided(verdict, Some(pool.clone()), pool.shared.generation)
    }

    pub(super) fn refused(refusal: Refusal, generation: Generation) -> Self {
        Self::decided(Verdict::Refused(refusal), None, generation)
    }

    fn decided(verdict: Verdict, pool: Option<Arc<PoolCore>>, generation: Generation) -> Self {
        Self {
            inner: Inner::Decided(Box::new(Decided {
                verdict: Mutex::new(verdict),
                pool,
                source: OnceCell::new(),
            })),
            generation,
            waiting: AtomicBool::new(false),
        }
    }

    pub(super) fn open(core: Arc<WaitCore>, generation: Generation) -> Self {
        Self {
            inner: Inner::Open(core),
            generation,
            waiting: AtomicBool::new(false),
        }
    }

    #[cfg(all(test, loom))]
    pub(super) fn core(&self) -> &Arc<WaitCore> {
        match &self.inner {
            Inner::Open(core) => core,
            Inner::Decided(..) => panic!("it was decided at once"),
        }
    }

    /// Looks, without waiting: a ping that is due, the slot, the end, or `None` while there is nothing new.
    pub fn try_next(&self) -> Option<Step> {
        if let Err(error) = self.generation.check() {
            return Some(Step::Ended(Refusal::invalid("", error)));
        }
        match &self.inner {
            Inner::Open(core) => core.look(),
            Inner::Decided(decided) => Some(decided.look()),
        }
    }

    /// Looks, and blocks until there is something new, at most for `timeout`; `None` waits as long as the wait lasts.
    ///
    /// [`ErrorKind::Timeout`]: nothing new in that time, the wait goes on. [`ErrorKind::Busy`]: another thread or task
    /// waits on it.
    pub fn next_timeout(&self, timeout: Option<Duration>) -> Result<Step> {
        if let Some(step) = self.try_next() {
            return Ok(step);
        }
        let Inner::Open(core) = &self.inner else {
            return Err(nothing_new());
        };
        self.begin()?;
        let answer = self.block(core, timeout);
        core.source.end_wait();
        self.waiting.store(false, Ordering::Release);
        answer
    }

    fn block(&self, core: &Arc<WaitCore>, timeout: Option<Duration>) -> Result<Step> {
        let clock = &core.pool.shared.clock;
        let deadline = Deadline::new(clock, timeout);
        let _timer = deadline.timer(clock, &core.source)?;
        loop {
            // First say who waits, then look.
            core.source.begin_park();
            if let Some(step) = core.look() {
                return Ok(step);
            }
            if deadline.has_passed(clock)
                || core.source.park(deadline.instant()) == Parked::TimedOut
            {
                return core.look().ok_or_else(nothing_new);
            }
        }
    }

    fn begin(&self) -> Result<()> {
        if self.waiting.swap(true, Ordering::Acquire) {
            return Err(Error::fixed(
                ErrorKind::Busy,
                "wait",
                "another thread or task waits on this; one at a time",
            ));
        }
        Ok(())
    }

    /// Looks, and waits until there is something new, on any runtime. Dropped, it has taken nothing: the wait goes on.
    pub async fn next(&self) -> Step {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    /// [`Wait::next`] for those who poll by hand. The latest poll is the one that is woken.
    pub fn poll_next(&self, cx: &mut Context<'_>) -> Poll<Step> {
        if let Inner::Open(core) = &self.inner
            && self.generation.is_current()
        {
            // First say who waits, then look.
            core.source.wait_as_task(cx.waker());
        }
        match self.try_next() {
            Some(step) => Poll::Ready(step),
            None => Poll::Pending,
        }
    }

    /// Where it stood, from 1, when it joined the queue that it waits in; 0 if it waits in none. Those before it may have
    /// gone since.
    #[must_use]
    pub fn position(&self) -> u32 {
        match &self.inner {
            Inner::Open(core) if self.generation.is_current() => core.position(),
            _ => 0,
        }
    }

    /// Blocks until the end, and passes over pings.
    pub fn wait(self) -> Result<Slot, Refusal> {
        loop {
            match self.next_timeout(None) {
                Ok(Step::Granted(slot)) => return Ok(slot),
                Ok(Step::Ended(refusal)) => return Err(refusal),
                Ok(Step::Ping) => {}
                Err(error) => return Err(Refusal::invalid("", error)),
            }
        }
    }

    /// From now on, `bell` is rung under `token` when there is something new. The token is ready at once, so that
    /// nothing that is there already is missed.
    pub fn attach(&self, bell: &Bell, token: u64) -> Result<()> {
        self.generation.check()?;
        let source = match &self.inner {
            Inner::Open(core) => &core.source,
            Inner::Decided(decided) => decided.source.get_or_init(Source::new),
        };
        source.attach(bell, token);
        Ok(())
    }

    /// Leaves its bell, if it has one: its token is not taken from then on.
    pub fn detach(&self) {
        let source = match &self.inner {
            Inner::Open(core) => Some(&core.source),
            Inner::Decided(decided) => decided.source.get(),
        };
        if let Some(source) = source
            && self.generation.is_current()
        {
            source.detach();
        }
    }

    /// Gives up: [`super::Outcome::Cancelled`], with the host's reason, if it has one. A slot that was kept for it goes to the
    /// next in line. Nothing happens if the wait is over; one that is just being ended by another thread, because its time
    /// is up, ends so a moment later. Any thread may call it.
    pub fn cancel(&self, cause: Option<Error>) {
        if !self.generation.is_current() {
            return;
        }
        match &self.inner {
            Inner::Open(core) => core.cancel(cause),
            Inner::Decided(decided) => decided.cancel(cause),
        }
    }
}

/// Passes over pings.
impl Future for Wait {
    type Output = Result<Slot, Refusal>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        loop {
            match self.poll_next(cx) {
                Poll::Ready(Step::Granted(slot)) => return Poll::Ready(Ok(slot)),
                Poll::Ready(Step::Ended(refusal)) => return Poll::Ready(Err(refusal)),
                Poll::Ready(Step::Ping) => {}
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        self.detach();
        match &self.inner {
            Inner::Open(core) if self.generation.is_current() => core.cancel(None),
            // A forked child: see `Slot::drop`.
            Inner::Open(core) => std::mem::forget(core.clone()),
            Inner::Decided(decided) if self.generation.is_current() => decided.cancel(None),
            Inner::Decided(decided) => {
                std::mem::forget((decided.pool.clone(), decided.source.get().cloned()));
            }
        }
    }
}

impl fmt::Debug for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Wait");
        match &self.inner {
            Inner::Open(core) if self.generation.is_current() => {
                shown.field("phase", &core.phase_name())
            }
            Inner::Open(_) => shown.field("phase", &"forked"),
            Inner::Decided(..) => shown.field("phase", &"decided"),
        };
        shown.finish_non_exhaustive()
    }
}

fn nothing_new() -> Error {
    Error::fixed(
        ErrorKind::Timeout,
        "wait",
        "nothing new in that time; the wait goes on",
    )
}
