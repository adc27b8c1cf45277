//! What is left for those who still read where a mapping was.

use std::ops::Range;

use crate::error::Result;
use crate::mapping::{Mapping, Pages, State};
use crate::region::Snapshot;

impl Mapping {
    /// Has the next `close`, or `resize` that moves the mapping, leave snapshots of these ranges at
    /// the addresses that it leaves, if something else holds those; instead of the ranges that were
    /// named before.
    ///
    /// # Errors
    /// [`crate::Error::OutOfRange`].
    pub fn leave_snapshots(&self, ranges: Vec<Range<usize>>) -> Result<()> {
        for range in &ranges {
            self.check(range.start, range.end.saturating_sub(range.start))?;
        }
        self.state().snapshots = ranges;
        Ok(())
    }

    /// Snapshots of what was asked for, if anything else may read them.
    pub(crate) fn take_snapshots(&self, state: &mut State) -> Vec<Snapshot> {
        let page_offset = self.page_offset();
        let ranges = std::mem::take(&mut state.snapshots);
        match &state.pages {
            Pages::Mapped(region) if !region.is_ours_alone() => {
                let shift =
                    |range: Range<usize>| page_offset + range.start..page_offset + range.end;
                Snapshot::all(region, ranges.into_iter().map(shift).collect())
            }
            _ => Vec::new(),
        }
    }
}
