//! Windows.

use std::ffi::{CStr, c_void};
use std::fs::File;
use std::path::PathBuf;

use windows_sys::Win32::Foundation::*;
use windows_sys::Win32::System::LibraryLoader::{GetModuleHandleW, GetProcAddress};

/// The name that POSIX has for an error of GetLastError, as `'ENOENT'`.
///
/// As libuv names it, except ERROR_ACCESS_DENIED: that is EACCES here as everywhere, where libuv
/// says EPERM.
pub fn errno_name(errno: i32) -> String {
    let name = match errno as u32 {
        ERROR_FILE_NOT_FOUND
        | ERROR_PATH_NOT_FOUND
        | ERROR_INVALID_DRIVE
        | ERROR_INVALID_NAME
        | ERROR_BAD_NETPATH
        | ERROR_BAD_NET_NAME
        | ERROR_BAD_PATHNAME
        | ERROR_DIRECTORY
        | ERROR_INVALID_REPARSE_DATA
        | ERROR_MOD_NOT_FOUND => "ENOENT",
        ERROR_ACCESS_DENIED
        | ERROR_NOACCESS
        | ERROR_ELEVATION_REQUIRED
        | ERROR_CANT_ACCESS_FILE
        | ERROR_DYNAMIC_CODE_BLOCKED => "EACCES",
        ERROR_PRIVILEGE_NOT_HELD => "EPERM",
        ERROR_DIRECTORY_NOT_SUPPORTED => "EISDIR",
        ERROR_INVALID_HANDLE => "EBADF",
        ERROR_BAD_DEV_TYPE | ERROR_BAD_DEVICE | ERROR_BAD_UNIT | ERROR_DEV_NOT_EXIST => "ENODEV",
        ERROR_NOT_ENOUGH_MEMORY
        | ERROR_OUTOFMEMORY
        | ERROR_COMMITMENT_LIMIT
        | ERROR_COMMITMENT_MINIMUM
        | ERROR_NO_SYSTEM_RESOURCES
        | ERROR_WORKING_SET_QUOTA
        | ERROR_NOT_ENOUGH_QUOTA => "ENOMEM",
        ERROR_DISK_FULL | ERROR_HANDLE_DISK_FULL | ERROR_END_OF_MEDIA => "ENOSPC",
        ERROR_DISK_QUOTA_EXCEEDED => "EDQUOT",
        ERROR_INVALID_PARAMETER
        | ERROR_INVALID_DATA
        | ERROR_INVALID_ADDRESS
        | ERROR_MAPPED_ALIGNMENT
        | ERROR_FILE_INVALID
        | ERROR_INVALID_FLAGS => "EINVAL",
        ERROR_SHARING_VIOLATION
        | ERROR_LOCK_VIOLATION
        | ERROR_BUSY
        | ERROR_PIPE_BUSY
        | ERROR_USER_MAPPED_FILE
        | ERROR_DELETE_PENDING => "EBUSY",
        ERROR_FILE_EXISTS | ERROR_ALREADY_EXISTS => "EEXIST",
        ERROR_TOO_MANY_OPEN_FILES => "EMFILE",
        ERROR_FILE_TOO_LARGE => "EFBIG",
        ERROR_BUFFER_OVERFLOW | ERROR_FILENAME_EXCED_RANGE => "ENAMETOOLONG",
        ERROR_CANT_RESOLVE_FILENAME => "ELOOP",
        ERROR_WRITE_PROTECT => "EROFS",
        ERROR_NOT_SUPPORTED | ERROR_CALL_NOT_IMPLEMENTED | ERROR_INVALID_FUNCTION => "ENOTSUP",
        ERROR_SEM_TIMEOUT => "ETIMEDOUT",
        ERROR_NETNAME_DELETED => "ECONNRESET",
        ERROR_CRC
        | ERROR_DISK_CORRUPT
        | ERROR_FILE_CORRUPT
        | ERROR_GEN_FAILURE
        | ERROR_IO_DEVICE
        | ERROR_NOT_READY
        | ERROR_OPEN_FAILED
        | ERROR_SEEK
        | ERROR_READ_FAULT
        | ERROR_WRITE_FAULT
        | ERROR_DEVICE_NOT_CONNECTED => "EIO",
        _ => "UNKNOWN",
    };
    name.into()
}

/// A path that is UTF-8, as the paths of `fs` are here; what is not becomes U+FFFD, as there.
pub fn path_from_bytes(bytes: &[u8]) -> PathBuf {
    String::from_utf8_lossy(bytes).into_owned().into()
}

/// The descriptor of an open file, as Node's `fs` takes it: none, for the C runtime that hands out descriptors
/// is the program's, and does not know this file.
pub fn descriptor(_file: &File) -> Option<i32> {
    None
}

/// A function of the program, by its name.
pub fn symbol(name: &CStr) -> Option<*mut c_void> {
    // SAFETY: null stands for the program itself.
    let program = unsafe { GetModuleHandleW(std::ptr::null()) };
    // SAFETY: the module is never unloaded, and the name ends in 0.
    let function = unsafe { GetProcAddress(program, name.as_ptr().cast()) }?;
    Some(function as *mut c_void)
}
