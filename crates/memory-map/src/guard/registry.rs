//! From an address to the record of the region that it lies in: a radix tree like a page table.
//!
//! A lookup follows at most nine pointers, takes no lock and allocates nothing, so the signal
//! handler may make it at any moment. Nodes are never freed, therefore a reader can never hold a
//! stale one; a leaf serves 128 KiB of addresses and is used again whenever those are mapped again.
//! An insertion or removal touches the two edges of the range at each level, whatever its length: nodes are
//! small, so that an edge is a few entries, not hundreds.

use crate::lock_anyway::LockAnyway;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::record::FaultRecord;

const PAGE_BITS: u32 = 12;
const LEVEL_BITS: u32 = 5;
const FAN_OUT: usize = 1 << LEVEL_BITS;
const TOP: u32 = 8;
/// Set in an entry that is a record; clear in one that is a node.
const IS_RECORD: usize = 1;

/// 32 entries, each 0, a `Node`, or a `FaultRecord` marked with `IS_RECORD`.
struct Node([AtomicUsize; FAN_OUT]);

static ROOT: Node = Node([const { AtomicUsize::new(0) }; FAN_OUT]);
static WRITER: Mutex<()> = Mutex::new(());

const fn shift(level: u32) -> u32 {
    PAGE_BITS + LEVEL_BITS * level
}

impl Node {
    fn entry(&self, address: u64, level: u32) -> &AtomicUsize {
        &self.0[(address >> shift(level)) as usize & (FAN_OUT - 1)]
    }

    /// The node below an entry that is neither empty nor a record.
    fn child(entry: usize) -> &'static Node {
        // SAFETY: such an entry was made by `grow` from a leaked box, and entries that are nodes
        // are never overwritten.
        unsafe { &*(entry as *const Node) }
    }

    /// Hangs a new node below an empty entry.
    fn grow(entry: &AtomicUsize) -> usize {
        let node: &'static Node =
            Box::leak(Box::new(Node([const { AtomicUsize::new(0) }; FAN_OUT])));
        let value = std::ptr::from_ref(node) as usize;
        entry.store(value, Ordering::Release);
        value
    }

    /// Writes `value` (a marked record, or 0) over the addresses from `start` to before `end`; where
    /// there is an `old` one only over that.
    fn fill(&self, level: u32, start: u64, end: u64, value: usize, old: Option<usize>) {
        let span = 1u64 << shift(level);
        let mut at = start;
        while at < end {
            let next = ((at & !(span - 1)) + span).min(end);
            let entry = self.entry(at, level);
            let current = entry.load(Ordering::Acquire);
            let is_node = current != 0 && current & IS_RECORD == 0;
            if level == 0 || (next - at == span && !is_node) {
                if old.is_none_or(|old| old == current) {
                    entry.store(value, Ordering::Release);
                }
            } else if is_node || value != 0 {
                let below = if is_node { current } else { Self::grow(entry) };
                Self::child(below).fill(level - 1, at, next, value, old);
            }
            at = next;
        }
    }
}

fn write(start: usize, end: usize, value: usize, old: Option<usize>) {
    let _one_writer = WRITER.lock_anyway();
    ROOT.fill(TOP, start as u64, end as u64, value, old);
}

fn marked(record: &'static FaultRecord) -> usize {
    std::ptr::from_ref(record) as usize | IS_RECORD
}

/// Makes `find` answer `record` for the addresses from `start` to before `end`.
pub(super) fn insert(start: usize, end: usize, record: &'static FaultRecord) {
    write(start, end, marked(record), None);
}

/// Makes `find` forget a range exactly as it was inserted, except for parts that another record has
/// by now.
pub(super) fn remove(start: usize, end: usize, record: &'static FaultRecord) {
    write(start, end, 0, Some(marked(record)));
}

/// The record of the region around `address`. Async-signal-safe.
pub(super) fn find(address: usize) -> Option<&'static FaultRecord> {
    let mut node = &ROOT;
    for level in (0..=TOP).rev() {
        let entry = node.entry(address as u64, level).load(Ordering::Acquire);
        if entry == 0 {
            return None;
        }
        if entry & IS_RECORD != 0 {
            // SAFETY: `insert` made the entry from a `&'static FaultRecord`, which is never freed.
            return Some(unsafe { &*((entry & !IS_RECORD) as *const FaultRecord) });
        }
        node = Node::child(entry);
    }
    None
}

#[cfg(all(test, target_pointer_width = "64"))] // of fewer addresses others map the same
mod tests {
    use super::*;

    // Addresses that no allocator of this process hands out: nothing is mapped or touched.
    const BASE: usize = 0x0000_1000_0000_0000;
    const PAGE: usize = 4096;

    fn finds(address: usize, record: &'static FaultRecord) -> bool {
        find(address).is_some_and(|found| std::ptr::eq(found, record))
    }

    #[test]
    fn finds_exactly_the_pages_of_a_range() {
        let record = FaultRecord::leak();
        for (start, pages) in [(0, 1), (7, 1000), (511, 2), (3, 3_000_000), (0, 1 << 28)] {
            let (start, end) = (BASE + start * PAGE, BASE + (start + pages) * PAGE);
            insert(start, end, record);
            assert!(finds(start, record) && finds(end - 1, record));
            assert!(finds(start + (end - start) / 2, record));
            assert!(!finds(start - 1, record) && !finds(end, record));
            remove(start, end, record);
            assert!(find(start).is_none() && find(end - 1).is_none());
            assert!(find(start + (end - start) / 2).is_none());
        }
    }

    #[test]
    fn keeps_neighbours_apart() {
        let base = BASE + (1 << 40);
        let count = if cfg!(miri) { 100 } else { 2000 };
        let records: Vec<_> = (0..count).map(|_| FaultRecord::leak()).collect();
        for (i, record) in records.iter().enumerate() {
            insert(base + i * PAGE, base + (i + 1) * PAGE, record);
        }
        for i in (0..records.len()).step_by(2) {
            remove(base + i * PAGE, base + (i + 1) * PAGE, records[i]);
        }
        for (i, record) in records.iter().enumerate() {
            let found = find(base + i * PAGE + 17);
            assert_eq!(found.is_some_and(|s| std::ptr::eq(s, *record)), i % 2 == 1);
        }
    }

    #[test]
    fn a_large_range_over_former_small_ones_is_removed_whole() {
        let base = BASE + (2 << 40);
        let (small, large) = (FaultRecord::leak(), FaultRecord::leak());
        insert(base + 5 * PAGE, base + 6 * PAGE, small);
        remove(base + 5 * PAGE, base + 6 * PAGE, small);
        insert(base, base + (1 << 32), large);
        assert!(finds(base + 5 * PAGE, large) && finds(base + (1 << 31), large));
        remove(base, base + (1 << 32), large);
        assert!(find(base + 5 * PAGE).is_none() && find(base + (1 << 31)).is_none());
    }

    #[test]
    fn what_another_record_has_by_now_is_not_removed() {
        let base = BASE + (3 << 40);
        let (old, new) = (FaultRecord::leak(), FaultRecord::leak());
        insert(base, base + (1 << 30), old);
        insert(base + 7 * PAGE, base + 9 * PAGE, new);
        remove(base, base + (1 << 30), old);
        assert!(finds(base + 7 * PAGE, new) && finds(base + 8 * PAGE, new));
        assert!(find(base + 6 * PAGE).is_none() && find(base + (1 << 29)).is_none());
        remove(base + 7 * PAGE, base + 9 * PAGE, new);
        assert!(find(base + 7 * PAGE).is_none());
    }
}
