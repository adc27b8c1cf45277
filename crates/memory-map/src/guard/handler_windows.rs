//! The exception handler.
//!
//! # Why this is safe
//!
//! What `handler_unix` says of the registry, the record and its lock holds here too, with these differences.
//!
//! *Which calls it makes.* VirtualQuery, VirtualAlloc, VirtualFree, VirtualProtect, the calls for
//! views and sections, GetFileSizeEx, GetFileInformationByHandle, NtQuerySection,
//! DuplicateHandle, ReadProcessMemory, NtWriteVirtualMemory, SwitchToThread and SetEvent: system calls
//! that use no heap and no lock of this process. A vectored handler is an ordinary call on the stack of the thread, below the
//! access that faulted; "last error" is put back at the end.
//!
//! *The lock.* Nothing interrupts the handler on its own thread: its code touches no page of a
//! region.
//!
//! *Pages that are being replaced* are inaccessible for a moment (see `sys`). An access then faults
//! although the pages allow it, waits for the lock and is made again.
//!
//! *Faults that are not ours* go on to the other handlers, as if this one were not there.

use std::sync::Mutex;

use windows_sys::Win32::Foundation::*;
use windows_sys::Win32::System::Diagnostics::Debug::*;

use super::decide::contain;
use super::overlay::{AccessKind, Cause};
use super::{notify, vma_reserve};
use crate::error::{Error, Result};
use crate::lock_anyway::LockAnyway;
use crate::sys;

/// Installs the handler and starts the notifier, once for the process.
pub(crate) fn install() -> Result<()> {
    static INSTALLED: Mutex<bool> = Mutex::new(false);
    let mut installed = INSTALLED.lock_anyway();
    if !*installed {
        try_install()?;
        *installed = true;
    }
    vma_reserve::refill();
    Ok(())
}

/// Handlers are a list here, and no other code removes ours.
///
/// # Errors
/// None.
pub fn reclaim_soon() -> Result<()> {
    Ok(())
}

fn try_install() -> Result<()> {
    sys::create_wakeup().map_err(|errno| Error::os(errno, "CreateEvent"))?;
    notify::start(|| {
        sys::wait_for_wakeup().map_err(|errno| Error::os(errno, "WaitForSingleObject"))
    })?;
    // First, so that a debugger's or crash reporter's handler does not end the process before.
    // SAFETY: `handler` has the right type and is never unloaded: the binding pins the library.
    if unsafe { AddVectoredExceptionHandler(1, Some(handler)) }.is_null() {
        return Err(Error::os(sys::ENOMEM, "AddVectoredExceptionHandler"));
    }
    Ok(())
}

unsafe extern "system" fn handler(pointers: *mut EXCEPTION_POINTERS) -> i32 {
    // SAFETY: the system passes valid pointers to a vectored handler.
    let record = unsafe { &*(*pointers).ExceptionRecord };
    let cause = match record.ExceptionCode {
        EXCEPTION_ACCESS_VIOLATION => Cause::Protection,
        EXCEPTION_IN_PAGE_ERROR => Cause::Backing,
        _ => return EXCEPTION_CONTINUE_SEARCH,
    };
    // The first two parameters of both, by the documentation of EXCEPTION_RECORD.
    let [access, address, ..] = record.ExceptionInformation;
    if record.NumberParameters < 2 {
        return EXCEPTION_CONTINUE_SEARCH;
    }
    let access = match access {
        0 => AccessKind::Load,
        1 => AccessKind::Store,
        _ => AccessKind::Fetch,
    };
    // SAFETY: reads a number of this thread's own.
    let error = unsafe { GetLastError() };
    let contained = contain(address, cause, access).unwrap_or(false);
    // SAFETY: sets it again.
    unsafe { SetLastError(error) };
    if contained { EXCEPTION_CONTINUE_EXECUTION } else { EXCEPTION_CONTINUE_SEARCH }
}
