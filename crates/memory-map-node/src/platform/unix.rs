//! Unix.

use std::ffi::OsStr;
use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

/// The name of an error number, as `'ENOENT'`.
pub fn errno_name(errno: i32) -> String {
    format!("{:?}", nix::errno::Errno::from_raw(errno))
}

/// A path that is any bytes.
pub fn path_from_bytes(bytes: &[u8]) -> PathBuf {
    OsStr::from_bytes(bytes).into()
}

/// What `fs` of JavaScript knows an open file by.
pub fn descriptor(file: &File) -> Option<i32> {
    Some(file.as_raw_fd())
}
