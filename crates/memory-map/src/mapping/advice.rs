//! What the system is told of pages, or asked to do with them, and asked about them: madvise(2),
//! mlock(2), mincore(2).

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::advice::Advice;
use crate::allocate::with_room;
use crate::error::{Error, Result};
use crate::fault::FaultKind;
use crate::mapping::{Mapping, Whereabouts};
use crate::options::Kind;
use crate::region::{Addresses, Region, access};
use crate::sys;

impl Advice {
    /// Whether this system has it.
    ///
    /// ```
    /// use memory_map::{Advice, Error, Mapping, Options};
    ///
    /// let map = Mapping::anonymous(4096, false, &Options::default())?;
    /// match map.advise(Advice::Cold, 0..4096) {
    ///     Ok(()) => assert!(Advice::Cold.is_supported()),
    ///     Err(error) => assert!(matches!(error, Error::Unsupported(_) | Error::Os { .. })),
    /// }
    /// # Ok::<(), Error>(())
    /// ```
    pub fn is_supported(self) -> bool {
        sys::supports(self)
    }

    /// Whether contents can be lost by it.
    fn is_destructive(self) -> bool {
        matches!(self, Self::DontNeed | Self::Free | Self::Remove | Self::WipeOnFork)
    }

    /// Why the system refuses it, where the number alone does not say.
    fn explain(self, errno: i32) -> Error {
        let detail = match self {
            Self::Free | Self::WipeOnFork => "this advice is for private memory without a file",
            Self::Remove => {
                "this advice needs a shared mapping to store to, and a file system that can punch \
                 holes"
            }
            Self::DontNeed => "the pages are locked, or huge ones",
            Self::PopulateRead | Self::PopulateWrite => {
                "a page is not available: the device failed, or the protection forbids it"
            }
            Self::Collapse => {
                "the file system has no large pages, there is none to be had, or `nohugepage` was \
                 advised"
            }
            _ => return Error::os(errno, "madvise"),
        };
        Error::os_because(errno, "madvise", detail)
    }
}

/// Which pages of a range are in memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Residency {
    /// How many pages the range has.
    pub pages: usize,
    /// How many of them are in memory.
    pub resident: usize,
    /// A bit for each, the first page's the lowest of the first byte.
    pub bitmap: Vec<u8>,
}

impl Mapping {
    /// Tells the system what a range is for. What can lose contents takes whole pages only: the
    /// range begins at a page's start, or the mapping's, and ends at a page's end, or the
    /// mapping's.
    ///
    /// ```
    /// use memory_map::{Advice, Mapping, Options};
    ///
    /// let map = Mapping::anonymous(1 << 20, false, &Options::default())?;
    /// map.advise(Advice::WillNeed, 0..map.len())?;
    /// # Ok::<(), memory_map::Error>(())
    /// ```
    ///
    /// # Errors
    /// The OS's; [`Error::Unsupported`]; [`Error::OutOfRange`]; [`Error::Closed`].
    pub fn advise(&self, advice: Advice, range: Range<usize>) -> Result<()> {
        if !advice.is_supported() {
            return Err(Error::Unsupported("this system does not have that advice"));
        }
        let Some((there, pages)) = self.pages(&range, advice.is_destructive())? else {
            return Ok(());
        };
        let region = &there.region;
        // Linux refuses it by itself; macOS would take the memory from other processes.
        if advice == Advice::Free && (self.kind() != Kind::Anonymous || region.file().is_some()) {
            return Err(advice.explain(sys::EINVAL));
        }
        if advice == Advice::Remove {
            self.check_hole(&there, &range)?;
        }
        let advise = || {
            // SAFETY: the pages are the region's, which is held, and under its lock where they
            // can lose anything: no other mapping is in their place.
            unsafe { sys::advise(pages.start, pages.len(), advice) }
                .map_err(|errno| advice.explain(errno))
        };
        if matches!(advice, Advice::PopulateRead | Advice::PopulateWrite) {
            return region.bring_in(&pages, advice == Advice::PopulateWrite); // not under the lock
        }
        let inner = region.lock();
        match inner.has(&pages) {
            true => advise(),
            false => Err(Error::Closed),
        }
    }

    /// Brings all pages in, where the mapping was made to have them.
    ///
    /// # Errors
    /// The OS's, as [`Mapping::advise`]; [`Error::Fault`].
    pub(crate) fn populate(&self) -> Result<()> {
        if !self.options.populate || !self.options.protection.readable() {
            return Ok(());
        }
        let Some((there, pages)) = self.pages(&(0..self.len()), false)? else { return Ok(()) };
        let region = &there.region;
        match region.bring_in(&pages, self.populates_for_stores()) {
            // The memory of a device is there, whether or not its pages are mapped.
            Err(Error::Os { errno: sys::EINVAL, .. }) if region.lock().is_device() => Ok(()),
            // The kernel is an old one.
            Err(Error::Os { errno: sys::EINVAL, .. }) => access::touch(region, pages),
            done => done,
        }
    }

    /// Whether pages that are brought in when they are mapped are made ready for stores. Those of a file
    /// would all be written to disk by that.
    pub(crate) fn populates_for_stores(&self) -> bool {
        self.options.protection.writable() && self.kind() != Kind::Shared
    }

    /// The file's blocks go whole, so a hole must not reach beyond the mapping.
    fn check_hole(&self, there: &Whereabouts, range: &Range<usize>) -> Result<()> {
        let exact = there.addresses(range);
        let is_aligned = |at: usize| sys::floor(at, sys::page_size()) == at;
        let end = self.offset() + range.end as u64;
        let ends_file = || {
            let file = there.region.file();
            file.is_some_and(|file| file.metadata().is_ok_and(|file| file.len() <= end))
        };
        if is_aligned(exact.start) && (is_aligned(exact.end) || ends_file()) {
            return Ok(());
        }
        Err(Error::OutOfRange {
            name: "range",
            requirement: "aligned to pages in memory, or end with the file",
        })
    }

    /// Keeps the pages of a range in memory (mlock(2)); with `on_fault` each from when it is first
    /// touched (`MLOCK_ONFAULT` of mlock2(2)).
    ///
    /// ```
    /// use memory_map::{Error, Mapping, Options};
    ///
    /// let map = Mapping::anonymous(4096, false, &Options::default())?;
    /// match map.lock(0..4096, false) {
    ///     Ok(()) => map.unlock(0..4096)?,
    ///     Err(error) => assert!(matches!(error, Error::Os { .. })), // RLIMIT_MEMLOCK allows none
    /// }
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Errors
    /// The OS's, where RLIMIT_MEMLOCK allows less among them; [`Error::Unsupported`];
    /// [`Error::OutOfRange`]; [`Error::Closed`].
    pub fn lock(&self, range: Range<usize>, on_fault: bool) -> Result<()> {
        if on_fault && !sys::LOCKS_ON_FAULT {
            return Err(Error::Unsupported("this system cannot lock pages when they are touched"));
        }
        let Some((there, pages)) = self.pages(&range, false)? else { return Ok(()) };
        let region = &there.region;
        // SAFETY: the pages are the region's, which is held.
        unsafe { sys::lock_pages(pages.start, pages.len(), on_fault) }.map_err(|errno| {
            let end = self.offset() + range.end as u64;
            let is_beyond = region.file().is_some_and(|file| {
                file.metadata().is_ok_and(|file| file.is_file() && file.len() < end)
            });
            let detail = match is_beyond {
                true => "the file ends before the range does",
                false => sys::LOCK_LIMIT,
            };
            Error::os_because(errno, "mlock", detail)
        })
    }

    /// Ends what [`Mapping::lock`] began.
    ///
    /// # Errors
    /// The OS's; [`Error::OutOfRange`]; [`Error::Closed`].
    pub fn unlock(&self, range: Range<usize>) -> Result<()> {
        let Some((_there, pages)) = self.pages(&range, false)? else { return Ok(()) };
        // SAFETY: the pages are the region's, which is held.
        unsafe { sys::unlock_pages(pages.start, pages.len()) }
            .map_err(|errno| Error::os(errno, "munlock"))
    }

    /// How many pages of a range are in memory (mincore(2)) and, where `with_bitmap`, which.
    ///
    /// ```
    /// use memory_map::{Mapping, Options, page_size};
    ///
    /// let map = Mapping::anonymous(3 * page_size() as u64, false, &Options::default())?;
    /// map.write(b"x", page_size())?;
    /// let residency = map.residency(0..map.len(), true)?;
    /// assert_eq!(residency.pages, 3);
    /// assert_eq!(residency.bitmap[0] >> 1 & 1, 1);
    /// # Ok::<(), memory_map::Error>(())
    /// ```
    ///
    /// # Errors
    /// The OS's, `ENOMEM` for the bitmap among them; [`Error::Unsupported`];
    /// [`Error::OutOfRange`]; [`Error::Closed`].
    pub fn residency(&self, range: Range<usize>, with_bitmap: bool) -> Result<Residency> {
        const AT_ONCE: usize = 1 << 16;
        let mut residency = Residency { pages: 0, resident: 0, bitmap: Vec::new() };
        let Some((there, pages)) = self.pages(&range, false)? else { return Ok(residency) };
        let size = sys::page_size();
        residency.pages = pages.len() / size;
        if with_bitmap {
            let bytes = residency.pages.div_ceil(8);
            residency.bitmap = with_room(bytes)?;
            residency.bitmap.resize(bytes, 0);
        }
        let mut states = [0u8; AT_ONCE];
        for first in (0..residency.pages).step_by(AT_ONCE) {
            let part = &mut states[..AT_ONCE.min(residency.pages - first)];
            let start = pages.start + first * size;
            // mincore looks for each page of a hole by itself, which takes minutes for many TiB.
            if residency.pages > AT_ONCE
                && self.is_uncached(&there.region, start, part.len() * size)
            {
                continue;
            }
            sys::residency(start, part).map_err(|errno| Error::os(errno, "mincore"))?;
            for (i, _) in part.iter().enumerate().filter(|(_, state)| **state & 1 != 0) {
                residency.resident += 1;
                if let Some(byte) = residency.bitmap.get_mut((first + i) / 8) {
                    *byte |= 1 << ((first + i) % 8);
                }
            }
        }
        Ok(residency)
    }

    /// Whether the system knows that the file has no page in memory that is shown in a part.
    fn is_uncached(&self, region: &Region, start: usize, length: usize) -> bool {
        self.kind() == Kind::Shared
            && region.file().is_some_and(|file| {
                let offset = self.offset() - self.page_offset() as u64;
                sys::is_uncached(&file, offset + (start - region.range().start) as u64, length)
            })
    }

    /// Prepares to bring a range into memory; [`Prefetch::run`] does it, on any thread.
    ///
    /// ```
    /// use memory_map::{Mapping, Options};
    ///
    /// let map = Mapping::anonymous(1 << 20, false, &Options::default())?;
    /// let prefetch = map.prefetch(0..map.len())?;
    /// std::thread::scope(|scope| scope.spawn(|| prefetch.run(&false.into())).join().unwrap())?;
    /// # Ok::<(), memory_map::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::OutOfRange`]; [`Error::Closed`].
    pub fn prefetch(&self, range: Range<usize>) -> Result<Prefetch> {
        let pages = self.pages(&range, false)?;
        Ok(Prefetch(pages.map(|(there, pages)| (there.region, pages))))
    }

    /// The pages of a range, put back as they should be: those that it touches, or, where `whole`,
    /// only all of each.
    fn pages(&self, range: &Range<usize>, whole: bool) -> Result<Option<(Whereabouts, Addresses)>> {
        let Some(there) = self.whereabouts_with(range)? else { return Ok(None) };
        there.region.lock().heal();
        let pages = match whole {
            true => self.whole_pages(&there, range)?,
            false => there.region.pages_around(&there.addresses(range)),
        };
        Ok(Some((there, pages)))
    }
}

impl Region {
    /// Brings pages in, to be read, or to be stored to.
    fn bring_in(&self, pages: &Addresses, for_stores: bool) -> Result<()> {
        for start in pages.0.clone().step_by(AT_ONCE) {
            let length = AT_ONCE.min(pages.end - start);
            // SAFETY: the pages are the region's, which is held.
            match unsafe { sys::populate(start, length, for_stores) } {
                Err(sys::EINVAL) => return Err(Advice::PopulateRead.explain(sys::EINVAL)),
                Err(_) => self.bring_in_singly(start..start + length, for_stores)?,
                Ok(()) => {}
            }
        }
        Ok(())
    }

    /// Brings pages in one by one, to say of the first that cannot be had why.
    fn bring_in_singly(&self, pages: Range<usize>, for_stores: bool) -> Result<()> {
        let size = self.page_size();
        // SAFETY: the page is the region's, which is held.
        let bring = |page| unsafe { sys::populate(page, size, for_stores) };
        let because = |errno, why| Err(Error::os_because(errno, "madvise", why));
        for page in pages.step_by(size) {
            let Err(errno) = bring(page) else { continue };
            match self.lock().why_missing(page) {
                FaultKind::NoSpace if size > sys::page_size() => {
                    return Err(sys::explain_huge_pages(Error::os(sys::ENOMEM, "madvise")));
                }
                FaultKind::NoSpace => {
                    return because(sys::ENOSPC, "the file system, or a quota, has no room for it");
                }
                FaultKind::BeyondEnd => return because(errno, "the file ends before it"),
                // By now there may be room again.
                _ => bring(page).map_err(|errno| Advice::PopulateRead.explain(errno))?,
            }
        }
        Ok(())
    }
}

/// Bytes that are brought in together.
const AT_ONCE: usize = 8 << 20;

/// A range that is to be brought into memory; see [`Mapping::prefetch`].
pub struct Prefetch(Option<(Arc<Region>, Addresses)>);

impl Prefetch {
    /// Does it, unless `stop` is set in the meantime.
    ///
    /// # Errors
    /// [`Error::Fault`] if a page cannot be had; [`Error::Closed`].
    pub fn run(&self, stop: &AtomicBool) -> Result<()> {
        let Some((region, pages)) = &self.0 else { return Ok(()) };
        for start in pages.0.clone().step_by(AT_ONCE) {
            if stop.load(Ordering::Relaxed) {
                return Ok(());
            }
            let part = Addresses(start..pages.end.min(start + AT_ONCE));
            if !region.lock().has(&part) {
                return Err(Error::Closed);
            }
            // SAFETY: the pages are the region's, which is held.
            if unsafe { sys::advise(start, part.len(), Advice::PopulateRead) }.is_err() {
                // Says which page it was, and serves systems that do not know that advice.
                access::touch(region, part)?;
            }
        }
        Ok(())
    }
}
