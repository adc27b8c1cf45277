//! The few parts of a region's overlays that can be stored to at a time.
//!
//! What is stored under an overlay is thrown away, so it need not be kept for long: a store opens a
//! window of scratch memory around it, and closes the oldest where there are enough. So stores to
//! every page of a mapping, however large, take `COUNT * SIZE` bytes of memory at a time.

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::vma_reserve;
use crate::sys;

/// Bytes of a window, which begins and ends at multiples of that, or at the overlay's edges.
const SIZE: usize = 8 << 20;

/// Windows of one region. A store that reaches across an edge needs two at once; with more, several threads
/// can store in places of their own without closing each other's.
const COUNT: usize = 8;

/// With this many windows in the process, each new one takes all that it may: each needs up to two memory
/// areas, of which a process has some 65,000.
const MANY_WINDOWS: usize = 1024;

/// Windows of all regions.
static TOTAL: AtomicUsize = AtomicUsize::new(0);

/// The windows of one region. They never overlap.
pub(super) struct ScratchWindows {
    windows: [(usize, usize); COUNT],
    oldest: usize,
}

const CLOSED: (usize, usize) = (0, 0);

impl ScratchWindows {
    pub const fn new() -> Self {
        Self { windows: [CLOSED; COUNT], oldest: 0 }
    }

    /// The windows that meet `range`.
    pub fn meeting(&self, range: Range<usize>) -> impl Iterator<Item = Range<usize>> {
        let meets = move |&(start, end): &(usize, usize)| start < range.end && range.start < end;
        self.windows.into_iter().filter(meets).map(|(start, end)| start..end)
    }

    /// The window to open around `page` in `gap`, of pages of `page_size` bytes.
    pub fn around(page: usize, gap: &Range<usize>, page_size: usize) -> Range<usize> {
        if TOTAL.load(Ordering::Relaxed) >= MANY_WINDOWS || vma_reserve::are_few() {
            return gap.clone();
        }
        let size = SIZE.max(page_size);
        let first = sys::floor(page, size);
        gap.start.max(first)..gap.end.min(first.saturating_add(size))
    }

    /// The window that has to be closed before another is opened, if there are enough.
    pub fn surplus(&self) -> Option<Range<usize>> {
        let (start, end) = self.windows.get(self.oldest).copied()?;
        (start < end).then_some(start..end)
    }

    /// Notes a window that was opened. There must be no surplus.
    pub fn push(&mut self, window: &Range<usize>) {
        if let Some(entry) = self.windows.get_mut(self.oldest) {
            *entry = (window.start, window.end);
            self.oldest = (self.oldest + 1) % COUNT;
            TOTAL.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Forgets the windows that meet `range`.
    pub fn forget(&mut self, range: &Range<usize>) {
        for entry in &mut self.windows {
            if entry.0 < range.end && range.start < entry.1 {
                *entry = CLOSED;
                TOTAL.fetch_sub(1, Ordering::Relaxed);
            }
        }
    }

    /// Forgets all windows.
    pub fn clear(&mut self) {
        self.forget(&(0..usize::MAX));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: usize = 4096;

    #[test]
    fn windows_are_few_and_aligned_and_the_oldest_goes_first() {
        const END: usize = 1 << 30;
        let (gap, mut scratch_windows) = (PAGE..END, ScratchWindows::new());
        assert_eq!(ScratchWindows::around(2 * PAGE, &gap, PAGE), PAGE..SIZE);
        assert_eq!(ScratchWindows::around(SIZE, &gap, PAGE), SIZE..2 * SIZE);
        assert_eq!(ScratchWindows::around(END - PAGE, &gap, 4 * SIZE), END - 4 * SIZE..END);
        for i in 0..3 * COUNT {
            let surplus = i.checked_sub(COUNT).map(|old| (old * SIZE).max(PAGE)..(old + 1) * SIZE);
            assert_eq!(scratch_windows.surplus(), surplus);
            surplus.inspect(|surplus| scratch_windows.forget(surplus));
            scratch_windows.push(&ScratchWindows::around(i * SIZE + PAGE, &gap, PAGE));
        }
        assert_eq!(scratch_windows.meeting(0..usize::MAX).count(), COUNT);
        scratch_windows.forget(&(0..(2 * COUNT + 1) * SIZE));
        assert_eq!(scratch_windows.meeting(0..usize::MAX).count(), COUNT - 1);
        assert_eq!(scratch_windows.surplus(), None);
        scratch_windows.clear();
        assert_eq!(scratch_windows.meeting(0..usize::MAX).count(), 0);
    }
}
