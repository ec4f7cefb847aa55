//! Waiting for slots of a pool.

use super::ask::{Ask, OwnedAsk};
use super::options::WaitOptions;
use super::outcome::{Outcome, Refusal};
use super::pool::SlotPool;
use super::slot::Slot;
use super::store::{Grants, Note, Refused};
use super::wait::Wait;
use super::wait_core::{Terms, WaitCore};
use crate::error::{Error, ErrorKind};

impl SlotPool {
    /// Begins to wait for a slot of every key: it is asked for at once, and has its place in the queue when this
    /// returns (from memory). Never blocks. Keys are taken in the pool's order of scopes; what was taken is held while
    /// the wait stands in the queue of the next.
    ///
    /// The wait is a future of the slot, which passes over pings; [`Wait::next`] and its like tell them.
    pub fn wait(&self, asks: &[Ask<'_>], options: &WaitOptions<'_>) -> Wait {
        match self.take_or_wait(asks, options) {
            Ok(slot) => Wait::granted(slot, &self.core),
            Err(wait) => wait,
        }
    }

    /// As [`SlotPool::wait`], with a slot that is there at once handed out as it is: the common call then makes no wait.
    /// From memory it does not allocate for one key that is known and no label.
    #[inline]
    pub fn acquire(&self, asks: &[Ask<'_>], options: &WaitOptions<'_>) -> Result<Slot, Wait> {
        let slot = self.take_or_wait(asks, options)?;
        self.tell_granted(asks, options.label);
        Ok(slot)
    }

    /// [`SlotPool::acquire`], without a word of a slot that is there at once.
    #[inline]
    fn take_or_wait(&self, asks: &[Ask<'_>], options: &WaitOptions<'_>) -> Result<Slot, Wait> {
        if let Err(error) = options.check() {
            let refusal = Refusal::invalid("", error);
            return Err(Wait::refused(refusal, self.core.shared.generation));
        }
        // The common call by itself, as in `try_acquire`.
        if let ([ask], Some(memory)) = (asks, &self.core.memory) {
            if let Err(invalid) = self.check(asks, options.label) {
                return Err(Wait::refused(invalid, self.core.shared.generation));
            }
            self.core.shared.reap_leaks();
            return match memory.try_one(ask, options.label, options.is_try()) {
                Ok(grant) => Ok(self.slot(Grants::one(grant))),
                Err(refused) => Err(self.not_at_once(asks, options, *refused)),
            };
        }
        match self.try_now(asks, options.label, options.is_try()) {
            Err(invalid) => Err(Wait::refused(invalid, self.core.shared.generation)),
            Ok(Ok(Some(slot))) => Ok(slot),
            Ok(Ok(None)) => Err(self.begin(asks, options)),
            Ok(Err(refused)) => Err(self.not_at_once(asks, options, refused)),
        }
    }

    /// What becomes of a call whose first try was refused.
    #[cold]
    fn not_at_once(&self, asks: &[Ask<'_>], options: &WaitOptions<'_>, refused: Refused) -> Wait {
        if !options.is_try() && refused.outcome == Outcome::Busy {
            return self.begin(asks, options);
        }
        let refusal = self.refusal(asks, options.label, refused);
        if !options.is_try() {
            self.count(&refusal, asks);
        }
        Wait::refused(refusal, self.core.shared.generation)
    }

    /// A refusal that no store has counted, because it was not known to be final.
    fn count(&self, refusal: &Refusal, asks: &[Ask<'_>]) {
        let ask = asks.iter().find(|ask| ask.key.scope == refusal.scope());
        if let Some(ask) = ask {
            let note = Note::Ended(refusal.outcome());
            self.core.store.note(ask.key, note);
        }
    }

    pub(super) fn begin(&self, asks: &[Ask<'_>], options: &WaitOptions<'_>) -> Wait {
        let mut sorted: Box<[OwnedAsk]> = asks.iter().map(OwnedAsk::from).collect();
        self.core.ranks.sort(&mut sorted, OwnedAsk::as_ask);
        let terms = Terms {
            label: options.label,
            max_waiting: options.max_waiting,
            timeout: options.timeout,
            ping_every: options.ping_every,
        };
        let core = WaitCore::new(&self.core, sorted, &terms);
        core.start();
        if !options.is_try() {
            core.tell_begun();
        }
        Wait::open(core, self.core.shared.generation)
    }

    /// As [`SlotPool::wait`], for further keys on top of a slot that is held: each must come after all of its scopes, or
    /// it is [`Outcome::Invalid`], because two requests could wait for each other. The new slot is one of its own;
    /// [`Slot::join`] makes them one.
    pub fn wait_on_top(&self, slot: &Slot, asks: &[Ask<'_>], options: &WaitOptions<'_>) -> Wait {
        for held in slot.keys() {
            for ask in asks {
                let order = self
                    .core
                    .ranks
                    .compare_scopes(held.as_key().scope, ask.key.scope);
                if order != std::cmp::Ordering::Less {
                    let error = Error::fixed(
                        ErrorKind::InvalidArgument,
                        "scope",
                        "it comes before, or is, a scope that the slot holds; release that first",
                    );
                    let refusal = Refusal::invalid("", error);
                    return Wait::refused(refusal, self.core.shared.generation);
                }
            }
        }
        self.wait(asks, options)
    }
}
