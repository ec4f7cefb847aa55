//! Allocations of slots, counted: none for a key that is known; and what a million keys leave behind.

#![cfg(not(loom))]

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::fmt::Write;
use std::hint::black_box;

use common::slots::{granted, outcome, patient, pool, s, stands, user};
use reqbus_core::slots::{Ask, Limit, Outcome, Released, SlotPool, WaitOptions};
use reqbus_core::time::ClockDriver;

thread_local! {
    /// Allocations by this thread. Without a destructor, so that the allocator may use it at any time.
    static COUNT: Cell<u64> = const { Cell::new(0) };
    /// Bytes that this thread has allocated, less those that it has freed.
    static LIVE: Cell<i64> = const { Cell::new(0) };
}

/// The system's allocator, counted per thread, so that tests side by side do not see each other.
struct Counting;

fn count(allocations: u64, bytes: i64) {
    let _ = COUNT.try_with(|count| count.set(count.get() + allocations));
    let _ = LIVE.try_with(|live| live.set(live.get() + bytes));
}

// SAFETY: every call is passed on as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(1, layout.size() as i64);
        // SAFETY: the caller's promises are the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(1, layout.size() as i64);
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(1, size as i64 - layout.size() as i64);
        // SAFETY: as above.
        unsafe { System.realloc(memory, layout, size) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        count(0, -(layout.size() as i64));
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

/// Bytes that are allocated now.
fn live() -> i64 {
    LIVE.with(Cell::get)
}

const KEYS: u32 = 1_000_000;

/// Uses one key after another, each by `take`, in one buffer.
fn use_keys(keys: std::ops::Range<u32>, mut take: impl FnMut(&str)) {
    let mut id = String::with_capacity(64);
    for number in keys {
        id.clear();
        write!(id, "user-{number}").unwrap();
        take(&id);
    }
}

fn try_and_release(pool: &SlotPool, id: &str) {
    let slot = pool.try_acquire(&user(id, 2), "").unwrap();
    assert_eq!(slot.release(), Released::Released);
}

#[test]
fn s1_a_known_key_is_tried_and_released_without_an_allocation() {
    let (pool, _) = pool();
    let long = "x".repeat(255);
    for id in ["42", long.as_str()] {
        try_and_release(&pool, id);
        let made = allocations(|| (0..1_000).for_each(|_| try_and_release(&pool, id)));
        assert_eq!(made, 0, "id of {} bytes", id.len());
        let dropped = allocations(|| drop(pool.try_acquire(&user(id, 2), "").unwrap()));
        assert_eq!(dropped, 0, "a drop instead of a release");
    }
    let unlimited = [Ask::new("user", "42", Limit::Unlimited)];
    let made = allocations(|| drop(pool.try_acquire(&unlimited, "").unwrap()));
    assert_eq!(made, 0, "unlimited");
}

/// As many at once as there were before: the row keeps its memory.
#[test]
fn s1_a_key_with_many_holders_allocates_for_its_most() {
    let (pool, _) = pool();
    let mut slots = Vec::with_capacity(100);
    for round in 0..5 {
        let made = allocations(|| {
            for _ in 0..100 {
                slots.push(pool.try_acquire(&user("42", 100), "").unwrap());
            }
            slots.clear();
        });
        assert!(round == 0 || made == 0, "round {round}: {made}");
    }
}

#[test]
fn s1_an_idle_key_that_comes_back_is_known() {
    let (pool, _) = pool();
    use_keys(0..1_000, |id| try_and_release(&pool, id));
    let mut buffers = 0;
    let made = allocations(|| {
        buffers = allocations(|| drop(black_box(String::with_capacity(64))));
        use_keys(0..1_000, |id| try_and_release(&pool, id));
    });
    assert_eq!(made, 2 * buffers, "the test's own buffers and nothing else");
}

/// S9: what is left after a million keys is 4,096 of them, whatever was done with each.
#[test]
fn s9_a_million_keys_come_and_go_and_leave_what_4096_need() {
    let (pool, driver) = pool();
    use_keys(0..10_000, |id| try_and_release(&pool, id));
    let before = live();
    use_keys(10_000..KEYS, |id| try_and_release(&pool, id));
    assert!(pool.known_keys() <= 4_096, "{}", pool.known_keys());
    let grown = live() - before;
    assert!(
        grown.abs() < 256 << 10,
        "{grown} bytes more than after 10,000"
    );
    let granted = pool.scope_stats("user").counters.granted;
    assert_eq!(granted, u64::from(KEYS), "nothing counted is forgotten");

    driver.advance(s(301));
    assert_eq!(pool.known_keys(), 0);
    let left = live() - before;
    assert!(left < -4_000 * 128, "{left}: rows of 4,096 keys are gone");
    assert_eq!(pool.scope_stats("user").counters.granted, granted);
}

/// The same with waits, refusals, labels, forced slots and long ids, of which each key had some.
#[test]
fn s9_keys_that_had_everything_leave_nothing_more() {
    let (pool, driver) = pool();
    let everything = |pool: &SlotPool, id: &str| {
        let id = &format!("{id}{}", "x".repeat(60));
        let slot = pool.try_acquire(&user(id, 1), "a label").unwrap();
        let first = pool.wait(&user(id, 1), &WaitOptions::default());
        let second = pool.wait(&user(id, 1), &patient());
        second.cancel(None);
        assert_eq!(outcome(&second), Outcome::Cancelled);
        let holder = slot.holders().pop().unwrap();
        assert!(
            pool.force(user(id, 1)[0].key, holder.id)
                .wait(None)
                .unwrap()
        );
        assert_eq!(slot.release(), Released::Lost);
        granted(&first).leak();
        assert_eq!(stands(pool, "user", id), (0, 0));
    };
    use_keys(0..10_000, |id| everything(&pool, id));
    forget(&pool, &driver);
    let before = live();
    use_keys(0..60_000, |id| everything(&pool, id));
    assert!(pool.known_keys() <= 4_096);
    forget(&pool, &driver);
    let grown = live() - before;
    assert!(
        grown.abs() < 64 << 10,
        "{grown} bytes more than after 10,000"
    );
    assert_eq!(pool.leaked(), 70_000);
    assert_eq!(pool.scope_stats("user").waits.count, 70_000);
}

fn forget(pool: &SlotPool, driver: &ClockDriver) {
    driver.advance(s(301));
    assert_eq!(pool.known_keys(), 0);
}

/// A hundred thousand keys held at once are rows at once; all given back, their memory goes too.
#[test]
fn s9_keys_held_at_once_give_their_memory_back() {
    let (pool, driver) = pool();
    use_keys(0..5_000, |id| try_and_release(&pool, id));
    forget(&pool, &driver);
    let before = live();
    let mut slots = Vec::new();
    use_keys(0..100_000, |id| {
        slots.push(pool.try_acquire(&user(id, 1), "").unwrap());
    });
    assert_eq!(pool.known_keys(), 100_000);
    let most = live() - before;
    assert!(most > 100_000 * 128, "{most} bytes: the measure sees rows");
    drop(slots);
    assert!(pool.known_keys() <= 4_096);
    forget(&pool, &driver);
    let left = live() - before;
    assert!(left < 64 << 10, "{left} bytes left of {most}");
}

/// A pool that is dropped leaves nothing: no row, no wait, no timer of it.
#[test]
fn s9_a_pool_that_is_gone_leaves_nothing() {
    let use_one = || {
        let (pool, driver) = pool();
        let held = pool.try_acquire(&user("42", 1), "label").unwrap();
        let waits: Vec<_> = (0..20)
            .map(|_| pool.wait(&user("42", 1), &WaitOptions::default()))
            .collect();
        use_keys(0..10_000, |id| try_and_release(&pool, id));
        driver.advance(s(15));
        held.release();
        drop(granted(&waits[0]));
        pool.try_acquire(&user("43", 1), "").unwrap().leak();
    };
    use_one();
    let before = live();
    use_one();
    assert_eq!(live() - before, 0);
}
