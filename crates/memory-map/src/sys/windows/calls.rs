//! Calls that are looked up when they are first needed.

use std::ffi::c_void;
use std::sync::OnceLock;

use windows_sys::Win32::Foundation::*;
use windows_sys::Win32::System::LibraryLoader::{GetModuleHandleW, GetProcAddress};
use windows_sys::Win32::System::Memory::*;
use windows_sys::core::BOOL;

pub(super) type VirtualAlloc2 = unsafe extern "system" fn(
    HANDLE,
    *const c_void,
    usize,
    u32,
    u32,
    *mut MEM_EXTENDED_PARAMETER,
    u32,
) -> *mut c_void;
pub(super) type MapViewOfFile3 = unsafe extern "system" fn(
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
pub(super) type UnmapViewOfFile2 =
    unsafe extern "system" fn(HANDLE, MEMORY_MAPPED_VIEW_ADDRESS, u32) -> BOOL;

pub(super) type NtWriteVirtualMemory =
    unsafe extern "system" fn(HANDLE, *const c_void, *const c_void, usize, *mut usize) -> NTSTATUS;

pub(super) type NtQuerySection =
    unsafe extern "system" fn(HANDLE, i32, *mut c_void, usize, *mut usize) -> NTSTATUS;

/// Those that know placeholders, which not every system has, and two that are not in the libraries to
/// link with.
pub(super) struct Calls {
    pub placeholders: Option<Placeholders>,
    pub write: Option<NtWriteVirtualMemory>,
    pub query_section: Option<NtQuerySection>,
}

/// The calls that know placeholders.
pub(super) struct Placeholders {
    pub alloc: VirtualAlloc2,
    pub map: MapViewOfFile3,
    pub unmap: UnmapViewOfFile2,
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
pub(super) fn calls() -> &'static Calls {
    static CALLS: OnceLock<Calls> = OnceLock::new();
    CALLS.get_or_init(Calls::find)
}

pub(super) fn placeholders() -> Option<&'static Placeholders> {
    calls().placeholders.as_ref()
}

pub(super) type Function = unsafe extern "system" fn() -> isize;

/// A function of a library that is loaded, or of the program itself where `library` is null.
///
/// # Safety
/// `library` must be null or a string that ends in 0.
pub(super) unsafe fn lookup(library: *const u16, name: &std::ffi::CStr) -> Option<Function> {
    // SAFETY: the caller vouches for the string.
    let module = unsafe { GetModuleHandleW(library) };
    if module.is_null() {
        return None;
    }
    // SAFETY: the module is loaded, and `name` ends in 0.
    unsafe { GetProcAddress(module, name.as_ptr().cast()) }
}
