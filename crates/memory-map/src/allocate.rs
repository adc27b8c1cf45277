//! Memory that the system may refuse: where much is needed, that is an error, not the end of the
//! process.

use crate::error::{Error, Result};
use crate::sys;

/// An empty vector with room for `length` elements.
///
/// # Errors
/// `ENOMEM`.
pub(crate) fn with_room<T>(length: usize) -> Result<Vec<T>> {
    let mut room = Vec::new();
    room.try_reserve_exact(length).map_err(|_| Error::os(sys::ENOMEM, "malloc"))?;
    Ok(room)
}

/// A copy of `bytes`.
///
/// ```
/// assert_eq!(memory_map::copy_of(b"abc")?, b"abc");
/// # Ok::<(), memory_map::Error>(())
/// ```
///
/// # Errors
/// `ENOMEM`.
pub fn copy_of(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut copy = with_room(bytes.len())?;
    copy.extend_from_slice(bytes);
    Ok(copy)
}
