//! A memory fault that was contained, as it is told to the user.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

/// Why an access failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultKind {
    /// The file ended before the page.
    BeyondEnd,
    /// A store to a read-only page, or any access to an inaccessible one.
    Protection,
    /// The device could not deliver the page.
    Io,
    /// The file system had no block for the page.
    NoSpace,
    /// The mapping was closed, and code that still holds its memory has used it.
    Closed,
}

/// One contained fault.
///
/// ```
/// use memory_map::{Error, FaultKind, FileOptions, Mapping, Options, Source};
///
/// let path = std::env::temp_dir().join(format!("memory-map-fault-{}", std::process::id()));
/// std::fs::write(&path, [0; 16]).unwrap();
/// let map = Mapping::shared(Source::Path(&path), &FileOptions::default(), &Options::default())?;
/// # if cfg!(unix) {
/// std::fs::write(&path, []).unwrap();
/// let Err(Error::Fault(fault)) = map.read(0, &mut [0; 16]) else { panic!("the bytes are gone") };
/// assert_eq!(fault.kind, FaultKind::BeyondEnd);
/// # }
/// # std::fs::remove_file(&path).unwrap();
/// # Ok::<(), memory_map::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// What it is known by, in the error of a call and in the report: no other fault has the same.
    pub id: u64,
    /// Why the access failed.
    pub kind: FaultKind,
    /// Start of the page that was accessed, in bytes from the start of the mapping.
    pub offset: usize,
    /// How many bytes from there the fault concerns.
    pub length: usize,
    /// Whether every store that was lost was also rolled back.
    pub contained: bool,
}

impl Fault {
    /// An `id` that is new. Async-signal-safe.
    pub(crate) fn next_id() -> u64 {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        NEXT.fetch_add(1, Ordering::Relaxed)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { offset, length, .. } = self;
        let what = match self.kind {
            FaultKind::BeyondEnd => "the file ends before",
            FaultKind::Protection => "the protection forbids the access to",
            FaultKind::Io => "the device could not read or write",
            FaultKind::NoSpace => "the file system has no space for",
            FaultKind::Closed => "the mapping was closed before the use of",
        };
        write!(f, "{what} the {length} bytes at offset {offset} of the mapping")
    }
}
