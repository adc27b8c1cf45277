//! A barrier: processes that wait until all of them have come.

use std::sync::{Arc, Mutex};
use std::task::Poll;

use super::park::Patience;
use super::participant::Participant;
use super::rendezvous::{self, Arrival, Party};
use super::shared_range::{Session, SharedRange};
use super::spin::Spin;
use crate::error::{Error, Result};
use crate::lock_anyway::LockAnyway;
use crate::mapping::Mapping;

/// A barrier in [`Barrier::SIZE`] bytes of shared memory, which are zero before it is used first.
///
/// It breaks, which is an error for all who wait and come later, when one of those who wait gives up
/// in time, dies or closes its mapping, and by [`Barrier::abort`].
///
/// ```
/// use std::time::Duration;
///
/// use memory_map::ipc::{Barrier, Patience};
/// use memory_map::{Error, Mapping, Options};
///
/// let map = Mapping::anonymous(4096, true, &Options::default())?;
/// let barrier = Barrier::new(&map, 0, Some(2))?;
/// std::thread::scope(|scope| {
///     let other = scope.spawn(|| barrier.wait(&Patience::FOREVER));
///     let here = barrier.wait(&Patience::FOREVER)?;
///     assert_eq!(here.unwrap() + other.join().unwrap()?.unwrap(), 0 + 1);
///     Ok::<(), Error>(())
/// })?;
/// assert_eq!(barrier.wait(&Patience::of(Duration::from_millis(1)))?, None);
/// assert_eq!(barrier.wait(&Patience::FOREVER), Err(Error::Broken));
/// # Ok::<(), Error>(())
/// ```
pub struct Barrier {
    range: Arc<SharedRange>,
    participant: Arc<Participant>,
    spin: Spin,
}

/// A wait at a barrier. Its party has come, or not yet.
///
/// ```
/// use memory_map::ipc::{Barrier, Coming, Patience};
/// use memory_map::{Mapping, Options};
///
/// let map = Mapping::anonymous(4096, true, &Options::default())?;
/// let barrier = Barrier::new(&map, 0, Some(1))?;
/// let coming = Coming::default();
/// assert_eq!(barrier.wait_on(&coming, &Patience::FOREVER)?, Some(0));
/// # Ok::<(), memory_map::Error>(())
/// ```
#[derive(Default)]
pub struct Coming(Mutex<Option<Arrival>>);

impl Barrier {
    /// Bytes that a barrier takes.
    pub const SIZE: usize = rendezvous::SIZE;
    /// How many parties there may be.
    pub const MAX: u32 = rendezvous::MOST;

    /// The barrier at `offset`, which must be a multiple of eight in memory; the first to use it sets its
    /// parties.
    ///
    /// # Errors
    /// [`Error::NotShared`], [`Error::NotWritable`], [`Error::Closed`]; [`Error::OutOfRange`], also if
    /// it has another number of parties; [`Error::Invalid`] if there is something else; [`Error::Os`] or
    /// [`Error::Unsupported`] if the file cannot tell which parties are alive.
    pub fn new(mapping: &Mapping, offset: usize, parties: Option<u32>) -> Result<Self> {
        if parties.is_some_and(|parties| !(1..=Self::MAX).contains(&parties)) {
            return Err(Error::OutOfRange { name: "parties", requirement: "from 1 to 64" });
        }
        let range = SharedRange::new(mapping, offset, Self::SIZE, 8)?.following(mapping);
        let participant = Participant::of(mapping)?;
        let barrier = Self { range, participant, spin: Spin::new() };
        barrier.run(|party| party.prepare(parties))?;
        Ok(barrier)
    }

    /// Waits until all parties have come; says which of them this is, from 0 on. `None` if the time is
    /// up first, and then the barrier is broken. A wait that fails in another way has not come.
    ///
    /// # Errors
    /// [`Error::Broken`]; [`Error::Invalid`] if nobody has said how many parties there are, or something
    /// else is there; [`Error::Fault`], [`Error::Closed`], [`Error::Cancelled`].
    pub fn wait(&self, patience: &Patience<'_>) -> Result<Option<u32>> {
        let coming = Coming::default();
        self.wait_on(&coming, patience).or_else(|error| match error {
            Error::Broken => Err(error),
            _ => self.withdraw(&coming).map(Some).ok_or(error),
        })
    }

    /// As [`Barrier::wait`], for a wait that is called again after an interruption: after an error its party
    /// may have come.
    ///
    /// # Errors
    /// As for [`Barrier::wait`].
    pub fn wait_on(&self, coming: &Coming, patience: &Patience<'_>) -> Result<Option<u32>> {
        self.run(|party| {
            let known = *coming.0.lock_anyway();
            let arrival = match known {
                Some(arrival) => arrival,
                None => *coming.0.lock_anyway().insert(party.arrive(patience)?),
            };
            let met = party.wait(arrival, patience);
            if matches!(met, Ok(_) | Err(Error::Broken)) {
                coming.0.lock_anyway().take();
            }
            met
        })
    }

    /// Ends a wait after an error, as if its party had not come. If all have come by then, it is too late for
    /// that, and this returns which party it is.
    ///
    /// ```
    /// use memory_map::ipc::{Barrier, Cancel, Coming, Patience};
    /// use memory_map::{Error, Mapping, Options};
    ///
    /// let map = Mapping::anonymous(4096, true, &Options::default())?;
    /// let barrier = Barrier::new(&map, 0, Some(2))?;
    /// let (coming, cancel) = (Coming::default(), Cancel::default());
    /// cancel.cancel();
    /// let ended = barrier.wait_on(&coming, &Patience::FOREVER.or_until(&cancel));
    /// assert_eq!(ended, Err(Error::Cancelled));
    /// assert_eq!(barrier.withdraw(&coming), None);
    /// assert_eq!(barrier.waiting()?, 0);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn withdraw(&self, coming: &Coming) -> Option<u32> {
        let arrival = coming.0.lock_anyway().take()?;
        // It fails if the mapping is gone, and then this party is found dead.
        self.run(|party| party.withdraw(arrival)).ok().flatten()
    }

    /// The same, which waits no longer than `patience` says if another process has the lock of the barrier, and not at all
    /// without one: [`Poll::Pending`] if it still has it then, and nothing was done.
    ///
    /// ```
    /// use std::task::Poll;
    ///
    /// use memory_map::ipc::{Barrier, Coming};
    /// use memory_map::{Mapping, Options};
    ///
    /// let map = Mapping::anonymous(4096, true, &Options::default())?;
    /// let barrier = Barrier::new(&map, 0, Some(2))?;
    /// assert_eq!(barrier.try_withdraw(&Coming::default(), None), Poll::Ready(None)); // it had not come
    /// # Ok::<(), memory_map::Error>(())
    /// ```
    pub fn try_withdraw(
        &self,
        coming: &Coming,
        patience: Option<&Patience<'_>>,
    ) -> Poll<Option<u32>> {
        let mut coming = coming.0.lock_anyway();
        let Some(arrival) = *coming else { return Poll::Ready(None) };
        let withdrawn = self.run(|party| party.try_withdraw(arrival, patience));
        if matches!(withdrawn, Ok(None) | Err(Error::Cancelled)) {
            return Poll::Pending;
        }
        *coming = None;
        Poll::Ready(withdrawn.ok().flatten().flatten())
    }

    /// Breaks it: all who wait, and who come before it is reset, get [`Error::Broken`].
    ///
    /// # Errors
    /// [`Error::Invalid`], [`Error::Fault`], [`Error::Closed`].
    pub fn abort(&self) -> Result<()> {
        self.run(|party| party.abort())
    }

    /// Makes it as it was at first. Those who wait get [`Error::Broken`].
    ///
    /// ```
    /// use memory_map::ipc::Barrier;
    /// use memory_map::{Mapping, Options};
    ///
    /// let map = Mapping::anonymous(4096, true, &Options::default())?;
    /// let barrier = Barrier::new(&map, 0, Some(2))?;
    /// barrier.abort()?;
    /// assert!(barrier.is_broken()?);
    /// barrier.reset()?;
    /// assert!(!barrier.is_broken()?);
    /// assert_eq!(barrier.parties()?, 2);
    /// # Ok::<(), memory_map::Error>(())
    /// ```
    ///
    /// # Errors
    /// As for [`Barrier::abort`].
    pub fn reset(&self) -> Result<()> {
        self.run(|party| party.reset())
    }

    /// How many parties must come.
    ///
    /// # Errors
    /// As for [`Barrier::abort`].
    pub fn parties(&self) -> Result<u32> {
        self.run(|party| party.look()).map(|(parties, _, _)| parties)
    }

    /// How many wait at the moment.
    ///
    /// # Errors
    /// As for [`Barrier::abort`].
    pub fn waiting(&self) -> Result<u32> {
        self.run(|party| party.look()).map(|(_, waiting, _)| waiting)
    }

    /// Whether it is broken.
    ///
    /// # Errors
    /// As for [`Barrier::abort`].
    pub fn is_broken(&self) -> Result<bool> {
        self.run(|party| party.look()).map(|(_, _, broken)| broken)
    }

    fn run<T>(&self, work: impl FnOnce(&Party<'_, Session<'_>>) -> Result<T>) -> Result<T> {
        self.range.run_as(Some(&self.participant), |session| {
            work(&Party { memory: session, me: self.participant.number, spin: &self.spin })
        })
    }
}
