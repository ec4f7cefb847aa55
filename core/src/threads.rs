//! Threads of a guest: named, and without the host's signals.

#[cfg(not(loom))]
use std::thread::Builder;

use crate::error::Result;
#[cfg(not(loom))]
use crate::error::{Error, ErrorKind};

/// A thread of the model.
#[cfg(loom)]
#[expect(clippy::unnecessary_wraps, reason = "as the real one")]
pub(crate) fn spawn(_name: &'static str, run: impl FnOnce() + Send + 'static) -> Result<()> {
    loom::thread::spawn(run);
    Ok(())
}

/// Starts a detached thread that takes none of the host's signals. `name` is what `ps -T` and debuggers show, at most 15
/// bytes of it.
///
/// [`ErrorKind::System`] if it cannot be started; then `run` was dropped.
#[cfg(not(loom))]
pub(crate) fn spawn(name: &'static str, run: impl FnOnce() + Send + 'static) -> Result<()> {
    let quiet = move || {
        block_signals();
        run();
    };
    match Builder::new().name(name.to_owned()).spawn(quiet) {
        Ok(_detached) => Ok(()),
        Err(refused) => Err(Error::new(
            ErrorKind::System,
            "thread",
            format!("the thread {name} cannot be started: {refused}"),
        )),
    }
}

/// Keeps the host's signals off the calling thread: a guest's thread must not be the one that
/// a SIGTERM or SIGCHLD interrupts in place of the host's. Faults stay deliverable.
#[cfg(not(loom))]
fn block_signals() {
    // SAFETY: `set` is initialised by sigfillset before any other use, and every call only reads or
    // writes it, or the mask of this thread.
    unsafe {
        let mut set = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
        if libc::sigfillset(set.as_mut_ptr()) != 0 {
            return;
        }
        for fault in [libc::SIGSEGV, libc::SIGBUS, libc::SIGFPE, libc::SIGILL] {
            libc::sigdelset(set.as_mut_ptr(), fault);
        }
        libc::pthread_sigmask(libc::SIG_BLOCK, set.as_ptr(), std::ptr::null_mut());
    }
}
