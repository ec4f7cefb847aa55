//! Two threads that begin together.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

pub const THREADS: usize = 2;

/// Where both threads wait for each other, without a system call unless it takes long.
#[derive(Default)]
pub struct Meeting(AtomicUsize);

impl Meeting {
    pub fn wait(&self) {
        let all = (self.0.fetch_add(1, Ordering::AcqRel) / THREADS + 1) * THREADS;
        let mut looks = 0_u32;
        while self.0.load(Ordering::Acquire) < all {
            looks += 1;
            if looks.is_multiple_of(4096) {
                thread::yield_now();
            } else {
                std::hint::spin_loop();
            }
        }
    }
}
