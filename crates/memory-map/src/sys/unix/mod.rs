//! Calls that every Unix has. Those marked *handler* are made by the signal handler too: they
//! are system calls without a lock, an allocation or hidden state in libc.

mod signals;

pub(crate) use signals::{block_signals, without_size_signal};

use std::ffi::{c_int, c_void};
use std::fs::File;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::OnceLock;

use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit};

use crate::protection::Protection;
use crate::sys::{Backing, Identity};

pub(crate) const EBADF: i32 = libc::EBADF;
pub(crate) const EINVAL: i32 = libc::EINVAL;
pub(crate) const ENOENT: i32 = libc::ENOENT;
pub(crate) const ENOSPC: i32 = libc::ENOSPC;
pub(crate) const ENOMEM: i32 = libc::ENOMEM;

/// How the system names an open file.
pub(crate) type RawFile = RawFd;

/// What stands in place of a file that is closed. (Some are closed, for a process may have only so many open.)
pub(crate) const NO_FILE: Option<RawFile> = Some(-1);

/// What names `file` in the calls of this module.
pub(crate) fn raw(file: &File) -> RawFile {
    file.as_raw_fd()
}

// On 32-bit systems glibc's calls of the usual names take sizes and offsets of 32 bits.
#[cfg(not(all(any(target_os = "linux", target_os = "android"), not(target_env = "musl"))))]
use libc::{fstat, fstatvfs, mmap, stat, statvfs};
#[cfg(all(any(target_os = "linux", target_os = "android"), not(target_env = "musl")))]
use libc::{
    fstat64 as fstat, fstatvfs64 as fstatvfs, mmap64 as mmap, stat64 as stat, statvfs64 as statvfs,
};

#[cfg(not(all(any(target_os = "linux", target_os = "android"), not(target_env = "musl"))))]
pub(crate) use libc::off_t as Offset;
#[cfg(all(any(target_os = "linux", target_os = "android"), not(target_env = "musl")))]
pub(crate) use libc::off64_t as Offset;

#[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
const MAP_NORESERVE: c_int = libc::MAP_NORESERVE;
#[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
const MAP_NORESERVE: c_int = 0;

/// How many bytes of address space the process may use: RLIMIT_AS, which FreeBSD calls RLIMIT_VMEM.
pub(crate) fn most_addresses() -> usize {
    #[cfg(target_os = "freebsd")]
    const ADDRESSES: Resource = Resource::RLIMIT_VMEM;
    #[cfg(not(target_os = "freebsd"))]
    const ADDRESSES: Resource = Resource::RLIMIT_AS;
    let limit = getrlimit(ADDRESSES).map_or(RLIM_INFINITY, |(soft, _)| soft);
    usize::try_from(limit).unwrap_or(usize::MAX)
}

/// Bytes of one page.
pub fn page_size() -> usize {
    static SIZE: OnceLock<usize> = OnceLock::new();
    *SIZE.get_or_init(|| {
        nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE)
            .ok()
            .flatten()
            .and_then(|size| usize::try_from(size).ok())
            .unwrap_or(4096)
    })
}

/// What the start of a mapping is a multiple of.
///
/// ```
/// use memory_map::{allocation_granularity, page_size};
///
/// assert_eq!(allocation_granularity() % page_size(), 0);
/// ```
pub fn allocation_granularity() -> usize {
    page_size()
}

/// `PROT_*` bits of a protection.
pub(crate) fn prot(protection: Protection) -> c_int {
    let mut bits = libc::PROT_NONE;
    if protection.readable() {
        bits |= libc::PROT_READ;
    }
    if protection.writable() {
        bits |= libc::PROT_WRITE;
    }
    if protection.executable() {
        bits |= libc::PROT_EXEC;
    }
    bits
}

/// The error number of the last failed call of this thread.
pub(crate) fn errno() -> i32 {
    nix::errno::Errno::last_raw()
}

/// Flags, file and offset as mmap(2) takes them.
fn parameters(backing: Backing) -> (c_int, RawFd, u64) {
    let reserved = |reserve: bool| if reserve { 0 } else { MAP_NORESERVE };
    match backing {
        Backing::Zeros => (libc::MAP_PRIVATE | libc::MAP_ANON | MAP_NORESERVE, -1, 0),
        Backing::Memory { reserve } => {
            (libc::MAP_PRIVATE | libc::MAP_ANON | reserved(reserve), -1, 0)
        }
        Backing::File { fd, offset, shared, reserve } => {
            let sharing = if shared { libc::MAP_SHARED } else { libc::MAP_PRIVATE };
            (sharing | reserved(reserve), fd, offset)
        }
    }
}

/// Maps `backing` where the OS likes, near `hint` if that is not 0. *handler*
///
/// `Err` holds the error number.
pub(crate) fn map(
    hint: usize,
    length: usize,
    protection: Protection,
    backing: Backing,
) -> Result<*mut u8, i32> {
    let (flags, fd, offset) = parameters(backing);
    // SAFETY: without MAP_FIXED the kernel picks addresses that nothing uses, so no existing
    // memory changes; whether fd and offset fit is for the kernel to check.
    let pointer =
        unsafe { mmap(hint as *mut c_void, length, prot(protection), flags, fd, offset as Offset) };
    if pointer == libc::MAP_FAILED { Err(errno()) } else { Ok(pointer.cast()) }
}

/// Replaces the pages from `start` on by `backing`, in one step that no thread sees the middle of.
/// *handler*
///
/// # Safety
/// The range must belong to a region of this crate whose lock the caller holds.
pub(crate) unsafe fn map_over(
    start: usize,
    length: usize,
    protection: Protection,
    backing: Backing,
) -> Result<(), i32> {
    let (flags, fd, offset) = parameters(backing);
    // SAFETY: the caller owns the range, so MAP_FIXED replaces no other pages.
    let pointer = unsafe {
        mmap(
            start as *mut c_void,
            length,
            prot(protection),
            flags | libc::MAP_FIXED,
            fd,
            offset as Offset,
        )
    };
    if pointer != libc::MAP_FAILED {
        return Ok(());
    }
    let error = errno();
    close_hole(start, length);
    Err(error)
}

/// Makes sure that a range is mapped: the kernel may have removed the old pages before it refused
/// the new ones, and another thread's mmap must not find the gap. *handler*
fn close_hole(start: usize, length: usize) {
    // Both flags map only where nothing is (mmap(2) of Linux, since 4.17, and of FreeBSD). macOS puts
    // back what it has removed (XNU, osfmk/vm/vm_map.c).
    #[cfg(any(target_os = "linux", target_os = "android"))]
    const IN_FREE: c_int = 0x10_0000; // MAP_FIXED_NOREPLACE, which has no name for Android
    #[cfg(target_os = "freebsd")]
    const IN_FREE: c_int = libc::MAP_FIXED | libc::MAP_EXCL;
    #[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd"))]
    {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANON | MAP_NORESERVE | IN_FREE;
        // SAFETY: no memory changes. Where the old pages are still there it fails, which is what
        // we want.
        unsafe { mmap(start as *mut c_void, length, libc::PROT_NONE, flags, -1, 0) };
    }
    #[cfg(not(any(target_os = "linux", target_os = "android", target_os = "freebsd")))]
    let _ = (start, length);
}

/// Reads bytes from a place in a file; `false` if they are not all there.
pub(crate) fn read_all(file: &File, bytes: &mut [u8], offset: u64) -> bool {
    std::os::unix::fs::FileExt::read_exact_at(file, bytes, offset).is_ok()
}

/// Whether one call can unmap what was mapped with several.
pub(crate) const UNMAPS_NEIGHBOURS: bool = true;

/// Gives a range back to the OS; whether it took it. *handler*
///
/// Linux refuses to split a memory area where the process may have no more of them.
///
/// # Safety
/// Nothing may be able to reach the range any more.
pub(crate) unsafe fn unmap(start: usize, length: usize) -> bool {
    // SAFETY: the caller guarantees that the range is ours and unreachable.
    unsafe { libc::munmap(start as *mut c_void, length) == 0 }
}

/// Changes the protection of a range. *handler*
///
/// # Safety
/// The range must belong to a region of this crate whose lock the caller holds.
pub(crate) unsafe fn protect(
    start: usize,
    length: usize,
    protection: Protection,
) -> Result<(), i32> {
    // SAFETY: the caller owns the range.
    let status = unsafe { libc::mprotect(start as *mut c_void, length, prot(protection)) };
    if status == 0 { Ok(()) } else { Err(errno()) }
}

/// Makes pages of a range that is `Backing::Zeros` accessible, where the OS did not grant that for
/// the whole range. *handler*
///
/// # Safety
/// The range must belong to a region of this crate whose lock the caller holds.
pub(crate) unsafe fn commit_zeros(start: usize, length: usize) -> Result<(), i32> {
    // SAFETY: the caller owns the range.
    unsafe { protect(start, length, Protection::ReadWrite) }
}

/// Asks what `fd` is now. *handler* (fstat is async-signal-safe by POSIX)
pub(crate) fn identify(fd: RawFd) -> Option<Identity> {
    let mut status = std::mem::MaybeUninit::<stat>::uninit();
    // SAFETY: `status` is valid for one `stat`, and a bad fd is an error return.
    if unsafe { fstat(fd, status.as_mut_ptr()) } != 0 {
        return None;
    }
    // SAFETY: fstat returned 0, so it filled the structure.
    let status = unsafe { status.assume_init() };
    #[allow(clippy::unnecessary_cast)] // the fields' types differ from OS to OS
    Some(Identity {
        device: status.st_dev as u64,
        inode: status.st_ino as u64,
        size: u64::try_from(status.st_size).unwrap_or(0),
    })
}

/// Lets another thread run. *handler*
pub(crate) fn yield_now() {
    // SAFETY: sched_yield takes no argument and touches no memory of ours.
    unsafe { libc::sched_yield() };
}

/// Whether a file can become shorter while it is mapped.
pub(crate) const MAPPED_FILES_SHRINK: bool = true;

/// Whether the file system of `fd` has no room for even a few more pages: large ones keep more for
/// themselves (XFS has 76 KiB of 256 MiB left when it refuses a block).
pub(crate) fn is_full(fd: RawFd) -> bool {
    space(fd).is_ok_and(|space| space.available < (space.all / 256).clamp(1 << 16, 1 << 22))
}

/// Bytes of a file system.
#[cfg_attr(not(any(target_os = "linux", target_os = "android")), allow(dead_code))]
pub(crate) struct Space {
    pub all: u64,
    pub free: u64,
    /// What of them is for users without privileges.
    pub available: u64,
}

/// How large and how full the file system of `fd` is.
pub(crate) fn space(fd: RawFd) -> nix::Result<Space> {
    let mut status = std::mem::MaybeUninit::<statvfs>::uninit();
    // SAFETY: `status` is valid for one `statvfs`, and a bad fd is an error return.
    nix::Error::result(unsafe { fstatvfs(fd, status.as_mut_ptr()) })?;
    // SAFETY: fstatvfs returned 0, so it filled the structure.
    let status = unsafe { status.assume_init() };
    #[allow(clippy::unnecessary_cast)] // the fields' types differ from OS to OS
    let [all, free, available] = [status.f_blocks, status.f_bfree, status.f_bavail]
        .map(|blocks| (blocks as u64).saturating_mul(status.f_frsize as u64));
    Ok(Space { all, free, available })
}

/// Makes a file `end` bytes long if it is shorter, by writing its last byte.
///
/// What another process stores to that byte at the same moment is lost. No other call that every Unix has extends
/// a file and never shortens it. [`APPENDS`] if the file is open for appending.
pub(crate) fn extend_by_store(file: &File, end: Offset) -> nix::Result<()> {
    let Ok(last) = u64::try_from(end - 1) else { return Err(nix::Error::EINVAL) };
    if metadata(file)?.len() > last {
        return Ok(());
    }
    if is_appending(file)? {
        return Err(APPENDS);
    }
    let store = || std::os::unix::fs::FileExt::write_all_at(file, &[0], last);
    let stored = without_size_signal(store);
    stored.map_err(|error| error.raw_os_error().map_or(TAKES_NO_BYTES, nix::Error::from_raw))
}

/// What fstat(2) says, with sizes of 64 bits everywhere.
pub(crate) fn metadata(file: &File) -> nix::Result<std::fs::Metadata> {
    file.metadata()
        .map_err(|error| error.raw_os_error().map_or(nix::Error::EINVAL, nix::Error::from_raw))
}

/// Whether what is stored by a descriptor goes to the end of its file, wherever it is meant to go: Linux (pwrite(2), BUGS),
/// FreeBSD and macOS (`vn_write`) do that, against POSIX.
pub(crate) fn is_appending(file: &File) -> nix::Result<bool> {
    let flags = nix::fcntl::fcntl(file, nix::fcntl::FcntlArg::F_GETFL)?;
    Ok(flags & libc::O_APPEND != 0)
}

/// The error of `extend_by_store` where it would store at another place.
pub(crate) const APPENDS: nix::Error = nix::Error::EOPNOTSUPP;

/// The error of `extend_by_store` where a write stores nothing and yet does not fail.
pub(crate) const TAKES_NO_BYTES: nix::Error = nix::Error::ENXIO;

/// Writes the pages of a shared mapping to its file, and waits for that.
pub(crate) fn sync(start: usize, length: usize, invalidate: bool) -> Result<(), i32> {
    let flags = libc::MS_SYNC | if invalidate { libc::MS_INVALIDATE } else { 0 };
    // SAFETY: msync changes no byte that a reader could see; a bad range is an error return.
    let status = unsafe { libc::msync(start as *mut c_void, length, flags) };
    if status == 0 { Ok(()) } else { Err(errno()) }
}

/// Why the system may refuse to lock pages.
pub(crate) const LOCK_LIMIT: &str =
    "more than this process may lock: see RLIMIT_MEMLOCK, or `ulimit -l`";

/// Lets pages go out of memory again.
///
/// # Safety
/// The range must be of one region of this crate.
pub(crate) unsafe fn unlock_pages(start: usize, length: usize) -> Result<(), i32> {
    // SAFETY: unlocking changes no contents.
    let status = unsafe { libc::munlock(start as *const c_void, length) };
    if status == 0 { Ok(()) } else { Err(errno()) }
}

/// Gives memory that was freed in many small pieces back to the system: glibc keeps it otherwise.
pub fn trim_heap() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: malloc_trim is thread-safe and changes no allocation that is in use.
    unsafe {
        libc::malloc_trim(0);
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::os::fd::AsRawFd;

    use super::*;

    fn is_mapped(address: usize) -> bool {
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
        maps.lines().any(|line| {
            let range = line.split(' ').next().and_then(|range| range.split_once('-'));
            let parse = |text| usize::from_str_radix(text, 16).unwrap_or(0);
            range.is_some_and(|(start, end)| (parse(start)..parse(end)).contains(&address))
        })
    }

    #[test]
    fn a_store_extends_a_file_and_never_shortens_it() {
        let Ok(file) = crate::sys::anonymous_file(None, false) else { return };
        let mut bytes = vec![7; 10_000];
        for (end, length) in [(1, 1), (10_000, 10_000), (9_999, 10_000), (20, 10_000)] {
            assert_eq!(extend_by_store(&file, end), Ok(()));
            assert_eq!(file.metadata().map_or(0, |metadata| metadata.len()), length);
            if end == 10_000 {
                assert!(std::os::unix::fs::FileExt::write_all_at(&file, &bytes, 0).is_ok());
            }
        }
        assert!(std::os::unix::fs::FileExt::read_exact_at(&file, &mut bytes, 0).is_ok());
        assert!(bytes.iter().all(|byte| *byte == 7));
    }

    #[test]
    fn no_byte_is_stored_to_a_file_that_is_open_for_appending() {
        use std::io::Write;
        let path = std::env::temp_dir().join(format!("memory-map-{}-append", std::process::id()));
        let opened = std::fs::OpenOptions::new().read(true).append(true).create(true).open(&path);
        let Ok(mut file) = opened else { return };
        let _ = std::fs::remove_file(&path);
        assert!(file.write_all(b"hello").is_ok());
        assert_eq!(extend_by_store(&file, 5), Ok(()));
        assert_eq!(extend_by_store(&file, 100), Err(APPENDS));
        assert_eq!(file.metadata().map_or(0, |metadata| metadata.len()), 5);
    }

    #[test]
    fn a_refused_mapping_leaves_no_hole() {
        let length = 4 * page_size();
        let memory = Backing::Memory { reserve: true };
        let start = map(0, length, Protection::ReadWrite, memory).map_or(0, |start| start as usize);
        // A socket refuses only when the kernel has removed what was there.
        let socket = std::net::UdpSocket::bind("127.0.0.1:0");
        let fd = socket.as_ref().map_or(-1, AsRawFd::as_raw_fd);
        let refused = Backing::File { fd, offset: 0, shared: true, reserve: true };
        // SAFETY: the range was mapped above, and no one else knows of it.
        assert!(unsafe { map_over(start, length, Protection::ReadWrite, refused) }.is_err());
        for page in (start..start + length).step_by(page_size()) {
            assert!(is_mapped(page));
        }
        // SAFETY: as above.
        unsafe { unmap(start, length) };
    }
}
