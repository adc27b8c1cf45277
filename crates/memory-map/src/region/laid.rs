//! Regions laid over a part of memory that its owner goes on using: a WebAssembly memory.
//!
//! Nothing keeps such memory there. The runtime unmaps all of it once nothing can reach it, without telling, and
//! the addresses can be another owner's before anyone notices. So the guard watches such a region from its first
//! moment, as it does a disowned one (`foreign`): at each fault it asks the system whether these pages are still
//! there. Where the system does not say, the owner has to keep the memory.
//!
//! What is done outside of the handler touches the addresses only while the memory is known to be there: who laid
//! the region takes it up then, and forsakes it otherwise.

use std::ops::Range;
use std::sync::{Arc, Mutex, OnceLock, Weak};

use crate::error::{Error, Result};
use crate::fault::Fault;
use crate::guard::{self, Phase};
use crate::lock_anyway::LockAnyway;
use crate::protection::Protection;
use crate::region::foreign::{all_shown, keep_leftover, shown_in};
use crate::region::{Contents, Foreign, Keeper, Region};
use crate::sys::{self, Backing};

/// The regions that were laid, and may be there still. One is laid at a time.
static LAID: Mutex<Vec<Weak<Region>>> = Mutex::new(Vec::new());

impl Region {
    /// Lays `contents` over memory, from `start` on.
    ///
    /// # Safety
    /// From `start` on there must be whole pages of readable and writable private memory for all of it, which the
    /// caller may replace.
    ///
    /// # Errors
    /// [`Error::Busy`] where another region is laid; the OS's, after which the memory holds what it did, or zeros.
    pub unsafe fn lay(contents: &Contents<'_>, start: usize) -> Result<Arc<Self>> {
        guard::install()?;
        sys::keep_vmas_open();
        let length = sys::ceil(contents.length, sys::page_size())
            .ok_or_else(|| Error::os(sys::ENOMEM, "mmap"))?;
        let mut laid = LAID.lock_anyway();
        laid.retain(|region| region.upgrade().is_some_and(|region| region.is_laid()));
        refuse_overlap(&laid, &(start..start + length))?;
        // Until it is taken up or forsaken it has a keeper, which keeps nothing.
        let keepers = Mutex::new(vec![(0, Box::new(()) as Keeper)]);
        let foreign = Foreign { keepers, shown: OnceLock::new() };
        // Known to the guard before it is there: other threads may use the memory.
        let region = Self::of(contents, start..start + length, length, Some(foreign));
        let mut inner = region.lock();
        // SAFETY: the caller vouches for the range, and the region's lock is held.
        let mapped = guard::with_vma_reserve(|| unsafe {
            sys::map_over(start, length, contents.protection, contents.backing())
        });
        if let Err(errno) = mapped {
            region.restore_accessible(start);
            guard::expect_late_faults();
            region.lose(&mut inner);
            return Err(contents.explain(Error::os(errno, "mmap")));
        }
        inner.watch(sys::shown_at(start));
        drop(inner);
        laid.push(Arc::downgrade(&region));
        Ok(region)
    }

    /// Makes zeros of pages that the system took out before it refused others.
    fn restore_accessible(&self, start: usize) {
        let mut byte = 0;
        // SAFETY: `byte` is one.
        if unsafe { sys::peek(start, &raw mut byte, 1) } == Some(0) {
            let _ = self.put_zeros(); // nothing more can be done
        }
    }

    /// Replaces all pages by zeroed private memory, as the runtime's is; the caller holds the lock.
    fn put_zeros(&self) -> std::result::Result<(), i32> {
        let put = |reserve| {
            let backing = Backing::Memory { reserve };
            // SAFETY: the range is this region's, whose lock is held, and the memory is there: else it is forsaken.
            guard::with_vma_reserve(|| unsafe {
                sys::map_over(self.range.start, self.range.len(), Protection::ReadWrite, backing)
            })
        };
        put(true).or_else(|_| put(false))
    }

    /// Whether the guard finds out by itself that the memory is gone.
    pub fn is_watched(&self) -> bool {
        self.lock().watched().is_some()
    }

    /// Whether the region was laid, and neither taken up nor forsaken since.
    fn is_laid(&self) -> bool {
        let keepers = self.foreign.as_ref().map(|foreign| &foreign.keepers);
        keepers.is_some_and(|keepers| !keepers.lock_anyway().is_empty()) && !self.is_lost()
    }

    /// Puts zeros there, and forgets the addresses. The memory must be there.
    ///
    /// Returns what had happened that was not collected.
    ///
    /// # Errors
    /// The OS's: the pages are there still.
    pub fn take_up(&self) -> Result<Vec<Fault>> {
        let mut inner = self.lock();
        if inner.phase() == Phase::Free {
            return Ok(Vec::new());
        }
        guard::note_change();
        self.put_zeros().map_err(|errno| Error::os(errno, "mmap"))?;
        inner.report_and_drop_overlays();
        let reports = inner.take_reports();
        guard::expect_late_faults(); // another thread may be on its way into the handler
        self.lose(&mut inner);
        drop(inner);
        *self.file.lock_anyway() = None;
        Ok(reports)
    }

    /// Leaves pages alone whose memory is gone, or may be gone soon. Where they are there still, for other threads, the guard
    /// stays.
    ///
    /// Returns what had happened that was not collected.
    pub fn forsake(self: &Arc<Self>) -> Vec<Fault> {
        let mut inner = self.lock();
        if inner.phase() == Phase::Free {
            return Vec::new();
        }
        inner.report_overlays();
        let reports = inner.take_reports();
        let stays = inner.watched().is_some();
        if !stays {
            guard::expect_late_faults();
            self.lose(&mut inner);
        }
        drop(inner);
        if let Some(foreign) = &self.foreign {
            foreign.keepers.lock_anyway().clear();
        }
        if stays {
            keep_leftover(self);
        }
        reports
    }
}

/// Fails where a region is laid that meets `range`.
fn refuse_overlap(laid: &[Weak<Region>], range: &Range<usize>) -> Result<()> {
    let meets = |region: &Arc<Region>| {
        let other = region.range();
        other.start < range.end && range.start < other.end
    };
    let others: Vec<_> = laid.iter().filter_map(Weak::upgrade).filter(meets).collect();
    if others.is_empty() {
        return Ok(());
    }
    // The memory of another thread's region may have gone, and these addresses be of new memory.
    let shown = all_shown();
    let is_there = |region: &Arc<Region>| {
        let inner = region.lock();
        let watched = inner.watched();
        watched.is_none()
            || inner.has_overlays()
            || shown_in(&shown, &region.range()).any(|shown| Some(*shown) == watched)
    };
    match others.iter().any(is_there) {
        true => {
            Err(Error::Busy("a mapping lies in this part of the memory already: close it first"))
        }
        false => Ok(()),
    }
}

#[cfg(all(test, target_os = "linux"))]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::fault::FaultKind;
    use crate::mapping::Mapping;
    use crate::options::Options;
    use crate::region::foreign::has_leftovers;

    /// Memory of others, of some pages.
    fn memory(pages: usize) -> usize {
        let backing = Backing::Memory { reserve: true };
        sys::map(0, pages * sys::page_size(), Protection::ReadWrite, backing).unwrap() as usize
    }

    fn load(at: usize) -> u8 {
        // SAFETY: all pages that the tests load from are mapped, or their faults are contained.
        unsafe { (at as *const u8).read_volatile() }
    }

    fn shared(pages: usize) -> Mapping {
        let map = Mapping::anonymous((pages * sys::page_size()) as u64, true, &Options::default())
            .unwrap();
        map.write(&vec![7; map.len()], 0).unwrap();
        map
    }

    #[test]
    fn a_fault_is_contained_healed_and_told() {
        let page = sys::page_size();
        let (map, start) = (shared(4), memory(6));
        // SAFETY: the pages were mapped above, and stay.
        assert!(unsafe { map.lay_over(start + page) }.unwrap());
        assert_eq!([0, 1, 4, 5].map(|i| load(start + i * page)), [0, 7, 7, 0]);
        map.file().unwrap().set_len(page as u64).unwrap();
        assert_eq!([1, 2, 4].map(|i| load(start + i * page)), [7, 0, 0]);
        let [fault] = map.collect().try_into().unwrap();
        assert_eq!((fault.kind, fault.offset), (FaultKind::BeyondEnd, page));
        map.file().unwrap().set_len(4 * page as u64).unwrap();
        map.write(&[9], 2 * page).unwrap();
        assert_eq!(load(start + 3 * page), 9);
        map.take_up(start + page).unwrap();
        assert_eq!([1, 3].map(|i| load(start + i * page)), [0, 0]);
        assert_eq!(map.faults(), 1);
        // SAFETY: nothing uses the pages any more.
        unsafe { sys::unmap(start, 6 * page) };
    }

    #[test]
    fn what_is_laid_over_is_refused_until_it_is_taken_up() {
        let page = sys::page_size();
        let (map, other, start) = (shared(4), shared(2), memory(6));
        // SAFETY: the pages were mapped above, and stay.
        let lay = |map: &Mapping, at: usize| unsafe { map.lay_over(start + at * page) };
        lay(&map, 1).unwrap();
        map.file().unwrap().set_len(0).unwrap();
        assert_eq!(load(start + page), 0); // all of it is zeros of the guard's
        for at in [0, 2, 4] {
            assert!(matches!(lay(&other, at), Err(Error::Busy(_))));
        }
        map.close();
        lay(&other, 2).unwrap();
        assert_eq!([1, 2, 3, 4].map(|i| load(start + i * page)), [0, 7, 7, 0]);
        other.close();
        // SAFETY: nothing uses the pages any more.
        unsafe { sys::unmap(start, 6 * page) };
    }

    #[test]
    fn memory_that_is_gone_is_forgotten_and_what_comes_next_is_not_touched() {
        let page = sys::page_size();
        for overlaid in [false, true] {
            let (map, start) = (shared(2), memory(2));
            // SAFETY: the pages were mapped above, and stay until they are replaced.
            unsafe { map.lay_over(start) }.unwrap();
            let region = Arc::clone(&map.state().laid[0].region);
            if overlaid {
                map.file().unwrap().set_len(0).unwrap();
                assert_eq!(load(start), 0);
            }
            // As the owner does, and somebody else after it.
            let backing = Backing::Memory { reserve: true };
            // SAFETY: the pages are this test's.
            unsafe { sys::map_over(start, 2 * page, Protection::ReadWrite, backing) }.unwrap();
            // SAFETY: the page was mapped above.
            unsafe { (start as *mut u8).write_volatile(5) };
            map.forsake(start);
            assert_eq!(map.collect().len(), usize::from(overlaid));
            assert_eq!(map.faults(), u64::from(overlaid));
            sweep_until(|| region.is_lost());
            drop(map);
            assert_eq!(load(start), 5);
            // SAFETY: nothing uses the pages any more.
            unsafe { sys::unmap(start, 2 * page) };
        }
    }

    #[test]
    fn the_guard_stays_where_other_threads_may_have_the_memory() {
        let page = sys::page_size();
        let (map, start) = (shared(2), memory(2));
        // SAFETY: the pages were mapped above, and stay.
        unsafe { map.lay_over(start) }.unwrap();
        let file = map.file().unwrap();
        drop(map);
        assert_eq!(load(start), 7);
        assert!(has_leftovers());
        file.set_len(0).unwrap();
        assert_eq!(load(start + page), 0);
        // SAFETY: nothing uses the pages any more.
        unsafe { sys::unmap(start, 2 * page) };
    }

    fn sweep_until(done: impl Fn() -> bool) {
        while !done() {
            crate::region::sweep_leftovers();
            sys::yield_now();
        }
    }
}
