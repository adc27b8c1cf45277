//! Which participants are alive: by locks of an open file description on bytes that no file has.
//!
//! "Open file description locks [...] are only automatically released on the last close of the
//! open file description" (fcntl_locking(2)), which the kernel does for a process that ends in
//! whatever way, before its parent is told. They are advisory, and lie at 2^61 and beyond, where
//! they meet no lock but one of the whole file.

use std::fs::{File, OpenOptions};
use std::os::fd::AsRawFd;
use std::path::PathBuf;

use crate::error::{Error, Result};

const FIRST: i64 = 1 << 61;

#[allow(clippy::unnecessary_cast)] // the constants' types differ from OS to OS
const LOCKED: i16 = libc::F_WRLCK as i16;
#[allow(clippy::unnecessary_cast)] // as above
const UNLOCKED: i16 = libc::F_UNLCK as i16;

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

    /// Takes a number; `false` if another process has it.
    pub fn claim(&self, number: u64) -> Result<bool> {
        match self.control(libc::F_OFD_SETLK, LOCKED, number) {
            Ok(_) => Ok(true),
            Err(libc::EAGAIN | libc::EACCES) => Ok(false),
            Err(errno) => Err(Error::os_because(
                errno,
                "fcntl",
                "this file's file system has no open file description locks",
            )),
        }
    }

    /// Gives a number back.
    pub fn disclaim(&self, number: u64) {
        // It fails only for arguments that `claim` would not have taken.
        let _ = self.control(libc::F_OFD_SETLK, UNLOCKED, number);
    }

    /// Whether another description has the number. If that cannot be asked it counts as taken:
    /// better to wait for a dead owner than to have two.
    pub fn is_claimed(&self, number: u64) -> bool {
        let kind = self.control(libc::F_OFD_GETLK, LOCKED, number);
        kind != Ok(UNLOCKED)
    }

    fn control(
        &self,
        command: libc::c_int,
        kind: i16,
        number: u64,
    ) -> std::result::Result<i16, i32> {
        // SAFETY: all-zero bytes are a valid `flock64`.
        let mut lock: Lock = unsafe { std::mem::zeroed() };
        lock.l_type = kind;
        lock.l_whence = libc::SEEK_SET as i16;
        lock.l_start = FIRST + number as i64;
        lock.l_len = 1;
        loop {
            // SAFETY: the three commands take a pointer to such a structure, which outlives the
            // call; the descriptor is ours.
            let status = unsafe { control(self.0.as_raw_fd(), command, &raw mut lock) };
            if status == 0 {
                return Ok(lock.l_type);
            }
            match super::errno() {
                libc::EINTR => {}
                errno => return Err(errno),
            }
        }
    }
}

#[cfg(not(all(any(target_os = "linux", target_os = "android"), not(target_env = "musl"))))]
use libc::flock as Lock;
#[cfg(all(any(target_os = "linux", target_os = "android"), not(target_env = "musl")))]
use libc::flock64 as Lock;

/// fcntl(2) with a lock whose offsets have 64 bits.
///
/// # Safety
/// As for fcntl(2).
unsafe fn control(fd: i32, command: libc::c_int, lock: *mut Lock) -> libc::c_int {
    // The `fcntl` of a 32-bit glibc takes a shorter structure since 2.28, the kernel never.
    #[cfg(all(target_os = "linux", target_pointer_width = "32"))]
    // SAFETY: the caller vouches for the arguments.
    let status = unsafe { libc::syscall(libc::SYS_fcntl64, fd, command, lock) };
    #[cfg(not(all(target_os = "linux", target_pointer_width = "32")))]
    // SAFETY: as above.
    let status = unsafe { libc::fcntl(fd, command, lock) };
    status
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn path_of(file: &File) -> Result<PathBuf> {
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
