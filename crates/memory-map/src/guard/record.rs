//! What the guard knows of one region, behind a lock that the signal handler takes too.
//!
//! Records are never freed, only used again: an address found in the registry always leads to
//! memory that is a record, and whether it is still the right one is asked under its lock.

use std::cell::UnsafeCell;
use std::ops::{Deref, DerefMut, Range};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::doubts::Doubts;
use super::overlay::Overlays;
use super::scratch_windows::ScratchWindows;
use crate::fault::Fault;
use crate::lock_anyway::LockAnyway;
use crate::protection::Protection;
use crate::sys::{self, Backing, Identity, Shown};

/// What the addresses of a record are at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Not ours: the region is gone.
    Free,
    /// A mapping.
    Live,
    /// What `close` left: writable zeros, for code that still holds a view.
    Reserved,
}

/// Neighbouring pages of one protection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Run {
    /// Address of the first page; the run ends where the next one starts.
    pub start: usize,
    pub protection: Protection,
}

/// The part of a record that its lock protects.
pub(crate) struct Inner {
    pub(super) start: usize,
    /// Where the pages end. The addresses from here to `limit` are ours too, and hold nothing.
    pub(super) end: usize,
    pub(super) limit: usize,
    pub(super) phase: Phase,
    /// Whether the contents are another region's by now, and this one is about to be given up.
    pub(super) moved: bool,
    /// Whether all faults are contained, or only those of our own copies.
    pub(super) guarded: bool,
    /// Whether the next use of a reserved page is a fault to tell, and the page that was used.
    pub(super) trap: bool,
    pub(super) used: Option<usize>,
    /// The parts of a retired region whose next use is a fault, and the pages committed for our own accesses.
    pub(super) trapped: Vec<Range<usize>>,
    pub(super) committed: Range<usize>,
    /// The file that the memory shows for as long as it is ours, if it may go to another owner at any time.
    pub(super) watched: Option<Shown>,
    /// Copies and searches of ours that are under way.
    pub(super) copies: u32,
    /// The faults healed meanwhile, each with the addresses that its overlay hid.
    pub(super) healed: Vec<(Range<usize>, Fault)>,
    /// What the first page can be mapped from again, and the others after it.
    pub(super) backing: Backing,
    /// Which file that is, if it is one; `size` is not used.
    pub(super) identity: Option<Identity>,
    /// Whether it has an end (a device has none).
    pub(super) sized: bool,
    /// Whether it is shared memory that nothing can be mapped from again (of /dev/zero).
    pub(super) shared_memory: bool,
    /// Size of the pages: they can be overlaid only whole.
    pub(super) page_size: usize,
    /// Which of the addresses are the user's.
    pub(super) user: Range<usize>,
    pub(super) runs: Vec<Run>,
    /// Whether a page was ever writable, so that it may hold what is nowhere else.
    pub(super) written: bool,
    pub(super) overlays: Overlays,
    pub(super) scratch_windows: ScratchWindows,
    /// Faults in a row, of one page, that needed no new overlay, since pages were healed or protected; and that page.
    pub(super) stalls: u32,
    pub(super) stalled: usize,
    /// Faults of accessible pages since pages were overlaid, healed or protected.
    pub(super) doubts: Doubts,
    /// Faults that are healed and not yet collected.
    pub(super) reports: Vec<Fault>,
}

/// The guard's record of one region.
pub(crate) struct FaultRecord {
    locked: AtomicBool,
    inner: UnsafeCell<Inner>,
    /// Faults since the record was acquired.
    pub(super) faults: AtomicU64,
    /// The owner to wake after a fault, and the mapping that it is told of.
    pub(super) owner: AtomicU64,
    pub(super) token: AtomicU64,
    /// Whether the record waits on the notifier's stack, and what lies below it there.
    pub(super) pending: AtomicBool,
    pub(super) below: AtomicPtr<FaultRecord>,
}

// SAFETY: `inner` is reached only through `lock`, which lets in one thread at a time; everything
// else is atomic.
unsafe impl Sync for FaultRecord {}

static UNUSED: Mutex<Vec<&'static FaultRecord>> = Mutex::new(Vec::new());

impl FaultRecord {
    pub(super) fn leak() -> &'static Self {
        Box::leak(Box::new(Self {
            locked: AtomicBool::new(false),
            inner: UnsafeCell::new(Inner {
                start: 0,
                end: 0,
                limit: 0,
                phase: Phase::Free,
                moved: false,
                guarded: false,
                trap: false,
                used: None,
                trapped: Vec::new(),
                committed: 0..0,
                watched: None,
                copies: 0,
                healed: Vec::new(),
                backing: Backing::Zeros,
                identity: None,
                sized: false,
                shared_memory: false,
                page_size: 1,
                user: 0..0,
                runs: Vec::new(),
                written: false,
                overlays: Overlays::new(),
                scratch_windows: ScratchWindows::new(),
                stalls: 0,
                stalled: 0,
                doubts: Doubts::NONE,
                reports: Vec::new(),
            }),
            faults: AtomicU64::new(0),
            owner: AtomicU64::new(0),
            token: AtomicU64::new(0),
            pending: AtomicBool::new(false),
            below: AtomicPtr::new(std::ptr::null_mut()),
        }))
    }

    /// A record that is not in use.
    pub fn acquire() -> &'static Self {
        let unused = UNUSED.lock_anyway().pop();
        unused.unwrap_or_else(Self::leak)
    }

    /// Gives a record back for the next region.
    pub fn release(&'static self) {
        UNUSED.lock_anyway().push(self);
    }

    /// Locks the record.
    ///
    /// The holder of the lock must not touch the region's pages: the fault's handler, on the
    /// same thread, would wait for the lock for ever. Copies of them go through `sys::peek` and
    /// `sys::poke`, which do not fault.
    pub fn lock(&'static self) -> Locked {
        let mut tries = 0u32;
        while !self.try_lock() {
            tries += 1;
            if tries.is_multiple_of(64) { sys::yield_now() } else { std::hint::spin_loop() }
        }
        Locked(self)
    }

    /// The same for the handler. `None` in the child of a fork(2), if a thread of the parent had the lock then: there is
    /// nobody to give it back. *handler*
    pub(super) fn lock_if_it_comes_free(&'static self) -> Option<Locked> {
        let (mut tries, mut since) = (0u32, None);
        while !self.try_lock() {
            tries += 1;
            if !tries.is_multiple_of(64) {
                std::hint::spin_loop();
                continue;
            }
            sys::yield_now();
            if since.get_or_insert_with(Instant::now).elapsed() > ORPHANED && is_forked() {
                return None;
            }
        }
        Some(Locked(self))
    }

    fn try_lock(&self) -> bool {
        let (free, held) = (Ordering::Relaxed, Ordering::Acquire);
        self.locked.compare_exchange_weak(false, true, held, free).is_ok()
    }
}

/// How long no thread has a record's lock.
const ORPHANED: Duration = Duration::from_secs(1);

/// The process that has made the last mapping; 0 before that.
static PROCESS: AtomicU32 = AtomicU32::new(0);

/// Notes which process this is.
#[cfg(unix)]
pub(super) fn note_process() {
    PROCESS.store(std::process::id(), Ordering::Relaxed);
}

/// Whether this is the child of a fork(2) that has made no mapping of its own. *handler*
fn is_forked() -> bool {
    let process = PROCESS.load(Ordering::Relaxed);
    process != 0 && process != std::process::id()
}

/// The lock of a record, held.
pub(crate) struct Locked(&'static FaultRecord);

impl Deref for Locked {
    type Target = Inner;
    fn deref(&self) -> &Inner {
        // SAFETY: the lock is held as long as `self` lives, so there is no other reference.
        unsafe { &*self.0.inner.get() }
    }
}

impl DerefMut for Locked {
    fn deref_mut(&mut self) -> &mut Inner {
        // SAFETY: as in `deref`, and `self` is borrowed mutably.
        unsafe { &mut *self.0.inner.get() }
    }
}

impl Drop for Locked {
    fn drop(&mut self) {
        self.0.locked.store(false, Ordering::Release);
    }
}

impl Inner {
    /// Whether the mapping of the region has the bytes of `range`, which are addresses, here.
    pub fn has(&self, range: &Range<usize>) -> bool {
        self.phase == Phase::Live
            && !self.moved
            && self.start <= range.start
            && range.end <= self.end
    }

    /// The runs that meet `range`, each cut to it.
    pub fn runs_in(&self, range: Range<usize>) -> impl Iterator<Item = (Range<usize>, Protection)> {
        let first = self.runs.partition_point(|run| run.start <= range.start).saturating_sub(1);
        let end = self.end;
        self.runs[first..].iter().enumerate().map_while(move |(i, run)| {
            let next = self.runs.get(first + i + 1).map_or(end, |run| run.start);
            let part = run.start.max(range.start)..next.min(range.end);
            (!part.is_empty()).then_some((part, run.protection))
        })
    }

    /// The run around `page`, whole.
    pub(super) fn run_at(&self, page: usize) -> Option<(Range<usize>, Protection)> {
        let index = self.runs.partition_point(|run| run.start <= page).checked_sub(1)?;
        let next = self.runs.get(index + 1).map_or(self.end, |run| run.start);
        let run = self.runs.get(index)?;
        Some((run.start..next, run.protection))
    }

    /// Notes that `range` has `protection` from now on.
    pub fn set_protection(&mut self, range: Range<usize>, protection: Protection) {
        if range.is_empty() {
            return;
        }
        let after = self.run_at(range.end).filter(|_| range.end < self.end);
        let from = self.runs.partition_point(|run| run.start < range.start);
        let to = self.runs.partition_point(|run| run.start <= range.end);
        let tail = after.map(|(_, protection)| Run { start: range.end, protection });
        let new = std::iter::once(Run { start: range.start, protection }).chain(tail);
        self.runs.splice(from..to, new);
        self.stalls = 0;
        self.doubts = Doubts::NONE;
        self.written |= protection.writable();
        self.runs.dedup_by_key(|run| run.protection);
    }

    /// Whether the pages can be mapped again without losing anything.
    pub fn is_replaceable(&self) -> bool {
        match self.backing {
            Backing::File { shared: true, .. } => true,
            _ => !self.written && !self.has_closed_file(),
        }
    }

    /// Notes that the file is closed, by putting `none` in its place.
    pub fn forget_file(&mut self, none: sys::RawFile) {
        if let Backing::File { fd, .. } = &mut self.backing {
            *fd = none;
        }
    }

    /// Whether the region is mapped from a file that was closed.
    pub(super) fn has_closed_file(&self) -> bool {
        matches!(self.backing, Backing::File { fd, .. } if Some(fd) == sys::NO_FILE)
    }

    /// What `address`, a page of the region, is mapped from.
    pub fn backing_at(&self, address: usize) -> Backing {
        self.backing.after(address - self.start)
    }

    /// The file now, if it is still the one that was mapped: the descriptor is visible to the
    /// user, who may have closed it and opened another file under its number.
    pub fn file(&self) -> Option<Identity> {
        self.find_file().ok()
    }

    /// As `file`. `Err` holds the error number of what was asked, or says that it is another file.
    pub fn find_file(&self) -> Result<Identity, i32> {
        let (Backing::File { fd, .. }, Some(identity)) = (self.backing, self.identity) else {
            return Err(sys::EBADF);
        };
        match sys::identify(fd) {
            Some(now) if (now.device, now.inode) == (identity.device, identity.inode) => Ok(now),
            Some(_) => Err(sys::EBADF),
            None => Err(sys::errno()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Protection::{None, Read, ReadWrite};

    fn with_runs(end: usize) -> Locked {
        let mut inner = FaultRecord::leak().lock();
        inner.end = end;
        inner.limit = end;
        inner.runs = vec![Run { start: 0, protection: ReadWrite }];
        inner
    }

    fn list(inner: &Inner) -> Vec<(Range<usize>, Protection)> {
        inner.runs_in(0..inner.end).collect()
    }

    #[test]
    fn protections_split_and_merge() {
        let mut inner = with_runs(100);
        inner.set_protection(20..40, Read);
        assert_eq!(list(&inner), [(0..20, ReadWrite), (20..40, Read), (40..100, ReadWrite)]);
        inner.set_protection(30..100, None);
        assert_eq!(list(&inner), [(0..20, ReadWrite), (20..30, Read), (30..100, None)]);
        inner.set_protection(0..30, None);
        assert_eq!(list(&inner), [(0..100, None)]);
        inner.set_protection(0..10, Read);
        inner.set_protection(10..20, Read);
        assert_eq!(list(&inner), [(0..20, Read), (20..100, None)]);
    }

    #[test]
    fn protections_agree_with_a_page_by_page_model() {
        let (mut inner, mut model) = (with_runs(64), [ReadWrite; 64]);
        let mut state = 7u64;
        let mut random = |below: usize| {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (state >> 33) as usize % below
        };
        for _ in 0..if cfg!(miri) { 200 } else { 20_000 } {
            let (a, b) = (random(65), random(65));
            let protection = [None, Read, ReadWrite][random(3)];
            let range = a.min(b)..a.max(b);
            model[range.clone()].fill(protection);
            inner.set_protection(range, protection);
            for (part, protection) in list(&inner) {
                assert!(model[part].iter().all(|p| *p == protection));
            }
            assert_eq!(list(&inner).iter().map(|(part, _)| part.len()).sum::<usize>(), 64);
            assert!(inner.runs.windows(2).all(|w| w[0].protection != w[1].protection));
        }
    }

    #[test]
    fn runs_are_cut_to_the_range_asked_for() {
        let mut inner = with_runs(100);
        inner.set_protection(20..40, Read);
        let parts: Vec<_> = inner.runs_in(30..50).collect();
        assert_eq!(parts, [(30..40, Read), (40..50, ReadWrite)]);
        assert_eq!(inner.run_at(35), Some((20..40, Read)));
    }
}
