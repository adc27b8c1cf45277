//! The newest value, in three slots that are written in turn. `docs/latest.md` has the layout.
//!
//! One word has the number of the newest value, which says in which slot it is. A writer, the only
//! one, marks the slot after that as being written, writes it, and stores the number. If it dies
//! before that, the value before is still the newest. A reader copies the slot that the number names
//! and looks at the slot's mark again: it has to start over only if three values were begun meanwhile.

use super::atomic::{AtomicU64, Ordering, fence};
use super::blocks::{Blocks, copy_in, copy_out};
use crate::error::{Error, Result};

/// Where the words of the head lie, and where the slots begin.
pub(crate) mod at {
    pub const LAYOUT: usize = 0;
    pub const WRITERS: usize = 8;
    pub const CURRENT: usize = 16;
    pub const CHANGED: usize = 24;
    pub const SLOTS: usize = 64;
}

/// How many slots there are.
pub(crate) const SLOTS: usize = 3;
/// Bytes of a slot before those of its value: the value's number while it is whole, and its length.
pub(crate) const HEADER: usize = 16;

/// In the lowest bits of the first word: "L" and the version. Above them is the longest length.
const KIND: u64 = 0x4c01;
/// All numbers are smaller.
const MOST: u64 = 1 << 53;
/// How often a copy is tried. Each time the writers were faster by two values at least.
const ATTEMPTS: usize = 64;

/// The slots of values of up to `max` bytes, a multiple of eight, in `memory`.
pub(crate) struct Slots<'a, M> {
    pub memory: &'a M,
    pub max: usize,
}

impl<M: Blocks> Slots<'_, M> {
    fn word(&self, offset: usize) -> &AtomicU64 {
        self.memory.word(offset)
    }

    fn slot(&self, number: u64) -> usize {
        at::SLOTS + (number % SLOTS as u64) as usize * (HEADER + self.max)
    }

    fn layout(&self) -> u64 {
        (self.max as u64) << 16 | KIND
    }

    /// Checks that the memory has values of this length. `false` if it is still zero.
    pub fn verify(&self) -> Result<bool> {
        let layout = self.word(at::LAYOUT).load(Ordering::Acquire);
        match layout {
            0 => Ok(false),
            layout if layout == self.layout() => Ok(true),
            layout if layout & 0xffff == KIND => {
                Err(Error::Invalid("the newest value that is there has another length"))
            }
            _ => Err(Error::Invalid("there is something else than a newest value, or zeros")),
        }
    }

    /// As `verify`, and makes it so if the memory is zero.
    pub fn claim(&self) -> Result<()> {
        if !self.verify()? {
            let (order, layout) = ((Ordering::AcqRel, Ordering::Relaxed), self.layout());
            let _ = self.word(at::LAYOUT).compare_exchange(0, layout, order.0, order.1);
            self.verify()?;
        }
        Ok(())
    }

    /// The number of the newest value; 0 if there is none.
    pub fn version(&self) -> u64 {
        self.word(at::CURRENT).load(Ordering::Acquire)
    }

    /// Writes the next value; only one may at a time. `arrived` is asked before others see it.
    pub fn write(&self, bytes: &[u8], arrived: impl FnOnce() -> Result<()>) -> Result<()> {
        let number = self.word(at::CURRENT).load(Ordering::Relaxed).saturating_add(1);
        if number >= MOST {
            return Err(damaged());
        }
        let slot = self.slot(number);
        // A reader that sees this sees that the number has changed since.
        self.word(slot).store(0, Ordering::Release);
        // One that sees any of what follows sees this.
        fence(Ordering::Release);
        self.word(slot + 8).store(bytes.len() as u64, Ordering::Relaxed);
        copy_in(self.memory, slot + HEADER, bytes);
        arrived()?;
        self.word(slot).store(number, Ordering::Release);
        self.word(at::CURRENT).store(number, Ordering::Release);
        Ok(())
    }

    /// Copies the newest value to the start of `target`, unless that is too short; how long it is, or
    /// `None` if there is none yet.
    ///
    /// # Errors
    /// [`Error::Busy`] if values were written faster than one could be copied.
    pub fn read(&self, target: &mut [u8]) -> Result<Option<usize>> {
        if !self.verify()? {
            return Ok(None);
        }
        let mut before = None;
        for _ in 0..ATTEMPTS {
            let number = self.version();
            if number == 0 {
                return Ok(None);
            }
            // A slot that is not what the number says belongs to a later one by now.
            if before.replace(number) == Some(number) {
                return Err(damaged());
            }
            let slot = self.slot(number);
            if self.word(slot).load(Ordering::Acquire) != number {
                continue;
            }
            let length = self.word(slot + 8).load(Ordering::Relaxed);
            let length = usize::try_from(length).unwrap_or(usize::MAX);
            if let Some(bytes) = target.get_mut(..length).filter(|_| length <= self.max) {
                copy_out(self.memory, slot + HEADER, bytes);
            }
            // All loads above come before the one below.
            fence(Ordering::Acquire);
            if self.word(slot).load(Ordering::Acquire) != number {
                continue;
            }
            return if length <= self.max { Ok(Some(length)) } else { Err(damaged()) };
        }
        Err(Error::Busy("values are written faster than one can be copied"))
    }
}

fn damaged() -> Error {
    Error::Invalid("the newest value is damaged: something else has written to its memory")
}
