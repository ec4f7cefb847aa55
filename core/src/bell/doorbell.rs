//! The descriptor of a bell: an eventfd where there is one, else a pipe.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

use crate::error::{Error, ErrorKind, Result};

/// A level-triggered, non-blocking, close-on-exec descriptor that can be made readable and cleared.
pub(super) struct Doorbell {
    read: File,
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    write: File,
}

fn failed() -> Error {
    Error::new(
        ErrorKind::System,
        "bell",
        format!(
            "no descriptor for the bell: {}",
            std::io::Error::last_os_error()
        ),
    )
}

impl Doorbell {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    pub(super) fn new() -> Result<Self> {
        // SAFETY: no pointers are passed.
        let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
        if fd < 0 {
            return Err(failed());
        }
        // SAFETY: `fd` is open, and nobody else owns it.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        Ok(Self {
            read: File::from(fd),
        })
    }

    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    pub(super) fn new() -> Result<Self> {
        let mut ends = [0; 2];
        // SAFETY: `ends` has room for the two descriptors.
        if unsafe { libc::pipe(ends.as_mut_ptr()) } < 0 {
            return Err(failed());
        }
        for fd in ends {
            // SAFETY: `fd` is open; fcntl with these commands takes no pointers.
            let refused = unsafe {
                libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) < 0
                    || libc::fcntl(fd, libc::F_SETFL, libc::O_NONBLOCK) < 0
            };
            if refused {
                let error = failed();
                // SAFETY: both are open and ours.
                unsafe { (libc::close(ends[0]), libc::close(ends[1])) };
                return Err(error);
            }
        }
        // SAFETY: both are open, and nobody else owns them.
        let (read, write) =
            unsafe { (OwnedFd::from_raw_fd(ends[0]), OwnedFd::from_raw_fd(ends[1])) };
        Ok(Self {
            read: File::from(read),
            write: File::from(write),
        })
    }

    #[cfg(any(target_os = "linux", target_os = "android"))]
    fn writer(&self) -> &File {
        &self.read
    }

    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    fn writer(&self) -> &File {
        &self.write
    }

    /// Makes the descriptor readable. A full counter or pipe (EAGAIN) is readable already.
    pub(super) fn raise(&self) {
        let mut writer = self.writer();
        let _ = writer.write(&1_u64.to_ne_bytes());
    }

    /// Makes it unreadable until the next raise. An eventfd is cleared by one read of 8 bytes.
    pub(super) fn clear(&self) {
        let mut sink = [0_u8; 256];
        while let Ok(n) = (&self.read).read(&mut sink) {
            if n < sink.len() {
                break;
            }
        }
    }

    pub(super) fn fd(&self) -> RawFd {
        self.read.as_raw_fd()
    }
}
