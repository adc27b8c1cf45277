//! The handler's decision: what to lay over a page that could not be accessed.
//!
//! Everything here runs inside a signal handler. It calls fstat, mmap, mprotect, munmap and
//! process_vm_readv (which are plain system calls), and nothing that locks or allocates.

use std::ops::Range;
use std::sync::atomic::Ordering;

use super::covers::{Cause, Cover, How};
use super::slot::{Backing, Inner, Slot, State};
use crate::os::{self, Pages};
use crate::protection::Protection;

/// What became of a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The page was covered: the access can be made again, and the owner must hear of it.
    Covered,
    /// The page is accessible by now: the access can be made again.
    Retry,
    /// The slot is no longer the one of this address.
    Stale,
    /// Not a fault that is ours to contain.
    Foreign,
}

/// Faults in a row of one page that change nothing, after which something is wrong that we do not understand
/// (an instruction fetch, say), and the fault goes to whoever was there before us.
const MAX_STALLS: u32 = 100_000;

/// Bytes that the copies of private pages may take in one region before a heal.
const MAX_SAVED: usize = 1 << 30;

impl Slot {
    /// Makes `address` accessible in a way that loses nothing.
    pub(super) fn contain(&'static self, address: usize, signalled: Cause) -> Outcome {
        let mut inner = self.lock();
        if inner.state == State::Free || !(inner.start..inner.end).contains(&address) {
            return Outcome::Stale;
        }
        let outcome = inner.contain(address, signalled);
        match outcome {
            Outcome::Covered => {
                inner.stalls = 0;
                self.faults.fetch_add(1, Ordering::Relaxed);
            }
            Outcome::Retry => {
                let page = os::floor(address, inner.grain);
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
    fn contain(&mut self, address: usize, signalled: Cause) -> Outcome {
        let page = os::floor(address, self.grain);
        if self.state == State::Reserved {
            return self.open_reserved(page);
        }
        if !self.guarded && self.copies == 0 {
            return Outcome::Foreign;
        }
        let Some((run, protection)) = self.run_at(page) else { return Outcome::Foreign };
        let size = self.sized().then(|| self.file()).flatten().map(|file| file.size);
        let beyond = size.is_some_and(|size| page >= self.address_of_end(size));
        let cause = if os::SIGNAL_TELLS_CAUSE {
            signalled
        } else if beyond || protection.writable() {
            Cause::Backing
        } else {
            Cause::Protection
        };
        let how = match (self.covers.over(page), cause) {
            // Another thread was first, or the memory below one of our covers went away too.
            (Some(Cover { how: How::Zeros, .. }), _) | (Some(_), Cause::Protection) => None,
            (_, Cause::Backing) if beyond => {
                self.cover_with_zeros(self.address_of_end(size.unwrap_or(0))..self.end)
            }
            (_, Cause::Backing) => self.cover_with_zeros(self.covers.extent(page, run, self.grain)),
            (None, Cause::Protection) if protection.writable() => None,
            (None, Cause::Protection) => self.cover_forbidden(page, run, protection),
        };
        let Some((part, how)) = how else { return Outcome::Retry };
        let noted =
            self.covers.push(Cover { start: part.start, end: part.end, how, cause, page, size });
        if noted { Outcome::Covered } else { Outcome::Foreign }
    }

    /// Whether the region is mapped from something that has an end.
    fn sized(&self) -> bool {
        matches!(self.backing, Backing::File { sized: true, .. })
    }

    /// The first page of the region of which a file of `size` bytes has nothing.
    fn address_of_end(&self, size: u64) -> usize {
        let Backing::File { offset, .. } = self.backing else { return self.end };
        let inside = usize::try_from(size.saturating_sub(offset)).unwrap_or(usize::MAX);
        let inside = inside.min(self.end - self.start);
        os::ceil(self.start + inside, self.grain).map_or(self.end, |end| end.min(self.end))
    }

    fn cover_with_zeros(&self, part: Range<usize>) -> Option<(Range<usize>, How)> {
        // SAFETY: the part lies in this region, whose lock is held.
        let mapped =
            unsafe { os::map_over(part.start, part.len(), Protection::ReadWrite, Pages::Zeros) };
        mapped.ok().map(|()| (part, How::Zeros))
    }

    /// Covers a page that its protection forbids to store to, or to access at all.
    fn cover_forbidden(
        &self,
        page: usize,
        run: Range<usize>,
        protection: Protection,
    ) -> Option<(Range<usize>, How)> {
        if self.is_replaceable() {
            let part = self.covers.gap(page, run);
            if protection == Protection::None || self.file().is_none() {
                return self.cover_with_zeros(part);
            }
            let pages = self.pages_at(part.start, false);
            // SAFETY: the part lies in this region, whose lock is held.
            let mapped =
                unsafe { os::map_over(part.start, part.len(), protection.opened(), pages) };
            return mapped.ok().map(|()| (part, How::PrivateFile));
        }
        let part = self.covers.extent(page, run, self.grain);
        let copy = self.save(&part, protection);
        if let (Some(copy), Protection::None) = (copy, protection) {
            // Nothing of a forbidden page may be seen.
            return self.cover_with_zeros(part).map(|(part, _)| (part, How::Saved { copy }));
        }
        // SAFETY: the part lies in this region, whose lock is held.
        let opened = unsafe { os::protect(part.start, part.len(), protection.opened()) };
        opened.ok().map(|()| (part, copy.map_or(How::Opened, |copy| How::Saved { copy })))
    }

    /// Copies private pages away, before anybody can store to them.
    fn save(&self, part: &Range<usize>, protection: Protection) -> Option<usize> {
        let saved: usize = self
            .covers
            .as_slice()
            .iter()
            .filter(|cover| matches!(cover.how, How::Saved { .. }))
            .map(|cover| cover.end - cover.start)
            .sum();
        if saved + part.len() > MAX_SAVED {
            return None;
        }
        if protection == Protection::None {
            // SAFETY: the part lies in this region, whose lock is held.
            unsafe { os::protect(part.start, part.len(), Protection::Read) }.ok()?;
        }
        let copy = os::map(0, part.len(), Protection::ReadWrite, Pages::Zeros).ok()?;
        let mut at = 0;
        while at < part.len() {
            // SAFETY: `copy` has `part.len()` bytes, of which `at` lie behind us.
            let to = unsafe { copy.add(at) };
            // SAFETY: `to` is writable for what is left of the copy.
            let Some(copied) = (unsafe { os::peek(part.start + at, to, part.len() - at) }) else {
                // SAFETY: `copy` was mapped above and nobody knows of it.
                unsafe { os::unmap(copy as usize, part.len()) };
                return None;
            };
            // A page that cannot be read has nothing to be kept: its copy stays zero.
            at += os::floor(copied, self.grain).max(self.grain);
        }
        Some(copy as usize)
    }

    /// A closed region is writable zeros; where the OS did not grant that much, one more page is.
    fn open_reserved(&self, page: usize) -> Outcome {
        // SAFETY: the page lies in this region, whose lock is held.
        let opened = unsafe { os::protect(page, self.grain, Protection::ReadWrite) };
        if opened.is_ok() { Outcome::Retry } else { Outcome::Foreign }
    }
}
