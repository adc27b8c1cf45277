//! A mapping: what `mmap` gave, with everything that can be done to it.

mod advice;
mod attached;
mod close_file;
mod foreign;
mod holders;
mod laid;
mod make;
mod needle;
mod protect;
mod resize;
mod search;
mod snapshot;
mod sync;

pub use advice::{Prefetch, Residency};
pub(crate) use attached::{Attached, Attachment, Whereabouts};
pub use holders::Handle;
pub(crate) use holders::{Common, Holder, Wanted, next_token};
pub(crate) use laid::Laid;
pub use needle::Needle;
pub use search::Count;
pub use sync::Sync;

use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, MutexGuard};

use crate::error::{Error, Result};
use crate::file::{Blocks, Made, Opened};
use crate::lock_anyway::LockAnyway;
use crate::options::{HugePages, Kind, Options};
use crate::protection::Protection;
use crate::region::foreign::note_retired;
use crate::region::{Addresses, Contents, Region, RegionKey, Snapshot, access};
use crate::sys;

/// Pages in this process's memory, and what they are mapped from.
///
/// Every method may be called from any thread.
///
/// ```
/// use memory_map::{Mapping, Options};
///
/// let map = Mapping::anonymous(100, false, &Options::default())?;
/// map.write(b"hello", 10)?;
/// let mut bytes = [0; 5];
/// map.read(10, &mut bytes)?;
/// assert_eq!(&bytes, b"hello");
/// # Ok::<(), memory_map::Error>(())
/// ```
pub struct Mapping {
    kind: Kind,
    token: u64,
    offset: u64,
    /// As it was made; the protection may be another by now.
    pub(crate) options: Options,
    /// When the file gets blocks on disk, if it is extended.
    blocks: Blocks,
    /// What was made to be mapped.
    made: Option<Made>,
    common: Arc<Common>,
    attached: Attached,
    /// Reads so far, up to [`FILE_READS`].
    file_reads: AtomicUsize,
    /// Whether this holder has closed the mapping, or let it go; changes under the lock of the state.
    is_over: AtomicBool,
}

/// How many reads of a mapping are made of its file, where that comes to the same: to load a page for
/// the first time, and to be rid of it later, takes as long as about eight reads of a few bytes. So to
/// map a file, read 8 bytes of it and close it takes 10.1 µs, not 13.6; with four such reads 12.7, not
/// 15.2; with nine of one page, which pay for both, 21.9, not 17.7 (Linux 6.18 on x64, Node 20).
const FILE_READS: usize = 8;

pub(crate) struct State {
    pub protection: Protection,
    pub pages: Pages,
    /// Regions that the mapping had, whose views cannot be taken away.
    pub former: Vec<Arc<Region>>,
    /// Regions laid over memory of others, with the pages of the mapping once more.
    pub laid: Vec<Laid>,
    /// Faults of regions that it had, and that are forgotten.
    pub faults: u64,
    /// The ranges whose snapshots the last `close` or the next move leaves behind.
    pub snapshots: Wanted,
    /// Who has the mapping.
    pub holders: Vec<Holder>,
    /// Whether a holder has called `close`.
    pub was_closed: bool,
}

pub(crate) enum Pages {
    Mapped(Arc<Region>),
    /// A mapping of no bytes, which mmap does not make, and its file.
    Empty(Option<Arc<std::fs::File>>),
    Closed,
}

impl Mapping {
    /// What a region of the mapping has, if the mapping has `length` bytes.
    pub(crate) fn contents<'a>(
        &self,
        file: Option<&'a Opened>,
        length: usize,
        protection: Protection,
    ) -> Result<Contents<'a>> {
        let page_offset = self.page_offset_of(length);
        Ok(Contents {
            // Each mapping of /dev/zero is memory of its own, which begins at 0.
            file: file.map(|opened| match opened.is_zero_device() {
                true => (opened, 0),
                false => (opened, self.offset - page_offset as u64),
            }),
            shared: self.kind != Kind::Private,
            protection,
            length: page_offset.checked_add(length).ok_or_else(out_of_memory)?,
            page_offset,
            reserved: 0,
            huge: self.options.huge,
            reserve: self.options.reserve,
            guard: self.options.guard,
            hint: self.options.address,
            owner: self.options.owner,
            token: self.common.token,
        })
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.common.state.lock_anyway()
    }

    /// Where the mapping is in memory; `None` if it is empty.
    fn find_out(&self, state: &State) -> Result<Option<Whereabouts>> {
        let region = match self.pages_in(state) {
            Pages::Mapped(region) => Arc::clone(region),
            Pages::Empty(_) => return Ok(None),
            Pages::Closed => return Err(Error::Closed),
        };
        let first = region.range().start + self.page_offset();
        Ok(Some(Whereabouts { region, first, length: self.len() }))
    }

    /// Where the mapping is, if it has all bytes of a range; `None` if there are none.
    pub(crate) fn whereabouts_with(&self, range: &Range<usize>) -> Result<Option<Whereabouts>> {
        let state = self.state();
        let there = self.find_out(&state)?;
        let range = self.check(range.start, range.end.saturating_sub(range.start))?;
        Ok(there.filter(|_| !range.is_empty()))
    }

    /// The region that has the bytes of a range, and their addresses; `None` if there are none.
    pub(crate) fn locate(&self, range: &Range<usize>) -> Result<Option<(Arc<Region>, Addresses)>> {
        let there = self.whereabouts_with(range)?;
        Ok(there.map(|there| (Arc::clone(&there.region), there.addresses(range))))
    }

    /// Where the stores go.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// What names the mapping in [`crate::take_faulted`]; never used twice.
    pub fn token(&self) -> u64 {
        self.token
    }

    /// Bytes of the mapping.
    pub fn len(&self) -> usize {
        self.common.length.load(Ordering::Acquire)
    }

    pub(crate) fn set_len(&self, length: usize) {
        self.common.length.store(length, Ordering::Release);
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Where in the file the mapping starts, in bytes.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Bytes between the start of the first page and the mapping's own first byte.
    pub fn page_offset(&self) -> usize {
        self.page_offset_of(self.len())
    }

    fn page_offset_of(&self, length: usize) -> usize {
        match length {
            0 => 0,
            _ => match self.options.huge {
                HugePages::Explicit(size) => (self.offset % size as u64) as usize,
                _ => (self.offset % sys::allocation_granularity() as u64) as usize,
            },
        }
    }

    /// Whether the mapping was made to be stored to, or is by now.
    pub(crate) fn is_for_stores(&self, now: Protection) -> bool {
        self.options.protection.writable() || now.writable()
    }

    /// When the file gets blocks on disk, if it is extended.
    pub(crate) fn blocks(&self) -> Blocks {
        self.blocks
    }

    /// What the mapping as a whole was given last.
    pub fn protection(&self) -> Protection {
        self.state().protection
    }

    /// Whether [`Mapping::close`] has been called.
    pub fn is_closed(&self) -> bool {
        matches!(self.pages_in(&self.state()), Pages::Closed)
    }

    /// Address of the mapping's first byte; `None` if it is closed or empty.
    pub fn address(&self) -> Option<usize> {
        let there = self.whereabouts().ok()?;
        there.region.note_store();
        Some(there.first)
    }

    /// The mapping's own handle of its file; `None` if there is none, or it is closed.
    pub fn file(&self) -> Option<Arc<std::fs::File>> {
        match self.pages_in(&self.state()) {
            Pages::Mapped(region) => region.file(),
            Pages::Empty(file) => file.clone(),
            Pages::Closed => None,
        }
    }

    /// What the objects of [`crate::ipc`] in this mapping share.
    pub(crate) fn attached(&self) -> &Attached {
        &self.attached
    }

    /// Keeps the mapping's addresses from being unmapped, also after `close`; for a pointer that
    /// leaves this crate.
    ///
    /// ```
    /// use memory_map::{Mapping, Options};
    ///
    /// let map = Mapping::anonymous(100, false, &Options::default())?;
    /// let key = map.key()?;
    /// map.close();
    /// // Nothing else gets the addresses as long as there is the key.
    /// assert_ne!(key.start(), 0);
    /// # Ok::<(), memory_map::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Closed`]; [`Error::OutOfRange`] for an empty mapping, which has no addresses.
    pub fn key(&self) -> Result<RegionKey> {
        let state = self.state(); // held until there is the key, for which the addresses are kept
        Ok(RegionKey::new(self.find_out(&state)?.ok_or(NO_ADDRESSES)?.region))
    }

    /// Where the mapping is in memory.
    ///
    /// # Errors
    /// As for [`Mapping::key`].
    pub(crate) fn whereabouts(&self) -> Result<Whereabouts> {
        self.find_out(&self.state())?.ok_or(NO_ADDRESSES)
    }

    /// Loads from every page of a range, to find out whether all can be read.
    ///
    /// ```
    /// use memory_map::{Mapping, Options, Protection};
    ///
    /// let map = Mapping::anonymous(4096, false, &Options::default())?;
    /// map.touch(0..map.len())?;
    /// map.protect(0..map.len(), Protection::None)?;
    /// assert!(map.touch(0..map.len()).is_err());
    /// # Ok::<(), memory_map::Error>(())
    /// ```
    ///
    /// # Errors
    /// As for [`Mapping::read`].
    pub fn touch(&self, range: Range<usize>) -> Result<()> {
        let Some((region, addresses)) = self.locate(&range)? else { return Ok(()) };
        access::touch(&region, addresses.clone())?;
        region.check_end(&addresses)
    }

    /// Copies bytes out, from `offset` on. The first few times, if nothing can have been stored here,
    /// they come from the file (Linux, file systems on block devices), and no page is touched.
    ///
    /// # Errors
    /// [`Error::Fault`] if they cannot be read; [`Error::OutOfRange`]; [`Error::Closed`].
    pub fn read(&self, offset: usize, bytes: &mut [u8]) -> Result<()> {
        let range = self.check(offset, bytes.len())?;
        let Some((region, from)) = self.locate(&range)? else { return Ok(()) };
        let is_early = |reads: &AtomicUsize| {
            reads.load(Ordering::Relaxed) < FILE_READS
                && reads.fetch_add(1, Ordering::Relaxed) < FILE_READS
        };
        if is_early(&self.file_reads) && region.read_file(&from, bytes) {
            return Ok(());
        }
        access::copy_out(&region, &from, bytes)?;
        region.check_end(&from)
    }

    /// Copies bytes in, from `offset` on.
    ///
    /// # Errors
    /// [`Error::NotWritable`] if the pages' protection forbids it; otherwise as
    /// [`Mapping::read`].
    pub fn write(&self, bytes: &[u8], offset: usize) -> Result<()> {
        // SAFETY: a slice is readable, and nothing stores to it meanwhile.
        unsafe { self.write_from(bytes, offset) }
    }

    /// Copies bytes in that may lie in this mapping themselves. No reference to them may be made
    /// then: the compiler would take it that the copy does not change them, and make it a `memcpy`.
    ///
    /// # Errors
    /// As [`Mapping::write`].
    ///
    /// # Safety
    /// `bytes` must be readable.
    pub unsafe fn write_from(&self, bytes: *const [u8], offset: usize) -> Result<()> {
        let range = self.check(offset, bytes.len())?;
        let Some((region, to)) = self.locate(&range)? else { return Ok(()) };
        let writable =
            region.lock().runs_in(to.0.clone()).all(|(_, protection)| protection.writable());
        if !writable {
            return Err(Error::NotWritable);
        }
        region.check_end(&to)?;
        // SAFETY: the caller vouches for `bytes`.
        unsafe { access::copy_in(&region, &to, bytes) }
    }

    pub(crate) fn check(&self, offset: usize, length: usize) -> Result<Range<usize>> {
        match offset.checked_add(length) {
            Some(end) if end <= self.len() => Ok(offset..end),
            _ => Err(Error::OutOfRange { name: "range", requirement: "inside the mapping" }),
        }
    }
}

const NO_ADDRESSES: Error = Error::OutOfRange { name: "length", requirement: "more than 0" };

impl State {
    /// The regions of all holders.
    fn regions(&self) -> impl Iterator<Item = &Arc<Region>> {
        let mapped = match &self.pages {
            Pages::Mapped(region) => Some(region),
            _ => None,
        };
        self.former.iter().chain(mapped)
    }

    /// Makes `pages` what the mapping has, and gives up what it had.
    pub fn replace(&mut self, pages: Pages, snapshots: &[Snapshot]) {
        let Pages::Mapped(old) = std::mem::replace(&mut self.pages, pages) else { return };
        old.note_given_up();
        if !old.is_ours_alone() {
            let reports = old.retire(snapshots);
            self.note(reports);
            old.vacate();
            note_retired(&old);
            if self.former.len().is_power_of_two() {
                self.drop_lost();
            }
            self.former.push(old);
        } else {
            self.faults += old.faults();
            let reports = old.give_up(snapshots);
            self.note(reports);
        }
    }

    /// Forgets regions that can no longer be used.
    fn drop_lost(&mut self) {
        let lost: Vec<_> = self.former.extract_if(.., |region| region.is_lost()).collect();
        for region in lost {
            self.faults += region.faults();
            let reports = region.lock().take_reports();
            self.note(reports);
        }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        self.let_go();
    }
}

pub(crate) fn out_of_memory() -> Error {
    Error::os(sys::ENOMEM, "mmap")
}

/// A length as addresses count it. A mapping begins and ends with a page, so the last ones of what
/// an object can have are left.
pub(crate) fn to_usize(length: u64) -> Result<usize> {
    let most = isize::MAX as usize - sys::allocation_granularity();
    match usize::try_from(length) {
        Ok(length) if length <= most => Ok(length),
        _ => Err(Error::TooLarge { length, most }),
    }
}
