//! Windows: what the system is told and asked about pages.

use std::ffi::c_void;
use std::mem::size_of_val;

use windows_sys::Win32::Foundation::*;
use windows_sys::Win32::System::Memory::*;
use windows_sys::Win32::System::ProcessStatus::*;
use windows_sys::Win32::System::Threading::*;

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

/// Whether the system knows an advice: only that pages are needed soon (PrefetchVirtualMemory).
pub(crate) fn supports(advice: Advice) -> bool {
    advice == Advice::WillNeed
}

/// Advises on a range. `Err` holds the error number.
///
/// # Safety
/// The range must be of one region of this crate.
pub(crate) unsafe fn advise(start: usize, length: usize, advice: Advice) -> Result<(), i32> {
    if advice != Advice::WillNeed {
        return Err(ERROR_NOT_SUPPORTED as i32);
    }
    // SAFETY: the caller vouches for the range.
    unsafe { crate::sys::populate(start, length, false) }
}

/// Whether pages can be locked when they are touched.
pub(crate) const LOCKS_ON_FAULT: bool = false;

/// Why the system may refuse to lock pages.
pub(crate) const LOCK_LIMIT: &str =
    "more than this process may lock: see the minimum of SetProcessWorkingSetSize";

/// Keeps pages in memory.
///
/// # Safety
/// The range must be of one region of this crate.
pub(crate) unsafe fn lock_pages(start: usize, length: usize, _on_fault: bool) -> Result<(), i32> {
    // SAFETY: locking changes no contents.
    if unsafe { VirtualLock(start as *const c_void, length) } != 0 {
        return Ok(());
    }
    Err(crate::sys::errno())
}

/// Lets pages go out of memory again.
///
/// # Safety
/// The range must be of one region of this crate.
pub(crate) unsafe fn unlock_pages(start: usize, length: usize) -> Result<(), i32> {
    match unlock(start, length) {
        // munlock(2) accepts pages that are not locked; here they may have kept others locked.
        Err(NOT_LOCKED) => {
            let size = crate::sys::page_size();
            let mut pages = (start..start + length).step_by(size).map(|page| unlock(page, size));
            pages.find(|unlocked| !matches!(unlocked, Ok(()) | Err(NOT_LOCKED))).unwrap_or(Ok(()))
        }
        unlocked => unlocked,
    }
}

const NOT_LOCKED: i32 = ERROR_NOT_LOCKED as i32;

fn unlock(start: usize, length: usize) -> Result<(), i32> {
    // SAFETY: unlocking changes no contents.
    match unsafe { VirtualUnlock(start as *const c_void, length) } {
        0 => Err(crate::sys::errno()),
        _ => Ok(()),
    }
}

/// Which pages are in the working set of this process: the lowest bit of the byte of each.
pub(crate) fn residency(start: usize, states: &mut [u8]) -> Result<(), i32> {
    let page = crate::sys::page_size();
    let mut entries: Vec<_> = (0..states.len())
        .map(|i| PSAPI_WORKING_SET_EX_INFORMATION {
            VirtualAddress: (start + i * page) as *mut c_void,
            VirtualAttributes: PSAPI_WORKING_SET_EX_BLOCK { Flags: 0 },
        })
        .collect();
    // SAFETY: the call reads and fills as many bytes of `entries` as it is told.
    let status = unsafe {
        K32QueryWorkingSetEx(
            GetCurrentProcess(),
            entries.as_mut_ptr().cast(),
            size_of_val(entries.as_slice()) as u32,
        )
    };
    if status == 0 {
        return Err(crate::sys::errno());
    }
    for (state, entry) in states.iter_mut().zip(&entries) {
        // SAFETY: both fields of the union are integers of the same size.
        *state = (unsafe { entry.VirtualAttributes.Flags } & 1) as u8;
    }
    Ok(())
}

/// Whether no page of a part of a file is in memory, which this system does not tell.
pub(crate) fn is_uncached(_file: &std::fs::File, _offset: u64, _length: usize) -> bool {
    false
}
