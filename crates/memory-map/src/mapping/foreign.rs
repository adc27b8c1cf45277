//! A mapping over foreign memory; `region/foreign.rs` says what that is.

use std::sync::Arc;

use crate::error::{Error, Result};
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
    /// The OS's; [`Error::Unsupported`]; [`Error::OutOfRange`]; [`Error::Busy`] while another holder has the
    /// mapping open; [`Error::Closed`].
    pub unsafe fn put_over(&self, start: usize, keeper: Keeper) -> Result<()> {
        let _paused = self.attached().pause();
        let mut state = self.state();
        let opened = self.opened(&state)?;
        let Pages::Mapped(old) = &state.pages else { return Err(Error::Closed) };
        self.needs_no_other(&state)?;
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
        let contents = self.contents(opened.as_ref(), self.len(), state.protection)?;
        // SAFETY: the caller vouches for the memory.
        let new = unsafe { Region::over(&contents, start, (self.token, keeper)) }?;
        new.take_over(old)?;
        state.replace(Pages::Mapped(new), &[]);
        drop(state);
        self.attached().follow(|| self.whereabouts().ok());
        let _ = self.populate(); // all that it needs is there by now
        Ok(())
    }

    /// Keeps the foreign memory that begins at `start`, by `keeper`, for as long as this holder is there: what the
    /// others keep it by goes with their threads.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] if the mapping is not over that memory; [`Error::Closed`].
    pub fn keep(&self, start: usize, keeper: Keeper) -> Result<()> {
        let state = self.state();
        match self.pages_in(&state) {
            Pages::Mapped(region) if region.is_foreign() && region.range().start == start => {
                region.keep(self.token, keeper);
                Ok(())
            }
            Pages::Closed => Err(Error::Closed),
            _ => {
                let requirement = "the memory that the mapping is over";
                Err(Error::OutOfRange { name: "start", requirement })
            }
        }
    }

    /// Lets go of foreign memory, which its owner may still use. A mapping that is there is
    /// closed afterwards, unless another holder keeps the memory.
    pub fn disown(&self) {
        let (given_up, foreign) = self.state().take_foreign(self.token);
        if given_up {
            self.attached.end();
        }
        foreign.iter().for_each(|region| region.disown());
    }
}

impl State {
    /// Takes out all regions over foreign memory that only the holder of `token` has kept; says whether it has
    /// kept any.
    fn take_foreign(&mut self, token: u64) -> (bool, Vec<Arc<Region>>) {
        let had = self.former.len();
        let mut foreign: Vec<_> =
            self.former.extract_if(.., |region| region.is_last_to_keep(token)).collect();
        let mut given_up = self.former.len() < had;
        if let Pages::Mapped(region) = &self.pages
            && region.is_foreign()
        {
            given_up = true;
            if region.is_last_to_keep(token) {
                region.note_given_up();
                foreign.push(Arc::clone(region));
                self.pages = Pages::Closed;
            }
        }
        self.faults += foreign.iter().map(|region| region.faults()).sum::<u64>();
        (given_up, foreign)
    }
}
