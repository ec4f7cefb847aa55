//! Waiting for items: blocking with a deadline, and as a future.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use super::batch::Batch;
use super::options::Limits;
use super::read::Want;
use super::subscription::{SubCore, Subscription};
use crate::bell::Parked;
use crate::error::{Error, ErrorKind, Result};
use crate::sync::Ordering;
use crate::time::Deadline;
use crate::wire::Form;

impl Subscription {
    /// Takes what is there, without waiting, and returns how many items; 0 when there is nothing now.
    ///
    /// [`ErrorKind::Closed`] once everything up to the end has been read; [`ErrorKind::InvalidArgument`] for
    /// a limit of 0. On a bell, a read that finds nothing arms the subscription.
    pub fn try_recv(&self, batch: &mut Batch, limits: Limits) -> Result<usize> {
        self.core().try_read(batch, limits, None)
    }

    /// As [`Subscription::try_recv`], with a text of each item in `form` ([`Batch::texts`]);
    /// `limits.max_bytes` then bounds the texts.
    pub fn try_recv_texts(&self, batch: &mut Batch, form: Form, limits: Limits) -> Result<usize> {
        self.core().try_read(batch, limits, Some(form))
    }

    /// Waits until there is something, and takes it. `None` waits for ever, zero tries.
    ///
    /// [`ErrorKind::Timeout`], [`ErrorKind::Interrupted`] ([`Subscription::interrupt`]),
    /// [`ErrorKind::Busy`] (another wait is under way), else as [`Subscription::try_recv`]. Whatever the
    /// error, nothing was taken.
    pub fn recv_timeout(
        &self,
        batch: &mut Batch,
        limits: Limits,
        timeout: Option<Duration>,
    ) -> Result<usize> {
        self.core().wait(batch, limits, None, timeout)
    }

    /// As [`Subscription::recv_timeout`], with texts as in [`Subscription::try_recv_texts`].
    pub fn recv_texts_timeout(
        &self,
        batch: &mut Batch,
        form: Form,
        limits: Limits,
        timeout: Option<Duration>,
    ) -> Result<usize> {
        self.core().wait(batch, limits, Some(form), timeout)
    }

    /// A future of [`Subscription::recv_timeout`] without a timeout, on any runtime. Dropped, it has taken
    /// nothing.
    pub fn recv<'a>(&'a self, batch: &'a mut Batch, limits: Limits) -> Recv<'a> {
        Recv {
            core: self.core(),
            batch,
            limits,
            form: None,
            waits: false,
        }
    }

    /// As [`Subscription::recv`], with texts.
    pub fn recv_texts<'a>(&'a self, batch: &'a mut Batch, form: Form, limits: Limits) -> Recv<'a> {
        Recv {
            core: self.core(),
            batch,
            limits,
            form: Some(form),
            waits: false,
        }
    }
}

impl SubCore {
    fn try_read(&self, batch: &mut Batch, limits: Limits, form: Option<Form>) -> Result<usize> {
        self.bus.generation.check()?;
        let arm = self.source.is_attached();
        let want = Want {
            limits,
            form,
            arm,
            leave: false,
        };
        self.fill(batch, want)
    }

    /// Claims the one wait.
    fn begin_wait(&self) -> Result<()> {
        if self.waiting.swap(true, Ordering::Acquire) {
            return Err(Error::fixed(
                ErrorKind::Busy,
                "subscription",
                "another thread or task waits on this subscription; one wait at a time",
            ));
        }
        Ok(())
    }

    fn end_wait(&self) {
        self.source.end_wait();
        self.waiting.store(false, Ordering::Release);
    }

    fn take_interrupt(&self) -> Result<()> {
        // The load spares most waits the swap. Relaxed: who interrupts takes the source's lock afterwards, so
        // that whoever said there that it waits sees the flag, or is woken.
        if self.interrupted.load(Ordering::Relaxed)
            && self.interrupted.swap(false, Ordering::AcqRel)
        {
            return Err(Error::fixed(
                ErrorKind::Interrupted,
                "subscription",
                "the wait was interrupted",
            ));
        }
        Ok(())
    }

    fn wait(
        &self,
        batch: &mut Batch,
        limits: Limits,
        form: Option<Form>,
        timeout: Option<Duration>,
    ) -> Result<usize> {
        self.bus.generation.check()?;
        self.begin_wait()?;
        let mut parked = false;
        let answer = self.wait_claimed(batch, limits, form, timeout, &mut parked);
        self.end_wait();
        if parked {
            // Whoever leaves a park wakes the next in line.
            self.bus.line.wake_next();
        }
        answer
    }

    fn wait_claimed(
        &self,
        batch: &mut Batch,
        limits: Limits,
        form: Option<Form>,
        timeout: Option<Duration>,
        parked: &mut bool,
    ) -> Result<usize> {
        // Every wait begins with a try.
        self.take_interrupt()?;
        let mut want = Want {
            limits,
            form,
            arm: false,
            leave: false,
        };
        let found = self.fill(batch, want)?;
        if found > 0 {
            return Ok(found);
        }
        want.arm = true;
        let deadline = Deadline::new(&self.bus.clock, timeout);
        let _timer = deadline.timer(&self.bus.clock, &self.source)?;
        loop {
            if deadline.has_passed(&self.bus.clock) {
                return Err(timed_out());
            }
            self.source.begin_park();
            // From here on the line may count on us to wake the next in it, whether we sleep or not.
            *parked = true;
            // And a ring or an interrupt is noticed: a second look, which arms.
            self.take_interrupt()?;
            let found = self.fill(batch, want)?;
            if found > 0 {
                return Ok(found);
            }
            if self.source.park(deadline.instant()) == Parked::TimedOut {
                return Err(timed_out());
            }
            self.bus.line.wake_next();
            self.let_gather(&deadline)?;
        }
    }
}

impl SubCore {
    /// Lets a burst gather for the linger, unarmed, or until the deadline, an interrupt or a close.
    fn let_gather(&self, deadline: &Deadline) -> Result<()> {
        let Some(until) = Instant::now().checked_add(self.linger) else {
            return Ok(());
        };
        if self.linger.is_zero() || self.is_closed() {
            return Ok(());
        }
        self.source.begin_park();
        self.take_interrupt()?;
        let until = deadline.instant().map_or(until, |at| at.min(until));
        self.source.park(Some(until));
        // A park like any other: the line may have counted on us.
        self.bus.line.wake_next();
        Ok(())
    }
}

fn timed_out() -> Error {
    Error::fixed(ErrorKind::Timeout, "subscription", "nothing came in time")
}

/// A wait as a future: [`Subscription::recv`].
#[must_use = "a future does nothing until it is awaited"]
pub struct Recv<'a> {
    core: &'a SubCore,
    batch: &'a mut Batch,
    limits: Limits,
    form: Option<Form>,
    /// It has claimed the one wait.
    waits: bool,
}

impl Future for Recv<'_> {
    type Output = Result<usize>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let want = Want {
            limits: this.limits,
            form: this.form,
            arm: true,
            leave: false,
        };
        let answer = this.core.poll_fill(cx, this.batch, want, &mut this.waits);
        if answer.is_ready() && std::mem::take(&mut this.waits) {
            this.core.end_wait();
        }
        answer
    }
}

impl Drop for Recv<'_> {
    fn drop(&mut self) {
        if self.waits && self.core.bus.generation.is_current() {
            self.core.end_wait();
        }
    }
}

impl SubCore {
    /// One poll of a wait. `waits` says whether it has claimed the one wait, which its owner ends.
    pub(super) fn poll_fill(
        &self,
        cx: &mut Context<'_>,
        batch: &mut Batch,
        want: Want,
        waits: &mut bool,
    ) -> Poll<Result<usize>> {
        self.bus.generation.check()?;
        if !*waits {
            self.begin_wait()?;
            *waits = true;
        }
        self.take_interrupt()?;
        // After a wake there is something: then the source need not be touched. A hint, both loads.
        if self.bus.log.head() >= self.position.load(Ordering::Relaxed) {
            let found = self.fill(batch, Want { arm: false, ..want })?;
            if found > 0 {
                return Poll::Ready(Ok(found));
            }
        }
        // One more look, which arms: the waker is in place before it.
        self.source.wait_as_task(cx.waker());
        self.take_interrupt()?;
        match self.fill(batch, want) {
            Ok(0) => Poll::Pending,
            answer => Poll::Ready(answer),
        }
    }

    /// Ends a wait that [`SubCore::poll_fill`] claimed.
    pub(super) fn end_poll(&self) {
        if self.bus.generation.is_current() {
            self.end_wait();
        }
    }
}
