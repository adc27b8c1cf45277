//! Names of memory that go with their last user.
//!
//! Such memory has the sticky bit, which means nothing for files, from the moment at which it is made. Each user holds
//! a shared lock of one byte far beyond its end, by the description that it has mapped: the kernel drops it with the
//! last descriptor, however the process ends. What nobody holds a lock of has no user, and its name is removed by who
//! comes next.
//!
//! - A name is removed only under the exclusive lock of the memory that it leads to, so not while it has a user.
//! - Who opens memory first looks whether somebody has it, and then takes a lock. After that the name must still lead
//!   to it: else it was removed meanwhile, and the next look finds what is there now. So two who come at the same time
//!   cannot take each other for its users.
//! - Who makes memory does the same: in the moment before it has a lock, it can be removed by others.
//! - `unlink_memory` holds a lock while it unlinks: else a name that is made again in between could be removed by
//!   somebody who has just looked where it leads.

use std::fs::{File, Metadata};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, Instant};

use super::opening::metadata_of;
use super::shm;
use crate::error::{Error, Result};
use crate::sys::byte_lock::{self, ByteLock};

/// The sticky bit (`S_ISVTX`).
const MARK: u32 = 0o1000;
/// What a user must be able to do, to find out later whether it was the last.
const OWNERS: u32 = 0o600;
/// The byte that users lock: behind those of the participants of locks (`sys/unix/liveness.rs`).
const USERS: i64 = 1 << 62;
/// Where the system has shared memory (shm_overview(7)).
pub(super) const FOLDER: &str = "/dev/shm";

/// How long to wait for somebody who is just removing the name.
const PATIENCE: Duration = Duration::from_secs(1);
const PAUSE: Duration = Duration::from_micros(50);
const STUCK: Error = Error::Busy("its name is being removed by a process that does not go on");
const LEFT_OVER: &str =
    "it has no user any more, and what is left of it is another user's, who can remove it";
const NO_LOCKS: Error = Error::Unsupported(
    "this system has no locks of open file descriptions, which temporary names need",
);

/// A name that goes with the last user of its memory.
pub(crate) struct Temporary {
    name: String,
    device: u64,
    inode: u64,
}

impl Temporary {
    /// Removes the name if nobody has the memory any more. To be called when the file was closed.
    pub fn leave(&self) {
        if leads_to(&self.name, (self.device, self.inode)) {
            let _ = remove_unused(&self.name); // or who comes next does
        }
    }
}

/// Opens memory, or makes it where `create` holds permissions, as one of its users; says whether it did.
pub(crate) fn open(
    name: &str,
    writable: bool,
    create: Option<u32>,
    exclusive: bool,
    temporary: bool,
) -> Result<(File, bool, Option<Temporary>)> {
    let create = create.map(|mode| if temporary { mode | MARK | OWNERS } else { mode & !MARK });
    patiently(|| {
        let (file, is_new) = match shm::open(name, writable, create, exclusive) {
            Err(error @ Error::Os { errno: libc::EEXIST, .. }) => {
                return if is_taken(name) { Err(error) } else { Ok(None) };
            }
            opened => opened?,
        };
        let undo = |error| {
            if is_new {
                let _ = shm::unlink(name);
            }
            error
        };
        let metadata = metadata_of(&file).map_err(undo)?;
        if !is_marked(&metadata) {
            return Ok(Some((file, is_new, None)));
        }
        if !is_new && !has_users(&file, name, create.is_some())? {
            return Ok(None);
        }
        let is_user = take(&file, ByteLock::Shared).map_err(undo)?;
        let identity = (metadata.dev(), metadata.ino());
        Ok((is_user && leads_to(name, identity)).then(|| {
            let (device, inode) = identity;
            (file, is_new, Some(Temporary { name: name.to_owned(), device, inode }))
        }))
    })?
    .ok_or(STUCK)
}

/// Whether the name leads to memory that has users, or goes with none; removes it if it has no user any more.
fn is_taken(name: &str) -> bool {
    match shm::open(name, false, None, false) {
        Err(Error::Os { errno: libc::ENOENT, .. }) => false,
        Err(_) => true,
        Ok((file, _)) => {
            let is_temporary = metadata_of(&file).is_ok_and(|metadata| is_marked(&metadata));
            !is_temporary || has_users(&file, name, true).unwrap_or(true)
        }
    }
}

/// Whether somebody uses what was opened; removes its name if nobody does.
fn has_users(file: &File, name: &str, is_made: bool) -> Result<bool> {
    match of_others(file)? {
        ByteLock::Shared => return Ok(true),
        ByteLock::Exclusive => return Ok(false),
        ByteLock::None => {}
    }
    remove_unused(name).map_err(|error| match error {
        Error::Os { errno: libc::EACCES | libc::EPERM, .. } => {
            let errno = if is_made { libc::EACCES } else { libc::ENOENT };
            Error::os_because(errno, "shm_open", LEFT_OVER)
        }
        error => error,
    })?;
    Ok(false)
}

/// Removes a temporary name if nobody has its memory.
fn remove_unused(name: &str) -> Result<()> {
    let file = match shm::open(name, true, None, false) {
        Err(Error::Os { errno: libc::ENOENT, .. }) => return Ok(()),
        opened => opened?.0,
    };
    let metadata = metadata_of(&file)?;
    let is_unused = is_marked(&metadata)
        && take(&file, ByteLock::Exclusive)?
        && leads_to(name, (metadata.dev(), metadata.ino()));
    if is_unused { shm::unlink(name) } else { Ok(()) }
}

/// Removes the names of this user's temporary memory that nobody has any more, as opening each would. Those that
/// cannot be removed stay.
///
/// ```
/// memory_map::remove_unused_memory();
/// ```
pub fn remove_unused_memory() {
    let own = nix::unistd::geteuid().as_raw();
    for entry in std::fs::read_dir(FOLDER).into_iter().flatten().flatten() {
        let metadata = entry.metadata(); // of a link itself
        if metadata.is_ok_and(|there| there.is_file() && is_marked(&there) && there.uid() == own)
            && let Ok(name) = std::str::from_utf8(entry.file_name().as_bytes())
        {
            let _ = remove_unused(&format!("/{name}"));
        }
    }
}

/// Keeps a temporary name from being removed by others, as long as the file is open; `None` for others, and where
/// the file cannot be opened.
pub(super) fn hold(name: &str) -> Option<File> {
    let (file, _) = shm::open(name, false, None, false).ok()?;
    if !metadata_of(&file).is_ok_and(|metadata| is_marked(&metadata)) {
        return None;
    }
    patiently(|| Ok(take(&file, ByteLock::Shared)?.then_some(()))).ok()?;
    Some(file)
}

/// Tries until there is something, or it takes too long.
fn patiently<T>(mut attempt: impl FnMut() -> Result<Option<T>>) -> Result<Option<T>> {
    let begin = Instant::now();
    loop {
        match attempt()? {
            None if begin.elapsed() < PATIENCE => std::thread::sleep(PAUSE),
            outcome => return Ok(outcome),
        }
    }
}

pub(super) fn is_marked(metadata: &Metadata) -> bool {
    metadata.mode() & MARK != 0
}

/// How others have locked the memory.
pub(super) fn of_others(file: &File) -> Result<ByteLock> {
    byte_lock::of_others(file, USERS).map_err(failed)
}

fn take(file: &File, lock: ByteLock) -> Result<bool> {
    byte_lock::take(file, USERS, lock).map_err(failed)
}

fn failed(errno: i32) -> Error {
    if errno == libc::EINVAL { NO_LOCKS } else { Error::os(errno, "fcntl") }
}

/// Whether the name leads to a file of that device and number.
fn leads_to(name: &str, identity: (u64, u64)) -> bool {
    let there = std::fs::symlink_metadata(format!("{FOLDER}{name}"));
    there.is_ok_and(|there| (there.dev(), there.ino()) == identity)
}
