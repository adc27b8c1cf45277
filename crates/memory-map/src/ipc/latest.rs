//! The newest value, for readers that need no other.

use std::sync::Arc;
use std::time::Duration;

use super::atomic::Ordering;
use super::eventcount;
use super::lock;
use super::park::{self, LOOK, Patience, SLICE};
use super::participant::Participant;
use super::seqlock::{HEADER, SLOTS, Slots, at};
use super::shared_range::{Session, SharedRange};
use super::spin::Spin;
use crate::error::{Error, Result};
use crate::mapping::Mapping;

/// How long a reader waits for a moment without writers, and how many times.
const MOMENT: Duration = Duration::from_millis(20);
const MOMENTS: usize = 100;

/// The newest of the values that any process writes, in shared memory that is zero before it is used
/// first.
///
/// Writers wait for each other and never for readers. A reader gets a whole value, whatever writers
/// do meanwhile, and if they are killed or stopped in the middle. It needs no writable mapping.
///
/// ```
/// use memory_map::ipc::{Latest, Patience};
/// use memory_map::{Mapping, Options};
///
/// let map = Mapping::anonymous(4096, true, &Options::default())?;
/// let latest = Latest::new(&map, 0, 4096)?;
/// let mut bytes = [0; 8];
/// assert_eq!(latest.read(&mut bytes)?, None);
/// latest.write(b"hello", &Patience::FOREVER)?;
/// assert_eq!(latest.read(&mut bytes)?, Some(5));
/// assert_eq!(&bytes[..5], b"hello");
/// # Ok::<(), memory_map::Error>(())
/// ```
pub struct Latest {
    range: Arc<SharedRange>,
    max: usize,
    /// Who writes; none if the mapping is not writable.
    participant: Option<Arc<Participant>>,
    spins: [Spin; 2],
}

impl Latest {
    /// Bytes that values of up to `max` bytes take.
    ///
    /// ```
    /// use memory_map::ipc::Latest;
    ///
    /// assert_eq!(Latest::size_for(64), 304);
    /// ```
    pub const fn size_for(max: usize) -> usize {
        at::SLOTS + SLOTS * (HEADER + max.next_multiple_of(8))
    }

    /// The newest value in the `length` bytes at `offset`, which must be a multiple of eight in
    /// memory. All that use it must give the same length.
    ///
    /// # Errors
    /// [`Error::Invalid`] if there is something else, or values of another length; otherwise as for
    /// [`crate::ipc::Mutex::new`].
    pub fn new(mapping: &Mapping, offset: usize, length: usize) -> Result<Self> {
        let slots = (length.saturating_sub(at::SLOTS) / SLOTS) & !7;
        let max = slots.saturating_sub(HEADER).min(u32::MAX as usize & !7);
        if max == 0 {
            return Err(Error::OutOfRange { name: "length", requirement: "at least 136 bytes" });
        }
        let size = Self::size_for(max);
        let (range, is_writable) = SharedRange::to_read(mapping, offset, size, 8)?;
        let participant = is_writable.then(|| Participant::of(mapping)).transpose()?;
        let spins = [Spin::new(), Spin::new()];
        let latest = Self { range: range.following(mapping), max, participant, spins };
        latest.run(|slots| if is_writable { slots.claim() } else { slots.verify().map(drop) })?;
        Ok(latest)
    }

    /// Bytes of the longest value.
    pub fn max_length(&self) -> usize {
        self.max
    }

    /// How many values were written up to now.
    ///
    /// ```
    /// use memory_map::ipc::{Latest, Patience};
    /// use memory_map::{Mapping, Options};
    ///
    /// let map = Mapping::anonymous(4096, true, &Options::default())?;
    /// let latest = Latest::new(&map, 0, 4096)?;
    /// assert_eq!(latest.version()?, 0);
    /// latest.write(b"hello", &Patience::FOREVER)?;
    /// assert_eq!(latest.version()?, 1);
    /// # Ok::<(), memory_map::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Fault`], [`Error::Closed`].
    pub fn version(&self) -> Result<u64> {
        self.run(|slots| Ok(slots.version()))
    }

    /// Writes a value; `false` if another writer was writing until the time was up.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] if it is longer than [`Latest::max_length`]; [`Error::NotWritable`];
    /// [`Error::Invalid`] if the memory has something else by now; [`Error::Fault`],
    /// [`Error::Closed`], [`Error::Cancelled`].
    pub fn write(&self, bytes: &[u8], patience: &Patience<'_>) -> Result<bool> {
        if bytes.len() > self.max {
            return Err(Error::OutOfRange { name: "length", requirement: "at most `maxLength`" });
        }
        let me = self.participant.as_ref().ok_or(Error::NotWritable)?.number;
        self.run(|slots| {
            slots.claim()?;
            let write = || slots.write(bytes, || slots.memory.words.check());
            let written = self.alone(slots.memory, me, patience, write)?;
            eventcount::signal(slots.memory.words.word(at::CHANGED));
            Ok(written.is_some())
        })
    }

    /// Copies the newest value to the start of `target`, unless that is too short: how long it is, or
    /// `None` if none was written yet.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the memory has something else by now; [`Error::Busy`] if values are
    /// written for seconds faster than one can be copied; [`Error::Fault`], [`Error::Closed`].
    pub fn read(&self, target: &mut [u8]) -> Result<Option<usize>> {
        self.run(|slots| {
            let mut result = slots.read(target);
            for _ in 0..MOMENTS {
                if !matches!(result, Err(Error::Busy(_))) {
                    break;
                }
                let Some(participant) = &self.participant else {
                    result = slots.read(target);
                    continue;
                };
                let (session, moment) = (slots.memory, Patience::of(MOMENT));
                let read =
                    self.alone(session, participant.number, &moment, || slots.read(target))?;
                result = read.map_or_else(|| slots.read(target), Ok);
            }
            result
        })
    }

    /// Waits until the version is another one than `version`; `false` if the time is up first.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use memory_map::ipc::{Latest, Patience};
    /// use memory_map::{Mapping, Options};
    ///
    /// let map = Mapping::anonymous(4096, true, &Options::default())?;
    /// let latest = Latest::new(&map, 0, 4096)?;
    /// assert!(!latest.wait(0, &Patience::of(Duration::from_millis(1)))?);
    /// latest.write(b"hello", &Patience::FOREVER)?;
    /// assert!(latest.wait(0, &Patience::FOREVER)?);
    /// # Ok::<(), memory_map::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Fault`], [`Error::Closed`], [`Error::Cancelled`].
    pub fn wait(&self, version: u64, patience: &Patience<'_>) -> Result<bool> {
        self.run(|slots| {
            let differs = || (slots.version() != version).then_some(());
            if differs().or_else(|| self.spins[1].until(differs)).is_some() {
                return Ok(true);
            }
            loop {
                // A reader that cannot write that it sleeps waits on the number itself.
                let (word, slice) = match self.participant {
                    Some(_) => (at::CHANGED, SLICE),
                    None => (at::CURRENT, LOOK),
                };
                let word = slots.memory.words.word(word);
                let value = match self.participant {
                    Some(_) => eventcount::prepare(word),
                    None => word.load(Ordering::SeqCst),
                };
                let changed = differs().is_some();
                slots.memory.words.check()?;
                if changed {
                    return Ok(true);
                }
                if patience.is_over()? {
                    return Ok(false);
                }
                park::sleep(word, value, slice, patience)?;
            }
        })
    }

    /// Does `work` while nobody writes; `None` if others do until the time is up.
    fn alone<T>(
        &self,
        session: &Session<'_>,
        me: u64,
        patience: &Patience<'_>,
        work: impl FnOnce() -> Result<T>,
    ) -> Result<Option<T>> {
        let word = session.words.word(at::WRITERS);
        // What a dead writer leaves is in order.
        if lock::lock(word, me, &self.spins[0], patience, session)?.is_none() {
            return Ok(None);
        }
        let lost = || Error::Invalid("something else has stored to the lock");
        lock::unlock_after(word, me, work(), lost).map(Some)
    }

    fn run<T>(&self, work: impl FnOnce(&Slots<'_, Session<'_>>) -> Result<T>) -> Result<T> {
        self.range.run_as(self.participant.as_deref(), |session| {
            work(&Slots { memory: session, max: self.max })
        })
    }
}
