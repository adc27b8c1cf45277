//! What a mapping is asked to be.

use crate::protection::Protection;

/// Where the stores of a mapping go.
///
/// ```
/// use memory_map::{Kind, Mapping, Options};
///
/// let map = Mapping::anonymous(100, false, &Options::default())?;
/// assert_eq!(map.kind(), Kind::Anonymous);
/// # Ok::<(), memory_map::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// To the file, and to every process that maps it.
    Shared,
    /// To private copies of the pages; the file never changes.
    Private,
    /// To memory without a file.
    Anonymous,
}

/// Pages larger than the system's usual ones.
///
/// ```
/// use memory_map::{HugePages, Mapping, Options};
///
/// let options = Options { huge: HugePages::Transparent, ..Options::default() };
/// let map = Mapping::anonymous(4 << 20, false, &options)?;
/// map.write(b"hello", 0)?;
/// # Ok::<(), memory_map::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum HugePages {
    /// None.
    #[default]
    None,
    /// Where the system can make some by itself.
    Transparent,
    /// Pages of so many bytes, a power of two, from the pool that was set aside for them.
    Explicit(usize),
}

/// What all kinds of mapping have in common.
///
/// ```
/// use memory_map::{Options, Protection};
///
/// let options = Options { protection: Protection::Read, populate: true, ..Options::default() };
/// assert!(options.guard);
/// ```
#[derive(Debug, Clone)]
pub struct Options {
    /// What may be done with the pages.
    pub protection: Protection,
    /// Bring the pages in before the call returns.
    pub populate: bool,
    /// Reserve swap for pages that can be written; `false` is `MAP_NORESERVE`.
    pub reserve: bool,
    /// Where the mapping should be if that is free: a hint, as in mmap(2).
    pub address: Option<usize>,
    /// Large pages, for anonymous memory.
    pub huge: HugePages,
    /// Contain all faults in the mapping, instead of only those of `read` and `write`.
    pub guard: bool,
    /// The owner that is told of faults; see [`crate::register_owner`].
    pub owner: u64,
}

impl Default for Options {
    /// Pages to read and to store to, whose faults are contained and not reported.
    fn default() -> Self {
        Self {
            protection: Protection::ReadWrite,
            populate: false,
            reserve: true,
            address: None,
            huge: HugePages::None,
            guard: true,
            owner: 0,
        }
    }
}

/// What a mapping of a file has besides.
///
/// ```
/// use memory_map::{FileOptions, Mapping, Options, Source};
///
/// # let path = std::env::temp_dir().join(format!("memory-map-options-{}", std::process::id()));
/// let new = FileOptions { length: Some(4096), create: Some(0o600), ..FileOptions::default() };
/// let map = Mapping::shared(Source::Path(&path), &new, &Options::default())?;
/// assert_eq!(map.len(), 4096);
/// # drop(map);
/// # std::fs::remove_file(&path).unwrap();
/// # Ok::<(), memory_map::Error>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct FileOptions {
    /// Where in the file the mapping starts, in bytes.
    pub offset: u64,
    /// How many bytes; to the end of the file where there is none.
    pub length: Option<u64>,
    /// Make the file if there is none, with these permissions, and extend it to what is mapped.
    pub create: Option<u32>,
    /// Reserve blocks on disk for the range.
    pub allocate: bool,
    /// What nobody must be able to do to the memory any more: else [`Error::NotSealed`](crate::Error::NotSealed).
    pub seals: Seals,
    /// On a Unix, close the file as soon as it is mapped: nothing can be mapped from it again, so a
    /// page that has failed stays as it is, and `resize` fails.
    pub close_file: bool,
}

/// What nobody can do to memory any more, whoever has its descriptor (fcntl(2), "File Sealing").
///
/// ```
/// use memory_map::Seals;
///
/// let all = Seals { shrink: true, grow: true, write: true };
/// assert!(all.include(Seals { shrink: true, ..Seals::default() }));
/// assert!(!Seals::default().include(all));
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Seals {
    /// Make it shorter.
    pub shrink: bool,
    /// Make it longer.
    pub grow: bool,
    /// Store to it, but through mappings that are there already.
    pub write: bool,
}

impl Seals {
    /// Whether all of `others` are among these.
    #[must_use]
    pub fn include(self, others: Self) -> bool {
        (self.shrink || !others.shrink)
            && (self.grow || !others.grow)
            && (self.write || !others.write)
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self == Self::default()
    }
}

/// What memory has besides that another process can be given.
///
/// ```
/// use memory_map::{Mapping, Options, Seals, ShareableOptions};
///
/// let seals = Seals { shrink: true, ..Seals::default() };
/// let options = ShareableOptions { seals, ..ShareableOptions::default() };
/// # if !cfg!(target_os = "linux") { return Ok(()); }
/// let map = Mapping::shareable(4096, &options, &Options::default())?;
/// assert!(map.file().unwrap().set_len(0).is_err());
/// # Ok::<(), memory_map::Error>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct ShareableOptions {
    /// Reserve memory for all of it.
    pub allocate: bool,
    /// What nobody can do to it afterwards, on Linux.
    pub seals: Seals,
}
