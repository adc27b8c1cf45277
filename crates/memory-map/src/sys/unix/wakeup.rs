//! What the handler wakes the notifier with: a pipe, for macOS has no unnamed semaphores.

use std::io::{ErrorKind, Read};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::OnceLock;
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

static WAKEUP: OnceLock<(std::fs::File, OwnedFd)> = OnceLock::new();

/// Makes the wake-up, before anything else is done with it.
pub(crate) fn create_wakeup() -> Result<(), i32> {
    let make = || {
        let (read, write) = nix::unistd::pipe()?;
        fcntl(&read, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
        fcntl(&write, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
        // A full pipe has woken the notifier: the handler must not wait for room.
        fcntl(&write, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        Ok((read.into(), write))
    };
    let wakeup = make().map_err(|error: nix::Error| error as i32)?;
    WAKEUP.get_or_init(|| wakeup);
    Ok(())
}

/// Wakes the notifier. *handler* (write is async-signal-safe by POSIX)
pub(crate) fn send_wakeup() {
    if let Some((_, write)) = WAKEUP.get() {
        let byte = 1u8;
        // SAFETY: one byte is readable at `byte`; a full pipe is an error return.
        unsafe { libc::write(write.as_raw_fd(), (&raw const byte).cast(), 1) };
    }
}

/// Waits for `send_wakeup`, for `limit` at most; whether it came. `Err` where it cannot be waited for.
pub(crate) fn wait_for_wakeup(limit: Duration) -> Result<bool, i32> {
    let Some((mut read, _)) = WAKEUP.get().map(|(read, write)| (read, write)) else {
        return Err(libc::EBADF);
    };
    let mut bytes = [0; 64];
    loop {
        let mut waiting = [PollFd::new(read.as_fd(), PollFlags::POLLIN)];
        match poll(&mut waiting, PollTimeout::try_from(limit).unwrap_or(PollTimeout::MAX)) {
            Ok(0) => return Ok(false),
            Ok(_) => {}
            Err(Errno::EINTR) => continue,
            Err(errno) => return Err(errno as i32),
        }
        match read.read(&mut bytes) {
            Ok(0) => return Err(libc::EPIPE),
            Ok(_) => return Ok(true),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            // The next read would fail at once, too.
            Err(error) => return Err(error.raw_os_error().unwrap_or(libc::EIO)),
        }
    }
}
