//! Which participants are alive, on Windows: by named events, which go with their last handle.

use std::collections::HashMap;
use std::fs::File;
use std::os::windows::io::{FromRawHandle, OwnedHandle};
use std::sync::Mutex;

use windows_sys::Win32::Foundation::{ERROR_ALREADY_EXISTS, ERROR_FILE_NOT_FOUND, GetLastError};
use windows_sys::Win32::System::Threading::{CreateEventW, EVENT_MODIFY_STATE, OpenEventW};

use crate::error::{Error, Result};
use crate::lock_anyway::LockAnyway;

/// The events of this process, by number.
pub(crate) struct Liveness(Mutex<HashMap<u64, OwnedHandle>>);

impl Liveness {
    /// The names are the same for every file: numbers are used once.
    pub fn of(_file: &File) -> Result<Self> {
        Ok(Self(Mutex::new(HashMap::new())))
    }

    /// Takes a number; `false` if it is taken.
    pub fn claim(&self, number: u64) -> Result<bool> {
        let name = name(number);
        // SAFETY: the name ends with a zero, and no security attributes are the default ones.
        let handle = unsafe { CreateEventW(std::ptr::null(), 1, 0, name.as_ptr()) };
        // SAFETY: takes nothing.
        let error = unsafe { GetLastError() };
        if handle.is_null() {
            return Err(Error::os(error as i32, "CreateEventW"));
        }
        // SAFETY: the handle was made above and is no one else's.
        let event = unsafe { OwnedHandle::from_raw_handle(handle) };
        if error == ERROR_ALREADY_EXISTS {
            return Ok(false);
        }
        self.0.lock_anyway().insert(number, event);
        Ok(true)
    }

    /// Gives a number back.
    pub fn disclaim(&self, number: u64) {
        self.0.lock_anyway().remove(&number);
    }

    /// Whether the number is in use; yes if that cannot be asked.
    pub fn is_claimed(&self, number: u64) -> bool {
        let name = name(number);
        // SAFETY: the name ends with a zero.
        let handle = unsafe { OpenEventW(EVENT_MODIFY_STATE, 0, name.as_ptr()) };
        if handle.is_null() {
            // SAFETY: takes nothing.
            return unsafe { GetLastError() } != ERROR_FILE_NOT_FOUND;
        }
        // SAFETY: the handle was opened above and is no one else's.
        drop(unsafe { OwnedHandle::from_raw_handle(handle) });
        true
    }
}

/// Sessions see each other in `Global`.
fn name(number: u64) -> Vec<u16> {
    format!("Global\\memory-map-participant-{number:016x}\0").encode_utf16().collect()
}
