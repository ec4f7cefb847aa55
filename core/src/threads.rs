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
    // It begins with the mask of the thread that starts it: so there is no moment in which it could take a signal.
    let mask = block_signals();
    let spawned = Builder::new().name(name.to_owned()).spawn(run);
    mask.inspect(restore_signals);
    match spawned {
        Ok(_detached) => Ok(()),
        Err(refused) => Err(Error::new(
            ErrorKind::System,
            "thread",
            format!("the thread {name} cannot be started: {refused}"),
        )),
    }
}

/// Keeps the host's signals off the calling thread, and what it starts: a guest's thread must not be the one that a
/// SIGTERM or SIGCHLD interrupts in place of the host's. Faults stay deliverable. The mask before, if it was changed.
#[cfg(not(loom))]
fn block_signals() -> Option<libc::sigset_t> {
    let mut set = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
    let mut before = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: `set` is initialised by sigfillset before any other use, `before` by pthread_sigmask before it is read, and
    // every call only reads or writes them, or the mask of this thread.
    unsafe {
        if libc::sigfillset(set.as_mut_ptr()) != 0 {
            return None;
        }
        for fault in [libc::SIGSEGV, libc::SIGBUS, libc::SIGFPE, libc::SIGILL] {
            libc::sigdelset(set.as_mut_ptr(), fault);
        }
        let changed =
            libc::pthread_sigmask(libc::SIG_BLOCK, set.as_ptr(), before.as_mut_ptr()) == 0;
        changed.then(|| before.assume_init())
    }
}

/// Gives the calling thread the mask back that it had.
#[cfg(not(loom))]
fn restore_signals(mask: &libc::sigset_t) {
    // SAFETY: it only reads the mask, which pthread_sigmask wrote.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, mask, std::ptr::null_mut()) };
}
