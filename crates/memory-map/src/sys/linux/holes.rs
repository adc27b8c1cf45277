//! Where a file has holes.

use std::fs::File;
use std::os::fd::AsRawFd;

use nix::errno::Errno;

#[cfg(target_env = "musl")]
use libc::lseek as lseek64;
#[cfg(not(target_env = "musl"))]
use libc::lseek64;

use super::Offset;

/// A descriptor to look for the holes of a file with: to look moves the position of all that share one. There is none
/// without /proc; and none on FUSE, whose server may not know yet what was stored through mappings.
pub(crate) struct Holes(Option<File>);

impl Holes {
    pub fn of(file: &File) -> Self {
        const FUSE_SUPER_MAGIC: u32 = 0x6573_5546;
        #[allow(clippy::unnecessary_cast)] // the type differs from one C library to another
        let is_known = nix::sys::statfs::fstatfs(file)
            .is_ok_and(|system| system.filesystem_type().0 as u32 != FUSE_SUPER_MAGIC);
        let again = || File::open(format!("/proc/self/fd/{}", file.as_raw_fd())).ok();
        Self(is_known.then(again).flatten())
    }

    /// The first place from `at` on that may be in no hole; `None` if nothing but a hole follows.
    pub fn skip(&self, at: u64) -> Option<u64> {
        let (Some(file), Ok(offset)) = (&self.0, Offset::try_from(at)) else { return Some(at) };
        // SAFETY: the call has no pointers, and the descriptor is open.
        match Errno::result(unsafe { lseek64(file.as_raw_fd(), offset, libc::SEEK_DATA) }) {
            Ok(data) => u64::try_from(data).ok(),
            Err(Errno::ENXIO) => None,
            Err(_) => Some(at),
        }
    }
}
