//! Sections of files, and views of them.

use std::ffi::c_void;
use std::ptr::{null, null_mut};

use windows_sys::Win32::Foundation::*;
use windows_sys::Win32::Storage::FileSystem::*;
use windows_sys::Win32::System::Memory::*;
use windows_sys::Win32::System::Threading::GetCurrentProcess;

use super::calls::placeholders;
use super::{EINVAL, RawFile, check, errno, identify, page_protection, page_size, reserve, unmap};
use crate::protection::Protection;

/// A section of a file, to make views of.
pub(super) struct Section {
    handle: HANDLE,
    offset: u64,
    /// Bytes from `offset` to the end of the file; 0 where they are not known.
    bytes: u64,
    protection: u32,
}

impl Section {
    /// A section of a file for a view of `length` bytes that has `protection` or less. *handler*
    pub fn new(
        fd: RawFile,
        offset: u64,
        length: usize,
        shared: bool,
        protection: Protection,
    ) -> Result<Self, i32> {
        // A view grants later only what it was made with, so one without access is made readable.
        let protection = match protection {
            Protection::None | Protection::Read if shared => PAGE_READONLY,
            Protection::None | Protection::Read => PAGE_WRITECOPY,
            Protection::ReadExecute if !shared => PAGE_EXECUTE_WRITECOPY,
            other => page_protection(other, !shared),
        };
        let file = fd as HANDLE;
        if identify(fd).is_some_and(|identity| identity.is_section()) {
            return Ok(Self { handle: duplicate(file)?, offset, bytes: 0, protection });
        }
        let mut size = 0;
        // SAFETY: `size` is valid for what is written; a bad handle is an error return.
        check(unsafe { GetFileSizeEx(file, &raw mut size) })?;
        let bytes = u64::try_from(size).unwrap_or(0).saturating_sub(offset);
        // A view ends with the last page of its file.
        if bytes.next_multiple_of(page_size() as u64) < length as u64 {
            return Err(ERROR_FILE_INVALID as i32);
        }
        // SAFETY: without attributes and a name only numbers are passed.
        let handle = unsafe { CreateFileMappingW(file, null(), protection, 0, 0, null()) };
        if handle.is_null() {
            return Err(errno());
        }
        Ok(Self { handle, offset, bytes, protection })
    }

    /// `FILE_MAP_*` of the section's protection.
    fn access(&self) -> u32 {
        match self.protection {
            PAGE_READONLY => FILE_MAP_READ,
            PAGE_READWRITE => FILE_MAP_READ | FILE_MAP_WRITE,
            PAGE_WRITECOPY => FILE_MAP_COPY,
            PAGE_EXECUTE_WRITECOPY => FILE_MAP_COPY | FILE_MAP_EXECUTE,
            PAGE_EXECUTE_READ => FILE_MAP_READ | FILE_MAP_EXECUTE,
            _ => FILE_MAP_READ | FILE_MAP_WRITE | FILE_MAP_EXECUTE,
        }
    }

    /// Makes a view of `length` bytes in the placeholder at `start`, which is as long. *handler*
    ///
    /// # Safety
    /// The placeholder must be the caller's.
    pub unsafe fn replace(&self, start: usize, length: usize) -> Result<(), i32> {
        let calls = placeholders().ok_or(ERROR_NOT_SUPPORTED as i32)?;
        self.view_by(length, |size| {
            // SAFETY: the placeholder is the caller's, and only a placeholder is replaced.
            unsafe {
                (calls.map)(
                    self.handle,
                    GetCurrentProcess(),
                    start as *const c_void,
                    self.offset,
                    size,
                    MEM_REPLACE_PLACEHOLDER,
                    self.protection,
                    null_mut(),
                    0,
                )
            }
        })
        .map(drop)
    }

    /// Makes a view of `length` bytes where the system likes, at `hint` if that is not 0.
    pub fn view(&self, hint: usize, length: usize) -> Result<*mut u8, i32> {
        self.view_by(length, |size| {
            // SAFETY: the system picks addresses that nothing uses, or refuses the hint.
            unsafe {
                MapViewOfFileEx(
                    self.handle,
                    self.access(),
                    (self.offset >> 32) as u32,
                    self.offset as u32,
                    size,
                    hint as *const c_void,
                )
            }
        })
    }

    /// Makes a view of `length` bytes by a call that takes its size. *handler*
    ///
    /// The documentation wants whole pages, but a view may not be longer than its section, which
    /// need not end at a page: whichever the system takes. 0 is "to the end of the section".
    fn view_by(
        &self,
        length: usize,
        call: impl Fn(usize) -> MEMORY_MAPPED_VIEW_ADDRESS,
    ) -> Result<*mut u8, i32> {
        let rest = usize::try_from(self.bytes).unwrap_or(usize::MAX);
        let sizes = if rest < length { &[length, rest, 0][..] } else { &[length] };
        let mut failure = EINVAL;
        for &size in sizes {
            let view = call(size);
            if !view.Value.is_null() {
                return Ok(view.Value.cast());
            }
            failure = errno();
        }
        Err(failure)
    }
}

/// A second handle of what `handle` stands for. *handler*
pub(super) fn duplicate(handle: HANDLE) -> Result<HANDLE, i32> {
    let mut second = null_mut();
    // SAFETY: takes no argument.
    let process = unsafe { GetCurrentProcess() };
    // SAFETY: `second` is valid for what is written; a bad handle is an error return.
    check(unsafe {
        DuplicateHandle(process, handle, process, &raw mut second, 0, 0, DUPLICATE_SAME_ACCESS)
    })?;
    Ok(second)
}

impl Drop for Section {
    fn drop(&mut self) {
        // SAFETY: the handle is ours. A view keeps its section alive without it.
        unsafe { CloseHandle(self.handle) };
    }
}

pub(super) fn view_in_placeholder(
    section: &Section,
    hint: usize,
    length: usize,
) -> Result<*mut u8, i32> {
    placeholders().ok_or(ERROR_NOT_SUPPORTED as i32)?;
    let pointer = reserve(hint, length)?;
    // SAFETY: the placeholder was reserved above, and no one else knows of it.
    match unsafe { section.replace(pointer as usize, length) } {
        Ok(()) => Ok(pointer),
        Err(errno) => {
            // SAFETY: as above.
            unsafe { unmap(pointer as usize, length) };
            Err(errno)
        }
    }
}
