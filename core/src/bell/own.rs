//! A host's own thread serves a bell by itself: what it makes ready there needs no wake.

use std::cell::Cell;
use std::ptr::null;

use super::bell::{Bell, BellCore};

thread_local! {
    /// The bell that this thread serves at the moment. Only compared.
    static OWN: Cell<*const BellCore> = const { Cell::new(null()) };
}

impl Bell {
    /// From here until [`Bell::leave`], what *this thread* makes ready on this bell wakes nobody and touches no descriptor:
    /// the thread takes it by itself. A publish or a release between the two so reaches its readers without a system
    /// call. One bell at a time, and the thread must not sleep in between.
    pub fn enter(&self) {
        if self.core().is_here() {
            OWN.set(std::sync::Arc::as_ptr(self.core()));
        }
    }

    /// The end of that: takes up to `tokens.len()` ready tokens, others' too, and returns how many. What remains is rung.
    pub fn leave(&self, tokens: &mut [u64]) -> usize {
        OWN.set(null());
        if !self.core().is_here() {
            return 0;
        }
        // Ours are in the set, and so is whatever another thread pushed on top of them, which woke nobody because the set
        // was not empty: one swap takes both.
        let (taken, more) = self.core().take_ready(tokens, false);
        if more {
            self.core().wake();
        }
        taken
    }
}

impl BellCore {
    /// Whether the calling thread sees to it by itself.
    pub(super) fn is_own(&self) -> bool {
        std::ptr::eq(OWN.get(), self)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::sync::Arc;

    use super::super::Source;
    use super::*;

    #[test]
    fn own_thread_takes_what_it_rang_and_wakes_nobody() {
        let (bell, other) = (Bell::new(), Bell::new());
        let source = Source::new();
        source.attach(&bell, 7);
        let mut tokens = [0; 4];
        assert_eq!(bell.take(&mut tokens), 1);
        let before = bell.raises();

        bell.enter();
        source.mark_ready();
        assert_eq!(bell.raises(), before);
        assert_eq!(bell.leave(&mut tokens), 1);
        assert_eq!(tokens[0], 7);

        // Outside it rings as ever, and so does another bell inside.
        source.mark_ready();
        assert_eq!(bell.raises(), before + 1);
        assert_eq!(bell.take(&mut tokens), 1);
        other.enter();
        source.mark_ready();
        assert_eq!(bell.raises(), before + 2);
        assert_eq!(other.leave(&mut tokens), 0);
    }

    #[test]
    fn what_does_not_fit_is_rung() {
        let bell = Bell::new();
        let sources: Vec<_> = (0..3).map(|_| Source::new()).collect();
        bell.enter();
        for (token, source) in sources.iter().enumerate() {
            source.attach(&bell, token as u64);
        }
        let before = bell.raises();
        let mut tokens = [9; 2];
        assert_eq!(bell.leave(&mut tokens), 2);
        assert_eq!((tokens, bell.raises()), ([0, 1], before + 1));
        assert_eq!(bell.take(&mut tokens), 1);
    }

    #[test]
    fn no_token_is_lost_between_a_thread_of_its_own_and_others() {
        let bell = Bell::new();
        let source = Source::new();
        source.attach(&bell, 1);
        let other = Source::new();
        other.attach(&bell, 2);
        let mut tokens = [0; 4];
        assert_eq!(bell.take(&mut tokens), 2);
        let ringer = Arc::new(std::sync::Barrier::new(2));
        let there = ringer.clone();
        std::thread::scope(|scope| {
            scope.spawn(move || {
                for _ in 0..10_000 {
                    there.wait();
                    other.mark_ready();
                    there.wait();
                }
            });
            for _ in 0..10_000 {
                ringer.wait();
                bell.enter();
                source.mark_ready();
                let mut seen = bell.leave(&mut tokens);
                ringer.wait();
                // What the other thread rang is in what was left behind, or was rung.
                seen += bell.take(&mut tokens);
                assert_eq!(seen, 2);
            }
        });
    }
}
