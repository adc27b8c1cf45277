//! Mutual exclusion between processes.

use std::sync::Arc;

use super::lock::{self, Locked};
use super::park::Patience;
use super::participant::Participant;
use super::shared_range::{Session, SharedRange};
use super::spin::Spin;
use crate::error::{Error, Result};
use crate::mapping::Mapping;

/// A lock of eight bytes in shared memory, which are zero before it is used first.
///
/// Its owner is a mapping: all that one `Mapping` value is used for counts as one. When the owner's
/// process dies, or the mapping is closed or dropped, the next one to lock gets
/// [`Locked::Recovered`].
///
/// ```
/// use memory_map::ipc::{Locked, Mutex, Patience};
/// use memory_map::{Mapping, Options};
///
/// let map = Mapping::anonymous(4096, true, &Options::default())?;
/// let mutex = Mutex::new(&map, 0)?;
/// assert_eq!(mutex.lock(&Patience::FOREVER)?, Some(Locked::Acquired));
/// mutex.unlock()?;
/// # Ok::<(), memory_map::Error>(())
/// ```
pub struct Mutex {
    range: Arc<SharedRange>,
    participant: Arc<Participant>,
    spin: Spin,
}

impl Mutex {
    /// Bytes that a mutex takes.
    pub const SIZE: usize = 8;

    /// The mutex at `offset`, which must be a multiple of eight in memory.
    ///
    /// # Errors
    /// [`Error::NotShared`], [`Error::NotWritable`], [`Error::OutOfRange`], [`Error::Closed`];
    /// [`Error::Os`] or [`Error::Unsupported`] if the file cannot tell which owners are alive.
    pub fn new(mapping: &Mapping, offset: usize) -> Result<Self> {
        let range = SharedRange::new(mapping, offset, Self::SIZE, 8)?.following(mapping);
        let participant = Participant::of(mapping)?;
        Ok(Self { range, participant, spin: Spin::new() })
    }

    /// Waits for the lock and takes it; `None` if the time is up first.
    ///
    /// # Errors
    /// [`Error::Deadlock`] if this mapping holds it already; [`Error::Fault`],
    /// [`Error::Closed`], [`Error::Cancelled`].
    pub fn lock(&self, patience: &Patience<'_>) -> Result<Option<Locked>> {
        self.run(|session| {
            let word = session.words.word(0);
            if lock::owner(word) == self.participant.number {
                return Err(Error::Deadlock);
            }
            lock::lock(word, self.participant.number, &self.spin, patience, session)
        })
    }

    /// As [`Mutex::lock`], also while this mapping holds the lock: for a thread that may wait
    /// until another one gives it back.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use memory_map::ipc::{Mutex, Patience};
    /// use memory_map::{Mapping, Options};
    ///
    /// let map = Mapping::anonymous(4096, true, &Options::default())?;
    /// let mutex = Mutex::new(&map, 0)?;
    /// mutex.lock(&Patience::FOREVER)?;
    /// assert!(mutex.lock(&Patience::FOREVER).is_err()); // a deadlock
    /// assert_eq!(mutex.lock_in_turn(&Patience::of(Duration::from_millis(1)))?, None);
    /// # Ok::<(), memory_map::Error>(())
    /// ```
    ///
    /// # Errors
    /// As for [`Mutex::lock`], without the deadlock.
    pub fn lock_in_turn(&self, patience: &Patience<'_>) -> Result<Option<Locked>> {
        self.run(|session| {
            lock::lock(
                session.words.word(0),
                self.participant.number,
                &self.spin,
                patience,
                session,
            )
        })
    }

    /// Takes the lock if no living owner holds it.
    ///
    /// ```
    /// use memory_map::ipc::{Locked, Mutex};
    /// use memory_map::{Mapping, Options};
    ///
    /// let map = Mapping::anonymous(4096, true, &Options::default())?;
    /// let mutex = Mutex::new(&map, 0)?;
    /// assert_eq!(mutex.try_lock()?, Some(Locked::Acquired));
    /// assert_eq!(mutex.try_lock()?, None);
    /// # Ok::<(), memory_map::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Fault`], [`Error::Closed`].
    pub fn try_lock(&self) -> Result<Option<Locked>> {
        self.run(|session| {
            Ok(lock::try_lock(session.words.word(0), self.participant.number, session))
        })
    }

    /// Whether this mapping holds the lock.
    ///
    /// ```
    /// use memory_map::ipc::{Mutex, Patience};
    /// use memory_map::{Mapping, Options};
    ///
    /// let map = Mapping::anonymous(4096, true, &Options::default())?;
    /// let mutex = Mutex::new(&map, 0)?;
    /// assert!(!mutex.is_held()?);
    /// mutex.lock(&Patience::FOREVER)?;
    /// assert!(mutex.is_held()?);
    /// # Ok::<(), memory_map::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Fault`], [`Error::Closed`].
    pub fn is_held(&self) -> Result<bool> {
        self.run(|session| Ok(lock::owner(session.words.word(0)) == self.participant.number))
    }

    /// Gives the lock back.
    ///
    /// # Errors
    /// [`Error::NotOwner`] if this mapping does not hold it; [`Error::Fault`],
    /// [`Error::Closed`].
    pub fn unlock(&self) -> Result<()> {
        self.run(|session| lock::unlock(session.words.word(0), self.participant.number))
    }

    /// What the word is while this mapping holds the lock and no thread waits for it. Code that swaps it
    /// for the 0 of a free lock has locked as [`Mutex::try_lock`] does, and code that swaps 0 for it has
    /// unlocked.
    ///
    /// ```
    /// use memory_map::ipc::{Locked, Mutex};
    /// use memory_map::{Mapping, Options};
    ///
    /// let map = Mapping::anonymous(4096, true, &Options::default())?;
    /// let mutex = Mutex::new(&map, 0)?;
    /// mutex.try_lock()?;
    /// let mut word = [0; 8];
    /// map.read(0, &mut word)?;
    /// assert_eq!(u64::from_ne_bytes(word), mutex.held());
    /// # Ok::<(), memory_map::Error>(())
    /// ```
    pub fn held(&self) -> u64 {
        lock::held(self.participant.number)
    }

    /// Gives the lock back as it was acquired: if it was recovered and nothing was done, the next
    /// owner recovers it again.
    ///
    /// ```
    /// use memory_map::ipc::{Locked, Mutex};
    /// use memory_map::{Mapping, Options};
    ///
    /// let map = Mapping::anonymous(4096, true, &Options::default())?;
    /// let mutex = Mutex::new(&map, 0)?;
    /// let how = mutex.try_lock()?.unwrap();
    /// mutex.put_back(how)?;
    /// assert_eq!(mutex.try_lock()?, Some(Locked::Acquired));
    /// # Ok::<(), memory_map::Error>(())
    /// ```
    ///
    /// # Errors
    /// As for [`Mutex::unlock`].
    pub fn put_back(&self, how: Locked) -> Result<()> {
        self.run(|session| {
            let word = session.words.word(0);
            match how {
                Locked::Acquired => lock::unlock(word, self.participant.number),
                Locked::Recovered => lock::abandon(word, self.participant.number),
            }
        })
    }

    fn run<T>(&self, work: impl FnOnce(&Session<'_>) -> Result<T>) -> Result<T> {
        self.range.run_as(Some(&self.participant), work)
    }
}
