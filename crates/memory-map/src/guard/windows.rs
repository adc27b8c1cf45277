//! The exception handler.
//!
//! # Why this is safe
//!
//! What `unix` says of the registry, the slot and its lock holds here too, with these differences.
//!
//! *Which calls it makes.* VirtualQuery, VirtualAlloc, VirtualFree, VirtualProtect, the calls for
//! views and sections, GetFileSizeEx, GetFileInformationByHandle, ReadProcessMemory,
//! WriteProcessMemory, SwitchToThread and SetEvent: system calls that use no heap and no lock of
//! this process. A vectored handler is an ordinary call on the stack of the thread, below the
//! access that faulted; "last error" is put back at the end.
//!
//! *The lock.* Nothing interrupts the handler on its own thread: its code touches no page of a
//! region.
//!
//! *Pages that are being replaced* are inaccessible for a moment (see `os`). An access then faults
//! although the pages allow it, waits for the lock and is made again.
//!
//! *Faults that are not ours* go on to the other handlers, as if this one were not there.

use std::ffi::c_void;
use std::ptr::null;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicPtr, Ordering};

use windows_sys::Win32::Foundation::*;
use windows_sys::Win32::System::Diagnostics::Debug::*;
use windows_sys::Win32::System::Threading::{
    CreateEventW, INFINITE, SetEvent, WaitForSingleObject,
};

use super::contain::Outcome;
use super::covers::{Access, Cause};
use super::{registry, reporter};
use crate::error::{Error, Result};
use crate::os;

/// The reporter's event.
static WAKE: AtomicPtr<c_void> = AtomicPtr::new(std::ptr::null_mut());

/// Installs the handler and starts the reporter, once for the process.
pub(crate) fn install() -> Result<()> {
    static INSTALLED: OnceLock<Result<()>> = OnceLock::new();
    INSTALLED.get_or_init(try_install).clone()
}

fn try_install() -> Result<()> {
    // An event that resets itself. It stays as long as the process.
    // SAFETY: without attributes and a name only numbers are passed.
    let event = unsafe { CreateEventW(null(), 0, 0, null()) };
    if event.is_null() {
        return Err(Error::os(os::errno(), "CreateEvent"));
    }
    WAKE.store(event, Ordering::Release);
    reporter::start(|| (), wait)?;
    // First, so that a debugger's or crash reporter's handler does not end the process before.
    // SAFETY: `handler` has the right type and is never unloaded: the binding pins the library.
    if unsafe { AddVectoredExceptionHandler(1, Some(handler)) }.is_null() {
        return Err(Error::os(os::ENOMEM, "AddVectoredExceptionHandler"));
    }
    Ok(())
}

/// Waits for `wake`, on the reporter's thread.
fn wait() -> Result<()> {
    // SAFETY: the event is never closed.
    match unsafe { WaitForSingleObject(WAKE.load(Ordering::Acquire), INFINITE) } {
        WAIT_OBJECT_0 => Ok(()),
        _ => Err(Error::os(os::errno(), "WaitForSingleObject")),
    }
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
        0 => Access::Load,
        1 => Access::Store,
        _ => Access::Fetch,
    };
    // SAFETY: reads a number of this thread's own.
    let error = unsafe { GetLastError() };
    let contained = contain(address, cause, access);
    // SAFETY: sets it again.
    unsafe { SetLastError(error) };
    if contained { EXCEPTION_CONTINUE_EXECUTION } else { EXCEPTION_CONTINUE_SEARCH }
}

fn contain(address: usize, cause: Cause, access: Access) -> bool {
    // A slot can be given up between the lookup and its lock, but hardly twice in a row.
    for _ in 0..16 {
        let Some(slot) = registry::find(address) else { return false };
        match slot.contain(address, cause, access) {
            Outcome::Covered => {
                if reporter::push(slot) {
                    // SAFETY: the event is never closed.
                    unsafe { SetEvent(WAKE.load(Ordering::Acquire)) };
                }
                return true;
            }
            Outcome::Retry => return true,
            Outcome::Stale => {}
            Outcome::Foreign => return false,
        }
    }
    false
}
