//! A host's own thread serves a bell by itself: what it makes ready there needs no wake.

use std::cell::Cell;
use std::ptr::null;
use std::sync::Arc;

use super::bell::{Bell, BellCore};
use crate::sync::local_key;

local_key! {
    /// The bell that this thread serves at the moment. Only compared.
    static OWN: Cell<*const BellCore> = const { Cell::new(null()) };
}

impl Bell {
    /// From here until [`Bell::leave`], what *this thread* makes ready on this bell wakes nobody and touches no descriptor:
    /// the thread takes it by itself. A publish or a release between the two so reaches its readers without a system
    /// call. The thread must not sleep in between, and must leave whatever happens, a panic included. One bell at a time:
    /// of a thread that enters another one first, the latest is the one that it serves, and it leaves both, in any order.
    pub fn enter(&self) {
        if self.core().is_here() {
            OWN.with(|own| own.set(Arc::as_ptr(self.core())));
        }
    }

    /// Whether tokens became ready that nobody has taken since. One load.
    #[must_use]
    pub fn has_ready(&self) -> bool {
        self.core().has_new_tokens()
    }

    /// The end of that: takes up to `tokens.len()` ready tokens, others' too, and returns how many. What remains is rung,
    /// so a thread that cannot take any leaves with no room for them. Two loads if nothing became ready.
    pub fn leave(&self, tokens: &mut [u64]) -> usize {
        OWN.with(|own| own.set(null()));
        let core = self.core();
        // What was left over by a take before was rung then.
        if !core.is_here() || (!core.has_new_tokens() && !core.is_closed()) {
            return 0;
        }
        // Ours are in the set, and so is whatever another thread pushed on top of them, which woke nobody because the set
        // was not empty: one swap takes both.
        let (taken, more) = core.take_ready(tokens, false);
        if more || core.is_closed() {
            core.wake();
        }
        taken
    }
}

impl BellCore {
    /// Whether the calling thread sees to it by itself.
    pub(super) fn is_own(&self) -> bool {
        std::ptr::eq(OWN.with(Cell::get), self)
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
    fn with_no_room_all_is_rung_and_stays() {
        let bell = Bell::new();
        let source = Source::new();
        bell.enter();
        assert!(!bell.has_ready());
        source.attach(&bell, 3);
        assert!(bell.has_ready());
        let before = bell.raises();
        assert_eq!((bell.leave(&mut []), bell.raises()), (0, before + 1));
        let mut tokens = [0; 2];
        assert_eq!((bell.take(&mut tokens), tokens[0]), (1, 3));
    }

    #[test]
    fn of_two_bells_none_keeps_a_token_back() {
        let bells = [Bell::new(), Bell::new()];
        let sources = [Source::new(), Source::new()];
        let mut tokens = [0; 4];
        for [first, second] in [[0, 1], [1, 0]] {
            bells[0].enter();
            sources[0].attach(&bells[0], 1);
            bells[1].enter();
            sources[1].attach(&bells[1], 1);
            assert_eq!(bells[first].leave(&mut tokens), 1);
            assert_eq!(bells[second].leave(&mut tokens), 1);
            let before = bells[1].raises();
            sources[1].mark_ready();
            assert_eq!(bells[1].raises(), before + 1, "it is served no more");
            assert_eq!(bells[1].take(&mut tokens), 1);
        }
    }

    #[test]
    fn a_close_by_its_own_thread_wakes_whoever_sleeps() {
        let bell = Bell::new();
        let sleeper = {
            let bell = bell.clone();
            std::thread::spawn(move || bell.wait(&mut [0; 1], None).is_err())
        };
        bell.enter();
        bell.close();
        assert_eq!(bell.leave(&mut [0; 1]), 0);
        assert!(sleeper.join().unwrap());
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
