//! System calls that memmap2 and nix do not give, and what goes with them: one folder for each
//! system, which this file chooses. `unix/` has what several of them share.
//!
//! The functions here are thin: they know nothing of mappings, and decide nothing about them.

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

use std::sync::atomic::AtomicU32;

/// How a sleep on a word of memory ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Woken {
    /// Another thread woke it.
    Notified,
    /// The word held something else.
    NotEqual,
    TimedOut,
    /// A signal, a cancel, or nothing at all: look again.
    Perhaps,
}

/// Words of our own that a thread sleeps on beside one of the memory.
#[derive(Debug, Default)]
pub(crate) struct OwnWords {
    /// Not 0 once the sleep is to end.
    pub cancel: AtomicU32,
    /// Tells others that the thread sleeps: the system puts it to sleep on this one last, or it is the thread's number.
    /// Nobody wakes it.
    #[cfg_attr(
        not(any(target_os = "linux", target_os = "android", target_vendor = "apple")),
        allow(dead_code)
    )]
    pub last: AtomicU32,
}

/// How a sleep on many words ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(not(any(target_os = "linux", target_os = "android")), allow(dead_code))]
pub(crate) enum WokenOf {
    /// The time is up, or it was interrupted or ended by its control word; no other was woken.
    Nothing,
    /// That word was woken, and others perhaps.
    Word(usize),
    /// Some words hold something else.
    Any,
    /// The system cannot do it, or not with all of the words.
    Failed,
}

/// What pages are mapped from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Backing {
    /// Zeroed private memory for which no swap is reserved; on Windows addresses without memory, where
    /// `commit_zeros` gives a page some.
    Zeros,
    /// Zeroed private memory.
    Memory {
        /// Whether swap is reserved for it. Windows always does that.
        #[cfg_attr(windows, allow(dead_code))]
        reserve: bool,
    },
    /// A file.
    File {
        /// The mapping's own descriptor, or `NO_FILE`.
        fd: RawFile,
        /// Where in the file the first page begins: a multiple of the allocation granularity.
        offset: u64,
        /// Whether stores reach it.
        shared: bool,
        /// Whether swap is reserved for private copies.
        #[cfg_attr(windows, allow(dead_code))]
        reserve: bool,
    },
}

impl Backing {
    /// The backing of the page that comes `bytes` later.
    pub fn after(self, bytes: usize) -> Self {
        match self {
            Self::File { fd, offset, shared, reserve } => {
                Self::File { fd, offset: offset + bytes as u64, shared, reserve }
            }
            other => other,
        }
    }

    /// The same, but no store reaches the file.
    pub fn private(self) -> Self {
        match self {
            Self::File { fd, offset, reserve, .. } => {
                Self::File { fd, offset, shared: false, reserve }
            }
            other => other,
        }
    }

    /// The same, without a reservation of swap.
    #[cfg_attr(windows, allow(dead_code))]
    pub fn without_reserve(self) -> Self {
        match self {
            Self::Zeros => self,
            Self::Memory { .. } => Self::Memory { reserve: false },
            Self::File { fd, offset, shared, .. } => {
                Self::File { fd, offset, shared, reserve: false }
            }
        }
    }
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
