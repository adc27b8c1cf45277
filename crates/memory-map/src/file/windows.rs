//! Files of Windows: handles, by path or behind a descriptor of the program's C runtime.

use std::ffi::{OsStr, c_int};
use std::fs::{File, OpenOptions};
use std::io::ErrorKind;
use std::os::windows::fs::{MetadataExt, OpenOptionsExt};
use std::os::windows::io::{AsRawHandle, BorrowedHandle};
use std::path::{Component, Path, PathBuf, Prefix};
use std::sync::Arc;

use windows_sys::Win32::Foundation::*;
use windows_sys::Win32::Storage::FileSystem::*;

#[path = "windows_section.rs"]
mod section;

use super::temporary::Temporary;
use super::{Blocks, Source};
use crate::error::{Error, Result};
use crate::options::Seals;
use crate::sys::{self, Identity};

// The system has no codes of its own for these.
const ENODEV: u32 = ERROR_BAD_DEV_TYPE;
const EISDIR: u32 = ERROR_DIRECTORY_NOT_SUPPORTED;
const NO_SEALS: Error = Error::Unsupported("memory can be sealed on Linux only");
const PIPE: &str = "it is a pipe or socket, which has no pages; read it as a stream";

/// Does nothing: the name of shared memory goes with the last mapping of it, and not before.
///
/// # Errors
/// None.
pub fn unlink_memory(_name: &str) -> Result<()> {
    Ok(())
}

/// A file that can be mapped, or a section with a name.
pub(crate) struct Opened {
    pub file: Arc<File>,
    identity: Identity,
    size: u64,
    /// What this call has made.
    pub made: Option<Made>,
    /// None.
    pub temporary: Option<Temporary>,
}

/// A file that was made at a path.
pub(crate) struct Made {
    path: PathBuf,
    identity: Identity,
}

impl Made {
    /// Whether it can be removed while it is mapped.
    pub const CAN_BE_MAPPED: bool = false;

    /// Removes the file, if it is still at its path.
    pub fn remove(&self) {
        let mut options = OpenOptions::new();
        options.access_mode(DELETE).custom_flags(FILE_FLAG_OPEN_REPARSE_POINT);
        let Ok(there) = options.open(&self.path) else { return };
        if sys::identify(sys::raw(&there)).is_some_and(|there| there.is_same(&self.identity)) {
            sys::remove(&there);
        }
    }
}

impl Opened {
    /// Opens a path, or duplicates the handle of a descriptor; refuses at once what cannot be
    /// mapped.
    ///
    /// `create` holds the permissions of a file that is to be made where there is none.
    pub fn new(source: Source<'_>, writable: bool, create: Option<u32>) -> Result<Self> {
        let (file, new) = match source {
            Source::Path(path) => {
                let (file, is_new) = open_path(path, writable, create)?;
                (file, is_new.then_some(path))
            }
            Source::Fd(fd) => (duplicate(fd)?, None),
            Source::Memory { name, exclusive, length, .. } => {
                let section = match create {
                    Some(_) => section::create(name, exclusive, length)?,
                    None => section::open(name, writable)?,
                };
                return Self::again(Arc::new(section));
            }
        };
        refuse_unmappable(&file)?;
        let opened = Self::again(Arc::new(file))?;
        let identity = opened.identity;
        let made = new.map(|path| Made { path: path.to_owned(), identity });
        Ok(Self { made, ..opened })
    }

    /// Nothing: the file has its end before it is mapped.
    pub fn explain_end(&self, error: Error, _end: u64) -> Error {
        error
    }

    /// A file that has been opened before.
    pub fn again(file: Arc<File>) -> Result<Self> {
        let identity = sys::identify(sys::raw(&file))
            .ok_or_else(|| because(ENODEV, "mmap", "this device cannot be mapped"))?;
        let size = match identity.is_section() {
            true => section::size(&file)?,
            false => identity.size,
        };
        Ok(Self { file, identity, size, made: None, temporary: None })
    }

    /// Memory that another process can be given by a descriptor, which there is not here.
    pub fn anonymous(_size: u64, _huge: Option<usize>, _sealable: bool) -> Result<Self> {
        Err(Error::Unsupported(
            "this system has no anonymous files: open shared memory by a name instead, or map a \
             temporary file shared",
        ))
    }

    /// Seals nothing, which this system does not.
    pub fn seal(&self, _seals: Seals) -> Result<()> {
        Err(NO_SEALS)
    }

    /// Refuses every file that is to have seals.
    pub fn check_seals(&self, seals: Seals) -> Result<()> {
        if seals.is_empty() { Ok(()) } else { Err(NO_SEALS) }
    }

    /// Whether it is a file in the narrow sense: nothing else can be mapped.
    pub fn is_regular(&self) -> bool {
        true
    }

    /// Whether mapping it gives fresh zeroed memory.
    pub fn is_zero_device(&self) -> bool {
        false
    }

    /// Bytes of a page of the file where it has no other than huge ones: it has.
    pub fn huge_pages(&self) -> Option<usize> {
        None
    }

    /// Size in bytes.
    pub fn size(&self) -> Option<u64> {
        Some(self.size)
    }

    pub fn identity(&self) -> Identity {
        self.identity
    }

    /// Extends the file to `end` bytes where it is shorter, with blocks on disk as `blocks` says.
    /// Sections have their memory from when they are made.
    pub fn grow(&mut self, _start: u64, end: u64, blocks: Blocks) -> Result<()> {
        if self.identity.is_section() {
            return match end > self.size {
                true => Err(Error::Unsupported(section::HAS_ITS_LENGTH)),
                false => Ok(()),
            };
        }
        if blocks == Blocks::Now {
            self.refuse_holes()?;
        }
        if self.size < end {
            // A file that is neither sparse nor compressed gets its clusters by this.
            sys::extend(&self.file, end).map_err(|errno| Error::os(errno, "ftruncate"))?;
            self.size = end;
        }
        Ok(())
    }

    /// The system reserves no clusters for the holes of a file.
    fn refuse_holes(&self) -> Result<()> {
        const HOLES: u32 = FILE_ATTRIBUTE_SPARSE_FILE | FILE_ATTRIBUTE_COMPRESSED;
        let metadata = self.file.metadata().map_err(|error| Error::io(&error, "fstat"))?;
        if metadata.file_attributes() & HOLES == 0 {
            return Ok(());
        }
        Err(Error::Unsupported("this system cannot reserve space for a sparse or compressed file"))
    }

    /// Whether a file without a size can be mapped at all: there is none here.
    pub fn probe(&self, _shared: bool) -> Result<()> {
        Ok(())
    }

    /// Says more about a refusal of the mapping where the file explains it.
    pub fn explain(&self, error: Error) -> Error {
        let Error::Os { errno, syscall, .. } = error else { return error };
        let detail = match errno as u32 {
            ERROR_ACCESS_DENIED => "the file is not open for what the protection needs",
            ERROR_INVALID_FUNCTION | ERROR_NOT_SUPPORTED | ERROR_BAD_EXE_FORMAT => {
                return because(
                    ENODEV,
                    syscall,
                    "this file cannot be mapped, its file system does not support it",
                );
            }
            ERROR_FILE_INVALID => "the size of the file changed meanwhile",
            _ => return error,
        };
        Error::os_because(errno, syscall, detail)
    }
}

fn because(code: u32, syscall: &'static str, detail: &'static str) -> Error {
    Error::os_because(code as i32, syscall, detail)
}

/// Opens a file, or makes it, and says whether it did.
fn open_path(path: &Path, writable: bool, create: Option<u32>) -> Result<(File, bool)> {
    // Opening a named pipe would let a waiting server go on and then fail, so it is not opened.
    if is_named_pipe(path) {
        return Err(because(ENODEV, "mmap", PIPE));
    }
    // CreateFile answers "access denied" for a directory.
    if path.is_dir() {
        return Err(because(EISDIR, "open", "it is a directory; map a file in it"));
    }
    let mut options = OpenOptions::new();
    // As with open(2) elsewhere, others may go on using, renaming and removing the file.
    options.read(true).share_mode(FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE);
    options.write(writable || create.is_some());
    if let Some(permissions) = create {
        const OWNER_MAY_WRITE: u32 = 0o200;
        if permissions & OWNER_MAY_WRITE == 0 {
            options.attributes(FILE_ATTRIBUTE_READONLY);
        }
    }
    // A view can have the access that its file was opened with. A user that may read a file may execute it
    // too as a rule, and nothing else depends on that.
    let access = GENERIC_READ | if writable || create.is_some() { GENERIC_WRITE } else { 0 };
    let mut open = || {
        options
            .access_mode(access | GENERIC_EXECUTE)
            .open(path)
            .or_else(|_| options.access_mode(access).open(path))
    };
    match open() {
        Err(error) if error.kind() == ErrorKind::NotFound && create.is_some() => {}
        opened => return opened.map(|file| (file, false)).map_err(|e| Error::io(&e, "open")),
    }
    options.create_new(true);
    match options.access_mode(access | GENERIC_EXECUTE).open(path) {
        Ok(file) => Ok((file, true)),
        // Another process was first.
        Err(_) => options
            .create_new(false)
            .create(true)
            .access_mode(access)
            .open(path)
            .map(|file| (file, false))
            .map_err(|error| Error::io(&error, "open")),
    }
}

/// Whether a path is `\\.\pipe\...`, of this machine or of another.
fn is_named_pipe(path: &Path) -> bool {
    let is = |name: &OsStr, what| name.eq_ignore_ascii_case(what);
    let mut components = path.components();
    let Some(Component::Prefix(prefix)) = components.next() else { return false };
    // What stands behind `\\.\UNC`, of which the standard library does not know what it means, is `\HOST\SHARE`.
    let mut share = || components.nth(2).is_some_and(|share| is(share.as_os_str(), "pipe"));
    match prefix.kind() {
        Prefix::DeviceNS(name) if is(name, "UNC") => share(),
        Prefix::UNC(name, kind) if name == "?" && is(kind, "UNC") => share(),
        Prefix::DeviceNS(name)
        | Prefix::Verbatim(name)
        | Prefix::UNC(_, name)
        | Prefix::VerbatimUNC(_, name) => is(name, "pipe"),
        _ => false,
    }
}

fn duplicate(fd: c_int) -> Result<File> {
    let Some(handle) = sys::handle_of_descriptor(fd) else {
        return Err(Error::Unsupported(
            "this program does not say which file a descriptor belongs to: map by path instead",
        ));
    };
    // uv_get_osfhandle gives what _get_osfhandle does: -1 for a descriptor that is not open, and
    // -2 for one without a file.
    if handle.is_null() || handle as isize == -1 || handle as isize == -2 {
        return Err(Error::os(ERROR_INVALID_HANDLE as i32, "fcntl"));
    }
    // SAFETY: the handle is only passed on to the system, which refuses one that is not open.
    let borrowed = unsafe { BorrowedHandle::borrow_raw(handle) };
    let own = borrowed.try_clone_to_owned().map_err(|error| Error::io(&error, "fcntl"))?;
    Ok(own.into())
}

/// Pipes, sockets, consoles and directories have no pages.
fn refuse_unmappable(file: &File) -> Result<()> {
    // SAFETY: the handle is open as long as `file`.
    let detail = match unsafe { GetFileType(file.as_raw_handle()) } {
        FILE_TYPE_DISK => {
            return if file.metadata().is_ok_and(|metadata| metadata.is_dir()) {
                Err(because(EISDIR, "open", "it is a directory; map a file in it"))
            } else {
                Ok(())
            };
        }
        FILE_TYPE_PIPE => PIPE,
        FILE_TYPE_CHAR => "it is a console or another device without pages; read it as a stream",
        _ => "this device cannot be mapped",
    };
    Err(because(ENODEV, "mmap", detail))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn named_pipes_are_known_by_every_form_of_their_path() {
        let pipes = [
            "\\\\.\\pipe\\a",
            "\\\\?\\pipe\\a",
            "\\\\host\\PIPE\\a",
            "\\\\?\\UNC\\host\\pipe\\a",
            "//./pipe/a",
            "\\\\.\\UNC\\host\\pipe\\a",
            "//./unc/host/PIPE/a",
            "//?/UNC/host/pipe/a",
        ];
        for path in pipes {
            assert!(is_named_pipe(Path::new(path)), "{path}");
        }
        for path in [
            "pipe",
            "C:\\pipe\\a",
            "\\\\host\\share\\pipe",
            "\\\\?\\UNC\\pipe\\share\\a",
            "\\\\.\\UNC\\pipe\\share\\a",
        ] {
            assert!(!is_named_pipe(Path::new(path)), "{path}");
        }
    }

    #[test]
    fn a_file_that_took_the_path_since_is_not_removed() {
        let path = std::env::temp_dir().join(format!("memory-map-made-{}", std::process::id()));
        let moved = path.with_extension("moved");
        let made = || Opened::new(Source::Path(&path), true, Some(0o666)).ok()?.made;
        let first = made();
        assert!(first.is_some() && std::fs::rename(&path, &moved).is_ok());
        let second = made();
        first.iter().for_each(Made::remove);
        assert!(path.exists() && moved.exists());
        second.iter().for_each(Made::remove);
        assert!(!path.exists());
        let _ = std::fs::remove_file(&moved);
    }

    #[test]
    fn a_file_that_was_made_read_only_is_removed() {
        let path = std::env::temp_dir().join(format!("memory-map-fixed-{}", std::process::id()));
        let opened = Opened::new(Source::Path(&path), true, Some(0o444));
        let made = opened.ok().and_then(|opened| opened.made);
        assert!(std::fs::metadata(&path).is_ok_and(|there| there.permissions().readonly()));
        made.iter().for_each(Made::remove);
        assert!(!path.exists());
    }

    #[test]
    fn what_another_process_has_added_is_not_cut_off() {
        let path = std::env::temp_dir().join(format!("memory-map-grow-{}", std::process::id()));
        let long = std::fs::write(&path, b"").and_then(|()| {
            let mut opened = Opened::new(Source::Path(&path), true, Some(0o666)).ok();
            std::fs::write(&path, [7; 100])?;
            let grown = opened.as_mut().map(|opened| opened.grow(0, 50, Blocks::WhenStoredTo));
            assert_eq!(grown, Some(Ok(())));
            std::fs::read(&path)
        });
        assert_eq!(long.ok(), Some(vec![7; 100]));
        let grown = Opened::new(Source::Path(&path), true, Some(0o666))
            .and_then(|mut opened| opened.grow(0, 200, Blocks::WhenStoredTo));
        assert_eq!(grown, Ok(()));
        assert_eq!(std::fs::metadata(&path).ok().map(|metadata| metadata.len()), Some(200));
        let _ = std::fs::remove_file(&path);
    }
}
