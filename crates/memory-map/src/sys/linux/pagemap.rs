//! What the system knows of the pages of this process (proc_pid_pagemap(5)).

use std::ffi::c_void;
use std::ops::Range;

use super::Offset;

#[cfg(target_env = "musl")]
use libc::pread as pread64;
#[cfg(not(target_env = "musl"))]
use libc::pread64;

/// How many entries are read at once: they lie on the stack of a signal handler.
const ENTRIES: usize = 64;

/// Shows the pages of private memory in `range` that hold what is nowhere else, by address; `false` if
/// the system does not tell. A page of zeros that was only read may be among them. *handler* (open
/// and close are async-signal-safe by POSIX, pread is a bare system call)
pub(crate) fn each_own_page(range: &Range<usize>, look: impl FnMut(usize)) -> bool {
    let flags = libc::O_RDONLY | libc::O_CLOEXEC;
    // SAFETY: the path ends in 0; what cannot be opened is an error return.
    let fd = unsafe { libc::open(c"/proc/self/pagemap".as_ptr(), flags) };
    if fd < 0 {
        return false;
    }
    let told = each_in(fd, range, look);
    // SAFETY: the descriptor was opened here, and no one else knows of it.
    unsafe { libc::close(fd) };
    told
}

fn each_in(fd: libc::c_int, range: &Range<usize>, mut look: impl FnMut(usize)) -> bool {
    let page = super::page_size();
    let mut entries = [0u64; ENTRIES];
    // An emulator of another processor may show the pages of its own addresses, where this stack is not.
    let here = super::super::floor(entries.as_ptr() as usize, page);
    if !read(fd, here, 1, &mut entries) || !entries.first().is_some_and(is_own) {
        return false;
    }
    let mut at = range.start;
    while at < range.end {
        let count = ENTRIES.min((range.end - at) >> page.trailing_zeros());
        if !read(fd, at, count, &mut entries) {
            return false;
        }
        for entry in entries.iter().take(count) {
            if is_own(entry) {
                look(at);
            }
            at += page;
        }
    }
    true
}

/// Reads the entries of `count` pages, from the one at `address` on.
fn read(fd: libc::c_int, address: usize, count: usize, entries: &mut [u64; ENTRIES]) -> bool {
    let length = count.min(ENTRIES) * size_of::<u64>();
    let index = (address >> super::page_size().trailing_zeros()) as u64;
    let Ok(offset) = Offset::try_from(index * size_of::<u64>() as u64) else { return false };
    // SAFETY: `entries` is writable for `length` bytes.
    let read = unsafe { pread64(fd, entries.as_mut_ptr().cast(), length, offset) };
    usize::try_from(read) == Ok(length)
}

/// Whether a page is in memory and not a file's, or in swap (Documentation/admin-guide/mm/pagemap.rst).
fn is_own(entry: &u64) -> bool {
    const PRESENT: u64 = 1 << 63;
    const SWAPPED: u64 = 1 << 62;
    const OF_FILE: u64 = 1 << 61;
    entry & SWAPPED != 0 || entry & (PRESENT | OF_FILE) == PRESENT
}

/// Makes private pages zeros again, or what the file has; `false` if the system cannot (locked pages).
///
/// # Safety
/// The range must belong to a region of this crate whose lock the caller holds.
pub(crate) unsafe fn discard(start: usize, length: usize) -> bool {
    // SAFETY: the caller owns the range.
    unsafe { libc::madvise(start as *mut c_void, length, libc::MADV_DONTNEED) == 0 }
}

#[cfg(all(test, target_os = "linux"))]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::io::Write;

    use crate::protection::Protection;
    use crate::sys::{self, Backing};

    #[test]
    fn pages_that_were_stored_to_are_own_until_they_are_discarded() {
        let page = sys::page_size();
        let mut file = sys::anonymous_file(None, false).unwrap();
        file.write_all(&vec![1; 200 * page]).unwrap();
        let of_file =
            Backing::File { fd: sys::raw(&file), offset: 0, shared: false, reserve: true };
        for backing in [Backing::Memory { reserve: true }, of_file] {
            let start = sys::map(0, 200 * page, Protection::ReadWrite, backing).unwrap() as usize;
            let own = || {
                let mut own = Vec::new();
                let told =
                    super::each_own_page(&(start..start + 200 * page), |page| own.push(page));
                assert!(told);
                own
            };
            assert_eq!(own(), []);
            let stored = [3, 64, 199].map(|index| start + index * page);
            for address in stored {
                // SAFETY: the pages are this test's.
                unsafe { (address as *mut u8).write_volatile(5) };
            }
            assert_eq!(own(), stored);
            // SAFETY: as above.
            assert!(unsafe { super::discard(start + 64 * page, page) });
            assert_eq!(own(), [stored[0], stored[2]]);
            // SAFETY: as above.
            unsafe { sys::unmap(start, 200 * page) };
        }
    }
}
