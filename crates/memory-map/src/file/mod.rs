//! From a path or a descriptor to an open file that can be mapped, one file for each family of systems.

#[cfg_attr(unix, path = "unix.rs")]
#[cfg_attr(windows, path = "windows.rs")]
mod family;
#[cfg_attr(target_os = "linux", path = "memory_list_linux.rs")]
#[cfg_attr(not(target_os = "linux"), path = "memory_list_none.rs")]
mod list;
mod memory_list;
#[cfg(unix)]
mod opening;
#[cfg(unix)]
#[cfg_attr(target_os = "android", path = "shm_none.rs")]
mod shm;
#[cfg_attr(target_os = "linux", path = "temporary_linux.rs")]
#[cfg_attr(all(unix, not(target_os = "linux")), path = "temporary_none.rs")]
#[cfg_attr(windows, path = "temporary_windows.rs")]
mod temporary;

use std::ffi::c_int;
use std::path::Path;

pub use family::unlink_memory;
pub(crate) use family::{Made, Opened};
pub use list::list_memory;
pub use memory_list::NamedMemory;
pub(crate) use temporary::Temporary;
pub use temporary::remove_unused_memory;

/// When a file that is mapped gets its blocks on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Blocks {
    /// As its pages are stored to.
    WhenStoredTo,
    /// Before it is extended.
    Now,
    /// The same, where the file system can do that.
    NowIfPossible,
}

/// The file to map.
///
/// ```
/// use memory_map::{FileOptions, Mapping, Options, Source};
///
/// let file = std::env::current_exe().unwrap();
/// let map = Mapping::private(Source::Path(&file), &FileOptions::default(), &Options::default())?;
/// assert!(map.len() > 0);
/// # Ok::<(), memory_map::Error>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub enum Source<'a> {
    /// By path.
    Path(&'a Path),
    /// By a descriptor, which stays the caller's: on Windows one of the C runtime of the
    /// program, which must be built on libuv.
    Fd(c_int),
    /// Memory that has a name instead of a file, by that name: shm_open(3), or on Windows a section
    /// in the namespace of the session.
    Memory {
        /// Begins with a slash, and has no other.
        name: &'a str,
        /// Fail if it is there already.
        exclusive: bool,
        /// Have the name of what is made removed with its last user, however that ends: the last [`Mapping`](crate::Mapping)
        /// that was made by the name. Linux; on Windows every name goes with the last mapping, elsewhere it is
        /// [`Error::Unsupported`](crate::Error::Unsupported).
        temporary: bool,
        /// Bytes that it is made with, where it cannot become longer later: on Windows.
        length: u64,
    },
}
