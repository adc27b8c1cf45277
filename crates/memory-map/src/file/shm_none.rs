//! Android has no memory with names: neither shm_open(3) nor a folder for it.

use std::fs::File;

use crate::error::{Error, Result};

const NO_NAMES: Error = Error::Unsupported(
    "Android has no shared memory with names: map a file, or share memory without a file by its descriptor",
);

/// Opens none.
pub(super) fn open(
    _name: &str,
    _writable: bool,
    _create: Option<u32>,
    _exclusive: bool,
) -> Result<(File, bool)> {
    Err(NO_NAMES)
}

/// There is no name to take away.
pub(super) fn unlink(_name: &str) -> Result<()> {
    Err(NO_NAMES)
}
