//! What opening files and memory that has a name have in common.

use std::fs::{File, Metadata};
use std::os::fd::OwnedFd;

use nix::errno::Errno;
use nix::fcntl::OFlag;

use crate::error::{Error, Result};

/// For files of 2 GiB and more on 32-bit Linux, which open(2) refuses without.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) const LARGE: OFlag = OFlag::O_LARGEFILE;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(super) const LARGE: OFlag = OFlag::empty();

pub(super) fn failed(error: Errno, syscall: &'static str) -> Error {
    Error::os(error as i32, syscall)
}

pub(super) fn metadata_of(file: &File) -> Result<Metadata> {
    file.metadata().map_err(|error| Error::io(&error, "fstat"))
}

/// Opens a file, or makes it, and says whether it did. `open` is given what to do besides.
///
/// What is there is opened with O_CREAT too: the system may refuse one that another user has put into a folder for
/// all (`fs.protected_regular`, proc_sys_fs(5)). One that is removed in between is made, and not told as new.
pub(super) fn open_or_make(
    exclusive: bool,
    open: impl Fn(OFlag) -> nix::Result<OwnedFd>,
) -> nix::Result<(File, bool)> {
    match open(OFlag::O_CREAT | OFlag::O_EXCL) {
        Err(Errno::EEXIST) if !exclusive => open(OFlag::O_CREAT).map(|fd| (fd.into(), false)),
        made => made.map(|fd| (fd.into(), true)),
    }
}
