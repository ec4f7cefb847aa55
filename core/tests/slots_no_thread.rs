//! The system gives no thread for timers: who needs one is refused, and the next who needs one gets it. The only test of
//! its process, which it keeps from getting memory.

#![cfg(all(not(loom), target_os = "linux"))]

mod common;

use std::fs;

use common::slots::{ended, patient, user};
use common::{Watchdog, until};
use reqbus_core::ErrorKind;
use reqbus_core::slots::{Fault, FaultOptions, Outcome, PoolOptions, SlotPool};

/// Whether this process has a thread of ours.
fn has_timer() -> bool {
    let tasks = fs::read_dir("/proc/self/task").unwrap().flatten();
    let names = tasks.filter_map(|task| fs::read_to_string(task.path().join("comm")).ok());
    names.into_iter().any(|name| name.starts_with("reqbus"))
}

/// Bytes of address space that this process has.
fn size() -> u64 {
    let pages = fs::read_to_string("/proc/self/statm").unwrap();
    let pages: u64 = pages.split(' ').next().unwrap().parse().unwrap();
    pages * 4_096
}

/// Lets this process have so many bytes of address space.
fn limit_to(bytes: u64) {
    let limit = libc::rlimit {
        rlim_cur: bytes,
        rlim_max: libc::RLIM_INFINITY,
    };
    // SAFETY: `limit` is a valid struct, which the call only reads.
    let answer = unsafe { libc::setrlimit(libc::RLIMIT_AS, &limit) };
    assert_eq!(answer, 0);
}

#[test]
fn s4_a_wait_after_one_that_got_no_timer_gets_one() {
    // Down, so that nothing of its line is due at once, and sets a timer by that.
    let fault = Fault::default();
    fault.go_down();
    let pool = SlotPool::new(PoolOptions {
        fault: Some(FaultOptions {
            fault,
            ..FaultOptions::default()
        }),
        ..PoolOptions::default()
    });
    let pool = pool.unwrap();
    // Some to spare for what is small; a thread needs 2 MiB for its stack.
    limit_to(size() + (512 << 10));
    let first = pool.wait(&user("1", 1), &patient());
    limit_to(libc::RLIM_INFINITY);
    let refusal = ended(&first);
    assert_eq!(refusal.outcome(), Outcome::StoreUnavailable);
    assert_eq!(refusal.cause().unwrap().kind(), ErrorKind::System);
    assert!(!has_timer());

    // Not before: a thread that begins takes more address space than it keeps, and the limit above would be too wide.
    let _watchdog = Watchdog::new("a timer after none");
    // What the first has left on the agenda is due before anything of this one is.
    let _second = pool.wait(&user("1", 1), &patient());
    until(has_timer);
}
