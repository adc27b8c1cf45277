//! The memory areas of this process as the system lists them (proc_pid_maps(5)), and moving their pages.

use std::ops::Range;
use std::os::fd::RawFd;
use std::sync::atomic::{AtomicI32, Ordering};

use crate::sys::Backing;

/// Neighbouring pages of one kind.
pub(crate) struct Vma {
    pub range: Range<usize>,
    /// Nothing where it has no file.
    pub shown: Option<Shown>,
}

/// Which file is mapped at an address, and where in it.
///
/// The numbers are those of the system's list of VMAs: for some file systems `fstat` has others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shown {
    device: u64,
    inode: u64,
    /// What would be at address 0.
    base: u64,
}

/// The file that is mapped at `address`; nothing where there is none, or it is not known. *handler*
pub(crate) fn shown_at(address: usize) -> Option<Shown> {
    let mut shown = None;
    each_vma(|vma| {
        if vma.range.contains(&address) {
            shown = vma.shown;
        }
        vma.range.end > address
    });
    shown
}

/// VMAs that are left for the rest of the process.
const SPARE_VMAS: usize = 1024;

/// The memory areas that make up a range, each cut to it; `None` if they are not known or do not
/// cover it, or where the process may not have as many again: `carry` would fail in the middle, and
/// on the way back too.
pub(crate) fn vmas_in(range: &Range<usize>) -> Option<Vec<Range<usize>>> {
    let mut parts: Vec<Range<usize>> = Vec::new();
    let (mut all, mut at) = (0, range.start);
    each_vma(|vma| {
        all += 1;
        let part = vma.range.start.max(range.start)..vma.range.end.min(range.end);
        if part.start == at && !part.is_empty() {
            at = part.end;
            parts.push(part);
        }
        false
    });
    let fits = all + parts.len() + SPARE_VMAS <= most_vmas();
    (fits && at == range.end).then_some(parts)
}

/// How many memory areas a process may have (vm.max_map_count).
fn most_vmas() -> usize {
    const USUAL: usize = 65_530;
    let text = std::fs::read_to_string("/proc/sys/vm/max_map_count").ok();
    text.and_then(|text| text.trim().parse().ok()).unwrap_or(USUAL)
}

/// Whether `carry` can move pages, of a file or of none: asked once, with pages of our own.
pub(crate) fn can_carry(file: bool) -> bool {
    use std::sync::OnceLock;
    static ANSWERS: [OnceLock<bool>; 2] = [OnceLock::new(), OnceLock::new()];
    *ANSWERS[usize::from(file)].get_or_init(|| {
        let opened = file.then(|| super::anonymous_file(None, false)).transpose();
        let Ok(opened) = opened else { return false };
        let backing = match &opened {
            Some(opened) => {
                Backing::File { fd: super::raw(opened), offset: 0, shared: true, reserve: true }
            }
            None => Backing::Memory { reserve: true },
        };
        let page = super::page_size();
        let map = || super::map(0, page, crate::protection::Protection::Read, backing);
        let (Ok(from), Ok(to)) = (map(), map()) else { return false };
        // SAFETY: both pages were mapped above, and no one else knows of them. Where this fails
        // the second may have another owner by now, so it is left alone.
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
    let flags = MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP;
    // SAFETY: the caller owns both ranges, so no other pages are moved or replaced.
    let address = unsafe { libc::syscall(libc::SYS_mremap, from, length, length, flags, to) };
    if address == -1 { Err(super::errno()) } else { Ok(()) }
}

/// linux/mman.h: libc has the names, and the function, for Linux alone.
const MREMAP_MAYMOVE: libc::c_ulong = 1;
const MREMAP_FIXED: libc::c_ulong = 2;
const MREMAP_DONTUNMAP: libc::c_ulong = 4;

/// The list of VMAs, kept open for when the process has used up its descriptors; -1 before.
static LIST: AtomicI32 = AtomicI32::new(-1);

/// From now on `each_vma` works where the process may open no more files.
pub(crate) fn keep_vmas_open() {
    if LIST.load(Ordering::Acquire) < 0 {
        let fd = open_vmas();
        if LIST.compare_exchange(-1, fd, Ordering::AcqRel, Ordering::Acquire).is_err() {
            close(fd);
        }
    }
}

/// *handler* (open is async-signal-safe by POSIX)
fn open_vmas() -> RawFd {
    // SAFETY: the path ends in 0; what cannot be opened is an error return.
    unsafe { libc::open(c"/proc/self/maps".as_ptr(), libc::O_RDONLY | libc::O_CLOEXEC) }
}

/// *handler* (close is async-signal-safe by POSIX)
fn close(fd: RawFd) {
    // SAFETY: the descriptor was opened here, and no one else knows of it.
    unsafe { libc::close(fd) };
}

/// Shows the memory areas of this process (proc_pid_maps(5)), by address, until `look` says that it
/// has seen enough. *handler* (pread is a bare system call)
pub(crate) fn each_vma(mut look: impl FnMut(&Vma) -> bool) {
    let opened = open_vmas();
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
            if line.take(*byte).is_some_and(|vma| look(&vma)) {
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

    /// The VMA, when `byte` ends the line.
    fn take(&mut self, byte: u8) -> Option<Vma> {
        let (separator, radix) = match self.field {
            0 => (b'-', 16),
            4 => (b':', 16),
            Self::INODE => (b' ', 10),
            _ => (b' ', 16),
        };
        if byte == b'\n' {
            let [start, end, _, offset, major, minor, inode] = std::mem::take(self).numbers;
            let (device, base) = (major << 32 | minor, offset.wrapping_sub(start));
            let shown = (inode != 0).then_some(Shown { device, inode, base });
            return Some(Vma { range: start as usize..end as usize, shown });
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

#[cfg(all(test, target_os = "linux"))]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::protection::Protection;
    use crate::sys::{self, Backing};

    #[test]
    fn vmas_are_those_that_the_system_lists() {
        let mut seen = Vec::new();
        each_vma(|vma| {
            seen.push(vma.range.clone());
            false
        });
        let text = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
        assert!(seen.len() > 10 && seen.is_sorted_by_key(|range| range.start));
        let hex = |text| usize::from_str_radix(text, 16).ok();
        let listed = text.lines().filter_map(|line| {
            let (start, end) = line.split(' ').next()?.split_once('-')?;
            Some(hex(start)?..hex(end)?)
        });
        // Other tests map meanwhile; the program's own VMAs stay.
        assert!(listed.filter(|range| seen.contains(range)).count() > 10);
    }

    #[test]
    fn a_mapped_file_is_told_from_another_and_from_none() {
        let page = sys::page_size();
        let map = |backing| sys::map(0, 4 * page, Protection::Read, backing).unwrap() as usize;
        let file = || {
            let mut file = sys::anonymous_file(None, false).unwrap();
            file.write_all(&vec![1; 8 * page]).unwrap();
            file
        };
        let (one, other) = (file(), file());
        let of = |file, offset| Backing::File {
            fd: sys::raw(file),
            offset,
            shared: true,
            reserve: true,
        };
        let (a, b) = (map(of(&one, 0)), map(of(&one, page as u64)));
        let (c, none) = (map(of(&other, 0)), map(Backing::Zeros));
        let shown = shown_at(a).unwrap();
        // SAFETY: the page is this test's.
        unsafe { sys::map_over(a + page, page, Protection::Read, Backing::Zeros) }.unwrap();
        assert_eq!(shown_at(a + 3 * page), Some(shown));
        assert_eq!(shown_at(a + page), None);
        assert_ne!(shown_at(b), Some(shown));
        assert_ne!(shown_at(c), Some(shown));
        assert_eq!(shown_at(none), None);
        let parts = [a..a + page, a + page..a + 2 * page, a + 2 * page..a + 4 * page];
        assert_eq!(vmas_in(&(a..a + 4 * page)), Some(parts.to_vec()));
        for start in [a, b, c, none] {
            // SAFETY: the mappings are this test's.
            unsafe { sys::unmap(start, 4 * page) };
        }
        // Below the addresses that the system gives to anybody.
        assert_eq!(vmas_in(&(page..2 * page)), None);
    }
}
