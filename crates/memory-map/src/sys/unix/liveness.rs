//! Which participants are alive: by open file description locks on bytes that no file has.
//!
//! They lie at 2^61 and beyond. The only other locks there are those on a whole file, and at 2^62 those of the users of
//! named memory.

use std::fs::{File, OpenOptions};
use std::path::PathBuf;

use super::byte_lock::{self, ByteLock};
use crate::error::{Error, Result};

const FIRST: i64 = 1 << 61;

/// An open file description that no one else has a descriptor of.
pub(crate) struct Liveness(File);

impl Liveness {
    /// Opens `file` again: its descriptors may be shared with child processes, and then its locks
    /// are too.
    pub fn of(file: &File) -> Result<Self> {
        let path = path_of(file)?;
        let file = OpenOptions::new().read(true).write(true).open(path);
        file.map(Self).map_err(|error| {
            let errno = error.raw_os_error().unwrap_or(libc::EINVAL);
            Error::os_because(errno, "open", "the file must be opened again to hold locks on it")
        })
    }

    /// Takes a number; `false` if another description has it.
    pub fn claim(&self, number: u64) -> Result<bool> {
        byte_lock::take(&self.0, Self::place(number), ByteLock::Exclusive).map_err(|errno| {
            let detail = "this file's file system has no open file description locks";
            Error::os_because(errno, "fcntl", detail)
        })
    }

    /// Gives a number back.
    pub fn disclaim(&self, number: u64) {
        // It fails only where `claim` would have failed.
        let _ = byte_lock::take(&self.0, Self::place(number), ByteLock::None);
    }

    /// Whether another description has the number. If that cannot be asked it counts as taken:
    /// better to wait for a dead owner than to have two.
    pub fn is_claimed(&self, number: u64) -> bool {
        byte_lock::of_others(&self.0, Self::place(number)) != Ok(ByteLock::None)
    }

    fn place(number: u64) -> i64 {
        FIRST + number as i64
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn path_of(file: &File) -> Result<PathBuf> {
    use std::os::fd::AsRawFd;
    Ok(PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd())))
}

#[cfg(target_vendor = "apple")]
fn path_of(file: &File) -> Result<PathBuf> {
    let mut path = PathBuf::new();
    nix::fcntl::fcntl(file, nix::fcntl::FcntlArg::F_GETPATH(&mut path)).map_err(|_| {
        Error::Unsupported("on macOS a mutex or a channel must be in a file that has a path")
    })?;
    Ok(path)
}
