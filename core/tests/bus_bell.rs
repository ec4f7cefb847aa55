//! Sleeping and waking: the descriptor, tokens, parked threads. A wake may be spurious and is never missed.

#![cfg(not(loom))]

#[path = "bus_bell/closing.rs"]
mod closing;
mod common;
#[path = "bus_bell/lives.rs"]
mod lives;
#[path = "bus_bell/parked.rs"]
mod parked;

use std::os::fd::RawFd;
use std::sync::{Mutex, MutexGuard};
use std::thread;
use std::time::Duration;

use common::{ALL, POLICIES, Watchdog, plain_bus, publish, publish_n, stress, subscribe};
use reqbus_core::bus::{Batch, Bus, BusOptions, Limits};
use reqbus_core::{Bell, ErrorKind, Subscription};

/// Tests that count descriptors or threads of this process run one at a time, and so do those that make them.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// Whether `fd` is readable, as poll(2) sees it; -1 waits for ever.
fn polls(fd: RawFd, timeout_ms: i32) -> bool {
    let mut polled = libc::pollfd {
        fd,
        events: libc::POLLIN,
        revents: 0,
    };
    // SAFETY: `polled` is one valid pollfd.
    let ready = unsafe { libc::poll(&mut polled, 1, timeout_ms) };
    assert!(
        ready >= 0 && polled.revents & libc::POLLNVAL == 0,
        "{fd} is no descriptor"
    );
    ready == 1
}

fn is_readable(fd: RawFd) -> bool {
    polls(fd, 0)
}

/// The ready tokens, sorted; with an array of this length.
fn take(bell: &Bell, room: usize) -> Vec<u64> {
    let mut tokens = vec![0; room];
    let taken = bell.take(&mut tokens);
    tokens.truncate(taken);
    tokens.sort_unstable();
    tokens
}

fn read(sub: &Subscription, max_items: usize) -> usize {
    let limits = Limits { max_items, ..ALL };
    sub.try_recv(&mut Batch::new(), limits).unwrap()
}

/// Attached and asleep: its token was taken, and a read found nothing.
fn asleep(bus: &Bus, bell: &Bell, policy: usize, token: u64) -> Subscription {
    let sub = subscribe(bus, POLICIES[policy % 3]);
    sub.attach(bell, token).unwrap();
    assert!(take(bell, 64).contains(&token), "ready at once");
    assert_eq!(read(&sub, 100), 0);
    sub
}

#[test]
fn the_descriptor_is_one_non_blocking_close_on_exec_and_lazy() {
    let _alone = alone();
    let bell = Bell::new();
    let fd = bell.fd().unwrap();
    assert_eq!(bell.clone().fd().unwrap(), fd, "constant");
    // SAFETY: fcntl with these commands takes no pointers.
    let (flags, status) = unsafe {
        (
            libc::fcntl(fd, libc::F_GETFD),
            libc::fcntl(fd, libc::F_GETFL),
        )
    };
    assert!(flags & libc::FD_CLOEXEC != 0 && status & libc::O_NONBLOCK != 0);
    assert!(!is_readable(fd));
}

#[test]
fn the_descriptor_is_level_triggered() {
    let _alone = alone();
    for policy in 0..3 {
        let bus = plain_bus();
        let bell = Bell::new();
        let fd = bell.fd().unwrap();
        let sub = asleep(&bus, &bell, policy, 1);
        assert!(!is_readable(fd));
        publish(&bus);
        for _ in 0..3 {
            assert!(is_readable(fd), "until it is taken");
        }
        assert_eq!(take(&bell, 8), [1]);
        assert!(!is_readable(fd));
        assert_eq!(read(&sub, 100), 1);
        assert!(
            is_readable(fd),
            "a read that found something leaves its token ready"
        );
        assert_eq!(take(&bell, 8), [1]);
        assert_eq!(read(&sub, 100), 0);
        assert!(!is_readable(fd));
        assert!(take(&bell, 8).is_empty());
    }
}

/// The descriptor is asked for after the ring.
#[test]
fn a_descriptor_that_is_made_late_knows_what_is_ready() {
    let _alone = alone();
    let bus = plain_bus();
    let bell = Bell::new();
    let _sub = asleep(&bus, &bell, 1, 1);
    publish(&bus);
    assert!(is_readable(bell.fd().unwrap()));
    let closed = Bell::new();
    closed.close();
    assert!(is_readable(closed.fd().unwrap()));
}

#[test]
fn a_burst_on_many_subscriptions_raises_the_bell_once() {
    let _alone = alone();
    let bus = plain_bus();
    let bell = Bell::new();
    let fd = bell.fd().unwrap();
    let subs: Vec<_> = (0..100)
        .map(|at| asleep(&bus, &bell, at, at as u64))
        .collect();
    let raises = bell.raises();
    publish_n(&bus, 50);
    assert_eq!(bell.raises(), raises + 1, "one wake for 5,000 deliveries");
    assert!(is_readable(fd));
    // A short array leaves the descriptor readable as long as tokens remain, and each token comes once.
    let mut all = Vec::new();
    while is_readable(fd) {
        let some = take(&bell, 7);
        assert!(!some.is_empty(), "readable for nothing");
        all.extend(some);
    }
    all.sort_unstable();
    assert_eq!(all, (0..100).collect::<Vec<_>>());
    for sub in &subs {
        assert_eq!(read(sub, 100), 50);
    }
    assert_eq!(take(&bell, 1_000).len(), 100, "until a read finds nothing");
    subs.iter().for_each(|sub| assert_eq!(read(sub, 100), 0));
    assert!(!is_readable(fd));
    publish(&bus);
    assert_eq!(take(&bell, 1_000).len(), 100);
}

/// The host may stop after any step of its loop, for any number of events: the next look at the descriptor brings it
/// to what is left.
#[test]
fn a_host_that_stops_after_any_step_loses_no_wake() {
    let _alone = alone();
    for policy in 0..3 {
        for stop in 0..8 {
            let bus = plain_bus();
            let bell = Bell::new();
            let fd = bell.fd().unwrap();
            let sub = asleep(&bus, &bell, policy, 5);
            let mut published = 0;
            let mut got = 0;
            for round in 0..40 {
                let more = [0, 1, 3][round % 3];
                publish_n(&bus, more);
                published += more;
                let pending = published - got;
                // Steps: poll, take, read one, read one, read all, read all. Stop somewhere, start anew.
                if stop == 0 || !is_readable(fd) {
                    assert!(stop == 0 || pending == 0, "{pending} pending, and no wake");
                    continue;
                }
                if stop == 1 {
                    continue;
                }
                let tokens = take(&bell, 4);
                assert!(
                    pending == 0 || tokens == [5],
                    "{pending} pending, and no token"
                );
                if stop == 2 {
                    // A host that takes a token and forgets it breaks the rule: it reads next time.
                    got += read(&sub, 1);
                    continue;
                }
                for step in 3..stop {
                    got += read(&sub, if step < 5 { 1 } else { 100 });
                }
                if stop == 3 {
                    got += read(&sub, 2);
                }
            }
            while is_readable(fd) && stop > 1 {
                take(&bell, 4);
                got += read(&sub, 1);
            }
            if stop > 1 {
                assert_eq!(got, published, "stopped after step {stop}");
            }
            assert_eq!(sub.stats().pending as usize, published - got);
        }
    }
}

#[test]
fn attach_moves_a_subscription_and_detach_ends_it() {
    let _alone = alone();
    let bus = plain_bus();
    let (one, two) = (Bell::new(), Bell::new());
    let sub = asleep(&bus, &one, 2, 1);
    publish(&bus);
    assert!(is_readable(one.fd().unwrap()));
    // It leaves with its token on the first bell.
    sub.attach(&two, 2).unwrap();
    assert!(take(&one, 4).is_empty(), "the token left with it");
    assert_eq!(
        take(&two, 4),
        [2],
        "ready at once: nothing that is there is missed"
    );
    assert_eq!(read(&sub, 10), 1);
    assert_eq!(take(&two, 4), [2]);
    assert_eq!(read(&sub, 10), 0);
    publish(&bus);
    assert!(take(&one, 4).is_empty());
    assert_eq!(take(&two, 4), [2]);
    // On the same bell, under another token.
    sub.attach(&two, 3).unwrap();
    assert_eq!(take(&two, 4), [3]);
    while read(&sub, 10) > 0 {}
    take(&two, 4);
    assert_eq!(read(&sub, 10), 0);
    sub.detach();
    sub.detach();
    publish(&bus);
    assert!(take(&two, 4).is_empty());
    assert!(!is_readable(two.fd().unwrap()));
    // And back, after it slept on nothing.
    sub.attach(&one, 9).unwrap();
    assert_eq!(take(&one, 4), [9]);
    assert_eq!(read(&sub, 10), 1);
}

/// Armed on one bell, and moved: the ring goes to where it is now.
#[test]
fn a_ring_goes_to_the_bell_of_the_moment() {
    let _alone = alone();
    let bus = plain_bus();
    let (one, two) = (Bell::new(), Bell::new());
    let sub = asleep(&bus, &one, 1, 1);
    sub.attach(&two, 2).unwrap();
    assert_eq!(take(&two, 4), [2]);
    // Still armed from before.
    publish(&bus);
    assert_eq!(take(&two, 4), [2]);
    assert!(take(&one, 4).is_empty());
    drop(sub);
    publish(&bus);
    assert!(take(&two, 4).is_empty());
}

#[test]
fn wait_blocks_until_a_token_is_ready() {
    let _watchdog = Watchdog::new("bell wait");
    let _alone = alone();
    let bus = plain_bus();
    let bell = Bell::new();
    let sub = asleep(&bus, &bell, 0, 77);
    let mut tokens = [0; 4];
    assert_eq!(bell.wait(&mut tokens, Some(Duration::ZERO)).unwrap(), 0);
    for _ in 0..100 {
        thread::scope(|scope| {
            scope.spawn(|| publish(&bus));
            assert_eq!(bell.wait(&mut tokens, None).unwrap(), 1);
            assert_eq!(tokens[0], 77);
        });
        while read(&sub, 10) > 0 {}
        while bell.take(&mut tokens) > 0 {
            while read(&sub, 10) > 0 {}
        }
    }
    thread::scope(|scope| {
        scope.spawn(|| bell.close());
        assert_eq!(
            bell.wait(&mut tokens, None).unwrap_err().kind(),
            ErrorKind::Closed
        );
    });
}

/// A host that sleeps in poll(2), and publishers on other threads.
#[test]
fn a_poll_loop_beside_publishers_misses_nothing() {
    let _watchdog = Watchdog::new("poll loop");
    let _alone = alone();
    let count = 50_000 * stress() as usize;
    let bus = common::bus(BusOptions {
        log_events: 1 << 20,
        log_bytes: 1 << 30,
        ..BusOptions::default()
    });
    let bell = Bell::new();
    let fd = bell.fd().unwrap();
    let subs: Vec<_> = (0..6)
        .map(|at| {
            let sub = subscribe(&bus, POLICIES[2 - at % 2]);
            sub.attach(&bell, at as u64).unwrap();
            sub
        })
        .collect();
    thread::scope(|scope| {
        for _ in 0..2 {
            let bus = &bus;
            scope.spawn(move || {
                for n in 0..count / 2 {
                    publish(bus);
                    if n % 64 == 0 {
                        thread::yield_now();
                    }
                }
            });
        }
        let mut batch = Batch::new();
        while subs
            .iter()
            .any(|sub| sub.stats().delivered + sub.stats().lost() < count as u64)
        {
            // For ever: a missed wake is a hang.
            assert!(polls(fd, -1));
            for token in take(&bell, 4) {
                let limits = Limits {
                    max_items: 100,
                    ..ALL
                };
                subs[token as usize].try_recv(&mut batch, limits).unwrap();
            }
        }
    });
    subs.iter()
        .for_each(|sub| common::assert_adds_up(&sub.stats()));
}
