//! A range of addresses: what holds it, what lies in it, and when it goes back to the OS.
//!
//! A region is shared by its mapping and by every `RegionKey` that was given out for memory that
//! something outside can still reach. It is unmapped when the last of them is dropped. `retire`
//! is what `close` does earlier: the pages go at once, the addresses stay.

pub(crate) mod access;
mod backlog;
mod contents;
pub(crate) mod foreign;
mod key;
mod laid;
pub(crate) mod place;
pub(crate) mod snapshot;
mod unmap;

pub use backlog::{Backlog, has_room};
pub(crate) use contents::Contents;
pub use foreign::{has_leftovers, let_go_of_retired, sweep_leftovers};
pub use key::RegionKey;
pub use unmap::unmap_together;

use std::fs::File;
use std::ops::{Deref, Range};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use self::place::Emptied;
use self::unmap::unmap;
use crate::error::{Error, Result};
use crate::fault::Fault;
use crate::file::Opened;
use crate::guard::{self, Beginning, FaultRecord, Inner, Locked, Phase};
use crate::lock_anyway::LockAnyway;
use crate::protection::Protection;
use crate::sys::{self, Backing, Shown};

/// Keeps foreign addresses for as long as it lives.
pub type Keeper = Box<dyn Send + Sync>;

/// What a region over foreign memory has besides; see `foreign`.
struct Foreign {
    /// What keeps the addresses until they are left, each with the token of its holder.
    keepers: Mutex<Vec<(u64, Keeper)>>,
    /// Which file the system shows there, once that was looked for.
    shown: OnceLock<Shown>,
}

/// Addresses in a region. The guard and the system know nothing else; where the bytes of a mapping are,
/// which are counted from its first one, `mapping::Whereabouts` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Addresses(pub Range<usize>);

impl Deref for Addresses {
    type Target = Range<usize>;

    fn deref(&self) -> &Range<usize> {
        &self.0
    }
}

/// A range of addresses that is ours.
pub(crate) struct Region {
    range: Range<usize>,
    record: &'static FaultRecord,
    file: Mutex<Option<Arc<File>>>,
    /// How many keys there are.
    keys: AtomicUsize,
    /// [`GIVEN_UP`] and [`UNWANTED`].
    fate: AtomicU8,
    /// Whether views of the region cannot be taken back from the code that holds them.
    lasting: AtomicBool,
    /// Whether a copy of ours stored to the region, or a pointer into it was given out.
    stored: AtomicBool,
    /// Set if the addresses are not ours.
    foreign: Option<Foreign>,
}

/// No mapping has the region any more.
const GIVEN_UP: u8 = 1;
/// Its pages are to go as soon as that is so.
const UNWANTED: u8 = 2;

impl Region {
    /// Maps `contents` at unused addresses.
    pub fn new(contents: &Contents<'_>) -> Result<Arc<Self>> {
        guard::install()?;
        let length = sys::ceil(contents.length, contents.page_size())
            .ok_or_else(|| Error::os(sys::ENOMEM, "mmap"))?;
        let range = contents.map(length)?;
        Ok(Self::of(contents, range, length, None))
    }

    /// The region of `range`, whose first `length` bytes hold `contents`.
    fn of(
        contents: &Contents<'_>,
        range: Range<usize>,
        length: usize,
        foreign: Option<Foreign>,
    ) -> Arc<Self> {
        let Range { start, end } = range;
        let region = Self {
            range,
            record: FaultRecord::acquire(),
            file: Mutex::new(contents.own_file()),
            keys: AtomicUsize::new(0),
            fate: AtomicU8::new(0),
            lasting: AtomicBool::new(foreign.is_some()),
            stored: AtomicBool::new(foreign.is_some()),
            foreign,
        };
        let again = contents.lasting_file();
        region.record.begin(Beginning {
            range: start..end,
            length,
            user: start + contents.page_offset..start + contents.length,
            protection: contents.protection,
            guarded: contents.guard,
            backing: match again {
                Some(_) => contents.backing(),
                None => Backing::Memory { reserve: contents.reserve },
            },
            identity: again.map(Opened::identity),
            sized: again.is_some_and(Opened::is_regular),
            shared_memory: again.is_none() && contents.file.is_some() && contents.shared,
            page_size: contents.page_size(),
            owner: contents.owner,
            token: contents.token,
        });
        guard::register(start, end, region.record);
        Arc::new(region)
    }

    /// Whether views of the region cannot be taken back from the code that holds them.
    pub fn is_lasting(&self) -> bool {
        self.lasting.load(Ordering::Acquire)
    }

    /// Whether anything may have been stored to the region, so that it is not as it was made.
    pub fn is_stored_to(&self) -> bool {
        self.stored.load(Ordering::Acquire)
    }

    /// Notes that something is about to be stored to the region, or may be from now on.
    pub fn note_store(&self) {
        self.stored.store(true, Ordering::Release);
    }

    /// Notes that no mapping has the region any more, and takes the pages out where that was waited for.
    pub fn note_given_up(&self) {
        if self.fate.fetch_or(GIVEN_UP, Ordering::AcqRel) & UNWANTED != 0 {
            self.take_out(&[]);
        }
    }

    /// Whether there are keys.
    pub fn has_keys(&self) -> bool {
        self.keys.load(Ordering::Acquire) > 0
    }

    /// Whether no key is out, and nothing else uses the addresses.
    pub fn is_ours_alone(self: &Arc<Self>) -> bool {
        !self.is_foreign() && Arc::strong_count(self) == 1
    }

    /// Forgets the addresses: they have another owner, or none.
    pub(crate) fn lose(&self, inner: &mut Inner) {
        guard::unregister(self.range.start, self.range.end, self.record);
        inner.free();
    }

    /// Whether `lose` was called.
    pub fn is_lost(&self) -> bool {
        self.lock().phase() == Phase::Free
    }

    /// Gives the addresses of a retired region back when every pointer to them is gone, although
    /// the mapping may still ask it what happened.
    pub fn vacate(&self) {
        let mut inner = self.lock();
        let is_unused = inner.is_retired() && !inner.has_accesses();
        if is_unused && !self.is_foreign() && self.keys.load(Ordering::Acquire) == 0 {
            inner.heal();
            self.lose(&mut inner);
            // SAFETY: nothing can reach the range any more, and the record, freed above, keeps the
            // handler away from it.
            unsafe { unmap(self.range.clone()) };
        }
    }

    pub fn range(&self) -> Addresses {
        Addresses(self.range.clone())
    }

    /// Bytes of one page.
    pub fn page_size(&self) -> usize {
        self.lock().page_size()
    }

    /// The addresses that have pages.
    pub fn pages(&self) -> Addresses {
        Addresses(self.lock().pages())
    }

    /// The pages that some addresses lie in.
    pub fn pages_around(&self, addresses: &Addresses) -> Addresses {
        let (page_size, all) = (self.page_size(), self.pages());
        let end = sys::ceil(addresses.end, page_size).unwrap_or(all.end);
        Addresses(sys::floor(addresses.start, page_size)..end.min(all.end))
    }

    pub fn lock(&self) -> Locked {
        self.record.lock()
    }

    /// Faults so far.
    pub fn faults(&self) -> u64 {
        self.record.faults()
    }

    /// The mapped file, while the mapping is open.
    pub fn file(&self) -> Option<Arc<File>> {
        self.file.lock_anyway().clone()
    }

    /// The same, if its descriptor, which the user can see, still stands for it.
    pub fn checked_file(&self) -> Result<Option<Arc<File>>> {
        let Some(file) = self.file() else { return Ok(None) };
        let inner = self.lock();
        match inner.find_file() {
            Err(errno) if inner.is_of_file() => Err(match errno {
                sys::EBADF => Error::os_because(errno, "fstat", NOT_THAT_FILE),
                _ => Error::os(errno, "fstat"),
            }),
            _ => Ok(Some(file)),
        }
    }

    /// Closes the file, and has `none` in its place: what is there stays mapped.
    pub fn close_file(&self, none: sys::RawFile) {
        self.lock().forget_file(none);
        *self.file.lock_anyway() = None;
    }

    /// Whether the file still has all bytes at some addresses: one fstat(2).
    ///
    /// # Errors
    /// [`Error::Fault`] if it has not.
    pub fn check_end(&self, range: &Addresses) -> Result<()> {
        if !sys::MAPPED_FILES_SHRINK {
            return Ok(());
        }
        let mut inner = self.lock();
        if !inner.has(range) {
            return Ok(()); // the access has ended, and the mapping is elsewhere since
        }
        match inner.note_shortened(range) {
            Some(fault) => {
                self.record.count_fault();
                Err(Error::Fault(fault))
            }
            None => Ok(()),
        }
    }

    /// Copies the bytes at `from` out of the file, if they are what loads from the pages would give,
    /// which are not touched. Otherwise `bytes` can have anything afterwards.
    pub fn read_file(&self, from: &Addresses, bytes: &mut [u8]) -> bool {
        // If the region is that mapping's after this, so is the file.
        let Some(file) = self.file() else { return false };
        let offset = {
            let inner = self.lock();
            // What was stored here is perhaps nowhere else, and what has failed has its reason.
            let is_as_in_file = inner.has(from)
                && !inner.is_written()
                && self.faults() == 0
                && inner.runs_in(from.0.clone()).all(|(_, protection)| protection.readable());
            match inner.backing() {
                Backing::File { offset, .. }
                    if is_as_in_file && !inner.is_device() && inner.file().is_some() =>
                {
                    offset
                }
                _ => return false,
            }
        };
        sys::read_all(&file, bytes, offset + (from.start - self.range.start) as u64)
    }

    /// Gives up a region that has never been used: of `part` it is not known whether it is ours
    /// still, so that stays as it is.
    pub fn abandon(&self, part: &Range<usize>) {
        self.lose(&mut self.lock());
        for rest in [self.range.start..part.start, part.end..self.range.end] {
            if !rest.is_empty() {
                // SAFETY: these addresses are the region's, and were given to no one.
                unsafe { sys::unmap(rest.start, rest.len()) };
            }
        }
    }

    /// Takes the pages out, and gives the addresses back if nothing else holds them; else what holds
    /// them gets the snapshots.
    ///
    /// Returns what had happened that was not collected.
    pub fn give_up(self: Arc<Self>, snapshots: &[Snapshot]) -> Vec<Fault> {
        match Arc::try_unwrap(self) {
            Ok(unshared) => {
                let mut inner = unshared.lock();
                inner.heal();
                inner.take_reports()
            }
            Err(shared) => shared.retire(snapshots),
        }
    }

    /// Takes the pages out and leaves addresses that nothing stands behind, except for the snapshots:
    /// the file, its blocks and the memory are free from now on. The first use of the addresses is a
    /// fault; a system call that is given them fails with `EFAULT`.
    ///
    /// Returns what had happened that was not collected.
    pub fn retire(&self, snapshots: &[Snapshot]) -> Vec<Fault> {
        self.take_out(snapshots);
        self.lock().take_reports()
    }

    /// The same, where nobody is there to be told: what had happened can be collected later.
    fn take_out(&self, snapshots: &[Snapshot]) {
        {
            let mut inner = self.record.lock();
            if inner.phase() == Phase::Free {
                return; // the addresses may have another owner
            }
            if snapshots.is_empty() && inner.is_untouched() {
                return; // as for each of the other keys
            }
            guard::note_change();
            // SAFETY: the copies are of this region, whose lock is held.
            let gaps = unsafe { Snapshot::put_all(snapshots, &self.range) };
            // SAFETY: the gaps lie in this region, whose lock is held; the guard contains code
            // that still uses them.
            let empty = |gap: &Range<usize>| unsafe { place::empty(gap) };
            let emptied = gaps.iter().map(empty).find(|emptied| *emptied != Emptied::Inaccessible);
            match emptied {
                None | Some(Emptied::Inaccessible | Emptied::Zeros) => {}
                Some(Emptied::AsItWas(_)) => {
                    drop(inner);
                    return sys::NO_FILE.into_iter().for_each(|none| self.close_file(none));
                }
                Some(Emptied::Lost) => return self.lose(&mut inner),
            }
            inner.report_and_drop_overlays();
            inner.retire(if emptied.is_none() { gaps } else { Vec::new() });
        }
        *self.file.lock_anyway() = None;
    }
}

const NOT_THAT_FILE: &str =
    "the mapping's own descriptor was closed, or belongs to another file now";

/// A copy of pages of a region.
pub(crate) struct Snapshot {
    pages: Addresses,
    copy: Opened,
}

impl Snapshot {
    /// Puts every copy where its pages are, each in one step; says what is between them.
    ///
    /// # Safety
    /// The copies must be of the region that has `range`, whose lock the caller holds.
    pub unsafe fn put_all(snapshots: &[Self], range: &Range<usize>) -> Vec<Range<usize>> {
        let mut gaps = Vec::new();
        let mut at = range.start;
        for snapshot in snapshots {
            let pages = &snapshot.pages;
            let put = guard::with_vma_reserve(|| {
                let (length, contents) = (pages.len(), snapshot.contents());
                // SAFETY: the pages lie in the region, whose lock is held.
                unsafe { sys::map_over(pages.start, length, Protection::ReadWrite, contents) }
            });
            if put.is_ok() {
                gaps.push(at..pages.start);
                at = pages.end;
            }
        }
        gaps.push(at..range.end);
        gaps.retain(|gap| !gap.is_empty());
        gaps
    }

    fn contents(&self) -> Backing {
        Backing::File { fd: sys::raw(&self.copy.file), offset: 0, shared: true, reserve: false }
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        let is_ours = {
            let mut inner = self.record.lock();
            let is_ours = inner.phase() != Phase::Free && !self.is_foreign();
            self.lose(&mut inner);
            inner.forget();
            is_ours
        };
        if is_ours {
            // SAFETY: the last holder is going, so nothing can reach the range any more, and the record,
            // freed above, keeps the handler away from it.
            unsafe { unmap(self.range.clone()) };
        }
        self.record.release();
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use crate::options::HugePages;
    use crate::protection::Protection;

    fn is_mapped(page: usize) -> bool {
        sys::residency(page, &mut [0]).is_ok() // mincore(2) fails where nothing is mapped
    }

    #[test]
    fn what_may_be_somebody_elses_by_now_is_not_unmapped() {
        let page = sys::page_size();
        for reserved in [0, 10 * page] {
            let contents = Contents {
                file: None,
                shared: false,
                protection: Protection::ReadWrite,
                length: 3 * page,
                reserved,
                page_offset: 0,
                huge: HugePages::None,
                reserve: true,
                guard: true,
                hint: None,
                owner: 0,
                token: 0,
            };
            let region = Region::new(&contents).ok();
            let start = region.as_ref().map_or(0, |region| region.range().start);
            let part = start + page..start + 2 * page;
            region.inspect(|region| region.abandon(&part));
            assert!(is_mapped(part.start), "with {reserved} bytes reserved");
            // SAFETY: the page was left by the region, which is gone, and no one else knows of it.
            unsafe { sys::unmap(part.start, page) };
        }
    }
}
