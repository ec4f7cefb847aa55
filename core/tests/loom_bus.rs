//! Models of the whole bus through its public face: publish against arm, sleep, wake, close, resume and free.
//!
//! A missed wake is a deadlock, which loom reports; so it does an event that is not freed. *Catches* names the
//! change to the code under which the model was seen to fail.
#![cfg(loom)]

#[path = "loom_bus/ends.rs"]
mod ends;
#[path = "loom_bus/resumes.rs"]
mod resumes;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Wake, Waker};
use std::time::Instant;

use loom::future::block_on;
use loom::thread;
use reqbus_core::bus::{
    Batch, Bus, BusOptions, Item, Limits, Overflow, ResyncReason, SubscribeOptions,
};
use reqbus_core::{Bell, ErrorKind, EventId, NewEvent, Subscription};

const QUEUE: Overflow = Overflow::DropNewest {
    events: 2,
    bytes: 1 << 20,
};
const WINDOW: Overflow = Overflow::DropOldest { events: 2 };

/// Every schedule with at most `preemptions`, or `LOOM_MAX_PREEMPTIONS` if that is more.
fn check(preemptions: usize, model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = builder.preemption_bound.max(Some(preemptions));
    builder.max_branches = 10_000;
    let runs = Arc::new(AtomicU64::new(0));
    let count = runs.clone();
    let begun = Instant::now();
    builder.check(move || {
        count.fetch_add(1, Ordering::Relaxed);
        model();
    });
    let runs = runs.load(Ordering::Relaxed);
    println!("{runs} executions in {:?}", begun.elapsed());
}

fn bus(log_events: usize) -> Bus {
    let options = BusOptions {
        log_events,
        ..BusOptions::default()
    };
    Bus::new(options).unwrap()
}

fn subscribe(bus: &Bus, overflow: Overflow) -> Subscription {
    let options = SubscribeOptions {
        overflow,
        ..SubscribeOptions::default()
    };
    bus.subscribe(options).unwrap()
}

fn publish(bus: &Bus) {
    bus.publish(NewEvent::bytes("k", b"")).unwrap();
}

/// A thread that publishes `count` events.
fn publisher(bus: &Bus, count: usize) -> thread::JoinHandle<()> {
    let bus = bus.clone();
    thread::spawn(move || (0..count).for_each(|_| publish(&bus)))
}

/// What a reader was given, checked as it comes: seqs grow, `n` has no hole that is not told, and as all events behind
/// the start match, a loss is exactly as long as the hole.
#[derive(Debug, Default)]
struct Seen {
    seqs: Vec<u64>,
    /// The seq before the start, known from the first event.
    start: Option<u64>,
    told: u64,
    lost: u64,
    resync: Option<(ResyncReason, EventId)>,
    statuses: usize,
}

impl Seen {
    fn from_the_first() -> Self {
        Self {
            start: Some(0),
            ..Self::default()
        }
    }

    fn add(&mut self, batch: &Batch) {
        for item in batch.iter() {
            match item {
                Item::Event { event, n } => {
                    self.told += 1;
                    assert_eq!(n, self.told, "{self:?}");
                    let seq = event.id().seq;
                    let start = *self.start.get_or_insert(seq - n);
                    assert_eq!(seq - n, start, "{self:?}");
                    self.seqs.push(seq);
                }
                Item::Lost { missed, next_n, .. } => {
                    self.lost += missed;
                    self.told += missed;
                    assert_eq!(next_n, self.told + 1, "{self:?}");
                }
                Item::Resync { reason, head } => {
                    assert!(self.resync.replace((reason, head)).is_none() && self.told == 0);
                }
                Item::Status { .. } => self.statuses += 1,
            }
        }
    }

    /// Reads as a task until `goal` events were told.
    fn await_told(&mut self, sub: &Subscription, goal: u64) {
        let mut batch = Batch::new();
        while self.told < goal {
            block_on(sub.recv(&mut batch, Limits::default())).unwrap();
            self.add(&batch);
        }
    }

    /// Reads as a task to the end.
    fn await_end(&mut self, sub: &Subscription) {
        let mut batch = Batch::new();
        while let Some(_items) = ended(block_on(sub.recv(&mut batch, Limits::default()))) {
            self.add(&batch);
        }
    }

    /// Reads as a parked thread until `goal` events were told.
    fn park_told(&mut self, sub: &Subscription, goal: u64) {
        let mut batch = Batch::new();
        while self.told < goal {
            sub.recv_timeout(&mut batch, Limits::default(), None)
                .unwrap();
            self.add(&batch);
        }
    }

    /// Takes what is there.
    fn try_all(&mut self, sub: &Subscription) {
        let mut batch = Batch::new();
        while ended(sub.try_recv(&mut batch, Limits::default())).is_some_and(|items| items > 0) {
            self.add(&batch);
        }
    }
}

/// `None` at the end.
fn ended(read: reqbus_core::error::Result<usize>) -> Option<usize> {
    match read {
        Ok(items) => Some(items),
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Closed);
            None
        }
    }
}

fn a_task_reads_it_all(overflow: Overflow) {
    check(3, move || {
        let bus = bus(2);
        let sub = subscribe(&bus, overflow);
        let threads = [publisher(&bus, 1), publisher(&bus, 1)];
        let mut seen = Seen::default();
        seen.await_told(&sub, 2);
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!((seen.seqs, seen.lost), (vec![1, 2], 0));
    });
}

/// Catches: a poll that looks before it leaves its waker; a reader that arms in another hold of the lock than
/// the one in which it saw nothing.
#[test]
fn loom_publish_and_a_task_on_the_log() {
    a_task_reads_it_all(Overflow::CatchUp);
}

/// The code of the one on the log, with a window.
#[test]
fn loom_publish_and_a_task_on_a_window() {
    a_task_reads_it_all(WINDOW);
}

/// Catches: as on the log; an event that is offered twice; an `end_of_queue` that does not complete the fan-
/// out, or does not look at the channel again under the lock.
#[test]
fn loom_publish_and_a_task_on_a_channel() {
    a_task_reads_it_all(QUEUE);
}

fn a_parked_thread_reads_it_all(overflow: Overflow) {
    check(4, move || {
        let bus = bus(2);
        let sub = subscribe(&bus, overflow);
        let thread = publisher(&bus, 2);
        let mut seen = Seen::default();
        seen.park_told(&sub, 2);
        thread.join().unwrap();
        assert_eq!((seen.seqs, seen.lost), (vec![1, 2], 0));
    });
}

/// Catches: a wait without `begin_park` before its second look; arming in another hold.
#[test]
fn loom_publish_and_a_parked_thread_on_the_log() {
    a_parked_thread_reads_it_all(Overflow::CatchUp);
}

/// Catches: arming in another hold.
#[test]
fn loom_publish_and_a_parked_thread_on_a_channel() {
    a_parked_thread_reads_it_all(QUEUE);
}

/// Two threads sleep on one bus, and one of them is still armed from a wait that it gave up. Whichever is
/// woken first, and whether or not it got to sleep, the other is woken too.
///
/// Catches: a wait that wakes the next only if it slept.
#[test]
fn loom_a_thread_that_did_not_get_to_sleep_wakes_the_next() {
    check(4, || {
        let bus = bus(2);
        let early = subscribe(&bus, Overflow::CatchUp);
        let mut batch = Batch::new();
        {
            let wait = std::pin::pin!(early.recv(&mut batch, Limits::default()));
            let mut cx = Context::from_waker(Waker::noop());
            assert!(wait.poll(&mut cx).is_pending());
        }
        let late = subscribe(&bus, Overflow::CatchUp);
        let sleepers =
            [early, late].map(|sub| thread::spawn(move || Seen::default().park_told(&sub, 1)));
        publish(&bus);
        for sleeper in sleepers {
            sleeper.join().unwrap();
        }
    });
}

/// An interrupt ends one wait, whether it comes before or in it, and takes nothing.
///
/// Catches: a `wake_now` that does not say `go`.
#[test]
fn loom_interrupt_and_a_parked_thread() {
    check(4, || {
        let bus = bus(2);
        let sub = Arc::new(subscribe(&bus, Overflow::CatchUp));
        let interrupts = {
            let sub = sub.clone();
            thread::spawn(move || sub.interrupt())
        };
        let mut batch = Batch::new();
        let answer = sub.recv_timeout(&mut batch, Limits::default(), None);
        assert_eq!(answer.unwrap_err().kind(), ErrorKind::Interrupted);
        interrupts.join().unwrap();
    });
}

/// A try after a publish has returned finds its event, whoever holds the shard.
///
/// Catches: an `end_of_queue` that does not complete the fan-out.
#[test]
fn loom_a_try_after_publish_finds_the_event() {
    check(4, || {
        let bus = bus(4);
        let sub = subscribe(&bus, QUEUE);
        let thread = publisher(&bus, 1);
        publish(&bus);
        let mut seen = Seen::default();
        seen.try_all(&sub);
        assert!(!seen.seqs.is_empty());
        thread.join().unwrap();
        seen.try_all(&sub);
        assert_eq!((seen.seqs, seen.lost), (vec![1, 2], 0));
    });
}

/// The account of a reader that loses events adds up, whoever offers them.
///
/// Catches: a loss that is not counted, not noted, or passed over before the message behind it was taken.
#[test]
fn loom_the_account_of_a_full_channel_adds_up() {
    check(4, || {
        let bus = bus(4);
        let one = Overflow::DropNewest {
            events: 1,
            bytes: 1 << 20,
        };
        let sub = subscribe(&bus, one);
        let threads = [publisher(&bus, 2), publisher(&bus, 1)];
        let mut seen = Seen::from_the_first();
        seen.try_all(&sub);
        for thread in threads {
            thread.join().unwrap();
        }
        let stats = sub.stats();
        assert_eq!(stats.matched, 3);
        let sum = stats.delivered + stats.lost() + stats.pending;
        assert_eq!(stats.matched, sum, "{stats:?}");
        seen.try_all(&sub);
        assert_eq!(seen.told, 3, "{seen:?}");
        let stats = sub.stats();
        assert_eq!(
            (stats.delivered, stats.lost_full),
            (seen.seqs.len() as u64, seen.lost)
        );
    });
}

/// A window of one: what a reader loses while it reads is counted and told.
///
/// Catches: a position that moves before its loss is counted.
#[test]
fn loom_the_account_of_a_window_adds_up() {
    check(4, || {
        let bus = bus(2);
        let sub = subscribe(&bus, Overflow::DropOldest { events: 1 });
        let threads = [publisher(&bus, 2), publisher(&bus, 1)];
        let mut seen = Seen::from_the_first();
        seen.try_all(&sub);
        for thread in threads {
            thread.join().unwrap();
        }
        seen.try_all(&sub);
        let stats = sub.stats();
        assert_eq!((stats.matched, seen.told, stats.pending), (3, 3, 0));
        assert_eq!(
            (stats.delivered, stats.lost()),
            (seen.seqs.len() as u64, seen.lost)
        );
    });
}

/// A reader that subscribes while others publish: every event is on one side of its start.
///
/// Catches: a channel that does not begin where the log's part ends.
#[test]
fn loom_subscribe_and_publish_on_a_channel() {
    check(4, || {
        let bus = bus(4);
        let threads = [publisher(&bus, 1), publisher(&bus, 1)];
        let sub = subscribe(&bus, QUEUE);
        for thread in threads {
            thread.join().unwrap();
        }
        let mut seen = Seen::default();
        seen.try_all(&sub);
        let stats = sub.stats();
        let expected: Vec<u64> = (3 - stats.matched..=2).collect();
        assert_eq!((seen.seqs, seen.lost, stats.pending), (expected, 0, 0));
    });
}

/// Nobody can resume on this bus, and the log keeps only what a reader has yet to read, and that it keeps.
///
/// Catches: a `trim` that does not ask who still reads.
#[test]
fn loom_trim_keeps_what_is_to_be_read() {
    check(4, || {
        let options = BusOptions {
            log_events: 4,
            resume: false,
            ..BusOptions::default()
        };
        let bus = Bus::new(options).unwrap();
        let threads = [publisher(&bus, 1), publisher(&bus, 1)];
        let sub = subscribe(&bus, Overflow::CatchUp);
        for thread in threads {
            thread.join().unwrap();
        }
        let mut seen = Seen::default();
        seen.try_all(&sub);
        let stats = sub.stats();
        let expected: Vec<u64> = (3 - stats.matched..=2).collect();
        assert_eq!((seen.seqs, seen.lost), (expected, 0));
    });
}

/// A status rings whoever sleeps, like an event.
///
/// Catches: a reader that arms without a look at the statuses.
#[test]
fn loom_a_status_and_a_task() {
    check(4, || {
        let bus = bus(2);
        let sub = subscribe(&bus, Overflow::CatchUp);
        let tells = {
            let bus = bus.clone();
            thread::spawn(move || bus.set_status("upstream", "connected", "").unwrap())
        };
        let mut batch = Batch::new();
        block_on(sub.recv(&mut batch, Limits::default())).unwrap();
        assert!(matches!(batch.get(0), Some(Item::Status { .. })));
        tells.join().unwrap();
    });
}

/// A host's loop over two subscriptions on one bell, to the end of the bus.
///
/// Catches: a read that takes something and does not leave its token ready.
#[test]
fn loom_a_loop_on_a_bell_reads_to_the_end() {
    check(3, || {
        let bus = bus(2);
        let bell = Bell::new();
        let subs = [Overflow::CatchUp, QUEUE].map(|overflow| subscribe(&bus, overflow));
        for (token, sub) in subs.iter().enumerate() {
            sub.attach(&bell, token as u64).unwrap();
        }
        let thread = {
            let bus = bus.clone();
            thread::spawn(move || {
                publish(&bus);
                bus.close();
            })
        };
        let mut seen = [Seen::default(), Seen::default()];
        let mut open = [true; 2];
        let mut tokens = [0; 2];
        while open != [false; 2] {
            block_on(bell.ready());
            let taken = bell.take(&mut tokens);
            for at in tokens[..taken].iter().map(|token| *token as usize) {
                let mut batch = Batch::new();
                match ended(subs[at].try_recv(&mut batch, Limits::default())) {
                    Some(_items) => seen[at].add(&batch),
                    None => open[at] = false,
                }
            }
        }
        for seen in seen {
            assert_eq!((seen.seqs, seen.lost), (vec![1], 0));
        }
        thread.join().unwrap();
    });
}

/// Whoever is woken may read at once, on the thread that wakes it: nothing is locked then.
///
/// Catches: a read that marks its token ready under its lock, as it once did.
#[test]
fn loom_a_waker_runs_under_no_lock() {
    struct Reads(Arc<Subscription>);
    impl Wake for Reads {
        fn wake(self: Arc<Self>) {
            let mut batch = Batch::new();
            let _items = self.0.try_recv(&mut batch, Limits::default());
            let _stats = self.0.stats();
        }
    }
    check(4, || {
        let bus = bus(2);
        let sub = Arc::new(subscribe(&bus, QUEUE));
        let bell = Bell::new();
        sub.attach(&bell, 7).unwrap();
        bell.take(&mut [0; 2]);
        let mut seen = Seen::default();
        seen.try_all(&sub);
        {
            let waker = Waker::from(Arc::new(Reads(sub.clone())));
            let ready = std::pin::pin!(bell.ready());
            assert!(ready.poll(&mut Context::from_waker(&waker)).is_pending());
        }
        let thread = publisher(&bus, 1);
        seen.try_all(&sub);
        thread.join().unwrap();
        // The waker holds the subscription.
        bell.close();
    });
}

/// The subscription, its bell and the bus go while a publish rings them.
fn free_against_ring(overflow: Overflow) {
    check(3, move || {
        let bus = bus(2);
        let sub = subscribe(&bus, overflow);
        let bell = Bell::new();
        sub.attach(&bell, 7).unwrap();
        let mut batch = Batch::new();
        assert_eq!(sub.try_recv(&mut batch, Limits::default()).unwrap(), 0);
        let threads = [publisher(&bus, 1), publisher(&bus, 1)];
        drop(bus);
        drop(sub);
        drop(bell);
        for thread in threads {
            thread.join().unwrap();
        }
    });
}

/// Catches: a log that goes without retiring its events.
#[test]
fn loom_free_and_ring_on_the_log() {
    free_against_ring(Overflow::CatchUp);
}

/// Catches: a loan of one event that is not in the account.
#[test]
fn loom_free_and_ring_on_a_channel() {
    free_against_ring(QUEUE);
}

/// Who reads an event may keep it for longer than the log, the subscription and the bus.
///
/// Catches: a clone that does not count; a loan of one event that is not in the account.
#[test]
fn loom_an_event_outlives_its_bus() {
    check(4, || {
        let bus = bus(1);
        let sub = subscribe(&bus, QUEUE);
        publish(&bus);
        let mut batch = Batch::new();
        assert_eq!(sub.try_recv(&mut batch, Limits::default()).unwrap(), 1);
        let kept: Vec<_> = batch.events().cloned().collect();
        let thread = publisher(&bus, 2);
        drop(bus);
        let lost = {
            let mut seen = Seen {
                told: 1,
                ..Seen::from_the_first()
            };
            seen.try_all(&sub);
            seen.lost
        };
        assert!(lost <= 1);
        drop(sub);
        thread.join().unwrap();
        drop(batch);
        assert_eq!(kept[0].id().seq, 1);
    });
}
