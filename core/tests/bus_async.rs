//! The futures, on tokio (one thread and several) and on smol: they name no runtime.

#![cfg(not(loom))]

mod common;
#[path = "bus_async/ends.rs"]
mod ends;
#[path = "bus_async/joins.rs"]
mod joins;

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;

use common::{ALL, Flag, POLICIES, Watchdog, everywhere, plain_bus, publish, publish_n, subscribe};
use reqbus_core::bus::{Batch, Limits, SubscribeOptions};
use reqbus_core::wire::Form;
use reqbus_core::{Bell, ErrorKind, NewEvent};

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
