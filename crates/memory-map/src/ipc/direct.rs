//! Words of shared memory that are changed without a call of this crate: by JavaScript's atomics.
//!
//! The words and what is done to them stay those of `lock`, `semaphore` and `ring`; only the simplest
//! steps are taken there, each of one atomic operation. How such code learns whether its step has
//! reached the memory: `guard/changes.rs`.

use super::shared_range::{Mark, SharedRange};
use crate::error::Result;
use crate::mapping::Mapping;

/// Makes sure that the `length` bytes at `offset` are in place; `None` if the guard does not contain faults
/// of others there.
///
/// If it returns the same twice, all that was stored in between has reached the memory.
///
/// ```
/// use memory_map::ipc::mark;
/// use memory_map::{Mapping, Options};
///
/// let map = Mapping::anonymous(4096, true, &Options::default())?;
/// let before = mark(&map, 0, 8)?;
/// map.write(&[1; 8], 0)?;
/// assert_eq!(mark(&map, 0, 8)?, before); // no fault meanwhile
/// # Ok::<(), memory_map::Error>(())
/// ```
///
/// # Errors
/// As for [`crate::ipc::Semaphore::new`]; [`crate::Error::Fault`] if they were overlaid and cannot be put back.
pub fn mark(mapping: &Mapping, offset: usize, length: usize) -> Result<Option<Mark>> {
    let range = SharedRange::new(mapping, offset, length, 8)?;
    let place = range.place();
    let words = place.enter()?;
    let mark = words.mark();
    words.check()?;
    Ok(place.is_guarded().then_some(mark))
}
