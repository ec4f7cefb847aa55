//! Many threads, real time, blocking and async mixed.

use std::future::poll_fn;
use std::sync::Barrier;
use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::Instant;

use super::*;

fn system() -> (Audiences, Clock) {
    let clock = Clock::system();
    (Audiences::new(clock.clone()), clock)
}

fn wait(audiences: &Audiences, name: &str) -> Result<Membership> {
    audiences.enter(name, u64::MAX)?.wait()
}

fn member(audiences: &Audiences, name: &str) -> Membership {
    wait(audiences, name).unwrap()
}

#[test]
fn b6_200_threads_at_once_one_first_then_one_last() {
    let (audiences, _) = system();
    let (start, half) = (Barrier::new(200), Barrier::new(200));
    let (firsts, lasts) = (AtomicUsize::new(0), AtomicUsize::new(0));
    thread::scope(|scope| {
        for _ in 0..200 {
            scope.spawn(|| {
                start.wait();
                let member = member(&audiences, "x");
                firsts.fetch_add(usize::from(member.is_first()), Ordering::Relaxed);
                half.wait();
                assert!(audiences.count("x") > 0);
                let last = member.leave();
                lasts.fetch_add(usize::from(last == Some(true)), Ordering::Relaxed);
                assert!(last.is_some() && member.leave().is_none());
            });
        }
    });
    assert_eq!((firsts.into_inner(), lasts.into_inner()), (1, 1));
    assert_eq!(audiences.0.rows(), 0);
}

#[test]
fn b6_20_000_rounds_agree_with_the_state_outside() {
    const THREADS: usize = 4;
    let (audiences, _) = system();
    let step = Barrier::new(THREADS);
    let outside = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                for _ in 0..20_000 {
                    let member = member(&audiences, "x");
                    if member.is_first() {
                        assert!(!outside.swap(true, Ordering::SeqCst), "set up twice");
                    }
                    step.wait();
                    if member.leave() == Some(true) {
                        assert!(outside.swap(false, Ordering::SeqCst), "torn down twice");
                    }
                    step.wait();
                }
            });
        }
    });
    assert!(!outside.into_inner());
    assert_eq!(audiences.0.rows(), 0);
}

#[test]
fn b6_free_running_churn_counts_as_many_firsts_as_lasts() {
    let (audiences, _) = system();
    let balance = AtomicUsize::new(0);
    let firsts: usize = thread::scope(|scope| {
        let threads = [0; 4].map(|_| {
            scope.spawn(|| {
                let mut firsts = 0;
                for _ in 0..20_000 {
                    let member = member(&audiences, "x");
                    firsts += usize::from(member.is_first());
                    balance.fetch_add(usize::from(member.is_first()), Ordering::SeqCst);
                    let last = member.leave() == Some(true);
                    balance.fetch_sub(usize::from(last), Ordering::SeqCst);
                }
                firsts
            })
        });
        threads
            .map(|thread| thread.join().unwrap())
            .into_iter()
            .sum()
    });
    assert!(firsts >= 1);
    assert_eq!(balance.into_inner(), 0);
    assert_eq!(audiences.0.rows(), 0);
}

/// The first leaves by the guard only, and so is the one who tears down; nobody ever finds the outside
/// set up when it is first, which is what the guard is for.
#[test]
fn b6_setup_and_guarded_tear_down_never_overlap() {
    let (audiences, _) = system();
    let (outside, torn_down) = (AtomicBool::new(false), AtomicUsize::new(0));
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..3_000 {
                    let member = member(&audiences, "x");
                    if !member.is_first() {
                        assert_eq!(member.leave(), Some(false));
                        continue;
                    }
                    assert!(
                        !outside.swap(true, Ordering::SeqCst),
                        "torn down after set-up"
                    );
                    let guard = loop {
                        match member.guard(GUARD_LIMIT) {
                            Some(guard) => break guard,
                            None => thread::yield_now(),
                        }
                    };
                    assert!(outside.swap(false, Ordering::SeqCst));
                    torn_down.fetch_add(1, Ordering::Relaxed);
                    assert!(guard.release());
                }
            });
        }
    });
    assert!(torn_down.into_inner() >= 1);
    assert_eq!(audiences.0.rows(), 0);
}

#[test]
fn b6_register_blocks_during_cleanup_and_goes_on_after_release() {
    let (audiences, _) = system();
    let guard = member(&audiences, "x").guard(GUARD_LIMIT).unwrap();
    thread::scope(|scope| {
        let waiting = scope.spawn(|| {
            let member = member(&audiences, "x");
            (Instant::now(), member)
        });
        thread::sleep(Duration::from_millis(250));
        assert!(!waiting.is_finished());
        let released = Instant::now();
        drop(guard);
        let (joined, member) = waiting.join().unwrap();
        assert!(joined.duration_since(released) < Duration::from_millis(500));
        assert!(member.is_first());
    });
}

#[test]
fn b6_blocking_wait_ends_at_its_deadline_on_the_system_clock() {
    let (audiences, clock) = system();
    let _guard = member(&audiences, "x").guard(GUARD_LIMIT).unwrap();
    let begun = Instant::now();
    let deadline_ns = clock.deadline_after(Duration::from_millis(50));
    let refused = audiences
        .enter("x", deadline_ns)
        .unwrap()
        .wait()
        .err()
        .unwrap();
    assert_eq!(refused.kind(), ErrorKind::AudienceBusy);
    assert!(begun.elapsed() >= Duration::from_millis(50));
    assert_eq!((audiences.count("x"), audiences.0.in_line("x")), (0, 0));
}

#[test]
fn b6_blocking_wait_goes_on_at_the_guards_limit_on_the_system_clock() {
    let (audiences, _) = system();
    let guard = member(&audiences, "x")
        .guard(Duration::from_millis(50))
        .unwrap();
    assert!(member(&audiences, "x").is_first());
    assert!(guard.is_expired());
}

#[test]
fn b6_blocking_waits_on_a_driven_clock() {
    for _ in 0..200 {
        let world = World::new();
        let (_member, guard) = world.guard("x");
        let (short_ns, long_ns) = (5 * SECOND, 60 * SECOND);
        let [short_ns, long_ns] = [short_ns, long_ns].map(|wait| world.clock.deadline_after(wait));
        thread::scope(|scope| {
            let blocked = |deadline_ns| {
                let entry = world.audiences.enter("x", deadline_ns).unwrap();
                scope.spawn(move || entry.wait())
            };
            let (short, long) = (blocked(short_ns), blocked(long_ns));
            // In line, but perhaps without a timer yet: the clock may pass its deadline all the same.
            while world.in_line("x") < 2 {
                thread::yield_now();
            }
            world.driver.advance(5 * SECOND);
            let refused = short.join().unwrap().err().unwrap();
            assert_eq!(refused.kind(), ErrorKind::AudienceBusy);
            assert!(!long.is_finished());
            world.driver.advance(25 * SECOND);
            assert!(long.join().unwrap().unwrap().is_first());
            assert!(guard.is_expired());
        });
    }
}

#[test]
fn b6_blocking_and_async_newcomers_share_one_line() {
    let (audiences, _) = system();
    let guard = member(&audiences, "x").guard(GUARD_LIMIT).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .build()
        .unwrap();
    let in_line = |count| {
        while audiences.0.in_line("x") < count {
            thread::yield_now();
        }
    };
    let spawn_async = || {
        let mut entry = audiences.enter("x", u64::MAX).unwrap();
        runtime.spawn(async move { poll_fn(|cx| entry.poll(cx.waker())).await })
    };
    thread::scope(|scope| {
        let first = spawn_async();
        in_line(1);
        let second = scope.spawn(|| member(&audiences, "x"));
        in_line(2);
        let cancelled = spawn_async();
        in_line(3);
        let fourth = spawn_async();
        in_line(4);
        cancelled.abort();
        drop(guard);
        let first = runtime.block_on(first).unwrap().unwrap();
        let fourth = runtime.block_on(fourth).unwrap().unwrap();
        let second = second.join().unwrap();
        assert!(first.is_first() && !second.is_first() && !fourth.is_first());
        drop(runtime.block_on(cancelled));
        assert_eq!(audiences.count("x"), 3);
    });
}

#[test]
fn b6_close_ends_blocked_waits() {
    let (audiences, _) = system();
    let _guard = member(&audiences, "x").guard(GUARD_LIMIT).unwrap();
    thread::scope(|scope| {
        let blocked = [0; 3].map(|_| scope.spawn(|| wait(&audiences, "x").err().map(|e| e.kind())));
        while audiences.0.in_line("x") < 3 {
            thread::yield_now();
        }
        audiences.close();
        for blocked in blocked {
            assert_eq!(blocked.join().unwrap(), Some(ErrorKind::Closed));
        }
    });
}

#[test]
fn b6_waits_that_give_up_at_random_lose_no_first() {
    let (audiences, clock) = system();
    let (firsts, lasts) = (AtomicUsize::new(0), AtomicUsize::new(0));
    thread::scope(|scope| {
        for seed in 0..4_u64 {
            let (audiences, clock) = (&audiences, &clock);
            let (firsts, lasts) = (&firsts, &lasts);
            scope.spawn(move || {
                for round in 0..3_000_u64 {
                    let patience = Duration::from_micros((round * 7 + seed * 13) % 60);
                    let deadline_ns = clock.deadline_after(patience);
                    let mut entry = audiences.enter("x", deadline_ns).unwrap();
                    // Some look once and go, the others wait.
                    let joined = if round % 5 == seed {
                        match entry.poll(Waker::noop()) {
                            Poll::Ready(answer) => answer,
                            Poll::Pending => continue,
                        }
                    } else {
                        entry.wait()
                    };
                    let Ok(member) = joined else { continue };
                    firsts.fetch_add(usize::from(member.is_first()), Ordering::Relaxed);
                    let last = match member.guard(GUARD_LIMIT) {
                        Some(guard) if round % 3 == 0 => {
                            assert!(guard.abort());
                            member.leave() == Some(true)
                        }
                        Some(guard) => guard.release(),
                        None => member.leave() == Some(true),
                    };
                    lasts.fetch_add(usize::from(last), Ordering::Relaxed);
                }
            });
        }
    });
    assert_eq!(firsts.into_inner(), lasts.into_inner());
    assert_eq!(audiences.0.rows(), 0);
}
