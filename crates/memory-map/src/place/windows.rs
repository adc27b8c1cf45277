//! Mappings in placeholders; `os` says why memmap2 does not make them.

use crate::error::{Error, Result};
use crate::os;
use crate::region::Contents;

/// Nothing: a region unmaps its range itself.
pub(crate) type Held = std::convert::Infallible;

impl Contents<'_> {
    /// Makes the mapping; says where it is.
    pub fn map(&self, length: usize) -> Result<(usize, Option<Held>)> {
        let pointer = os::map(self.hint.unwrap_or(0), length, self.protection, self.pages())
            .map_err(|errno| self.explain(Error::os(errno, "mmap")))?;
        if self.populate {
            // SAFETY: the range was mapped above.
            unsafe { os::populate(pointer as usize, length, self.protection.writable()) };
        }
        Ok((pointer as usize, None))
    }
}
