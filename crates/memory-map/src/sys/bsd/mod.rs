//! The BSDs, and other Unix systems. They have no copy that comes back short: told that nothing was copied, the
//! guard reports a lost store as not rolled back.

#[path = "../unix/advice.rs"]
mod advice;
#[path = "../futex_poll.rs"]
mod futex;
mod liveness;
#[path = "../no_futex_ring.rs"]
mod no_futex_ring;
#[path = "../no_holes.rs"]
mod no_holes;
#[path = "../no_vma.rs"]
mod no_vma;
#[path = "../unix/not_linux.rs"]
mod not_linux;
#[path = "../unix/mod.rs"]
mod unix;
#[path = "../unix/wakeup.rs"]
mod wakeup;

pub(crate) use advice::*;
pub(crate) use futex::*;
pub(crate) use liveness::*;
pub(crate) use no_futex_ring::*;
pub(crate) use no_holes::*;
pub(crate) use no_vma::*;
pub(crate) use not_linux::*;
pub use unix::*;
pub(crate) use wakeup::*;

const ENOTSUP: i32 = libc::ENOTSUP;

/// Copies nothing.
///
/// # Safety
/// None needed.
pub(crate) unsafe fn peek(_from: usize, _to: *mut u8, _length: usize) -> Option<usize> {
    None
}

/// Copies nothing.
///
/// # Safety
/// None needed.
pub(crate) unsafe fn poke(_from: *const u8, _to: usize, _length: usize) -> usize {
    0
}

/// Not on all of them.
pub(crate) const SIGNAL_TELLS_CAUSE: bool = false;

/// Whether a device number is that of `/dev/zero`: devices are numbered as they appear.
pub(crate) fn is_dev_zero(device: u64) -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/dev/zero").is_ok_and(|zero| zero.rdev() == device)
}

/// Reserves blocks for the bytes from `start` to before `end` of a file, which grows if it is shorter.
pub(crate) fn allocate(
    file: &std::fs::File,
    _size: Offset,
    start: Offset,
    end: Offset,
) -> nix::Result<()> {
    if start == end {
        return Ok(()); // posix_fallocate refuses a length of 0
    }
    nix::fcntl::posix_fallocate(file, start, end - start)
}

/// Makes a file `end` bytes long if it is shorter.
///
/// Shared memory of FreeBSD takes no bytes beyond its end (sys/kern/uipc_shm.c, `shm_write`), so its
/// length is set. Should another process do that at the same moment, the last one counts.
pub(crate) fn extend(file: &std::fs::File, end: Offset) -> nix::Result<()> {
    match super::extend_by_store(file, end) {
        Err(super::TAKES_NO_BYTES) => nix::unistd::ftruncate(file, end),
        other => other,
    }
}

/// An anonymous file: a shared memory object without a name.
#[cfg(target_os = "freebsd")]
pub(crate) fn anonymous_file(_huge: Option<usize>, _sealable: bool) -> nix::Result<std::fs::File> {
    use std::os::fd::FromRawFd;
    // SAFETY: SHM_ANON stands where a name would (shm_open(2)), which sets FD_CLOEXEC by itself.
    let fd = unsafe { libc::shm_open(libc::SHM_ANON, libc::O_RDWR, 0o600) };
    nix::errno::Errno::result(fd)?;
    // SAFETY: the system has just given us this descriptor, so no one else owns it.
    Ok(unsafe { std::fs::File::from_raw_fd(fd) })
}

/// An anonymous file.
#[cfg(not(target_os = "freebsd"))]
pub(crate) fn anonymous_file(_huge: Option<usize>, _sealable: bool) -> nix::Result<std::fs::File> {
    Err(nix::errno::Errno::ENOTSUP)
}

/// Whether the file system, or a quota, refuses a block for the bytes from `offset` on. If it gives
/// one, the file keeps it.
pub(crate) fn lacks_block(fd: std::os::fd::RawFd, offset: u64, length: u64) -> bool {
    let (Ok(start), Ok(length)) = (offset.try_into(), length.try_into()) else { return false };
    // SAFETY: the call has no pointers, and a bad descriptor is an error return.
    let error = unsafe { libc::posix_fallocate(fd, start, length) };
    [libc::ENOSPC, libc::EDQUOT].contains(&error)
}

/// Makes `file` as durable as `fsync` does.
pub(crate) fn make_durable(file: &std::fs::File) -> std::io::Result<()> {
    match file.sync_all() {
        // "not to a file" (fsync(2)): shared memory is on no disk.
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => Ok(()),
        other => other,
    }
}

/// Whether `msync` alone makes the pages durable is not known.
pub(crate) const MSYNC_IS_DURABLE: bool = false;
