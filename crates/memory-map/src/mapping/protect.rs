//! What may be done with the pages of a mapping: mprotect(2).

use std::ops::Range;

use crate::error::{Error, Result};
use crate::mapping::{Mapping, Whereabouts};
use crate::protection::Protection;
use crate::region::{Addresses, Region};
use crate::sys;

impl Mapping {
    /// Changes what may be done with the pages of a range, which must begin at a page's start or
    /// the mapping's, and end at a page's end or the mapping's.
    ///
    /// ```
    /// use memory_map::{Error, Mapping, Options, Protection};
    ///
    /// let map = Mapping::anonymous(100, false, &Options::default())?;
    /// map.protect(0..map.len(), Protection::Read)?;
    /// assert_eq!(map.write(b"no", 0), Err(Error::NotWritable));
    /// # Ok::<(), memory_map::Error>(())
    /// ```
    ///
    /// # Errors
    /// The OS's, `EACCES` for a file that is not open for writing among them;
    /// [`Error::OutOfRange`]; [`Error::Closed`].
    pub fn protect(&self, range: Range<usize>, protection: Protection) -> Result<()> {
        let mut state = self.state(); // under which the length stays
        self.check(range.start, range.end.saturating_sub(range.start))?;
        if let Some(there) = self.find_out(&state)? {
            let pages = self.whole_pages(&there, &range)?;
            if !pages.is_empty() {
                change_protection(&there.region, &pages, protection)?;
            }
        }
        if range.start == 0 && range.end == self.len() {
            state.protection = protection;
        }
        Ok(())
    }

    /// The pages of a range that begins at a page's start or the mapping's, and ends at a page's
    /// end or the mapping's.
    pub(crate) fn whole_pages(
        &self,
        there: &Whereabouts,
        range: &Range<usize>,
    ) -> Result<Addresses> {
        let (all, page_size) = (there.region.pages(), there.region.page_size());
        let exact = there.addresses(range);
        let start = if range.start == 0 { all.start } else { exact.start };
        let end = if range.end == there.length { all.end } else { exact.end };
        if sys::floor(start, page_size) != start || sys::floor(end, page_size) != end {
            let requirement = "aligned to pages in memory";
            return Err(Error::OutOfRange { name: "range", requirement });
        }
        Ok(Addresses(start..end))
    }
}

pub(crate) fn change_protection(
    region: &Region,
    pages: &Addresses,
    protection: Protection,
) -> Result<()> {
    let range = &pages.0;
    let mut inner = region.lock();
    inner.heal();
    if !protection.writable() && !inner.is_replaceable() {
        // Linux can join VMAs again after a fault split them only if they had a page in common
        // before (mm/vma.c, is_mergeable_anon_vma).
        for (part, _) in inner.runs_in(range.clone()).filter(|(_, old)| old.writable()) {
            // SAFETY: the part is mapped, and populating changes no contents.
            let _ = unsafe { sys::populate(part.start, sys::page_size(), true) };
        }
    }
    // SAFETY: the range lies in this region, whose lock is held.
    let changed = unsafe { sys::protect(range.start, range.len(), protection) }
        .or_else(|errno| inner.map_stronger(range, protection, errno));
    if let Err(errno) = changed {
        // mprotect may have changed the first of several VMAs.
        for (part, old) in inner.runs_in(range.clone()) {
            // SAFETY: as above; going back to what the pages had needs no new permission.
            let _ = unsafe { sys::protect(part.start, part.len(), old) };
        }
        return Err(Error::os(errno, "mprotect"));
    }
    inner.set_protection(range.clone(), protection);
    Ok(())
}
