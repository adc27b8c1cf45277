//! A mapping over foreign memory; `region/foreign.rs` says what that is.

use std::sync::Arc;

use crate::error::{Error, Result};
use crate::file::Opened;
use crate::mapping::{Mapping, Pages, State};
use crate::options::HugePages;
use crate::region::{Keeper, Region, place};
use crate::sys;

impl Mapping {
    /// Puts the mapping over foreign memory, from `start` on, that has whole pages for
    /// all of it and stays where it is for as long as `keeper` lives. What was stored is copied.
    ///
    /// # Safety
    /// That memory may be used only as the mapping itself may be.
    ///
    /// # Errors
    /// The OS's; [`Error::Unsupported`]; [`Error::OutOfRange`]; [`Error::Closed`].
    pub unsafe fn put_over(&self, start: usize, keeper: Keeper) -> Result<()> {
        self.needs_file()?;
        let _paused = self.attached().pause();
        let mut state = self.state();
        let Pages::Mapped(old) = &state.pages else { return Err(Error::Closed) };
        if matches!(self.options.huge, HugePages::Explicit(_)) {
            let why = "huge pages cannot be mapped over this runtime's memory";
            return Err(Error::Unsupported(why));
        }
        if !place::REPLACES_PARTS {
            return Err(Error::Unsupported("this system cannot map over memory that is in use"));
        }
        if sys::floor(start, sys::page_size()) != start {
            let requirement = "the start of a page";
            return Err(Error::OutOfRange { name: "start", requirement });
        }
        let opened = old.file().map(Opened::again).transpose()?;
        let contents = self.contents(opened.as_ref(), self.len(), state.protection)?;
        // SAFETY: the caller vouches for the memory.
        let new = unsafe { Region::over(&contents, start, keeper) }?;
        new.take_over(old)?;
        state.replace(Pages::Mapped(new), &[]);
        drop(state);
        self.attached().follow(|| self.whereabouts().ok());
        let _ = self.populate(); // all that it needs is there by now
        Ok(())
    }

    /// Lets go of foreign memory, which its owner may still use. A mapping that is there is
    /// closed afterwards.
    pub fn leave(&self) {
        let foreign = self.state().take_foreign();
        if !foreign.is_empty() {
            self.attached.end();
        }
        foreign.iter().for_each(|region| region.leave());
    }
}

impl State {
    /// Takes out all regions over foreign memory.
    fn take_foreign(&mut self) -> Vec<Arc<Region>> {
        let mut foreign: Vec<_> =
            self.former.extract_if(.., |region| region.is_foreign()).collect();
        if let Pages::Mapped(region) = &self.pages
            && region.is_foreign()
        {
            foreign.push(Arc::clone(region));
            self.pages = Pages::Closed;
        }
        self.faults += foreign.iter().map(|region| region.faults()).sum::<u64>();
        foreign
    }
}
