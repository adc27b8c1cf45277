//! Shared and exclusive locks between processes.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use super::lock::Locked;
use super::park::Patience;
use super::participant::Participant;
use super::pending::Wait;
use super::readers::{Hold, User, at};
use super::shared_range::{Session, SharedRange};
use super::spin::Spin;
use crate::error::Result;
use crate::mapping::Mapping;

/// A lock that many readers share or one writer has alone, in 512 bytes of shared memory, which are zero
/// before it is used first.
///
/// Its owner is a mapping, as a [`crate::ipc::Mutex`]'s. Sixty mappings can share it at a time, each of them any
/// number of times; more wait. A writer that waits has new readers wait, but for [`RwLock::lock_shared`] of a mapping that
/// shares the lock already.
///
/// Readers and writers that die no longer have the lock. If a writer dies while it has it, everybody who
/// locks gets [`Locked::Recovered`] until the next writer unlocks.
///
/// ```
/// use memory_map::ipc::{Locked, Patience, RwLock};
/// use memory_map::{Mapping, Options};
///
/// let map = Mapping::anonymous(4096, true, &Options::default())?;
/// let lock = RwLock::new(&map, 0)?;
/// assert_eq!(lock.lock_shared(&Patience::FOREVER)?, Some(Locked::Acquired));
/// assert_eq!(lock.try_lock_exclusive()?, None);
/// lock.unlock()?;
/// assert_eq!(lock.lock_exclusive(&Patience::FOREVER)?, Some(Locked::Acquired));
/// lock.unlock()?;
/// # Ok::<(), memory_map::Error>(())
/// ```
pub struct RwLock {
    range: Arc<SharedRange>,
    participant: Arc<Participant>,
    hold: Arc<Mutex<Hold>>,
    spin: Spin,
}

/// How many mappings can share it.
const SLOTS: usize = (RwLock::SIZE - at::SLOTS) / 8;

impl RwLock {
    /// Bytes that it takes.
    pub const SIZE: usize = 512;

    /// The lock at `offset`, which must be a multiple of eight in memory.
    ///
    /// # Errors
    /// [`crate::Error::NotShared`], [`crate::Error::NotWritable`], [`crate::Error::OutOfRange`], [`crate::Error::Closed`];
    /// [`crate::Error::Os`] or [`crate::Error::Unsupported`] if the file cannot tell which owners are alive.
    pub fn new(mapping: &Mapping, offset: usize) -> Result<Self> {
        let range = SharedRange::new(mapping, offset, Self::SIZE, 8)?.following(mapping);
        let participant = Participant::of(mapping)?;
        let hold = participant.hold(offset, SLOTS);
        Ok(Self { range, participant, hold, spin: Spin::new() })
    }

    /// Waits until no writer has the lock or waits for it, and shares it; `None` if the time is up first. Where this
    /// mapping shares it already it does so once more, without a wait.
    ///
    /// # Errors
    /// [`crate::Error::Deadlock`] if this mapping has it alone; [`crate::Error::Fault`], [`crate::Error::Closed`],
    /// [`crate::Error::Cancelled`].
    pub fn lock_shared(&self, patience: &Patience<'_>) -> Result<Option<Locked>> {
        self.run(false, |user| user.lock_shared(patience))
    }

    /// As [`RwLock::lock_shared`], for a thread that may wait until another one gives back what this mapping has.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use memory_map::ipc::{Patience, RwLock};
    /// use memory_map::{Mapping, Options};
    ///
    /// let map = Mapping::anonymous(4096, true, &Options::default())?;
    /// let lock = RwLock::new(&map, 0)?;
    /// lock.lock_exclusive(&Patience::FOREVER)?;
    /// assert!(lock.lock_shared(&Patience::FOREVER).is_err()); // a deadlock
    /// assert_eq!(lock.lock_shared_in_turn(&Patience::of(Duration::from_millis(1)))?, None);
    /// # Ok::<(), memory_map::Error>(())
    /// ```
    ///
    /// # Errors
    /// As for [`RwLock::lock_shared`], without the deadlock.
    pub fn lock_shared_in_turn(&self, patience: &Patience<'_>) -> Result<Option<Locked>> {
        self.run(true, |user| user.lock_shared(patience))
    }

    /// Shares the lock if no living writer has it or waits for it. It gives `None` also in the moment in which
    /// another reader that had to wait enters.
    ///
    /// ```
    /// use memory_map::ipc::{Locked, RwLock};
    /// use memory_map::{Mapping, Options};
    ///
    /// let map = Mapping::anonymous(4096, true, &Options::default())?;
    /// let lock = RwLock::new(&map, 0)?;
    /// assert_eq!(lock.try_lock_shared()?, Some(Locked::Acquired));
    /// assert_eq!(lock.try_lock_shared()?, Some(Locked::Acquired));
    /// # Ok::<(), memory_map::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`crate::Error::Fault`], [`crate::Error::Closed`].
    pub fn try_lock_shared(&self) -> Result<Option<Locked>> {
        self.run(true, |user| Ok(user.try_lock_shared()))
    }

    /// Waits until nobody else has the lock, and takes it; `None` if the time is up first.
    ///
    /// # Errors
    /// [`crate::Error::Deadlock`] if this mapping has or shares it already; [`crate::Error::Fault`],
    /// [`crate::Error::Closed`], [`crate::Error::Cancelled`].
    pub fn lock_exclusive(&self, patience: &Patience<'_>) -> Result<Option<Locked>> {
        self.run(false, |user| {
            let mut gate = false;
            let result = user.lock_exclusive(&mut gate, patience);
            if gate {
                user.open_gate();
            }
            result
        })
    }

    /// Takes the lock if no living owner has or shares it.
    ///
    /// ```
    /// use memory_map::ipc::{Locked, RwLock};
    /// use memory_map::{Mapping, Options};
    ///
    /// let map = Mapping::anonymous(4096, true, &Options::default())?;
    /// let lock = RwLock::new(&map, 0)?;
    /// assert_eq!(lock.try_lock_exclusive()?, Some(Locked::Acquired));
    /// assert_eq!(lock.try_lock_shared()?, None);
    /// # Ok::<(), memory_map::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`crate::Error::Fault`], [`crate::Error::Closed`].
    pub fn try_lock_exclusive(&self) -> Result<Option<Locked>> {
        self.run(true, |user| Ok(user.try_lock_exclusive()))
    }

    /// Gives the lock back, where this mapping has it alone; else once of the times that it shares it.
    ///
    /// # Errors
    /// [`crate::Error::NotOwner`] if it does neither; [`crate::Error::Fault`], [`crate::Error::Closed`].
    pub fn unlock(&self) -> Result<()> {
        self.run(true, |user| user.unlock())
    }

    /// Shares the lock once less.
    ///
    /// ```
    /// use memory_map::Error;
    /// use memory_map::ipc::RwLock;
    /// # use memory_map::{Mapping, Options};
    ///
    /// # let map = Mapping::anonymous(4096, true, &Options::default())?;
    /// let lock = RwLock::new(&map, 0)?;
    /// lock.try_lock_shared()?;
    /// lock.unlock_shared()?;
    /// lock.try_lock_exclusive()?;
    /// assert_eq!(lock.unlock_shared(), Err(Error::NotOwner));
    /// # Ok::<(), memory_map::Error>(())
    /// ```
    ///
    /// # Errors
    /// As for [`RwLock::unlock`].
    pub fn unlock_shared(&self) -> Result<()> {
        self.run(true, |user| user.unlock_shared())
    }

    /// Gives a lock that this mapping has alone back as it was acquired: if it was recovered and nothing was
    /// done, the next owner recovers it again.
    ///
    /// ```
    /// use memory_map::ipc::{Locked, RwLock};
    /// use memory_map::{Mapping, Options};
    ///
    /// let map = Mapping::anonymous(4096, true, &Options::default())?;
    /// let lock = RwLock::new(&map, 0)?;
    /// let how = lock.try_lock_exclusive()?.unwrap();
    /// lock.put_back(how)?;
    /// assert_eq!(lock.try_lock_exclusive()?, Some(Locked::Acquired));
    /// # Ok::<(), memory_map::Error>(())
    /// ```
    ///
    /// # Errors
    /// As for [`RwLock::unlock`].
    pub fn put_back(&self, how: Locked) -> Result<()> {
        self.run(true, |user| user.end(how))
    }

    fn run<T>(
        &self,
        in_turn: bool,
        work: impl FnOnce(&User<'_, Session<'_>>) -> Result<T>,
    ) -> Result<T> {
        self.range.run_as(Some(&self.participant), |session| {
            work(&User {
                memory: session,
                slots: SLOTS,
                me: self.participant.number,
                hold: &self.hold,
                spin: &self.spin,
                in_turn,
            })
        })
    }
}

/// A wait for a lock that a thread may do in parts: where it is cancelled while it waits for readers
/// to leave, new ones go on waiting for it, until it is called again or dropped.
///
/// ```
/// use std::sync::Arc;
///
/// use memory_map::ipc::{ExclusiveWait, Locked, Patience, RwLock, Wait};
/// use memory_map::{Mapping, Options};
///
/// let map = Mapping::anonymous(4096, true, &Options::default())?;
/// let lock = Arc::new(RwLock::new(&map, 0)?);
/// let wait = ExclusiveWait::new(Arc::clone(&lock));
/// assert_eq!(wait.wait(&Patience::FOREVER)?, Some(Locked::Acquired));
/// lock.unlock()?;
/// # Ok::<(), memory_map::Error>(())
/// ```
pub struct ExclusiveWait {
    lock: Arc<RwLock>,
    /// Whether new readers wait for it.
    gate: AtomicBool,
}

impl ExclusiveWait {
    /// A wait for `lock`, which has not begun.
    pub fn new(lock: Arc<RwLock>) -> Self {
        Self { lock, gate: AtomicBool::new(false) }
    }
}

impl Wait for ExclusiveWait {
    type Output = Option<Locked>;

    /// It also waits until another thread gives back what this mapping has.
    fn wait(&self, patience: &Patience<'_>) -> Result<Self::Output> {
        let mut gate = self.gate.load(Ordering::Relaxed);
        let result = self.lock.run(true, |user| user.lock_exclusive(&mut gate, patience));
        self.gate.store(gate, Ordering::Relaxed);
        result
    }

    fn give_back(&self, output: Self::Output) -> std::result::Result<(), Self::Output> {
        // It fails where the mapping is gone, and then the lock is given up with it.
        let _ = output.map(|how| self.lock.put_back(how));
        Ok(())
    }
}

impl Drop for ExclusiveWait {
    fn drop(&mut self) {
        if *self.gate.get_mut() {
            let _ = self.lock.run(true, |user| {
                user.open_gate();
                Ok(())
            });
        }
    }
}
