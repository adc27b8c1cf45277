//! What the handler wakes the notifier with: an event that resets itself.

use std::ffi::c_void;
use std::ptr::{null, null_mut};
use std::sync::atomic::{AtomicPtr, Ordering};

use windows_sys::Win32::Foundation::WAIT_OBJECT_0;
use windows_sys::Win32::System::Threading::{
    CreateEventW, INFINITE, SetEvent, WaitForSingleObject,
};

/// The event, which stays as long as the process.
static WAKEUP: AtomicPtr<c_void> = AtomicPtr::new(null_mut());

/// Makes the wake-up, before anything else is done with it.
pub(crate) fn create_wakeup() -> Result<(), i32> {
    // SAFETY: without attributes and a name only numbers are passed.
    let event = unsafe { CreateEventW(null(), 0, 0, null()) };
    if event.is_null() {
        return Err(super::errno());
    }
    WAKEUP.store(event, Ordering::Release);
    Ok(())
}

/// Wakes the notifier. *handler*
pub(crate) fn send_wakeup() {
    // SAFETY: the event was made before the handler was installed, and is never closed.
    unsafe { SetEvent(WAKEUP.load(Ordering::Acquire)) };
}

/// Waits for `send_wakeup`; `Err` where that cannot be waited for.
pub(crate) fn wait_for_wakeup() -> Result<(), i32> {
    // SAFETY: the event was made before the notifier was started, and is never closed.
    match unsafe { WaitForSingleObject(WAKEUP.load(Ordering::Acquire), INFINITE) } {
        WAIT_OBJECT_0 => Ok(()),
        _ => Err(super::errno()),
    }
}
