//! Allocations, counted: one per publish, none per received batch, in steady state.

#![cfg(not(loom))]

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::future::Future;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use common::{POLICIES, plain_bus, subscribe};
use reqbus_core::bus::{Batch, Bus, BusOptions, Filter, Limits, Overflow, SubscribeOptions};
use reqbus_core::event::RequestStatus;
use reqbus_core::wire::Form;
use reqbus_core::{Bell, NewEvent, RequestEvent, Subscription};

thread_local! {
    /// Allocations by this thread. Without a destructor, so that the allocator may use it at any time.
    static COUNT: Cell<u64> = const { Cell::new(0) };
}

/// The system's allocator, counted per thread, so that tests side by side do not see each other.
struct Counting;

fn count() {
    let _ = COUNT.try_with(|count| count.set(count.get() + 1));
}

// SAFETY: every call is passed on as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promises are the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: as above.
        unsafe { System.realloc(memory, layout, size) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// How often `work` allocated.
fn allocations(work: impl FnOnce()) -> u64 {
    let before = COUNT.with(Cell::get);
    work();
    COUNT.with(Cell::get) - before
}

fn request() -> RequestEvent<'static> {
    RequestEvent {
        method: "POST",
        path: "/v1/messages",
        model: "model-4",
        account_id: 42,
        status: RequestStatus::Success,
        latency_ms: 812,
        ..RequestEvent::default()
    }
}

/// Readers of every policy, of all events and by key and kind.
fn readers(bus: &Bus) -> Vec<Subscription> {
    let filters = [
        Filter::all(),
        common::kinds(&["request", "k"]),
        common::keys(&["user-7", ""]),
    ];
    let of = |(filter, overflow): (&Filter, Overflow)| {
        bus.subscribe(SubscribeOptions {
            filter: filter.clone(),
            overflow,
            ..SubscribeOptions::default()
        })
        .unwrap()
    };
    let all = POLICIES
        .iter()
        .flat_map(|overflow| filters.iter().map(move |f| (f, *overflow)));
    all.map(of).collect()
}

fn drain(subs: &[Subscription], batch: &mut Batch) {
    for sub in subs {
        while sub.try_recv(batch, Limits::default()).unwrap() > 0 {}
    }
}

/// A bus with a log of 100, in steady state: it has evicted, and everybody has read.
fn steady() -> (Bus, Vec<Subscription>, Batch) {
    let bus = common::bus(BusOptions {
        log_events: 100,
        ..BusOptions::default()
    });
    let subs = readers(&bus);
    let mut batch = Batch::new();
    for _ in 0..5 {
        for _ in 0..64 {
            bus.publish_request(&request()).unwrap();
        }
        drain(&subs, &mut batch);
    }
    (bus, subs, batch)
}

/// Ten publishes of each sort make ten allocations each.
fn assert_one_per_publish(bus: &Bus, what: &str) {
    let ten = |publish: &dyn Fn()| allocations(|| (0..10).for_each(|_| publish()));
    let counts = [
        ten(&|| {
            bus.publish_request(&request()).unwrap();
        }),
        ten(&|| {
            let keyed = RequestEvent {
                key: "user-7",
                ..request()
            };
            bus.publish_request(&keyed).unwrap();
        }),
        ten(&|| {
            bus.publish(NewEvent::text("k", "some text").key("user-7"))
                .unwrap();
        }),
        ten(&|| {
            bus.publish(NewEvent::bytes("other", b"bytes")).unwrap();
        }),
        ten(&|| {
            bus.publish(NewEvent::json("k", r#"{"a":1,"c":"d"}"#))
                .unwrap();
        }),
    ];
    assert_eq!(counts, [10; 5], "{what}");
}

#[test]
fn b1_a_publish_allocates_the_event_and_nothing_else() {
    assert_one_per_publish(&plain_bus(), "nobody reads");
    let (bus, subs, mut batch) = steady();
    assert_one_per_publish(&bus, "readers of all policies");
    assert_one_per_publish(&bus, "whose queues are full, and who lag");
    drain(&subs, &mut batch);
    assert_one_per_publish(&bus, "who have read");
    let bus = common::bus(BusOptions {
        resume: false,
        ..BusOptions::default()
    });
    let subs = readers(&bus);
    for _ in 0..200 {
        bus.publish_request(&request()).unwrap();
    }
    drain(&subs, &mut batch);
    assert_one_per_publish(&bus, "without resume");
}

#[test]
fn b1_checking_json_allocates_nothing() {
    let bus = plain_bus();
    for json in [
        "null",
        r#"{"a":[1,2,{"b":null}],"c":"d"}"#,
        r#"["with \"escapes\" \u00e9", 1.5e3, [[[[]]]]]"#,
    ] {
        let publish = || {
            bus.publish(NewEvent::json("k", json)).unwrap();
        };
        assert_eq!(allocations(publish), 1, "{json}");
        if json.starts_with('{') {
            let publish = || {
                let extra = RequestEvent {
                    extra: Some(json),
                    ..request()
                };
                bus.publish_request(&extra).unwrap();
            };
            assert_eq!(allocations(publish), 1, "extra {json}");
        }
    }
}

struct Nothing;

impl Wake for Nothing {
    fn wake(self: Arc<Self>) {}
}

#[test]
fn b1_a_publish_that_wakes_allocates_nothing_more() {
    let (bus, subs, mut batch) = steady();
    let bell = Bell::new();
    let mut tokens = [0; 64];
    for (at, sub) in subs.iter().enumerate() {
        sub.attach(&bell, at as u64).unwrap();
    }
    bell.fd().unwrap();
    // Round by round: armed, rung, read.
    for round in 0..20 {
        while bell.take(&mut tokens) > 0 {}
        drain(&subs, &mut batch);
        while bell.take(&mut tokens) > 0 {}
        drain(&subs, &mut batch);
        let made = allocations(|| {
            bus.publish_request(&request()).unwrap();
        });
        assert_eq!(made, 1, "round {round}, on a bell");
        let made = allocations(|| {
            bell.take(&mut tokens);
        });
        assert!(round < 2 || made == 0, "{made} for taking tokens");
    }
    for sub in &subs {
        sub.detach();
    }
    let waker = Waker::from(Arc::new(Nothing));
    for round in 0..20 {
        drain(&subs, &mut batch);
        let sub = &subs[round % subs.len()];
        let mut recv = sub.recv(&mut batch, Limits::default());
        let mut cx = Context::from_waker(&waker);
        let pending = |poll: Poll<_>| assert!(poll.is_pending());
        pending(std::pin::Pin::new(&mut recv).poll(&mut cx));
        let made = allocations(|| {
            bus.publish_request(&RequestEvent {
                key: "user-7",
                ..request()
            })
            .unwrap();
        });
        assert_eq!(made, 1, "round {round}, a task");
    }
}

#[test]
fn publish_many_allocates_the_events_and_one_list() {
    let (bus, _subs, _) = steady();
    let events = [NewEvent::text("k", "x"); 50];
    let made = allocations(|| {
        bus.publish_many(&events).unwrap();
    });
    assert_eq!(made, 51);
}

#[test]
fn a_received_batch_allocates_nothing() {
    let (bus, subs, mut batch) = steady();
    for round in 0..30 {
        for _ in 0..20 {
            bus.publish_request(&request()).unwrap();
        }
        for sub in &subs {
            let limits = Limits {
                max_items: 1 + round,
                ..Limits::default()
            };
            let made = allocations(|| while sub.try_recv(&mut batch, limits).unwrap() > 0 {});
            assert_eq!(made, 0, "round {round}: {sub:?}");
        }
    }
}

#[test]
fn a_batch_with_losses_allocates_nothing() {
    let (bus, subs, mut batch) = steady();
    for round in 0..10 {
        // More than the queues, the window and the log hold.
        for _ in 0..400 {
            bus.publish_request(&request()).unwrap();
        }
        for sub in &subs {
            let made =
                allocations(|| while sub.try_recv(&mut batch, Limits::default()).unwrap() > 0 {});
            assert!(round == 0 || made == 0, "round {round}: {made} for {sub:?}");
        }
    }
}

#[test]
fn texts_are_made_once_for_all_readers() {
    let (bus, subs, mut batch) = steady();
    // Once, so that the batch has its memory.
    for round in 0..4 {
        for form in [Form::Sse, Form::Ndjson, Form::Json] {
            for _ in 0..20 {
                bus.publish_request(&request()).unwrap();
            }
            let read = |sub: &Subscription, batch: &mut Batch| {
                allocations(|| {
                    while sub.try_recv_texts(batch, form, Limits::default()).unwrap() > 0 {}
                })
            };
            let first = read(&subs[0], &mut batch);
            assert!(first >= 20, "the first reader makes the texts");
            for sub in &subs[1..] {
                let made = read(sub, &mut batch);
                assert!(round == 0 || made == 0, "{made} for {sub:?}, {form}");
            }
        }
        // An envelope is a line of NDJSON without its end: nothing is made for it.
        bus.publish_request(&request()).unwrap();
        let ndjson = allocations(|| {
            subs[0]
                .try_recv_texts(&mut batch, Form::Ndjson, Limits::default())
                .unwrap();
        });
        assert!(ndjson >= 1);
        for sub in &subs[1..] {
            let made = allocations(|| {
                sub.try_recv_texts(&mut batch, Form::Envelope, Limits::default())
                    .unwrap();
            });
            assert!(round == 0 || made == 0, "{made} for {sub:?}");
        }
    }
}

#[test]
fn a_try_that_finds_nothing_allocates_nothing() {
    let (_bus, subs, mut batch) = steady();
    for sub in &subs {
        for fresh in [false, true] {
            let mut new = Batch::new();
            let batch = if fresh { &mut new } else { &mut batch };
            let made = allocations(|| {
                assert_eq!(sub.try_recv(batch, Limits::default()).unwrap(), 0);
            });
            assert!(fresh || made == 0, "{made} for {sub:?}");
        }
        let bell = Bell::new();
        sub.attach(&bell, 1).unwrap();
        bell.take(&mut [0; 4]);
        let made = allocations(|| {
            assert_eq!(sub.try_recv(&mut batch, Limits::default()).unwrap(), 0);
        });
        assert_eq!(made, 0, "a try that arms");
        sub.detach();
    }
    let wanted = subscribe(&_bus, Overflow::CatchUp);
    let made = allocations(|| {
        let _ = (wanted.stats(), wanted.settled(), _bus.newest());
    });
    assert_eq!(made, 0, "an account");
}
