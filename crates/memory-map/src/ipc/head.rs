//! The head of a ring in memory: how one process makes it, and others find it.
//!
//! The magic number is written last, so a process that dies before that has made nothing, and the next one
//! makes all of it again. Processes that make one at the same moment take turns by a lock.

use super::atomic::Ordering;
use super::lock;
use super::park::{self, Patience, SLICE};
use super::ring::{Memory, at};
use super::spin::Spin;
use crate::error::{Error, Result};

/// Bytes of the smallest ring.
pub(crate) const SMALLEST: usize = 128;
/// Words that are zero in a new head.
const CLEARED: [usize; 5] = [at::SENDERS, at::RECEIVER, at::BEGUN, at::FILLED, at::EMPTIED];

/// What the ring is of.
pub(crate) struct Kind {
    pub magic: u64,
    pub version: u64,
    /// What is said where there is none.
    pub none: &'static str,
    /// What is said where it has another version.
    pub other_version: &'static str,
    /// What is said where its ring has a size that none has, or one that goes beyond the mapping.
    pub impossible: &'static str,
    pub short: &'static str,
}

/// The bytes of the ring, if its head is there; `None` in memory that is zero.
///
/// # Errors
/// [`Error::Invalid`] in memory that has something else.
pub(crate) fn look(memory: &impl Memory, kind: &Kind) -> Result<Option<u64>> {
    let magic = memory.word(at::MAGIC).load(Ordering::Acquire);
    let version = memory.word(at::VERSION).load(Ordering::Relaxed);
    let ring = memory.word(at::RING).load(Ordering::Relaxed);
    memory.check()?;
    match magic {
        0 => Ok(None),
        magic if magic != kind.magic => Err(Error::Invalid(kind.none)),
        _ if version != kind.version => Err(Error::Invalid(kind.other_version)),
        _ => Ok(Some(ring)),
    }
}

/// Makes a head for a ring of `ring` bytes, over whatever is there.
///
/// # Errors
/// [`Error::Busy`] if another one is being made for as long as there is patience.
pub(crate) fn make(
    memory: &impl Memory,
    kind: &Kind,
    ring: u64,
    me: u64,
    patience: &Patience<'_>,
) -> Result<()> {
    alone(memory, me, patience, || {
        store(memory, kind, ring);
        Ok(())
    })
}

/// The bytes of the ring whose head is there; if there is none, makes one of `ring` bytes.
///
/// # Errors
/// As for `look` and `make`.
pub(crate) fn look_or_make(
    memory: &impl Memory,
    kind: &Kind,
    ring: u64,
    me: u64,
    patience: &Patience<'_>,
) -> Result<u64> {
    if let Some(ring) = look(memory, kind)? {
        return Ok(ring);
    }
    alone(memory, me, patience, || {
        let found = look(memory, kind)?;
        if found.is_none() {
            store(memory, kind, ring);
        }
        Ok(found.unwrap_or(ring))
    })
}

/// Waits until a head is there; `false` if the time is up first.
///
/// # Errors
/// As for `look`; [`Error::Cancelled`].
pub(crate) fn wait(memory: &impl Memory, kind: &Kind, patience: &Patience<'_>) -> Result<bool> {
    while look(memory, kind)?.is_none() {
        if patience.is_over()? {
            return Ok(false);
        }
        park::sleep(memory.word(at::MAGIC), 0, SLICE, patience)?;
    }
    Ok(true)
}

fn alone<T>(
    memory: &impl Memory,
    me: u64,
    patience: &Patience<'_>,
    work: impl FnOnce() -> Result<T>,
) -> Result<T> {
    let maker = memory.word(at::MAKER);
    if lock::lock(maker, me, &Spin::new(), patience, memory)?.is_none() {
        return Err(Error::Busy("another process has begun to make it, and does not get on"));
    }
    let lost = || Error::Invalid("something else has written to its memory");
    lock::unlock_after(maker, me, work(), lost)
}

fn store(memory: &impl Memory, kind: &Kind, ring: u64) {
    // Opening it now finds none. Users of what was here before must see that this is another one.
    memory.word(at::MAGIC).store(0, Ordering::SeqCst);
    let before = memory.word(at::HEAD).load(Ordering::Relaxed) % (1 << 62);
    let start = (before & !7) + 2 * ring;
    for word in CLEARED {
        memory.word(word).store(0, Ordering::Relaxed);
    }
    memory.word(at::VERSION).store(kind.version, Ordering::Relaxed);
    memory.word(at::RING).store(ring, Ordering::Relaxed);
    for position in [at::HEAD, at::TAIL] {
        memory.word(position).store(start, Ordering::Relaxed);
    }
    memory.word(at::MAGIC).store(kind.magic, Ordering::Release);
    park::wake(memory.word(at::MAGIC), u32::MAX);
}
