//! What the system says of files and does with them.

use std::ffi::{c_int, c_void};
use std::fs::File;
use std::mem::size_of_val;
use std::os::windows::io::AsRawHandle;
use std::ptr::{null, null_mut};
use std::time::Duration;

use windows_sys::Win32::Foundation::*;
use windows_sys::Win32::Storage::FileSystem::*;
use windows_sys::Win32::System::Memory::*;

use super::calls::{Function, calls, lookup};
use super::{EBADF, RawFile, check, errno, query};
use crate::sys::Identity;

/// Not asked: `reads_are_loads` is false.
pub(crate) fn read_all(_file: &File, _bytes: &mut [u8], _offset: u64) -> bool {
    false
}

/// What stands for a section that has a name. Its memory lasts as long as a view of it, so it has no end.
const SECTION: Identity = Identity { device: u64::MAX, inode: 0, size: u64::MAX };

impl Identity {
    /// Whether it is memory that has a name, and no file.
    pub fn is_section(&self) -> bool {
        self.device == SECTION.device
    }

    /// Whether it is the same file, whatever length that had.
    pub fn is_same(&self, other: &Self) -> bool {
        (self.device, self.inode) == (other.device, other.inode)
    }
}

/// Removes the file itself, which must be open for that; nothing where the system does not let it go.
pub(crate) fn remove(file: &File) {
    let plain = FILE_DISPOSITION_INFO { DeleteFile: true };
    let read_only = FILE_DISPOSITION_INFO_EX {
        Flags: FILE_DISPOSITION_FLAG_DELETE
            | FILE_DISPOSITION_FLAG_POSIX_SEMANTICS
            | FILE_DISPOSITION_FLAG_IGNORE_READONLY_ATTRIBUTE,
    };
    let plain = ((&raw const plain).cast(), size_of_val(&plain) as u32);
    let read_only = ((&raw const read_only).cast(), size_of_val(&read_only) as u32);
    for (kind, (info, size)) in [(FileDispositionInfo, plain), (FileDispositionInfoEx, read_only)] {
        // SAFETY: `info` is as long as said and of the kind that is asked for, and the file is open.
        if unsafe { SetFileInformationByHandle(file.as_raw_handle(), kind, info, size) } != 0 {
            return;
        }
    }
}

/// How many bytes from `start` on the system describes alike.
pub(crate) fn bytes_alike(start: usize) -> usize {
    query(start).map_or(0, |info| info.RegionSize)
}

/// Whether a handle is a section's: a file's is of another type. *handler*
fn is_section(fd: RawFile) -> bool {
    const BASIC: i32 = 0;
    let mut info = [0usize; 3];
    let Some(query) = calls().query_section else { return false };
    // SAFETY: `info` is as long as said and as what is asked for; a bad handle is an error return.
    let status = unsafe {
        query(fd as HANDLE, BASIC, info.as_mut_ptr().cast(), size_of_val(&info), null_mut())
    };
    matches!(status, STATUS_SUCCESS | STATUS_ACCESS_DENIED)
}

/// Asks what `fd` is now. *handler*
pub(crate) fn identify(fd: RawFile) -> Option<Identity> {
    let mut info = BY_HANDLE_FILE_INFORMATION::default();
    if is_section(fd) {
        return Some(SECTION);
    }
    // SAFETY: `info` is valid for what is written; a bad handle is an error return.
    check(unsafe { GetFileInformationByHandle(fd as HANDLE, &raw mut info) }).ok()?;
    let pair = |high: u32, low: u32| u64::from(high) << 32 | u64::from(low);
    Some(Identity {
        device: info.dwVolumeSerialNumber.into(),
        inode: pair(info.nFileIndexHigh, info.nFileIndexLow),
        size: pair(info.nFileSizeHigh, info.nFileSizeLow),
    })
}

/// Whether the file system has no room: not asked, since a file here has its room before it is
/// mapped, unless it is sparse.
pub(crate) fn is_full(_fd: RawFile) -> bool {
    false
}

/// As `is_full`.
pub(crate) fn lacks_block(_fd: RawFile, _offset: u64, _length: u64) -> bool {
    false
}

/// Whether a file can become shorter while it is mapped: SetEndOfFile refuses that.
pub(crate) const MAPPED_FILES_SHRINK: bool = false;

/// Writes the pages of a shared mapping to the system's cache of its file.
pub(crate) fn sync(start: usize, length: usize, _invalidate: bool) -> Result<(), i32> {
    // NTFS says now and then that a part of the file is locked while it writes it itself.
    const TRIES: u64 = 20;
    // SAFETY: flushing changes no byte that a reader could see; a bad range is an error return.
    let flush = || check(unsafe { FlushViewOfFile(start as *const c_void, length) });
    let mut flushed = flush();
    for tries in 1..TRIES {
        if flushed != Err(ERROR_LOCK_VIOLATION as i32) {
            break;
        }
        std::thread::sleep(Duration::from_millis(tries));
        flushed = flush();
    }
    match flushed {
        // Nothing is mapped there any more, after `close`.
        Err(_) if is_private(start) => Ok(()),
        other => other,
    }
}

/// Makes a file at least `size` bytes long, in one step: a section that is larger than its file
/// extends it. Setting the length would cut off what another process has added since the length was asked for.
pub(crate) fn extend(file: &File, size: u64) -> Result<(), i32> {
    let (high, low) = ((size >> 32) as u32, size as u32);
    // SAFETY: without attributes and a name only numbers are passed, and the file is open.
    let section = unsafe {
        CreateFileMappingW(file.as_raw_handle(), null(), PAGE_READWRITE, high, low, null())
    };
    if section.is_null() {
        return Err(errno());
    }
    // SAFETY: the handle was made above.
    unsafe { CloseHandle(section) };
    Ok(())
}

fn is_private(start: usize) -> bool {
    query(start).is_some_and(|info| info.Type == MEM_PRIVATE)
}

/// Makes `file` as durable as `FlushFileBuffers` does.
pub(crate) fn make_durable(file: &File) -> std::io::Result<()> {
    match file.sync_all() {
        // A handle without write access: nothing can have been stored through it.
        Err(error) if error.raw_os_error() == Some(ERROR_ACCESS_DENIED as i32) => Ok(()),
        // A section that has a name is no file.
        Err(error) if error.raw_os_error() == Some(EBADF) => Ok(()),
        other => other,
    }
}

/// FlushViewOfFile does not wait for the disk.
pub(crate) const MSYNC_IS_DURABLE: bool = false;

/// The handle behind a file descriptor of the program's C runtime, which is not this library's.
///
/// Programs built on libuv export the call that tells; `None` if this one does not.
pub(crate) fn handle_of_descriptor(fd: c_int) -> Option<HANDLE> {
    let name = c"uv_get_osfhandle";
    // SAFETY: null stands for the program itself, and the other name ends in 0.
    let function =
        unsafe { lookup(null(), name).or_else(|| lookup(windows_sys::w!("libnode.dll"), name)) }?;
    type GetHandle = unsafe extern "C" fn(c_int) -> HANDLE;
    // SAFETY: the type is that of libuv's documentation.
    let function = unsafe { std::mem::transmute::<Function, GetHandle>(function) };
    // SAFETY: a descriptor that is not open is an error return.
    Some(unsafe { function(fd) })
}
