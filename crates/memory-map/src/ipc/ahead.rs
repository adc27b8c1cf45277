//! Messages that a receiver copies before their turn.
//!
//! A call of the native library takes longer than copying a short message. So one call copies what is
//! there, but gives back only the room of the first message. The others are still in the ring:
//! they are received when the tail goes past them, one by one, by a store to its lower half, which
//! JavaScript makes (`lib/sync/ahead.ts`). A receiver that dies before that has not received them.

use super::ring::Ring;
use super::shared_range::Session;
use super::shared_ring::copy_out;
use crate::error::Result;

/// What is known of a message that was copied.
///
/// ```
/// use memory_map::ipc::{Ahead, Channel};
/// use memory_map::{Mapping, Options};
///
/// let map = Mapping::anonymous(4096, true, &Options::default())?;
/// let channel = Channel::create(&map, 0, 4096)?;
/// channel.send(b"hello", None)?;
/// let mut ahead = [Ahead::default()];
/// channel.receive_ahead(&mut [0; 8], &mut ahead, None)?;
/// assert_eq!(ahead[0].end, 5);
/// # Ok::<(), memory_map::Error>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ahead {
    /// Where the copy ends.
    pub end: u32,
    /// The lower half of the tail once the message is received.
    pub tail: u32,
    /// Whether the tail passes an eighth of the ring then.
    pub passes_eighth: bool,
}

/// Copies messages that are there behind the tail to `bytes`, from `start` on, and leaves them in the ring.
/// Returns how many.
pub(crate) fn copy(
    ring: &Ring<'_, Session<'_>>,
    tail: u64,
    bytes: &mut [u8],
    mut start: usize,
    places: &mut [Ahead],
) -> Result<usize> {
    let (mut before, mut count) = (tail, 0);
    for place in places {
        let Some((part, end)) = ring.peek(before)? else { break };
        // Its lower half alone is stored.
        let is_near = end >> 32 == tail >> 32;
        start = start.next_multiple_of(8);
        let target = bytes.get_mut(start..).and_then(|bytes| bytes.get_mut(..part.length));
        let Some(target) = target.filter(|_| is_near) else { break };
        copy_out(ring, part, target)?;
        start += part.length;
        let passes_eighth = ring.passes_eighth(before, end);
        *place = Ahead { end: start as u32, tail: end as u32, passes_eighth };
        (before, count) = (end, count + 1);
    }
    Ok(count)
}
