//! Memory that has a name, by shm_open(3) and shm_unlink(3), and what opening it and opening files have in common.

use std::fs::{File, Metadata};
use std::os::fd::OwnedFd;

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::stat::Mode;

use crate::error::{Error, Result};

/// Opens memory, or makes it where `create` holds permissions; says whether it did.
pub(super) fn open(
    name: &str,
    writable: bool,
    create: Option<u32>,
    exclusive: bool,
) -> Result<(File, bool)> {
    let flags = LARGE | NO_WAIT | if writable { OFlag::O_RDWR } else { OFlag::O_RDONLY };
    let mode = Mode::from_bits_truncate(create.unwrap_or(0) as libc::mode_t);
    // shm_open(3) sets FD_CLOEXEC by itself.
    let open = |more| nix::sys::mman::shm_open(name, flags | more, mode);
    match create {
        None => open(OFlag::empty()).map(|fd| (fd.into(), false)),
        Some(_) => open_or_make(exclusive, open),
    }
    .map_err(|error| memory_failed(error, "shm_open", name))
}

/// Takes a name away.
pub(super) fn unlink(name: &str) -> Result<()> {
    nix::sys::mman::shm_unlink(name).map_err(|error| memory_failed(error, "shm_unlink", name))
}

/// glibc calls a name that is too long invalid.
fn memory_failed(error: Errno, syscall: &'static str, name: &str) -> Error {
    const SHORT: usize = 31; // what every system takes
    match error {
        Errno::EINVAL if name.len() > SHORT => failed(Errno::ENAMETOOLONG, syscall),
        error => failed(error, syscall),
    }
}

/// For files of 2 GiB and more on 32-bit Linux, which open(2) refuses without.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) const LARGE: OFlag = OFlag::O_LARGEFILE;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(super) const LARGE: OFlag = OFlag::empty();

/// A name can be that of a FIFO, which anybody may have put there: to open it must not wait. Elsewhere names are in no folder.
#[cfg(any(target_os = "linux", target_os = "android"))]
const NO_WAIT: OFlag = OFlag::O_NONBLOCK;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const NO_WAIT: OFlag = OFlag::empty();

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
