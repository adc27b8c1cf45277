//! What the guard knows of foreign memory; `region/foreign.rs` says what that is.

use super::decide::Outcome;
use super::record::{Inner, Phase};
use crate::sys::{self, Shown};

/// Faults in a row of one page that change nothing, each of which asks the system what is there, after
/// which the fault goes to the handler that was there before ours.
const MAX_STALLS: u32 = 1000;

impl Inner {
    /// Whether an access can fail that the guard contains.
    pub fn can_fail(&self) -> bool {
        self.phase == Phase::Live && self.guarded && self.is_of_file()
    }

    /// Whether memory of no file may be inaccessible, or was taken out.
    pub fn can_be_closed(&self) -> bool {
        self.is_retired() || (self.guarded && !self.is_of_file())
    }

    /// Notes that the memory may go to another owner at any time. The guard contains its faults for as long as it
    /// shows this file, if any.
    pub fn watch(&mut self, shown: Option<Shown>) {
        self.watched = shown;
    }

    /// The file that the memory showed when `watch` was called.
    pub fn watched(&self) -> Option<Shown> {
        self.watched
    }

    /// Whether anything lies over pages.
    pub fn has_overlays(&self) -> bool {
        !self.overlays.as_slice().is_empty()
    }

    /// Lets stores to all overlays succeed without the guard.
    pub fn allow_stores_to_overlays(&self) {
        for overlay in self.overlays.as_slice() {
            self.allow_all_stores(&(overlay.start..overlay.end), overlay.how);
        }
    }

    /// What becomes of a fault in watched memory that shows another file by now, or none. *handler*
    pub(super) fn outcome_where_watched(&self, page: usize) -> Option<Outcome> {
        if self.watched.is_none() || self.watched == sys::shown_at(page) {
            return None;
        }
        // If it was overlaid another thread was first, or it has another owner by now.
        let overlaid = self.overlays.over(page).is_some() && self.stalls < MAX_STALLS;
        Some(if overlaid { Outcome::Retry } else { Outcome::Foreign })
    }
}
