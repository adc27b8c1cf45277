//! Mappings that memmap2 makes, wherever the system is free to choose the addresses, and owns until a
//! region does.

use std::ops::Range;

use memmap2::{MmapOptions, MmapRaw};

use crate::advice::Advice;
use crate::error::{Error, Result};
use crate::guard;
use crate::options::HugePages;
use crate::protection::Protection;
use crate::region::Contents;
use crate::region::place::Emptied;
use crate::sys::{self, Backing};

/// Takes pages out.
///
/// # Safety
/// The range must be a region's, whose lock the caller holds.
pub(crate) unsafe fn empty(range: &Range<usize>) -> Emptied {
    // SAFETY: the caller vouches for the range.
    let closed = guard::with_vma_reserve(|| unsafe {
        sys::map_over(range.start, range.len(), Protection::None, Backing::Zeros)
    });
    closed.map_or_else(Emptied::AsItWas, |()| Emptied::Inaccessible)
}

/// Whether parts of regions can be replaced, so that addresses can be reserved behind any mapping.
pub(crate) const REPLACES_PARTS: bool = true;

/// Whether a mapping may be longer than its file is.
pub(crate) const REACHES_BEYOND_FILE: bool = true;

impl Contents<'_> {
    /// Makes the mapping; says which addresses it has.
    pub fn map(&self, length: usize) -> Result<Range<usize>> {
        if self.reserved > length {
            return self.map_reserving(length);
        }
        if let Some(hint) = self.hint.filter(|_| self.huge == HugePages::None) {
            let pointer = sys::map(hint, length, self.protection, self.backing())
                .map_err(|errno| self.explain(Error::os(errno, "mmap")))?;
            return Ok(pointer as usize..pointer as usize + length);
        }
        let mapped =
            self.map_by_memmap2(length).map_err(|e| self.explain(Error::io(&e, "mmap")))?;
        let start = mapped.as_mut_ptr() as usize;
        if self.protection != self.protection_of_memmap2() {
            // SAFETY: the range was mapped above, and no one else knows of it.
            unsafe { sys::protect(start, length, self.protection) }
                .map_err(|errno| self.explain(Error::os(errno, "mprotect")))?;
        }
        if self.huge == HugePages::Transparent {
            // Advice only: without such pages the memory is as good, and slower.
            // SAFETY: the range was mapped above.
            let _ = unsafe { sys::advise(start, length, Advice::HugePage) };
        }
        std::mem::forget(mapped); // from here on it is the region's
        Ok(start..start + length)
    }

    /// Makes the mapping at the start of a larger range, whose rest it can grow into.
    fn map_reserving(&self, length: usize) -> Result<Range<usize>> {
        let reserved = sys::ceil(self.reserved, sys::page_size()).unwrap_or(length);
        let reserve = |reserved| {
            sys::map(0, reserved, Protection::None, Backing::Zeros)
                .map(|start| (start as usize, reserved))
        };
        let (start, reserved) = reserve(reserved)
            .or_else(|_| reserve(length))
            .map_err(|errno| Error::os(errno, "mmap"))?;
        // SAFETY: the range was reserved above, and no one else knows of it.
        if let Err(errno) = unsafe { sys::map_over(start, length, self.protection, self.backing()) }
        {
            // SAFETY: as above.
            unsafe { sys::unmap(start, reserved) };
            return Err(self.explain(Error::os(errno, "mmap")));
        }
        Ok(start..start + reserved)
    }

    /// The protection nearest to the wanted one that memmap2 makes a mapping with.
    fn protection_of_memmap2(&self) -> Protection {
        match (self.file.is_some(), self.shared, self.protection) {
            (false, ..) | (_, _, Protection::ReadWrite) => Protection::ReadWrite,
            (_, true, Protection::ReadWriteExecute) => Protection::ReadWrite,
            (_, true, Protection::ReadExecute) => Protection::ReadExecute,
            _ => Protection::Read,
        }
    }

    fn map_by_memmap2(&self, length: usize) -> std::io::Result<MmapRaw> {
        let mut options = MmapOptions::new();
        options.len(length);
        if let HugePages::Explicit(size) = self.huge {
            options.huge(Some(size.trailing_zeros() as u8));
        }
        if !self.reserve {
            options.no_reserve_swap();
        }
        let Some((opened, offset)) = self.file else { return options.map_anon().map(Into::into) };
        options.offset(offset);
        let file = &*opened.file;
        match (self.shared, self.protection_of_memmap2()) {
            (true, Protection::ReadWrite) => options.map_raw(file),
            // SAFETY: memmap2 asks that the bytes do not change while a slice of them is used. The
            // mapping becomes a raw one at once, and this crate makes no slices of it.
            (true, Protection::ReadExecute) => unsafe { options.map_exec(file) }.map(Into::into),
            (true, _) => options.map_raw_read_only(file),
            // SAFETY: as above.
            (false, Protection::ReadWrite) => unsafe { options.map_copy(file) }.map(Into::into),
            // SAFETY: as above.
            (false, _) => unsafe { options.map_copy_read_only(file) }.map(Into::into),
        }
    }
}
