//! Mappings in placeholders; `sys` says why memmap2 does not make them.

use std::ops::Range;

use crate::error::{Error, Result};
use crate::protection::Protection;
use crate::region::Contents;
use crate::region::place::Emptied;
use crate::sys::{self, Backing};

/// Takes pages out.
///
/// # Safety
/// The range must be a region's, whose lock the caller holds, and whole where it is of a file.
pub(crate) unsafe fn empty(range: &Range<usize>) -> Emptied {
    let (start, length) = (range.start, range.len());
    // SAFETY: the caller vouches for the range.
    let over = |protection| unsafe { sys::map_over(start, length, protection, Backing::Zeros) };
    if over(Protection::ReadWrite).is_ok() || sys::is_reserved(start) {
        return if over(Protection::None).is_ok() { Emptied::Inaccessible } else { Emptied::Zeros };
    }
    // A view outside a placeholder. The file must be free after `close`, so the risk is taken that
    // another thread is given just these addresses in just this moment.
    // SAFETY: as above.
    match unsafe { sys::give_up_and_reserve(start, length) } {
        Ok(true) => Emptied::Inaccessible,
        Ok(false) => Emptied::Lost,
        Err(errno) => Emptied::AsItWas(errno),
    }
}

/// A view is replaced as a whole or not at all. Behind memory without a file addresses are reserved all the same.
pub(crate) const REPLACES_PARTS: bool = false;

/// A view ends with the last page of its file.
pub(crate) const REACHES_BEYOND_FILE: bool = false;

impl Contents<'_> {
    /// Makes the mapping; says which addresses it has.
    pub fn map(&self, length: usize) -> Result<Range<usize>> {
        let (hint, backing) = (self.hint.unwrap_or(0), self.backing());
        match self.file {
            None if self.reserved > length => {
                map_reserving(self.reserved, length, self.protection, backing)
            }
            _ => sys::map(hint, length, self.protection, backing)
                .map(|pointer| pointer as usize..pointer as usize + length),
        }
        .map_err(|errno| self.explain(Error::os(errno, "mmap")))
    }
}

/// Memory of `length` bytes, with addresses behind it that hold nothing, `reserved` in all.
fn map_reserving(
    reserved: usize,
    length: usize,
    protection: Protection,
    backing: Backing,
) -> std::result::Result<Range<usize>, i32> {
    let reserved = sys::ceil(reserved, sys::page_size()).ok_or(sys::ENOMEM)?;
    let start = sys::map(0, reserved, Protection::ReadWrite, Backing::Zeros)? as usize;
    // SAFETY: the range was reserved above, and no one else knows of it.
    if let Err(errno) = unsafe { sys::map_over(start, length, protection, backing) } {
        // SAFETY: as above.
        unsafe { sys::unmap(start, reserved) };
        return Err(errno);
    }
    Ok(start..start + reserved)
}
