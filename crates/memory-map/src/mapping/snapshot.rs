//! What stays for code that still reads where a mapping was.

use std::ops::Range;

use crate::error::Result;
use crate::mapping::{Mapping, Pages, State};
use crate::region::Snapshot;

impl Mapping {
    /// Has the next `close`, or `resize` that moves the mapping, leave snapshots of these ranges at
    /// the addresses that it leaves, if something else holds those; instead of the ranges that were
    /// named before. On Windows none are left.
    ///
    /// ```
    /// use memory_map::{Mapping, Options};
    ///
    /// let map = Mapping::anonymous(4096, false, &Options::default())?;
    /// map.write(b"x", 0)?;
    /// let key = map.key()?;
    /// map.leave_snapshots(vec![0..1])?;
    /// map.close();
    /// # #[cfg(target_os = "linux")]
    /// // SAFETY: the key keeps the addresses, where there is the snapshot.
    /// assert_eq!(unsafe { (key.start() as *const u8).read_volatile() }, b'x');
    /// # Ok::<(), memory_map::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`crate::Error::OutOfRange`].
    pub fn leave_snapshots(&self, ranges: Vec<Range<usize>>) -> Result<()> {
        let mut state = self.state();
        for range in &ranges {
            self.check(range.start, range.end.saturating_sub(range.start))?;
        }
        state.snapshots.retain(|(token, _)| *token != self.token);
        state.snapshots.extend(ranges.into_iter().map(|range| (self.token, range)));
        Ok(())
    }

    /// Snapshots of what was asked for, if anything else may read them.
    pub(crate) fn snapshots(&self, state: &State) -> Vec<Snapshot> {
        let ranges = &state.snapshots;
        match &state.pages {
            Pages::Mapped(region) if !ranges.is_empty() && !region.is_ours_alone() => {
                let there = self.find_out(state).ok().flatten();
                there.map_or_else(Vec::new, |there| {
                    let ranges = ranges.iter().map(|(_, range)| there.addresses(range));
                    Snapshot::all(&there.region, ranges.collect())
                })
            }
            _ => Vec::new(),
        }
    }
}
