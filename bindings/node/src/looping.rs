//! The one bell of an environment, and what rings it in JavaScript.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::ThreadId;

use napi::Status;
use napi::bindgen_prelude::Function;
use napi::threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode};
use napi_derive::napi;
use reqbus_core::Bell;

use crate::young;

/// Weak: it keeps no process alive. One place in its queue: a call that finds it taken has been made already.
type Call = ThreadsafeFunction<(), (), (), Status, false, true, 1>;

thread_local! {
    /// How deep in calls of JavaScript that drain before they return this thread is.
    static DEPTH: Cell<u32> = const { Cell::new(0) };
    /// The bell rang within such a call.
    static MARKED: Cell<bool> = const { Cell::new(false) };
    /// Of this thread's ringer: a call to its loop is on its way.
    static CALLED: RefCell<Arc<AtomicBool>> = RefCell::default();
}

/// Runs a call that may ring. Whether it rang this thread's own bell: then the caller drains before it returns.
///
/// A bell that has rung already does not ring again until it is drained; so a call that is on its way to the loop counts
/// too. That one may come late, or, where nothing else keeps the loop alive, never.
pub fn ringing<R>(run: impl FnOnce() -> R) -> (R, bool) {
    DEPTH.set(DEPTH.get() + 1);
    let answer = run();
    DEPTH.set(DEPTH.get() - 1);
    // Relaxed: what this thread itself pushed, it finds; what others push, their own call tells.
    let is_called = CALLED.with_borrow(|called| called.load(Ordering::Relaxed));
    (answer, MARKED.take() || is_called)
}

/// What the bell wakes.
struct Ringer {
    call: Call,
    thread: ThreadId,
    /// A call is on its way.
    called: Arc<AtomicBool>,
}

impl Wake for Ringer {
    fn wake(self: Arc<Self>) {
        if DEPTH.get() > 0 && std::thread::current().id() == self.thread {
            MARKED.set(true);
            return;
        }
        self.called.store(true, Ordering::Relaxed);
        // A full queue holds a call that has yet to drain; a closing environment needs none.
        let _ = self.call.call((), ThreadsafeFunctionCallMode::NonBlocking);
    }
}

/// One per environment: the main thread and each worker have their own.
#[napi]
pub struct NativeLoop {
    bell: Bell,
    waker: Waker,
    called: Arc<AtomicBool>,
}

impl Drop for NativeLoop {
    fn drop(&mut self) {
        young::clear();
    }
}

impl NativeLoop {
    pub(crate) fn bell(&self) -> &Bell {
        &self.bell
    }
}

#[napi]
impl NativeLoop {
    /// `drain` is called, on this thread's loop, when something became ready elsewhere.
    #[napi(constructor)]
    pub fn new(drain: Function<'_, (), ()>) -> napi::Result<Self> {
        let call = drain
            .build_threadsafe_function::<()>()
            .callee_handled::<false>()
            .weak::<true>()
            .max_queue_size::<1>()
            .build()?;
        let thread = std::thread::current().id();
        let called: Arc<AtomicBool> = Arc::default();
        CALLED.set(called.clone());
        let ringer = Ringer {
            call,
            thread,
            called: called.clone(),
        };
        let this = Self {
            bell: Bell::new(),
            waker: Waker::from(Arc::new(ringer)),
            called,
        };
        this.arm();
        Ok(this)
    }

    /// Takes the tokens that are ready; an empty list when there is none, and from then on the next ring is told.
    #[napi]
    pub fn take(&self) -> Vec<f64> {
        let mut tokens = [0; 64];
        self.called.store(false, Ordering::Relaxed);
        loop {
            let taken = self.bell.take(&mut tokens);
            if taken > 0 {
                let tokens = tokens.get(..taken).unwrap_or_default();
                return tokens.iter().map(|&token| token as f64).collect();
            }
            if self.arm() {
                return Vec::new();
            }
        }
    }

    /// How often the bell rang, and so called at most.
    #[napi]
    pub fn raises(&self) -> f64 {
        self.bell.raises() as f64
    }

    /// Whether there is nothing ready and the next ring will be heard.
    fn arm(&self) -> bool {
        let ready = pin!(self.bell.ready());
        ready.poll(&mut Context::from_waker(&self.waker)) == Poll::Pending
    }
}
