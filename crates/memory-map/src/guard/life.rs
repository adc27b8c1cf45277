//! The life of a region, told to its record, whose fields only the guard sets.

use std::ops::Range;
use std::sync::atomic::Ordering;

use super::changes::note_change;
use super::doubts::Doubts;
use super::record::{FaultRecord, Inner, Phase, Run};
use super::vma_reserve::with_vma_reserve;
use crate::fault::Fault;
use crate::protection::Protection;
use crate::sys::{self, Backing, Identity};

/// What a region is at first.
pub(crate) struct Beginning {
    /// Its addresses; the first `length` bytes have pages.
    pub range: Range<usize>,
    pub length: usize,
    /// Which of the addresses are the user's.
    pub user: Range<usize>,
    pub protection: Protection,
    /// Whether all faults are contained, or only those of our own accesses.
    pub guarded: bool,
    /// What the first page can be mapped from again, and the others after it.
    pub backing: Backing,
    /// Which file that is, if it is one.
    pub identity: Option<Identity>,
    /// Whether it has an end.
    pub sized: bool,
    /// Whether it is shared memory that nothing can be mapped from again (of /dev/zero).
    pub shared_memory: bool,
    pub page_size: usize,
    /// The owner to wake after a fault, and the mapping that it is told of.
    pub owner: u64,
    pub token: u64,
}

impl FaultRecord {
    /// Makes the record that of a new region.
    pub fn begin(&'static self, beginning: Beginning) {
        let Range { start, end } = beginning.range;
        let mut inner = self.lock();
        inner.start = start;
        inner.end = start + beginning.length;
        inner.limit = end;
        inner.phase = Phase::Live;
        inner.moved = false;
        inner.guarded = beginning.guarded;
        inner.backing = beginning.backing;
        inner.identity = beginning.identity;
        inner.sized = beginning.sized;
        inner.shared_memory = beginning.shared_memory;
        inner.page_size = beginning.page_size;
        inner.user = beginning.user;
        inner.runs = vec![Run { start, protection: beginning.protection }];
        inner.written = beginning.protection.writable();
        inner.reports = Vec::new();
        inner.trap = false;
        inner.used = None;
        inner.trapped = Vec::new();
        inner.committed = 0..0;
        inner.watched = None;
        inner.stalls = 0;
        inner.doubts = Doubts::NONE;
        self.faults.store(0, Ordering::Relaxed);
        self.owner.store(beginning.owner, Ordering::Release);
        self.token.store(beginning.token, Ordering::Release);
    }

    /// Counts a fault that was noticed before any access met it.
    pub fn count_fault(&self) {
        // Code that compares the count of changes has to look again, as after a fault that replaces pages.
        note_change();
        self.faults.fetch_add(1, Ordering::Relaxed);
    }

    /// Faults so far.
    pub fn faults(&self) -> u64 {
        self.faults.load(Ordering::Relaxed)
    }
}

impl Inner {
    /// The addresses that have pages.
    pub fn pages(&self) -> Range<usize> {
        self.start..self.end
    }

    /// Where the region's addresses end; the last ones may hold nothing.
    pub fn limit(&self) -> usize {
        self.limit
    }

    pub fn page_size(&self) -> usize {
        self.page_size
    }

    pub fn phase(&self) -> Phase {
        self.phase
    }

    pub fn backing(&self) -> Backing {
        self.backing
    }

    /// Whether a page was ever writable, so that it may hold what is nowhere else.
    pub fn is_written(&self) -> bool {
        self.written
    }

    /// Takes over another region's pages, some of which were perhaps `written`.
    pub fn inherit(&mut self, written: bool) {
        self.written |= written;
    }

    /// Pages were mapped behind the last one, up to `end`.
    pub fn stretch(&mut self, end: usize, protection: Protection) {
        let before = std::mem::replace(&mut self.end, end);
        self.set_protection(before..end, protection);
    }

    /// The pages from `end` on were taken out.
    pub fn shrink(&mut self, end: usize) {
        self.end = end;
        self.trap = true;
        self.runs.retain(|run| run.start < end);
    }

    /// The user's bytes end `length` bytes after the region's start.
    pub fn set_user_end(&mut self, length: usize) {
        self.user.end = self.start + length;
    }

    /// Begins an access of ours. Returns how many faults were healed before it.
    pub fn begin_access(&mut self) -> usize {
        self.copies += 1;
        self.healed.len()
    }

    /// Ends an access of ours.
    pub fn end_access(&mut self) {
        self.copies -= 1;
        if self.copies == 0 {
            self.healed = Vec::new();
            self.trap_again();
        }
    }

    /// Makes the next use of what was committed for our own accesses a fault again.
    fn trap_again(&mut self) {
        let committed = std::mem::take(&mut self.committed);
        if !self.trap || committed.is_empty() {
            return;
        }
        note_change();
        for part in &self.trapped {
            let part = part.start.max(committed.start)..part.end.min(committed.end);
            if !part.is_empty() {
                // SAFETY: the part lies in this region, whose lock is held; what still uses it is contained.
                let closed = || unsafe { sys::protect(part.start, part.len(), Protection::None) };
                // If that fails, its use reads zeros and is not reported.
                let _ = with_vma_reserve(closed);
            }
        }
    }

    /// Whether accesses of ours are under way.
    pub fn has_accesses(&self) -> bool {
        self.copies > 0
    }

    /// The contents are another region's now, or no region's: accesses of ours end.
    pub fn move_away(&mut self) {
        note_change();
        self.moved = true;
    }

    /// Whether `move_away` was called.
    #[cfg(all(test, target_os = "linux"))]
    pub fn has_moved(&self) -> bool {
        self.moved
    }

    /// The pages were taken out; the next use of the `trapped` parts is a fault.
    pub fn retire(&mut self, trapped: Vec<Range<usize>>) {
        self.trap = !trapped.is_empty();
        self.trapped = trapped;
        self.phase = Phase::Reserved;
        self.backing = Backing::Zeros;
        self.identity = None;
        self.sized = false;
        self.page_size = sys::page_size(); // huge ones went with what was mapped
        self.runs = Vec::new();
    }

    /// Whether the pages were taken out.
    pub fn is_retired(&self) -> bool {
        self.phase == Phase::Reserved
    }

    /// Whether nothing stands behind the addresses of a retired region, and nobody has used them since.
    pub fn is_untouched(&self) -> bool {
        let is_all_trapped = self.trap && self.trapped.first() == Some(&(self.start..self.limit));
        self.is_retired() && is_all_trapped && self.committed.is_empty()
    }

    /// The addresses have another owner, or none.
    pub fn free(&mut self) {
        self.drop_overlays();
        self.phase = Phase::Free;
    }

    /// The region is gone.
    pub fn forget(&mut self) {
        self.runs = Vec::new();
        self.reports = Vec::new();
    }

    /// Takes the reports of faults that are healed and not yet collected.
    pub fn take_reports(&mut self) -> Vec<Fault> {
        std::mem::take(&mut self.reports)
    }

    /// Whether the pages are of a file that can be mapped again.
    pub fn is_of_file(&self) -> bool {
        matches!(self.backing, Backing::File { .. })
    }
}

#[cfg(all(test, target_os = "linux"))]
#[allow(clippy::unwrap_used)]
pub(super) mod tests {
    use super::*;
    use crate::guard::{self, handler};

    /// The record of memory without a file that is there, to be read and stored to, in pages of `page_size` bytes.
    pub fn record_of_memory(range: &Range<usize>, page_size: usize) -> &'static FaultRecord {
        let record = FaultRecord::leak();
        record.begin(Beginning {
            range: range.clone(),
            length: range.len(),
            user: range.clone(),
            protection: Protection::ReadWrite,
            guarded: true,
            backing: Backing::Memory { reserve: true },
            identity: None,
            sized: false,
            shared_memory: false,
            page_size,
            owner: 0,
            token: 0,
        });
        record
    }

    #[test]
    fn what_was_mapped_in_huge_pages_can_be_used_everywhere_once_it_is_closed() {
        const HUGE: usize = 1 << 21;
        handler::install().unwrap();
        let mapped = sys::map(0, 3 * HUGE, Protection::None, Backing::Zeros).unwrap() as usize;
        let start = sys::ceil(mapped, HUGE).unwrap();
        let range = start..start + 2 * HUGE;
        let record = record_of_memory(&range, HUGE);
        guard::register(start, range.end, record);
        record.lock().retire(vec![range.clone()]);
        for address in range.clone().step_by(sys::page_size()) {
            // SAFETY: nothing is there, and the guard opens zeros for that.
            assert_eq!(unsafe { (address as *const u8).read_volatile() }, 0);
        }
        assert_eq!(record.faults(), 1);
        guard::unregister(start, range.end, record);
        // SAFETY: the range was mapped above, and nothing uses it any more.
        unsafe { sys::unmap(mapped, 3 * HUGE) };
    }
}
