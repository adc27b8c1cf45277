//! Memory that has a name, on Windows: a section of the system's paging file.
//!
//! It lies in the namespace of the session, under the name that other programs call it by too: the
//! tag of a `mmap.mmap` of Python's, say. It is as long as it was made, in whole pages, and goes
//! with the last handle or view of it.

use std::fs::File;
use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle};
use std::ptr::null;

use windows_sys::Win32::Foundation::*;
use windows_sys::Win32::System::Memory::*;

use crate::error::{Error, Result};
use crate::sys;

pub(super) const HAS_ITS_LENGTH: &str = "on Windows shared memory keeps the length that it was made with: make it with a larger `length`";

/// Makes a section of `length` bytes, or opens the one that has the name.
pub(super) fn create(name: &str, exclusive: bool, length: u64) -> Result<File> {
    let (name, length) = (wide(name), length.max(1));
    let (high, low) = ((length >> 32) as u32, length as u32);
    // SAFETY: the name ends with a zero, and no security attributes are the user's default ones.
    let section = own(unsafe {
        CreateFileMappingW(INVALID_HANDLE_VALUE, null(), PAGE_READWRITE, high, low, name.as_ptr())
    })?;
    match sys::errno() as u32 {
        ERROR_ALREADY_EXISTS if exclusive => Err(failed(ERROR_ALREADY_EXISTS)),
        _ => Ok(section),
    }
}

/// Opens the section that has the name.
pub(super) fn open(name: &str, writable: bool) -> Result<File> {
    let access = if writable { FILE_MAP_READ | FILE_MAP_WRITE } else { FILE_MAP_READ };
    let name = wide(name);
    // SAFETY: the name ends with a zero.
    own(unsafe { OpenFileMappingW(access, 0, name.as_ptr()) })
}

/// Bytes of a section: whole pages.
pub(super) fn size(section: &File) -> Result<u64> {
    // SAFETY: the handle is open, and the system picks addresses that nothing uses.
    let view = unsafe { MapViewOfFile(section.as_raw_handle(), FILE_MAP_READ, 0, 0, 0) };
    if view.Value.is_null() {
        return Err(Error::os(sys::errno(), "mmap"));
    }
    let size = sys::bytes_alike(view.Value as usize);
    // SAFETY: the view was made above, and no one else knows of it.
    unsafe { UnmapViewOfFile(view) };
    Ok(size as u64)
}

/// What the handle of a section is kept in: all that is done with it is what any handle allows.
fn own(handle: HANDLE) -> Result<File> {
    if !handle.is_null() {
        // SAFETY: the handle was given to us just now, and is no one else's.
        return Ok(unsafe { OwnedHandle::from_raw_handle(handle) }.into());
    }
    Err(match sys::errno() as u32 {
        // Sections share their names with events and other objects.
        ERROR_INVALID_HANDLE => {
            let why = "another kind of object has the name";
            Error::os_because(ERROR_ALREADY_EXISTS as i32, "shm_open", why)
        }
        code => failed(code),
    })
}

fn failed(code: u32) -> Error {
    Error::os(code as i32, "shm_open")
}

/// The name in the namespace of the session; it comes with a slash in front.
fn wide(name: &str) -> Vec<u16> {
    format!("Local\\{}\0", name.trim_start_matches('/')).encode_utf16().collect()
}
