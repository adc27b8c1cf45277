//! What private pages held before the first stray store to them.

use std::ops::Range;

use crate::sys;

/// Copies of the pages that hold what is nowhere else. The others are zeros, or as in the file.
///
/// First a bit for each page of the overlay, set where there is a copy (none if there is one page),
/// then the copies, in the order of their pages.
#[derive(Debug, Clone, Copy)]
pub(super) struct Saved {
    pub address: usize,
    /// Bytes that are mapped there: none if nothing had to be copied.
    pub length: usize,
    /// How many pages are copied.
    pub kept: usize,
    /// How many pages count against the limit: those that were read, because to read a page may allocate it.
    pub charged: usize,
}

impl Saved {
    pub const NOTHING: Self = Self { address: 0, length: 0, kept: 0, charged: 0 };

    /// Bytes of the bits of so many pages.
    pub fn bits(pages: usize) -> usize {
        let bytes = if pages == 1 { 0 } else { pages.div_ceil(8) };
        sys::ceil(bytes, sys::page_size()).unwrap_or(bytes)
    }

    fn has(&self, index: usize, pages: usize) -> bool {
        if self.kept == 0 || self.kept == pages {
            return self.kept > 0;
        }
        let byte = (self.address + index / 8) as *const u8;
        // SAFETY: there is a bit for each page, and nothing stores to them any more.
        let bits = unsafe { byte.read() };
        bits >> (index % 8) & 1 == 1
    }

    /// The pages of `range`, each with its copy, if it has one.
    pub fn pages(&self, range: &Range<usize>, page_size: usize) -> impl Iterator<Item = Page> {
        let (saved, pages) = (*self, range.len() / page_size);
        let mut copy = saved.address + Self::bits(pages);
        range.clone().step_by(page_size).enumerate().map(move |(index, start)| {
            let has = saved.has(index, pages);
            let page = Page { start, copy: has.then_some(copy) };
            copy += if has { page_size } else { 0 };
            page
        })
    }

    /// Whether no page has a copy.
    pub fn is_empty(&self) -> bool {
        self.kept == 0
    }

    /// Gives the copies back. *handler*
    pub fn release(self) {
        if self.length > 0 {
            // SAFETY: the copies were mapped for one overlay, which is being forgotten.
            unsafe { sys::unmap(self.address, self.length) };
        }
    }
}

/// A page of an overlay, and the address of its copy.
#[derive(Debug, Clone, Copy)]
pub(super) struct Page {
    pub start: usize,
    pub copy: Option<usize>,
}
