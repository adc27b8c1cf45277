//! How much is in a ring.

use super::atomic::{Ordering, fence};
use super::ring::{COMMITTED, Memory, Ring, STATE, at};
use crate::error::Result;

impl<M: Memory> Ring<'_, M> {
    /// How many messages there are, and bytes in them, of those that are committed and were not given
    /// back; of two kinds, by what `kind` says of the offset of one: 0, 1, or another for neither. Anybody
    /// may ask, while others go on.
    pub fn pending(&self, kind: impl Fn(usize) -> usize) -> Result<[(usize, usize); 2]> {
        let (mut position, head) = self.span()?;
        let mut sums = [(0, 0); 2];
        // Each turn goes past at least one word, or to the tail, which others have moved.
        for _ in 0..=self.size / 4 {
            let Some(filled) = self.filled(position, head).filter(|filled| *filled > 0) else {
                break;
            };
            let found = self.at(position, filled);
            let which = found.as_ref().map_or(2, |found| match found.header & STATE {
                COMMITTED => kind(found.offset),
                _ => 2,
            });
            fence(Ordering::Acquire);
            let tail = self.word(at::TAIL).load(Ordering::Acquire);
            if tail != position && tail.wrapping_sub(position) < 1 << 63 {
                // It was given back: others may have stored over it before it was looked at.
                (position, sums) = (tail, [(0, 0); 2]);
                continue;
            }
            let found = found?;
            if let Some((messages, bytes)) = sums.get_mut(which) {
                (*messages, *bytes) = (*messages + 1, *bytes + found.length);
            }
            position = found.end;
        }
        Ok(sums)
    }
}
