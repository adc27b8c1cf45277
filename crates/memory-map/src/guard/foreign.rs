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

    /// The region was left to its other owner; under the guard if it shows a file.
    pub fn leave(&mut self, shown: Option<Shown>) {
        self.left = shown;
    }

    /// The file whose pages were left under the guard, in memory that may have another owner by now.
    pub fn left(&self) -> Option<Shown> {
        self.left
    }

    /// Whether anything lies over pages.
    pub fn has_overlays(&self) -> bool {
        !self.overlays.as_slice().is_empty()
    }

    /// Makes all overlays such that stores to them succeed without the guard.
    pub fn open_overlays(&self) {
        for overlay in self.overlays.as_slice() {
            self.open_all(&(overlay.start..overlay.end), overlay.how);
        }
    }

    /// What becomes of a fault of a page that was left and shows another file by now, or none. *handler*
    pub(super) fn outcome_where_left(&self, page: usize) -> Option<Outcome> {
        if self.left.is_none() || self.left == sys::shown_at(page) {
            return None;
        }
        // If it was overlaid another thread was first, or it has another owner by now.
        let overlaid = self.overlays.over(page).is_some() && self.stalls < MAX_STALLS;
        Some(if overlaid { Outcome::Retry } else { Outcome::Foreign })
    }
}
