//! An event that has happened or not, and that any process waits for.

use std::sync::Arc;

use super::flag;
use super::park::Patience;
use super::shared_range::{SharedRange, Words};
use super::spin::Spin;
use crate::error::Result;
use crate::mapping::Mapping;

/// A flag of eight bytes in shared memory, which are zero before it is used first.
///
/// A wait that began before it was set ends, even if it is cleared at once. A process that is killed
/// leaves nothing behind in it.
///
/// ```
/// use memory_map::ipc::{Event, Patience};
/// use memory_map::{Mapping, Options};
///
/// let map = Mapping::anonymous(4096, true, &Options::default())?;
/// let event = Event::new(&map, 0)?;
/// assert!(!event.is_set()?);
/// event.set()?;
/// assert!(event.wait(&Patience::FOREVER)?);
/// # Ok::<(), memory_map::Error>(())
/// ```
pub struct Event {
    range: Arc<SharedRange>,
    spin: Spin,
}

/// When a wait began.
///
/// ```
/// use memory_map::ipc::{Event, Patience};
/// use memory_map::{Mapping, Options};
///
/// let map = Mapping::anonymous(4096, true, &Options::default())?;
/// let event = Event::new(&map, 0)?;
/// let began = event.begin()?;
/// event.set()?;
/// event.clear()?;
/// assert!(event.wait_since(began, &Patience::FOREVER)?);
/// # Ok::<(), memory_map::Error>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Began(u64);

impl Event {
    /// Bytes that an event takes.
    pub const SIZE: usize = 8;

    /// The event at `offset`, which must be a multiple of eight in memory.
    ///
    /// # Errors
    /// [`Error::NotShared`](crate::Error::NotShared), [`Error::NotWritable`](crate::Error::NotWritable),
    /// [`Error::OutOfRange`](crate::Error::OutOfRange), [`Error::Closed`](crate::Error::Closed).
    pub fn new(mapping: &Mapping, offset: usize) -> Result<Self> {
        let range = SharedRange::new(mapping, offset, Self::SIZE, 8)?.following(mapping);
        Ok(Self { range, spin: Spin::new() })
    }

    /// Whether it is set.
    ///
    /// # Errors
    /// [`Error::Fault`](crate::Error::Fault), [`Error::Closed`](crate::Error::Closed).
    pub fn is_set(&self) -> Result<bool> {
        self.range.run(|words| Ok(flag::is_set(words.word(0))))
    }

    /// Sets it and wakes all who wait.
    ///
    /// # Errors
    /// As for [`Event::is_set`].
    pub fn set(&self) -> Result<()> {
        self.range.run(|words| {
            flag::set(words.word(0));
            Ok(())
        })
    }

    /// Has it not set any more.
    ///
    /// # Errors
    /// As for [`Event::is_set`].
    pub fn clear(&self) -> Result<()> {
        self.range.run(|words| {
            flag::clear(words.word(0));
            Ok(())
        })
    }

    /// Waits until it is set, or was since the wait began; `false` if the time is up first.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use memory_map::ipc::{Event, Patience};
    /// use memory_map::{Mapping, Options};
    ///
    /// let map = Mapping::anonymous(4096, true, &Options::default())?;
    /// let event = Event::new(&map, 0)?;
    /// assert!(!event.wait(&Patience::of(Duration::from_millis(1)))?);
    /// # Ok::<(), memory_map::Error>(())
    /// ```
    ///
    /// # Errors
    /// As for [`Event::is_set`], and [`Error::Cancelled`](crate::Error::Cancelled).
    pub fn wait(&self, patience: &Patience<'_>) -> Result<bool> {
        self.range.run(|words| self.wait_in(words, flag::begin(words.word(0)), patience))
    }

    /// Begins a wait, which [`Event::wait_since`] goes on with.
    ///
    /// # Errors
    /// As for [`Event::is_set`].
    pub fn begin(&self) -> Result<Began> {
        self.range.run(|words| Ok(Began(flag::begin(words.word(0)))))
    }

    /// As [`Event::wait`], for a wait that has begun.
    ///
    /// # Errors
    /// As for [`Event::wait`].
    pub fn wait_since(&self, began: Began, patience: &Patience<'_>) -> Result<bool> {
        self.range.run(|words| self.wait_in(words, began.0, patience))
    }

    fn wait_in(&self, words: &Words<'_>, began: u64, patience: &Patience<'_>) -> Result<bool> {
        flag::wait(words.word(0), began, &self.spin, patience, || words.check())
    }
}
