//! Catching faults in mapped memory, so that no access through a view ends the process.
//!
//! A fault goes through these files in order: `unix` (the signal handler) finds the region by
//! `registry`, `contain` decides what to lay over the page and notes it in `covers`, `reporter`
//! wakes the owner, and the owner has `heal` put the pages back and say what had happened.

mod contain;
mod covers;
mod heal;
mod registry;
mod reporter;
mod slot;
mod unix;

pub use reporter::{forget_owner, register_owner, take_faulted, wake_owner};
pub(crate) use slot::{Backing, Locked, Run, Slot, State};
pub(crate) use unix::install;

/// Lets the handler find `slot` by every address from `start` to before `end`.
pub(crate) fn watch(start: usize, end: usize, slot: &'static Slot) {
    registry::insert(start, end, slot);
}

/// Ends what `watch` began.
pub(crate) fn forget(start: usize, end: usize) {
    registry::remove(start, end);
}
