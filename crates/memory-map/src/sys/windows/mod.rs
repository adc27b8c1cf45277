//! Windows. Calls marked *handler* are made by the exception handler too: they are system calls
//! without a lock or an allocation in this process.
//!
//! # Pages that are replaced
//!
//! What lies at an address cannot be replaced in one step here, as `MAP_FIXED` does elsewhere, nor
//! a part of a file's view by itself. A range is therefore reserved as a *placeholder* (Windows 10
//! 1803 and later; `VirtualAlloc2`), which views and memory replace and leave behind again, so that
//! the addresses are never anybody else's in between. An access in between faults, and its handler
//! waits for the lock of the region. A view that stands in none (of an older system) is not
//! replaced while it is open, and `close` has to give its addresses up and take them again.
//!
//! memmap2 makes none of these mappings: its views cannot stand in placeholders, and each keeps a
//! handle of its file until the addresses are given back, while `close` must free the file before.

mod advice;
#[path = "../futex_poll.rs"]
mod futex;
mod liveness;
#[path = "../no_vma.rs"]
mod no_vma;
mod wakeup;

pub(crate) use advice::*;
pub(crate) use futex::*;
pub(crate) use liveness::*;
pub(crate) use no_vma::*;
pub(crate) use wakeup::*;

use std::ffi::{c_int, c_void};
use std::fs::File;
use std::os::windows::io::AsRawHandle;
use std::ptr::{null, null_mut};
use std::sync::OnceLock;
use std::time::Duration;

use windows_sys::Win32::Foundation::*;
use windows_sys::Win32::Storage::FileSystem::*;
use windows_sys::Win32::System::Diagnostics::Debug::ReadProcessMemory;
use windows_sys::Win32::System::LibraryLoader::{GetModuleHandleW, GetProcAddress};
use windows_sys::Win32::System::Memory::*;
use windows_sys::Win32::System::SystemInformation::{GetSystemInfo, SYSTEM_INFO};
use windows_sys::Win32::System::Threading::{GetCurrentProcess, SwitchToThread};
use windows_sys::core::BOOL;

use crate::protection::Protection;
use crate::sys::Identity;

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

/// What names `file` in the calls of this module.
pub(crate) fn raw(file: &File) -> RawFile {
    file.as_raw_handle() as RawFile
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

/// What a page is mapped from.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Pages {
    /// Addresses without memory; `open_zeros` gives a page some, zeroed.
    Zeros,
    /// Zeroed private memory. There is no overcommitment here: `reserve` changes nothing.
    Anonymous {
        #[allow(dead_code)] // for systems that can do without
        reserve: bool,
    },
    /// A file, from an offset that is a multiple of the allocation granularity.
    File {
        fd: RawFile,
        offset: u64,
        shared: bool,
        #[allow(dead_code)] // as above
        reserve: bool,
    },
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

type VirtualAlloc2 = unsafe extern "system" fn(
    HANDLE,
    *const c_void,
    usize,
    u32,
    u32,
    *mut MEM_EXTENDED_PARAMETER,
    u32,
) -> *mut c_void;
type MapViewOfFile3 = unsafe extern "system" fn(
    HANDLE,
    HANDLE,
    *const c_void,
    u64,
    usize,
    u32,
    u32,
    *mut MEM_EXTENDED_PARAMETER,
    u32,
) -> MEMORY_MAPPED_VIEW_ADDRESS;
type UnmapViewOfFile2 = unsafe extern "system" fn(HANDLE, MEMORY_MAPPED_VIEW_ADDRESS, u32) -> BOOL;

type NtWriteVirtualMemory =
    unsafe extern "system" fn(HANDLE, *const c_void, *const c_void, usize, *mut usize) -> NTSTATUS;

type NtQuerySection =
    unsafe extern "system" fn(HANDLE, i32, *mut c_void, usize, *mut usize) -> NTSTATUS;

/// Calls that are looked up: those that know placeholders, which not every system has, and two
/// that the libraries to link with leave out.
struct Calls {
    placeholders: Option<Placeholders>,
    write: Option<NtWriteVirtualMemory>,
    query_section: Option<NtQuerySection>,
}

/// The calls that know placeholders.
struct Placeholders {
    alloc: VirtualAlloc2,
    map: MapViewOfFile3,
    unmap: UnmapViewOfFile2,
}

impl Calls {
    fn find() -> Self {
        // SAFETY: the name ends in 0.
        let find = |name| unsafe { lookup(windows_sys::w!("ntdll.dll"), name) };
        Self {
            placeholders: Placeholders::find(),
            write: find(c"NtWriteVirtualMemory").map(|function| {
                // SAFETY: the type has been this one in every version of the system.
                unsafe { std::mem::transmute::<Function, NtWriteVirtualMemory>(function) }
            }),
            query_section: find(c"NtQuerySection").map(|function| {
                // SAFETY: as above.
                unsafe { std::mem::transmute::<Function, NtQuerySection>(function) }
            }),
        }
    }
}

impl Placeholders {
    fn find() -> Option<Self> {
        // SAFETY: the name ends in 0.
        let find = |name| unsafe { lookup(windows_sys::w!("kernelbase.dll"), name) };
        let alloc = find(c"VirtualAlloc2")?;
        let map = find(c"MapViewOfFile3")?;
        let unmap = find(c"UnmapViewOfFile2")?;
        Some(Self {
            // SAFETY: the type is that of the documentation.
            alloc: unsafe { std::mem::transmute::<Function, VirtualAlloc2>(alloc) },
            // SAFETY: as above.
            map: unsafe { std::mem::transmute::<Function, MapViewOfFile3>(map) },
            // SAFETY: as above.
            unmap: unsafe { std::mem::transmute::<Function, UnmapViewOfFile2>(unmap) },
        })
    }
}

/// The calls that are looked up. The first use, which does that, is never the handler's: it comes
/// with the first mapping.
fn calls() -> &'static Calls {
    static CALLS: OnceLock<Calls> = OnceLock::new();
    CALLS.get_or_init(Calls::find)
}

fn placeholders() -> Option<&'static Placeholders> {
    calls().placeholders.as_ref()
}

type Function = unsafe extern "system" fn() -> isize;

/// A function of a library that is loaded, or of the program itself where `library` is null.
///
/// # Safety
/// `library` must be null or a string that ends in 0.
unsafe fn lookup(library: *const u16, name: &std::ffi::CStr) -> Option<Function> {
    // SAFETY: the caller vouches for the string.
    let module = unsafe { GetModuleHandleW(library) };
    if module.is_null() {
        return None;
    }
    // SAFETY: the module is loaded, and `name` ends in 0.
    unsafe { GetProcAddress(module, name.as_ptr().cast()) }
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

/// A section of a file, to make views of.
struct Section {
    handle: HANDLE,
    offset: u64,
    /// Bytes from `offset` to the end of the file; 0 where they are not known.
    bytes: u64,
    protection: u32,
}

impl Section {
    /// A section of a file for a view of `length` bytes that has `protection` or less. *handler*
    fn new(
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
    unsafe fn replace(&self, start: usize, length: usize) -> Result<(), i32> {
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
    fn view(&self, hint: usize, length: usize) -> Result<*mut u8, i32> {
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
fn duplicate(handle: HANDLE) -> Result<HANDLE, i32> {
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

/// Maps `pages` where the OS likes, at `hint` if that is not 0 and free. *handler*, without a file
///
/// `Err` holds the error number.
pub(crate) fn map(
    hint: usize,
    length: usize,
    protection: Protection,
    pages: Pages,
) -> Result<*mut u8, i32> {
    let hint = crate::sys::floor(hint, allocation_granularity());
    if hint != 0
        && let Ok(pointer) = map_at(hint, length, protection, pages)
    {
        return Ok(pointer);
    }
    map_at(0, length, protection, pages)
}

fn map_at(
    hint: usize,
    length: usize,
    protection: Protection,
    pages: Pages,
) -> Result<*mut u8, i32> {
    match pages {
        Pages::Zeros | Pages::Anonymous { .. } => {
            let pointer = reserve(hint, length)?;
            // SAFETY: the placeholder was reserved above, and nobody else knows of it.
            if let Err(errno) = unsafe { fill(pointer as usize, length, protection, pages) } {
                // SAFETY: as above.
                unsafe { unmap(pointer as usize, length) };
                return Err(errno);
            }
            Ok(pointer)
        }
        Pages::File { fd, offset, shared, .. } => {
            let section = Section::new(fd, offset, length, shared, protection)?;
            let pointer = view_in_placeholder(&section, hint, length)
                .or_else(|_| section.view(hint, length))?;
            // SAFETY: the view was made above, and nobody else knows of it.
            if let Err(errno) = unsafe { protect(pointer as usize, length, protection) } {
                // SAFETY: as above.
                unsafe { unmap(pointer as usize, length) };
                return Err(errno);
            }
            Ok(pointer)
        }
    }
}

fn view_in_placeholder(section: &Section, hint: usize, length: usize) -> Result<*mut u8, i32> {
    placeholders().ok_or(ERROR_NOT_SUPPORTED as i32)?;
    let pointer = reserve(hint, length)?;
    // SAFETY: the placeholder was reserved above, and nobody else knows of it.
    match unsafe { section.replace(pointer as usize, length) } {
        Ok(()) => Ok(pointer),
        Err(errno) => {
            // SAFETY: as above.
            unsafe { unmap(pointer as usize, length) };
            Err(errno)
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

/// Puts memory into reserved addresses, or nothing that faults (`Pages::Zeros`). *handler*
///
/// # Safety
/// The addresses must be the caller's, and reserved by `reserve` or left by `vacate`.
unsafe fn fill(
    start: usize,
    length: usize,
    protection: Protection,
    pages: Pages,
) -> Result<(), i32> {
    let at = start as *const c_void;
    let commit = if matches!(pages, Pages::Zeros) { 0 } else { MEM_COMMIT };
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
        // Wine 10 says that it has replaced a placeholder by memory where it was refused that.
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

/// Takes a view out that stands in no placeholder, and reserves its addresses anew; whether they
/// were still to be had. Another thread may be given them in between: they are its own then. `Err`
/// where the view stays.
///
/// # Safety
/// As for `map_over`, of a whole region.
pub(crate) unsafe fn give_up_and_reserve(start: usize, length: usize) -> Result<bool, i32> {
    let view = MEMORY_MAPPED_VIEW_ADDRESS { Value: start as *mut c_void };
    // SAFETY: the range is the caller's.
    check(unsafe { UnmapViewOfFile(view) })?;
    // SAFETY: the system reserves only what nobody has.
    let pointer =
        unsafe { VirtualAlloc(start as *const c_void, length, MEM_RESERVE, PAGE_READWRITE) };
    Ok(!pointer.is_null())
}

/// Replaces the pages from `start` on by `pages`: of a part of a region only memory by memory, of
/// a whole one anything by anything. *handler*
///
/// On failure the pages are as they were, or are `Pages::Zeros` (see `is_reserved`).
///
/// # Safety
/// The range must belong to a region of this crate whose lock the caller holds.
pub(crate) unsafe fn map_over(
    start: usize,
    length: usize,
    protection: Protection,
    pages: Pages,
) -> Result<(), i32> {
    match pages {
        Pages::Anonymous { .. } if query(start).is_some_and(|info| info.Type == MEM_PRIVATE) => {
            let at = start as *mut c_void;
            // SAFETY: the range is the caller's. Zeroed pages come only from giving the old ones up.
            unsafe { VirtualFree(at, length, MEM_DECOMMIT) };
            let flags = page_protection(protection, false);
            // SAFETY: as above.
            let pointer = unsafe { VirtualAlloc(at, length, MEM_COMMIT, flags) };
            if pointer.is_null() { Err(errno()) } else { Ok(()) }
        }
        Pages::Zeros if query(start).is_some_and(|info| info.Type == MEM_PRIVATE) => {
            // SAFETY: the range is the caller's.
            check(unsafe { VirtualFree(start as *mut c_void, length, MEM_DECOMMIT) })
        }
        Pages::Zeros | Pages::Anonymous { .. } => {
            // SAFETY: the caller vouches for the range.
            unsafe { vacate(start, length) }?;
            // SAFETY: as above, and it is vacant.
            unsafe { fill(start, length, Protection::ReadWrite, pages) }?;
            // SAFETY: as above.
            unsafe { protect(start, length, protection) }.or(Ok(()))
        }
        Pages::File { fd, offset, shared, .. } => {
            let section = Section::new(fd, offset, length, shared, protection)?;
            placeholders().ok_or(ERROR_NOT_SUPPORTED as i32)?;
            // SAFETY: the caller vouches for the range.
            unsafe { vacate(start, length) }?;
            // SAFETY: as above, and it is vacant.
            if let Err(errno) = unsafe { section.replace(start, length) } {
                // SAFETY: as above. Should this fail too, the addresses stay reserved all the same.
                let _ = unsafe { fill(start, length, Protection::ReadWrite, Pages::Zeros) };
                return Err(errno);
            }
            // SAFETY: the view was made above.
            unsafe { protect(start, length, protection) }
        }
    }
}

/// Not asked: `reads_are_loads` is false.
pub(crate) fn read_all(_file: &File, _bytes: &mut [u8], _offset: u64) -> bool {
    false
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

/// Lets stores into a part of a shared view, and keeps them from the file. *handler*
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

/// Gives zeroed memory to a page that has none, in a range that is `Pages::Zeros`. *handler*
///
/// # Safety
/// The range must belong to a region of this crate whose lock the caller holds.
pub(crate) unsafe fn open_zeros(start: usize, length: usize) -> Result<(), i32> {
    // SAFETY: the caller owns the range; pages that have memory keep their contents.
    let pointer =
        unsafe { VirtualAlloc(start as *const c_void, length, MEM_COMMIT, PAGE_READWRITE) };
    if pointer.is_null() { Err(errno()) } else { Ok(()) }
}

/// What a section that has a name is known by: no view of it outlives it, so it has no end.
const SECTION: Identity = Identity { device: u64::MAX, inode: 0, size: u64::MAX };

impl Identity {
    /// Whether it is memory that has a name, and no file.
    pub fn is_section(&self) -> bool {
        self.device == SECTION.device
    }
}

/// Bytes from `start` on of which the system says the same.
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

/// Lets another thread run. *handler*
pub(crate) fn yield_now() {
    // SAFETY: takes no argument and touches no memory of ours.
    unsafe { SwitchToThread() };
}

/// Whether the file system has no room: not asked, since a file here has its room before it is
/// mapped, unless it is sparse.
pub(crate) fn is_full(_fd: RawFile) -> bool {
    false
}

/// As `is_full`.
pub(crate) fn lacks_block(_fd: RawFile, _offset: u64, _length: usize) -> bool {
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
/// extends it. Setting the length would cut off what another process has added since it was asked.
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
        // A section is of no file.
        Err(error) if error.raw_os_error() == Some(EBADF) => Ok(()),
        other => other,
    }
}

/// FlushViewOfFile does not wait for the disk.
pub(crate) const MSYNC_IS_DURABLE: bool = false;

/// An access violation is never for a page that the file does not deliver.
pub(crate) const SIGNAL_TELLS_CAUSE: bool = true;

/// Copies `length` bytes at `from`, which may fault, into memory of ours; says how many arrived,
/// or `None` where that cannot be done. *handler*
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

/// Asks for the pages of a range soon; nothing says which cannot be had.
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

/// Gives memory back to the system that was freed in many small pieces: the heap does it itself.
pub fn trim_heap() {}

/// The handle behind a file descriptor of the program's C runtime, which is not this library's.
///
/// Programs built on libuv export the call that tells; `None` where this one does not.
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
