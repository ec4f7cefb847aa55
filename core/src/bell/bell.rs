//! One bell for a host's loop.

use std::collections::VecDeque;
use std::fmt;
use std::os::fd::RawFd;
use std::sync::Arc;
use std::task::Waker;
use std::time::{Duration, Instant};

use super::doorbell::Doorbell;
use super::drive::{Drive, Ready};
use super::ready::{Attachment, ReadyStack};
use crate::error::{Error, ErrorKind, Result};
use crate::fork::Generation;
use crate::sync::{AtomicBool, AtomicU64, Condvar, Mutex, OnceCell, Ordering, fence};

/// Readiness of any number of subscriptions, for one host loop.
///
/// Each subscription is attached with a token that the host chose
/// ([`crate::Subscription::attach`]). When one has something to read, its token becomes ready and the
/// loop is woken once, however many events and subscriptions there are: through a descriptor for
/// `poll`, `epoll` or `kqueue` ([`Bell::fd`]), a blocking wait ([`Bell::wait`]), or a future
/// ([`Bell::ready`]; [`Bell::drive`] for tasks).
///
/// The rule for hosts: after a wake, [`Bell::take`] the tokens, and read each subscription. A read that
/// returns something leaves its token ready; a read that finds nothing arms it. So a host may stop
/// anywhere and loses no wake. Wakes may be spurious.
///
/// Cheap to clone; clones are the same bell. Any thread may use it at any time.
#[derive(Clone)]
pub struct Bell {
    core: Arc<BellCore>,
}

pub(crate) struct BellCore {
    ready: ReadyStack,
    /// Taken from the stack, not handed out yet: the caller's array was too short.
    left: Mutex<VecDeque<Arc<Attachment>>>,
    waiters: Mutex<Waiters>,
    unpark: Condvar,
    doorbell: OnceCell<Doorbell>,
    driven: AtomicBool,
    closed: AtomicBool,
    raises: AtomicU64,
    generation: Generation,
}

#[derive(Default)]
struct Waiters {
    task: Option<Waker>,
    threads: usize,
    /// Counts wakes, so that a thread that began to wait sees one that came before it slept.
    wakes: u64,
}

impl Bell {
    /// A bell without a descriptor yet. Never blocks.
    #[must_use]
    pub fn new() -> Self {
        Self {
            core: Arc::new(BellCore {
                ready: ReadyStack::default(),
                left: Mutex::new(VecDeque::new()),
                waiters: Mutex::new(Waiters::default()),
                unpark: Condvar::new(),
                doorbell: OnceCell::new(),
                driven: AtomicBool::new(false),
                closed: AtomicBool::new(false),
                raises: AtomicU64::new(0),
                generation: Generation::current(),
            }),
        }
    }

    pub(crate) fn core(&self) -> &Arc<BellCore> {
        &self.core
    }

    /// The bell's descriptor, made at the first call: readable while tokens may be ready.
    ///
    /// Level-triggered, non-blocking, close-on-exec, the same for the bell's whole life. Borrowed: only
    /// poll it; never read, write or close it. A host that needs its own duplicates it. It is closed
    /// with the last clone of the bell and the last subscription attached to it.
    /// [`crate::ErrorKind::System`] when the process has no descriptor left.
    pub fn fd(&self) -> Result<RawFd> {
        self.core.generation.check()?;
        let doorbell = self.core.doorbell.get_or_try_init(Doorbell::new)?;
        // Dekker with `BellCore::wake`: we publish the descriptor, then look for tokens; a ringer
        // pushes its token, then looks for the descriptor. One of us sees the other.
        fence(Ordering::SeqCst);
        if self.core.is_closed() || self.core.has_tokens() {
            doorbell.raise();
        }
        Ok(doorbell.fd())
    }

    /// Takes up to `tokens.len()` ready tokens and returns how many. Never blocks.
    ///
    /// Clears the descriptor first, and leaves it readable if tokens remain. On a closed bell the
    /// descriptor stays readable for ever.
    pub fn take(&self, tokens: &mut [u64]) -> usize {
        if tokens.is_empty() || !self.core.generation.is_current() {
            return 0;
        }
        let core = &*self.core;
        let (taken, more) = core.take_ready(tokens, true);
        if (more || core.is_closed())
            && let Some(doorbell) = core.doorbell.get()
        {
            doorbell.raise();
        }
        taken
    }

    /// Sleeps until tokens are ready, then takes them as [`Bell::take`] does. `None` waits for ever.
    /// 0 when the time is up; [`crate::ErrorKind::Closed`] on a closed bell without ready tokens,
    /// [`crate::ErrorKind::InvalidArgument`] without room for a token.
    pub fn wait(&self, tokens: &mut [u64], timeout: Option<Duration>) -> Result<usize> {
        self.core.generation.check()?;
        if tokens.is_empty() {
            return Err(Error::fixed(
                ErrorKind::InvalidArgument,
                "tokens",
                "there is no room for a token",
            ));
        }
        let deadline = timeout.and_then(|t| Instant::now().checked_add(t));
        loop {
            let seen = {
                let mut waiters = self.core.waiters.lock();
                waiters.threads += 1;
                waiters.wakes
            };
            let taken = self.take(tokens);
            let mut waiters = self.core.waiters.lock();
            let mut timed_out = false;
            while taken == 0 && !timed_out && waiters.wakes == seen && !self.core.is_closed() {
                timed_out = match deadline {
                    Some(at) => self.core.unpark.wait_until(&mut waiters, at).timed_out(),
                    None => {
                        self.core.unpark.wait(&mut waiters);
                        false
                    }
                };
            }
            waiters.threads -= 1;
            drop(waiters);
            if taken > 0 || timed_out {
                return Ok(taken);
            }
            if self.core.is_closed() && !self.core.has_tokens() {
                return Err(Error::closed("bell"));
            }
        }
    }

    /// A future that ends when tokens may be ready (or the bell is closed). One at a time: the latest
    /// poll is the one that is woken.
    pub fn ready(&self) -> Ready {
        Ready::new(self.core.clone())
    }

    /// A future to spawn once on the loop whose tasks wait on subscriptions attached to this bell: a
    /// publish then wakes this one task from outside, and it wakes the others from within, which costs
    /// a loop a fraction of a wake from another thread. Ends when the bell is closed; dropped, the
    /// tasks are woken one by one again.
    pub fn drive(&self) -> Drive {
        Drive::new(self.core.clone())
    }

    /// Closes the bell: waits end, and the descriptor stays readable for ever. Idempotent.
    pub fn close(&self) {
        if self.core.generation.is_current() {
            self.core.closed.store(true, Ordering::Release);
            self.core.wake();
        }
    }

    /// How often the bell has woken its loop. For measurements.
    #[must_use]
    pub fn raises(&self) -> u64 {
        self.core.raises.load(Ordering::Relaxed)
    }
}

impl Default for Bell {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Bell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bell")
            .field("fd", &self.core.doorbell.get().map(Doorbell::fd))
            .field("closed", &self.core.is_closed())
            .field("raises", &self.raises())
            .finish()
    }
}

impl BellCore {
    /// Marks `entry` ready, and wakes the loop if it was the first.
    pub(crate) fn mark_ready(&self, entry: &Arc<Attachment>) {
        if self.push(entry) {
            self.wake();
        }
    }

    /// Puts `entry` among the ready; whether it was the first, so that the loop must be woken. Wakes nobody.
    pub(super) fn push(&self, entry: &Arc<Attachment>) -> bool {
        self.ready.push(entry)
    }

    /// Whether it was made in this process.
    pub(super) fn is_here(&self) -> bool {
        self.generation.is_current()
    }

    /// Hands out as many tokens as there is room for: how many, and whether more remain. `clear` the descriptor first.
    pub(super) fn take_ready(&self, tokens: &mut [u64], clear: bool) -> (usize, bool) {
        let mut left = self.left.lock();
        if clear
            && let Some(doorbell) = self.doorbell.get()
            && !self.is_closed()
        {
            doorbell.clear();
        }
        // After the clear: a ring that comes later raises the descriptor again.
        fence(Ordering::SeqCst);
        self.ready.take(&mut left);
        let mut taken = 0;
        while taken < tokens.len() {
            let Some(entry) = left.pop_front() else { break };
            if let Some(token) = entry.hand_out()
                && let Some(place) = tokens.get_mut(taken)
            {
                *place = token;
                taken += 1;
            }
        }
        (taken, !left.is_empty())
    }

    /// Wakes the loop; without any lock. Not if the calling thread serves this bell by itself ([`Bell::enter`]).
    pub(super) fn wake(&self) {
        if self.is_own() {
            return;
        }
        // Relaxed: a statistic.
        self.raises.fetch_add(1, Ordering::Relaxed);
        // Dekker with `Bell::fd`: the token is pushed, now look for the descriptor.
        fence(Ordering::SeqCst);
        if let Some(doorbell) = self.doorbell.get() {
            doorbell.raise();
        }
        let mut waiters = self.waiters.lock();
        waiters.wakes = waiters.wakes.wrapping_add(1);
        let task = waiters.task.take();
        let threads = waiters.threads;
        drop(waiters);
        if threads > 0 {
            self.unpark.notify_all();
        }
        if let Some(task) = task {
            task.wake();
        }
    }

    pub(super) fn set_task(&self, waker: &Waker) {
        // Cloned and dropped without the lock: that is the executor's code.
        let waker = waker.clone();
        let before = self.waiters.lock().task.replace(waker);
        drop(before);
    }

    /// Takes everybody who is ready and wakes whoever waits there, without a lock. `ready` is empty, and left so.
    pub(super) fn wake_ready(&self, ready: &mut VecDeque<Arc<Attachment>>) {
        let mut left = self.left.lock();
        self.ready.take(&mut left);
        std::mem::swap(&mut *left, ready);
        drop(left);
        for entry in ready.drain(..) {
            if entry.hand_out().is_some()
                && let Some(source) = entry.source()
            {
                source.wake_now();
            }
        }
    }

    /// Whether tokens became ready that are not among those left over.
    pub(super) fn has_new_tokens(&self) -> bool {
        !self.ready.is_empty()
    }

    pub(super) fn has_tokens(&self) -> bool {
        !self.ready.is_empty() || !self.left.lock().is_empty()
    }

    /// The descriptor, which must have been made: for models.
    #[cfg(all(test, loom))]
    pub(super) fn doorbell(&self) -> &Doorbell {
        self.doorbell.get().unwrap()
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    pub(super) fn set_driven(&self, driven: bool) {
        self.driven.store(driven, Ordering::Release);
    }

    pub(super) fn is_driven(&self) -> bool {
        self.driven.load(Ordering::Acquire)
    }
}
