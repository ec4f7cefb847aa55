//! Waits that are dropped, refused or interrupted, and what they leave behind.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::thread;
use std::time::Duration;

use reqbus_core::bus::{Batch, Limits};
use reqbus_core::{ErrorKind, Subscription};
use smol::stream::StreamExt;

use crate::common::{
    ALL, POLICIES, Watchdog, everywhere, plain_bus, publish, publish_n, subscribe,
};
use crate::{Wakes, poll, step_aside};

#[test]
fn b2_a_recv_that_is_dropped_has_taken_nothing() {
    for policy in POLICIES {
        let bus = plain_bus();
        let sub = subscribe(&bus, policy);
        let wakes = Arc::<Wakes>::default();
        let mut batch = Batch::new();
        for round in 1..=20 {
            let mut recv = sub.recv(&mut batch, ALL);
            assert!(poll(&mut recv, &wakes).is_pending());
            publish_n(&bus, 3);
            // Woken, and dropped before it looks.
            drop(recv);
            assert_eq!(wakes.count(), round);
            assert_eq!(sub.stats().pending, 3);
            assert_eq!(sub.try_recv(&mut batch, ALL).unwrap(), 3);
            assert_eq!(sub.stats().delivered, 3 * round as u64);
        }
    }
}

/// A dropped wait leaves nothing that swallows the wake of the next one.
#[test]
fn a_wait_after_a_dropped_wait_is_woken() {
    for policy in POLICIES {
        let bus = plain_bus();
        let sub = subscribe(&bus, policy);
        let (first, second) = (Arc::<Wakes>::default(), Arc::<Wakes>::default());
        let mut batch = Batch::new();
        let mut recv = sub.recv(&mut batch, ALL);
        assert!(poll(&mut recv, &first).is_pending());
        drop(recv);
        let mut recv = sub.recv(&mut batch, ALL);
        assert!(poll(&mut recv, &second).is_pending());
        publish(&bus);
        assert_eq!((first.count(), second.count()), (0, 1));
    }
}

#[test]
fn b2_select_against_a_timer_loses_nothing() {
    let _watchdog = Watchdog::new("select");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .worker_threads(2)
        .build()
        .unwrap();
    runtime.block_on(async {
        for policy in POLICIES {
            let bus = plain_bus();
            let sub = subscribe(&bus, policy);
            let theirs = bus.clone();
            let publisher = tokio::spawn(async move {
                for round in 0..2_000 {
                    publish(&theirs);
                    if round % 10 == 0 {
                        tokio::task::yield_now().await;
                    }
                }
                theirs.close();
            });
            let mut batch = Batch::new();
            let mut ledger = crate::common::Ledger::default();
            loop {
                let answer = tokio::select! {
                    biased;
                    () = step_aside() => continue_or(&sub, &mut batch),
                    answer = sub.recv(&mut batch, Limits::default()) => answer.map(Some),
                };
                match answer {
                    Ok(Some(_)) => ledger.take(&batch),
                    Ok(None) => tokio::task::yield_now().await,
                    Err(error) => {
                        assert_eq!(error.kind(), ErrorKind::Closed);
                        break;
                    }
                }
            }
            publisher.await.unwrap();
            ledger.assert_matches(&sub.stats());
            assert_eq!(sub.stats().matched, 2_000);
        }
    });
}

/// The other branch won: nothing was taken, and a try finds what is there.
fn continue_or(sub: &Subscription, batch: &mut Batch) -> reqbus_core::error::Result<Option<usize>> {
    match sub.try_recv(batch, Limits::default()) {
        Ok(0) => Ok(None),
        answer => answer.map(Some),
    }
}

#[test]
fn a_second_wait_is_busy_and_takes_nothing() {
    let _watchdog = Watchdog::new("busy");
    for policy in POLICIES {
        let bus = plain_bus();
        let sub = subscribe(&bus, policy);
        let wakes = Arc::<Wakes>::default();
        let (mut batch, mut other) = (Batch::new(), Batch::new());
        let mut recv = sub.recv(&mut batch, ALL);
        assert!(poll(&mut recv, &wakes).is_pending());
        let mut second = sub.recv(&mut other, ALL);
        let Poll::Ready(answer) = poll(&mut second, &wakes) else {
            panic!("it waits too")
        };
        assert_eq!(answer.unwrap_err().kind(), ErrorKind::Busy);
        drop(second);
        let answer = sub.recv_timeout(&mut other, ALL, None);
        assert_eq!(answer.unwrap_err().kind(), ErrorKind::Busy);
        let mut stream = sub.items();
        let Poll::Ready(Some(Err(error))) =
            pin!(stream.next()).poll(&mut Context::from_waker(&wakes.waker()))
        else {
            panic!("it waits too")
        };
        assert_eq!(error.kind(), ErrorKind::Busy);
        drop(stream);
        // The first still waits, and a try is no wait.
        assert_eq!(sub.try_recv(&mut other, ALL).unwrap(), 0);
        publish(&bus);
        assert_eq!(wakes.count(), 1);
        assert!(matches!(poll(&mut recv, &wakes), Poll::Ready(Ok(1))));
        drop(recv);
        assert_eq!(
            sub.recv_timeout(&mut other, ALL, Some(Duration::ZERO))
                .unwrap_err()
                .kind(),
            ErrorKind::Timeout
        );
    }
}

#[test]
fn interrupt_ends_the_wait_or_the_next_one_and_takes_nothing() {
    let _watchdog = Watchdog::new("interrupt");
    everywhere(|| async {
        for policy in POLICIES {
            let bus = plain_bus();
            let sub = subscribe(&bus, policy);
            let mut batch = Batch::new();
            // Before a wait: the next one.
            sub.interrupt();
            publish(&bus);
            let answer = sub.recv(&mut batch, ALL).await;
            assert_eq!(answer.unwrap_err().kind(), ErrorKind::Interrupted);
            assert_eq!(sub.stats().pending, 1);
            assert_eq!(sub.recv(&mut batch, ALL).await.unwrap(), 1);
            // During one, from another thread.
            thread::scope(|scope| {
                scope.spawn(|| {
                    crate::common::until(|| sub.stats().sleeping);
                    sub.interrupt();
                });
                let mut batch = Batch::new();
                let answer = sub.recv_timeout(&mut batch, ALL, None);
                assert_eq!(answer.unwrap_err().kind(), ErrorKind::Interrupted);
            });
            let wakes = Arc::<Wakes>::default();
            let mut recv = sub.recv(&mut batch, ALL);
            assert!(poll(&mut recv, &wakes).is_pending());
            sub.interrupt();
            assert_eq!(wakes.count(), 1);
            let Poll::Ready(answer) = poll(&mut recv, &wakes) else {
                panic!()
            };
            assert_eq!(answer.unwrap_err().kind(), ErrorKind::Interrupted);
        }
    });
}
