//! The handler's decision: what to lay over a page that could not be accessed.
//!
//! Everything here runs inside the handler. It makes calls of `sys` that are marked for it, which
//! are plain system calls, and nothing that locks or allocates.

use std::ops::Range;
use std::sync::atomic::Ordering;

use super::changes::note_change;
use super::doubts::{self, Doubts};
use super::overlay::{AccessKind, Cause, How, Overlay};
use super::record::{FaultRecord, Inner, Phase};
use super::vma_reserve::{self, with_vma_reserve};
use super::{notify, registry};
use crate::fault::Fault;
use crate::protection::Protection;
use crate::sys::{self, Backing};

/// What became of a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The page was overlaid: the access can be made again, and the owner must hear of it.
    Overlaid,
    /// The page is accessible by now: the access can be made again.
    Retry,
    /// The record is no longer the one of this address.
    Stale,
    /// Not a fault that is ours to contain.
    Foreign,
}

/// Faults in a row of one page that change nothing, after which something is wrong that we do not
/// understand (an instruction fetch, say), and the fault goes to the handler that was there before ours.
const MAX_STALLS: u32 = 100_000;

/// Pages of private memory that are overlaid together rather than singly once there are many overlays.
const SMALL_RUN: usize = 16;

/// Pages of a closed mapping that are committed together.
const COMMITTED_TOGETHER: usize = 64;

/// Contains the fault of an access to `address`. Returns whether the access is to be made again; `None` if
/// the address is in no region.
pub(super) fn contain(address: usize, signalled: Cause, access: AccessKind) -> Option<bool> {
    // A record can be given up between the lookup and its lock, but hardly twice in a row.
    for _ in 0..16 {
        let record = registry::find(address)?;
        match record.contain(address, signalled, access) {
            Outcome::Overlaid => {
                if notify::push(record) {
                    sys::send_wakeup();
                }
                return Some(true);
            }
            Outcome::Retry => return Some(true),
            Outcome::Stale => {}
            Outcome::Foreign => return Some(false),
        }
    }
    Some(false)
}

impl FaultRecord {
    /// Makes `address` accessible in a way that loses nothing.
    fn contain(&'static self, address: usize, signalled: Cause, access: AccessKind) -> Outcome {
        let Some(mut inner) = self.lock_if_it_comes_free() else { return Outcome::Foreign };
        if inner.phase == Phase::Free || !(inner.start..inner.limit).contains(&address) {
            return Outcome::Stale;
        }
        note_change();
        let outcome = inner.contain(address, signalled, access);
        match outcome {
            Outcome::Overlaid => {
                inner.stalls = 0;
                inner.doubts = Doubts::NONE;
                self.faults.fetch_add(1, Ordering::Relaxed);
            }
            Outcome::Retry => {
                let page = sys::floor(address, inner.page_size);
                inner.stalls = if inner.stalled == page { inner.stalls + 1 } else { 0 };
                inner.stalled = page;
                if inner.stalls > MAX_STALLS {
                    return Outcome::Foreign;
                }
            }
            Outcome::Stale | Outcome::Foreign => {}
        }
        outcome
    }
}

impl Inner {
    fn contain(&mut self, address: usize, signalled: Cause, access: AccessKind) -> Outcome {
        let page = sys::floor(address, self.page_size);
        if let Some(outcome) = self.outcome_where_watched(page) {
            return outcome;
        }
        if self.phase == Phase::Reserved || page >= self.end {
            // A search of ours may still be on its way out, which is not to be told.
            let is_news = self.copies == 0 && std::mem::take(&mut self.trap);
            if is_news {
                self.used = Some(page);
            }
            return match self.commit_zeros(page) {
                None => Outcome::Foreign,
                Some(_) if is_news => Outcome::Overlaid,
                Some(part) => {
                    let so_far = if self.committed.is_empty() { &part } else { &self.committed };
                    self.committed = part.start.min(so_far.start)..part.end.max(so_far.end);
                    Outcome::Retry
                }
            };
        }
        if !self.guarded && self.copies == 0 {
            return Outcome::Foreign;
        }
        let Some((run, protection)) = self.run_at(page) else { return Outcome::Foreign };
        let size = self.sized.then(|| self.file()).flatten().map(|file| file.size);
        let beyond = size.is_some_and(|size| page >= self.address_of_end(size));
        let overlaid = self.overlays.over(page);
        let cause = match sys::SIGNAL_TELLS_CAUSE {
            true => Some(signalled),
            false if beyond => Some(Cause::Backing),
            false => self.find_cause(page, overlaid, protection),
        };
        let Some(cause) = cause else { return Outcome::Retry };
        match overlaid {
            // It does not allow stores, or no longer, or another thread was first, or the page
            // was left closed when it could not be healed.
            Some(overlay) if matches!(overlay.how, How::Zeros) || cause == Cause::Protection => {
                let allowed = self.allow_stores(page, &overlay, protection);
                return if allowed { Outcome::Retry } else { Outcome::Foreign };
            }
            _ => {}
        }
        if (cause == Cause::Backing && !self.can_overlay_with_zeros())
            || (access == AccessKind::Fetch && !access.is_allowed_by(protection))
        {
            return Outcome::Foreign;
        }
        let how = match (overlaid, cause) {
            // A part of a region is a memory area more; all of it is none.
            (_, Cause::Backing) if vma_reserve::are_few() && self.is_replaceable() => {
                self.overlay_with_zeros(self.start..self.end)
            }
            (_, Cause::Backing) if beyond => {
                self.overlay_with_zeros(self.address_of_end(size.unwrap_or(0))..self.end)
            }
            (_, Cause::Backing) if self.is_replaceable() => {
                self.overlay_with_zeros(self.overlays.extent(page, run, self.page_size))
            }
            // The pages around it may hold what is nowhere else.
            (_, Cause::Backing) => self.overlay_with_zeros(page..page + self.page_size),
            (_, Cause::Protection) if access.is_allowed_by(protection) => {
                let is_gone = self.is_gone(page) && self.can_overlay_with_zeros();
                is_gone.then(|| self.overlay_with_zeros(page..page + self.page_size)).flatten()
            }
            (_, Cause::Protection) => self.overlay_forbidden(page, run, protection),
        };
        let Some((part, how)) = how else { return Outcome::Retry };
        let noted = self.overlays.push(Overlay {
            id: Fault::next_id(),
            start: part.start,
            end: part.end,
            how,
            cause,
            page,
            size,
            told: false,
        });
        // Without a note the page is never healed, but the process lives. Watched memory is not
        // healed either, and the zeros over it could not be told from another owner's.
        if !noted || self.watched.is_some() {
            self.allow_all_stores(&part, how);
        }
        if noted { Outcome::Overlaid } else { Outcome::Retry }
    }

    /// Why a page inside the file could not be accessed, if the signal does not tell. `None` if it may be
    /// accessible by now: making the access again will tell.
    fn find_cause(
        &mut self,
        page: usize,
        overlaid: Option<Overlay>,
        protection: Protection,
    ) -> Option<Cause> {
        let mut byte = 0;
        // SAFETY: `byte` is one.
        if protection.readable() && unsafe { sys::peek(page, &raw mut byte, 1) } == Some(0) {
            return Some(Cause::Backing);
        }
        if !overlaid.map_or(protection.writable(), |overlay| self.allows_stores(page, &overlay)) {
            return Some(Cause::Protection);
        }
        self.is_gone(page).then_some(Cause::Backing)
    }

    /// Whether a page allows the access, and yet it comes again and again: the page is gone, whatever took it.
    fn is_gone(&mut self, page: usize) -> bool {
        self.doubts.count(page) > doubts::MOST
    }

    /// The first page of the region that lies beyond the end of a file of `size` bytes.
    pub(super) fn address_of_end(&self, size: u64) -> usize {
        let Backing::File { offset, .. } = self.backing else { return self.end };
        let inside = usize::try_from(size.saturating_sub(offset)).unwrap_or(usize::MAX);
        let inside = inside.min(self.end - self.start);
        sys::ceil(self.start + inside, self.page_size).map_or(self.end, |end| end.min(self.end))
    }

    /// Overlays a page that its protection forbids to store to, or to access at all.
    fn overlay_forbidden(
        &mut self,
        page: usize,
        run: Range<usize>,
        protection: Protection,
    ) -> Option<(Range<usize>, How)> {
        if self.is_replaceable() {
            return self.overlay_replaceable(page, run, protection);
        }
        // A part of a run is two memory areas more; the whole run is none, and costs more to save.
        let whole = self.overlays.gap(page, run.clone());
        if whole.len() > SMALL_RUN * self.page_size || !self.overlays.are_many() {
            let part = self.overlays.extent(page, run, self.page_size);
            if let Some(overlaid) = self.overlay_private(part, protection) {
                return Some(overlaid);
            }
        }
        self.overlay_private(whole, protection)
    }

    /// Makes private pages writable, with their contents saved if that can be done.
    fn overlay_private(
        &mut self,
        part: Range<usize>,
        protection: Protection,
    ) -> Option<(Range<usize>, How)> {
        // A copy that nothing notes would never be put back.
        let saved = self.overlays.has_room().then(|| self.save(&part, protection)).flatten();
        let overlaid = match (saved, protection) {
            // Nothing of a forbidden page may be seen.
            (Some(_), Protection::None) => self.conceal(&part),
            _ => self.change(&part, protection.with_stores()),
        };
        if !overlaid {
            if let Some(saved) = saved {
                saved.release();
            }
            return None;
        }
        Some((part, saved.map_or(How::Exposed, How::Saved)))
    }

    /// Gives pages another protection than theirs, or theirs again.
    pub(super) fn change(&self, part: &Range<usize>, protection: Protection) -> bool {
        with_vma_reserve(|| {
            // SAFETY: the part lies in this region, whose lock is held.
            unsafe { sys::protect(part.start, part.len(), protection) }
        })
        .is_ok()
    }

    /// Commits zeros at `page`, where nothing is mapped, and around it; returns where. System calls on the other
    /// pages still fail.
    fn commit_zeros(&self, page: usize) -> Option<Range<usize>> {
        let first = if self.phase == Phase::Reserved { self.start } else { self.end };
        let part = if vma_reserve::are_few() {
            first..self.limit // and no VMA more
        } else {
            let extent = COMMITTED_TOGETHER * sys::page_size();
            let start = sys::floor(page, extent);
            start.max(first)..start.saturating_add(extent).min(self.limit)
        };
        let commit = |part: &Range<usize>| {
            // SAFETY: both parts lie in this region, whose lock is held.
            with_vma_reserve(|| unsafe { sys::commit_zeros(part.start, part.len()) }).is_ok()
        };
        // Under strict overcommit memory may be granted page by page.
        [part, page..page + self.page_size].into_iter().find(commit)
    }
}

#[cfg(all(test, target_os = "linux"))]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::guard::life::tests::record_of_memory;

    #[test]
    fn pages_whose_protection_changes_again_and_again_are_not_taken_to_be_gone() {
        let page = sys::page_size();
        let backing = Backing::Memory { reserve: true };
        let start = sys::map(0, page, Protection::ReadWrite, backing).unwrap() as usize;
        let range = start..start + page;
        // SAFETY: the page was mapped above, and is this test's.
        unsafe { (start as *mut u8).write_volatile(7) };
        let record = record_of_memory(&range, page);
        for _ in 0..1000 {
            // A store faults, and the page is opened again before the handler looks.
            record.lock().set_protection(range.clone(), Protection::ReadWrite);
            let outcome = record.contain(start, Cause::Protection, AccessKind::Store);
            assert_eq!(outcome, Outcome::Retry);
        }
        // SAFETY: as above.
        assert_eq!(unsafe { (start as *const u8).read_volatile() }, 7);
        // SAFETY: nothing uses the page any more.
        unsafe { sys::unmap(start, page) };
    }

    #[test]
    fn several_pages_that_are_gone_are_overlaid_though_threads_fault_at_them_in_turn() {
        const THREADS: usize = 12;
        let page = sys::page_size();
        let backing = Backing::Memory { reserve: true };
        let start = sys::map(0, THREADS * page, Protection::Read, backing).unwrap() as usize;
        let range = start..start + THREADS * page;
        let record = record_of_memory(&range, page);
        let mut waiting: Vec<usize> = range.clone().step_by(page).collect();
        let store =
            |address: &usize| record.contain(*address, Cause::Protection, AccessKind::Store);
        for _ in 0..1000 {
            waiting.retain(|address| store(address) == Outcome::Retry);
        }
        assert_eq!(waiting, []);
        // SAFETY: nothing uses the pages any more.
        unsafe { sys::unmap(start, THREADS * page) };
    }
}
