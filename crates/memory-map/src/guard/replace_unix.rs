//! Covering pages and putting them back where MAP_FIXED replaces any of them in one step.

use std::ops::Range;

use super::covers::{Cover, How};
use super::slot::{Backing, Inner};
use crate::os::{self, Pages};
use crate::protection::Protection;

impl Inner {
    /// Whether `cover_with_zeros` loses nothing that is nowhere else.
    pub(super) fn can_cover_with_zeros(&self) -> bool {
        true
    }

    /// Lays zeros over pages that cannot be had. *handler*
    pub(super) fn cover_with_zeros(&self, part: Range<usize>) -> Option<(Range<usize>, How)> {
        // SAFETY: the part lies in this region, whose lock is held.
        let zeros =
            |protection| unsafe { os::map_over(part.start, part.len(), protection, Pages::Zeros) };
        // Under strict overcommit (vm.overcommit_memory = 2) writable memory counts even without a
        // reservation; read-only memory does not, and its pages are opened one by one.
        let mapped = zeros(Protection::ReadWrite).or_else(|_| zeros(Protection::Read));
        mapped.ok().map(|()| (part, How::Zeros))
    }

    /// Makes a page under a cover of private memory accessible again. *handler*
    pub(super) fn reopen(&self, page: usize, protection: Protection) -> bool {
        // SAFETY: the page lies in this region, whose lock is held.
        unsafe { os::protect(page, self.grain, protection.opened()) }.is_ok()
    }

    /// Covers a page that its protection forbids to access, and that can be mapped again. *handler*
    pub(super) fn cover_replaceable(
        &self,
        page: usize,
        run: Range<usize>,
        protection: Protection,
    ) -> Option<(Range<usize>, How)> {
        let whole = self.covers.gap(page, run.clone());
        // A driver may refuse a private mapping, and the pages would be gone by then.
        let regular = matches!(self.backing, Backing::File { sized: true, .. });
        if protection == Protection::None || !regular || self.file().is_none() {
            return self.cover_with_zeros(whole);
        }
        // The whole run at once, or, where the system will not promise so much memory, a part.
        [whole, self.covers.extent(page, run, self.grain)].into_iter().find_map(|part| {
            let pages = self.pages_at(part.start, false).without_reserve();
            // SAFETY: the part lies in this region, whose lock is held.
            let mapped =
                unsafe { os::map_over(part.start, part.len(), protection.opened(), pages) };
            mapped.ok().map(|()| (part, How::PrivateFile))
        })
    }

    /// Makes zeros that nobody could use yet accessible, `page` at least. *handler*
    pub(super) fn open_all(&self, zeros: &Range<usize>, page: usize) -> bool {
        self.cover_with_zeros(zeros.clone()).is_some() && {
            // SAFETY: the page lies in this region, whose lock is held.
            unsafe { os::open_zeros(page, os::page_size()) }.is_ok()
        }
    }

    /// Hides what private pages hold, which was saved, behind writable zeros. *handler*
    pub(super) fn conceal(&self, part: &Range<usize>) -> bool {
        self.cover_with_zeros(part.clone()).is_some()
    }

    /// Makes pages that `conceal` hid those of the file again, writable.
    pub(super) fn reveal(&self, range: &Range<usize>) -> bool {
        !matches!(self.backing, Backing::File { .. })
            || self.map_again(range.clone(), Some(Protection::ReadWrite))
    }

    /// Puts all that can be mapped again back at once, where the system can only do that.
    pub(super) fn map_all_again(&self) -> Option<bool> {
        None
    }

    /// What lies over the pages of a cover that could not be mapped again.
    pub(super) fn left_by(&self, cover: Cover) -> Cover {
        cover
    }

    /// Maps `range` as it was at first, at its true protection or at the one given.
    pub(super) fn map_again(&self, range: Range<usize>, protection: Option<Protection>) -> bool {
        let (is_file, shared) = match self.backing {
            Backing::Memory => (false, false),
            Backing::File { shared, .. } => (true, shared),
        };
        if is_file && self.file().is_none() {
            return false;
        }
        self.runs_in(range).all(|(part, run)| {
            let pages = self.pages_at(part.start, shared);
            // SAFETY: the part lies in this region, whose lock is held.
            unsafe { os::map_over(part.start, part.len(), protection.unwrap_or(run), pages) }
                .is_ok()
        })
    }

    /// Gives a range a protection that was refused with `errno`, by mapping it again: which does
    /// not help here.
    pub fn map_stronger(
        &mut self,
        _range: &Range<usize>,
        _protection: Protection,
        errno: i32,
    ) -> Result<(), i32> {
        Err(errno)
    }
}
