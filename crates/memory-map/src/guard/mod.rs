//! Catching faults in mapped memory, so that no access through a view ends the process.
//!
//! A fault goes through these files in order: the handler (`handler_unix`, `handler_windows`) finds
//! the region by `registry`, `decide` decides what to lay over the page and notes it in `overlay`,
//! `notify` wakes the owner, and the owner has `heal` put the pages back and say what had happened.
//! How pages are overlaid and put back is in `overlay_unix` and `overlay_windows`.

mod changes;
mod decide;
mod doubts;
mod foreign;
#[cfg_attr(unix, path = "handler_unix.rs")]
#[cfg_attr(windows, path = "handler_windows.rs")]
mod handler;
mod heal;
mod life;
mod missing;
mod notify;
mod overlay;
#[cfg_attr(unix, path = "overlay_unix.rs")]
#[cfg_attr(windows, path = "overlay_windows.rs")]
mod overlay_system;
mod record;
mod registry;
mod rollback;
mod saved;
#[cfg_attr(windows, path = "scratch_windows_none.rs")]
mod scratch_windows;
#[cfg(unix)]
mod signal_chain;
mod vma_reserve;

pub use changes::changes;
pub(crate) use changes::note_change;
pub(crate) use handler::install;
pub use handler::reclaim_soon as reclaim_signals;
pub(crate) use life::Beginning;
pub use notify::{
    ORPHANS, forget_owner, register_owner, take_faulted, wake_all_owners, wake_owner,
};
pub(crate) use notify::{end_sharing, share, tell_sharers, unshare};
pub(crate) use record::{FaultRecord, Inner, Locked, Phase};
pub(crate) use vma_reserve::with_vma_reserve;

/// Lets the handler find `record` by every address from `start` to before `end`.
pub(crate) fn register(start: usize, end: usize, record: &'static FaultRecord) {
    registry::insert(start, end, record);
}

#[cfg(unix)]
pub(crate) use handler::expect_late_faults;

/// On Windows nothing is mapped over foreign memory.
#[cfg(windows)]
pub(crate) fn expect_late_faults() {}

/// Ends what `register` began, unless another record was registered there since.
pub(crate) fn unregister(start: usize, end: usize, record: &'static FaultRecord) {
    registry::remove(start, end, record);
}
