//! What the classes behind `memory-map/sync` share.
//!
//! A timeout is in milliseconds; a negative one is for ever. Results are numbers, which `lib/sync`
//! gives names.

use std::sync::Arc;

use memory_map::Mapping;
use memory_map::ipc::Locked;

pub const TIMED_OUT: u32 = 2;

/// An object of the core's, in its mapping.
pub struct InMapping<T> {
    pub mapping: Arc<Mapping>,
    pub object: Arc<T>,
}

/// 0 acquired, 1 recovered, 2 timed out.
pub fn lock_code(result: Option<Locked>) -> u32 {
    match result {
        Some(Locked::Acquired) => 0,
        Some(Locked::Recovered) => 1,
        None => TIMED_OUT,
    }
}

/// How it was acquired, by its code.
pub fn locked(code: u32) -> Option<Locked> {
    match code {
        0 => Some(Locked::Acquired),
        1 => Some(Locked::Recovered),
        _ => None,
    }
}

/// 0 done, 2 timed out.
pub fn code(done: bool) -> u32 {
    if done { 0 } else { TIMED_OUT }
}
