//! Searching mapped bytes: first and last occurrence, counts, lines.
//!
//! # Why the slices are sound
//!
//! memchr takes `&[u8]`, and the bytes of a mapping may change while it looks at them: by another
//! process, by another thread, by the guard, which lays zeros over a page that fails. So a slice
//! lives for one call of memchr, on one chunk, and of its result nothing is believed but that the
//! call has ended. What memchr 2.8.3 does with bytes that change under it was read in its source:
//!
//! - *It only loads.* `memchr`, `memrchr` and their `count` walk with pointers between the bounds
//!   of the slice and never by what they read. A position is computed from a mask of the bytes
//!   just loaded; should the compiler load them twice, it can lie past the end by less than a
//!   vector, and that is checked here (`get`, and comparisons with the chunk's end).
//! - *The iterators*, which go on from such a position, are used for `count` alone, which has none.
//! - *`memmem::Finder`* compares candidates that lie inside (`packedpair`, `rabinkarp`: by pointers
//!   that depend on lengths only) or moves by amounts of the needle's tables, with its bounds
//!   checked at every turn (forward two-way). The needle is a copy of ours, which nothing changes.
//! - *`memmem::FinderRev` is not used*: its two-way search loads the first byte of a candidate
//!   twice, and where the second load differs it can step below zero, and panics. The last
//!   occurrence is found by halving instead, in about twice the time of one forward search.
//!
//! An answer about bytes that change meanwhile is some answer: it lies in the range, and nothing
//! more is promised.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use memchr::{memchr, memchr_iter, memrchr};

use crate::error::{Error, Result};
use crate::mapping::{Mapping, Needle, Whereabouts};
use crate::region::access::{Access, CHUNK, with_access};

/// Places that one thread takes at a time, when several search.
const BLOCK: usize = 16 << 20;
/// More threads than this wait for the memory instead of each other.
const MAX_THREADS: usize = 8;

static NEVER: AtomicBool = AtomicBool::new(false);

/// A part of a count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count {
    /// How many occurrences begin in the range.
    pub count: usize,
    /// Where the next one may begin.
    pub next: usize,
}

impl Mapping {
    /// Where `needle` first occurs in a range.
    ///
    /// # Errors
    /// [`Error::Fault`] if bytes before that cannot be read; [`Error::OutOfRange`];
    /// [`Error::Closed`].
    pub fn find(&self, needle: &Needle, range: Range<usize>) -> Result<Option<usize>> {
        self.find_until(needle, &range, &NEVER)
    }

    /// Where `needle` last occurs in a range.
    ///
    /// # Errors
    /// [`Error::Fault`] if bytes after that cannot be read; otherwise as [`Mapping::find`].
    pub fn find_last(&self, needle: &Needle, range: Range<usize>) -> Result<Option<usize>> {
        let found = self.scan(needle, &range, &NEVER, |scan| {
            let found = scan.last(&scan.places);
            (found, found.unwrap_or(range.start)..range.end)
        })?;
        Ok(found.flatten())
    }

    /// How many times `needle` occurs in a range, counted from its start and without overlaps.
    ///
    /// # Errors
    /// [`Error::Fault`] if bytes cannot be read; otherwise as [`Mapping::find`].
    pub fn count(&self, needle: &Needle, range: Range<usize>) -> Result<usize> {
        Ok(self.count_until(needle, &range, &NEVER)?.count)
    }

    /// As [`Mapping::find`], with the help of other threads where there is much to search. Ends
    /// soon after `stop` was set, with an answer that means nothing.
    ///
    /// ```
    /// use memory_map::{Mapping, Needle, Options};
    ///
    /// let map = Mapping::anonymous(64 << 20, false, &Options::default())?;
    /// map.write(b"needle", 50 << 20)?;
    /// let needle = Needle::new(b"needle", false)?;
    /// let never = std::sync::atomic::AtomicBool::new(false);
    /// assert_eq!(map.find_on_threads(&needle, 0..map.len(), &never)?, Some(50 << 20));
    /// assert_eq!(map.count_on_threads(&needle, 0..map.len(), &never)?.count, 1);
    /// # Ok::<(), memory_map::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Mapping::find`].
    pub fn find_on_threads(
        &self,
        needle: &Needle,
        range: Range<usize>,
        stop: &AtomicBool,
    ) -> Result<Option<usize>> {
        let found = self.scan(needle, &range, stop, |scan| {
            let first = AtomicUsize::new(usize::MAX);
            scan.on_threads(|places| {
                let is_late = || first.load(Ordering::Relaxed) < places.start;
                if let Some(at) = scan.first(&places, is_late) {
                    first.fetch_min(at, Ordering::Relaxed);
                }
                let so_far = scan.places.start..places.end;
                first.load(Ordering::Relaxed) == usize::MAX && !scan.is_over(&so_far)
            });
            let found = Some(first.into_inner()).filter(|at| *at != usize::MAX);
            (found, scan.through(found))
        })?;
        Ok(found.flatten())
    }

    /// As [`Mapping::count`], with the help of other threads where there is much to search. Ends
    /// soon after `stop` was set, with an answer that means nothing.
    ///
    /// # Errors
    /// As [`Mapping::count`].
    pub fn count_on_threads(
        &self,
        needle: &Needle,
        range: Range<usize>,
        stop: &AtomicBool,
    ) -> Result<Count> {
        if needle.overlaps_itself()? {
            // What is counted depends on all that comes before.
            return self.count_until(needle, &range, stop);
        }
        let count = self.scan(needle, &range, stop, |scan| {
            let sum = AtomicUsize::new(0);
            scan.on_threads(|places| {
                sum.fetch_add(scan.count(&places).count, Ordering::Relaxed);
                !scan.is_over(&scan.places)
            });
            (Count { count: sum.into_inner(), next: scan.places.end }, range.clone())
        })?;
        Ok(count.unwrap_or(Count { count: 0, next: range.start }))
    }

    /// Calls `line` with where each line of a range is, without its `\n` or `\r\n`, until that
    /// returns false. What comes after the last `\n` is no line.
    ///
    /// Returns where the next line begins.
    ///
    /// ```
    /// use memory_map::{Mapping, Options};
    ///
    /// let map = Mapping::anonymous(8, false, &Options::default())?;
    /// map.write(b"one\ntwo\n", 0)?;
    /// let mut lines = Vec::new();
    /// let next = map.lines(0..map.len(), |line| {
    ///     lines.push(line);
    ///     true
    /// })?;
    /// assert_eq!((lines, next), (vec![0..3, 4..7], 8));
    /// # Ok::<(), memory_map::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Fault`] if bytes cannot be read, after calls of `line` that mean nothing then;
    /// [`Error::OutOfRange`]; [`Error::Closed`].
    pub fn lines(
        &self,
        range: Range<usize>,
        mut line: impl FnMut(Range<usize>) -> bool,
    ) -> Result<usize> {
        let there = self.whereabouts_with(&range)?;
        let next = self.look(there.as_ref(), &range, |there, access| {
            let (base, all) = (there.first, there.addresses(&range));
            let mut next = range.start;
            for chunk in chunks(&range, CHUNK).take_while(|_| !access.is_over(&all)) {
                // SAFETY: `look` vouches for the range.
                let mut rest = unsafe { bytes(base, &chunk) };
                while let Some(at) = memchr(b'\n', rest)
                    && let Some(after) = rest.get(at + 1..)
                {
                    rest = after;
                    let after = chunk.end - rest.len();
                    let mut end = after - 1;
                    // SAFETY: as above; the byte may lie in an earlier chunk.
                    if end > next && unsafe { bytes(base, &(end - 1..end)) } == b"\r" {
                        end -= 1;
                    }
                    let goes_on = line(next..end);
                    next = after;
                    if !goes_on {
                        return (next, range.start..next);
                    }
                }
            }
            (next, range.clone())
        })?;
        Ok(next.unwrap_or(range.start))
    }

    fn find_until(
        &self,
        needle: &Needle,
        range: &Range<usize>,
        stop: &AtomicBool,
    ) -> Result<Option<usize>> {
        let found = self.scan(needle, range, stop, |scan| {
            let found = scan.first(&scan.places, || false);
            (found, scan.through(found))
        })?;
        Ok(found.flatten())
    }

    fn count_until(
        &self,
        needle: &Needle,
        range: &Range<usize>,
        stop: &AtomicBool,
    ) -> Result<Count> {
        let count =
            self.scan(needle, range, stop, |scan| (scan.count(&scan.places), range.clone()))?;
        Ok(count.unwrap_or(Count { count: 0, next: range.start }))
    }

    /// Runs a search, again where `resize` has moved the mapping meanwhile. `search` returns,
    /// besides its result, the range that this depends on.
    fn scan<R>(
        &self,
        needle: &Needle,
        range: &Range<usize>,
        stop: &AtomicBool,
        search: impl Fn(&Scan<'_>) -> (R, Range<usize>),
    ) -> Result<Option<R>> {
        let mut there = self.whereabouts_with(range)?;
        loop {
            let result = self.look(there.as_ref(), range, |there, access| {
                let (places, range) = (needle.places_in(range), range.clone());
                search(&Scan { needle, range, places, there, access, stop })
            });
            let Err(Error::Closed) = result else { return result };
            let now = self.whereabouts_with(range)?;
            let region = |there: &Option<Whereabouts>| {
                there.as_ref().map(|there| Arc::as_ptr(&there.region))
            };
            if region(&now) == region(&there) {
                return result;
            }
            there = now;
        }
    }

    /// Gives `look` the access under which the bytes of a range, if there are any, can be looked at
    /// where the mapping is.
    fn look<R>(
        &self,
        there: Option<&Whereabouts>,
        range: &Range<usize>,
        look: impl FnOnce(&Whereabouts, &Access<'_>) -> (R, Range<usize>),
    ) -> Result<Option<R>> {
        let Some(there) = there else { return Ok(None) };
        let (result, touched) = with_access(&there.region, there.addresses(range), |access| {
            let (result, touched) = look(there, access);
            let touched = there.addresses(&touched);
            ((result, touched.clone()), touched)
        })?;
        self.check(range.start, range.len())?;
        there.region.check_end(&touched)?;
        Ok(Some(result))
    }
}

/// One search under way, by one thread or several.
struct Scan<'a> {
    needle: &'a Needle,
    range: Range<usize>,
    /// Where in the range the needle may begin.
    places: Range<usize>,
    there: &'a Whereabouts,
    access: &'a Access<'a>,
    stop: &'a AtomicBool,
}

impl Scan<'_> {
    /// The part of the range up to what was found.
    fn through(&self, found: Option<usize>) -> Range<usize> {
        self.range.start..found.map_or(self.range.end, |at| at + self.needle.len())
    }

    /// Whether it is pointless to go on after `places`.
    fn is_over(&self, places: &Range<usize>) -> bool {
        let bytes = self.there.addresses(&(places.start..places.end + self.needle.len() - 1));
        self.stop.load(Ordering::Relaxed) || self.access.is_over(&bytes)
    }

    /// `places` in pieces that are searched in one go.
    fn chunks(&self, places: &Range<usize>) -> impl DoubleEndedIterator<Item = Range<usize>> {
        chunks(places, CHUNK.max(self.needle.len()))
    }

    fn first(&self, places: &Range<usize>, is_late: impl Fn() -> bool) -> Option<usize> {
        let mut chunks = self.chunks(places).take_while(|chunk| {
            // What fails further on does not matter if something is found before.
            !is_late() && !self.is_over(&(places.start..chunk.start))
        });
        chunks.find_map(|chunk| self.first_in(self.narrow(chunk)))
    }

    fn last(&self, places: &Range<usize>) -> Option<usize> {
        let chunks = self.chunks(places).rev();
        let mut chunks = chunks.take_while(|chunk| !self.is_over(&(chunk.end..places.end)));
        chunks.find_map(|chunk| self.last_in(chunk))
    }

    fn count(&self, places: &Range<usize>) -> Count {
        let (mut count, mut next) = (0, places.start);
        for chunk in self.chunks(places).take_while(|_| !self.is_over(places)) {
            if let Some(byte) = self.needle.as_byte() {
                // SAFETY: as in `first_in`.
                count += memchr_iter(byte, unsafe { bytes(self.there.first, &chunk) }).count();
            } else {
                next = self.narrow(next..chunk.end).start;
                while let Some(found) = self.first_in(next..chunk.end) {
                    next = found + self.needle.len();
                    count += 1;
                }
            }
            next = next.max(chunk.end);
        }
        Count { count, next }
    }

    /// `places` without what can be told at a glance to have no occurrence before the first.
    fn narrow(&self, places: Range<usize>) -> Range<usize> {
        if places.is_empty() || self.needle.as_byte().is_some() {
            return places;
        }
        // SAFETY: as in `first_in`.
        let bytes =
            unsafe { bytes(self.there.first, &(places.start..places.end + self.needle.len() - 1)) };
        let skipped = self.needle.earliest_in(bytes).unwrap_or(places.len());
        places.end.min(places.start + skipped)..places.end
    }

    /// The first occurrence that begins in `places`.
    fn first_in(&self, places: Range<usize>) -> Option<usize> {
        let (needle, mut start) = (self.needle, places.start);
        while start < places.end {
            // SAFETY: `Mapping::look` vouches for the range, in which the bytes lie.
            let bytes = unsafe { bytes(self.there.first, &(start..places.end + needle.len() - 1)) };
            let found = start + needle.finder.find(bytes)?;
            if !needle.wide || found % 2 == 0 {
                return Some(found).filter(|at| *at < places.end);
            }
            start = found + needle.odd_shift;
        }
        None
    }

    /// The last occurrence that begins in `places`.
    fn last_in(&self, places: Range<usize>) -> Option<usize> {
        if let Some(byte) = self.needle.as_byte() {
            // SAFETY: as in `first_in`.
            let found = memrchr(byte, unsafe { bytes(self.there.first, &places) })?;
            return Some(places.start + found).filter(|at| *at < places.end);
        }
        let mut last = self.first_in(self.narrow(places.clone()))?;
        let mut end = places.end;
        while last + 1 < end {
            let middle = last + (end - last).div_ceil(2);
            match self.first_in(middle..end) {
                Some(found) => last = found,
                None => end = middle,
            }
        }
        Some(last)
    }

    /// Hands out the places block by block, the first ones first, to this thread and to others,
    /// until `search` returns false.
    fn on_threads(&self, search: impl Fn(Range<usize>) -> bool + Sync) {
        let size = BLOCK.max(self.needle.len());
        let blocks = self.places.len().div_ceil(size);
        let next = AtomicUsize::new(0);
        let work = || loop {
            let block = next.fetch_add(1, Ordering::Relaxed);
            let start = self.places.start + block * size;
            if block >= blocks || !search(start..self.places.end.min(start + size)) {
                return;
            }
        };
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        std::thread::scope(|scope| {
            for _ in 1..threads.min(MAX_THREADS).min(blocks) {
                // Without the thread there is less help.
                let _ = std::thread::Builder::new().spawn_scoped(scope, work);
            }
            work();
        });
    }
}

/// `range` in pieces of `size`.
fn chunks(range: &Range<usize>, size: usize) -> impl DoubleEndedIterator<Item = Range<usize>> {
    let end = range.end;
    range.clone().step_by(size).map(move |start| start..end.min(start + size))
}

/// Mapped bytes, for one call of memchr.
///
/// # Safety
/// The range must lie in a mapping whose addresses stay, with `base` that of its first byte, and
/// be watched. What is done with the slice must bear that the bytes change: see the head of this
/// file.
unsafe fn bytes<'a>(base: usize, range: &Range<usize>) -> &'a [u8] {
    // SAFETY: the caller vouches for it.
    unsafe { std::slice::from_raw_parts((base + range.start) as *const u8, range.len()) }
}
