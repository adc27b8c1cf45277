//! Snapshots of pages that stay where a mapping was, for code that is still reading them.

use memmap2::MmapOptions;

use crate::file::Opened;
use crate::region::{Addresses, Region, Snapshot, access, place};

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
        let copy = Opened::anonymous(pages.len() as u64, None, false).ok()?;
        // SAFETY: the file was made above, and no one else knows of it.
        let mut bytes = unsafe { MmapOptions::new().len(pages.len()).map_mut(&*copy.file) }.ok()?;
        access::copy_out(region, &pages, &mut bytes).ok()?;
        Some(Self { pages, copy })
    }
}
