//! What memmap2 and nix do not give, one file per family of systems.
//!
//! Every function here is a thin call: it decides nothing and keeps nothing.

#[cfg_attr(unix, path = "unix.rs")]
#[cfg_attr(windows, path = "windows.rs")]
mod family;

#[cfg(unix)]
#[cfg_attr(any(target_os = "linux", target_os = "android"), path = "linux.rs")]
#[cfg_attr(target_vendor = "apple", path = "apple.rs")]
#[cfg_attr(
    not(any(target_os = "linux", target_os = "android", target_vendor = "apple")),
    path = "generic.rs"
)]
mod system;

pub(crate) use family::*;
#[cfg_attr(any(target_os = "linux", target_os = "android"), path = "bell_semaphore.rs")]
#[cfg_attr(windows, path = "bell_event.rs")]
#[cfg_attr(not(any(target_os = "linux", target_os = "android", windows)), path = "bell_pipe.rs")]
mod bell;

#[cfg_attr(any(target_os = "linux", target_os = "android"), path = "advice_linux.rs")]
#[cfg_attr(windows, path = "advice_windows.rs")]
#[cfg_attr(not(any(target_os = "linux", target_os = "android", windows)), path = "advice_posix.rs")]
mod advice;

mod areas;

pub(crate) use advice::*;
pub(crate) use areas::*;
#[cfg_attr(any(target_os = "linux", target_os = "android"), path = "futex_linux.rs")]
#[cfg_attr(target_vendor = "apple", path = "futex_apple.rs")]
#[cfg_attr(
    not(any(target_os = "linux", target_os = "android", target_vendor = "apple")),
    path = "futex_poll.rs"
)]
mod futex;

#[cfg_attr(
    any(target_os = "linux", target_os = "android", target_vendor = "apple"),
    path = "witness_ofd.rs"
)]
#[cfg_attr(windows, path = "witness_event.rs")]
#[cfg_attr(
    not(any(target_os = "linux", target_os = "android", target_vendor = "apple", windows)),
    path = "witness_none.rs"
)]
mod witness;

pub(crate) use bell::*;
pub use family::{allocation_granularity, page_size, trim_heap};
pub(crate) use futex::*;
#[cfg(unix)]
pub(crate) use system::*;
pub(crate) use witness::Witness;

/// How a sleep on a word of memory ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Woken {
    /// Somebody woke it.
    Notified,
    /// The word held something else.
    NotEqual,
    TimedOut,
    /// A signal, a cancel, or nothing at all: look again.
    Perhaps,
}

/// Which file a descriptor stands for, and how long it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Identity {
    pub device: u64,
    pub inode: u64,
    pub size: u64,
}

/// Whether a read of a file on `device` gives what a load from its mapped pages would. Linux has one
/// cache for both where a file system is on a block device. Others may ask a server at each read, and
/// overlayfs reads the copy that it made for the first writer, while a mapping keeps the original.
/// What other systems promise is not known well enough.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) fn reads_are_loads(device: u64) -> bool {
    nix::sys::stat::major(device as libc::dev_t) != 0
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(crate) fn reads_are_loads(_device: u64) -> bool {
    false
}

/// `address` rounded down to a multiple of `grain`, a power of two.
pub(crate) const fn floor(address: usize, grain: usize) -> usize {
    address & !(grain - 1)
}

/// `address` rounded up to a multiple of `grain`, a power of two; `None` where that overflows.
pub(crate) const fn ceil(address: usize, grain: usize) -> Option<usize> {
    match address.checked_add(grain - 1) {
        Some(sum) => Some(floor(sum, grain)),
        None => None,
    }
}
