//! `slot/hand-over`: from a release to the waiter that runs again with its slot.
//!
//! The one slot is held on one processor; on another a thread waits for it, blocked on a future until it is woken. When
//! that thread sleeps, the slot is released; the time until the waiter has its slot counts, and half of a round's times
//! are shorter than what is told. Ours waits as a gateway does, with a deadline and pings; the peer without.

use std::future::Future;
use std::hint::spin_loop;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};

use reqbus_core::SlotPool;
use reqbus_core::slots::{Ask, Limit, PoolOptions, WaitOptions};
use tokio::sync::Semaphore;

use super::cpu;
use super::report::{Report, Row};
use super::rounds::{interleave, quantile};

pub const ROWS: [&str; 1] = ["slot/hand-over"];

/// A round.
const HAND_OVERS: usize = 100;
/// From the waiter's last step before it sleeps until it certainly does.
const FALL_ASLEEP: Duration = Duration::from_micros(40);

/// One slot.
trait One: Send + Sync + 'static {
    type Held: Send;
    fn wait(&self) -> impl Future<Output = Self::Held>;
}

struct Ours(SlotPool);

impl One for Ours {
    type Held = reqbus_core::Slot;
    async fn wait(&self) -> Self::Held {
        let asks = [Ask::new("user", "42", Limit::Of(1))];
        let slot = self.0.wait(&asks, &WaitOptions::default()).await;
        slot.expect("in time")
    }
}

struct Tokio(Arc<Semaphore>);

impl One for Tokio {
    type Held = tokio::sync::OwnedSemaphorePermit;
    async fn wait(&self) -> Self::Held {
        let permit = self.0.clone().acquire_owned().await;
        permit.expect("an open semaphore")
    }
}

/// Wakes a thread.
struct Unpark {
    thread: thread::Thread,
    woken: AtomicBool,
}

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.woken.store(true, Ordering::Release);
        self.thread.unpark();
    }
}

/// Runs a future on this thread, which says through `sleeps` when it goes to sleep.
fn block_on<T>(future: impl Future<Output = T>, unpark: &Arc<Unpark>, sleeps: &AtomicBool) -> T {
    let waker = Waker::from(unpark.clone());
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return value;
        }
        while !unpark.woken.swap(false, Ordering::Acquire) {
            sleeps.store(true, Ordering::Release);
            thread::park();
        }
    }
}

/// What both threads see.
#[derive(Default)]
struct Turns {
    /// Hand-overs that may begin; `u64::MAX` when there are no more.
    asked: AtomicU64,
    /// That have ended.
    done: AtomicU64,
    sleeps: AtomicBool,
    took_ns: AtomicU64,
}

/// A waiter's thread, and what it waits for.
struct Waiter<S: One> {
    slot: Arc<S>,
    turns: Arc<Turns>,
    begin: Instant,
    thread: Option<thread::JoinHandle<()>>,
}

impl<S: One> Waiter<S> {
    fn new(slot: S) -> Self {
        let (slot, turns) = (Arc::new(slot), Arc::new(Turns::default()));
        let begin = Instant::now();
        let thread = {
            let (slot, turns) = (slot.clone(), turns.clone());
            thread::spawn(move || {
                cpu::pin(1);
                let unpark = Arc::new(Unpark {
                    thread: thread::current(),
                    woken: AtomicBool::new(false),
                });
                for turn in 1.. {
                    while turns.asked.load(Ordering::Acquire) < turn {
                        thread::park();
                    }
                    if turns.asked.load(Ordering::Acquire) == u64::MAX {
                        return;
                    }
                    let held = block_on(slot.wait(), &unpark, &turns.sleeps);
                    let now_ns = begin.elapsed().as_nanos() as u64;
                    turns.took_ns.store(now_ns, Ordering::Relaxed);
                    drop(held);
                    turns.done.store(turn, Ordering::Release);
                }
            })
        };
        Self {
            slot,
            turns,
            begin,
            thread: Some(thread),
        }
    }

    fn ask(&self, turn: u64) {
        self.turns.asked.store(turn, Ordering::Release);
        if let Some(thread) = &self.thread {
            thread.thread().unpark();
        }
    }

    /// The median of a round, in microseconds.
    fn round(&self) -> [f64; 1] {
        let turns = &self.turns;
        let unpark = Arc::new(Unpark {
            thread: thread::current(),
            woken: AtomicBool::new(false),
        });
        let mut times = Vec::with_capacity(HAND_OVERS);
        for _ in 0..HAND_OVERS {
            let turn = turns.done.load(Ordering::Acquire) + 1;
            let held = block_on(self.slot.wait(), &unpark, &AtomicBool::new(false));
            turns.sleeps.store(false, Ordering::Release);
            self.ask(turn);
            while !turns.sleeps.load(Ordering::Acquire) {
                spin_loop();
            }
            let asleep = Instant::now() + FALL_ASLEEP;
            while Instant::now() < asleep {
                spin_loop();
            }
            let released_ns = self.begin.elapsed().as_nanos() as u64;
            drop(held);
            while turns.done.load(Ordering::Acquire) < turn {
                spin_loop();
            }
            let took_ns = turns.took_ns.load(Ordering::Relaxed);
            times.push(took_ns.saturating_sub(released_ns) as f64 / 1e3);
        }
        times.sort_by(f64::total_cmp);
        [quantile(&times, 0.5)]
    }
}

impl<S: One> Drop for Waiter<S> {
    fn drop(&mut self) {
        self.ask(u64::MAX);
        if let Some(thread) = self.thread.take() {
            thread.join().expect("a waiter that ends");
        }
    }
}

pub fn measure(report: &mut Report) {
    let pool = SlotPool::new(PoolOptions::default()).expect("a pool");
    let ours = Waiter::new(Ours(pool));
    let peer = Waiter::new(Tokio(Arc::new(Semaphore::new(1))));
    let rounds = report.rounds(100);
    let [outcome] = thread::scope(|scope| {
        let releaser = scope.spawn(|| {
            cpu::pin(0);
            interleave(rounds, || ours.round(), || peer.round())
        });
        releaser.join().expect("a releaser that ends")
    });
    let row = Row {
        name: ROWS[0],
        peer: "tokio semaphore",
        unit: "us",
        target: 1.2,
    };
    report.add(row, outcome);
}
