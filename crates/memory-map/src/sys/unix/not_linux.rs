//! What the Unix systems besides Linux do alike.

use crate::options::Seals;

/// Whether it is shared memory that is no file: it has no type then.
pub(crate) fn is_shared_memory(metadata: &std::fs::Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    metadata.mode() & u32::from(libc::S_IFMT) == 0
}

/// The page size of a file on a file system of huge pages: there is no such file system.
pub(crate) fn huge_pages_of(_file: &std::fs::File, _metadata: &std::fs::Metadata) -> Option<usize> {
    None
}

/// Size in bytes of a device: unknown.
pub(crate) fn device_size(_fd: std::os::fd::RawFd) -> Option<u64> {
    None
}

/// Whether the file system has files of `end` bytes: only writing there would tell.
pub(crate) fn can_have(_file: &std::fs::File, _end: u64) -> bool {
    true
}

/// Asks the system to bring in the pages of a range soon; it does not say which it cannot.
///
/// # Safety
/// The range must be mapped.
pub(crate) unsafe fn populate(start: usize, length: usize, _writable: bool) -> Result<(), i32> {
    // SAFETY: advice changes no contents; what cannot be had is an error return.
    unsafe { libc::madvise(start as *mut libc::c_void, length, libc::MADV_WILLNEED) };
    Ok(())
}

/// Seals nothing: these systems have none, or not all that are needed.
pub(crate) fn seal(_file: &std::fs::File, _seals: Seals) -> nix::Result<()> {
    Err(nix::errno::Errno::ENOTSUP)
}

/// As [`seal`].
pub(crate) fn seals_of(_file: &std::fs::File) -> nix::Result<Seals> {
    Err(nix::errno::Errno::ENOTSUP)
}
