//! How often something else may have been put where a mapping's pages were.
//!
//! Code that changes shared words without a call of ours, as JavaScript's atomics do, cannot be told
//! where its store went: over a page that fails the guard lays scratch memory, in which a
//! compare-and-swap *succeeds*. Such code reads this number before and after. Where it was the same
//! both times, and before that an access of ours had found the pages in place at that number too,
//! the store has reached them:
//!
//! - The number grows under a region's lock *before* its pages are replaced, and an access of ours
//!   begins under that lock. So it either finds the overlay, or the number is another one by the time there is one.
//! - A processor that uses the new page has seen the new translation, and so the number that was
//!   stored before it: the system call between them is a barrier, on both sides. The load that
//!   follows an atomic exchange is not done before it.
//!
//! There is one number for all mappings: it is never freed, and never starts again.

use std::sync::atomic::{AtomicU32, Ordering};

static CHANGES: AtomicU32 = AtomicU32::new(0);

/// Pages of a region, whose lock the caller holds, are about to be replaced. *handler*
pub(crate) fn note_change() {
    CHANGES.fetch_add(1, Ordering::SeqCst);
}

/// The number, which may be read at any time and must not be written.
///
/// ```
/// use std::sync::atomic::Ordering;
///
/// use memory_map::changes;
///
/// let before = changes().load(Ordering::SeqCst);
/// // ... code that stores to a mapping ...
/// let has_arrived = changes().load(Ordering::SeqCst) == before;
/// # let _ = has_arrived;
/// ```
pub fn changes() -> &'static AtomicU32 {
    &CHANGES
}
