//! Waiting, without a mutex that is held, for what others change under it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::lock::Locked;
use super::mutex::Mutex;
use super::notices;
use super::park::Patience;
use super::shared_range::SharedRange;
use super::spin::Spin;
use crate::error::{Error, Result};
use crate::mapping::Mapping;

/// A condition variable of eight bytes in shared memory, which are zero before it is used first.
///
/// All that wait for it at one time should do so with the same mutex, which may be in another mapping.
///
/// ```
/// use std::time::Duration;
///
/// use memory_map::ipc::{Condition, Mutex, Patience, Wakeup};
/// use memory_map::{Mapping, Options};
///
/// let map = Mapping::anonymous(4096, true, &Options::default())?;
/// let (mutex, condition) = (Mutex::new(&map, 0)?, Condition::new(&map, 8)?);
/// mutex.lock(&Patience::FOREVER)?;
/// let wakeup = condition.wait(&mutex, &Patience::of(Duration::from_millis(1)))?;
/// assert_eq!(wakeup, Wakeup::TimedOut);
/// mutex.unlock()?; // it is held again
/// # Ok::<(), memory_map::Error>(())
/// ```
pub struct Condition {
    range: Arc<SharedRange>,
    spin: Spin,
}

/// How a wait for a condition ended. The mutex is held in each case.
///
/// ```
/// use memory_map::ipc::Wakeup;
///
/// assert_ne!(Wakeup::Notified, Wakeup::TimedOut);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wakeup {
    /// By a notification.
    Notified,
    /// The time was up.
    TimedOut,
    /// The last owner of the mutex died: what it protects may be half changed. Whether there was a
    /// notification is not said.
    Recovered,
}

/// A wait that has begun.
///
/// ```
/// use memory_map::ipc::{Condition, Mutex, Patience, Wakeup};
/// use memory_map::{Mapping, Options};
///
/// let map = Mapping::anonymous(4096, true, &Options::default())?;
/// let (mutex, condition) = (Mutex::new(&map, 0)?, Condition::new(&map, 8)?);
/// mutex.lock(&Patience::FOREVER)?;
/// let waiting = condition.begin(&mutex)?; // it is not locked any more
/// condition.notify(1)?;
/// let wakeup = condition.wait_on(&mutex, &waiting, &Patience::FOREVER)?;
/// assert_eq!(wakeup, Wakeup::Notified);
/// # Ok::<(), memory_map::Error>(())
/// ```
#[derive(Debug)]
pub struct Waiting {
    began: u32,
    /// Whether it is counted among those who wait.
    pending: AtomicBool,
    /// Whether it has taken a notification.
    notified: AtomicBool,
}

type Lock = fn(&Mutex, &Patience<'_>) -> Result<Option<Locked>>;

impl Condition {
    /// Bytes that a condition takes.
    pub const SIZE: usize = 8;

    /// The condition at `offset`, which must be a multiple of eight in memory.
    ///
    /// # Errors
    /// [`Error::NotShared`], [`Error::NotWritable`], [`Error::OutOfRange`], [`Error::Closed`].
    pub fn new(mapping: &Mapping, offset: usize) -> Result<Self> {
        let range = SharedRange::new(mapping, offset, Self::SIZE, 8)?.following(mapping);
        Ok(Self { range, spin: Spin::new() })
    }

    /// Releases the mutex, waits for a notification, and takes the mutex again, however long that
    /// takes. A failed wait has not taken it.
    ///
    /// # Errors
    /// [`Error::NotOwner`] if the mutex is not held; [`Error::Deadlock`] if another thread has taken it
    /// through the same mapping; [`Error::Busy`] if 65,535 wait already; [`Error::Fault`],
    /// [`Error::Closed`], [`Error::Cancelled`].
    pub fn wait(&self, mutex: &Mutex, patience: &Patience<'_>) -> Result<Wakeup> {
        let waiting = self.begin(mutex)?;
        let result = self.go_on(mutex, &waiting, patience, Mutex::lock);
        if result.is_err() {
            self.give_up(&waiting);
        }
        result
    }

    /// Begins a wait and releases the mutex. [`Condition::wait_on`] goes on.
    ///
    /// # Errors
    /// [`Error::NotOwner`] if the mutex is not held; [`Error::Busy`] if 65,535 wait already;
    /// [`Error::Fault`], [`Error::Closed`].
    pub fn begin(&self, mutex: &Mutex) -> Result<Waiting> {
        if !mutex.is_held()? {
            return Err(Error::NotOwner);
        }
        let began = self.range.run(|words| {
            notices::begin(words.word(0)).ok_or(Error::Busy("65,535 wait for this condition"))
        })?;
        let [pending, notified] = [true, false].map(AtomicBool::new);
        let waiting = Waiting { began, pending, notified };
        mutex.unlock().inspect_err(|_| self.give_up(&waiting))?;
        Ok(waiting)
    }

    /// Goes on with a wait that has begun, and may have been interrupted, until the mutex is held. It
    /// waits for the mutex also while another thread holds it through the same mapping.
    ///
    /// # Errors
    /// As for [`Condition::wait`]: after [`Error::Cancelled`] it may be called again.
    pub fn wait_on(
        &self,
        mutex: &Mutex,
        waiting: &Waiting,
        patience: &Patience<'_>,
    ) -> Result<Wakeup> {
        self.go_on(mutex, waiting, patience, Mutex::lock_in_turn)
    }

    fn go_on(
        &self,
        mutex: &Mutex,
        waiting: &Waiting,
        patience: &Patience<'_>,
        lock: Lock,
    ) -> Result<Wakeup> {
        let without_end = Patience { deadline: None, ..*patience };
        loop {
            self.range.run(|words| {
                let check = || words.check();
                notices::wait(words.word(0), waiting.began, &self.spin, patience, check)
            })?;
            let locked = lock(mutex, &without_end).inspect_err(|_| _ = patience.keep_turn())?;
            let Some(how) = locked else { continue };
            // It is taken while the mutex is held: whoever is killed before that leaves it to others.
            let taken = self.range.run(|words| Ok(notices::take(words.word(0), waiting.began)));
            let taken = taken.inspect_err(|_| drop(mutex.put_back(how)))?;
            if taken {
                waiting.pending.store(false, Ordering::Relaxed);
                waiting.notified.store(true, Ordering::Relaxed);
            }
            let wakeup = match how {
                Locked::Recovered => Wakeup::Recovered,
                Locked::Acquired if taken => Wakeup::Notified,
                Locked::Acquired if patience.remaining() == Some(Duration::ZERO) => {
                    Wakeup::TimedOut
                }
                Locked::Acquired => {
                    mutex.put_back(how)?; // another one was first
                    continue;
                }
            };
            self.give_up(waiting);
            return Ok(wakeup);
        }
    }

    /// Ends a wait that has come to nothing: notifications are for others.
    ///
    /// ```
    /// use memory_map::ipc::{Condition, Mutex, Patience};
    /// use memory_map::{Mapping, Options};
    ///
    /// let map = Mapping::anonymous(4096, true, &Options::default())?;
    /// let (mutex, condition) = (Mutex::new(&map, 0)?, Condition::new(&map, 8)?);
    /// mutex.lock(&Patience::FOREVER)?;
    /// let waiting = condition.begin(&mutex)?;
    /// condition.give_up(&waiting);
    /// assert!(!mutex.is_held()?);
    /// # Ok::<(), memory_map::Error>(())
    /// ```
    pub fn give_up(&self, waiting: &Waiting) {
        if waiting.pending.swap(false, Ordering::Relaxed) {
            // It fails where the mapping is gone, and then it stays counted, which harms nobody.
            let _ = self.range.run(|words| {
                notices::leave(words.word(0));
                Ok(())
            });
        }
    }

    /// Undoes what a wait has come to: gives the mutex back, and its notification to another one.
    ///
    /// ```
    /// use memory_map::ipc::{Condition, Mutex, Patience};
    /// use memory_map::{Mapping, Options};
    ///
    /// let map = Mapping::anonymous(4096, true, &Options::default())?;
    /// let (mutex, condition) = (Mutex::new(&map, 0)?, Condition::new(&map, 8)?);
    /// mutex.lock(&Patience::FOREVER)?;
    /// let waiting = condition.begin(&mutex)?;
    /// condition.notify(1)?;
    /// let wakeup = condition.wait_on(&mutex, &waiting, &Patience::FOREVER)?;
    /// condition.give_back(&mutex, &waiting, wakeup)?;
    /// assert!(!mutex.is_held()?);
    /// # Ok::<(), memory_map::Error>(())
    /// ```
    ///
    /// # Errors
    /// As for [`Mutex::put_back`].
    pub fn give_back(&self, mutex: &Mutex, waiting: &Waiting, wakeup: Wakeup) -> Result<()> {
        let is_notified = waiting.notified.swap(false, Ordering::Relaxed);
        let notified = if is_notified { self.notify(1) } else { Ok(()) };
        // The memory of the condition may be gone, and that of the mutex not.
        mutex.put_back(match wakeup {
            Wakeup::Recovered => Locked::Recovered,
            Wakeup::Notified | Wakeup::TimedOut => Locked::Acquired,
        })?;
        notified
    }

    /// Wakes up to `count` of those that wait now. The mutex need not be held.
    ///
    /// # Errors
    /// [`Error::Fault`], [`Error::Closed`].
    pub fn notify(&self, count: u32) -> Result<()> {
        self.range.run(|words| {
            notices::notify(words.word(0), count);
            Ok(())
        })
    }
}
