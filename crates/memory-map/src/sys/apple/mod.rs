//! macOS and its kin: copies that come back short instead of faulting, by the Mach calls on
//! one's own task. (`mach_vm_read_overwrite`, `mach_vm_write`: XNU, osfmk/vm/vm_user.c)

#[path = "../unix/advice.rs"]
mod advice;
#[path = "../unix/byte_lock.rs"]
mod byte_lock;
mod futex;
#[path = "../unix/liveness.rs"]
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

use libc::{mach_vm_address_t, mach_vm_size_t};

unsafe extern "C" {
    static mach_task_self_: libc::mach_port_t;
    fn mach_vm_read_overwrite(
        task: libc::mach_port_t,
        address: mach_vm_address_t,
        size: mach_vm_size_t,
        data: mach_vm_address_t,
        out: *mut mach_vm_size_t,
    ) -> libc::kern_return_t;
    fn mach_vm_write(
        task: libc::mach_port_t,
        address: mach_vm_address_t,
        data: usize,
        count: u32,
    ) -> libc::kern_return_t;
}

/// Copies `length` bytes at `from`, which may fault, into memory of ours; says how many arrived.
/// *handler*
///
/// # Safety
/// `to` must be writable for `length` bytes.
pub(crate) unsafe fn peek(from: usize, to: *mut u8, length: usize) -> Option<usize> {
    // SAFETY: the caller vouches for `to`.
    if unsafe { read_across(from, to, length) } {
        return Some(length);
    }
    // One page that cannot be read fails the whole call, so what precedes it is read page by page.
    let page = super::page_size();
    let mut copied = 0;
    while copied < length {
        let part = (page - (from + copied) % page).min(length - copied);
        // SAFETY: `copied` is less than `length`, for which the caller vouches.
        let to = unsafe { to.add(copied) };
        // SAFETY: as above, and `part` is at most what is left.
        if !unsafe { read_across(from + copied, to, part) } {
            break;
        }
        copied += part;
    }
    Some(copied)
}

/// Copies all of `length` bytes at `from`; whether that was possible.
///
/// # Safety
/// `to` must be writable for `length` bytes.
unsafe fn read_across(from: usize, to: *mut u8, length: usize) -> bool {
    let mut copied: mach_vm_size_t = 0;
    // SAFETY: reading the port of one's own task, which libSystem sets before main.
    let task = unsafe { mach_task_self_ };
    // SAFETY: the kernel checks both ranges; the caller vouches for `to`.
    let status = unsafe {
        mach_vm_read_overwrite(task, from as u64, length as u64, to as u64, &raw mut copied)
    };
    status == 0 && copied == length as u64
}

/// Copies `length` bytes of ours to `to`, which may fault; says how many arrived.
///
/// # Safety
/// `from` must be readable for `length` bytes, and `to` lie in a region whose lock is held.
pub(crate) unsafe fn poke(from: *const u8, to: usize, length: usize) -> usize {
    let Ok(count) = u32::try_from(length) else { return 0 };
    // SAFETY: reading the port of one's own task, which libSystem sets before main.
    let task = unsafe { mach_task_self_ };
    // SAFETY: as in `peek`, with the roles changed.
    let status = unsafe { mach_vm_write(task, to as u64, from as usize, count) };
    if status == 0 { length } else { 0 }
}

/// macOS sends SIGBUS for a forbidden access too.
pub(crate) const SIGNAL_TELLS_CAUSE: bool = false;

/// Whether a device number is that of `/dev/zero`: major 3, minor 3 (XNU, bsd/dev/memdev.c).
pub(crate) fn is_dev_zero(device: u64) -> bool {
    device >> 24 & 0xff == 3 && device & 0x00ff_ffff == 3
}

/// Reserves blocks for the bytes from `start` to before `end` of a file that has `size` bytes.
///
/// fcntl(2) F_PREALLOCATE counts from the end of what the file has on disk, so it serves for
/// what the file is about to grow by, before it does. Holes before that cannot be filled. Shared
/// memory is on no disk, and nothing can be reserved for it.
pub(crate) fn allocate(
    file: &std::fs::File,
    size: Offset,
    start: Offset,
    end: Offset,
) -> nix::Result<()> {
    use nix::errno::Errno;
    use std::os::fd::AsRawFd;
    use std::os::unix::fs::MetadataExt;
    const BLOCK: u64 = 512; // what stat(2) counts st_blocks in
    let metadata = super::metadata(file)?;
    let allocated = metadata.blocks().saturating_mul(BLOCK);
    if is_shared_memory(&metadata) || start < size && allocated < size.unsigned_abs() {
        return Err(Errno::ENOTSUP);
    }
    if end <= size {
        return Ok(());
    }
    let mut request = libc::fstore_t {
        fst_flags: libc::F_ALLOCATEALL,
        fst_posmode: libc::F_PEOFPOSMODE,
        fst_offset: 0,
        fst_length: end - size,
        fst_bytesalloc: 0,
    };
    // SAFETY: F_PREALLOCATE takes one `fstore_t`, which is valid here.
    let status = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_PREALLOCATE, &raw mut request) };
    Errno::result(status).map(drop)
}

/// Makes a file `end` bytes long if it is shorter.
///
/// Shared memory can be neither read nor written by calls, and gets its length once (XNU,
/// bsd/kern/posix_shm.c).
pub(crate) fn extend(file: &std::fs::File, end: Offset) -> nix::Result<()> {
    let metadata = super::metadata(file)?;
    match metadata.len() {
        _ if !is_shared_memory(&metadata) => super::extend_by_store(file, end),
        size if size >= end.unsigned_abs() => Ok(()),
        0 => nix::unistd::ftruncate(file, end),
        _ => Err(nix::errno::Errno::ENOTSUP),
    }
}

/// An anonymous file: a shared memory object whose name is taken away at once.
pub(crate) fn anonymous_file(_huge: Option<usize>, _sealable: bool) -> nix::Result<std::fs::File> {
    use nix::fcntl::OFlag;
    use nix::sys::mman::{shm_open, shm_unlink};
    use std::sync::atomic::{AtomicU32, Ordering};
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let flags = OFlag::O_RDWR | OFlag::O_CREAT | OFlag::O_EXCL;
    loop {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("/mmap.{}.{number}", std::process::id());
        match shm_open(name.as_str(), flags, nix::sys::stat::Mode::from_bits_truncate(0o600)) {
            // Another copy of this library is about to take the name away, or a process that had this number was killed
            // before it did.
            Err(nix::errno::Errno::EEXIST) => {}
            opened => {
                let fd = opened?;
                shm_unlink(name.as_str())?;
                return Ok(fd.into());
            }
        }
    }
}

/// Whether a block is refused: no call can ask that for a hole of a file.
pub(crate) fn lacks_block(_fd: std::os::fd::RawFd, _offset: u64, _length: u64) -> bool {
    false
}

/// Makes `file` as durable as F_FULLFSYNC does: fsync(2) on macOS stops at the drive's cache.
///
/// Not every file system has it: HFS, FAT, UDF and APFS do (fcntl(2)). On the others fsync is the
/// most there is.
pub(crate) fn make_durable(file: &std::fs::File) -> std::io::Result<()> {
    use std::os::fd::AsRawFd;
    if file.metadata().is_ok_and(|metadata| is_shared_memory(&metadata)) {
        return Ok(()); // it is on no disk, and both calls refuse it
    }
    match file.sync_all() {
        Err(error)
            if matches!(
                error.raw_os_error(),
                Some(libc::ENOTSUP | libc::EINVAL | libc::ENOTTY)
            ) =>
        {
            // SAFETY: the descriptor is open as long as `file`.
            let status = unsafe { libc::fsync(file.as_raw_fd()) };
            nix::errno::Errno::result(status).map(drop).map_err(Into::into)
        }
        other => other,
    }
}

/// msync(2) on macOS stops at the drive's cache too.
pub(crate) const MSYNC_IS_DURABLE: bool = false;
