//! macOS and the BSDs: what the system is told and asked about pages.

use std::ffi::{c_int, c_void};

use crate::advice::Advice;
use crate::error::Error;

/// Whether there can be pages of `size` bytes: this system offers none.
pub(crate) fn check_huge_pages(_size: usize) -> Result<usize, Error> {
    Err(Error::Unsupported("this system gives no huge pages to programs that ask for a size"))
}

/// Says no more about an error.
pub(crate) fn explain_huge_pages(error: Error) -> Error {
    error
}

/// What the system calls an advice.
fn advice_number(advice: Advice) -> Option<c_int> {
    match advice {
        Advice::Normal => Some(libc::MADV_NORMAL),
        Advice::Random => Some(libc::MADV_RANDOM),
        Advice::Sequential => Some(libc::MADV_SEQUENTIAL),
        Advice::WillNeed => Some(libc::MADV_WILLNEED),
        Advice::DontNeed => Some(libc::MADV_DONTNEED),
        Advice::Free => Some(libc::MADV_FREE),
        _ => None,
    }
}

/// Whether the system knows an advice.
pub(crate) fn supports(advice: Advice) -> bool {
    advice_number(advice).is_some()
}

/// Advises on a range. `Err` holds the error number.
///
/// # Safety
/// The range must be of one region of this crate, whose contents may go where the advice says so.
pub(crate) unsafe fn advise(start: usize, length: usize, advice: Advice) -> Result<(), i32> {
    let Some(number) = advice_number(advice) else { return Err(libc::ENOTSUP) };
    // SAFETY: the caller vouches for the range.
    let status = unsafe { libc::madvise(start as *mut c_void, length, number) };
    if status == 0 { Ok(()) } else { Err(crate::sys::errno()) }
}

/// Whether pages can be locked when they are touched.
pub(crate) const LOCKS_ON_FAULT: bool = false;

/// Keeps pages in memory.
///
/// # Safety
/// The range must be of one region of this crate.
pub(crate) unsafe fn lock_pages(start: usize, length: usize, _on_fault: bool) -> Result<(), i32> {
    // SAFETY: locking changes no contents.
    let status = unsafe { libc::mlock(start as *const c_void, length) };
    if status == 0 { Ok(()) } else { Err(crate::sys::errno()) }
}

/// Which pages are in memory: the lowest bit of the byte of each.
pub(crate) fn residency(start: usize, states: &mut [u8]) -> Result<(), i32> {
    let length = states.len() * crate::sys::page_size();
    // SAFETY: `states` has a byte for each page; a range that is not mapped is an error return.
    let status = unsafe { libc::mincore(start as *mut _, length, states.as_mut_ptr().cast()) };
    if status == 0 { Ok(()) } else { Err(crate::sys::errno()) }
}

/// Whether no page of a part of a file is in memory, which this system does not tell.
pub(crate) fn is_uncached(_file: &std::fs::File, _offset: u64, _length: usize) -> bool {
    false
}
