//! Many ranges of addresses that go back to the OS with few calls.

use std::cell::RefCell;
use std::ops::Range;
use std::sync::Mutex;

use crate::lock_anyway::LockAnyway;
use crate::sys;

thread_local! {
    /// What `unmap_together` collects on this thread, while it runs.
    static RANGES: RefCell<Option<Vec<Range<usize>>>> = const { RefCell::new(None) };
}

/// Runs `f`. Addresses whose last key or mapping it drops go back to the OS afterwards, neighbouring
/// ones with one call: where there are many that takes much less time.
///
/// ```
/// use memory_map::{Mapping, Options};
///
/// let maps: Vec<_> =
///     (0..10).map(|_| Mapping::anonymous(100, false, &Options::default())).collect();
/// memory_map::unmap_together(|| drop(maps));
/// ```
pub fn unmap_together<R>(f: impl FnOnce() -> R) -> R {
    let is_outermost = RANGES.with_borrow_mut(|ranges| {
        let is_outermost = ranges.is_none();
        ranges.get_or_insert_default();
        is_outermost
    });
    let _afterwards = is_outermost.then(|| Afterwards);
    f()
}

/// Unmaps what was collected, also if `f` panics.
struct Afterwards;

impl Drop for Afterwards {
    fn drop(&mut self) {
        let ranges = RANGES.with_borrow_mut(Option::take).unwrap_or_default();
        // SAFETY: each was given up to `unmap`.
        unsafe { give_back(merged(ranges)) };
    }
}

/// Gives a range back to the OS: now, or where `unmap_together` runs after it.
///
/// # Safety
/// Nothing may be able to reach the range any more.
pub(crate) unsafe fn unmap(range: Range<usize>) {
    let collect = |ranges: &RefCell<Option<Vec<Range<usize>>>>| {
        ranges.borrow_mut().as_mut().map(|ranges| ranges.push(range.clone())).is_some()
    };
    // Where the thread is about to end there is nothing to collect them in.
    if !RANGES.try_with(collect).unwrap_or(false) {
        // SAFETY: the caller vouches for it.
        unsafe { give_back([range]) };
    }
}

/// What the system has refused to take, until it has memory areas again.
static REFUSED: Mutex<Vec<Range<usize>>> = Mutex::new(Vec::new());

/// Gives ranges back to the OS, and then those that it has refused before.
///
/// # Safety
/// Nothing may be able to reach the ranges any more.
unsafe fn give_back(ranges: impl IntoIterator<Item = Range<usize>>) {
    let is_refused = |range: &Range<usize>| {
        // SAFETY: the caller vouches for it, and did for those that were refused.
        !unsafe { sys::unmap(range.start, range.len()) }
    };
    let mut now: Vec<_> = ranges.into_iter().filter(is_refused).collect();
    let mut refused = REFUSED.lock_anyway();
    if now.is_empty() {
        while refused.pop_if(|range| !is_refused(range)).is_some() {}
    }
    refused.append(&mut now);
}

/// The same addresses in as few ranges as the system can unmap.
fn merged(mut ranges: Vec<Range<usize>>) -> Vec<Range<usize>> {
    if sys::UNMAPS_NEIGHBOURS {
        ranges.sort_unstable_by_key(|range| range.start);
        ranges.dedup_by(|next, range| {
            let is_neighbour = range.end == next.start;
            if is_neighbour {
                range.end = next.end;
            }
            is_neighbour
        });
    }
    ranges
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn neighbours_are_one_range() {
        assert_eq!(merged(vec![30..40, 0..10, 20..30, 10..15, 50..60]), [0..15, 20..40, 50..60]);
        assert!(merged(Vec::new()).is_empty());
    }
}
