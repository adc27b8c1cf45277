//! What the Unix systems besides Linux do alike.

/// Whether it is shared memory that is no file: it has no type then.
pub(crate) fn is_shared_memory(metadata: &std::fs::Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    metadata.mode() & u32::from(libc::S_IFMT) == 0
}

/// Size in bytes of a device: unknown.
pub(crate) fn device_size(_fd: std::os::fd::RawFd) -> Option<u64> {
    None
}

/// Whether the file system has files of `end` bytes: only writing there would tell.
pub(crate) fn can_have(_file: &std::fs::File, _end: u64) -> bool {
    true
}

/// Asks for the pages of a range soon; nothing says which cannot be had.
///
/// # Safety
/// The range must be mapped.
pub(crate) unsafe fn populate(start: usize, length: usize, _writable: bool) -> Result<(), i32> {
    // SAFETY: advice changes no contents; what cannot be had is an error return.
    unsafe { libc::madvise(start as *mut libc::c_void, length, libc::MADV_WILLNEED) };
    Ok(())
}
