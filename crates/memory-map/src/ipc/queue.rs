//! A queue: messages from many processes to several, each to one of them, and again if that one dies.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::batch;
use super::deliveries::{Deliveries, ENVELOPE, LOOK, Taken};
use super::head::Kind;
use super::park::Patience;
use super::ring::Ring;
use super::shared_range::Session;
use super::shared_ring::{SharedRing, copy_out, copy_unchecked};
use crate::error::{Error, Result};
use crate::lock_anyway::LockAnyway;
use crate::mapping::Mapping;

const KIND: Kind = Kind {
    magic: u64::from_le_bytes(*b"MMAPQUEU"),
    version: 1,
    none: "there is no queue: the memory is zero (`openOrCreate` makes one there), has something else in it, or is too short",
    other_version: "the queue has another version of the layout",
    impossible: "the queue has an impossible size",
    short: "the queue is cut short",
};
/// How long to wait while another receiver looks, in calls that do not wait for a message.
const BRIEF: Duration = Duration::from_millis(100);

/// One of those who send to a queue, receive from it, or both.
///
/// Each message goes to one receiver (each has a [`Queue`] of its own), which has it until it releases it. If
/// it gives the message up or dies, another one gets it.
///
/// ```
/// use memory_map::ipc::Queue;
/// use memory_map::{Mapping, Options};
///
/// let map = Mapping::anonymous(4096, true, &Options::default())?;
/// let queue = Queue::create(&map, 0, 4096)?;
/// let worker = Queue::open(&map, 0)?;
/// queue.send(b"job", None)?;
/// let job = worker.receive(None)?.unwrap();
/// drop(worker); // as if it had died
/// let job = queue.receive(None)?.unwrap();
/// let mut bytes = vec![0; job.length()];
/// queue.read(&job, &mut bytes)?;
/// assert_eq!((&bytes[..], job.deliveries()), (&b"job"[..], 2));
/// queue.release(job)?;
/// # Ok::<(), memory_map::Error>(())
/// ```
pub struct Queue {
    ring: SharedRing,
    /// When this last looked for messages of dead receivers.
    looked: Mutex<Option<Instant>>,
}

/// A message that was delivered to one [`Queue`].
///
/// ```
/// use memory_map::ipc::Queue;
/// use memory_map::{Mapping, Options};
///
/// let map = Mapping::anonymous(4096, true, &Options::default())?;
/// let queue = Queue::create(&map, 0, 4096)?;
/// queue.send(b"job", None)?;
/// let job = queue.receive(None)?.unwrap();
/// assert_eq!((job.length(), job.deliveries()), (3, 1));
/// queue.requeue(job)?;
/// # Ok::<(), memory_map::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Delivery(Taken);

impl Delivery {
    /// How many bytes it has.
    pub fn length(&self) -> usize {
        self.0.part.length
    }

    /// How often it was delivered, with this time.
    pub fn deliveries(&self) -> u64 {
        self.0.deliveries
    }
}

impl Queue {
    /// Makes a queue of the `length` bytes at `offset`, whatever they hold.
    ///
    /// # Errors
    /// As for [`crate::ipc::Channel::create`].
    pub fn create(mapping: &Mapping, offset: usize, length: usize) -> Result<Self> {
        SharedRing::create(mapping, offset, length, &KIND).map(Self::of)
    }

    /// Opens the queue at `offset`.
    ///
    /// # Errors
    /// As for [`crate::ipc::Channel::open`].
    pub fn open(mapping: &Mapping, offset: usize) -> Result<Self> {
        SharedRing::open(mapping, offset, &KIND).map(Self::of)
    }

    /// Opens the queue at `offset`, or makes one of `length` bytes where the memory is zero.
    ///
    /// ```
    /// use memory_map::ipc::Queue;
    /// use memory_map::{Mapping, Options};
    ///
    /// let map = Mapping::anonymous(4096, true, &Options::default())?;
    /// let one = Queue::open_or_create(&map, 0, 2048)?;
    /// let other = Queue::open_or_create(&map, 0, 4096)?; // opens it as it is
    /// assert_eq!(one.capacity(), other.capacity());
    /// # Ok::<(), memory_map::Error>(())
    /// ```
    ///
    /// # Errors
    /// As for [`crate::ipc::Channel::open_or_create`].
    pub fn open_or_create(mapping: &Mapping, offset: usize, length: usize) -> Result<Self> {
        SharedRing::open_or_create(mapping, offset, length, &KIND).map(Self::of)
    }

    /// Waits until [`Queue::open`] finds a queue at `offset`; `false` if the time is up first.
    ///
    /// ```
    /// use memory_map::ipc::{Patience, Queue};
    /// use memory_map::{Mapping, Options};
    ///
    /// let map = Mapping::anonymous(4096, true, &Options::default())?;
    /// Queue::create(&map, 0, 4096)?;
    /// assert!(Queue::wait_for_queue(&map, 0, &Patience::FOREVER)?);
    /// # Ok::<(), memory_map::Error>(())
    /// ```
    ///
    /// # Errors
    /// As for [`crate::ipc::Channel::wait_for_channel`].
    pub fn wait_for_queue(
        mapping: &Mapping,
        offset: usize,
        patience: &Patience<'_>,
    ) -> Result<bool> {
        SharedRing::wait_for(mapping, offset, &KIND, patience)
    }

    fn of(ring: SharedRing) -> Self {
        Self { ring, looked: Mutex::default() }
    }

    /// Bytes that messages and their headers, of 32 bytes each, share.
    pub fn capacity(&self) -> usize {
        self.ring.capacity()
    }

    /// Bytes of the longest message: half the capacity, less 16.
    pub fn max_length(&self) -> usize {
        self.ring.max_length().saturating_sub(ENVELOPE)
    }

    /// Sends a message; `false` if there is no room for it in time. Without `patience` it does not wait.
    ///
    /// # Errors
    /// As for [`crate::ipc::Channel::send`].
    pub fn send(&self, bytes: &[u8], patience: Option<&Patience<'_>>) -> Result<bool> {
        self.check_length(bytes.len())?;
        self.ring.send::<ENVELOPE>(bytes, patience)
    }

    /// Sends messages, with none of others between them: they lie in `bytes` one behind the other,
    /// each up to its end in `ends`. How many there was room for in time.
    ///
    /// ```
    /// use memory_map::ipc::Queue;
    /// use memory_map::{Mapping, Options};
    ///
    /// let map = Mapping::anonymous(4096, true, &Options::default())?;
    /// let queue = Queue::create(&map, 0, 4096)?;
    /// assert_eq!(queue.send_many(b"onetwo", &[3, 6], None)?, 2);
    /// # Ok::<(), memory_map::Error>(())
    /// ```
    ///
    /// # Errors
    /// As for [`Queue::send`].
    pub fn send_many(
        &self,
        bytes: &[u8],
        ends: &[u32],
        patience: Option<&Patience<'_>>,
    ) -> Result<usize> {
        batch::messages(bytes, ends).try_for_each(|message| self.check_length(message.len()))?;
        self.ring.send_many::<ENVELOPE>(bytes, ends, patience)
    }

    fn check_length(&self, length: usize) -> Result<()> {
        if length > self.max_length() {
            let requirement = "at most half the queue's capacity, less 16 bytes";
            return Err(Error::OutOfRange { name: "length", requirement });
        }
        Ok(())
    }

    /// Receives a message; `None` if none comes in time. Without `patience` it does not wait for one.
    ///
    /// Messages that were never delivered come in the order in which they were sent, and before them
    /// those that were given up.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the memory does not hold a queue any more; [`Error::Fault`],
    /// [`Error::Closed`], [`Error::Cancelled`].
    pub fn receive(&self, patience: Option<&Patience<'_>>) -> Result<Option<Delivery>> {
        self.receive_into(&mut [], patience)
    }

    /// As [`Queue::receive`], and copies the message to the start of `bytes`, if there is room for all of it.
    /// If a fault ends the call, the message is given up.
    ///
    /// ```
    /// use memory_map::ipc::Queue;
    /// use memory_map::{Mapping, Options};
    ///
    /// let map = Mapping::anonymous(4096, true, &Options::default())?;
    /// let queue = Queue::create(&map, 0, 4096)?;
    /// queue.send(b"job", None)?;
    /// let mut bytes = [0; 8];
    /// let job = queue.receive_into(&mut bytes, None)?.unwrap();
    /// assert_eq!(&bytes[..job.length()], b"job");
    /// # Ok::<(), memory_map::Error>(())
    /// ```
    ///
    /// # Errors
    /// As for [`Queue::receive`].
    pub fn receive_into(
        &self,
        bytes: &mut [u8],
        patience: Option<&Patience<'_>>,
    ) -> Result<Option<Delivery>> {
        let now = Instant::now();
        let due = self.is_due(now);
        let take = |ring: &Ring<'_, Session<'_>>| {
            let taken = match patience {
                Some(patience) => Deliveries(ring).take(due, patience),
                None => Deliveries(ring).try_take(due, &brief(now)),
            }?;
            copy_all(ring, taken.as_slice(), bytes);
            Ok(taken)
        };
        Ok(self.ring.run_or(take, give_up)?.map(Delivery))
    }

    /// Receives up to `most` messages that are there, or the first that comes; none if none comes in time.
    /// At most a megabyte in all, or one longer message.
    ///
    /// ```
    /// use memory_map::ipc::Queue;
    /// use memory_map::{Mapping, Options};
    ///
    /// let map = Mapping::anonymous(4096, true, &Options::default())?;
    /// let queue = Queue::create(&map, 0, 4096)?;
    /// queue.send_many(b"onetwo", &[3, 6], None)?;
    /// assert_eq!(queue.receive_many(10, None)?.len(), 2);
    /// # Ok::<(), memory_map::Error>(())
    /// ```
    ///
    /// # Errors
    /// As for [`Queue::receive`].
    pub fn receive_many(
        &self,
        most: usize,
        patience: Option<&Patience<'_>>,
    ) -> Result<Vec<Delivery>> {
        self.receive_many_into(most, &mut [], patience)
    }

    /// As [`Queue::receive_many`], and copies the messages to `bytes`, each to the next multiple of eight,
    /// up to the first for which there is too little room. If a fault ends the call, all are given up.
    ///
    /// ```
    /// use memory_map::ipc::Queue;
    /// use memory_map::{Mapping, Options};
    ///
    /// let map = Mapping::anonymous(4096, true, &Options::default())?;
    /// let queue = Queue::create(&map, 0, 4096)?;
    /// queue.send_many(b"onetwo", &[3, 6], None)?;
    /// let mut bytes = [0; 16];
    /// assert_eq!(queue.receive_many_into(10, &mut bytes, None)?.len(), 2);
    /// assert_eq!((&bytes[..3], &bytes[8..11]), (&b"one"[..], &b"two"[..]));
    /// # Ok::<(), memory_map::Error>(())
    /// ```
    ///
    /// # Errors
    /// As for [`Queue::receive`].
    pub fn receive_many_into(
        &self,
        most: usize,
        bytes: &mut [u8],
        patience: Option<&Patience<'_>>,
    ) -> Result<Vec<Delivery>> {
        if most == 0 {
            return Ok(Vec::new());
        }
        let now = Instant::now();
        let due = self.is_due(now);
        let take = |ring: &Ring<'_, Session<'_>>| {
            let taken = match patience {
                Some(patience) => Deliveries(ring).take_many(due, most, patience),
                None => Deliveries(ring).try_take_many(due, most, &brief(now)),
            };
            let taken = taken?.unwrap_or_default();
            copy_all(ring, &taken, bytes);
            Ok(taken)
        };
        Ok(self.ring.run_or(take, give_up)?.into_iter().map(Delivery).collect())
    }

    /// Waits until there is a message to receive; `false` if the time is up first. Another receiver may
    /// get it.
    ///
    /// ```
    /// use memory_map::ipc::{Patience, Queue};
    /// use memory_map::{Mapping, Options};
    ///
    /// let map = Mapping::anonymous(4096, true, &Options::default())?;
    /// let queue = Queue::create(&map, 0, 4096)?;
    /// queue.send(b"job", None)?;
    /// assert!(queue.wait_for_message(&Patience::FOREVER)?);
    /// # Ok::<(), memory_map::Error>(())
    /// ```
    ///
    /// # Errors
    /// As for [`Queue::receive`].
    pub fn wait_for_message(&self, patience: &Patience<'_>) -> Result<bool> {
        self.ring.run(|ring| Deliveries(ring).ready(patience))
    }

    /// Copies the first bytes of a message out: as many as `bytes` has.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] if the message has fewer; [`Error::Fault`], [`Error::Closed`].
    pub fn read(&self, message: &Delivery, bytes: &mut [u8]) -> Result<()> {
        if bytes.len() > message.length() {
            let requirement = "at most that of the message";
            return Err(Error::OutOfRange { name: "length", requirement });
        }
        self.ring.run(|ring| copy_out(ring, message.0.part, bytes))
    }

    /// Releases a message: it does not come again.
    ///
    /// # Errors
    /// [`Error::NotOwner`] if it is not this queue's; [`Error::Invalid`], [`Error::Fault`],
    /// [`Error::Closed`].
    pub fn release(&self, message: Delivery) -> Result<()> {
        self.ring.run(|ring| Deliveries(ring).release(message.0, || brief(Instant::now())))
    }

    /// Gives a message up: this or another receiver gets it again, before those that were never
    /// delivered.
    ///
    /// # Errors
    /// As for [`Queue::release`].
    pub fn requeue(&self, message: Delivery) -> Result<()> {
        self.ring.run(|ring| Deliveries(ring).requeue(message.0))
    }

    /// How many messages wait, and bytes in them; and the same of those that receivers have. It goes
    /// over all of them, while others go on.
    ///
    /// ```
    /// use memory_map::ipc::Queue;
    /// use memory_map::{Mapping, Options};
    ///
    /// let map = Mapping::anonymous(4096, true, &Options::default())?;
    /// let queue = Queue::create(&map, 0, 4096)?;
    /// queue.send_many(b"onethree", &[3, 8], None)?;
    /// let one = queue.receive(None)?.unwrap();
    /// assert_eq!(queue.pending()?, [(1, 5), (1, 3)]);
    /// # Ok::<(), memory_map::Error>(())
    /// ```
    ///
    /// # Errors
    /// As for [`Queue::receive`].
    pub fn pending(&self) -> Result<[(usize, usize); 2]> {
        self.ring.run(|ring| Deliveries(ring).pending())
    }

    /// Whether it is time to look for the messages of dead receivers.
    fn is_due(&self, now: Instant) -> bool {
        let mut looked = self.looked.lock_anyway();
        let due = looked.is_none_or(|then| now.saturating_duration_since(then) >= LOOK);
        if due {
            *looked = Some(now);
        }
        due
    }
}

fn brief(now: Instant) -> Patience<'static> {
    Patience { deadline: now.checked_add(BRIEF), ..Patience::FOREVER }
}

/// Gives up what was taken and cannot be read: the caller does not get it.
fn give_up(ring: &Ring<'_, Session<'_>>, taken: impl IntoIterator<Item = Taken>) {
    for message in taken {
        let _ = Deliveries(ring).requeue(message); // it fails where the claim is lost too
    }
}

/// Copies messages out, each to the next multiple of eight, up to the first for which there is too little room.
/// Whether they could be read is checked afterwards.
fn copy_all(ring: &Ring<'_, Session<'_>>, messages: &[Taken], bytes: &mut [u8]) {
    let mut start = 0_usize;
    for message in messages {
        let room = bytes.get_mut(start..);
        let Some(target) = room.and_then(|room| room.get_mut(..message.part.length)) else { break };
        copy_unchecked(ring, message.part, target);
        start = (start + message.part.length).next_multiple_of(8);
    }
}
