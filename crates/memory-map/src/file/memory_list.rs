//! What is known of memory that has a name.

use std::time::SystemTime;

/// Memory that has a name; see [`list_memory`](crate::list_memory).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedMemory {
    /// Begins with a slash, as in [`Source::Memory`](crate::Source::Memory). What is not UTF-8 is replaced, and such a
    /// name cannot be opened here.
    pub name: String,
    /// Bytes that it has.
    pub length: u64,
    /// Bytes of memory that it takes.
    pub allocated: u64,
    /// Permissions, as of a file.
    pub mode: u32,
    /// The user who made it.
    pub uid: u32,
    /// When it was last written to, or made longer; stores to mapped pages are not told.
    pub modified: SystemTime,
    /// Whether the name goes with the last user.
    pub temporary: bool,
    /// Whether a process is known to use it.
    pub in_use: bool,
    /// The processes that have it mapped, of those that this one may look at.
    pub users: Vec<u32>,
}
