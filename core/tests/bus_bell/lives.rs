//! What opening and closing leaves behind.

use std::time::Duration;

use reqbus_core::Bell;
use reqbus_core::bus::Batch;

use crate::common::{ALL, plain_bus, publish};
use crate::{alone, asleep, is_readable};

/// Entries of a directory of /proc about this process.
fn entries(directory: &str) -> Option<usize> {
    std::fs::read_dir(format!("/proc/self/{directory}"))
        .ok()
        .map(Iterator::count)
}

#[test]
fn a_thousand_open_close_rounds_leave_no_descriptor_and_no_thread() {
    let _alone = alone();
    let round = |round: usize| {
        let bus = plain_bus();
        let bell = Bell::new();
        let fd = bell.fd().unwrap();
        let subs: Vec<_> = (0..3)
            .map(|at| asleep(&bus, &bell, at, at as u64))
            .collect();
        publish(&bus);
        assert!(is_readable(fd));
        // Every order of going.
        match round % 5 {
            0 => {
                drop(bell);
                drop(subs);
            }
            1 => {
                drop(subs);
                drop(bell);
            }
            2 => {
                bus.close();
                drop(bell);
            }
            3 => {
                bell.close();
                drop(bus);
            }
            _ => {
                let sub = &subs[0];
                let answer = sub.recv_timeout(&mut Batch::new(), ALL, Some(Duration::ZERO));
                assert!(answer.is_ok());
                sub.close();
            }
        }
    };
    (0..10).for_each(round);
    let before = entries("fd");
    // Other tests of this binary have threads that come and go, but none with our name.
    let timers = || -> usize {
        let Ok(tasks) = std::fs::read_dir("/proc/self/task") else {
            return 0;
        };
        let name = |task: std::io::Result<std::fs::DirEntry>| {
            std::fs::read_to_string(task.ok()?.path().join("comm")).ok()
        };
        tasks
            .filter_map(name)
            .filter(|name| name.starts_with("reqbus"))
            .count()
    };
    let threads = timers();
    (0..1_000).for_each(round);
    assert_eq!(entries("fd"), before, "descriptors");
    assert_eq!(timers(), threads, "threads of ours");
    assert_eq!(threads, 0, "nothing here needs one");
}

#[test]
fn the_descriptor_lives_as_long_as_anybody_may_ring_it() {
    let _alone = alone();
    let bus = plain_bus();
    let bell = Bell::new();
    let fd = bell.fd().unwrap();
    let sub = asleep(&bus, &bell, 0, 1);
    drop(bell);
    publish(&bus);
    assert!(is_readable(fd), "the subscription still has the bell");
    drop(sub);
    // SAFETY: fcntl with this command takes no pointers.
    let flags = unsafe { libc::fcntl(fd, libc::F_GETFD) };
    assert_eq!(flags, -1, "closed with the last who had it");
}
