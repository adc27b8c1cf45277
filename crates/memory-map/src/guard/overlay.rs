//! What the handler laid over pages that could not be accessed, until they are healed.
//!
//! The handler cannot allocate, so there is room for a few covers, and more of them live in pages
//! that it maps. Their number is small by construction: the more there are, the larger the next
//! one is (`extent`), because each costs the process some of its `vm.max_map_count` areas.

use std::mem::MaybeUninit;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::vma_reserve::{self, with_spares};
use crate::protection::Protection;
use crate::sys;

/// What lies over the pages.
#[derive(Debug, Clone, Copy)]
pub(super) enum How {
    /// Scratch memory: loads read zeros.
    Zeros,
    /// The same part of the same file, mapped privately where it is stored to: loads read the file.
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
    /// Of the fault.
    pub id: u64,
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
    count: usize,
    few: [MaybeUninit<Cover>; FEW],
    /// Where the covers are once they are more, CAPACITY at most; else null.
    many: *mut Cover,
}

/// Covers of all regions, against the limit of the process.
static TOTAL: AtomicUsize = AtomicUsize::new(0);

/// So many covers are noted even where the system has no more memory areas to give.
const FEW: usize = 2;
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
        Self { count: 0, few: [MaybeUninit::uninit(); FEW], many: std::ptr::null_mut() }
    }

    fn entries(&self) -> *const Cover {
        if self.many.is_null() { self.few.as_ptr().cast() } else { self.many }
    }

    fn entries_mut(&mut self) -> *mut Cover {
        if self.many.is_null() { self.few.as_mut_ptr().cast() } else { self.many }
    }

    pub fn as_slice(&self) -> &[Cover] {
        // SAFETY: `push` initialised the first `count` entries, of which there are FEW here or
        // CAPACITY in a mapping that only `clear` unmaps, and that takes `&mut self`.
        unsafe { std::slice::from_raw_parts(self.entries(), self.count) }
    }

    /// The newest cover over `page`.
    pub fn over(&self, page: usize) -> Option<Cover> {
        self.as_slice().iter().rev().find(|cover| cover.start <= page && page < cover.end).copied()
    }

    /// The largest range around `page` inside `within` that no cover touches, but for those over
    /// `page` itself.
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
        if TOTAL.load(Ordering::Relaxed) >= CROWDED || vma_reserve::are_few() {
            return gap;
        }
        let doublings = self.count.saturating_sub(SINGLE).div_ceil(STEP).min(40) as u32;
        let fits = doublings < grain.leading_zeros();
        let size = if fits { grain << doublings } else { usize::MAX / 2 + 1 };
        let first = sys::floor(page, size);
        gap.start.max(first)..gap.end.min(first.saturating_add(size))
    }

    /// Whether the process has so many covers that memory areas should be saved.
    pub fn are_many(&self) -> bool {
        TOTAL.load(Ordering::Relaxed) >= MANY || vma_reserve::are_few()
    }

    /// Notes a cover; `false` where there is no room for it.
    pub fn push(&mut self, cover: Cover) -> bool {
        if !self.has_room() {
            return self.absorb(cover);
        }
        let count = self.count;
        // SAFETY: there is room for more than `count` entries.
        let entry = unsafe { self.entries_mut().add(count) };
        // SAFETY: as above; `Cover` has no destructor that an overwrite would skip.
        unsafe { entry.write(cover) };
        self.count += 1;
        TOTAL.fetch_add(1, Ordering::Relaxed);
        true
    }

    /// Whether there is room for one more, or could be made.
    pub fn has_room(&mut self) -> bool {
        if !self.many.is_null() {
            return self.count < CAPACITY;
        }
        if self.count < FEW {
            return true;
        }
        let pages = sys::Pages::Anonymous { reserve: false };
        let bytes = CAPACITY * size_of::<Cover>();
        let mapped = with_spares(|| sys::map(0, bytes, Protection::ReadWrite, pages));
        let Ok(pointer) = mapped else { return false };
        let many = pointer.cast::<Cover>();
        // SAFETY: all of `few` is initialised; the mapping is larger, page-aligned and new.
        unsafe { many.copy_from_nonoverlapping(self.few.as_ptr().cast(), FEW) };
        self.many = many;
        true
    }

    /// Widens a cover to a new one: one of zeros if that is beside or over it, and one that is the
    /// pages themselves, which may take others of them in. They are told as one fault.
    fn absorb(&mut self, cover: Cover) -> bool {
        let count = self.count;
        // SAFETY: as in `as_slice`, and `self` is borrowed mutably.
        let entries = unsafe { std::slice::from_raw_parts_mut(self.entries_mut(), count) };
        let below = entries.iter_mut().find(|old| {
            let fits = match (old.how, cover.how) {
                (How::Zeros, How::Zeros) => cover.start <= old.end && old.start <= cover.end,
                (How::Opened, How::Opened) => true,
                _ => false,
            };
            fits && old.cause == cover.cause
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
        if !self.many.is_null() {
            // SAFETY: `has_room` mapped it with this length, and nothing refers to it any more.
            unsafe { sys::unmap(self.many as usize, CAPACITY * size_of::<Cover>()) };
            self.many = std::ptr::null_mut();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: usize = 4096;

    fn zeros(range: Range<usize>, page: usize) -> Cover {
        Cover {
            id: 1,
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
        const PAGES: usize = if usize::BITS < 64 { 1 << 18 } else { 1 << 21 };
        let (within, mut covers) = (0..PAGES * PAGE, Covers::new());
        let mut state = 1u64;
        for _ in 0..200_000 {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            let page = (state >> 33) as usize % PAGES * PAGE;
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
