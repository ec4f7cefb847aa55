//! Processors: time a thread spent on one, which one it runs on, and what a look at the clock costs.

use std::time::{Duration, Instant};

/// A thread's CPU clock.
#[derive(Clone, Copy)]
pub struct CpuClock(libc::clockid_t);

impl CpuClock {
    /// Of the calling thread, readable from any thread while that one lives.
    pub fn of_this_thread() -> Self {
        let mut clock = 0;
        // SAFETY: the calling thread lives, and `clock` has room for the answer.
        let status = unsafe { libc::pthread_getcpuclockid(libc::pthread_self(), &mut clock) };
        assert_eq!(status, 0, "the thread has a CPU clock");
        Self(clock)
    }

    /// How long the thread has run.
    pub fn now(self) -> Duration {
        read(self.0)
    }
}

/// How long the calling thread has run.
pub fn of_this_thread() -> Duration {
    read(libc::CLOCK_THREAD_CPUTIME_ID)
}

fn read(clock: libc::clockid_t) -> Duration {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `time` has room for the answer.
    let status = unsafe { libc::clock_gettime(clock, &mut time) };
    assert_eq!(status, 0, "the clock can be read");
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// What [`Instant::now`] adds to what it measures: the shortest of many.
pub fn look() -> Duration {
    let looks = (0..10_000).map(|_| {
        let begin = Instant::now();
        begin.elapsed()
    });
    looks.min().unwrap_or_default()
}

/// Keeps the calling thread on the `at`th processor of those the process may use, so that two threads which are to meet
/// do not share one. Nothing happens where there are not so many.
pub fn pin(at: usize) {
    // SAFETY: a set is plain bits, for which zero is a value; the calls get its true size and stay within it.
    unsafe {
        let mut may: libc::cpu_set_t = std::mem::zeroed();
        let size = size_of::<libc::cpu_set_t>();
        libc::sched_getaffinity(0, size, &mut may);
        let mut cpus = (0..8 * size).filter(|cpu| libc::CPU_ISSET(*cpu, &may));
        if let Some(cpu) = cpus.nth(at) {
            let mut one: libc::cpu_set_t = std::mem::zeroed();
            libc::CPU_SET(cpu, &mut one);
            libc::sched_setaffinity(0, size, &one);
        }
    }
}

/// How often the system took the calling thread off its processor although it had work to do.
pub fn evictions() -> i64 {
    // SAFETY: the struct is plain numbers, for which zero is a value, and has room for the answer.
    unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        libc::getrusage(libc::RUSAGE_THREAD, &mut usage);
        usage.ru_nivcsw
    }
}
