//! Snapshots of pages that stay where a mapping was, for somebody who is still reading them.

use std::ops::Range;

use crate::error::Result;
use crate::file::Opened;
use crate::guard;
use crate::mapping::Mapping;
use crate::protection::Protection;
use crate::region::Region;
use crate::region::access;
use crate::region::place;
use crate::sys::{self, Pages};

impl Mapping {
    /// Has the next `close`, or `resize` that moves the mapping, leave snapshots of these ranges at
    /// the addresses that it leaves, if somebody else holds those; instead of the ranges that were
    /// named before.
    ///
    /// # Errors
    /// [`crate::Error::OutOfRange`].
    pub fn leave_snapshots(&self, ranges: Vec<Range<usize>>) -> Result<()> {
        for range in &ranges {
            self.check(range.start, range.end.saturating_sub(range.start))?;
        }
        self.state().snapshots = ranges;
        Ok(())
    }
}

/// A copy of pages of a region.
pub(crate) struct Snapshot {
    pages: Range<usize>,
    copy: Opened,
}

impl Snapshot {
    /// Copies the pages that `ranges`, in bytes from the region's start, touch. What cannot be had
    /// is left out, and so is everything where parts of a region cannot be replaced.
    pub fn all(region: &Region, mut ranges: Vec<Range<usize>>) -> Vec<Self> {
        ranges.retain(|range| !range.is_empty() && place::REPLACES_PARTS);
        ranges.sort_by_key(|range| range.start);
        let (all, page_size) = (region.pages(), region.page_size());
        let mut parts: Vec<Range<usize>> = Vec::new();
        for range in ranges {
            let start = sys::floor(all.start + range.start, page_size);
            let end =
                sys::ceil(all.start + range.end, page_size).map_or(all.end, |end| end.min(all.end));
            match parts.last_mut() {
                Some(last) if start <= last.end => last.end = last.end.max(end),
                _ => parts.push(start..end),
            }
        }
        parts.into_iter().filter_map(|pages| Self::new(region, pages)).collect()
    }

    fn new(region: &Region, pages: Range<usize>) -> Option<Self> {
        let length = pages.len();
        let copy = Opened::anonymous(length as u64, None).ok()?;
        let target = sys::map(0, length, Protection::ReadWrite, of(&copy)).ok()?;
        // SAFETY: the target was mapped above with that length, and nobody else knows of it or
        // has its file.
        let bytes = unsafe { std::slice::from_raw_parts_mut(target, length) };
        let copied = access::copy_out(region, pages.start - region.range().start, bytes);
        // SAFETY: the target was mapped above, and `bytes` is not used any more.
        unsafe { sys::unmap(target as usize, length) };
        copied.ok().map(|()| Self { pages, copy })
    }

    /// Puts every copy where its pages are, each in one step; says what is between them.
    ///
    /// # Safety
    /// The copies must be of the region that has `range`, whose lock the caller holds.
    pub unsafe fn put_all(snapshots: &[Self], range: &Range<usize>) -> Vec<Range<usize>> {
        let mut gaps = Vec::new();
        let mut at = range.start;
        for Self { pages, copy } in snapshots {
            let put = guard::with_vma_reserve(|| {
                // SAFETY: the pages lie in the region, whose lock is held.
                unsafe { sys::map_over(pages.start, pages.len(), Protection::ReadWrite, of(copy)) }
            });
            if put.is_ok() {
                gaps.push(at..pages.start);
                at = pages.end;
            }
        }
        gaps.push(at..range.end);
        gaps.retain(|gap| !gap.is_empty());
        gaps
    }
}

fn of(copy: &Opened) -> Pages {
    Pages::File { fd: sys::raw(&copy.file), offset: 0, shared: true, reserve: false }
}
