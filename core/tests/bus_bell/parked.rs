//! Parked threads, deadlines and lingering readers.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use reqbus_core::ErrorKind;
use reqbus_core::bus::{Batch, BusOptions, SubscribeOptions};
use reqbus_core::time::Clock;

use crate::alone;
use crate::common::{
    ALL, POLICIES, Watchdog, plain_bus, publish, publish_n, stress, subscribe, until,
};

/// 64 threads that sleep for ever: one publish wakes all, and so does close.
#[test]
fn sixty_four_parked_threads_all_wake_on_one_publish_and_on_close() {
    let _watchdog = Watchdog::new("parked threads");
    let _alone = alone();
    for by_bus in [true, false] {
        let bus = plain_bus();
        let subs: Vec<_> = (0..64)
            .map(|at| subscribe(&bus, POLICIES[at % 3]))
            .collect();
        let woken = AtomicUsize::new(0);
        let all_sleep = || subs.iter().all(|sub| sub.stats().sleeping);
        thread::scope(|scope| {
            for sub in &subs {
                let woken = &woken;
                scope.spawn(move || {
                    let mut batch = Batch::new();
                    loop {
                        match sub.recv_timeout(&mut batch, ALL, None) {
                            Ok(items) => {
                                woken.fetch_add(items, Ordering::SeqCst);
                            }
                            Err(error) => {
                                assert_eq!(error.kind(), ErrorKind::Closed);
                                return;
                            }
                        }
                    }
                });
            }
            for round in 1..=20 {
                until(all_sleep);
                publish(&bus);
                until(|| woken.load(Ordering::SeqCst) == 64 * round);
            }
            until(all_sleep);
            if by_bus {
                bus.close();
            } else {
                subs.iter().for_each(|sub| {
                    sub.close();
                });
            }
        });
        subs.iter()
            .for_each(|sub| assert_eq!(sub.stats().delivered, 20));
    }
}

/// Some of the sleepers are interrupted or time out while the others are being woken: the line goes on.
#[test]
fn a_line_of_parked_threads_survives_those_who_leave_it() {
    let _watchdog = Watchdog::new("a line that some leave");
    let _alone = alone();
    let rounds = 300 * stress();
    let bus = plain_bus();
    let subs: Vec<_> = (0..12)
        .map(|at| subscribe(&bus, POLICIES[at % 3]))
        .collect();
    thread::scope(|scope| {
        for (at, sub) in subs.iter().enumerate() {
            scope.spawn(move || {
                let mut batch = Batch::new();
                loop {
                    let timeout = (at % 3 == 0).then(|| Duration::from_micros(at as u64 * 7));
                    match sub.recv_timeout(&mut batch, ALL, timeout) {
                        Ok(_) => {}
                        Err(error) => match error.kind() {
                            ErrorKind::Timeout | ErrorKind::Interrupted => {}
                            ErrorKind::Closed => return,
                            _ => panic!("{error}"),
                        },
                    }
                }
            });
        }
        for round in 0..rounds {
            publish(&bus);
            subs[round as usize % subs.len()].interrupt();
            if round % 10 == 0 {
                // Everybody has it: nobody was left in the line.
                until(|| subs.iter().all(|sub| sub.stats().pending == 0));
            }
        }
        until(|| subs.iter().all(|sub| sub.stats().pending == 0));
        bus.close();
    });
    for sub in &subs {
        crate::common::assert_adds_up(&sub.stats());
        assert_eq!(sub.stats().delivered, rounds);
    }
}

/// Deadlines come from the bus's clock.
#[test]
fn a_deadline_is_on_the_clock_of_the_bus() {
    let _watchdog = Watchdog::new("a deadline");
    let _alone = alone();
    let (clock, driver) = Clock::driven();
    let bus = crate::common::bus(BusOptions {
        clock,
        ..BusOptions::default()
    });
    for policy in POLICIES {
        let sub = subscribe(&bus, policy);
        let timeout = Some(Duration::from_secs(10));
        let answer = sub.recv_timeout(&mut Batch::new(), ALL, Some(Duration::ZERO));
        assert_eq!(answer.unwrap_err().kind(), ErrorKind::Timeout);
        thread::scope(|scope| {
            let waiter = scope.spawn(|| sub.recv_timeout(&mut Batch::new(), ALL, timeout));
            until(|| sub.stats().sleeping);
            driver.advance(Duration::from_secs(9));
            assert!(!waiter.is_finished());
            driver.advance(Duration::from_secs(1));
            let answer = waiter.join().unwrap();
            assert_eq!(answer.unwrap_err().kind(), ErrorKind::Timeout);
        });
        thread::scope(|scope| {
            let waiter = scope.spawn(|| sub.recv_timeout(&mut Batch::new(), ALL, timeout));
            until(|| sub.stats().sleeping);
            publish(&bus);
            assert_eq!(waiter.join().unwrap().unwrap(), 1);
        });
        publish(&bus);
        let answer = sub.recv_timeout(&mut Batch::new(), ALL, Some(Duration::ZERO));
        assert_eq!(answer.unwrap(), 1, "a wait begins with a try");
    }
}

/// What is there is returned at once; a sleeper that lingers wakes at the first event and brings the burst.
#[test]
fn a_reader_that_lingers_brings_a_burst_in_one_batch() {
    let _watchdog = Watchdog::new("linger");
    let _alone = alone();
    let bus = plain_bus();
    for overflow in POLICIES {
        let sub = bus
            .subscribe(SubscribeOptions {
                overflow,
                linger: Duration::from_millis(50),
                ..SubscribeOptions::default()
            })
            .unwrap();
        assert_eq!(sub.linger(), Duration::from_millis(50));
        publish(&bus);
        let mut batch = Batch::new();
        assert_eq!(sub.recv_timeout(&mut batch, ALL, None).unwrap(), 1);
        thread::scope(|scope| {
            let waiter = scope.spawn(|| {
                let mut batch = Batch::new();
                let mut reads = 0;
                let mut items = 0;
                while items < 50 {
                    items += sub.recv_timeout(&mut batch, ALL, None).unwrap();
                    reads += 1;
                }
                (items, reads)
            });
            until(|| sub.stats().sleeping);
            // Faster than the linger unless the machine stalls; then it is more reads, and still every event.
            publish_n(&bus, 50);
            let (items, reads) = waiter.join().unwrap();
            assert_eq!(items, 50);
            assert!(reads <= 50);
        });
        crate::common::assert_adds_up(&sub.stats());
    }
}
