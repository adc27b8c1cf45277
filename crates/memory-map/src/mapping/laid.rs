//! The pages of a mapping over a part of other memory; `region/laid.rs` says what that is.

use std::sync::Arc;

use crate::error::{Error, Result};
use crate::file::Opened;
use crate::mapping::{Mapping, State};
use crate::options::HugePages;
use crate::region::{Region, place};
use crate::sys;

/// A region laid over memory.
pub(crate) struct Laid {
    /// The holder that laid it: only its thread knows whether the memory is still there.
    holder: u64,
    pub region: Arc<Region>,
}

impl Mapping {
    /// Lays the mapping's pages over memory, from `start` on, in whole pages: then the same bytes are in two places.
    /// For a private mapping they are the file's pages, without what was stored to the mapping.
    ///
    /// Returns whether the guard notices by itself when the memory is gone. If not, the memory has to stay until
    /// [`Mapping::take_up`], or until the mapping is closed.
    ///
    /// ```
    /// use memory_map::{Mapping, Options};
    ///
    /// let map = Mapping::anonymous(4 * memory_map::page_size() as u64, true, &Options::default())?;
    /// let memory = Mapping::anonymous(map.len() as u64, false, &Options::default())?;
    /// let key = memory.key()?;
    /// // SAFETY: the key keeps the memory, which nothing else uses.
    /// unsafe { map.lay_over(key.start()) }?;
    /// map.write(b"hello", 0)?;
    /// let mut bytes = [0; 5];
    /// memory.read(0, &mut bytes)?;
    /// assert_eq!(&bytes, b"hello");
    /// map.take_up(key.start())?;
    /// memory.read(0, &mut bytes)?;
    /// assert_eq!(bytes, [0; 5]);
    /// # Ok::<(), memory_map::Error>(())
    /// ```
    ///
    /// # Safety
    /// There must be readable and writable private memory for all pages, which the caller may replace. Before it is
    /// gone, or before the next call of a method of the mapping's after that, [`Mapping::forsake`] must be called.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] where pages of the mapping, the file and the memory do not fall together, or the last page
    /// has bytes of the file that the mapping has not; [`Error::Busy`]; [`Error::Unsupported`] of what has no file; the
    /// OS's; [`Error::Closed`].
    pub unsafe fn lay_over(&self, start: usize) -> Result<bool> {
        let mut state = self.state();
        let opened = self.opened(&state)?;
        if self.is_empty() {
            return Err(NO_PAGES);
        }
        if !place::REPLACES_PARTS {
            return Err(Error::Unsupported("this system cannot map over memory that is in use"));
        }
        if matches!(self.options.huge, HugePages::Explicit(_)) {
            return Err(Error::Unsupported("huge pages cannot be laid over memory of usual ones"));
        }
        let Some(opened) = opened.filter(Opened::is_regular) else { return Err(NO_FILE) };
        self.check_ends(&opened, start)?;
        let mut contents = self.contents(Some(&opened), self.len(), state.protection)?;
        if !state.protection.writable() {
            // V8 makes all of a memory writable when the memory grows, and aborts if that fails. So the pages are
            // private, and stores go to copies. A page that nobody stores to is still the file's (mmap(2)).
            contents.shared = false;
            contents.reserve = false;
        }
        // SAFETY: the caller vouches for the memory.
        let region = unsafe { Region::lay(&contents, start) }?;
        let is_watched = region.is_watched();
        state.laid.push(Laid { holder: self.token, region });
        Ok(is_watched)
    }

    /// Checks that whole pages from `start` on can show the mapping.
    fn check_ends(&self, opened: &Opened, start: usize) -> Result<()> {
        let page = sys::page_size();
        if !start.is_multiple_of(page) {
            return Err(Error::OutOfRange { name: "offset", requirement: "the start of a page" });
        }
        if self.page_offset() != 0 {
            return Err(NOT_AT_PAGE);
        }
        // What others append to the file appears in its last page, as in every mapping.
        let end = self.offset + self.len() as u64;
        if !self.len().is_multiple_of(page) && opened.size().is_none_or(|size| end < size) {
            return Err(NOT_TO_PAGE);
        }
        Ok(())
    }

    /// Puts zeros where the mapping was laid over memory, from `start` on; the memory must still be there. A second
    /// call does nothing.
    ///
    /// # Errors
    /// The OS's: then the pages are still there.
    pub fn take_up(&self, start: usize) -> Result<()> {
        let mut state = self.state();
        let Some(region) = state.laid_at(self.token, start) else { return Ok(()) };
        let reports = region.take_up()?;
        state.note(reports);
        state.drop_laid(&region);
        Ok(())
    }

    /// Gives up the pages that were laid over memory from `start` on, without touching them: the memory is gone, or may
    /// soon be. The guard protects them for as long as they are there.
    pub fn forsake(&self, start: usize) {
        let mut state = self.state();
        let Some(region) = state.laid_at(self.token, start) else { return };
        let reports = region.forsake();
        state.note(reports);
        state.drop_laid(&region);
    }
}

impl State {
    /// The regions that a holder has laid over memory.
    pub(super) fn laid_by(&self, holder: u64) -> impl Iterator<Item = &Arc<Region>> {
        self.laid.iter().filter(move |laid| laid.holder == holder).map(|laid| &laid.region)
    }

    fn laid_at(&self, holder: u64, start: usize) -> Option<Arc<Region>> {
        self.laid_by(holder).find(|region| region.range().start == start).cloned()
    }

    fn drop_laid(&mut self, region: &Arc<Region>) {
        self.faults += region.faults();
        self.laid.retain(|laid| !Arc::ptr_eq(&laid.region, region));
    }

    /// Takes up, or forsakes, everything that a holder has laid. `is_there` says that the memory is known to be there;
    /// memory that the guard does not watch is there too, because the caller keeps it.
    pub(super) fn end_laid(&mut self, holder: u64, is_there: bool) {
        let ended: Vec<_> = self.laid.extract_if(.., |laid| laid.holder == holder).collect();
        for Laid { region, .. } in ended {
            let taken = (is_there || !region.is_watched()).then(|| region.take_up().ok()).flatten();
            let reports = taken.unwrap_or_else(|| region.forsake());
            self.note(reports);
            self.faults += region.faults();
        }
    }
}

const NO_PAGES: Error = Error::OutOfRange { name: "length", requirement: "more than 0" };

const NOT_AT_PAGE: Error = Error::OutOfRange {
    name: "options.offset",
    requirement: "the start of a page of the file, to be laid over memory",
};

const NOT_TO_PAGE: Error = Error::OutOfRange {
    name: "options.length",
    requirement: "whole pages, or reach to the end of the file, to be laid over memory",
};

const NO_FILE: Error = Error::Unsupported(
    "only pages of a file can be laid over memory: have `shared: true` make a file for memory",
);
