//! Windows. Calls marked *handler* are made by the exception handler too: they are system calls
//! without a lock or an allocation in this process.
//!
//! # Pages that are replaced
//!
//! What lies at an address cannot be replaced in one step here, as `MAP_FIXED` does elsewhere, nor
//! a part of a file's view by itself. A range is therefore reserved as a *placeholder* (Windows 10
//! 1803 and later; `VirtualAlloc2`), which views and memory replace and leave behind again, so that
//! no one else can get the addresses in between. An access in between faults, and its handler
//! waits for the lock of the region. A view that stands in none (on an older system) is not
//! replaced while it is open, and `close` has to give its addresses up and take them again.
//!
//! memmap2 makes none of these mappings: its views cannot stand in placeholders, and each keeps a
//! handle of its file until the addresses are given back, while `close` must free the file before that.

mod advice;
mod calls;
mod file;
#[path = "../futex_poll.rs"]
mod futex;
mod liveness;
#[path = "../no_futex_ring.rs"]
mod no_futex_ring;
#[path = "../no_holes.rs"]
mod no_holes;
#[path = "../no_vma.rs"]
mod no_vma;
mod section;
mod wakeup;

pub(crate) use advice::*;
pub(crate) use file::*;
pub(crate) use futex::*;
pub(crate) use liveness::*;
pub(crate) use no_futex_ring::*;
pub(crate) use no_holes::*;
pub(crate) use no_vma::*;
pub(crate) use wakeup::*;

use std::ffi::c_void;
use std::fs::File;
use std::os::windows::io::AsRawHandle;
use std::ptr::null_mut;
use std::sync::OnceLock;

use windows_sys::Win32::Foundation::*;
use windows_sys::Win32::System::Diagnostics::Debug::ReadProcessMemory;
use windows_sys::Win32::System::Memory::*;
use windows_sys::Win32::System::SystemInformation::{GetSystemInfo, SYSTEM_INFO};
use windows_sys::Win32::System::Threading::{GetCurrentProcess, SwitchToThread};

use self::calls::{calls, placeholders};
use self::section::{Section, view_in_placeholder};
use crate::protection::Protection;
use crate::sys::Backing;

pub(crate) const EACCES: i32 = ERROR_ACCESS_DENIED as i32;
pub(crate) const EBADF: i32 = ERROR_INVALID_HANDLE as i32;
pub(crate) const EINVAL: i32 = ERROR_INVALID_PARAMETER as i32;
const ENOTSUP: i32 = ERROR_NOT_SUPPORTED as i32;
pub(crate) const ENOENT: i32 = ERROR_FILE_NOT_FOUND as i32;
pub(crate) const ENOSPC: i32 = ERROR_DISK_FULL as i32;
pub(crate) const ENOMEM: i32 = ERROR_NOT_ENOUGH_MEMORY as i32;

/// How the system names an open file, or memory that has a name: a `HANDLE`, as a number that any
/// thread may hold.
pub(crate) type RawFile = isize;

/// Files stay open: a process can have millions of handles.
pub(crate) const NO_FILE: Option<RawFile> = None;

/// What names `file` in the calls of this module.
pub(crate) fn raw(file: &File) -> RawFile {
    file.as_raw_handle() as RawFile
}

/// How many bytes of address space the process may use: as many as there are.
pub(crate) fn most_addresses() -> usize {
    usize::MAX
}

struct Sizes {
    page: usize,
    granularity: usize,
}

fn sizes() -> &'static Sizes {
    static SIZES: OnceLock<Sizes> = OnceLock::new();
    SIZES.get_or_init(|| {
        let mut info = SYSTEM_INFO::default();
        // SAFETY: `info` is valid for the structure that is filled.
        unsafe { GetSystemInfo(&raw mut info) };
        Sizes { page: info.dwPageSize as usize, granularity: info.dwAllocationGranularity as usize }
    })
}

/// Bytes of one page.
pub fn page_size() -> usize {
    sizes().page
}

/// What the start of a mapping is a multiple of.
///
/// ```
/// use memory_map::{allocation_granularity, page_size};
///
/// assert_eq!(allocation_granularity() % page_size(), 0);
/// ```
pub fn allocation_granularity() -> usize {
    sizes().granularity
}

/// The error number of the last failed call of this thread.
pub(crate) fn errno() -> i32 {
    // SAFETY: reads a number of this thread's own.
    unsafe { GetLastError() as i32 }
}

fn check(result: i32) -> Result<(), i32> {
    if result == 0 { Err(errno()) } else { Ok(()) }
}

/// `PAGE_*` constant of a protection; with `copies` stores are kept from the file.
fn page_protection(protection: Protection, copies: bool) -> u32 {
    match protection {
        Protection::None => PAGE_NOACCESS,
        Protection::Read => PAGE_READONLY,
        Protection::ReadWrite if copies => PAGE_WRITECOPY,
        Protection::ReadWrite => PAGE_READWRITE,
        Protection::ReadExecute => PAGE_EXECUTE_READ,
        Protection::ReadWriteExecute if copies => PAGE_EXECUTE_WRITECOPY,
        Protection::ReadWriteExecute => PAGE_EXECUTE_READWRITE,
    }
}

/// What the system says about a page. *handler*
fn query(address: usize) -> Option<MEMORY_BASIC_INFORMATION> {
    let mut info = MEMORY_BASIC_INFORMATION::default();
    let size = size_of::<MEMORY_BASIC_INFORMATION>();
    // SAFETY: `info` is valid for `size` bytes; any address may be asked about.
    let filled = unsafe { VirtualQuery(address as *const c_void, &raw mut info, size) };
    (filled == size).then_some(info)
}

/// Whether the pages from `start` on are addresses without memory. *handler*
pub(crate) fn is_reserved(start: usize) -> bool {
    query(start).is_some_and(|info| info.State == MEM_RESERVE)
}

/// Whether the page at `start` has memory. *handler*
fn is_committed(start: usize) -> bool {
    query(start).is_some_and(|info| info.State == MEM_COMMIT)
}

/// Maps `backing` where the OS likes, at `hint` if that is not 0 and free. *handler* where there is no file
///
/// `Err` holds the error number.
pub(crate) fn map(
    hint: usize,
    length: usize,
    protection: Protection,
    backing: Backing,
) -> Result<*mut u8, i32> {
    let hint = crate::sys::floor(hint, allocation_granularity());
    if hint != 0
        && let Ok(pointer) = map_at(hint, length, protection, backing)
    {
        return Ok(pointer);
    }
    map_at(0, length, protection, backing)
}

fn map_at(
    hint: usize,
    length: usize,
    protection: Protection,
    backing: Backing,
) -> Result<*mut u8, i32> {
    match backing {
        Backing::Zeros | Backing::Memory { .. } => {
            let pointer = reserve(hint, length)?;
            // SAFETY: the placeholder was reserved above, and no one else knows of it.
            if let Err(errno) = unsafe { fill(pointer as usize, length, protection, backing) } {
                // SAFETY: as above.
                unsafe { unmap(pointer as usize, length) };
                return Err(errno);
            }
            Ok(pointer)
        }
        Backing::File { fd, offset, shared, .. } => {
            let section = Section::new(fd, offset, length, shared, protection)?;
            let pointer = view_in_placeholder(&section, hint, length)
                .or_else(|_| section.view(hint, length))?;
            // SAFETY: the view was made above, and no one else knows of it.
            if let Err(errno) = unsafe { protect(pointer as usize, length, protection) } {
                // SAFETY: as above.
                unsafe { unmap(pointer as usize, length) };
                return Err(errno);
            }
            Ok(pointer)
        }
    }
}

/// Reserves addresses: a placeholder, where the system has them. *handler*
fn reserve(hint: usize, length: usize) -> Result<*mut u8, i32> {
    let at = hint as *const c_void;
    // SAFETY: the system picks addresses that nothing uses, or refuses the hint.
    let pointer = unsafe {
        match placeholders() {
            Some(calls) => (calls.alloc)(
                GetCurrentProcess(),
                at,
                length,
                MEM_RESERVE | MEM_RESERVE_PLACEHOLDER,
                PAGE_NOACCESS,
                null_mut(),
                0,
            ),
            None => VirtualAlloc(at, length, MEM_RESERVE, PAGE_READWRITE),
        }
    };
    match errno() {
        _ if !pointer.is_null() => Ok(pointer.cast()),
        // More than there are addresses.
        EINVAL if hint == 0 => Err(ENOMEM),
        errno => Err(errno),
    }
}

/// Puts memory at reserved addresses; for `Backing::Zeros` none, so that accesses fault. *handler*
///
/// # Safety
/// The addresses must be the caller's, and reserved by `reserve` or left by `vacate`.
unsafe fn fill(
    start: usize,
    length: usize,
    protection: Protection,
    backing: Backing,
) -> Result<(), i32> {
    let at = start as *const c_void;
    let commit = if matches!(backing, Backing::Zeros) { 0 } else { MEM_COMMIT };
    let flags = page_protection(protection, false);
    // SAFETY: the range is the caller's, and holds nothing.
    let pointer = unsafe {
        match placeholders() {
            Some(calls) => (calls.alloc)(
                GetCurrentProcess(),
                at,
                length,
                MEM_RESERVE | commit | MEM_REPLACE_PLACEHOLDER,
                flags,
                null_mut(),
                0,
            ),
            None if commit == 0 => return Ok(()),
            None => VirtualAlloc(at, length, commit, flags),
        }
    };
    match errno() {
        errno if pointer.is_null() => Err(errno),
        // Wine 10 claims to have replaced a placeholder by memory even where the host refused the memory.
        _ if commit != 0 && !is_committed(start) => Err(ENOMEM),
        _ => Ok(()),
    }
}

/// Leaves only reserved addresses of a whole region; fails where a view stands in no placeholder.
/// *handler*
///
/// # Safety
/// The range must be a whole region of this crate, whose lock the caller holds.
unsafe fn vacate(start: usize, length: usize) -> Result<(), i32> {
    let address = start as *mut c_void;
    let is_view = query(start).ok_or(EINVAL)?.Type == MEM_MAPPED;
    match placeholders() {
        Some(calls) if is_view => {
            let view = MEMORY_MAPPED_VIEW_ADDRESS { Value: address };
            // SAFETY: the range is the caller's.
            check(unsafe { (calls.unmap)(GetCurrentProcess(), view, MEM_PRESERVE_PLACEHOLDER) })
        }
        Some(_) => {
            // SAFETY: the range is the caller's. Where this fails it is a placeholder already.
            unsafe { VirtualFree(address, length, MEM_RELEASE | MEM_PRESERVE_PLACEHOLDER) };
            Ok(())
        }
        None if is_view => Err(ERROR_NOT_SUPPORTED as i32),
        // SAFETY: the range is the caller's.
        None => check(unsafe { VirtualFree(address, length, MEM_DECOMMIT) }),
    }
}

/// Takes out a view that stands in no placeholder, and reserves its addresses again. Returns `false` if
/// another thread was given them in between; `Err` if the view stays.
///
/// # Safety
/// As for `map_over`, of a whole region.
pub(crate) unsafe fn give_up_and_reserve(start: usize, length: usize) -> Result<bool, i32> {
    let view = MEMORY_MAPPED_VIEW_ADDRESS { Value: start as *mut c_void };
    // SAFETY: the range is the caller's.
    check(unsafe { UnmapViewOfFile(view) })?;
    // SAFETY: the system reserves only addresses that are free.
    let pointer =
        unsafe { VirtualAlloc(start as *const c_void, length, MEM_RESERVE, PAGE_READWRITE) };
    Ok(!pointer.is_null())
}

/// Replaces the pages from `start` on by `backing`: of a part of a region only memory by memory, of
/// a whole one anything by anything. *handler*
///
/// On failure the pages are as they were, or are `Backing::Zeros` (see `is_reserved`).
///
/// # Safety
/// The range must belong to a region of this crate whose lock the caller holds.
pub(crate) unsafe fn map_over(
    start: usize,
    length: usize,
    protection: Protection,
    backing: Backing,
) -> Result<(), i32> {
    match backing {
        Backing::Memory { .. } if query(start).is_some_and(|info| info.Type == MEM_PRIVATE) => {
            let at = start as *mut c_void;
            // SAFETY: the range is the caller's. Zeroed pages come only from giving the old ones up.
            unsafe { VirtualFree(at, length, MEM_DECOMMIT) };
            let flags = page_protection(protection, false);
            // SAFETY: as above.
            let pointer = unsafe { VirtualAlloc(at, length, MEM_COMMIT, flags) };
            if pointer.is_null() { Err(errno()) } else { Ok(()) }
        }
        Backing::Zeros if query(start).is_some_and(|info| info.Type == MEM_PRIVATE) => {
            // SAFETY: the range is the caller's.
            check(unsafe { VirtualFree(start as *mut c_void, length, MEM_DECOMMIT) })
        }
        Backing::Zeros | Backing::Memory { .. } => {
            // SAFETY: the caller vouches for the range.
            unsafe { vacate(start, length) }?;
            // SAFETY: as above, and it is vacant.
            unsafe { fill(start, length, Protection::ReadWrite, backing) }?;
            // SAFETY: as above.
            unsafe { protect(start, length, protection) }.or(Ok(()))
        }
        Backing::File { fd, offset, shared, .. } => {
            let section = Section::new(fd, offset, length, shared, protection)?;
            placeholders().ok_or(ERROR_NOT_SUPPORTED as i32)?;
            // SAFETY: the caller vouches for the range.
            unsafe { vacate(start, length) }?;
            // SAFETY: as above, and it is vacant.
            if let Err(errno) = unsafe { section.replace(start, length) } {
                // SAFETY: as above. Should this fail too, the addresses stay reserved all the same.
                let _ = unsafe { fill(start, length, Protection::ReadWrite, Backing::Zeros) };
                return Err(errno);
            }
            // SAFETY: the view was made above.
            unsafe { protect(start, length, protection) }
        }
    }
}

/// Whether one call can unmap what was mapped with several.
pub(crate) const UNMAPS_NEIGHBOURS: bool = false;

/// Gives a range back to the OS, which always takes it. *handler*
///
/// # Safety
/// Nothing may be able to reach the range any more.
pub(crate) unsafe fn unmap(start: usize, _length: usize) -> bool {
    let address = start as *mut c_void;
    if query(start).is_some_and(|info| info.Type == MEM_MAPPED) {
        // SAFETY: the caller guarantees that the range is ours and unreachable.
        unsafe { UnmapViewOfFile(MEMORY_MAPPED_VIEW_ADDRESS { Value: address }) };
    } else {
        // SAFETY: as above.
        unsafe { VirtualFree(address, 0, MEM_RELEASE) };
    }
    true
}

/// Changes the protection of a range. *handler*
///
/// # Safety
/// The range must belong to a region of this crate whose lock the caller holds.
pub(crate) unsafe fn protect(
    start: usize,
    length: usize,
    protection: Protection,
) -> Result<(), i32> {
    const COPIES: u32 = PAGE_WRITECOPY | PAGE_EXECUTE_WRITECOPY;
    let copies = protection.writable()
        && query(start).is_some_and(|info| info.AllocationProtect & COPIES != 0);
    // SAFETY: the caller owns the range.
    unsafe { set_protection(start, length, page_protection(protection, copies)) }
}

/// Allows stores to a part of a shared view, without letting them reach the file. *handler*
///
/// # Safety
/// As for `protect`.
pub(crate) unsafe fn divert_stores(
    start: usize,
    length: usize,
    executable: bool,
) -> Result<(), i32> {
    let flags = if executable { PAGE_EXECUTE_WRITECOPY } else { PAGE_WRITECOPY };
    // SAFETY: the caller owns the range.
    unsafe { set_protection(start, length, flags) }
}

unsafe fn set_protection(start: usize, length: usize, flags: u32) -> Result<(), i32> {
    let mut old = 0;
    // SAFETY: the caller owns the range; `old` is valid for what is written.
    let status = unsafe { VirtualProtect(start as *const c_void, length, flags, &raw mut old) };
    check(status)
}

/// Gives zeroed memory to pages that have none, in a range that is `Backing::Zeros`. *handler*
///
/// # Safety
/// The range must belong to a region of this crate whose lock the caller holds.
pub(crate) unsafe fn commit_zeros(start: usize, length: usize) -> Result<(), i32> {
    // SAFETY: the caller owns the range; pages that have memory keep their contents.
    let pointer =
        unsafe { VirtualAlloc(start as *const c_void, length, MEM_COMMIT, PAGE_READWRITE) };
    if pointer.is_null() { Err(errno()) } else { Ok(()) }
}

/// Lets another thread run. *handler*
pub(crate) fn yield_now() {
    // SAFETY: takes no argument and touches no memory of ours.
    unsafe { SwitchToThread() };
}

/// A page that the file does not deliver is never an access violation.
pub(crate) const SIGNAL_TELLS_CAUSE: bool = true;

/// Copies `length` bytes at `from`, which may fault, into memory of ours; says how many arrived.
/// *handler*
///
/// # Safety
/// `to` must be writable for `length` bytes.
pub(crate) unsafe fn peek(from: usize, to: *mut u8, length: usize) -> Option<usize> {
    let mut copied = 0;
    // SAFETY: the system checks both ranges; the caller vouches for `to`.
    unsafe {
        ReadProcessMemory(
            GetCurrentProcess(),
            from as *const c_void,
            to.cast(),
            length,
            &raw mut copied,
        )
    };
    Some(copied)
}

/// Copies `length` bytes of ours to `to`, which may fault; says how many arrived. *handler*
///
/// # Safety
/// `from` must be readable for `length` bytes, and `to` lie in a region whose lock is held.
pub(crate) unsafe fn poke(from: *const u8, to: usize, length: usize) -> usize {
    let mut copied = 0;
    // WriteProcessMemory would change the protection of the pages for a moment, to one that a
    // copy-on-write view does not allow.
    let Some(write) = calls().write else { return 0 };
    // SAFETY: as in `peek`, with the roles changed.
    unsafe {
        write(GetCurrentProcess(), to as *const c_void, from.cast(), length, &raw mut copied)
    };
    copied
}

/// Asks the system to bring in the pages of a range soon; it does not say which it cannot.
///
/// # Safety
/// The range must be mapped.
pub(crate) unsafe fn populate(start: usize, length: usize, _writable: bool) -> Result<(), i32> {
    let range =
        WIN32_MEMORY_RANGE_ENTRY { VirtualAddress: start as *mut c_void, NumberOfBytes: length };
    // SAFETY: prefetching changes no contents; what cannot be had is an error return.
    unsafe { PrefetchVirtualMemory(GetCurrentProcess(), 1, &raw const range, 0) };
    Ok(())
}

/// Gives memory that was freed in many small pieces back to the system: the heap does it by itself.
pub fn trim_heap() {}

/// Threads have no signals.
pub(crate) fn block_signals() {}
