//! What the handler laid over pages that could not be accessed, until they are healed.
//!
//! The handler cannot allocate, so the log lives in pages of its own that it maps at the first
//! fault. The number of covers is small by construction: the more there are, the larger the next
//! one is (`extent`), because each costs the process some of its `vm.max_map_count` areas.

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::os;
use crate::protection::Protection;

/// What lies over the pages.
#[derive(Debug, Clone, Copy)]
pub(super) enum How {
    /// Scratch memory: loads read zeros.
    Zeros,
    /// The same part of the same file, mapped privately: loads read the file.
    PrivateFile,
    /// The pages themselves, made writable; their contents were saved at this address.
    Saved { copy: usize },
    /// The pages themselves, made writable; their contents could not be saved.
    Opened,
}

/// Why the access faulted, as far as the handler can tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    /// The protection forbids it.
    Protection,
    /// What the page is mapped from does not deliver it.
    Backing,
}

/// What the access was, as far as the handler can tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    #[cfg_attr(windows, allow(dead_code))]
    Unknown,
    #[cfg_attr(unix, allow(dead_code))]
    Load,
    #[cfg_attr(unix, allow(dead_code))]
    Store,
    #[cfg_attr(unix, allow(dead_code))]
    Fetch,
}

impl Access {
    /// Whether a page of `protection` lets it happen, so that it faulted only because the page
    /// was being put back.
    pub fn is_allowed_by(self, protection: Protection) -> bool {
        match self {
            Self::Unknown | Self::Store => protection.writable(),
            Self::Load => protection.readable(),
            Self::Fetch => protection.executable(),
        }
    }
}

/// One cover.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cover {
    pub start: usize,
    pub end: usize,
    pub how: How,
    pub cause: Cause,
    /// The page whose access faulted.
    pub page: usize,
    /// How long the file was at that moment, if there is one that has a length.
    pub size: Option<u64>,
    /// Whether it was reported, and stays because the page could not be put back.
    pub told: bool,
}

/// The log of one region.
pub(super) struct Covers {
    entries: *mut Cover,
    count: usize,
}

/// Covers of all regions, against the limit of the process.
static TOTAL: AtomicUsize = AtomicUsize::new(0);

const CAPACITY: usize = 1 << 16;
/// So many covers of one page each before they grow.
const SINGLE: usize = 256;
/// So many covers before the size doubles again.
const STEP: usize = 32;
/// So many covers in the process before small runs are covered whole.
const MANY: usize = 1024;
/// So many covers in the process before each new one takes all that it may.
const CROWDED: usize = 8192;

impl Covers {
    pub const fn new() -> Self {
        Self { entries: std::ptr::null_mut(), count: 0 }
    }

    pub fn as_slice(&self) -> &[Cover] {
        if self.count == 0 {
            return &[];
        }
        // SAFETY: `push` initialised the first `count` entries of a mapping of CAPACITY, which
        // only `clear` unmaps, and that takes `&mut self`.
        unsafe { std::slice::from_raw_parts(self.entries, self.count) }
    }

    /// The newest cover over `page`.
    pub fn over(&self, page: usize) -> Option<Cover> {
        self.as_slice().iter().rev().find(|cover| cover.start <= page && page < cover.end).copied()
    }

    /// The largest range around `page` inside `within` that no cover touches. `page` itself must
    /// be free.
    pub fn gap(&self, page: usize, within: Range<usize>) -> Range<usize> {
        let (mut start, mut end) = (within.start, within.end);
        for cover in self.as_slice() {
            if cover.end <= page {
                start = start.max(cover.end);
            } else if cover.start > page {
                end = end.min(cover.start);
            }
        }
        start..end
    }

    /// The part of the gap around `page` that a cover takes by now: a page of `grain` bytes at
    /// first, more and more the more covers there are.
    pub fn extent(&self, page: usize, within: Range<usize>, grain: usize) -> Range<usize> {
        let gap = self.gap(page, within);
        if TOTAL.load(Ordering::Relaxed) >= CROWDED {
            return gap;
        }
        let doublings = self.count.saturating_sub(SINGLE).div_ceil(STEP).min(40) as u32;
        let fits = doublings < grain.leading_zeros();
        let size = if fits { grain << doublings } else { usize::MAX / 2 + 1 };
        let first = os::floor(page, size);
        gap.start.max(first)..gap.end.min(first.saturating_add(size))
    }

    /// Whether the process has so many covers that memory areas should be saved.
    pub fn are_many(&self) -> bool {
        TOTAL.load(Ordering::Relaxed) >= MANY
    }

    /// Notes a cover; `false` where there is no room for it.
    pub fn push(&mut self, cover: Cover) -> bool {
        if self.count == CAPACITY {
            return self.absorb(cover);
        }
        if self.entries.is_null() {
            let bytes = CAPACITY * size_of::<Cover>();
            match os::map(0, bytes, Protection::ReadWrite, os::Pages::Anonymous { reserve: false })
            {
                Ok(pointer) => self.entries = pointer.cast(),
                Err(_) => return false,
            }
        }
        // SAFETY: the mapping has CAPACITY entries, is page-aligned, and `count` is below that.
        let entry = unsafe { self.entries.add(self.count) };
        // SAFETY: as above; `Cover` has no destructor that an overwrite would skip.
        unsafe { entry.write(cover) };
        self.count += 1;
        TOTAL.fetch_add(1, Ordering::Relaxed);
        true
    }

    /// Widens a cover of zeros to a new one beside or over it. They are told as one fault.
    fn absorb(&mut self, cover: Cover) -> bool {
        if !matches!(cover.how, How::Zeros) {
            return false;
        }
        // SAFETY: as in `as_slice`, and `self` is borrowed mutably.
        let entries = unsafe { std::slice::from_raw_parts_mut(self.entries, self.count) };
        let below = entries.iter_mut().find(|old| {
            matches!(old.how, How::Zeros)
                && old.cause == cover.cause
                && cover.start <= old.end
                && old.start <= cover.end
        });
        below.is_some_and(|old| {
            let (start, end) = (old.start.min(cover.start), old.end.max(cover.end));
            *old = Cover { start, end, ..cover };
            true
        })
    }

    /// Forgets all covers and gives the log back.
    pub fn clear(&mut self) {
        TOTAL.fetch_sub(self.count, Ordering::Relaxed);
        self.count = 0;
        if !self.entries.is_null() {
            // SAFETY: `push` mapped it with this length, and nothing refers to it any more.
            unsafe { os::unmap(self.entries as usize, CAPACITY * size_of::<Cover>()) };
            self.entries = std::ptr::null_mut();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: usize = 4096;

    fn zeros(range: Range<usize>, page: usize) -> Cover {
        Cover {
            start: range.start,
            end: range.end,
            how: How::Zeros,
            cause: Cause::Backing,
            page,
            size: None,
            told: false,
        }
    }

    #[test]
    fn scattered_faults_need_few_covers() {
        let (within, mut covers) = (0..(1 << 33), Covers::new());
        let mut state = 1u64;
        for _ in 0..200_000 {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            let page = (state >> 33) as usize % (1 << 21) * PAGE;
            if covers.over(page).is_none() {
                let range = covers.extent(page, within.clone(), PAGE);
                assert!(range.contains(&page) && range.start % PAGE == 0 && range.end % PAGE == 0);
                assert!(covers.push(zeros(range, page)));
            }
        }
        assert!(covers.as_slice().len() < 2000, "{}", covers.as_slice().len());
        covers.clear();
    }

    #[test]
    fn covers_never_overlap() {
        let mut covers = Covers::new();
        assert!(covers.push(zeros(10 * PAGE..20 * PAGE, 10 * PAGE)));
        TOTAL.fetch_add(CROWDED, Ordering::Relaxed);
        assert_eq!(covers.extent(3 * PAGE, 0..100 * PAGE, PAGE), 0..10 * PAGE);
        assert_eq!(covers.extent(50 * PAGE, 0..100 * PAGE, PAGE), 20 * PAGE..100 * PAGE);
        TOTAL.fetch_sub(CROWDED, Ordering::Relaxed);
        covers.clear();
    }
}
