//! What can go wrong, one variant for each thing that a caller may want to tell apart.

use std::{fmt, io};

use crate::fault::Fault;

/// The result of every fallible call of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// A failed call.
///
/// ```
/// use memory_map::{Error, FileOptions, Mapping, Options, Source};
///
/// let missing = Source::Path("no/such/file".as_ref());
/// let result = Mapping::shared(missing, &FileOptions::default(), &Options::default());
/// assert!(matches!(result, Err(Error::Os { .. })));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// The operating system refused.
    Os {
        /// The error number of the OS (`errno`, or the code of `GetLastError`).
        errno: i32,
        /// The call that failed, as its manual page is named.
        syscall: &'static str,
        /// What the caller should know beyond the number, in words.
        detail: Option<&'static str>,
    },
    /// The mapping has been closed.
    Closed,
    /// The mapping would reach past the end of the file.
    BeyondEnd {
        /// First byte in the file that the mapping would not need any more.
        end: u64,
        /// Size of the file in bytes.
        size: u64,
    },
    /// The mapping would have more bytes than there are addresses for.
    TooLarge {
        /// Its length in bytes.
        length: u64,
        /// The largest length that there is.
        most: usize,
    },
    /// An argument lies outside what it may be.
    OutOfRange {
        /// Name of the argument.
        name: &'static str,
        /// What it must be.
        requirement: &'static str,
    },
    /// An argument is needed here and is missing.
    Missing {
        /// Name of the argument.
        name: &'static str,
        /// Why it is needed.
        reason: &'static str,
    },
    /// A store through the mapping's own methods to pages that are not writable.
    NotWritable,
    /// An operation that only a shared mapping has.
    NotShared,
    /// What is to be mapped lacks a seal.
    NotSealed,
    /// This OS, or this mapping, cannot do that.
    Unsupported(&'static str),
    /// What waits for itself: the lock is held through the same mapping already.
    Deadlock,
    /// The lock is not held through this mapping.
    NotOwner,
    /// In use by another, and only one can use it at a time.
    Busy(&'static str),
    /// Shared memory does not hold what it should.
    Invalid(&'static str),
    /// The barrier is broken: not all of its parties will come.
    Broken,
    /// The wait was ended from another thread.
    Cancelled,
    /// The pages could not be read or written.
    Fault(Fault),
}

impl Error {
    /// What JavaScript calls it; the system's errors have the name of their number instead.
    #[must_use]
    pub fn code(&self) -> Option<&'static str> {
        Some(match self {
            Self::Os { .. } => return None,
            Self::Closed | Self::Cancelled => "ERR_MMAP_CLOSED",
            Self::BeyondEnd { .. } => "ERR_MMAP_BEYOND_END",
            Self::TooLarge { .. } => "ERR_MMAP_TOO_LARGE",
            Self::OutOfRange { .. } => "ERR_OUT_OF_RANGE",
            Self::Missing { .. } => "ERR_INVALID_ARG_VALUE",
            Self::NotWritable => "ERR_MMAP_NOT_WRITABLE",
            Self::NotShared => "ERR_MMAP_NOT_SHARED",
            Self::NotSealed => "ERR_MMAP_NOT_SEALED",
            Self::Unsupported(_) => "ERR_MMAP_UNSUPPORTED",
            Self::Deadlock => "ERR_MMAP_DEADLOCK",
            Self::NotOwner => "ERR_MMAP_NOT_OWNER",
            Self::Busy(_) => "ERR_MMAP_BUSY",
            Self::Invalid(_) => "ERR_MMAP_INVALID",
            Self::Broken => "ERR_MMAP_BROKEN",
            Self::Fault(_) => "ERR_MMAP_FAULT",
        })
    }

    /// Whether something could not be mapped for want of addresses, VMAs or memory.
    ///
    /// ```
    /// assert!(!memory_map::Error::Closed.lacks_room());
    /// ```
    #[must_use]
    pub fn lacks_room(&self) -> bool {
        let Self::Os { errno, syscall: "mmap" | "mremap", .. } = self else { return false };
        io::Error::from_raw_os_error(*errno).kind() == io::ErrorKind::OutOfMemory
    }

    /// An OS error of `syscall` from a number.
    pub(crate) fn os(errno: i32, syscall: &'static str) -> Self {
        Self::Os { errno, syscall, detail: None }
    }

    /// An OS error of `syscall` with an explanation.
    pub(crate) fn os_because(errno: i32, syscall: &'static str, detail: &'static str) -> Self {
        Self::Os { errno, syscall, detail: Some(detail) }
    }

    /// An OS error of `syscall` from what the standard library or memmap2 returned.
    pub(crate) fn io(error: &io::Error, syscall: &'static str) -> Self {
        /// `EINVAL`, or ERROR_INVALID_PARAMETER.
        const INVALID: i32 = if cfg!(windows) { 87 } else { 22 };
        Self::os(error.raw_os_error().unwrap_or(INVALID), syscall)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Os { errno, syscall, detail } => {
                write!(f, "{syscall}: {}", io::Error::from_raw_os_error(*errno))?;
                detail.map_or(Ok(()), |text| write!(f, ": {text}"))
            }
            Self::Closed => f.write_str("the mapping is closed"),
            Self::BeyondEnd { end, size } => {
                write!(f, "the mapping would reach to byte {end} of a file of {size} bytes")
            }
            Self::TooLarge { length, most } => write!(
                f,
                "the mapping would have {length} bytes, and the addresses of this system are for at \
                 most {most}: map a part of it, with `offset` and `length`"
            ),
            Self::OutOfRange { name, requirement } => write!(f, "the {name} must be {requirement}"),
            Self::Missing { name, reason } => {
                write!(f, "the option \"{name}\" is needed: {reason}")
            }
            Self::NotWritable => f.write_str("the mapping is not writable there"),
            Self::NotShared => f.write_str(
                "the mapping is not shared: its stores reach no file and no other process",
            ),
            Self::NotSealed => f.write_str(
                "what is to be mapped lacks a seal that was asked for: it could be changed in that way",
            ),
            Self::Deadlock => f.write_str("this mapping already holds the lock"),
            Self::NotOwner => f.write_str("this mapping does not hold the lock"),
            Self::Broken => f.write_str(
                "the barrier is broken: a party gave up or was killed, or it was aborted or reset",
            ),
            Self::Cancelled => f.write_str("the wait was ended"),
            Self::Unsupported(what) | Self::Busy(what) | Self::Invalid(what) => f.write_str(what),
            Self::Fault(fault) => fault.fmt(f),
        }
    }
}

impl std::error::Error for Error {}
