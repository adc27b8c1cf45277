//! Unix.

use std::ffi::{CStr, OsStr, c_void};
use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use nix::libc;

/// The name of an error number, as `'ENOENT'`.
pub fn errno_name(errno: i32) -> String {
    format!("{:?}", nix::errno::Errno::from_raw(errno))
}

/// A path of any bytes.
pub fn path_from_bytes(bytes: &[u8]) -> PathBuf {
    OsStr::from_bytes(bytes).into()
}

/// The descriptor of an open file, as Node's `fs` takes it.
pub fn descriptor(file: &File) -> Option<i32> {
    Some(file.as_raw_fd())
}

/// A function of the program, by its name.
pub fn symbol(name: &CStr) -> Option<*mut c_void> {
    // SAFETY: the name ends in 0; RTLD_DEFAULT looks through what is loaded already.
    let address = unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) };
    (!address.is_null()).then_some(address)
}
