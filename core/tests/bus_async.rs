//! The futures, on tokio (one thread and several) and on smol: they name no runtime.

#![cfg(not(loom))]

mod common;

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use common::{ALL, Flag, POLICIES, Watchdog, everywhere, plain_bus, publish, publish_n, subscribe};
use reqbus_core::bus::{Batch, BusOptions, Limits, SubscribeOptions};
use reqbus_core::time::Clock;
use reqbus_core::wire::Form;
use reqbus_core::{Bell, ErrorKind, NewEvent, Subscription};
use smol::stream::StreamExt;

/// Lets other tasks of any runtime run, once.
async fn step_aside() {
    let mut stood = false;
    std::future::poll_fn(|cx| {
        if std::mem::replace(&mut stood, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// A waker that counts.
#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wakes {
    fn waker(self: &Arc<Self>) -> Waker {
        Waker::from(self.clone())
    }

    fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

fn poll<F: Future + Unpin>(future: &mut F, wakes: &Arc<Wakes>) -> Poll<F::Output> {
    std::pin::Pin::new(future).poll(&mut Context::from_waker(&wakes.waker()))
}

#[test]
fn recv_wakes_on_publish() {
    let _watchdog = Watchdog::new("recv wakes on publish");
    everywhere(|| async {
        for policy in POLICIES {
            let bus = plain_bus();
            let sub = subscribe(&bus, policy);
            let theirs = bus.clone();
            let publisher = thread::spawn(move || {
                for _ in 0..200 {
                    publish(&theirs);
                    thread::yield_now();
                }
                theirs.close();
            });
            let mut batch = Batch::new();
            let mut seqs = Vec::new();
            loop {
                match sub.recv(&mut batch, Limits::default()).await {
                    Ok(_) => seqs.extend(batch.events().map(|event| event.id().seq)),
                    Err(error) => {
                        assert_eq!(error.kind(), ErrorKind::Closed);
                        break;
                    }
                }
            }
            publisher.join().unwrap();
            let stats = sub.stats();
            common::assert_adds_up(&stats);
            assert_eq!(stats.delivered, seqs.len() as u64);
            assert_eq!(stats.delivered + stats.lost(), 200);
            assert!(seqs.is_sorted());
        }
    });
}

#[test]
fn a_pending_recv_is_woken_once_by_a_burst_and_a_publish_wakes_nobody_else() {
    for policy in POLICIES {
        let bus = plain_bus();
        let (sub, other) = (
            subscribe(&bus, policy),
            bus.subscribe(SubscribeOptions {
                filter: common::kinds(&["other"]),
                overflow: policy,
                ..SubscribeOptions::default()
            })
            .unwrap(),
        );
        let (wakes, others) = (Arc::<Wakes>::default(), Arc::<Wakes>::default());
        let (mut batch, mut theirs) = (Batch::new(), Batch::new());
        let mut recv = sub.recv(&mut batch, ALL);
        let mut their_recv = other.recv(&mut theirs, ALL);
        assert!(poll(&mut recv, &wakes).is_pending());
        assert!(poll(&mut their_recv, &others).is_pending());
        assert!(sub.stats().sleeping);
        publish_n(&bus, 50);
        assert_eq!((wakes.count(), others.count()), (1, 0));
        let Poll::Ready(answer) = poll(&mut recv, &wakes) else {
            panic!("it was woken for nothing")
        };
        assert_eq!(answer.unwrap(), 50);
        drop(recv);
        assert!(!sub.stats().sleeping);
        publish_n(&bus, 50);
        assert_eq!(wakes.count(), 1, "nobody waits");
        bus.publish(NewEvent::text("other", "")).unwrap();
        assert_eq!(others.count(), 1);
        assert!(matches!(poll(&mut their_recv, &others), Poll::Ready(Ok(1))));
    }
}

/// The waker of the latest poll counts.
#[test]
fn a_task_that_moves_is_woken_where_it_is() {
    let bus = plain_bus();
    let sub = subscribe(&bus, POLICIES[0]);
    let (here, there) = (Arc::<Wakes>::default(), Arc::<Wakes>::default());
    let mut batch = Batch::new();
    let mut recv = sub.recv(&mut batch, ALL);
    assert!(poll(&mut recv, &here).is_pending());
    assert!(poll(&mut recv, &there).is_pending());
    publish(&bus);
    assert_eq!((here.count(), there.count()), (0, 1));
}

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
            let mut ledger = common::Ledger::default();
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
                    common::until(|| sub.stats().sleeping);
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

#[test]
fn texts_come_through_the_future_too() {
    everywhere(|| async {
        let bus = plain_bus();
        let sub = subscribe(&bus, POLICIES[2]);
        let id = bus.publish(NewEvent::json("k", "{\"a\":1}")).unwrap();
        let mut batch = Batch::new();
        sub.recv_texts(&mut batch, Form::Sse, ALL).await.unwrap();
        let text = String::from_utf8(batch.texts().buffer.to_vec()).unwrap();
        assert_eq!(text, format!("id: {id}\nevent: k\ndata: {{\"a\":1}}\n\n"));
    });
}

/// B6: a newcomer waits as a future while the audience is cleaned up, and other audiences do not.
#[test]
fn b6_join_waits_as_a_future_and_dropped_has_joined_nothing() {
    let _watchdog = Watchdog::new("join");
    everywhere(|| async {
        let bus = plain_bus();
        let options = || SubscribeOptions {
            audience: Some("a"),
            audience_wait: Duration::from_secs(60),
            ..SubscribeOptions::default()
        };
        let first = bus.join(options()).unwrap().await.unwrap();
        assert!(first.is_first());
        let second = bus.join(options()).unwrap().await.unwrap();
        assert!(!second.is_first());
        assert!(first.cleanup_guard().is_none(), "it is not alone");
        assert_eq!(second.close().was_last, Some(false));
        let guard = first.cleanup_guard().unwrap();
        assert_eq!(bus.audience_count("a"), 0);
        let wakes = Arc::<Wakes>::default();
        let mut gives_up = bus.join(options()).unwrap();
        let mut waits = bus.join(options()).unwrap();
        assert!(poll(&mut gives_up, &wakes).is_pending());
        assert!(poll(&mut waits, &wakes).is_pending());
        let elsewhere = bus.join(SubscribeOptions {
            audience: Some("b"),
            ..options()
        });
        assert!(elsewhere.unwrap().await.unwrap().is_first());
        drop(gives_up);
        let releaser = thread::spawn(move || drop(guard));
        let newcomer = waits.await.unwrap();
        releaser.join().unwrap();
        assert!(newcomer.is_first());
        assert_eq!(bus.audience_count("a"), 1);
        assert_eq!(newcomer.close().was_last, Some(true));
    });
}

#[test]
fn b6_join_ends_at_its_deadline_and_when_the_bus_closes() {
    let (clock, driver) = Clock::driven();
    let bus = common::bus(BusOptions {
        clock,
        ..BusOptions::default()
    });
    let first = common::member(&bus, "a", Duration::ZERO).unwrap();
    let guard = first.cleanup_guard().unwrap();
    let join = |secs| {
        bus.join(SubscribeOptions {
            audience: Some("a"),
            audience_wait: Duration::from_secs(secs),
            ..SubscribeOptions::default()
        })
        .unwrap()
    };
    let (early, late) = (Arc::<Wakes>::default(), Arc::<Wakes>::default());
    let (mut five, mut ten) = (join(5), join(10));
    assert!(poll(&mut five, &early).is_pending());
    assert!(poll(&mut ten, &late).is_pending());
    driver.advance(Duration::from_secs(5));
    assert!(early.count() > 0, "woken at the deadline");
    let Poll::Ready(answer) = poll(&mut five, &early) else {
        panic!()
    };
    assert_eq!(answer.unwrap_err().kind(), ErrorKind::AudienceBusy);
    let Poll::Ready(again) = poll(&mut five, &early) else {
        panic!()
    };
    assert_eq!(again.unwrap_err().kind(), ErrorKind::InvalidArgument);
    bus.close();
    assert!(late.count() > 0, "woken by the close");
    let Poll::Ready(answer) = poll(&mut ten, &late) else {
        panic!()
    };
    assert_eq!(answer.unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(bus.audience_count("a"), 0);
    drop(guard);
}

/// A publish wakes the driver of a loop, once, and it wakes the tasks.
#[test]
fn a_driven_loop_wakes_its_64_tasks() {
    let _watchdog = Watchdog::new("drive");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let tasks = tokio::task::LocalSet::new();
    let bus = plain_bus();
    let bell = Bell::new();
    let got = Arc::new(AtomicUsize::new(0));
    runtime.block_on(tasks.run_until(async {
        tokio::task::spawn_local(bell.drive());
        let readers: Vec<_> = (0..64)
            .map(|at| {
                let sub = subscribe(&bus, POLICIES[at % 3]);
                sub.attach(&bell, at as u64).unwrap();
                let got = got.clone();
                tokio::task::spawn_local(async move {
                    let mut batch = Batch::new();
                    let mut seqs = 0;
                    while let Ok(items) = sub.recv(&mut batch, ALL).await {
                        seqs += items;
                        got.fetch_add(items, Ordering::SeqCst);
                    }
                    assert_eq!(sub.stats().delivered, seqs as u64);
                    seqs
                })
            })
            .collect();
        for _ in 0..5 {
            tokio::task::yield_now().await;
        }
        for round in 1..=10 {
            let raises = bell.raises();
            let theirs = bus.clone();
            // From another thread, while the loop sleeps.
            let publisher = thread::spawn(move || publish(&theirs));
            while got.load(Ordering::SeqCst) < 64 * round {
                tokio::task::yield_now().await;
            }
            publisher.join().unwrap();
            assert!(bell.raises() > raises);
        }
        bus.close();
        for reader in readers {
            assert_eq!(reader.await.unwrap(), 10);
        }
    }));
}

/// A driver that goes leaves its tasks to be woken one by one.
#[test]
fn a_dropped_driver_strands_nobody() {
    let bus = plain_bus();
    let bell = Bell::new();
    let sub = subscribe(&bus, POLICIES[1]);
    sub.attach(&bell, 1).unwrap();
    let (task, loops) = (Arc::<Wakes>::default(), Arc::<Wakes>::default());
    let mut batch = Batch::new();
    let mut drive = bell.drive();
    assert!(poll(&mut drive, &loops).is_pending());
    let mut recv = sub.recv(&mut batch, ALL);
    assert!(poll(&mut recv, &task).is_pending());
    publish(&bus);
    assert_eq!((task.count(), loops.count()), (0, 1), "the driver is woken");
    // The rung driver is dropped instead of polled.
    drop(drive);
    assert_eq!(task.count(), 1);
    assert!(matches!(poll(&mut recv, &task), Poll::Ready(Ok(1))));
    drop(recv);
    let mut recv = sub.recv(&mut batch, ALL);
    assert!(poll(&mut recv, &task).is_pending());
    publish(&bus);
    assert_eq!(task.count(), 2, "without a driver");
}

#[test]
fn a_driver_ends_when_its_bell_is_closed() {
    let bell = Bell::new();
    let loops = Arc::<Wakes>::default();
    let mut drive = bell.drive();
    assert!(poll(&mut drive, &loops).is_pending());
    bell.close();
    assert_eq!(loops.count(), 1);
    assert!(poll(&mut drive, &loops).is_ready());
    assert!(poll(&mut bell.ready(), &loops).is_ready());
}

#[test]
fn bell_ready_serves_many_subscriptions() {
    let _watchdog = Watchdog::new("bell ready");
    everywhere(|| async {
        let bus = plain_bus();
        let bell = Bell::new();
        let subs: Vec<_> = (0..30)
            .map(|at| {
                let sub = subscribe(&bus, POLICIES[at % 3]);
                sub.attach(&bell, at as u64).unwrap();
                sub
            })
            .collect();
        let done = Flag::default();
        let publisher = {
            let (bus, done) = (bus.clone(), done.clone());
            thread::spawn(move || {
                for _ in 0..60 {
                    publish(&bus);
                    thread::yield_now();
                }
                done.set();
            })
        };
        let mut counts = [0; 30];
        let (mut tokens, mut batch) = ([0; 7], Batch::new());
        while counts.iter().any(|count| *count < 60) {
            bell.ready().await;
            let taken = bell.take(&mut tokens);
            for token in &tokens[..taken] {
                let at = *token as usize;
                counts[at] += subs[at]
                    .try_recv(
                        &mut batch,
                        Limits {
                            max_items: 2,
                            ..ALL
                        },
                    )
                    .unwrap();
            }
        }
        assert!(counts.iter().all(|count| *count == 60));
        publisher.join().unwrap();
        assert!(done.is_set());
    });
}
