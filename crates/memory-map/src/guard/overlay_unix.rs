//! Overlaying pages and putting them back where MAP_FIXED replaces any of them in one step.

use std::ops::Range;

use super::overlay::{How, Overlay};
use super::record::Inner;
use super::scratch_windows::ScratchWindows;
use super::vma_reserve::with_vma_reserve;
use crate::protection::Protection;
use crate::sys::{self, Backing};

/// What a window of an overlay is to have.
#[derive(Clone, Copy)]
enum Scratch {
    /// The zeros that are there.
    Same,
    /// Zeros in place of what is there.
    Zeros,
    /// What the file has, at a protection.
    Copies(Protection),
}

impl Inner {
    /// Whether `overlay_with_zeros` loses nothing that is nowhere else.
    pub(super) fn can_overlay_with_zeros(&self) -> bool {
        true
    }

    /// Lays zeros over pages that cannot be had. *handler*
    ///
    /// They are read-only, so that loads take no memory (and no promise of any, which strict
    /// overcommit would ask for), and stores open windows.
    pub(super) fn overlay_with_zeros(&mut self, part: Range<usize>) -> Option<(Range<usize>, How)> {
        self.close_windows(&part); // one that reaches out of the part would be closed over it later
        self.lay_zeros(&part, Protection::Read).then_some((part, How::Zeros))
    }

    fn lay_zeros(&self, part: &Range<usize>, protection: Protection) -> bool {
        with_vma_reserve(|| {
            // SAFETY: the part lies in this region, whose lock is held.
            unsafe { sys::map_over(part.start, part.len(), protection, Backing::Zeros) }
        })
        .is_ok()
    }

    /// Lets stores to all of `part` succeed, whose overlay is not noted: none of its windows would ever be
    /// closed. *handler*
    pub(super) fn allow_all_stores(&self, part: &Range<usize>, how: How) {
        if matches!(how, How::Zeros) {
            self.lay_zeros(part, Protection::ReadWrite);
        }
    }

    /// Lets stores to a page under an overlay succeed. *handler*
    pub(super) fn allow_stores(
        &mut self,
        page: usize,
        overlay: &Overlay,
        protection: Protection,
    ) -> bool {
        match overlay.how {
            How::Zeros | How::PrivateFile => {
                self.open_window(page, overlay.start..overlay.end, overlay.how, protection)
            }
            How::Saved(_) | How::Exposed => {
                self.change(&(page..page + self.page_size), protection.with_stores())
            }
        }
    }

    /// Whether stores to a page under an overlay succeed. *handler*
    pub(super) fn allows_stores(&self, page: usize, overlay: &Overlay) -> bool {
        match overlay.how {
            How::Zeros | How::PrivateFile => {
                self.scratch_windows.meeting(page..page + 1).next().is_some()
            }
            How::Saved(_) | How::Exposed => true,
        }
    }

    /// Opens a window of scratch memory around `page` of an overlay over `within`. *handler*
    fn open_window(
        &mut self,
        page: usize,
        within: Range<usize>,
        how: How,
        protection: Protection,
    ) -> bool {
        if self.scratch_windows.meeting(page..page + 1).next().is_some() {
            return true; // another thread was first
        }
        if let Some(oldest) = self.scratch_windows.surplus() {
            self.close_windows(&oldest);
        }
        let gap = self.overlays.gap(page, within);
        let window = ScratchWindows::around(page, &gap, self.page_size);
        // Two, because a store can reach across the edge of a page.
        let pages = page..gap.end.min(page + 2 * self.page_size);
        // A window is two memory areas more; where the system has none left, the gap is none. Where
        // it grants hardly any memory, it may grant two pages.
        let parts = [window, gap, pages];
        let mut any = |scratch| parts.iter().any(|part| self.try_window(part, scratch));
        match how {
            How::Zeros => any(Scratch::Same),
            _ => any(Scratch::Copies(protection.with_stores())) || any(Scratch::Zeros),
        }
    }

    /// Makes `part` one that can be stored to. *handler*
    fn try_window(&mut self, part: &Range<usize>, scratch: Scratch) -> bool {
        self.close_windows(part);
        let opened = match scratch {
            Scratch::Same => self.change(part, Protection::ReadWrite),
            Scratch::Zeros => self.lay_zeros(part, Protection::ReadWrite),
            Scratch::Copies(protection) => {
                let backing = self.backing_at(part.start).private().without_reserve();
                let map = || {
                    // SAFETY: the part lies in this region, whose lock is held. The file is the
                    // one that was mapped, or it is not even tried.
                    unsafe { sys::map_over(part.start, part.len(), protection, backing) }
                };
                self.file().is_some() && with_vma_reserve(map).is_ok()
            }
        };
        if opened {
            self.scratch_windows.push(part);
        }
        opened
    }

    /// Closes the windows that meet `part`. *handler*
    fn close_windows(&mut self, part: &Range<usize>) {
        for window in self.scratch_windows.meeting(part.clone()) {
            self.close(window);
        }
        self.scratch_windows.forget(part);
    }

    /// Takes the memory of a window away, and with it what was stored there. Where that cannot be
    /// done the window stays as it is, until it is healed. *handler*
    fn close(&self, window: Range<usize>) {
        match self.overlays.over(window.start).map(|overlay| overlay.how) {
            Some(How::Zeros) => self.lay_zeros(&window, Protection::Read),
            Some(How::PrivateFile) => self.map_again(window, None),
            _ => false,
        };
    }

    /// Overlays a page that its protection forbids to access, and that can be mapped again. *handler*
    pub(super) fn overlay_replaceable(
        &mut self,
        page: usize,
        run: Range<usize>,
        protection: Protection,
    ) -> Option<(Range<usize>, How)> {
        if self.has_closed_file() {
            // The zeros stay, so no more than need be is lost.
            let part = self.overlays.extent(page, run, self.page_size);
            return self.overlay_with_zeros(part);
        }
        let whole = self.overlays.gap(page, run);
        // A driver may refuse a private mapping, and the pages would be gone by then.
        let regular = self.sized;
        if protection == Protection::None || !regular || self.file().is_none() {
            return self.overlay_with_zeros(whole);
        }
        let opened = self.open_window(page, whole.clone(), How::PrivateFile, protection);
        opened.then_some((whole, How::PrivateFile))
    }

    /// Hides what private pages hold, which was saved, behind writable zeros. *handler*
    pub(super) fn conceal(&self, part: &Range<usize>) -> bool {
        // Under strict overcommit (vm.overcommit_memory = 2) writable memory counts even without a
        // reservation; read-only memory does not, and its pages are opened one by one.
        self.lay_zeros(part, Protection::ReadWrite) || self.lay_zeros(part, Protection::Read)
    }

    /// Makes pages that `conceal` hid those of the file again, writable.
    pub(super) fn reveal(&self, range: &Range<usize>) -> bool {
        // Of a file that is closed the copy is all that there is; it goes into the zeros.
        !self.is_of_file()
            || self.has_closed_file()
            || self.map_again(range.clone(), Some(Protection::ReadWrite))
    }

    /// Maps the whole region again, on systems that cannot do less: not here.
    pub(super) fn map_all_again(&self) -> Option<bool> {
        None
    }

    /// What stays over the pages of an overlay that could not be mapped again.
    pub(super) fn stuck_over(&self, overlay: Overlay) -> Overlay {
        overlay
    }

    /// Maps `range` as it was at first, at its true protection or at the one given.
    pub(super) fn map_again(&self, range: Range<usize>, protection: Option<Protection>) -> bool {
        if self.is_of_file() && self.file().is_none() {
            return false;
        }
        self.runs_in(range).all(|(part, run)| {
            let backing = self.backing_at(part.start);
            with_vma_reserve(|| {
                // SAFETY: the part lies in this region, whose lock is held.
                unsafe { sys::map_over(part.start, part.len(), protection.unwrap_or(run), backing) }
            })
            .is_ok()
        })
    }

    /// Gives a range a protection that was refused with `errno`, by mapping it again: that does not help
    /// here.
    pub fn map_stronger(
        &mut self,
        _range: &Range<usize>,
        _protection: Protection,
        errno: i32,
    ) -> Result<(), i32> {
        Err(errno)
    }
}
