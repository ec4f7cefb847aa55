//! The one bell of an environment, and what rings it in JavaScript.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use napi::bindgen_prelude::Function;
use napi::threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode};
use napi::{Either, Status};
use napi_derive::napi;
use reqbus_core::Bell;
use reqbus_core::bell::Drive;

use crate::{expected, young};

/// Weak: it keeps no process alive. One place in its queue: a call that finds it taken has been made already.
type Call = ThreadsafeFunction<(), (), (), Status, false, true, 1>;

/// How many tokens are taken at once.
const MANY: usize = 128;

thread_local! {
    /// The bell of this thread's environment.
    static BELL: RefCell<Option<Bell>> = const { RefCell::new(None) };
    /// Tokens that became ready within a call of this thread, which drains before it returns.
    static READY: RefCell<Vec<u64>> = const { RefCell::new(Vec::new()) };
}

/// This thread serves its bell by itself: what it makes ready there needs no function, and is taken at the end.
struct Serving<'bell>(&'bell Bell);

impl Drop for Serving<'_> {
    fn drop(&mut self) {
        let mut tokens = [0; MANY];
        let taken = self.0.leave(&mut tokens);
        if taken > 0 {
            READY.with_borrow_mut(|ready| ready.extend(tokens.iter().take(taken)));
        }
    }
}

/// Runs a call that may ring. Whether something became ready for this thread: then the caller drains before it returns.
pub fn ringing<R>(run: impl FnOnce() -> R) -> (R, bool) {
    // A clone: what `run` drops may be an environment's last.
    let bell = BELL.with_borrow(Clone::clone);
    let Some(bell) = bell else {
        return (run(), false);
    };
    bell.enter();
    let serving = Serving(&bell);
    let answer = run();
    drop(serving);
    (answer, READY.with_borrow(|ready| !ready.is_empty()))
}

/// Calls with the bell of this thread's environment, if there is one.
pub fn serving_bell<R>(run: impl FnOnce(&Bell) -> R) -> Option<R> {
    BELL.with_borrow(|bell| bell.as_ref().map(run))
}

/// What the bell wakes, from other threads.
struct Ringer {
    call: Call,
    /// A call is on its way, and the bell has nobody to wake until it is armed anew.
    called: Arc<AtomicBool>,
}

impl Wake for Ringer {
    fn wake(self: Arc<Self>) {
        self.called.store(true, Ordering::Release);
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
    is_armed: Cell<bool>,
    /// Kept and never polled: it says that whoever reads looks again by itself before it sleeps, so that a read needs not
    /// ring for what it leaves.
    _drive: Drive,
}

impl Drop for NativeLoop {
    fn drop(&mut self) {
        BELL.set(None);
        expected::clear();
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
        let called: Arc<AtomicBool> = Arc::default();
        let ringer = Ringer {
            call,
            called: called.clone(),
        };
        let bell = Bell::new();
        BELL.set(Some(bell.clone()));
        let this = Self {
            waker: Waker::from(Arc::new(ringer)),
            called,
            is_armed: Cell::new(false),
            _drive: bell.drive(),
            bell,
        };
        this.arm();
        Ok(this)
    }

    /// Takes all tokens that are ready: none, one, or a list. From then on the next ring of another thread is told.
    ///
    /// In place of the token of a wait that a promise stands for, the list has two numbers: -1 and the wait's below 0, and
    /// what is new of it ([`expected`]).
    #[napi]
    pub fn take(&self) -> Option<Either<f64, Vec<f64>>> {
        if self.called.swap(false, Ordering::Acquire) {
            self.is_armed.set(false);
        }
        let mut told = Vec::new();
        loop {
            let mut ready = READY.take();
            self.take_into(&mut ready);
            for &token in &ready {
                match expected::of_token(token) {
                    None => told.push(token as f64),
                    // A look may be another's grant.
                    Some(at) => {
                        if let Some(step) = ringing(|| expected::look(at)).0 {
                            told.extend([-1.0 - f64::from(at), step]);
                        }
                    }
                }
            }
            let is_quiet = READY.with_borrow(Vec::is_empty);
            if is_quiet && (self.is_armed.get() || self.arm()) {
                break;
            }
        }
        match told.as_slice() {
            [] => None,
            [token] => Some(Either::A(*token)),
            _ => Some(Either::B(told)),
        }
    }

    fn take_into(&self, ready: &mut Vec<u64>) {
        // Nothing is there after a call of this thread's own took it.
        while self.bell.has_ready() || !self.is_armed.get() {
            let mut tokens = [0; MANY];
            let taken = self.bell.take(&mut tokens);
            ready.extend(tokens.iter().take(taken));
            if taken < MANY {
                return;
            }
        }
    }

    /// How often the bell called, from other threads.
    #[napi]
    pub fn raises(&self) -> f64 {
        self.bell.raises() as f64
    }

    /// Whether there is nothing ready and the next ring will be heard.
    fn arm(&self) -> bool {
        let ready = pin!(self.bell.ready());
        let is_armed = ready.poll(&mut Context::from_waker(&self.waker)) == Poll::Pending;
        self.is_armed.set(is_armed);
        is_armed
    }
}
