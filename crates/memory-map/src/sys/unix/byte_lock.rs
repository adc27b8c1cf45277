//! Open file description locks on single bytes, which need not be in the file.
//!
//! "Open file description locks [...] are only automatically released on the last close of the
//! open file description" (fcntl_locking(2)), which the kernel does for a process that ends in
//! whatever way, before its parent is told. They are advisory.

use std::fs::File;
use std::os::fd::AsRawFd;

/// How a byte is locked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ByteLock {
    None,
    /// By any number of descriptions, which must be open for reading.
    #[cfg_attr(any(target_vendor = "apple", target_os = "android"), allow(dead_code))]
    Shared,
    /// By one alone, which must be open for writing.
    Exclusive,
}

#[allow(clippy::unnecessary_cast)] // the constants' types differ from OS to OS
const KINDS: [(ByteLock, i16); 3] = [
    (ByteLock::None, libc::F_UNLCK as i16),
    (ByteLock::Shared, libc::F_RDLCK as i16),
    (ByteLock::Exclusive, libc::F_WRLCK as i16),
];

/// Locks the byte at `at`, or gives it back, without waiting; `false` if another description has a lock
/// that forbids it. `Err` holds the error number.
pub(crate) fn take(file: &File, at: i64, lock: ByteLock) -> Result<bool, i32> {
    match control(file, libc::F_OFD_SETLK, at, lock) {
        Ok(_) => Ok(true),
        Err(libc::EAGAIN | libc::EACCES) => Ok(false),
        Err(errno) => Err(errno),
    }
}

/// How other descriptions have locked the byte at `at`. `Err` holds the error number.
pub(crate) fn of_others(file: &File, at: i64) -> Result<ByteLock, i32> {
    let kind = control(file, libc::F_OFD_GETLK, at, ByteLock::Exclusive)?;
    let known = KINDS.iter().find(|(_, number)| *number == kind);
    Ok(known.map_or(ByteLock::Exclusive, |(lock, _)| *lock))
}

fn control(file: &File, command: libc::c_int, at: i64, lock: ByteLock) -> Result<i16, i32> {
    let kind = KINDS.iter().find(|(each, _)| *each == lock).map_or(0, |(_, number)| *number);
    // SAFETY: all-zero bytes are a valid `Lock`.
    let mut lock: Lock = unsafe { std::mem::zeroed() };
    lock.l_type = kind;
    lock.l_whence = libc::SEEK_SET as i16;
    lock.l_start = at;
    lock.l_len = 1;
    loop {
        // SAFETY: the two commands take a pointer to such a structure, which outlives the call;
        // the descriptor is that of an open file.
        let status = unsafe { raw(file.as_raw_fd(), command, &raw mut lock) };
        if status == 0 {
            return Ok(lock.l_type);
        }
        match super::errno() {
            libc::EINTR => {}
            errno => return Err(errno),
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
unsafe fn raw(fd: i32, command: libc::c_int, lock: *mut Lock) -> libc::c_int {
    // Since 2.28 the `fcntl` of a 32-bit glibc takes a shorter structure; the kernel takes the long one.
    #[cfg(all(any(target_os = "linux", target_os = "android"), target_pointer_width = "32"))]
    // SAFETY: the caller vouches for the arguments.
    let status = unsafe { libc::syscall(libc::SYS_fcntl64, fd, command, lock) };
    #[cfg(not(all(any(target_os = "linux", target_os = "android"), target_pointer_width = "32")))]
    // SAFETY: as above.
    let status = unsafe { libc::fcntl(fd, command, lock) };
    status
}
