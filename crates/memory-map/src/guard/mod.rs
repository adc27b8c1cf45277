//! Catching faults in mapped memory, so that no access through a view ends the process.
//!
//! A fault goes through these files in order: the handler (`unix`, `windows`) finds the region by
//! `registry`, `contain` decides what to lay over the page and notes it in `covers`, `reporter`
//! wakes the owner, and the owner has `heal` put the pages back and say what had happened. How
//! pages are covered and put back is in `replace_unix` and `replace_windows`.

mod contain;
mod covers;
#[cfg_attr(unix, path = "unix.rs")]
#[cfg_attr(windows, path = "windows.rs")]
mod handler;
mod heal;
#[cfg(unix)]
mod openings;
mod registry;
#[cfg_attr(unix, path = "replace_unix.rs")]
#[cfg_attr(windows, path = "replace_windows.rs")]
mod replace;
mod reporter;
mod slot;
mod spares;

pub(crate) use handler::install;
pub use reporter::{forget_owner, register_owner, take_faulted, wake_owner};
pub(crate) use slot::{Backing, Inner, Locked, Run, Slot, State};
pub(crate) use spares::with_spares;

/// Lets the handler find `slot` by every address from `start` to before `end`.
pub(crate) fn watch(start: usize, end: usize, slot: &'static Slot) {
    registry::insert(start, end, slot);
}

#[cfg(unix)]
pub(crate) use handler::{block_signals, expect_late_faults};

/// On Windows nothing is mapped over memory that is somebody else's.
#[cfg(windows)]
pub(crate) fn expect_late_faults() {}

/// Windows has none.
#[cfg(windows)]
pub(crate) fn block_signals() {}

/// Ends what `watch` began, where nobody else has begun it anew.
pub(crate) fn forget(start: usize, end: usize, slot: &'static Slot) {
    registry::remove(start, end, slot);
}
