//! Whether a page is gone that should be accessible.

/// How often a page must have faulted that allows the access, to be taken to be gone.
pub(super) const MOST: u32 = 64;

/// The last pages that allow the access which has faulted, and how often each has. Threads can fault at several in turn.
#[derive(Clone, Copy)]
pub(super) struct Doubts([(usize, u32); 8]);

impl Doubts {
    pub const NONE: Self = Self([(0, 0); 8]);

    /// Counts a fault of `page`, if need be in place of the page with the fewest. Returns how many that makes. *handler*
    pub fn count(&mut self, page: usize) -> u32 {
        let fewest = |(known, faults): &&mut (usize, u32)| (*known != page, *faults);
        let Some((known, faults)) = self.0.iter_mut().min_by_key(fewest) else { return 0 };
        if *known != page {
            (*known, *faults) = (page, 0);
        }
        *faults = faults.saturating_add(1);
        *faults
    }
}
