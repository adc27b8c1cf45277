//! Rolling back stray stores to private pages, which cannot be mapped again from anywhere: their contents
//! are copied before, and put back at the end.

use std::ops::Range;

use super::overlay::How;
use super::record::Inner;
use super::saved::Saved;
use super::vma_reserve::with_vma_reserve;
use crate::protection::Protection;
use crate::sys::{self, Backing};

/// Bytes that the copies of private pages may take in one region before a heal.
const MAX_SAVED: usize = 1 << 30;

/// How often pages are put back if they are stored to again in the meantime. Each time a thread more has done so, which
/// then waits in the handler for the lock.
const ATTEMPTS: usize = 64;

impl Inner {
    /// Copies what private pages hold, before anything can store to them. *handler*
    pub(super) fn save(&self, part: &Range<usize>, protection: Protection) -> Option<Saved> {
        let size = self.page_size;
        let pages = part.len().checked_div(size)?;
        let before: usize = self
            .overlays
            .as_slice()
            .iter()
            .map(|overlay| if let How::Saved(saved) = overlay.how { saved.charged } else { 0 })
            .sum();
        let room = MAX_SAVED.checked_div(size)?.saturating_sub(before);
        // A closed file cannot be mapped again where its pages were hidden. Shared memory looks like a file.
        let can_tell = size == sys::page_size() && !self.has_closed_file() && !self.shared_memory;
        let mut own = 0;
        let told = can_tell && sys::each_own_page(part, |_| own += 1);
        if told && own == 0 {
            return Some(Saved::NOTHING);
        }
        let may_be_zeros = !self.is_of_file() && !self.shared_memory;
        let most = if told { own } else { pages };
        if most > room && !(told && may_be_zeros) {
            return None;
        }
        if protection == Protection::None && !self.change(part, Protection::Read) {
            return None;
        }
        // One more, because a page of zeros is known by its copy.
        let length = Saved::bits(pages) + (most.min(room) + 1) * size;
        let backing = Backing::Memory { reserve: false };
        let address =
            with_vma_reserve(|| sys::map(0, length, Protection::ReadWrite, backing)).ok()? as usize;
        let mut saved = Saved { address, length, ..Saved::NOTHING };
        let mut all = true;
        let mut save = |page| {
            all = all && self.save_page(page, part, may_be_zeros, &mut saved).is_some();
        };
        if told {
            all = sys::each_own_page(part, &mut save) && all;
        } else {
            let mut page = part.start;
            while page < part.end {
                save(page);
                page += size;
            }
        }
        if !all || saved.is_empty() {
            saved.release();
        }
        let saved = if saved.is_empty() { Saved::NOTHING } else { saved };
        let charged = if told { saved.kept } else { pages };
        all.then_some(Saved { charged, ..saved })
    }

    /// Copies a page, unless it is zeros where that is what a new page would be. *handler*
    fn save_page(
        &self,
        page: usize,
        part: &Range<usize>,
        may_be_zeros: bool,
        saved: &mut Saved,
    ) -> Option<()> {
        let size = self.page_size;
        let pages = part.len().checked_div(size)?;
        let copy = saved.address + Saved::bits(pages) + saved.kept * size;
        let room = saved.address + saved.length - copy;
        if room < size {
            return None;
        }
        // SAFETY: there is room for a page at `copy`, in memory that only this thread knows of.
        let copied = unsafe { sys::peek(page, copy as *mut u8, size) }?;
        if copied < size {
            // A page that cannot be read has nothing to save: its copy is made unreadable too.
            with_vma_reserve(|| {
                // SAFETY: as above.
                unsafe { sys::protect(copy, size, Protection::None) }
            })
            .ok()?;
        } else if may_be_zeros {
            // SAFETY: the copy has `size` bytes, which were just stored, and is aligned to a page.
            let words = unsafe { std::slice::from_raw_parts(copy as *const u64, size / 8) };
            if words.iter().all(|word| *word == 0) {
                return Some(());
            }
        }
        if room < 2 * size {
            return None; // the one more is for zeros only
        }
        saved.kept += 1;
        if pages > 1 {
            let index = (page - part.start).checked_div(size)?;
            let byte = (saved.address + index / 8) as *mut u8;
            // SAFETY: there is a bit for each page, in memory that only this thread knows of.
            unsafe { *byte |= 1 << (index % 8) };
        }
        Some(())
    }

    /// Gives private pages their saved contents back.
    ///
    /// Other threads may store at any moment before the pages are protected again, so they are
    /// compared once more after that.
    pub(super) fn put_back(&self, range: Range<usize>, saved: &Saved) -> bool {
        let hidden = self.runs_in(range.clone()).any(|(_, run)| run == Protection::None);
        if hidden && !self.reveal(&range) {
            return false;
        }
        for _ in 0..ATTEMPTS {
            if !saved.is_empty() {
                let opened = self.change(&range, Protection::ReadWrite);
                if !opened || self.compare(&range, saved, true).is_none() {
                    return false;
                }
            }
            if !self.change(&range, Protection::Read) {
                return false;
            }
            if self.compare(&range, saved, false) == Some(true) {
                return self.empty(&range, saved) && self.protect_again(range);
            }
        }
        false
    }

    /// Whether the pages equal their copies; makes them so where `mend` is set. `None` if the
    /// pages cannot be compared or mended.
    fn compare(&self, range: &Range<usize>, saved: &Saved, mend: bool) -> Option<bool> {
        let mut now = vec![0u8; self.page_size];
        let mut before = vec![0u8; self.page_size];
        let mut equal = true;
        for page in saved.pages(range, self.page_size) {
            let Some(copy) = page.copy else { continue };
            // SAFETY: `before` has `page_size` bytes.
            let kept = unsafe { sys::peek(copy, before.as_mut_ptr(), self.page_size) }?;
            // SAFETY: `now` has `page_size` bytes.
            let copied = unsafe { sys::peek(page.start, now.as_mut_ptr(), self.page_size) }?;
            if kept < self.page_size || copied < self.page_size || before == now {
                continue; // where the file ended before or ends now there is nothing to put back
            }
            equal = false;
            // SAFETY: `before` is readable for a page, and the page lies in this region, whose lock
            // is held.
            let mended =
                || unsafe { sys::poke(before.as_ptr(), page.start, self.page_size) } == before.len();
            if mend && !mended() {
                return None;
            }
        }
        Some(equal)
    }

    /// Makes the pages that have no copy what they were: zeros, or the file's. No store to them may be
    /// possible.
    fn empty(&self, range: &Range<usize>, saved: &Saved) -> bool {
        let drop = |part: Range<usize>| {
            // SAFETY: the part lies in this region, whose lock is held, and what it holds is to go.
            part.is_empty()
                || unsafe { sys::discard(part.start, part.len()) }
                || self.map_again(part, None)
        };
        let mut start = range.start;
        for page in saved.pages(range, self.page_size).filter(|page| page.copy.is_some()) {
            if !drop(start..page.start) {
                return false;
            }
            start = page.start + self.page_size;
        }
        drop(start..range.end)
    }
}
