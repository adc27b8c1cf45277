//! Pages that cannot be had, and bytes of a page that lie beyond the end of its file.

use std::ops::Range;

use super::record::Inner;
use crate::fault::{Fault, FaultKind};
use crate::sys::{self, Backing};

impl Inner {
    /// Whether the region is mapped from something without an end.
    pub fn is_device(&self) -> bool {
        self.is_of_file() && !self.sized
    }

    /// Why `page`, one of the region's, cannot be had.
    pub fn why_missing(&self, page: usize) -> FaultKind {
        match self.file() {
            Some(file) if self.sized && page >= self.address_of_end(file.size) => {
                FaultKind::BeyondEnd
            }
            _ if self.has_no_room(page) => FaultKind::NoSpace,
            _ => FaultKind::Io,
        }
    }

    /// Whether `page` cannot be had for want of a block, or of memory.
    pub(super) fn has_no_room(&self, page: usize) -> bool {
        let Backing::File { fd, offset, shared, .. } = self.backing else {
            // Memory runs out where the pool of huge pages does.
            return self.page_size > sys::page_size();
        };
        // Its descriptor may be of another file by now.
        let Some(file) = self.file() else { return false };
        // A file system that keeps a reserve, or a quota, refuses while statvfs(2) has room. Only a mapping that could
        // store may have the file take a block for the question, and none beyond its end: by posix_fallocate(3) that
        // would move it.
        let at = offset + (page - self.start) as u64;
        let length = file.size.saturating_sub(at).min(self.page_size as u64);
        let asks = shared && self.sized && self.written && length > 0;
        sys::is_full(fd) || (asks && sys::lacks_block(fd, at, length))
    }

    /// Reports and returns the fault of an access to the addresses `range`, if the file has become too short
    /// for it. Only whole pages behind the end fault by themselves: in the last page, loads read zeros behind
    /// the end, and stores there are lost.
    pub fn note_shortened(&mut self, range: &Range<usize>) -> Option<Fault> {
        let Backing::File { offset, .. } = self.backing else { return None };
        if !self.sized {
            return None;
        }
        let size = self.file()?.size;
        let length = usize::try_from(size.saturating_sub(offset)).unwrap_or(usize::MAX);
        let end = self.start.saturating_add(length);
        if range.end <= end {
            return None;
        }
        let page = sys::floor(range.start.max(end), self.page_size);
        let first = page.max(end).max(self.user.start);
        let fault = Fault {
            id: Fault::next_id(),
            kind: FaultKind::BeyondEnd,
            offset: first - self.user.start,
            length: self.user.end.saturating_sub(first),
            contained: true,
        };
        self.reports.push(fault.clone());
        Some(fault)
    }
}
