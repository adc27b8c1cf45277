//! What the handler wakes the reporter with: an event that resets itself.

use std::ffi::c_void;
use std::ptr::{null, null_mut};
use std::sync::atomic::{AtomicPtr, Ordering};

use windows_sys::Win32::Foundation::WAIT_OBJECT_0;
use windows_sys::Win32::System::Threading::{
    CreateEventW, INFINITE, SetEvent, WaitForSingleObject,
};

/// The event, which stays as long as the process.
static BELL: AtomicPtr<c_void> = AtomicPtr::new(null_mut());

/// Makes the bell, before anything else is done with it.
pub(crate) fn create_bell() -> Result<(), i32> {
    // SAFETY: without attributes and a name only numbers are passed.
    let event = unsafe { CreateEventW(null(), 0, 0, null()) };
    if event.is_null() {
        return Err(super::errno());
    }
    BELL.store(event, Ordering::Release);
    Ok(())
}

/// Wakes the reporter. *handler*
pub(crate) fn ring_bell() {
    // SAFETY: the event was made before the handler was installed, and is never closed.
    unsafe { SetEvent(BELL.load(Ordering::Acquire)) };
}

/// Waits for `ring_bell`; `Err` where that cannot be waited for.
pub(crate) fn wait_for_bell() -> Result<(), i32> {
    // SAFETY: the event was made before the reporter was started, and is never closed.
    match unsafe { WaitForSingleObject(BELL.load(Ordering::Acquire), INFINITE) } {
        WAIT_OBJECT_0 => Ok(()),
        _ => Err(super::errno()),
    }
}
