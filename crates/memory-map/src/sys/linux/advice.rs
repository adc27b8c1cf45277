//! Linux: what the system is told and asked about pages.

use std::ffi::{c_int, c_void};
use std::fs::File;
use std::os::fd::AsRawFd;

use crate::advice::Advice;
use crate::error::Error;

/// Whether there can be pages of `size` bytes.
pub(crate) fn check_huge_pages(size: usize) -> Result<usize, Error> {
    if size.is_power_of_two() && size > crate::sys::page_size() {
        return Ok(size);
    }
    let requirement = "a power of two, and more than a page";
    Err(Error::OutOfRange { name: "hugePages", requirement })
}

/// Says more about a refusal of mmap for huge pages.
pub(crate) fn explain_huge_pages(error: Error) -> Error {
    let Error::Os { errno, syscall, .. } = error else { return error };
    let detail = match errno {
        libc::ENOMEM => "the pool has too few free huge pages: see /proc/sys/vm/nr_hugepages",
        libc::EINVAL | libc::ENODEV => {
            "this system has no huge pages of that size: see /sys/kernel/mm/hugepages"
        }
        _ => return error,
    };
    Error::os_because(errno, syscall, detail)
}

/// What the system calls an advice.
fn advice_number(advice: Advice) -> c_int {
    match advice {
        Advice::Normal => libc::MADV_NORMAL,
        Advice::Random => libc::MADV_RANDOM,
        Advice::Sequential => libc::MADV_SEQUENTIAL,
        Advice::WillNeed => libc::MADV_WILLNEED,
        Advice::DontNeed => libc::MADV_DONTNEED,
        Advice::Free => libc::MADV_FREE,
        Advice::Cold => libc::MADV_COLD,
        Advice::PageOut => libc::MADV_PAGEOUT,
        Advice::Mergeable => libc::MADV_MERGEABLE,
        Advice::Unmergeable => libc::MADV_UNMERGEABLE,
        Advice::HugePage => libc::MADV_HUGEPAGE,
        Advice::NoHugePage => libc::MADV_NOHUGEPAGE,
        Advice::DontDump => libc::MADV_DONTDUMP,
        Advice::DoDump => libc::MADV_DODUMP,
        Advice::DontFork => libc::MADV_DONTFORK,
        Advice::DoFork => libc::MADV_DOFORK,
        Advice::Remove => libc::MADV_REMOVE,
        Advice::WipeOnFork => libc::MADV_WIPEONFORK,
        Advice::KeepOnFork => libc::MADV_KEEPONFORK,
        Advice::PopulateRead => libc::MADV_POPULATE_READ,
        Advice::PopulateWrite => libc::MADV_POPULATE_WRITE,
        Advice::Collapse => 25, // MADV_COLLAPSE, which not every libc has by name
    }
}

/// Whether the kernel knows an advice: for no bytes it then answers 0, and else `EINVAL` (madvise(2),
/// NOTES). A filter that refuses every call will refuse the real one too, with an error of its own.
pub(crate) fn supports(advice: Advice) -> bool {
    // SAFETY: no bytes are advised on.
    let status = unsafe { libc::madvise(std::ptr::null_mut(), 0, advice_number(advice)) };
    status == 0 || crate::sys::errno() != libc::EINVAL
}

/// Advises on a range. `Err` holds the error number.
///
/// # Safety
/// The range must be of one region of this crate, whose contents may go where the advice says so.
pub(crate) unsafe fn advise(start: usize, length: usize, advice: Advice) -> Result<(), i32> {
    // SAFETY: the caller vouches for the range.
    let status = unsafe { libc::madvise(start as *mut c_void, length, advice_number(advice)) };
    if status == 0 { Ok(()) } else { Err(crate::sys::errno()) }
}

/// Whether pages can be locked when they are touched: mlock2(2), Linux 4.4.
pub(crate) const LOCKS_ON_FAULT: bool = true;

/// Keeps pages in memory.
///
/// # Safety
/// The range must be of one region of this crate.
pub(crate) unsafe fn lock_pages(start: usize, length: usize, on_fault: bool) -> Result<(), i32> {
    let flags = if on_fault { libc::MLOCK_ONFAULT as libc::c_long } else { 0 };
    // SAFETY: locking changes no contents. By its number, for old C libraries have no wrapper.
    let status = unsafe { libc::syscall(libc::SYS_mlock2, start, length, flags) };
    if status == 0 { Ok(()) } else { Err(crate::sys::errno()) }
}

/// Which pages are in memory: the lowest bit of the byte of each.
pub(crate) fn residency(start: usize, states: &mut [u8]) -> Result<(), i32> {
    let length = states.len() * crate::sys::page_size();
    // SAFETY: `states` has a byte for each page; a range that is not mapped is an error return.
    let status = unsafe { libc::mincore(start as *mut c_void, length, states.as_mut_ptr()) };
    if status == 0 { Ok(()) } else { Err(crate::sys::errno()) }
}

/// Whether no page of a part of a file is in memory; `false` if the system does not tell: before
/// Linux 6.5, and of files that the process may not write.
pub(crate) fn is_uncached(file: &File, offset: u64, length: usize) -> bool {
    /// The same on every architecture.
    const SYS_CACHESTAT: libc::c_long = 451;
    if !super::REFUSES_BY_ERROR {
        return false;
    }
    let range = [offset, length as u64];
    let mut counts = [u64::MAX; 5];
    let (range, filled) = (range.as_ptr(), counts.as_mut_ptr());
    // SAFETY: the kernel reads the two numbers of `range`, and fills the five of `counts`.
    let status = unsafe { libc::syscall(SYS_CACHESTAT, file.as_raw_fd(), range, filled, 0) };
    let [cached, _, _, evicted, _] = counts;
    status == 0 && cached == 0 && evicted == 0 // what DAX maps is in no cache, and counts as evicted
}
