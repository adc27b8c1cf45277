//! Systems that have no list of named memory, or none for programs.

use super::memory_list::NamedMemory;
use crate::error::{Error, Result};

/// Lists the memory that has a name, which this system cannot.
///
/// # Errors
/// [`Error::Unsupported`].
pub fn list_memory() -> Result<Vec<NamedMemory>> {
    Err(Error::Unsupported("this system does not tell which names of shared memory there are"))
}
