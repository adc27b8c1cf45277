//! Overlaying pages and putting them back where only a whole region can be replaced.
//!
//! A file's region is one view. A part of it can be made copy-on-write, but not be replaced; the
//! whole can be, in its placeholder (see `sys`). Memory without a file can be replaced by parts.

use std::ops::Range;

use super::overlay::{Cause, How, Overlay};
use super::record::Inner;
use crate::fault::Fault;
use crate::protection::Protection;
use crate::sys::{self, Backing};

impl Inner {
    /// Whether `overlay_with_zeros` loses nothing that is nowhere else.
    pub(super) fn can_overlay_with_zeros(&self) -> bool {
        !self.is_of_file() || self.is_replaceable()
    }

    /// Lays zeros over pages that cannot be had: of a file, over all of them. *handler*
    pub(super) fn overlay_with_zeros(&self, part: Range<usize>) -> Option<(Range<usize>, How)> {
        let (part, backing) = match self.backing {
            Backing::File { .. } => (self.start..self.end, Backing::Zeros),
            memory => (part, memory),
        };
        // SAFETY: the part lies in this region, whose lock is held; of a file it is the whole.
        let mapped =
            unsafe { sys::map_over(part.start, part.len(), Protection::ReadWrite, backing) };
        mapped.ok().map(|()| (part, How::Zeros))
    }

    /// Overlays a page that its protection forbids to access, and that can be mapped again. *handler*
    pub(super) fn overlay_replaceable(
        &self,
        page: usize,
        run: Range<usize>,
        protection: Protection,
    ) -> Option<(Range<usize>, How)> {
        if !self.is_of_file() {
            return self.overlay_with_zeros(self.overlays.extent(page, run, self.page_size));
        }
        let all = self.start..self.end;
        if run == all && self.overlays.as_slice().is_empty() {
            if protection == Protection::None {
                return self.overlay_with_zeros(all);
            }
            let copies = self.backing.private();
            // SAFETY: this is the whole region, whose lock is held.
            if unsafe { sys::map_over(all.start, all.len(), protection.with_stores(), copies) }
                .is_ok()
            {
                return Some((all, How::PrivateFile));
            }
            // Copy-on-write memory is charged in advance: a page may be granted where not all are.
            if sys::is_reserved(self.start) && !self.map_file() {
                return Some((all, How::Zeros));
            }
        }
        let part = self.overlays.extent(page, run, self.page_size);
        // SAFETY: the part lies in this region, whose lock is held.
        unsafe { sys::divert_stores(part.start, part.len(), protection.executable()) }.ok()?;
        if protection == Protection::None {
            fill_with_zeros(&part);
        }
        Some((part, How::PrivateFile))
    }

    /// Lets stores to all of an overlay succeed: they already do.
    pub(super) fn allow_all_stores(&self, _part: &Range<usize>, _how: How) {}

    /// Lets stores to a page under an overlay succeed. *handler*
    pub(super) fn allow_stores(
        &mut self,
        page: usize,
        overlay: &Overlay,
        _protection: Protection,
    ) -> bool {
        // SAFETY: the page lies in this region, whose lock is held.
        let commit = |page| unsafe { sys::commit_zeros(page, self.page_size) }.is_ok();
        !matches!(overlay.how, How::Zeros) || commit(page)
    }

    /// Not asked: exceptions tell why an access failed.
    pub(super) fn allows_stores(&self, _page: usize, _overlay: &Overlay) -> bool {
        false
    }

    /// Hides what private pages hold, which was saved, behind writable zeros. *handler*
    pub(super) fn conceal(&self, part: &Range<usize>) -> bool {
        // SAFETY: the part lies in this region, whose lock is held.
        let writable = unsafe { sys::protect(part.start, part.len(), Protection::ReadWrite) };
        writable.is_ok() && fill_with_zeros(part)
    }

    /// Makes pages that `conceal` hid those of the file again: they still are.
    pub(super) fn reveal(&self, _range: &Range<usize>) -> bool {
        true
    }

    /// Puts all that can be mapped again back at once: a view comes back only whole.
    pub(super) fn map_all_again(&self) -> Option<bool> {
        self.is_of_file().then(|| self.map_file())
    }

    /// What stays over the pages of an overlay that could not be mapped again: where the view was lost
    /// over that, zeros over all.
    pub(super) fn stuck_over(&self, overlay: Overlay) -> Overlay {
        let lost = self.is_of_file() && sys::is_reserved(self.start);
        if lost {
            Overlay { start: self.start, end: self.end, how: How::Zeros, ..overlay }
        } else {
            overlay
        }
    }

    /// Maps `range` as it was at first, at its true protection.
    pub(super) fn map_again(&self, range: Range<usize>, _protection: Option<Protection>) -> bool {
        if self.is_of_file() {
            return self.map_file();
        }
        self.runs_in(range).all(|(part, run)| {
            let backing = self.backing;
            // SAFETY: the part lies in this region, whose lock is held.
            unsafe { sys::map_over(part.start, part.len(), run, backing) }.is_ok()
        })
    }

    /// Maps the whole file again, every run at its protection.
    fn map_file(&self) -> bool {
        let strongest = self
            .runs_in(self.start..self.end)
            .map(|(_, protection)| protection)
            .reduce(union)
            .unwrap_or(Protection::Read);
        self.map_file_for(strongest).is_ok()
    }

    /// Maps the whole file again so that it can have up to `strongest`, every run at its
    /// protection.
    ///
    /// Where runs differ, a page that is read-only among writable ones is writable for a moment: a
    /// view grants no more than it was made with.
    fn map_file_for(&self, strongest: Protection) -> Result<(), i32> {
        let length = self.end - self.start;
        // SAFETY: this is the whole region, whose lock is held.
        unsafe { sys::map_over(self.start, length, strongest, self.backing) }?;
        for (part, protection) in self.runs_in(self.start..self.end) {
            if protection != strongest {
                // SAFETY: the part lies in this region, whose lock is held.
                unsafe { sys::protect(part.start, part.len(), protection) }?;
            }
        }
        Ok(())
    }

    /// Gives a range a protection that was refused with `errno`: a view has only what it was made
    /// with, so a new one is made, if the file is open for that.
    pub fn map_stronger(
        &mut self,
        range: &Range<usize>,
        protection: Protection,
        errno: i32,
    ) -> Result<(), i32> {
        if !self.is_of_file() {
            return Err(errno);
        }
        // A new view would not have what was stored to this one.
        if !self.is_replaceable() {
            return Err(sys::EACCES);
        }
        let strongest = self
            .runs_in(self.start..self.end)
            .map(|(_, protection)| protection)
            .fold(protection, union);
        let mapped = self.map_file_for(strongest).and_then(|()| {
            // SAFETY: the range lies in this region, whose lock is held.
            unsafe { sys::protect(range.start, range.len(), protection) }
        });
        if mapped.is_ok() {
            self.drop_overlays();
        } else if sys::is_reserved(self.start) {
            self.overlays.push(Overlay {
                id: Fault::next_id(),
                start: self.start,
                end: self.end,
                how: How::Zeros,
                cause: Cause::Backing,
                page: self.start,
                size: None,
                told: false,
            });
        }
        mapped
    }
}

/// The weakest protection that allows what either does.
fn union(a: Protection, b: Protection) -> Protection {
    match (a.writable() || b.writable(), a.executable() || b.executable()) {
        (true, true) => Protection::ReadWriteExecute,
        (true, false) => Protection::ReadWrite,
        (false, true) => Protection::ReadExecute,
        (false, false) if a.readable() || b.readable() => Protection::Read,
        (false, false) => Protection::None,
    }
}

/// Makes accessible pages zero; whether that was possible. *handler*
fn fill_with_zeros(part: &Range<usize>) -> bool {
    static ZEROS: [u8; 4096] = [0; 4096];
    let mut at = part.start;
    while at < part.end {
        let length = ZEROS.len().min(part.end - at);
        // SAFETY: the part lies in a region whose lock the caller holds, and ZEROS is as long.
        if unsafe { sys::poke(ZEROS.as_ptr(), at, length) } < length {
            return false;
        }
        at += length;
    }
    true
}
