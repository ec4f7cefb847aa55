//! `publish/64/asleep`: 64 tasks asleep on one tokio runtime in a thread of its own, a publisher in another.
//!
//! One event at a time, published when all tasks sleep and their runtime is parked. Counted are the CPU time of the
//! publish and all the CPU time of the runtime's thread until it is parked again, when all tasks hold the event. Ours:
//! the subscriptions are attached to one bell, which a task of that runtime drives (`Bell::drive`), as the guide says;
//! what it costs without the bell is told on stderr.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use reqbus_core::bus::{Filter, Limits, Overflow};
use reqbus_core::{Bell, ErrorKind};
use tokio::runtime;
use tokio::sync::broadcast::error::RecvError;

use super::cpu::{self, CpuClock};
use super::event::Requests;
use super::report::{Report, Row};
use super::rounds::interleave;
use super::sides::{OurReader, Ours, Publish, Tokio, TokioReader, look};

pub const ROWS: [&str; 1] = ["publish/64/asleep"];

const TASKS: usize = 64;
const EVENTS: u64 = 20;

type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Events that tasks have got, all together.
type Held = Arc<AtomicUsize>;

/// A thread with a runtime full of sleeping tasks.
struct Dormitory {
    thread: Option<thread::JoinHandle<()>>,
    clock: CpuClock,
    parked: Arc<AtomicBool>,
    held: Held,
    at: u64,
}

impl Dormitory {
    fn new(held: Held, tasks: Vec<Task>) -> Self {
        let parked = Arc::new(AtomicBool::new(false));
        let (tell, clock) = mpsc::channel();
        let (parks, unparks) = (parked.clone(), parked.clone());
        let thread = thread::spawn(move || {
            cpu::pin(1);
            tell.send(CpuClock::of_this_thread())
                .expect("its maker waits");
            let runtime = runtime::Builder::new_current_thread()
                .enable_all()
                .on_thread_park(move || parks.store(true, Ordering::Release))
                .on_thread_unpark(move || unparks.store(false, Ordering::Release))
                .build()
                .expect("a runtime");
            runtime.block_on(async {
                let tasks: Vec<_> = tasks.into_iter().map(tokio::spawn).collect();
                for task in tasks {
                    task.await.expect("a task that ends");
                }
            });
        });
        Self {
            thread: Some(thread),
            clock: clock.recv().expect("the thread tells its clock"),
            parked,
            held,
            at: 0,
        }
    }

    /// Until all tasks hold all events and the runtime is parked. Costs neither thread CPU time that counts.
    fn sleep(&self) {
        let all = self.at as usize * TASKS;
        while self.held.load(Ordering::Acquire) < all || !self.parked.load(Ordering::Acquire) {
            thread::sleep(Duration::from_micros(50));
        }
    }

    /// Microseconds of both threads' CPU per event.
    fn round(&mut self, publisher: &impl Publish) -> [f64; 1] {
        self.sleep();
        let begin = self.clock.now();
        let mut publishing = Duration::ZERO;
        for _ in 0..EVENTS {
            let begin = cpu::of_this_thread();
            publisher.publish(self.at);
            publishing += cpu::of_this_thread() - begin;
            self.at += 1;
            self.sleep();
        }
        let cpu = publishing + (self.clock.now() - begin);
        [cpu.as_nanos() as f64 / 1e3 / EVENTS as f64]
    }

    fn join(mut self) {
        if let Some(thread) = self.thread.take() {
            thread.join().expect("the runtime's thread ends");
        }
    }
}

async fn read_ours(reader: OurReader, held: Held) {
    let OurReader {
        subscription,
        mut batch,
    } = reader;
    loop {
        match subscription.recv(&mut batch, Limits::default()).await {
            Ok(_) => {
                let events = batch.events().map(look).count();
                held.fetch_add(events, Ordering::Release);
            }
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Closed);
                return;
            }
        }
    }
}

async fn read_tokio(mut reader: TokioReader, held: Held) {
    loop {
        match reader.receiver.recv().await {
            Ok(event) => {
                look(&event);
                held.fetch_add(1, Ordering::Release);
            }
            Err(RecvError::Lagged(_)) => unreachable!("one event at a time"),
            Err(RecvError::Closed) => return,
        }
    }
}

fn ours(bell: Option<&Bell>) -> (Ours, Dormitory) {
    let ours = Ours::new(Requests::new());
    let held = Held::default();
    let mut tasks: Vec<Task> = Vec::new();
    for token in 0..TASKS {
        let reader = ours.reader(Overflow::CatchUp, Filter::all());
        if let Some(bell) = bell {
            let attached = reader.subscription.attach(bell, token as u64);
            attached.expect("attached");
        }
        tasks.push(Box::pin(read_ours(reader, held.clone())));
    }
    tasks.extend(bell.map(|bell| Box::pin(bell.drive()) as Task));
    (ours, Dormitory::new(held, tasks))
}

/// Publishers run here: not where the runtimes do.
fn on_a_processor_of_its_own<T: Send>(publish: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| {
        let publisher = scope.spawn(|| {
            cpu::pin(0);
            publish()
        });
        publisher.join().expect("a publisher that ends")
    })
}

pub fn measure(report: &mut Report) {
    let bell = Bell::new();
    let (rung, mut with_bell) = ours(Some(&bell));
    let (alone, mut without_bell) = ours(None);
    let held = Held::default();
    let tokio = Tokio::new(Requests::new());
    let tasks = (0..TASKS)
        .map(|_| Box::pin(read_tokio(tokio.reader(None), held.clone())) as Task)
        .collect();
    let mut peer = Dormitory::new(held, tasks);

    let rounds = report.rounds(60);
    let (outcome, without) = on_a_processor_of_its_own(|| {
        let [outcome] = interleave(rounds, || with_bell.round(&rung), || peer.round(&tokio));
        let without = interleave(
            rounds / 4,
            || without_bell.round(&alone),
            || peer.round(&tokio),
        );
        (outcome, without[0].ours / without[0].peer)
    });
    let row = Row {
        name: ROWS[0],
        peer: Tokio::NAME,
        unit: "us/event",
        target: 0.5,
    };
    report.add(row, outcome);
    eprintln!("{:32} {without:.2} without a bell", "");

    rung.bus.close();
    bell.close();
    alone.bus.close();
    drop(tokio);
    for dormitory in [with_bell, without_bell, peer] {
        dormitory.join();
    }
}
