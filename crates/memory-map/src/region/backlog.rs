//! When it is time to look which addresses of closed mappings can go back.

/// Ranges after which it is. Each can be a VMA of its own, for Linux begins files from 2 MiB on at a huge
/// page, with a gap behind each; a process has 65,530, and several threads that map.
const MANY: usize = 1 << 13;
/// The same in bytes of address space; the smallest address space has 2^47, on 32 bits 2^31.
const LARGE: usize = 1 << if usize::BITS == 64 { 43 } else { 27 };

/// Addresses that wait until nothing can reach them, counted. The owner of the keys looks which of them can go
/// whenever it [is due](Backlog::is_due): looking each time would take longer than mapping.
///
/// ```
/// let mut backlog = memory_map::Backlog::default();
/// backlog.add(1 << 20);
/// assert!(!backlog.is_due());
/// (0..10_000).for_each(|_| backlog.add(4096));
/// assert!(backlog.is_due());
/// // What had to stay is no reason to look again soon.
/// backlog.looked([4096; 9_000]);
/// assert!(!backlog.is_due());
/// backlog.remove(4096);
/// assert!(!memory_map::Backlog::unseen().is_due());
/// ```
#[derive(Debug)]
pub struct Backlog {
    count: usize,
    bytes: usize,
    most_ranges: usize,
    most_bytes: usize,
}

impl Default for Backlog {
    fn default() -> Self {
        Self { count: 0, bytes: 0, most_ranges: MANY, most_bytes: LARGE }
    }
}

impl Backlog {
    /// One that is due later: of ranges which nothing tells the end of, so that looking is of no use.
    #[must_use]
    pub fn unseen() -> Self {
        Self { most_ranges: 2 * MANY, ..Self::default() }
    }

    /// Counts a range of `bytes`.
    pub fn add(&mut self, bytes: usize) {
        self.count += 1;
        self.bytes += bytes;
    }

    /// Takes back what `add` counted.
    pub fn remove(&mut self, bytes: usize) {
        self.count = self.count.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(bytes);
    }

    /// Whether there are many ranges, or large ones.
    #[must_use]
    pub fn is_due(&self) -> bool {
        self.count >= self.most_ranges || self.is_large()
    }

    /// Whether the ranges take much of the address space.
    #[must_use]
    pub fn is_large(&self) -> bool {
        self.bytes >= self.most_bytes
    }

    /// Notes which ranges are left now that the owner has looked.
    pub fn looked(&mut self, left: impl IntoIterator<Item = usize>) {
        *self = Self::default();
        left.into_iter().for_each(|bytes| self.add(bytes));
        self.most_ranges = self.count + MANY.max(self.count / 8);
        self.most_bytes = LARGE.max(2 * self.bytes);
    }
}
