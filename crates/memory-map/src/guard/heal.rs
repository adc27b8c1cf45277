//! Putting pages back as they should be, outside the handler, and saying what had happened.

use std::ops::Range;

use super::doubts::Doubts;
use super::overlay::{Cause, How, Overlay};
use super::record::Inner;
use super::vma_reserve;
use crate::fault::{Fault, FaultKind};
use crate::sys::Backing;

impl Inner {
    /// Takes every overlay away and adds a report for each, the oldest first.
    ///
    /// If a page cannot be put back, its overlay stays and is tried again each time. `unhealed` returns it, so
    /// that nothing stored there seems to be safe.
    pub fn heal(&mut self) {
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
        if self.overlays.as_slice().is_empty() {
            return;
        }
        let overlays = self.overlays.as_slice().to_vec();
        self.overlays.clear();
        self.scratch_windows.clear();
        self.stalls = 0;
        self.doubts = Doubts::NONE;
        let (first, first_healed) = (self.reports.len(), self.healed.len());
        let is_replacement =
            |overlay: &Overlay| matches!(overlay.how, How::Zeros | How::PrivateFile);
        let all = overlays.iter().any(is_replacement).then(|| self.map_all_again()).flatten();
        let mut stuck = Vec::new();
        // The newest first: it may lie over an older one.
        for overlay in overlays.into_iter().rev() {
            let healed = self.restore(&overlay, all, &mut stuck);
            if !overlay.told {
                let report = self.report(&overlay, healed);
                if self.copies > 0 {
                    self.healed.insert(first_healed, (self.hidden_by(&overlay), report.clone()));
                }
                self.reports.insert(first, report);
            }
        }
        for overlay in stuck.into_iter().rev() {
            self.overlays.push(Overlay { told: true, ..overlay });
        }
        vma_reserve::refill();
    }

    /// Reports the overlays, and leaves them where they are.
    pub fn report_overlays(&mut self) {
        let overlays = self.overlays.as_slice().to_vec();
        self.overlays.clear();
        for overlay in overlays {
            if !overlay.told {
                let report = self.report(&overlay, true);
                self.reports.push(report);
            }
            self.overlays.push(Overlay { told: true, ..overlay });
        }
    }

    /// Gives the overlays up, and reports them: what is below is about to be replaced.
    pub fn report_and_drop_overlays(&mut self) {
        self.report_overlays();
        self.drop_overlays();
    }

    /// The addresses where an overlay hides what they hold: all of them if it is zeros, otherwise the page
    /// that faulted.
    fn hidden_by(&self, overlay: &Overlay) -> Range<usize> {
        match overlay.how {
            How::Zeros => overlay.start..overlay.end,
            _ => overlay.page..overlay.page + self.page_size,
        }
    }

    /// Whether an access to `range` that began when `from` faults were healed may have seen an overlay.
    pub fn hides(&self, range: &Range<usize>, from: usize) -> bool {
        let mut overlays = self.overlays.as_slice().iter().filter(|overlay| !overlay.told);
        overlays.any(|overlay| meet(&self.hidden_by(overlay), range))
            || self.healed_in(from, range).is_some()
    }

    /// The first fault in `range` among those healed after the first `from`.
    pub fn healed_in(&self, from: usize, range: &Range<usize>) -> Option<Fault> {
        let mut healed = self.healed.iter().skip(from);
        healed.find(|(hidden, _)| meet(hidden, range)).map(|(_, fault)| fault.clone())
    }

    /// A fault that could not be healed, of an overlay that meets `range`.
    pub fn unhealed_in(&self, range: &Range<usize>) -> Option<Fault> {
        let mut overlays = self.overlays.as_slice().iter();
        overlays
            .find(|overlay| meet(&(overlay.start..overlay.end), range))
            .map(|overlay| self.report(overlay, false))
    }

    /// Forgets the overlays without restoring what is below, which is about to be replaced.
    pub fn drop_overlays(&mut self) {
        for overlay in self.overlays.as_slice() {
            release_copy(overlay);
        }
        self.overlays.clear();
        self.scratch_windows.clear();
    }

    fn report(&self, overlay: &Overlay, contained: bool) -> Fault {
        let kind = match overlay.cause {
            Cause::Protection => FaultKind::Protection,
            Cause::Backing if self.is_beyond(overlay) => FaultKind::BeyondEnd,
            Cause::Backing if self.has_no_room(overlay.page) => FaultKind::NoSpace,
            Cause::Backing => FaultKind::Io,
        };
        let (start, end) = match (kind, overlay.how) {
            (FaultKind::BeyondEnd, _) if self.is_all_beyond(overlay) => {
                (overlay.page, self.user.end)
            }
            // To save memory areas, such an overlay may cover good pages too.
            (_, How::Zeros) if overlay.cause == Cause::Backing => (overlay.start, overlay.end),
            // What was stored stays, wherever that was.
            (_, How::Exposed) => (overlay.start, overlay.end),
            _ => (overlay.page, overlay.page + self.page_size),
        };
        let (start, end) = (start.max(self.user.start), end.min(self.user.end));
        Fault {
            id: overlay.id,
            kind,
            offset: start - self.user.start,
            length: end.saturating_sub(start),
            contained,
        }
    }

    fn is_beyond(&self, overlay: &Overlay) -> bool {
        let Backing::File { offset, .. } = self.backing else { return false };
        overlay.size.is_some_and(|size| offset + (overlay.page - self.start) as u64 >= size)
    }

    fn is_all_beyond(&self, overlay: &Overlay) -> bool {
        overlay.size.is_some_and(|size| overlay.start >= self.address_of_end(size))
    }

    /// Puts the pages under an overlay back, or adds what stays over them to `stuck`. Returns whether they hold
    /// what they did. `all` is the outcome of putting everything back at once, if that was tried.
    fn restore(&self, overlay: &Overlay, all: Option<bool>, stuck: &mut Vec<Overlay>) -> bool {
        let range = overlay.start..overlay.end;
        let restored = match overlay.how {
            How::Zeros | How::PrivateFile if all.is_none() => {
                let before = stuck.len();
                for (part, _) in self.runs_in(range) {
                    if !self.map_again(part.clone(), None) {
                        stuck.push(Overlay { start: part.start, end: part.end, ..*overlay });
                    }
                }
                return stuck.len() == before;
            }
            How::Zeros | How::PrivateFile => all == Some(true),
            How::Saved(saved) => self.put_back(range, &saved),
            How::Exposed => {
                self.protect_again(range);
                return false;
            }
        };
        if restored {
            release_copy(overlay);
        } else {
            stuck.push(self.stuck_over(*overlay));
        }
        restored
    }

    pub(super) fn protect_again(&self, range: Range<usize>) -> bool {
        self.runs_in(range).all(|(part, protection)| self.change(&part, protection))
    }
}

fn meet(a: &Range<usize>, b: &Range<usize>) -> bool {
    a.start < b.end && b.start < a.end
}

fn release_copy(overlay: &Overlay) {
    if let How::Saved(saved) = overlay.how {
        saved.release();
    }
}
