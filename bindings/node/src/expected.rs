//! Waits for slots that a promise stands for: JavaScript has only their number.
//!
//! What stands between a release and the next grant is paid by everybody in the queue. So a ring looks at these waits on
//! this side (`NativeLoop::take`), and JavaScript gets a number for each that has something new.

use std::cell::RefCell;

use napi_derive::napi;
use reqbus_core::slots::{Refusal, Step, Wait};
use reqbus_core::{Bell, Error, ErrorKind};

use crate::failure::OrThrow;
use crate::looping::{ringing, serving_bell};
use crate::refusal::NativeRefusal;
use crate::wait::NativeWait;
use crate::young;

/// Tokens of these waits: this, and the number. Others are far below.
const BASE: u64 = 1 << 40;
/// A ping is due. Nothing is looked at until the next look of JavaScript's own, which says that it was written.
const PING: f64 = -1.0;
/// It has ended: [`refusal_of_wait`] says why. Any other step is the number of its slot.
const ENDED: f64 = -2.0;

enum Expected {
    Waiting(Wait),
    Pinging(Wait),
    Ended(Refusal),
}

/// Waits by number.
#[derive(Default)]
struct All {
    waits: Vec<Option<Expected>>,
    free: Vec<u32>,
}

thread_local! {
    /// Those of this thread's environment.
    static ALL: RefCell<All> = RefCell::default();
}

/// Takes one out, whose number stays its own.
fn take(at: u32) -> Option<Expected> {
    ALL.with_borrow_mut(|all| all.waits.get_mut(at as usize)?.take())
}

fn put(at: u32, expected: Expected) {
    ALL.with_borrow_mut(|all| {
        if let Some(place) = all.waits.get_mut(at as usize) {
            *place = Some(expected);
        }
    });
}

/// Its number is another's from now on.
fn forget(at: u32) {
    ALL.with_borrow_mut(|all| all.free.push(at));
}

/// Keeps a wait, which rings from now on, and at once. Its number.
pub fn expect(wait: Wait) -> napi::Result<u32> {
    let at = ALL.with_borrow_mut(|all| {
        all.free.pop().unwrap_or_else(|| {
            all.waits.push(None);
            // As many waits do not fit into memory.
            u32::try_from(all.waits.len() - 1).unwrap_or(u32::MAX)
        })
    });
    let attach = |bell: &Bell| wait.attach(bell, BASE + u64::from(at));
    let attached = ringing(|| serving_bell(attach)).0;
    attached.unwrap_or(Ok(())).or_throw()?;
    put(at, Expected::Waiting(wait));
    Ok(at)
}

/// The number of a wait, by its token.
pub fn of_token(token: u64) -> Option<u32> {
    u32::try_from(token.checked_sub(BASE)?).ok()
}

/// What is new of a wait.
pub fn look(at: u32) -> Option<f64> {
    let expected = take(at)?;
    let Expected::Waiting(wait) = expected else {
        put(at, expected);
        return None;
    };
    match wait.try_next() {
        None => {
            put(at, Expected::Waiting(wait));
            None
        }
        Some(Step::Ping) => {
            put(at, Expected::Pinging(wait));
            Some(PING)
        }
        Some(Step::Granted(slot)) => {
            forget(at);
            Some(f64::from(young::keep(slot)))
        }
        Some(Step::Ended(refusal)) => {
            put(at, Expected::Ended(refusal));
            Some(ENDED)
        }
    }
}

/// Gives all up: their environment ends.
pub fn clear() {
    // Out first: the end of one may be the grant of another.
    drop(ALL.take());
}

/// The wait of a handle, as a number.
#[napi]
pub fn expect_wait(wait: &mut NativeWait) -> napi::Result<u32> {
    let gone = || Error::closed("wait");
    expect(wait.take().ok_or_else(gone).or_throw()?)
}

/// What is new of a wait whose ping was written; `null` for nothing.
#[napi]
pub fn next_of_wait(at: u32) -> Option<f64> {
    match take(at)? {
        Expected::Pinging(wait) => put(at, Expected::Waiting(wait)),
        other => put(at, other),
    }
    ringing(|| look(at)).0
}

/// Gives up, with the host's reason.
#[napi]
pub fn cancel_wait(at: u32, cause: Option<String>) {
    let cause = cause.map(|cause| Error::new(ErrorKind::System, "host", cause));
    let Some(expected) = take(at) else { return };
    if let Expected::Waiting(wait) | Expected::Pinging(wait) = &expected {
        ringing(|| wait.cancel(cause));
    }
    put(at, expected);
}

/// Why a wait has ended; its number is another's from now on.
#[napi]
pub fn refusal_of_wait(at: u32) -> Option<NativeRefusal> {
    match take(at)? {
        Expected::Ended(refusal) => {
            forget(at);
            Some(NativeRefusal::of(&refusal))
        }
        other => {
            put(at, other);
            None
        }
    }
}
