//! Files of a Unix: by open(2), fcntl(2) and fstat(2).

use std::fs::{File, Metadata};
use std::io::ErrorKind;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use memmap2::MmapOptions;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl, open};
use nix::sys::stat::Mode;

use super::opening::{LARGE, failed, metadata_of, open_or_make};
use super::temporary::{self, Temporary};
use super::{Blocks, Source, shm};
use crate::error::{Error, Result};
use crate::options::Seals;
use crate::sys;

/// A file that can be mapped.
pub(crate) struct Opened {
    pub file: Arc<File>,
    metadata: Metadata,
    /// Whether it is shared memory, which not every system calls a file.
    is_memory: bool,
    /// What this call has made.
    pub made: Option<Made>,
    /// The name that goes with its last user, who has this file open.
    pub temporary: Option<Temporary>,
}

/// A file, or memory, that was made with a name.
pub(crate) enum Made {
    File { path: PathBuf, device: u64, inode: u64 },
    Memory { name: String, device: u64, inode: u64 },
}

impl Made {
    /// Whether it can be removed while it is mapped.
    pub const CAN_BE_MAPPED: bool = true;

    /// Takes the name away, if it still leads to what was made.
    pub fn remove(&self) {
        let _ = match self {
            Self::Memory { name, device, inode } => shm::open(name, false, None, false)
                .and_then(|(there, _)| metadata_of(&there))
                .is_ok_and(|there| (there.dev(), there.ino()) == (*device, *inode))
                .then(|| shm::unlink(name).ok())
                .flatten(),
            Self::File { path, device, inode } => std::fs::symlink_metadata(path)
                .is_ok_and(|there| (there.dev(), there.ino()) == (*device, *inode))
                .then(|| std::fs::remove_file(path).ok())
                .flatten(),
        };
    }
}

/// Takes the name of what has just been made away, of which nothing more is known.
fn take_back(source: Source<'_>) {
    let _ = match source {
        Source::Path(path) => std::fs::remove_file(path).ok(),
        Source::Memory { name, .. } => shm::unlink(name).ok(),
        Source::Fd(_) => None,
    };
}

/// How long to wait for shared memory without a length: its maker sets one right afterwards.
const MAKING: Duration = Duration::from_millis(100);
const BEING_MADE: &str = "it has no bytes yet: whoever made it is about to give it a length, or has \
                          ended before; open it again, or with `create` and `length`";

impl Opened {
    /// Opens a path, or duplicates a descriptor; refuses at once what cannot be mapped.
    ///
    /// `create` holds the permissions of a file that is to be made where there is none.
    pub fn new(source: Source<'_>, writable: bool, create: Option<u32>) -> Result<Self> {
        let mut temporary: Option<Temporary> = None;
        let (file, is_new) = match source {
            Source::Path(path) => open_path(path, writable, create)?,
            Source::Fd(fd) => (duplicate(fd)?, false),
            Source::Memory { name, exclusive, temporary: is_temporary, .. } => {
                let opened = temporary::open(name, writable, create, exclusive, is_temporary)?;
                temporary = opened.2;
                (opened.0, opened.1)
            }
        };
        let mut metadata = metadata_of(&file).inspect_err(|_| {
            if is_new {
                take_back(source)
            }
        })?;
        refuse_unmappable(&metadata, Some(file.as_fd()))?;
        let is_memory = matches!(source, Source::Memory { .. }) || sys::is_shared_memory(&metadata);
        if let Source::Memory { length, .. } = source
            && create.is_none()
        {
            let begin = Instant::now();
            while metadata.len() == 0 && begin.elapsed() < MAKING {
                std::thread::sleep(Duration::from_micros(50));
                metadata = metadata_of(&file)?;
            }
            if metadata.len() == 0 && length == 0 {
                return Err(Error::os_because(libc::EAGAIN, "shm_open", BEING_MADE));
            }
        }
        let (device, inode) = (metadata.dev(), metadata.ino());
        let made = match source {
            Source::Path(path) if is_new => {
                Some(Made::File { path: path.to_owned(), device, inode })
            }
            Source::Memory { name, .. } if is_new => {
                Some(Made::Memory { name: name.to_owned(), device, inode })
            }
            _ => None,
        };
        Ok(Self { file: Arc::new(file), metadata, is_memory, made, temporary })
    }

    /// Says more about a refusal to map the file, opened by its path, to an `end` that it does not have yet.
    pub fn explain_end(&self, error: Error, end: u64) -> Error {
        match error {
            Error::Os { errno: libc::ENOMEM, .. } if !sys::can_have(&self.file, end) => {
                Error::os(libc::EFBIG, "fallocate")
            }
            error => error,
        }
    }

    /// A file that has been opened before.
    pub fn again(file: Arc<File>) -> Result<Self> {
        let metadata = metadata_of(&file)?;
        let is_memory = sys::is_shared_memory(&metadata);
        Ok(Self { file, metadata, is_memory, made: None, temporary: None })
    }

    /// An anonymous file of `size` bytes, of huge pages of `huge` bytes where that is given. Only a `sealable` one can be
    /// sealed.
    pub fn anonymous(size: u64, huge: Option<usize>, sealable: bool) -> Result<Self> {
        let size = huge.map_or(size, |huge| size.next_multiple_of(huge as u64));
        let file = sys::anonymous_file(huge, sealable).map_err(|error| match error {
            Errno::ENOTSUP => Error::Unsupported(
                "this system has no anonymous files: share a temporary file instead",
            ),
            error => failed(error, "memfd_create"),
        })?;
        sys::without_size_signal(|| file.set_len(size))
            .map_err(|error| Error::io(&error, "ftruncate"))?;
        let metadata = metadata_of(&file)?;
        Ok(Self { file: Arc::new(file), metadata, is_memory: true, made: None, temporary: None })
    }

    /// Seals it for good.
    pub fn seal(&self, seals: Seals) -> Result<()> {
        sys::seal(&self.file, seals).map_err(|error| match error {
            Errno::ENOTSUP | Errno::EINVAL => NO_SEALS,
            error => failed(error, "fcntl"),
        })
    }

    /// Refuses a file that lacks one of the seals.
    pub fn check_seals(&self, seals: Seals) -> Result<()> {
        if seals.is_empty() {
            return Ok(());
        }
        match sys::seals_of(&self.file) {
            Ok(there) if there.include(seals) => Ok(()),
            Ok(_) => Err(Error::NotSealed),
            Err(_) => Err(NO_SEALS),
        }
    }

    /// Whether it is a file in the narrow sense, which has a size and ends there.
    pub fn is_regular(&self) -> bool {
        self.is_memory || self.metadata.is_file()
    }

    /// Whether mapping it gives fresh zeroed memory instead of something that can be mapped again.
    pub fn is_zero_device(&self) -> bool {
        self.metadata.file_type().is_char_device() && sys::is_dev_zero(self.metadata.rdev())
    }

    /// Bytes of a page of the file where it has no other than huge ones.
    pub fn huge_pages(&self) -> Option<usize> {
        sys::huge_pages_of(&self.file, &self.metadata)
    }

    /// Size in bytes; `None` for a device that does not tell.
    pub fn size(&self) -> Option<u64> {
        if self.is_regular() {
            Some(self.metadata.len())
        } else {
            sys::device_size(self.file.as_raw_fd())
        }
    }

    pub fn identity(&self) -> sys::Identity {
        sys::Identity { device: self.metadata.dev(), inode: self.metadata.ino(), size: 0 }
    }

    /// Extends the file to `end` bytes where it is shorter, and gives blocks on disk to all bytes from
    /// `start` on as `blocks` says, before it is longer.
    ///
    /// Another process may extend it further at the same time, so no call here may set a length:
    /// one that was asked for before would cut off what is stored since. For the same reason
    /// nothing is rolled back when the disk is full.
    pub fn grow(&self, start: u64, end: u64, blocks: Blocks) -> Result<()> {
        let Some(size) = self.size().filter(|_| self.is_regular()) else { return Ok(()) };
        let allocates = match blocks {
            Blocks::WhenStoredTo => false,
            Blocks::NowIfPossible => size < end,
            Blocks::Now => true,
        };
        if allocates {
            match sys::allocate(&self.file, to_offset(size)?, to_offset(start)?, to_offset(end)?) {
                Err(error) if blocks == Blocks::Now || is_lack_of_space(error) => {
                    return Err(self.refused_to_grow(error));
                }
                _ => {}
            }
        }
        if size < end {
            let extended = sys::extend(&self.file, to_offset(end)?);
            extended.map_err(|error| self.refused_to_grow(error))?;
        }
        Ok(())
    }

    fn refused_to_grow(&self, error: Errno) -> Error {
        let is_appending = || sys::is_appending(&self.file) == Ok(true);
        match error {
            // What fallocate(2) says of a descriptor that is not open for writing, too.
            Errno::EBADF => Error::os_because(libc::EACCES, "fallocate", NOT_OPEN_FOR_IT),
            Errno::EPERM if self.is_sealed() => Error::os_because(libc::EPERM, "fallocate", SEALED),
            sys::APPENDS if is_appending() => {
                Error::os_because(sys::APPENDS as i32, "fallocate", OPEN_FOR_APPENDING)
            }
            error => failed(error, "fallocate"),
        }
    }

    /// Whether the file can be mapped at all: maps one page of it, and lets go.
    pub fn probe(&self, shared: bool) -> Result<()> {
        let mut page = MmapOptions::new();
        page.len(self.huge_pages().unwrap_or_else(sys::page_size));
        let mapped = match shared {
            true => page.map_raw_read_only(&*self.file).map(drop),
            // SAFETY: no byte of the page is looked at.
            false => unsafe { page.map_copy_read_only(&*self.file) }.map(drop),
        };
        mapped.map_err(|error| self.explain(Error::io(&error, "mmap")))
    }

    fn is_sealed(&self) -> bool {
        sys::seals_of(&self.file).is_ok_and(|seals| !seals.is_empty())
    }

    /// Says more about a refusal of mmap where the kind of file explains it.
    pub fn explain(&self, error: Error) -> Error {
        let detail = match self.metadata.file_type() {
            kind if kind.is_char_device() => "this character device cannot be mapped",
            kind if kind.is_block_device() => "this block device cannot be mapped",
            _ => {
                "this file cannot be mapped, its file system does not support it: read it with \
                 `fs.readFileSync` or as a stream; where only sharing is refused, as by FUSE with \
                 direct_io, `mapPrivate` may do"
            }
        };
        match error {
            Error::Os { errno, syscall, .. }
                if [libc::ENODEV, libc::EINVAL, libc::EIO, libc::ENXIO].contains(&errno) =>
            {
                // One code for "cannot be mapped", whatever the driver chose to answer, or the file
                // system: /proc says EIO.
                let is_argument = self.is_regular() && errno == libc::EINVAL;
                let errno = if is_argument { errno } else { libc::ENODEV };
                Error::os_because(errno, syscall, detail)
            }
            Error::Os { errno: libc::EPERM, syscall, .. } if self.is_sealed() => {
                Error::os_because(libc::EPERM, syscall, SEALED)
            }
            Error::Os { errno: libc::EACCES, syscall, .. } => {
                Error::os_because(libc::EACCES, syscall, NOT_OPEN_FOR_IT)
            }
            other => other,
        }
    }
}

const NOT_OPEN_FOR_IT: &str =
    "the file is not open for what the protection needs: reading, and for stores writing too";

const OPEN_FOR_APPENDING: &str = "a file that is open for appending cannot be made longer here: \
                                  open it with 'r+' instead of 'a+', or map it by path";

const SEALED: &str = "the memory is sealed against it";

const NO_SEALS: Error = Error::Unsupported("memory can be sealed on Linux only, from 5.1 on");

fn to_offset(bytes: u64) -> Result<sys::Offset> {
    sys::Offset::try_from(bytes).map_err(|_| Error::os(libc::EFBIG, "fallocate"))
}

fn is_lack_of_space(error: Errno) -> bool {
    matches!(error, Errno::ENOSPC | Errno::EDQUOT)
}

/// How long to wait for a lease of a file: the system takes it away within 45 seconds (lease-break-time of proc_sys_fs(5)).
const LEASE: Duration = Duration::from_secs(60);

fn open_path(path: &Path, writable: bool, create: Option<u32>) -> Result<(File, bool)> {
    // Opening a FIFO would let a waiting writer go on and then fail, so it is not even opened.
    let is_there = match std::fs::metadata(path) {
        Ok(metadata) => refuse_unmappable(&metadata, None).map(|()| true)?,
        Err(error) if error.kind() == ErrorKind::NotFound && create.is_some() => false,
        Err(error) => return Err(Error::io(&error, "open")),
    };
    // Should the path have become a FIFO or a terminal since, opening it must not wait.
    let mut flags = OFlag::O_CLOEXEC | OFlag::O_NOCTTY | OFlag::O_NONBLOCK | LARGE;
    flags |= if writable { OFlag::O_RDWR } else { OFlag::O_RDONLY };
    let mode = Mode::from_bits_truncate(create.unwrap_or(0) as libc::mode_t);
    let begin = Instant::now();
    let open = |more| loop {
        match open(path, flags | more, mode) {
            // Somebody has a lease of it, as file servers have, and is asked to give it up: see fcntl(2).
            Err(Errno::EAGAIN) if path.is_file() && begin.elapsed() < LEASE => {
                std::thread::sleep(Duration::from_millis(1));
            }
            opened => return opened,
        }
    };
    match is_there {
        // Not without O_CREAT: it may have been removed since.
        true if create.is_some() => open(OFlag::O_CREAT).map(|fd| (fd.into(), false)),
        true => open(OFlag::empty()).map(|fd| (fd.into(), false)),
        false => open_or_make(false, open),
    }
    .map_err(|error| failed(error, "open"))
}

/// Unlinks a name of shared memory: the memory is freed once no process
/// has it mapped or open.
///
/// ```
/// use memory_map::{FileOptions, Mapping, Options, Protection, Source, unlink_memory};
///
/// let name = format!("/memory-map-example-{}", std::process::id());
/// let source = Source::Memory { name: &name, exclusive: true, temporary: false, length: 4096 };
/// let file = FileOptions { length: Some(4096), create: Some(0o600), ..FileOptions::default() };
/// let options = Options { protection: Protection::ReadWrite, ..Options::default() };
/// let map = Mapping::shared(source, &file, &options)?;
/// unlink_memory(&name)?;
/// map.write(b"still there", 0)?;
/// # Ok::<(), memory_map::Error>(())
/// ```
///
/// # Errors
/// The OS's.
pub fn unlink_memory(name: &str) -> Result<()> {
    let _held = temporary::hold(name);
    shm::unlink(name)
}

fn duplicate(fd: RawFd) -> Result<File> {
    if fd < 0 {
        return Err(Error::os(libc::EBADF, "fcntl"));
    }
    // SAFETY: the descriptor is only passed on to the kernel, which answers EBADF for one that is
    // not open.
    let borrowed = unsafe { BorrowedFd::borrow_raw(fd) };
    let own = fcntl(borrowed, FcntlArg::F_DUPFD_CLOEXEC(0)).map_err(|e| failed(e, "fcntl"))?;
    // SAFETY: the kernel has just given us this descriptor, so no one else owns it.
    Ok(unsafe { std::os::fd::FromRawFd::from_raw_fd(own) })
}

/// Pipes, sockets, terminals and directories have no pages.
fn refuse_unmappable(metadata: &Metadata, fd: Option<BorrowedFd<'_>>) -> Result<()> {
    let kind = metadata.file_type();
    let detail = match kind {
        _ if kind.is_dir() => {
            return Err(Error::os_because(
                libc::EISDIR,
                "open",
                "it is a directory; map a file in it",
            ));
        }
        _ if kind.is_fifo() => "it is a pipe or FIFO, which has no pages; read it as a stream",
        _ if kind.is_socket() => "it is a socket, which has no pages; read it as a stream",
        _ if kind.is_char_device()
            && fd.is_some_and(|fd| nix::unistd::isatty(fd).unwrap_or(false)) =>
        {
            "it is a terminal, which has no pages; read it as a stream"
        }
        _ => return Ok(()),
    };
    Err(Error::os_because(libc::ENODEV, "mmap", detail))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn made(source: Source<'_>) -> Made {
        Opened::new(source, true, Some(0o600)).unwrap().made.unwrap()
    }

    #[test]
    fn a_link_to_what_was_made_is_not_removed() {
        let folder = std::env::temp_dir().join(format!("memory-map-{}-made", std::process::id()));
        std::fs::create_dir(&folder).unwrap();
        let (path, moved) = (folder.join("made"), folder.join("moved"));
        let made = made(Source::Path(&path));
        std::fs::rename(&path, &moved).unwrap();
        std::os::unix::fs::symlink(&moved, &path).unwrap();
        made.remove();
        assert!(std::fs::symlink_metadata(&path).is_ok_and(|link| link.is_symlink()));
        assert!(moved.exists());
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn who_cannot_extend_a_file_that_is_open_for_appending_is_told_how_to_open_it() {
        let path = std::env::temp_dir().join(format!("memory-map-{}-a+", std::process::id()));
        let options = std::fs::OpenOptions::new().read(true).append(true).create(true).clone();
        let file = options.open(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        let opened = Opened::new(Source::Fd(file.as_raw_fd()), true, None).unwrap();
        let refused = opened.refused_to_grow(sys::APPENDS).to_string();
        assert!(refused.ends_with(OPEN_FOR_APPENDING), "{refused}");
    }

    #[test]
    fn memory_that_took_the_name_since_is_not_removed() {
        let name = format!("/memory-map-{}-made", std::process::id());
        let source =
            || Source::Memory { name: &name, exclusive: true, temporary: false, length: 0 };
        let first = made(source());
        // So that its inode is not used again.
        let held = shm::open(&name, false, None, false).unwrap();
        unlink_memory(&name).unwrap();
        let second = made(source());
        first.remove();
        drop(held);
        assert!(shm::open(&name, false, None, false).is_ok());
        second.remove();
        assert_eq!(unlink_memory(&name).unwrap_err(), Error::os(libc::ENOENT, "shm_unlink"));
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_file_that_somebody_has_a_lease_of_is_opened_once_that_is_given_up() {
        const F_SETSIG: i32 = 10;
        let path = std::env::temp_dir().join(format!("memory-map-{}-leased", std::process::id()));
        std::fs::write(&path, "leased").unwrap();
        let file = File::options().read(true).write(true).open(&path).unwrap();
        // SAFETY: the commands take a number, and the descriptor is open.
        let control =
            |command, value: i32| unsafe { libc::fcntl(file.as_raw_fd(), command, value) };
        // A process that is asked to give a lease up gets a signal, which ends it unless it is one like this.
        assert_eq!(control(F_SETSIG, libc::SIGURG), 0);
        let is_leased = control(libc::F_SETLEASE, libc::F_WRLCK) == 0; // not every file system has them
        std::thread::scope(|scope| {
            let opening = scope.spawn(|| Opened::new(Source::Path(&path), false, None));
            while is_leased
                && !opening.is_finished()
                && control(libc::F_GETLEASE, 0) == libc::F_WRLCK
            {
                sys::yield_now();
            }
            control(libc::F_SETLEASE, libc::F_UNLCK);
            assert!(opening.join().unwrap().is_ok_and(|opened| opened.size() == Some(6)));
        });
        std::fs::remove_file(&path).unwrap();
    }
}
