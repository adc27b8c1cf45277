//! Linux: files, and copies that come back short instead of faulting.

mod advice;
#[path = "../unix/byte_lock.rs"]
pub(crate) mod byte_lock;
mod futex;
mod futex_ring;
mod holes;
#[path = "../unix/liveness.rs"]
mod liveness;
mod pagemap;
#[path = "../unix/mod.rs"]
mod unix;
mod vma;
mod wakeup;

pub(crate) use advice::*;
pub(crate) use futex::*;
pub(crate) use futex_ring::*;
pub(crate) use holes::*;
pub(crate) use liveness::*;
pub(crate) use pagemap::*;
pub use unix::*;
pub(crate) use vma::*;
pub(crate) use wakeup::*;

use std::ffi::c_void;
use std::os::fd::{AsRawFd, FromRawFd};
use std::os::unix::fs::MetadataExt;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::stat::Mode;

use crate::options::Seals;

#[cfg(target_env = "musl")]
use libc::fallocate as fallocate64;
#[cfg(not(target_env = "musl"))]
use libc::fallocate64;

/// Whether a system call that the kernel does not have is an error. Android ends an application, and what it runs, for
/// any call that its C library does not make (bionic, SYSCALLS.TXT): newer ones are not tried there.
pub(super) const REFUSES_BY_ERROR: bool = !cfg!(target_os = "android");

/// Copies `length` bytes at `from`, which may fault, into memory of ours; says how many arrived,
/// or `None` if the system forbids the call altogether (an old container's seccomp filter).
/// *handler*
///
/// # Safety
/// `to` must be writable for `length` bytes.
pub(crate) unsafe fn peek(from: usize, to: *mut u8, length: usize) -> Option<usize> {
    let local = libc::iovec { iov_base: to.cast(), iov_len: length };
    let remote = libc::iovec { iov_base: from as *mut c_void, iov_len: length };
    // SAFETY: the kernel checks both ranges and stops at the first page it cannot copy; the
    // caller vouches for `to`.
    let copied =
        unsafe { libc::process_vm_readv(std::process::id() as i32, &local, 1, &remote, 1, 0) };
    match usize::try_from(copied) {
        Ok(copied) => Some(copied),
        Err(_) => (super::errno() == libc::EFAULT).then_some(0),
    }
}

/// Copies `length` bytes of ours to `to`, which may fault; says how many arrived.
///
/// # Safety
/// `from` must be readable for `length` bytes, and `to` lie in a region whose lock is held.
pub(crate) unsafe fn poke(from: *const u8, to: usize, length: usize) -> usize {
    let local = libc::iovec { iov_base: from.cast_mut().cast(), iov_len: length };
    let remote = libc::iovec { iov_base: to as *mut c_void, iov_len: length };
    // SAFETY: as in `peek`, with the roles changed.
    let copied =
        unsafe { libc::process_vm_writev(std::process::id() as i32, &local, 1, &remote, 1, 0) };
    usize::try_from(copied).unwrap_or(0)
}

/// Whether the signal alone tells a missing page (SIGBUS) from a forbidden access (SIGSEGV).
///
/// `untold_causes` is for tests: it has this code behave as on systems where it does not.
pub(crate) const SIGNAL_TELLS_CAUSE: bool = !cfg!(untold_causes);

/// Whether it is shared memory that is no file: here it always is one.
pub(crate) fn is_shared_memory(_metadata: &std::fs::Metadata) -> bool {
    false
}

/// Size in bytes of a block device.
pub(crate) fn device_size(fd: std::os::fd::RawFd) -> Option<u64> {
    // BLKGETSIZE64 (linux/fs.h): its number says that it writes a `size_t`, but it is a u64.
    const REQUEST: libc::Ioctl = nix::request_code_read!(0x12, 114, size_of::<usize>());
    let mut bytes = 0u64;
    // SAFETY: the request writes one u64, or nothing where `fd` is no block device.
    let status = unsafe { libc::ioctl(fd, REQUEST, &raw mut bytes) };
    (status == 0).then_some(bytes)
}

/// The page size of a file on a file system of huge pages (hugetlbfs): what is mapped of it can be changed and
/// unmapped only in whole pages.
pub(crate) fn huge_pages_of(file: &std::fs::File, metadata: &std::fs::Metadata) -> Option<usize> {
    const HUGETLBFS_MAGIC: u32 = 0x9584_58f6;
    let size = usize::try_from(metadata.blksize()).ok().filter(|size| *size > page_size())?;
    let system = nix::sys::statfs::fstatfs(file).ok()?;
    #[allow(clippy::unnecessary_cast)] // the type differs from one C library to another
    (system.filesystem_type().0 as u32 == HUGETLBFS_MAGIC).then_some(size)
}

/// Whether a device number is that of `/dev/zero`.
pub(crate) fn is_dev_zero(device: u64) -> bool {
    let device = device as libc::dev_t;
    libc::major(device) == 1 && libc::minor(device) == 5
}

/// Reserves blocks for the bytes from `start` to before `end` of a file of `size` bytes, which does
/// not grow by that.
pub(crate) fn allocate(
    file: &std::fs::File,
    size: Offset,
    start: Offset,
    end: Offset,
) -> nix::Result<()> {
    if start == end {
        return Ok(());
    }
    if end > size && !has_room(file, size, end - start.max(size))? {
        return Err(Errno::ENOSPC);
    }
    fallocate(file, libc::FALLOC_FL_KEEP_SIZE, start, end - start)
}

/// Whether the disk may have room for so many more bytes of a file of `size` bytes. A file system can give
/// out its last blocks before it says that there are no more, and to take them back would endanger what
/// others store meanwhile. So what is bound to fail is not begun.
fn has_room(file: &std::fs::File, size: Offset, more: Offset) -> nix::Result<bool> {
    let [size, more] = [size, more].map(Offset::unsigned_abs);
    let reserved = super::metadata(file)?.blocks().saturating_mul(512).saturating_sub(size);
    let disk = super::space(file.as_raw_fd())?;
    Ok(more.saturating_sub(reserved) <= disk.free || disk.all == 0) // some tell no size
}

/// Whether the file system can have files of `end` bytes: lseek(2) tells. Nothing else may use the file position.
pub(crate) fn can_have(file: &std::fs::File, end: u64) -> bool {
    use std::io::{Seek, SeekFrom};
    (&mut &*file).seek(SeekFrom::Start(end)).is_ok()
}

/// Makes a file `end` bytes long if it is shorter, in one step that cannot make it shorter.
pub(crate) fn extend(file: &std::fs::File, end: Offset) -> nix::Result<()> {
    match fallocate(file, 0, end - 1, 1) {
        Err(Errno::EOPNOTSUPP | Errno::ENOSYS) => match super::extend_by_store(file, end) {
            Err(super::APPENDS) => super::extend_by_store(&opened_again(file)?, end),
            extended => extended,
        },
        extended => extended,
    }
}

/// The file that is open for appending, once more and not for that.
fn opened_again(file: &std::fs::File) -> nix::Result<std::fs::File> {
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    std::fs::OpenOptions::new().write(true).open(path).map_err(|_| super::APPENDS)
}

fn fallocate(
    file: &std::fs::File,
    flags: libc::c_int,
    start: Offset,
    length: Offset,
) -> nix::Result<()> {
    loop {
        let done = without_size_signal(|| {
            // SAFETY: the call has no pointers, and the descriptor is the file's.
            Errno::result(unsafe { fallocate64(file.as_raw_fd(), flags, start, length) })
        });
        match done {
            Err(Errno::EINTR) => {}
            done => return done.map(drop),
        }
    }
}

/// An anonymous file, for memory that other processes can be given.
///
/// The kernel gives it permissions for everybody. They are narrowed, so that another user who is given its
/// descriptor cannot open it again for more than that descriptor allows.
pub(crate) fn anonymous_file(huge: Option<usize>, sealable: bool) -> nix::Result<std::fs::File> {
    let huge = huge.map_or(0, |size| {
        libc::MFD_HUGETLB | (size.trailing_zeros() as libc::c_uint) << libc::MFD_HUGE_SHIFT
    });
    let sealable = if sealable { libc::MFD_ALLOW_SEALING } else { 0 };
    let flags = libc::MFD_CLOEXEC | sealable | huge;
    // By its number: glibc has a function for it only since 2.27, and with an older one a library that names it
    // is not loaded at all.
    // SAFETY: the name is a string that ends with a zero, and the kernel copies it.
    let status = unsafe { libc::syscall(libc::SYS_memfd_create, c"memory-map".as_ptr(), flags) };
    let descriptor = Errno::result(status)? as libc::c_int;
    // SAFETY: the descriptor was opened above, and nothing else knows it.
    let file = unsafe { std::fs::File::from_raw_fd(descriptor) };
    nix::sys::stat::fchmod(&file, Mode::S_IRUSR | Mode::S_IWUSR)?;
    Ok(file)
}

/// Seals a file that was made to be sealed, for good, and against further seals. `EINVAL` if the kernel does not
/// have all of them (before 5.1).
pub(crate) fn seal(file: &std::fs::File, seals: Seals) -> nix::Result<()> {
    let mut all = SealFlag::F_SEAL_SEAL;
    all.set(SealFlag::F_SEAL_SHRINK, seals.shrink);
    all.set(SealFlag::F_SEAL_GROW, seals.grow);
    all.set(SealFlag::F_SEAL_FUTURE_WRITE, seals.write);
    fcntl(file, FcntlArg::F_ADD_SEALS(all)).map(drop)
}

/// The seals of a file: none where it can have none.
pub(crate) fn seals_of(file: &std::fs::File) -> nix::Result<Seals> {
    let bits = fcntl(file, FcntlArg::F_GET_SEALS).unwrap_or(0);
    let has = |seal: SealFlag| bits & seal.bits() != 0;
    Ok(Seals {
        shrink: has(SealFlag::F_SEAL_SHRINK),
        grow: has(SealFlag::F_SEAL_GROW),
        write: has(SealFlag::F_SEAL_WRITE) || has(SealFlag::F_SEAL_FUTURE_WRITE),
    })
}

/// Brings the pages of a range in. `Err` holds the error number: `EINVAL` where the kernel cannot do
/// it (before 5.14, or for the memory of a device), `EFAULT` for a page that cannot be had.
///
/// # Safety
/// The range must be mapped.
pub(crate) unsafe fn populate(start: usize, length: usize, writable: bool) -> Result<(), i32> {
    let advice = if writable { libc::MADV_POPULATE_WRITE } else { libc::MADV_POPULATE_READ };
    // SAFETY: populating changes no contents; what cannot be populated is an error return.
    let status = unsafe { libc::madvise(start as *mut c_void, length, advice) };
    if status == 0 { Ok(()) } else { Err(super::errno()) }
}

/// Whether the file system, or a quota, refuses a block for the bytes from `offset` on. If it gives
/// one, the file keeps it.
pub(crate) fn lacks_block(fd: std::os::fd::RawFd, offset: u64, length: u64) -> bool {
    let (Ok(start), Ok(length)) = (Offset::try_from(offset), Offset::try_from(length)) else {
        return false;
    };
    // SAFETY: the call has no pointers, and a bad descriptor is an error return.
    let status = unsafe { fallocate64(fd, libc::FALLOC_FL_KEEP_SIZE, start, length) };
    matches!(Errno::result(status), Err(Errno::ENOSPC | Errno::EDQUOT))
}

/// Makes `file` as durable as `fdatasync` does.
pub(crate) fn make_durable(file: &std::fs::File) -> std::io::Result<()> {
    file.sync_data()
}

/// Whether `msync` alone makes the pages durable.
pub(crate) const MSYNC_IS_DURABLE: bool = true;

/// Whether a read of a file on `device` gives what a load from its mapped pages would. Linux has one
/// cache for both where a file system is on a block device. Others may ask a server at each read, and
/// overlayfs reads the copy that it made for the first writer, while a mapping keeps the original.
pub(crate) fn reads_are_loads(device: u64) -> bool {
    libc::major(device as libc::dev_t) != 0
}
