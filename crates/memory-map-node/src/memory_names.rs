//! The names of shared memory.

use std::time::SystemTime;

use memory_map::NamedMemory;
use napi_derive::napi;

use crate::error::Outcome;

/// Removes the name of shared memory.
#[napi]
pub fn unlink_shared_memory(name: String) -> Outcome<()> {
    Outcome(memory_map::unlink_memory(&name))
}

/// Removes the names of temporary shared memory that has no user any more.
#[napi]
pub fn remove_unused_shared_memory() {
    memory_map::remove_unused_memory();
}

/// Shared memory. Its name begins with a slash.
#[napi(object, object_from_js = false)]
pub struct NativeNamedMemory {
    pub name: String,
    pub length: f64,
    pub allocated: f64,
    pub mode: u32,
    pub uid: u32,
    /// In milliseconds since 1970.
    pub modified: f64,
    pub temporary: bool,
    pub in_use: bool,
    pub users: Vec<u32>,
}

impl From<NamedMemory> for NativeNamedMemory {
    fn from(memory: NamedMemory) -> Self {
        let since = memory.modified.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Self {
            name: memory.name,
            length: memory.length as f64,
            allocated: memory.allocated as f64,
            mode: memory.mode,
            uid: memory.uid,
            modified: since.as_secs_f64() * 1000.0,
            temporary: memory.temporary,
            in_use: memory.in_use,
            users: memory.users,
        }
    }
}

/// Lists the shared memory that has a name.
#[napi(ts_return_type = "Outcome<NativeNamedMemory[]>")]
pub fn list_shared_memory() -> Outcome<Vec<NativeNamedMemory>> {
    Outcome(memory_map::list_memory().map(|list| list.into_iter().map(Into::into).collect()))
}
