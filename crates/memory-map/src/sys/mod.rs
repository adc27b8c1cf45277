//! System calls that memmap2 and nix do not give, and what goes with them: one folder for each
//! system, which this file chooses. `unix/` has what several of them share.
//!
//! Every function here is a thin call: it decides nothing and keeps nothing.

#[cfg_attr(any(target_os = "linux", target_os = "android"), path = "linux/mod.rs")]
#[cfg_attr(target_vendor = "apple", path = "apple/mod.rs")]
#[cfg_attr(windows, path = "windows/mod.rs")]
#[cfg_attr(
    not(any(target_os = "linux", target_os = "android", target_vendor = "apple", windows)),
    path = "bsd/mod.rs"
)]
mod system;

pub(crate) use system::*;
pub use system::{allocation_granularity, page_size, trim_heap};

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

/// `address` rounded down to a multiple of `alignment`, a power of two.
pub(crate) const fn floor(address: usize, alignment: usize) -> usize {
    address & !(alignment - 1)
}

/// `address` rounded up to a multiple of `alignment`, a power of two; `None` if that overflows.
pub(crate) const fn ceil(address: usize, alignment: usize) -> Option<usize> {
    match address.checked_add(alignment - 1) {
        Some(sum) => Some(floor(sum, alignment)),
        None => None,
    }
}
