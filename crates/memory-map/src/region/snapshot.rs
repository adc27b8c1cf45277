//! Snapshots of pages that stay where a mapping was, for code that is still reading them.

use crate::file::Opened;
use crate::protection::Protection;
use crate::region::{Addresses, Region, Snapshot, access, place};
use crate::sys;

impl Snapshot {
    /// Copies the pages that some ranges touch. What cannot be had is left out, and so is everything
    /// where parts of a region cannot be replaced.
    pub fn all(region: &Region, mut ranges: Vec<Addresses>) -> Vec<Self> {
        ranges.retain(|range| !range.is_empty() && place::REPLACES_PARTS);
        ranges.sort_by_key(|range| range.start);
        let mut parts: Vec<Addresses> = Vec::new();
        for range in ranges {
            let pages = region.pages_around(&range);
            match parts.last_mut() {
                Some(Addresses(last)) if pages.start <= last.end => {
                    last.end = last.end.max(pages.end)
                }
                _ => parts.push(pages),
            }
        }
        parts.into_iter().filter_map(|pages| Self::new(region, pages)).collect()
    }

    fn new(region: &Region, pages: Addresses) -> Option<Self> {
        let length = pages.len();
        let copy = Opened::anonymous(length as u64, None).ok()?;
        let snapshot = Self { pages, copy };
        let target = sys::map(0, length, Protection::ReadWrite, snapshot.contents()).ok()?;
        // SAFETY: the target was mapped above with that length, and no one else knows of it or
        // has its file.
        let bytes = unsafe { std::slice::from_raw_parts_mut(target, length) };
        let copied = access::copy_out(region, &snapshot.pages, bytes);
        // SAFETY: the target was mapped above, and `bytes` is not used any more.
        unsafe { sys::unmap(target as usize, length) };
        copied.ok().map(|()| snapshot)
    }
}
