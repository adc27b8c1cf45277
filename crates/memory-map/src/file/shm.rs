//! Memory that has a name, by shm_open(3) and shm_unlink(3).

use std::fs::File;

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::stat::Mode;

use super::opening::{LARGE, failed, open_or_make};
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

/// A name can be that of a FIFO, which anybody may have put there: to open it must not wait. Elsewhere names are in no folder.
#[cfg(target_os = "linux")]
const NO_WAIT: OFlag = OFlag::O_NONBLOCK;
#[cfg(not(target_os = "linux"))]
const NO_WAIT: OFlag = OFlag::empty();
