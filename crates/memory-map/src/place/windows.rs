//! Mappings in placeholders; `os` says why memmap2 does not make them.

use std::ops::Range;

use crate::error::{Error, Result};
use crate::os::{self, Pages};
use crate::place::Left;
use crate::protection::Protection;
use crate::region::Contents;

/// Nothing: a region unmaps its range itself.
pub(crate) type Held = std::convert::Infallible;

/// Takes the pages of a region out.
///
/// # Safety
/// The range must be a whole region, whose lock the caller holds.
pub(crate) unsafe fn leave_zeros(range: &Range<usize>) -> Left {
    let (start, length) = (range.start, range.len());
    // SAFETY: the caller vouches for the range.
    if unsafe { os::map_over(start, length, Protection::ReadWrite, Pages::Zeros) }.is_ok()
        || os::is_reserved(start)
    {
        return Left::Zeros;
    }
    // A view outside a placeholder. The file must be free after `close`, so the risk is taken that
    // another thread is given just these addresses in just this moment.
    // SAFETY: as above.
    match unsafe { os::give_up_and_reserve(start, length) } {
        Ok(true) => Left::Zeros,
        Ok(false) => Left::Lost,
        Err(_) => Left::AsItWas,
    }
}

/// A view is replaced as a whole or not at all.
pub(crate) const KEEPS_ROOM: bool = false;

impl Contents<'_> {
    /// Makes the mapping; says which addresses it has.
    pub fn map(&self, length: usize) -> Result<(Range<usize>, Option<Held>)> {
        let pointer = os::map(self.hint.unwrap_or(0), length, self.protection, self.pages())
            .map_err(|errno| self.explain(Error::os(errno, "mmap")))?;
        if self.populate {
            // SAFETY: the range was mapped above.
            unsafe { os::populate(pointer as usize, length, self.protection.writable()) };
        }
        Ok((pointer as usize..pointer as usize + length, None))
    }
}
