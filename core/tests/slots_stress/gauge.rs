//! Counts who really holds a key, apart from what the pool says.

use std::sync::atomic::{AtomicU64, Ordering};

/// How many hold a key, and how many may at this moment, in one word, so that both are of one moment.
///
/// Who may hold: the limit, and besides it who has lost its unit and does not know yet. A holder enters after it was
/// granted and leaves before it releases, so the pool's own count is never below this one.
pub struct Gauge(AtomicU64);

const MAY: u64 = 1 << 32;

impl Gauge {
    pub const fn new(limit: u32) -> Self {
        Self(AtomicU64::new(limit as u64 * MAY))
    }

    #[track_caller]
    fn check(word: u64) {
        let (may, hold) = (word / MAY, word % MAY);
        assert!(hold <= may, "S1: {hold} hold, and {may} may");
    }

    #[track_caller]
    pub fn enter(&self) {
        Self::check(self.0.fetch_add(1, Ordering::SeqCst) + 1);
    }

    pub fn leave(&self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }

    /// So many more may, from before the pool is told.
    pub fn raise(&self, by: u32) {
        self.0.fetch_add(u64::from(by) * MAY, Ordering::SeqCst);
    }

    /// So many fewer may, once the pool has drained to that.
    #[track_caller]
    pub fn lower(&self, by: u32) {
        let by = u64::from(by) * MAY;
        Self::check(self.0.fetch_sub(by, Ordering::SeqCst) - by);
    }

    /// How many hold.
    pub fn hold(&self) -> u64 {
        self.0.load(Ordering::SeqCst) % MAY
    }
}
