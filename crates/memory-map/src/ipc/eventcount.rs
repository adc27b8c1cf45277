//! "Something has changed": for one side that looks at other words and sleeps while it sees
//! nothing, and another that changes them.
//!
//! Bit 0 of the word says that a thread may be asleep; the rest counts. A signal that finds no
//! sleeper is a fence and a load. Nothing here breaks when a process dies: a bit that stays set
//! costs one wake, a wake that is lost costs the sleeper one slice.

use super::atomic::{AtomicU64, Ordering, fence};
use super::park;

/// Says that the caller is about to sleep. It must check once more what it waits for, and then
/// sleep on the word while that is what this returned.
pub(crate) fn prepare(word: &AtomicU64) -> u64 {
    let value = word.fetch_or(1, Ordering::SeqCst) | 1;
    fence(Ordering::SeqCst);
    value
}

/// Wakes all sleeping threads. Call it after the change.
pub(crate) fn signal(word: &AtomicU64) {
    fence(Ordering::SeqCst);
    let value = word.load(Ordering::Relaxed);
    if value & 1 == 1
        && word
            // Clears the bit and counts. Where it fails, another signal came first.
            .compare_exchange(value, value.wrapping_add(1), Ordering::SeqCst, Ordering::Relaxed)
            .is_ok()
    {
        park::wake(word, u32::MAX);
    }
}
