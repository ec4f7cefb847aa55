//! parking_lot's shape over loom's locks, and cells that are set once.

use std::sync::OnceLock;
use std::time::Instant;

use loom::sync::atomic::{AtomicBool, Ordering};

pub(crate) type MutexGuard<'a, T> = loom::sync::MutexGuard<'a, T>;

/// std's macro over loom's, which knows no `const`.
macro_rules! local_key {
    ($(#[$attr:meta])* static $name:ident: $t:ty = const { $init:expr };) => {
        loom::thread_local! { $(#[$attr])* static $name: $t = $init; }
    };
}
pub(crate) use local_key;

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

/// A cell that is set once. The standard ones block in the kernel while another thread fills them, which
/// would stop the whole model, and order nothing that loom knows of.
pub(crate) struct OnceCell<T> {
    set: AtomicBool,
    filling: Mutex<()>,
    value: OnceLock<T>,
}

impl<T> OnceCell<T> {
    pub(crate) fn new() -> Self {
        Self {
            set: AtomicBool::new(false),
            filling: Mutex::new(()),
            value: OnceLock::new(),
        }
    }
    pub(crate) fn get(&self) -> Option<&T> {
        // Acquire and Release, as the real cells have it.
        let set = self.set.load(Ordering::Acquire);
        if set { self.value.get() } else { None }
    }
    pub(crate) fn set(&self, value: T) -> Result<(), T> {
        let _filling = self.filling.lock();
        self.value.set(value)?;
        self.set.store(true, Ordering::Release);
        Ok(())
    }
    pub(crate) fn get_or_try_init<E>(&self, make: impl FnOnce() -> Result<T, E>) -> Result<&T, E> {
        if self.get().is_none() {
            let _filling = self.filling.lock();
            if self.get().is_none() {
                let _ = self.value.set(make()?);
                self.set.store(true, Ordering::Release);
            }
        }
        Ok(self.value.get().expect("set above, or by another"))
    }
    pub(crate) fn get_or_init(&self, make: impl FnOnce() -> T) -> &T {
        let made = self.get_or_try_init(|| Ok::<T, std::convert::Infallible>(make()));
        match made {
            Ok(value) => value,
            Err(never) => match never {},
        }
    }
}

impl<T> Default for OnceCell<T> {
    fn default() -> Self {
        Self::new()
    }
}

/// Runs a model: every schedule with at most `preemptions`, or `LOOM_MAX_PREEMPTIONS` if that is more.
#[cfg(test)]
pub(crate) fn check(preemptions: usize, model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = builder.preemption_bound.max(Some(preemptions));
    builder.max_branches = 10_000;
    let runs = std::sync::Arc::new(std::sync::atomic::AtomicU64::new(0));
    let count = runs.clone();
    let begun = Instant::now();
    builder.check(move || {
        count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        model();
    });
    let runs = runs.load(std::sync::atomic::Ordering::Relaxed);
    println!("{runs} executions in {:?}", begun.elapsed());
}
