//! What the handler laid over pages that could not be accessed, until they are healed.
//!
//! The handler cannot allocate, so there is room for a few overlays, and more of them live in pages
//! that it maps. Their number is small by construction: the more there are, the larger the next
//! one is (`extent`), because each costs the process some of its `vm.max_map_count` areas.

use std::mem::MaybeUninit;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::saved::Saved;
use super::vma_reserve::{self, with_vma_reserve};
use crate::protection::Protection;
use crate::sys;

/// What lies over the pages.
#[derive(Debug, Clone, Copy)]
pub(super) enum How {
    /// Scratch memory: loads read zeros.
    Zeros,
    /// The same part of the same file, mapped privately where it is stored to: loads read the file.
    PrivateFile,
    /// The pages themselves, made writable; their contents were saved.
    Saved(Saved),
    /// The pages themselves, made writable; their contents could not be saved.
    Exposed,
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
pub(super) enum AccessKind {
    #[cfg_attr(windows, allow(dead_code))]
    Unknown,
    #[cfg_attr(unix, allow(dead_code))]
    Load,
    #[cfg_attr(unix, allow(dead_code))]
    Store,
    #[cfg_attr(unix, allow(dead_code))]
    Fetch,
}

impl AccessKind {
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

/// One overlay.
#[derive(Debug, Clone, Copy)]
pub(super) struct Overlay {
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
pub(super) struct Overlays {
    count: usize,
    few: [MaybeUninit<Overlay>; FEW],
    /// Where the overlays are once they are more, CAPACITY at most; else null.
    many: *mut Overlay,
}

/// Overlays of all regions, against the limit of the process.
static TOTAL: AtomicUsize = AtomicUsize::new(0);

/// How many overlays can be noted even if the system has no more memory areas to give.
const FEW: usize = 2;
const CAPACITY: usize = 1 << 16;
/// How many overlays of a region have one page each, before they grow.
const SINGLE: usize = 1024;
/// After how many more overlays their size doubles again.
const STEP: usize = 32;
/// With this many overlays in the process, small runs are overlaid whole.
const MANY_OVERLAYS: usize = 1024;
/// With this many overlays in the process, each new one takes all that it may.
const CROWDED: usize = 8192;

impl Overlays {
    pub const fn new() -> Self {
        Self { count: 0, few: [MaybeUninit::uninit(); FEW], many: std::ptr::null_mut() }
    }

    fn entries(&self) -> *const Overlay {
        if self.many.is_null() { self.few.as_ptr().cast() } else { self.many }
    }

    fn entries_mut(&mut self) -> *mut Overlay {
        if self.many.is_null() { self.few.as_mut_ptr().cast() } else { self.many }
    }

    pub fn as_slice(&self) -> &[Overlay] {
        // SAFETY: `push` initialised the first `count` entries, of which there are FEW here or
        // CAPACITY in a mapping that only `clear` unmaps, and that takes `&mut self`.
        unsafe { std::slice::from_raw_parts(self.entries(), self.count) }
    }

    /// The newest overlay over `page`.
    pub fn over(&self, page: usize) -> Option<Overlay> {
        self.as_slice()
            .iter()
            .rev()
            .find(|overlay| overlay.start <= page && page < overlay.end)
            .copied()
    }

    /// The largest range around `page` inside `within` that no overlay touches, but for those over
    /// `page` itself.
    pub fn gap(&self, page: usize, within: Range<usize>) -> Range<usize> {
        let (mut start, mut end) = (within.start, within.end);
        for overlay in self.as_slice() {
            if overlay.end <= page {
                start = start.max(overlay.end);
            } else if overlay.start > page {
                end = end.min(overlay.start);
            }
        }
        start..end
    }

    /// The part of the gap around `page` that a new overlay takes: a page of `page_size` bytes at first, more
    /// as overlays become many.
    pub fn extent(&self, page: usize, within: Range<usize>, page_size: usize) -> Range<usize> {
        let gap = self.gap(page, within);
        if TOTAL.load(Ordering::Relaxed) >= CROWDED || vma_reserve::are_few() {
            return gap;
        }
        let doublings = self.count.saturating_sub(SINGLE).div_ceil(STEP).min(40) as u32;
        let fits = doublings < page_size.leading_zeros();
        let size = if fits { page_size << doublings } else { usize::MAX / 2 + 1 };
        let first = sys::floor(page, size);
        gap.start.max(first)..gap.end.min(first.saturating_add(size))
    }

    /// Whether the process has so many overlays that memory areas should be saved.
    pub fn are_many(&self) -> bool {
        TOTAL.load(Ordering::Relaxed) >= MANY_OVERLAYS || vma_reserve::are_few()
    }

    /// Notes an overlay; `false` if there is no room for it.
    pub fn push(&mut self, overlay: Overlay) -> bool {
        if !self.has_room() {
            return self.absorb(overlay);
        }
        let count = self.count;
        // SAFETY: there is room for more than `count` entries.
        let entry = unsafe { self.entries_mut().add(count) };
        // SAFETY: as above; `Overlay` has no destructor that an overwrite would skip.
        unsafe { entry.write(overlay) };
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
        let backing = sys::Backing::Memory { reserve: false };
        let bytes = CAPACITY * size_of::<Overlay>();
        let mapped = with_vma_reserve(|| sys::map(0, bytes, Protection::ReadWrite, backing));
        let Ok(pointer) = mapped else { return false };
        let many = pointer.cast::<Overlay>();
        // SAFETY: all of `few` is initialised; the mapping is larger, page-aligned and new.
        unsafe { many.copy_from_nonoverlapping(self.few.as_ptr().cast(), FEW) };
        self.many = many;
        true
    }

    /// Widens an old overlay to take in a new one, and tells both as one fault: an overlay of zeros if the new
    /// one touches it, and exposed pages in any case.
    fn absorb(&mut self, overlay: Overlay) -> bool {
        let count = self.count;
        // SAFETY: as in `as_slice`, and `self` is borrowed mutably.
        let entries = unsafe { std::slice::from_raw_parts_mut(self.entries_mut(), count) };
        let below = entries.iter_mut().find(|old| {
            let fits = match (old.how, overlay.how) {
                (How::Zeros, How::Zeros) => overlay.start <= old.end && old.start <= overlay.end,
                (How::Exposed, How::Exposed) => true,
                _ => false,
            };
            fits && old.cause == overlay.cause
        });
        below.is_some_and(|old| {
            let (start, end) = (old.start.min(overlay.start), old.end.max(overlay.end));
            *old = Overlay { start, end, ..overlay };
            true
        })
    }

    /// Forgets all overlays and gives the log back.
    pub fn clear(&mut self) {
        TOTAL.fetch_sub(self.count, Ordering::Relaxed);
        self.count = 0;
        if !self.many.is_null() {
            // SAFETY: `has_room` mapped it with this length, and nothing refers to it any more.
            unsafe { sys::unmap(self.many as usize, CAPACITY * size_of::<Overlay>()) };
            self.many = std::ptr::null_mut();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: usize = 4096;

    fn zeros(range: Range<usize>, page: usize) -> Overlay {
        Overlay {
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
    fn scattered_faults_need_few_overlays() {
        const PAGES: usize = if usize::BITS < 64 { 1 << 18 } else { 1 << 21 };
        let (within, mut overlays) = (0..PAGES * PAGE, Overlays::new());
        let mut state = 1u64;
        for _ in 0..200_000 {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            let page = (state >> 33) as usize % PAGES * PAGE;
            if overlays.over(page).is_none() {
                let range = overlays.extent(page, within.clone(), PAGE);
                assert!(range.contains(&page) && range.start % PAGE == 0 && range.end % PAGE == 0);
                assert!(overlays.push(zeros(range, page)));
            }
        }
        assert!(overlays.as_slice().len() < 5000, "{}", overlays.as_slice().len());
        overlays.clear();
    }

    #[test]
    fn overlays_never_overlap() {
        let mut overlays = Overlays::new();
        assert!(overlays.push(zeros(10 * PAGE..20 * PAGE, 10 * PAGE)));
        TOTAL.fetch_add(CROWDED, Ordering::Relaxed);
        assert_eq!(overlays.extent(3 * PAGE, 0..100 * PAGE, PAGE), 0..10 * PAGE);
        assert_eq!(overlays.extent(50 * PAGE, 0..100 * PAGE, PAGE), 20 * PAGE..100 * PAGE);
        TOTAL.fetch_sub(CROWDED, Ordering::Relaxed);
        overlays.clear();
    }
}
