//! Permits that are taken and given back, by any process.

use std::sync::Arc;

use super::atomic::{AtomicU64, Ordering};
use super::eventcount;
use super::park::{self, Patience, SLICE};
use super::shared_range::SharedRange;
use super::spin::Spin;
use crate::error::{Error, Result};
use crate::mapping::Mapping;

/// A count of permits in 16 bytes of shared memory, which are zero before it is used first.
///
/// It does not know which process took a permit: those of one that dies are lost.
///
/// ```
/// use memory_map::ipc::{Semaphore};
/// use memory_map::{Mapping, Options};
///
/// let map = Mapping::anonymous(4096, true, &Options::default())?;
/// let semaphore = Semaphore::new(&map, 0, Some(1))?;
/// assert!(semaphore.try_acquire()?);
/// assert!(!semaphore.try_acquire()?);
/// semaphore.release(1)?;
/// # Ok::<(), memory_map::Error>(())
/// ```
pub struct Semaphore {
    range: Arc<SharedRange>,
    spin: Spin,
}

/// Where the words are: permits plus one (0: never used), and an eventcount.
const PERMITS: usize = 0;
const RELEASED: usize = 8;

impl Semaphore {
    /// Bytes that a semaphore takes.
    pub const SIZE: usize = 16;
    /// How many permits there may be.
    pub const MAX: u32 = i32::MAX as u32;

    /// The semaphore at `offset`, which must be a multiple of eight in memory; the first to use it
    /// sets its permits.
    ///
    /// # Errors
    /// [`Error::NotShared`], [`Error::NotWritable`], [`Error::OutOfRange`], [`Error::Closed`].
    pub fn new(mapping: &Mapping, offset: usize, initial: Option<u32>) -> Result<Self> {
        if initial.is_some_and(|permits| permits > Self::MAX) {
            return Err(too_many());
        }
        let range = SharedRange::new(mapping, offset, Self::SIZE, 8)?.following(mapping);
        if let Some(permits) = initial {
            let (new, order) = (u64::from(permits) + 1, Ordering::SeqCst);
            range.run(|words| {
                let _ = words.word(PERMITS).compare_exchange(0, new, order, order);
                Ok(())
            })?;
        }
        Ok(Self { range, spin: Spin::new() })
    }

    /// Waits for a permit and takes it; `false` if the time is up first.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use memory_map::ipc::{Patience, Semaphore};
    /// use memory_map::{Mapping, Options};
    ///
    /// let map = Mapping::anonymous(4096, true, &Options::default())?;
    /// let semaphore = Semaphore::new(&map, 0, Some(1))?;
    /// assert!(semaphore.acquire(&Patience::FOREVER)?);
    /// assert!(!semaphore.acquire(&Patience::of(Duration::from_millis(1)))?);
    /// # Ok::<(), memory_map::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Fault`], [`Error::Closed`], [`Error::Cancelled`].
    pub fn acquire(&self, patience: &Patience<'_>) -> Result<bool> {
        self.range.run(|words| {
            let (permits, event) = (words.word(PERMITS), words.word(RELEASED));
            if take(permits).is_some() {
                return Ok(true);
            }
            words.check()?;
            if patience.is_over()? {
                return Ok(false); // it will not sleep, so `release` need not wake it
            }
            if self.spin.until(|| take(permits)).is_some() {
                return Ok(true);
            }
            loop {
                let value = eventcount::prepare(event);
                if take(permits).is_some() {
                    return Ok(true);
                }
                words.check()?;
                if patience.is_over()? {
                    return Ok(false);
                }
                park::sleep(event, value, SLICE, patience)?;
            }
        })
    }

    /// Takes a permit if there is one.
    ///
    /// # Errors
    /// [`Error::Fault`], [`Error::Closed`].
    pub fn try_acquire(&self) -> Result<bool> {
        self.range.run(|words| Ok(take(words.word(PERMITS)).is_some()))
    }

    /// Gives permits back, or new ones.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] if there would be more than [`Semaphore::MAX`]; [`Error::Fault`],
    /// [`Error::Closed`].
    pub fn release(&self, count: u32) -> Result<()> {
        self.range.run(|words| {
            let word = words.word(PERMITS);
            let mut seen = word.load(Ordering::Relaxed);
            loop {
                let new = seen.max(1).saturating_add(u64::from(count));
                if new > u64::from(Self::MAX) + 1 {
                    return Err(too_many());
                }
                match word.compare_exchange_weak(seen, new, Ordering::SeqCst, Ordering::Relaxed) {
                    Ok(_) => break,
                    Err(now) => seen = now,
                }
            }
            eventcount::signal(words.word(RELEASED));
            Ok(())
        })
    }
}

fn take(permits: &AtomicU64) -> Option<()> {
    let mut seen = permits.load(Ordering::Relaxed);
    while seen > 1 {
        match permits.compare_exchange_weak(seen, seen - 1, Ordering::SeqCst, Ordering::Relaxed) {
            Ok(_) => return Some(()),
            Err(now) => seen = now,
        }
    }
    None
}

fn too_many() -> Error {
    Error::OutOfRange { name: "count", requirement: "at most 2147483647 permits in all" }
}
