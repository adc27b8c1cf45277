//! Linux: copies that come back short instead of faulting.

use std::ffi::c_void;
use std::os::fd::{AsRawFd, FromRawFd, RawFd};
use std::os::unix::fs::MetadataExt;
use std::sync::atomic::{AtomicI32, Ordering};

use nix::errno::Errno;

use super::Offset;

#[cfg(target_env = "musl")]
use libc::fallocate as fallocate64;
#[cfg(not(target_env = "musl"))]
use libc::fallocate64;

/// Copies `length` bytes at `from`, which may fault, into memory of ours; says how many arrived,
/// or `None` where the system forbids the call altogether (an old container's seccomp filter).
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
/// With `untold_causes` nothing is made of that, as on systems that do not tell: to be tested here.
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

/// Whether a device number is that of `/dev/zero`.
pub(crate) fn is_dev_zero(device: u64) -> bool {
    nix::sys::stat::major(device as libc::dev_t) == 1
        && nix::sys::stat::minor(device as libc::dev_t) == 5
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

/// Whether the disk may have so many bytes more for a file of `size` bytes. A file system can give
/// its last blocks away before it says that there are no more, and nothing takes them back without
/// a danger for what others store meanwhile, so what must fail is not begun.
fn has_room(file: &std::fs::File, size: Offset, more: Offset) -> nix::Result<bool> {
    let [size, more] = [size, more].map(Offset::unsigned_abs);
    let reserved = super::metadata(file)?.blocks().saturating_mul(512).saturating_sub(size);
    let disk = super::space(file.as_raw_fd())?;
    Ok(more.saturating_sub(reserved) <= disk.free || disk.all == 0) // some say nothing of a limit
}

/// Makes a file `end` bytes long if it is shorter, in one step that cannot make it shorter.
pub(crate) fn extend(file: &std::fs::File, end: Offset) -> nix::Result<()> {
    match fallocate(file, 0, end - 1, 1) {
        Err(Errno::EOPNOTSUPP | Errno::ENOSYS) => super::extend_by_store(file, end),
        extended => extended,
    }
}

fn fallocate(
    file: &std::fs::File,
    flags: libc::c_int,
    start: Offset,
    length: Offset,
) -> nix::Result<()> {
    loop {
        // SAFETY: the call has no pointers, and the descriptor is the file's.
        let status = unsafe { fallocate64(file.as_raw_fd(), flags, start, length) };
        match Errno::result(status) {
            Err(Errno::EINTR) => {}
            done => return done.map(drop),
        }
    }
}

/// An anonymous file, for memory that other processes can be given. The call has a number on every
/// Linux that has it, but a function only in the C libraries since glibc 2.27, and a library that
/// names one is not loaded at all with an older glibc.
pub(crate) fn anonymous_file(huge: Option<usize>) -> nix::Result<std::fs::File> {
    let huge = huge.map_or(0, |size| {
        libc::MFD_HUGETLB | (size.trailing_zeros() as libc::c_uint) << libc::MFD_HUGE_SHIFT
    });
    let flags = libc::MFD_CLOEXEC | huge;
    // SAFETY: the name is a string that ends with a zero, and the kernel copies it.
    let status = unsafe { libc::syscall(libc::SYS_memfd_create, c"memory-map".as_ptr(), flags) };
    let descriptor = Errno::result(status)? as libc::c_int;
    // SAFETY: the descriptor was opened above, and nothing else knows it.
    Ok(unsafe { std::fs::File::from_raw_fd(descriptor) })
}

/// Asks for the pages of a range now. A page that cannot be had is left for later.
///
/// # Safety
/// The range must be mapped.
pub(crate) unsafe fn populate(start: usize, length: usize, writable: bool) {
    let advice = if writable { libc::MADV_POPULATE_WRITE } else { libc::MADV_POPULATE_READ };
    // SAFETY: populating changes no contents; what cannot be populated is an error return.
    unsafe { libc::madvise(start as *mut c_void, length, advice) };
}

/// Makes `file` as durable as `fsync` does.
pub(crate) fn make_durable(file: &std::fs::File) -> std::io::Result<()> {
    file.sync_data()
}

/// Whether `msync` alone makes the pages durable.
pub(crate) const MSYNC_IS_DURABLE: bool = true;

/// Whether `carry` can move pages, of a file or of none: asked once, with pages of our own.
pub(crate) fn can_carry(file: bool) -> bool {
    use std::sync::OnceLock;
    static ANSWERS: [OnceLock<bool>; 2] = [OnceLock::new(), OnceLock::new()];
    *ANSWERS[usize::from(file)].get_or_init(|| {
        let opened = file.then(|| anonymous_file(None)).transpose();
        let Ok(opened) = opened else { return false };
        let pages = match &opened {
            Some(opened) => super::Pages::File {
                fd: super::raw(opened),
                offset: 0,
                shared: true,
                reserve: true,
            },
            None => super::Pages::Anonymous { reserve: true },
        };
        let page = super::page_size();
        let map = || super::map(0, page, crate::protection::Protection::Read, pages);
        let (Ok(from), Ok(to)) = (map(), map()) else { return false };
        // SAFETY: both pages were mapped above, and nobody else knows of them. Where this fails
        // the second may be somebody else's by now, so it is left alone.
        let moved = unsafe { carry(from as usize, page, to as usize) }.is_ok();
        if moved {
            // SAFETY: as above, and both are ours.
            unsafe { super::unmap(to as usize, page) };
        }
        // SAFETY: as above.
        unsafe { super::unmap(from as usize, page) };
        moved
    })
}

/// Moves the pages of one memory area to `to`, and leaves its addresses in place, empty
/// (mremap(2), MREMAP_DONTUNMAP: Linux 5.7, for files 5.13).
///
/// `Err` holds the error number; what lay at `to` may be gone then, and the addresses taken.
///
/// # Safety
/// Both ranges must belong to regions of this crate; they must not overlap.
pub(crate) unsafe fn carry(from: usize, length: usize, to: usize) -> Result<(), i32> {
    let flags = libc::MREMAP_MAYMOVE | libc::MREMAP_FIXED | libc::MREMAP_DONTUNMAP;
    let target = to as *mut c_void;
    // SAFETY: the caller owns both ranges, so nobody else's pages are moved or replaced.
    let pointer = unsafe { libc::mremap(from as *mut c_void, length, length, flags, target) };
    if pointer == libc::MAP_FAILED { Err(super::errno()) } else { Ok(()) }
}

/// The list of areas, open for when the process has used up its descriptors; else -1.
static LIST: AtomicI32 = AtomicI32::new(-1);

/// Has `each_area` need no descriptor from now on.
pub(crate) fn keep_areas_open() {
    if LIST.load(Ordering::Acquire) < 0 {
        let fd = open_areas();
        if LIST.compare_exchange(-1, fd, Ordering::AcqRel, Ordering::Acquire).is_err() {
            close(fd);
        }
    }
}

/// *handler* (open is async-signal-safe by POSIX)
fn open_areas() -> RawFd {
    // SAFETY: the path ends in 0; what cannot be opened is an error return.
    unsafe { libc::open(c"/proc/self/maps".as_ptr(), libc::O_RDONLY | libc::O_CLOEXEC) }
}

/// *handler* (close is async-signal-safe by POSIX)
fn close(fd: RawFd) {
    // SAFETY: the descriptor was opened here, and nobody else knows of it.
    unsafe { libc::close(fd) };
}

/// Shows the memory areas of this process (proc_pid_maps(5)), by address, until `look` says that it
/// has seen enough. *handler* (pread is a bare system call)
pub(crate) fn each_area(mut look: impl FnMut(&super::Area) -> bool) {
    let opened = open_areas();
    let fd = if opened < 0 { LIST.load(Ordering::Acquire) } else { opened };
    let mut text = [0u8; 1024];
    let mut at = 0;
    let mut line = Line::default();
    'all: loop {
        // SAFETY: `text` is writable for its length.
        let count = unsafe { libc::pread(fd, text.as_mut_ptr().cast(), text.len(), at) };
        let Some(read) = usize::try_from(count).ok().filter(|count| *count > 0) else { break };
        at += count as libc::off_t;
        for byte in text.iter().take(read) {
            if line.take(*byte).is_some_and(|area| look(&area)) {
                break 'all;
            }
        }
    }
    if opened >= 0 {
        close(opened);
    }
}

/// A line of `/proc/self/maps`, as far as it was read: start, end, permissions, offset, the two
/// parts of the device, inode, name.
#[derive(Default)]
struct Line {
    numbers: [u64; 7],
    field: usize,
}

impl Line {
    const INODE: usize = 6;

    /// The area, when `byte` ends the line.
    fn take(&mut self, byte: u8) -> Option<super::Area> {
        let (separator, radix) = match self.field {
            0 => (b'-', 16),
            4 => (b':', 16),
            Self::INODE => (b' ', 10),
            _ => (b' ', 16),
        };
        if byte == b'\n' {
            let [start, end, _, offset, major, minor, inode] = std::mem::take(self).numbers;
            let range = start as usize..end as usize;
            return Some(super::Area { range, offset, device: major << 32 | minor, inode });
        }
        if let Some(number) = self.numbers.get_mut(self.field) {
            if byte == separator {
                self.field += 1;
            } else if let Some(digit) = char::from(byte).to_digit(radix) {
                *number = number.wrapping_mul(radix.into()).wrapping_add(digit.into());
            }
        }
        None
    }
}
