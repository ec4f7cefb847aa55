//! Models of readiness: arm, ring, sleep, the line of parked threads, the bell and its driver.
//!
//! A missed wake is a deadlock, which loom reports. *Catches* names the change to the code under which the
//! model was seen to fail.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Waker};

use loom::future::block_on;
use loom::thread;

use super::{ArmList, Bell, Chain, LockToken, ParkLine, Source};
use crate::sync::{Mutex, check};

/// As much of a log as readiness needs: a count of events under the lock that guards the arm list.
struct Log {
    state: Mutex<State>,
    armed: ArmList,
    line: ParkLine,
}

struct State {
    token: LockToken,
    events: u64,
}

impl Log {
    fn new() -> Arc<Self> {
        let state = State {
            token: LockToken::new(),
            events: 0,
        };
        Arc::new(Self {
            state: Mutex::new(state),
            armed: ArmList::default(),
            line: ParkLine::new(),
        })
    }

    fn publish(&self) {
        let mut chain = Chain::new();
        let mut state = self.state.lock();
        state.events += 1;
        if !self.armed.is_empty(&state.token) {
            self.armed.take(&mut state.token, &mut chain);
        }
        drop(state);
        while let Some(source) = chain.pop() {
            source.ring(&self.line);
        }
        self.line.wake_next();
    }

    /// Looks for events after `seen`, and arms if there are none.
    fn look(&self, source: &Arc<Source>, seen: &mut u64) -> bool {
        let mut state = self.state.lock();
        if state.events > *seen {
            *seen = state.events;
            return true;
        }
        self.armed.arm(&mut state.token, source);
        false
    }

    /// A host that was handed the token of `source`: one read, as a subscription's.
    fn read(&self, source: &Arc<Source>, seen: &mut u64) {
        if self.look(source, seen) {
            source.mark_ready();
        }
    }

    /// One poll of a task that waits for `goal` events.
    fn poll(
        &self,
        source: &Arc<Source>,
        seen: &mut u64,
        goal: u64,
        cx: &mut Context<'_>,
    ) -> Poll<()> {
        source.wait_as_task(cx.waker());
        while *seen < goal {
            if !self.look(source, seen) {
                return Poll::Pending;
            }
        }
        source.end_wait();
        Poll::Ready(())
    }

    /// A thread that waits for `goal` events.
    fn park(&self, source: &Arc<Source>, goal: u64) {
        let mut seen = 0;
        loop {
            source.begin_park();
            if self.look(source, &mut seen) {
                if seen >= goal {
                    break;
                }
                continue;
            }
            source.park(None);
            self.line.wake_next();
        }
        source.end_wait();
        self.line.wake_next();
    }

    fn disarm(&self, source: &Arc<Source>) {
        let mut state = self.state.lock();
        self.armed.disarm(&mut state.token, source);
    }
}

fn publishers<const N: usize>(log: &Arc<Log>) -> [thread::JoinHandle<()>; N] {
    std::array::from_fn(|_| {
        let log = log.clone();
        thread::spawn(move || log.publish())
    })
}

fn join<const N: usize>(threads: [thread::JoinHandle<()>; N]) {
    for thread in threads {
        thread.join().unwrap();
    }
}

/// All that held the source has let go of it.
fn assert_freed<T>(held: &Weak<T>) {
    assert_eq!(held.strong_count(), 0, "somebody still holds it");
}

/// Catches: a `Chain::pop` that leaves `armed` set.
#[test]
fn loom_a_task_misses_no_ring() {
    check(3, || {
        let log = Log::new();
        let threads = publishers::<2>(&log);
        let source = Source::new();
        let mut seen = 0;
        block_on(poll_fn(|cx| log.poll(&source, &mut seen, 2, cx)));
        join(threads);
        log.disarm(&source);
        assert_eq!(Arc::strong_count(&source), 1);
    });
}

/// Catches: a `park` that forgets a ring which came before it.
#[test]
fn loom_a_parked_thread_misses_no_ring() {
    check(3, || {
        let log = Log::new();
        let threads = publishers::<2>(&log);
        let source = Source::new();
        log.park(&source, 2);
        join(threads);
        log.disarm(&source);
        assert!(
            Arc::strong_count(&source) <= 2,
            "the line may still hold it"
        );
        drop(log);
        assert_eq!(Arc::strong_count(&source), 1);
    });
}

/// Catches: a `wake_now` that does not say `go`.
#[test]
fn loom_a_close_wakes_whoever_waits() {
    check(3, || {
        let log = Log::new();
        let source = Source::new();
        let closer = {
            let (log, source) = (log.clone(), source.clone());
            thread::spawn(move || {
                // Closing one subscription: its end is fixed, nobody's arm list is taken.
                log.state.lock().events += 1;
                source.mark_ready();
                source.wake_now();
            })
        };
        let parked = {
            let (log, source) = (log.clone(), Source::new());
            let closes = source.clone();
            let thread = thread::spawn(move || log.park(&source, 1));
            (thread, closes)
        };
        let mut seen = 0;
        block_on(poll_fn(|cx| log.poll(&source, &mut seen, 1, cx)));
        closer.join().unwrap();
        parked.1.wake_now();
        parked.0.join().unwrap();
    });
}

/// Catches: a `ParkLine::push` that does not set `occupied`.
#[test]
fn loom_each_parked_thread_wakes_the_next() {
    check(3, || {
        let log = Log::new();
        let readers: [_; 2] = std::array::from_fn(|_| {
            let log = log.clone();
            thread::spawn(move || log.park(&Source::new(), 1))
        });
        log.publish();
        join(readers);
    });
}

/// Catches: a `ParkLine::pop` that leaves `parked_next`, so that its source can never line up again.
#[test]
fn loom_two_publishers_and_two_parked_threads() {
    check(3, || {
        let log = Log::new();
        let [publisher] = publishers(&log);
        let readers: [_; 2] = std::array::from_fn(|_| {
            let log = log.clone();
            thread::spawn(move || log.park(&Source::new(), 2))
        });
        log.publish();
        join(readers);
        publisher.join().unwrap();
    });
}

/// One of two gives up while it is in line or being woken: the other is woken all the same.
///
/// Catches: a `wake_next` that is content with a source whose thread has left; a ring that shows a parked thread as
/// no waiter for a moment, so that its `end_wait` does nothing.
#[test]
fn loom_a_leaver_does_not_break_the_line() {
    check(3, || {
        let log = Log::new();
        let reader = {
            let log = log.clone();
            thread::spawn(move || log.park(&Source::new(), 1))
        };
        let leaver = {
            let log = log.clone();
            thread::spawn(move || {
                let source = Source::new();
                source.begin_park();
                let _found = log.look(&source, &mut 0);
                // Its time is up, it was interrupted, or it found something.
                source.end_wait();
                log.line.wake_next();
                log.disarm(&source);
            })
        };
        log.publish();
        reader.join().unwrap();
        leaver.join().unwrap();
    });
}

/// A host's loop as the C ABI has it: poll the descriptor, take, read.
///
/// Catches: a `take` that clears the descriptor after it took; a `hand_out` that leaves `ready` set.
#[test]
fn loom_a_loop_that_polls_misses_no_ring() {
    check(3, || {
        let log = Log::new();
        let bell = Bell::new();
        let sources = [Source::new(), Source::new()];
        bell.fd().unwrap();
        for (token, source) in sources.iter().enumerate() {
            source.attach(&bell, token as u64);
        }
        let threads = publishers::<1>(&log);
        let mut seen = [0; 2];
        let mut tokens = [0; 2];
        while seen != [1; 2] {
            poll(&bell);
            let taken = bell.take(&mut tokens);
            for token in &tokens[..taken] {
                let at = *token as usize;
                log.read(&sources[at], &mut seen[at]);
            }
        }
        join(threads);
    });
}

fn poll(bell: &Bell) {
    bell.core().doorbell().poll();
}

fn is_readable(bell: &Bell) -> bool {
    bell.core().doorbell().is_readable()
}

/// The descriptor is made while a ring is in progress: it is raised by the ringer or by its maker.
///
/// Catches: `Bell::fd` or `BellCore::wake` without its fence.
#[test]
fn loom_a_late_descriptor_misses_no_ring() {
    check(3, || {
        let log = Log::new();
        let bell = Bell::new();
        let source = Source::new();
        let mut seen = 0;
        source.attach(&bell, 7);
        assert_eq!(bell.take(&mut [0; 2]), 1);
        log.read(&source, &mut seen);
        let threads = publishers::<1>(&log);
        bell.fd().unwrap();
        poll(&bell);
        assert_eq!(bell.take(&mut [0; 2]), 1);
        log.read(&source, &mut seen);
        assert_eq!(seen, 1);
        join(threads);
    });
}

/// What does not fit into the host's array stays ready and keeps the descriptor readable.
///
/// Catches: a `take` that does not raise again for what is left; one that clears after it took.
#[test]
fn loom_a_short_array_leaves_the_rest_ready() {
    check(3, || {
        let log = Log::new();
        let bell = Bell::new();
        let sources = [Source::new(), Source::new()];
        bell.fd().unwrap();
        for (token, source) in sources.iter().enumerate() {
            source.attach(&bell, token as u64);
        }
        assert_eq!(bell.take(&mut [0; 2]), 2);
        for source in &sources {
            log.read(source, &mut 0);
        }
        let threads = publishers::<1>(&log);
        let mut taken = 0;
        while taken < 2 {
            poll(&bell);
            taken += bell.take(&mut [0]);
        }
        join(threads);
        assert_eq!(bell.take(&mut [0]), 0);
        assert!(!is_readable(&bell), "readable though nothing is ready");
    });
}

/// A bell without a descriptor.
///
/// Catches: a `wait` that looks at `wakes` only after its take.
#[test]
fn loom_a_thread_that_waits_on_a_bell_misses_no_ring() {
    check(3, || {
        let log = Log::new();
        let bell = Bell::new();
        let source = Source::new();
        source.attach(&bell, 7);
        let threads = publishers::<2>(&log);
        let mut seen = 0;
        while seen < 2 {
            if bell.wait(&mut [0; 2], None).unwrap() > 0 {
                log.read(&source, &mut seen);
            }
        }
        join(threads);
    });
}

/// A thread that waits on a bell, with or without a descriptor, or as a task, is woken by its close, and by the event
/// before it.
///
/// Catches: a `close` that wakes before it says so; a `take` that leaves a closed bell cleared.
#[test]
fn loom_a_close_of_a_bell_wakes_whoever_waits_on_it() {
    check(4, || {
        let log = Log::new();
        let bell = Bell::new();
        let source = Source::new();
        bell.fd().unwrap();
        source.attach(&bell, 7);
        assert_eq!(bell.take(&mut [0; 2]), 1);
        let mut seen = 0;
        log.read(&source, &mut seen);
        let closer = {
            let (bell, log) = (bell.clone(), log.clone());
            thread::spawn(move || {
                log.publish();
                bell.close();
            })
        };
        poll(&bell);
        let mut tokens = [0; 2];
        while bell.wait(&mut tokens, None).is_ok() {
            log.read(&source, &mut seen);
        }
        log.read(&source, &mut seen);
        assert_eq!(seen, 1);
        block_on(bell.ready());
        closer.join().unwrap();
        let _taken = bell.take(&mut tokens);
        assert!(is_readable(&bell), "a closed bell stays readable");
    });
}

/// Catches: a `Ready` that looks before it says who waits.
#[test]
fn loom_a_task_that_waits_on_a_bell_misses_no_ring() {
    check(3, || {
        let log = Log::new();
        let bell = Bell::new();
        let source = Source::new();
        source.attach(&bell, 7);
        let threads = publishers::<2>(&log);
        let mut seen = 0;
        while seen < 2 {
            block_on(bell.ready());
            if bell.take(&mut [0; 2]) > 0 {
                log.read(&source, &mut seen);
            }
        }
        join(threads);
    });
}

/// Moves to another bell, and leaves that one, while a ring is in progress.
///
/// Catches: an `attach` that does not mark the token ready.
#[test]
fn loom_a_source_may_move_while_it_is_rung() {
    check(3, || {
        let log = Log::new();
        let (before, after) = (Bell::new(), Bell::new());
        let source = Source::new();
        let mut seen = 0;
        source.attach(&before, 1);
        before.take(&mut [0; 2]);
        log.read(&source, &mut seen);
        let threads = publishers::<1>(&log);
        source.attach(&after, 2);
        while seen < 1 {
            block_on(after.ready());
            let mut tokens = [0; 2];
            let taken = after.take(&mut tokens);
            assert!(taken <= 1 && tokens[0] <= 2);
            if taken > 0 {
                assert_eq!(tokens[0], 2);
                log.read(&source, &mut seen);
            }
        }
        assert_eq!(before.take(&mut [0; 2]), 0, "it has left this bell");
        source.detach();
        join(threads);
        let bells = [&before, &after].map(|bell| Arc::downgrade(bell.core()));
        drop((before, after));
        bells.iter().for_each(assert_freed);
        log.disarm(&source);
        assert_eq!(Arc::strong_count(&source), 1);
    });
}

/// A driven bell wakes the tasks of its loop, from within.
///
/// Catches: a `Drive` that looks before it says who waits.
#[test]
fn loom_a_driver_wakes_its_tasks() {
    check(2, || {
        let log = Log::new();
        let bell = Bell::new();
        let source = Source::new();
        source.attach(&bell, 7);
        let drive = bell.drive();
        let driver = thread::spawn(move || block_on(drive));
        let threads = publishers::<1>(&log);
        let mut seen = 0;
        block_on(poll_fn(|cx| log.poll(&source, &mut seen, 1, cx)));
        bell.close();
        driver.join().unwrap();
        join(threads);
    });
}

/// The driver is dropped while a ring is in progress: the one or the other wakes the task.
///
/// Catches: a `Drive::drop` without its fence, or without its last look; a `Source::ring` without its fence.
#[test]
fn loom_a_driver_that_goes_leaves_nobody_asleep() {
    check(3, || {
        let log = Log::new();
        let bell = Bell::new();
        let source = Source::new();
        source.attach(&bell, 7);
        let mut drive = bell.drive();
        let driver = thread::spawn(move || {
            let mut cx = Context::from_waker(Waker::noop());
            assert!(pin!(&mut drive).poll(&mut cx).is_pending());
            drop(drive);
        });
        let threads = publishers::<1>(&log);
        let mut seen = 0;
        block_on(poll_fn(|cx| log.poll(&source, &mut seen, 1, cx)));
        driver.join().unwrap();
        join(threads);
    });
}

/// A loop's own thread makes one token ready while it serves its bell by itself, another thread the other: `leave` takes
/// them, or they ring, whatever room it has. With no room, all ring.
///
/// Catches: a `leave` that rings not for what it leaves; one that takes nothing; an `is_own` that is true on any thread.
#[test]
fn loom_what_a_thread_of_its_own_makes_ready_is_taken_or_rung() {
    for room in 0..=2 {
        check(4, move || {
            let bell = Bell::new();
            let sources = [Source::new(), Source::new()];
            bell.fd().unwrap();
            for (token, source) in sources.iter().enumerate() {
                source.attach(&bell, token as u64);
            }
            assert_eq!(bell.take(&mut [0; 2]), 2);
            let [own, others] = sources;
            let other = thread::spawn(move || others.mark_ready());
            let mut seen = [false; 2];
            let mut tokens = [0; 2];
            bell.enter();
            own.mark_ready();
            let taken = bell.leave(&mut tokens[..room]);
            assert!(taken >= room.min(1), "its own was ready");
            hand_on(&tokens[..taken], &mut seen);
            while seen != [true; 2] {
                poll(&bell);
                let taken = bell.take(&mut tokens);
                hand_on(&tokens[..taken], &mut seen);
            }
            other.join().unwrap();
            assert_eq!(bell.take(&mut tokens), 0, "a token was handed out twice");
        });
    }
}

fn hand_on(tokens: &[u64], seen: &mut [bool; 2]) {
    for token in tokens {
        let seen = &mut seen[*token as usize];
        assert!(!*seen, "a token was handed out twice");
        *seen = true;
    }
}

/// One that makes nothing ready, or closes its bell, keeps nobody else's ring from anybody.
///
/// Catches: a `leave` that takes tokens and drops what does not fit; a `leave` that forgets a close.
#[test]
fn loom_a_thread_of_its_own_keeps_no_ring_of_others_and_no_close() {
    check(3, || {
        let bell = Bell::new();
        let source = Source::new();
        bell.fd().unwrap();
        source.attach(&bell, 0);
        assert_eq!(bell.take(&mut [0; 2]), 1);
        let other = thread::spawn(move || source.mark_ready());
        bell.enter();
        assert_eq!(bell.leave(&mut []), 0);
        poll(&bell);
        assert_eq!(bell.take(&mut [0; 2]), 1);
        other.join().unwrap();

        let sleeper = {
            let bell = bell.clone();
            thread::spawn(move || while bell.wait(&mut [0; 1], None).is_ok() {})
        };
        bell.enter();
        bell.close();
        assert_eq!(bell.leave(&mut [0; 1]), 0);
        poll(&bell);
        sleeper.join().unwrap();
    });
}

/// Everything goes while a ring is in progress: the subscription, then the bell, then the log.
///
/// Catches: a `disarm` that unlinks a source which a chain has taken.
#[test]
fn loom_a_ring_in_progress_outlives_what_it_rings() {
    check(3, || {
        let log = Log::new();
        let bell = Bell::new();
        let others = Source::new();
        let source = Source::new();
        source.attach(&bell, 7);
        others.attach(&bell, 8);
        log.read(&others, &mut 0);
        log.read(&source, &mut 0);
        let threads = publishers::<2>(&log);
        let held = (
            Arc::downgrade(&source),
            Arc::downgrade(bell.core()),
            Arc::downgrade(&log),
        );
        // As a subscription is freed.
        source.detach();
        log.disarm(&source);
        drop(source);
        drop(bell);
        log.read(&others, &mut 0);
        others.detach();
        log.disarm(&others);
        drop(log);
        join(threads);
        assert_eq!(Arc::strong_count(&others), 1);
        assert_freed(&held.0);
        assert_freed(&held.1);
        assert_freed(&held.2);
    });
}
