//! When it is time to look which addresses of closed mappings can go back.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::protection::Protection;
use crate::sys::{self, Backing};

/// Ranges after which it is. Each can be a VMA of its own, for Linux begins files from 2 MiB on at a huge
/// page, with a gap behind each; a process has 65,530, and several threads that map.
const MANY: usize = 1 << 13;
/// Bytes after which it is, where the process's backlogs have `large_in_all` together.
fn large() -> usize {
    large_in_all() / 8
}

/// Half of an address space of 2^47 bytes, on 32 bits an eighth; a quarter of the limit that the process began with, where
/// that is less. Having a runtime collect takes milliseconds, on a large heap a hundred, and it collects by itself before
/// mappings of 4 GiB take 2^46.
fn large_in_all() -> usize {
    static LIMIT: OnceLock<usize> = OnceLock::new();
    let most = if usize::BITS == 64 { 1 << 46 } else { 1 << 29 };
    most.min(*LIMIT.get_or_init(sys::most_addresses) / 4)
}

/// Bytes that all backlogs of the process count.
static IN_ALL: AtomicUsize = AtomicUsize::new(0);

/// Bytes that they counted when `Backlog::are_due` was last true, or 0.
static DUE: AtomicUsize = AtomicUsize::new(0);

/// Whether the process can have some more memory, in areas of their own: a runtime that collects when there is none
/// left ends the process.
///
/// ```
/// assert!(memory_map::has_room());
/// ```
#[must_use]
pub fn has_room() -> bool {
    const LENGTH: usize = 1 << 26;
    const AREAS: usize = 64;
    let Ok(start) = sys::map(0, LENGTH, Protection::ReadWrite, Backing::Zeros) else {
        return false;
    };
    let (start, page) = (start as usize, sys::page_size());
    // A readable page makes two more areas.
    let has_room = (0..AREAS / 2).all(|index| {
        // SAFETY: the page was mapped above, and nothing uses it.
        unsafe { sys::protect(start + (2 * index + 1) * page, page, Protection::Read) }.is_ok()
    });
    // SAFETY: the range was mapped above, and nothing uses it.
    unsafe { sys::unmap(start, LENGTH) };
    has_room
}

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
/// assert!(backlog.looked([4096; 9_000]));
/// assert!(!backlog.is_due());
/// backlog.remove(4096);
/// assert!(!memory_map::Backlog::unseen().is_due());
/// // Much of the address space.
/// backlog.add(1 << (usize::BITS - 2));
/// assert!(backlog.is_large());
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
        Self { count: 0, bytes: 0, most_ranges: MANY, most_bytes: large() }
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
        IN_ALL.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Takes back what `add` counted.
    pub fn remove(&mut self, bytes: usize) {
        let bytes = bytes.min(self.bytes);
        self.count = self.count.saturating_sub(1);
        self.bytes -= bytes;
        IN_ALL.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Whether there are many ranges, or large ones.
    #[must_use]
    pub fn is_due(&self) -> bool {
        self.count >= self.most_ranges || self.is_large()
    }

    /// Whether the ranges take much of the address space, and there is not much of it left.
    #[must_use]
    pub fn is_large(&self) -> bool {
        self.bytes >= self.most_bytes && IN_ALL.load(Ordering::Relaxed) >= large_in_all()
    }

    /// Whether the ranges of all threads take too much together, and an eighth more than when this was last true: then
    /// also threads that map nothing more should look.
    ///
    /// ```
    /// use memory_map::Backlog;
    ///
    /// let mut backlog = Backlog::default();
    /// backlog.add(1 << 20);
    /// assert!(!Backlog::are_due());
    /// backlog.add(1 << (usize::BITS - 2));
    /// assert!(Backlog::are_due());
    /// assert!(!Backlog::are_due());
    /// ```
    #[must_use]
    pub fn are_due() -> bool {
        let (bytes, before) = (IN_ALL.load(Ordering::Relaxed), DUE.load(Ordering::Relaxed));
        let are_large = bytes >= large_in_all();
        let are_due = are_large && bytes >= before.saturating_add(large());
        if are_due || !are_large && before > 0 {
            DUE.store(if are_due { bytes } else { 0 }, Ordering::Relaxed);
        }
        are_due
    }

    /// Notes which ranges are left now that the owner has looked. Says whether they are most of the bytes.
    pub fn looked(&mut self, left: impl IntoIterator<Item = usize>) -> bool {
        let before = std::mem::take(self).bytes;
        left.into_iter().for_each(|bytes| self.add(bytes));
        self.most_ranges = self.count + MANY.max(self.count / 8);
        self.most_bytes = large().max(2 * self.bytes);
        2 * self.bytes > before
    }
}

impl Drop for Backlog {
    fn drop(&mut self) {
        IN_ALL.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}
