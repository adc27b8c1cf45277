//! Putting pages back as they should be, outside the handler, and saying what had happened.

use std::ops::Range;

use super::overlay::{Cause, Cover, How};
use super::record::{Backing, Inner};
use super::vma_reserve;
use crate::fault::{Fault, FaultKind};
use crate::protection::Protection;
use crate::sys;

/// How often a page is put back that is stored to again in the meantime.
const ATTEMPTS: usize = 4;

impl Inner {
    /// Takes every cover away and adds a report for each, the oldest first.
    ///
    /// Where a page cannot be put back its cover stays, is tried again each time, and is what
    /// `unhealed` returns: nothing that is stored there may seem to be safe.
    pub fn settle(&mut self) {
        if let Some(page) = self.used.take() {
            let first = page.clamp(self.user.start, self.user.end);
            self.reports.push(Fault {
                id: Fault::next_id(),
                kind: FaultKind::Closed,
                offset: first - self.user.start,
                length: self.user.end - first,
                contained: true,
            });
        }
        if self.covers.as_slice().is_empty() {
            return;
        }
        let covers = self.covers.as_slice().to_vec();
        self.covers.clear();
        self.openings.clear();
        self.stalls = 0;
        self.doubts = 0;
        let (first, first_healed) = (self.reports.len(), self.healed.len());
        let is_replacement = |cover: &Cover| matches!(cover.how, How::Zeros | How::PrivateFile);
        let all = covers.iter().any(is_replacement).then(|| self.map_all_again()).flatten();
        let mut left = Vec::new();
        // The newest first: it may lie over an older one.
        for cover in covers.into_iter().rev() {
            let healed = self.restore(&cover, all, &mut left);
            if !cover.told {
                let report = self.report(&cover, healed);
                if self.copies > 0 {
                    self.healed.insert(first_healed, (self.hidden_by(&cover), report.clone()));
                }
                self.reports.insert(first, report);
            }
        }
        for cover in left.into_iter().rev() {
            self.covers.push(Cover { told: true, ..cover });
        }
        vma_reserve::refill();
    }

    /// Gives the covers up, and reports them: what is below is about to be replaced.
    pub fn report_and_drop_covers(&mut self) {
        for cover in self.covers.as_slice().to_vec() {
            if !cover.told {
                let report = self.report(&cover, true);
                self.reports.push(report);
            }
        }
        self.drop_covers();
    }

    /// The addresses that a cover shows something else at than they hold: zeros everywhere, other
    /// covers in the page that faulted.
    fn hidden_by(&self, cover: &Cover) -> Range<usize> {
        match cover.how {
            How::Zeros => cover.start..cover.end,
            _ => cover.page..cover.page + self.grain,
        }
    }

    /// Whether an access to `range` that began when `from` faults were healed may have seen
    /// something else than it holds.
    pub fn hides(&self, range: &Range<usize>, from: usize) -> bool {
        let mut covers = self.covers.as_slice().iter().filter(|cover| !cover.told);
        covers.any(|cover| meet(&self.hidden_by(cover), range))
            || self.healed_in(from, range).is_some()
    }

    /// Of the faults that were healed after `from` others, the first that an access to `range` has
    /// met.
    pub fn healed_in(&self, from: usize, range: &Range<usize>) -> Option<Fault> {
        let mut healed = self.healed.iter().skip(from);
        healed.find(|(hidden, _)| meet(hidden, range)).map(|(_, fault)| fault.clone())
    }

    /// A fault that could not be healed, of a cover that meets `range`.
    pub fn unhealed_in(&self, range: &Range<usize>) -> Option<Fault> {
        let mut covers = self.covers.as_slice().iter();
        covers
            .find(|cover| meet(&(cover.start..cover.end), range))
            .map(|cover| self.report(cover, false))
    }

    /// A fault of which the pages could not be put back.
    pub fn unhealed(&self) -> Option<Fault> {
        self.covers.as_slice().first().map(|cover| self.report(cover, false))
    }

    /// Forgets the covers without restoring what is below, which is about to be replaced.
    pub fn drop_covers(&mut self) {
        for cover in self.covers.as_slice() {
            release_copy(cover);
        }
        self.covers.clear();
        self.openings.clear();
    }

    fn report(&self, cover: &Cover, contained: bool) -> Fault {
        let kind = match cover.cause {
            Cause::Protection => FaultKind::Protection,
            Cause::Backing if self.is_beyond(cover) => FaultKind::BeyondEnd,
            Cause::Backing if self.is_full() => FaultKind::NoSpace,
            Cause::Backing => FaultKind::Io,
        };
        let (start, end) = match (kind, cover.how) {
            (FaultKind::BeyondEnd, _) if self.is_all_beyond(cover) => (cover.page, self.user.end),
            // Good pages lie under such a cover too where memory areas are to be saved.
            (_, How::Zeros) if cover.cause == Cause::Backing => (cover.start, cover.end),
            // What was stored stays, wherever that was.
            (_, How::Opened) => (cover.start, cover.end),
            _ => (cover.page, cover.page + self.grain),
        };
        let (start, end) = (start.max(self.user.start), end.min(self.user.end));
        Fault {
            id: cover.id,
            kind,
            offset: start - self.user.start,
            length: end.saturating_sub(start),
            contained,
        }
    }

    fn is_beyond(&self, cover: &Cover) -> bool {
        let Backing::File { offset, .. } = self.backing else { return false };
        cover.size.is_some_and(|size| offset + (cover.page - self.start) as u64 >= size)
    }

    fn is_all_beyond(&self, cover: &Cover) -> bool {
        cover.size.is_some_and(|size| cover.start >= self.address_of_end(size))
    }

    fn is_full(&self) -> bool {
        match self.backing {
            Backing::File { fd, .. } => sys::is_full(fd),
            // Memory runs out where the pool of huge pages does.
            Backing::Memory => self.grain > sys::page_size(),
        }
    }

    /// Heals one cover; whether nothing that was stored under it is left anywhere. `all` says
    /// what became of the attempt to put everything back at once, where there was one.
    fn restore(&self, cover: &Cover, all: Option<bool>, left: &mut Vec<Cover>) -> bool {
        let range = cover.start..cover.end;
        let restored = match cover.how {
            How::Zeros | How::PrivateFile if all.is_none() => {
                let before = left.len();
                for (part, _) in self.runs_in(range) {
                    if !self.map_again(part.clone(), None) {
                        left.push(Cover { start: part.start, end: part.end, ..*cover });
                    }
                }
                return left.len() == before;
            }
            How::Zeros | How::PrivateFile => all == Some(true),
            How::Saved { copy } => self.put_back(range, copy),
            How::Opened => {
                self.protect_again(range);
                return false;
            }
        };
        if restored {
            release_copy(cover);
        } else {
            left.push(self.left_by(*cover));
        }
        restored
    }

    fn protect_again(&self, range: Range<usize>) -> bool {
        self.runs_in(range).all(|(part, protection)| self.change(&part, protection))
    }

    /// Gives private pages their saved contents back.
    ///
    /// Other threads may store at any moment before the pages are protected again, so they are
    /// compared once more after that.
    fn put_back(&self, range: Range<usize>, copy: usize) -> bool {
        let hidden = self.runs_in(range.clone()).any(|(_, run)| run == Protection::None);
        if hidden && !self.reveal(&range) {
            return false;
        }
        for _ in 0..ATTEMPTS {
            let opened = self.change(&range, Protection::ReadWrite);
            if !opened || self.compare(&range, copy, true).is_none() {
                return false;
            }
            if !self.change(&range, Protection::Read) {
                return false;
            }
            if self.compare(&range, copy, false) == Some(true) {
                return self.protect_again(range);
            }
        }
        false
    }

    /// Whether the pages equal their copy; makes them so where `mend` is set. `None` where the
    /// pages cannot be compared or mended.
    fn compare(&self, range: &Range<usize>, copy: usize, mend: bool) -> Option<bool> {
        let mut now = vec![0u8; self.grain];
        let mut before = vec![0u8; self.grain];
        let mut equal = true;
        for page in range.clone().step_by(self.grain) {
            let saved = copy + (page - range.start);
            // SAFETY: `before` has `grain` bytes.
            let kept = unsafe { sys::peek(saved, before.as_mut_ptr(), self.grain) }?;
            // SAFETY: `now` has `grain` bytes.
            let copied = unsafe { sys::peek(page, now.as_mut_ptr(), self.grain) }?;
            if kept < self.grain || copied < self.grain || before == now {
                continue; // where the file ended before or ends now there is nothing to put back
            }
            equal = false;
            // SAFETY: `before` is readable for a page, and `page` lies in this region, whose lock
            // is held.
            if mend && unsafe { sys::poke(before.as_ptr(), page, self.grain) } < self.grain {
                return None;
            }
        }
        Some(equal)
    }
}

fn meet(a: &Range<usize>, b: &Range<usize>) -> bool {
    a.start < b.end && b.start < a.end
}

fn release_copy(cover: &Cover) {
    if let How::Saved { copy } = cover.how {
        // SAFETY: the copy was mapped for this cover alone, which is being forgotten.
        unsafe { sys::unmap(copy, cover.end - cover.start) };
    }
}
