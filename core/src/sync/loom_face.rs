//! parking_lot's shape over loom's locks.

use std::time::Instant;

pub(crate) type MutexGuard<'a, T> = loom::sync::MutexGuard<'a, T>;

/// A mutex without poisoning.
pub(crate) struct Mutex<T>(loom::sync::Mutex<T>);

impl<T> Mutex<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(loom::sync::Mutex::new(value))
    }
    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().expect("a model never poisons a lock")
    }
    pub(crate) fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        self.0.try_lock().ok()
    }
}

impl<T: Default> Default for Mutex<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

/// A condition variable over [`Mutex`]. Time stands still in a model: no wait times out.
pub(crate) struct Condvar(loom::sync::Condvar);

/// Whether a timed wait ended because time was up.
pub(crate) struct WaitTimeoutResult;

impl WaitTimeoutResult {
    pub(crate) fn timed_out(&self) -> bool {
        false
    }
}

impl Condvar {
    pub(crate) fn new() -> Self {
        Self(loom::sync::Condvar::new())
    }
    pub(crate) fn notify_one(&self) {
        self.0.notify_one();
    }
    pub(crate) fn notify_all(&self) {
        self.0.notify_all();
    }
    pub(crate) fn wait<T>(&self, guard: &mut MutexGuard<'_, T>) {
        // loom's `wait` takes the guard by value; move it out and back in.
        // SAFETY: `guard` is read once and written once; loom's `wait` does not unwind between
        // the two other than by failing the whole model.
        unsafe {
            let owned = std::ptr::read(guard);
            let owned = self.0.wait(owned).expect("a model never poisons a lock");
            std::ptr::write(guard, owned);
        }
    }
    pub(crate) fn wait_until<T>(
        &self,
        guard: &mut MutexGuard<'_, T>,
        _deadline: Instant,
    ) -> WaitTimeoutResult {
        self.wait(guard);
        WaitTimeoutResult
    }
}
