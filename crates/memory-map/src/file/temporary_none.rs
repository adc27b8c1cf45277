//! Systems whose shared memory cannot be locked: names stay until they are unlinked.

use std::fs::File;

use super::shm;
use crate::error::{Error, Result};

const NO_LOCKS: Error = Error::Unsupported(
    "the shared memory of this system cannot be locked, so nobody knows who is its last user: unlink the name instead",
);

/// There is none.
pub(crate) struct Temporary(std::convert::Infallible);

impl Temporary {
    pub fn leave(&self) {
        match self.0 {}
    }
}

/// Opens memory, or makes it where `create` holds permissions; says whether it did.
pub(crate) fn open(
    name: &str,
    writable: bool,
    create: Option<u32>,
    exclusive: bool,
    temporary: bool,
) -> Result<(File, bool, Option<Temporary>)> {
    if temporary {
        return Err(NO_LOCKS);
    }
    let (file, is_new) = shm::open(name, writable, create, exclusive)?;
    Ok((file, is_new, None))
}

/// Removes the names of memory that go with their last user, of which there are none here.
pub fn remove_unused_memory() {}

/// Nobody else removes names.
pub(super) fn hold(_name: &str) -> Option<File> {
    None
}
