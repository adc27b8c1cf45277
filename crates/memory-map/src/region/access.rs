//! Accesses of our own to mapped pages, copies and searches, that end in an error where a page
//! fails.

use crate::error::{Error, Result};
use crate::guard::Locked;
use crate::region::{Addresses, Region};
use crate::sys;

/// After how many bytes an access checks whether it is over: few enough to stay in a processor's cache.
pub(crate) const CHUNK: usize = 1 << 17;

/// An access under way, perhaps by several threads.
pub(crate) struct Access<'a> {
    region: &'a Region,
    range: Addresses,
    /// How many faults had happened, and how many were healed, when the access began.
    faults: u64,
    healed: usize,
}

impl<'a> Access<'a> {
    /// Begins an access, which ends with `end` or `stop`.
    pub fn begin(region: &'a Region, range: Addresses) -> Result<Self> {
        let mut inner = region.lock();
        if !inner.has(&range) {
            return Err(Error::Closed);
        }
        // What was overlaid before would be read as zeros, or thrown away, without a fault.
        inner.heal();
        if let Some(fault) = inner.unhealed_in(&range) {
            return Err(Error::Fault(fault));
        }
        let healed = inner.begin_access();
        Ok(Self { region, range, faults: region.faults(), healed })
    }

    /// How many faults had happened in the region when the access began.
    pub fn faults_before(&self) -> u64 {
        self.faults
    }

    /// Whether a part of the range is known to have failed, or the region has lost the range.
    pub fn is_over(&self, part: &Addresses) -> bool {
        let inner = self.region.lock();
        self.is_gone(&inner) || self.has_failed(&inner, part)
    }

    fn has_failed(&self, inner: &Locked, part: &Addresses) -> bool {
        self.region.faults() != self.faults && inner.hides(part, self.healed)
    }

    /// Whether the range has other bytes by now than those that were asked for.
    fn is_gone(&self, inner: &Locked) -> bool {
        !inner.has(&self.range)
    }

    /// Ends the access without asking how it went.
    pub fn stop(&self) {
        self.region.lock().end_access();
    }

    /// Says how the access went so far, for one that goes on.
    pub fn check(&self) -> Result<()> {
        let mut inner = self.region.lock();
        if self.is_gone(&inner) {
            return Err(Error::Closed);
        }
        if self.has_failed(&inner, &self.range) {
            inner.heal();
        }
        match inner.healed_in(self.healed, &self.range) {
            Some(fault) => Err(Error::Fault(fault)),
            None => Ok(()),
        }
    }

    fn end(self, touched: &Addresses) -> Result<()> {
        let mut inner = self.region.lock();
        if self.has_failed(&inner, touched) {
            inner.heal();
        }
        let fault = inner.healed_in(self.healed, touched);
        inner.end_access();
        match fault {
            _ if self.is_gone(&inner) => Err(Error::Closed),
            Some(fault) => Err(Error::Fault(fault)),
            None => Ok(()),
        }
    }
}

/// Runs an access to a range of addresses in `region`, with its faults
/// contained and turned into errors.
///
/// `run` returns, besides its result, the addresses that this depends on: a fault elsewhere is
/// no error of this access.
///
/// # Errors
/// [`Error::Fault`]; [`Error::Closed`] if the region has lost the range, by `close` or `resize`,
/// before the access ended, which may have seen zeros then.
pub(crate) fn with_access<R>(
    region: &Region,
    range: Addresses,
    run: impl FnOnce(&Access<'_>) -> (R, Addresses),
) -> Result<R> {
    let access = Access::begin(region, range)?;
    let (result, touched) = run(&access);
    access.end(&touched)?;
    Ok(result)
}

/// Copies the bytes at `from` out of a region, as many as there are of `bytes`.
pub(crate) fn copy_out(region: &Region, from: &Addresses, bytes: &mut [u8]) -> Result<()> {
    debug_assert_eq!(from.len(), bytes.len());
    let to = bytes.as_mut_ptr();
    let backwards = (to as usize) > from.start;
    chunkwise(region, from.clone(), backwards, |from, done, length| {
        // SAFETY: the caller checked that the range lies in the region, which stays mapped while
        // it is borrowed; `bytes` is ours alone. The bytes may change under the copy, by another
        // thread or process: what arrives is then some mixture, never an invalid value.
        unsafe { std::ptr::copy(from as *const u8, to.add(done), length) };
    })
}

/// Copies into a region, to the addresses `to`, of which there are as many as of `bytes`.
///
/// # Safety
/// `bytes` must be readable; they may lie in the region.
pub(crate) unsafe fn copy_in(region: &Region, to: &Addresses, bytes: *const [u8]) -> Result<()> {
    debug_assert_eq!(to.len(), bytes.len());
    let from = bytes.cast::<u8>();
    region.note_store();
    let backwards = (from as usize) < to.start;
    chunkwise(region, to.clone(), backwards, |to, done, length| {
        // SAFETY: as in `copy_out`, and whether the pages are writable was checked; should another
        // thread protect them meanwhile, the guard catches that. `copy` allows an overlap, which
        // there is when `bytes` is itself a view of the mapping, and the chunks go the right way.
        unsafe { std::ptr::copy(from.add(done), to as *mut u8, length) };
    })
}

/// Loads from every page of a part of a region.
pub(crate) fn touch(region: &Region, range: Addresses) -> Result<()> {
    chunkwise(region, range, false, |from, _, length| {
        let first = sys::floor(from, sys::page_size());
        for page in (first..from + length).step_by(sys::page_size()) {
            // SAFETY: the caller checked that the range lies in the region, which stays mapped
            // while it is borrowed.
            unsafe { std::ptr::read_volatile(page.max(from) as *const u8) };
        }
    })
}

/// Runs a copy chunk by chunk; it begins with the last chunk if `backwards`, for
/// ranges that overlap.
fn chunkwise(
    region: &Region,
    range: Addresses,
    backwards: bool,
    copy: impl Fn(usize, usize, usize),
) -> Result<()> {
    let (start, length) = (range.start, range.len());
    with_access(region, range.clone(), |access| {
        let mut done = 0;
        while done < length && !access.is_over(&range) {
            let chunk = CHUNK.min(length - done);
            let first = if backwards { length - done - chunk } else { done };
            copy(start + first, first, chunk);
            done += chunk;
        }
        ((), range)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::Fault;
    use crate::mapping::Mapping;
    use crate::options::Options;
    use crate::protection::Protection;

    fn memory(pages: usize) -> Option<Mapping> {
        Mapping::anonymous((pages * sys::page_size()) as u64, false, &Options::default()).ok()
    }

    #[test]
    fn no_access_leaves_the_pages_of_its_region() {
        let region = memory(1).and_then(|map| Some(map.whereabouts().ok()?.region));
        let (start, page) = (region.as_ref().map_or(0, |r| r.range().start), sys::page_size());
        let access = |range: std::ops::Range<usize>| {
            let range = Addresses(range);
            region.as_ref().map(|region| with_access(region, range.clone(), |_| (7, range)))
        };
        assert_eq!(access(start..start + page), Some(Ok(7)));
        assert_eq!(access(start..start + page + 1), Some(Err(Error::Closed)));
        assert_eq!(access(start - 1..start), Some(Err(Error::Closed)));
    }

    #[test]
    fn of_faults_that_look_the_same_an_access_throws_one() {
        let Some(map) = memory(1) else { return };
        let all = 0..map.len();
        let (Ok(()), Ok(there)) = (map.protect(all, Protection::None), map.whereabouts()) else {
            return;
        };
        let region = there.region;
        let mut told = Vec::new();
        let result = with_access(&region, region.range(), |_| {
            for _ in 0..2 {
                // SAFETY: the page is mapped, and its fault is contained.
                unsafe { std::ptr::read_volatile(region.range().start as *const u8) };
                told.append(&mut map.collect()); // as another thread may, at any moment
            }
            ((), region.range())
        });
        assert_eq!(told.len(), 2);
        assert_eq!(told[1], Fault { id: told[1].id, ..told[0].clone() });
        assert_ne!(told[1], told[0]);
        assert_eq!(result, Err(Error::Fault(told[0].clone())));
        assert_eq!(map.collect(), []);
    }

    #[test]
    fn an_access_that_meets_pages_first_when_they_are_gone_is_told_closed_and_no_fault() {
        let told = memory(3).and_then(|map| {
            let region = map.whereabouts().ok()?.region;
            let range = region.range();
            let result = with_access(&region, range.clone(), |_| {
                map.close();
                let load = |page: usize| {
                    // SAFETY: the addresses stay while the region is held, and the guard opens the
                    // pages where they have nothing.
                    unsafe { std::ptr::read_volatile(page as *const u8) }
                };
                (range.0.clone().step_by(sys::page_size()).map(load).max(), range.clone())
            });
            Some((result, region.faults()))
        });
        assert_eq!(told, Some((Err(Error::Closed), 0)));
    }
}
