//! How much is in a ring.

use super::atomic::{Ordering, fence};
use super::ring::{COMMITTED, Memory, Ring, STATE, at};
use crate::error::Result;

impl<M: Memory> Ring<'_, M> {
    /// How many messages there are that were committed and not given back, and how many bytes are in them, for
    /// two kinds of messages. `kind` is given a message's offset, and returns 0 or 1, or another number to leave
    /// it out. Anybody may ask, while others go on.
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
                // It was given back, and others may have stored over it before we looked.
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
