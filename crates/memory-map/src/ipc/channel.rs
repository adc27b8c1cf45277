//! A channel: messages from many processes to one, through a ring in memory. (Long: a third are examples.)

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::lock;
use super::park::Patience;
use super::participant::Participant;
use super::ring::{Learned, Part, Ring, SLACK, at};
use super::shared_range::{Session, SharedRange};
use crate::error::{Error, Result};
use crate::mapping::Mapping;

const MAGIC: u64 = u64::from_le_bytes(*b"MMAPCHAN");
const VERSION: u64 = 1;
/// Bytes of the smallest ring.
const SMALLEST: usize = 128;

/// One end of a channel, or both: the first to receive is the receiver.
///
/// Every method may be called from any thread; only one message at a time is received.
///
/// ```
/// use memory_map::ipc::{Channel};
/// use memory_map::{Mapping, Options};
///
/// let map = Mapping::anonymous(4096, true, &Options::default())?;
/// let sender = Channel::create(&map, 0, 4096)?;
/// let receiver = Channel::open(&map, 0)?;
/// sender.send(b"hello", None)?;
/// let message = receiver.receive(None)?.unwrap();
/// let mut bytes = vec![0; message.length()];
/// receiver.read(&message, &mut bytes)?;
/// receiver.release(message)?;
/// assert_eq!(bytes, b"hello");
/// # Ok::<(), memory_map::Error>(())
/// ```
pub struct Channel {
    range: Arc<SharedRange>,
    offset: usize,
    ring: usize,
    /// The two roles: sending and receiving.
    participant: Participant,
    learned: Learned,
    receiving: AtomicBool,
}

/// Room for a message that is being made.
///
/// ```
/// use memory_map::ipc::Channel;
/// use memory_map::{Mapping, Options};
///
/// let map = Mapping::anonymous(4096, true, &Options::default())?;
/// let channel = Channel::create(&map, 0, 4096)?;
/// let room = channel.reserve(100, None)?.unwrap();
/// map.write(b"hello", room.offset())?;
/// channel.commit(room, 5)?;
/// assert_eq!(channel.receive(None)?.unwrap().length(), 5);
/// # Ok::<(), memory_map::Error>(())
/// ```
#[derive(Debug)]
pub struct Reservation(Part, usize);

/// A message that was received and is still in the ring.
///
/// ```
/// use memory_map::ipc::Channel;
/// use memory_map::{Mapping, Options};
///
/// let map = Mapping::anonymous(4096, true, &Options::default())?;
/// let channel = Channel::create(&map, 0, 4096)?;
/// channel.send(b"hello", None)?;
/// let message = channel.receive(None)?.unwrap();
/// let mut bytes = [0; 5];
/// map.read(message.offset(), &mut bytes)?;
/// assert_eq!(&bytes, b"hello");
/// channel.release(message)?;
/// # Ok::<(), memory_map::Error>(())
/// ```
#[derive(Debug)]
pub struct Message {
    part: Part,
    base: usize,
    end: u64,
}

/// What [`Channel::receive_into`] found.
///
/// ```
/// use memory_map::ipc::{Channel, Received};
/// use memory_map::{Mapping, Options};
///
/// let map = Mapping::anonymous(4096, true, &Options::default())?;
/// let channel = Channel::create(&map, 0, 4096)?;
/// channel.send(b"hello", None)?;
/// assert_eq!(channel.receive_into(&mut [0; 3], None)?, Received::TooLong(5));
/// assert_eq!(channel.receive_into(&mut [0; 8], None)?, Received::Copied(5));
/// assert_eq!(channel.receive_into(&mut [0; 8], None)?, Received::Nothing);
/// # Ok::<(), memory_map::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Received {
    /// No message in time.
    Nothing,
    /// A message of so many bytes, which were copied.
    Copied(usize),
    /// A message of so many bytes, which did not fit: it stays.
    TooLong(usize),
}

impl Reservation {
    /// Where in the mapping it is.
    pub fn offset(&self) -> usize {
        self.1 + self.0.offset
    }

    /// How many bytes it has.
    pub fn length(&self) -> usize {
        self.0.length
    }
}

impl Message {
    /// Where in the mapping it is.
    pub fn offset(&self) -> usize {
        self.base + self.part.offset
    }

    /// How many bytes it has.
    pub fn length(&self) -> usize {
        self.part.length
    }
}

impl Channel {
    /// Makes a channel of the `length` bytes at `offset`, whatever they hold.
    ///
    /// # Errors
    /// As for [`crate::ipc::Mutex::new`]; [`Error::OutOfRange`] if that is too little.
    pub fn create(mapping: &Mapping, offset: usize, length: usize) -> Result<Self> {
        little_endian()?;
        let Some(ring) = length.checked_sub(at::DATA).map(|ring| ring & !63) else {
            return Err(too_short());
        };
        if ring < SMALLEST {
            return Err(too_short());
        }
        let range = SharedRange::new(mapping, offset, length, 64, true)?;
        // First what can fail: what is there stays then.
        let channel = Self::tie(mapping, range, offset, ring)?;
        {
            let place = channel.range.place();
            let words = place.enter()?;
            // Opening it now finds no channel. Users of the channel that was here before must see
            // that this is another one.
            words.word(at::MAGIC).store(0, Ordering::SeqCst);
            let before = words.word(at::HEAD).load(Ordering::Relaxed) % (1 << 62);
            let start = (before & !7) + 2 * ring as u64;
            for word in (8..at::DATA).step_by(8) {
                words.word(word).store(0, Ordering::Relaxed);
            }
            words.word(at::VERSION).store(VERSION, Ordering::Relaxed);
            words.word(at::RING).store(ring as u64, Ordering::Relaxed);
            for position in [at::HEAD, at::TAIL] {
                words.word(position).store(start, Ordering::Relaxed);
            }
            words.word(at::MAGIC).store(MAGIC, Ordering::Release);
            words.check()?;
        }
        Ok(channel)
    }

    /// Opens the channel at `offset`.
    ///
    /// # Errors
    /// [`Error::Invalid`] if there is none, or not all of it, or of another version; otherwise
    /// as for [`Channel::create`].
    pub fn open(mapping: &Mapping, offset: usize) -> Result<Self> {
        little_endian()?;
        let length = mapping.len().saturating_sub(offset);
        if length < at::DATA {
            return Err(Error::Invalid("there is no channel: the mapping is too short for one"));
        }
        let all = SharedRange::new(mapping, offset, length, 64, true)?;
        let ring = {
            let place = all.place();
            let words = place.enter()?;
            let magic = words.word(at::MAGIC).load(Ordering::Acquire);
            let version = words.word(at::VERSION).load(Ordering::Relaxed);
            let ring = words.word(at::RING).load(Ordering::Relaxed);
            words.check()?;
            if magic != MAGIC {
                return Err(Error::Invalid(
                    "there is no channel: what is there was not made by `create`",
                ));
            }
            if version != VERSION {
                return Err(Error::Invalid("the channel has another version of the layout"));
            }
            let room = (length - at::DATA) as u64;
            match usize::try_from(ring).ok().filter(|ring| *ring as u64 <= room) {
                Some(ring) if ring >= SMALLEST && ring.is_multiple_of(64) => ring,
                Some(_) => return Err(Error::Invalid("the channel has an impossible size")),
                None => return Err(Error::Invalid("the channel is cut short")),
            }
        };
        // The mapping may become shorter, and have all of the channel still.
        let range = SharedRange::new(mapping, offset, at::DATA + ring, 64, true)?;
        let channel = Self::tie(mapping, range, offset, ring)?;
        channel.run(|ring| ring.verify())?;
        Ok(channel)
    }

    fn tie(mapping: &Mapping, range: SharedRange, offset: usize, ring: usize) -> Result<Self> {
        let participant = Participant::another(mapping)?;
        let range = range.following(mapping);
        let receiving = AtomicBool::new(false);
        Ok(Self { range, offset, ring, participant, learned: Learned::new(), receiving })
    }

    /// Bytes that messages and their headers, of 16 bytes each, share.
    pub fn capacity(&self) -> usize {
        self.ring - SLACK
    }

    /// What the receiver's word is while this is the receiver.
    pub fn receiver(&self) -> u64 {
        lock::held(self.participant.number)
    }

    /// Bytes of the longest message: half the capacity.
    pub fn max_length(&self) -> usize {
        (self.capacity() / 2).min(u32::MAX as usize)
    }

    /// Reserves room for a message of `length` bytes, to be filled in place. Without `patience` it
    /// does not wait; `None` if there is no room in time.
    ///
    /// Until it is committed or abandoned, messages of other senders that come after it wait too.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] for a length over [`Channel::max_length`]; [`Error::Invalid`] if
    /// the memory does not hold a channel any more; [`Error::Fault`], [`Error::Closed`],
    /// [`Error::Cancelled`].
    pub fn reserve(
        &self,
        length: usize,
        patience: Option<&Patience<'_>>,
    ) -> Result<Option<Reservation>> {
        self.check_length(length)?;
        let part = self.run(|ring| ring.reserve(length, patience))?;
        Ok(part.map(|part| Reservation(part, self.offset)))
    }

    /// Sends the first `length` bytes of what was filled in.
    ///
    /// # Errors
    /// As for [`Channel::reserve`].
    pub fn commit(&self, reservation: Reservation, length: usize) -> Result<()> {
        if length > reservation.0.length {
            return Err(Error::OutOfRange {
                name: "length",
                requirement: "at most what was reserved",
            });
        }
        self.run(|ring| ring.commit(reservation.0, length))
    }

    /// Gives a reservation up: nothing is sent.
    ///
    /// ```
    /// use memory_map::ipc::Channel;
    /// use memory_map::{Mapping, Options};
    ///
    /// let map = Mapping::anonymous(4096, true, &Options::default())?;
    /// let channel = Channel::create(&map, 0, 4096)?;
    /// let room = channel.reserve(100, None)?.unwrap();
    /// channel.abandon(room)?;
    /// assert!(channel.receive(None)?.is_none());
    /// # Ok::<(), memory_map::Error>(())
    /// ```
    ///
    /// # Errors
    /// As for [`Channel::reserve`].
    pub fn abandon(&self, reservation: Reservation) -> Result<()> {
        self.run(|ring| ring.abandon(reservation.0))
    }

    /// Sends a message; `false` if there is no room for it in time.
    ///
    /// # Errors
    /// As for [`Channel::reserve`].
    pub fn send(&self, bytes: &[u8], patience: Option<&Patience<'_>>) -> Result<bool> {
        self.check_length(bytes.len())?;
        self.run(|ring| {
            let Some(part) = ring.reserve(bytes.len(), patience)? else { return Ok(false) };
            copy_in(ring, part, bytes);
            ring.commit(part, part.length)?;
            Ok(true)
        })
    }

    /// Sends messages, with none of others between them: they lie in `bytes` one behind the other,
    /// each up to its end in `ends`. How many there was room for in time.
    ///
    /// ```
    /// use memory_map::ipc::Channel;
    /// use memory_map::{Mapping, Options};
    ///
    /// let map = Mapping::anonymous(4096, true, &Options::default())?;
    /// let channel = Channel::create(&map, 0, 4096)?;
    /// assert_eq!(channel.send_many(b"onetwo", &[3, 6], None)?, 2);
    /// assert_eq!(channel.receive(None)?.unwrap().length(), 3);
    /// # Ok::<(), memory_map::Error>(())
    /// ```
    ///
    /// # Errors
    /// As for [`Channel::reserve`].
    pub fn send_many(
        &self,
        bytes: &[u8],
        ends: &[u32],
        patience: Option<&Patience<'_>>,
    ) -> Result<usize> {
        let message = |index: usize| {
            let start = index.checked_sub(1).map_or(0, |before| ends[before] as usize);
            bytes.get(start..ends[index] as usize).unwrap_or_default()
        };
        let messages = (0..ends.len()).map(message);
        messages.clone().try_for_each(|message| self.check_length(message.len()))?;
        self.run(|ring| {
            let lengths = messages.map(<[u8]>::len);
            ring.send_all(lengths, patience, |index, part| copy_in(ring, part, message(index)))
        })
    }

    /// Receives a message and leaves it where it is, until [`Channel::release`]. Without
    /// `patience` it does not wait; `None` if none comes in time.
    ///
    /// # Errors
    /// [`Error::Busy`] if another living participant receives, or a message is not released yet;
    /// otherwise as for [`Channel::reserve`].
    pub fn receive(&self, patience: Option<&Patience<'_>>) -> Result<Option<Message>> {
        self.begin()?;
        let message = self.next(patience);
        if !matches!(message, Ok(Some(_))) {
            self.receiving.store(false, Ordering::Release);
        }
        message
    }

    /// Receives a message by copying it to the start of `bytes`, at once if it fits.
    ///
    /// # Errors
    /// As for [`Channel::receive`].
    pub fn receive_into(
        &self,
        bytes: &mut [u8],
        patience: Option<&Patience<'_>>,
    ) -> Result<Received> {
        self.begin()?;
        let received = self.run(|ring| {
            self.become_receiver(ring)?;
            let Some((part, end)) = ring.next(patience)? else { return Ok(Received::Nothing) };
            let Some(bytes) = bytes.get_mut(..part.length) else {
                return Ok(Received::TooLong(part.length));
            };
            copy_out(ring, part, bytes)?;
            ring.release(end);
            Ok(Received::Copied(part.length))
        });
        self.receiving.store(false, Ordering::Release);
        received
    }

    /// Receives messages by copying them to `bytes`, each at the next multiple of eight, and their
    /// ends to `ends`: those that are there, or the first that comes.
    ///
    /// [`Received::Copied`] says how many, and [`Received::TooLong`] how long the first is.
    ///
    /// ```
    /// use memory_map::ipc::{Channel, Received};
    /// use memory_map::{Mapping, Options};
    ///
    /// let map = Mapping::anonymous(4096, true, &Options::default())?;
    /// let channel = Channel::create(&map, 0, 4096)?;
    /// channel.send_many(b"onetwo", &[3, 6], None)?;
    /// let (mut bytes, mut ends) = ([0; 64], [0; 8]);
    /// assert_eq!(channel.receive_many_into(&mut bytes, &mut ends, None)?, Received::Copied(2));
    /// assert_eq!((&bytes[..3], ends[0]), (&b"one"[..], 3));
    /// assert_eq!((&bytes[8..11], ends[1]), (&b"two"[..], 11));
    /// # Ok::<(), memory_map::Error>(())
    /// ```
    ///
    /// # Errors
    /// As for [`Channel::receive`].
    pub fn receive_many_into(
        &self,
        bytes: &mut [u8],
        ends: &mut [u32],
        patience: Option<&Patience<'_>>,
    ) -> Result<Received> {
        self.begin()?;
        let received = self.run(|ring| {
            self.become_receiver(ring)?;
            let (mut count, mut start) = (0, 0);
            for end in ends {
                let next = match ring.next(patience.filter(|_| count == 0)) {
                    Err(_) if count > 0 => break, // the next call says so
                    next => next?,
                };
                let Some((part, after)) = next else { break };
                let Some(target) = bytes.get_mut(start..start + part.length) else {
                    if count == 0 {
                        return Ok(Received::TooLong(part.length));
                    }
                    break;
                };
                copy_out(ring, part, target)?;
                ring.release(after);
                *end = (start + part.length) as u32;
                start = (start + part.length).next_multiple_of(8);
                count += 1;
            }
            Ok(if count == 0 { Received::Nothing } else { Received::Copied(count) })
        });
        self.receiving.store(false, Ordering::Release);
        received
    }

    /// Waits until there is a message to receive; `false` if the time is up first.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use memory_map::ipc::{Channel, Patience};
    /// use memory_map::{Mapping, Options};
    ///
    /// let map = Mapping::anonymous(4096, true, &Options::default())?;
    /// let channel = Channel::create(&map, 0, 4096)?;
    /// assert!(!channel.wait_for_message(&Patience::of(Duration::ZERO))?);
    /// channel.send(b"hello", None)?;
    /// assert!(channel.wait_for_message(&Patience::FOREVER)?);
    /// # Ok::<(), memory_map::Error>(())
    /// ```
    ///
    /// # Errors
    /// As for [`Channel::receive`].
    pub fn wait_for_message(&self, patience: &Patience<'_>) -> Result<bool> {
        self.begin()?;
        let message = self.next(Some(patience));
        self.receiving.store(false, Ordering::Release);
        message.map(|message| message.is_some())
    }

    fn begin(&self) -> Result<()> {
        if self.receiving.swap(true, Ordering::Acquire) {
            return Err(Error::Busy(
                "a message is already being received, or a borrowed one is not released",
            ));
        }
        Ok(())
    }

    fn next(&self, patience: Option<&Patience<'_>>) -> Result<Option<Message>> {
        let found = self.run(|ring| {
            self.become_receiver(ring)?;
            ring.next(patience)
        })?;
        Ok(found.map(|(part, end)| Message { part, base: self.offset, end }))
    }

    /// Leaves a message where it is, to be received again.
    ///
    /// ```
    /// use memory_map::ipc::Channel;
    /// use memory_map::{Mapping, Options};
    ///
    /// let map = Mapping::anonymous(4096, true, &Options::default())?;
    /// let channel = Channel::create(&map, 0, 4096)?;
    /// channel.send(b"hello", None)?;
    /// let message = channel.receive(None)?.unwrap();
    /// channel.keep(message);
    /// assert_eq!(channel.receive(None)?.unwrap().length(), 5);
    /// # Ok::<(), memory_map::Error>(())
    /// ```
    pub fn keep(&self, _message: Message) {
        self.receiving.store(false, Ordering::Release);
    }

    /// Copies a part of a message out: as many bytes as `bytes` has.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] if the message has fewer; [`Error::Fault`], [`Error::Closed`].
    pub fn read(&self, message: &Message, bytes: &mut [u8]) -> Result<()> {
        if bytes.len() > message.part.length {
            return Err(Error::OutOfRange {
                name: "length",
                requirement: "at most that of the message",
            });
        }
        self.run(|ring| copy_out(ring, message.part, bytes))
    }

    /// Gives the room of a message back.
    ///
    /// # Errors
    /// [`Error::Fault`], [`Error::Closed`].
    pub fn release(&self, message: Message) -> Result<()> {
        self.receiving.store(false, Ordering::Release);
        self.run(|ring| {
            ring.release(message.end);
            Ok(())
        })
    }

    /// Lets another process be the receiver.
    ///
    /// ```
    /// use memory_map::ipc::Channel;
    /// use memory_map::{Mapping, Options};
    ///
    /// let map = Mapping::anonymous(4096, true, &Options::default())?;
    /// let first = Channel::create(&map, 0, 4096)?;
    /// let second = Channel::open(&map, 0)?;
    /// assert!(first.receive(None)?.is_none());
    /// assert!(second.receive(None).is_err()); // the first is the receiver
    /// first.stop_receiving()?;
    /// assert!(second.receive(None)?.is_none());
    /// # Ok::<(), memory_map::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Busy`] while a message is received; [`Error::Fault`], [`Error::Closed`].
    pub fn stop_receiving(&self) -> Result<()> {
        self.begin()?;
        let result = self.run(|ring| {
            match lock::unlock(ring.memory.words.word(at::RECEIVER), self.participant.number) {
                Ok(()) | Err(Error::NotOwner) => Ok(()),
                Err(error) => Err(error),
            }
        });
        self.receiving.store(false, Ordering::Release);
        result
    }

    fn become_receiver(&self, ring: &Ring<'_, Session<'_>>) -> Result<()> {
        let word = ring.memory.words.word(at::RECEIVER);
        if lock::owner(word) == self.participant.number
            || lock::try_lock(word, self.participant.number, ring.memory).is_some()
        {
            return Ok(());
        }
        ring.memory.words.check()?;
        Err(Error::Busy("another process, or another channel object, is the receiver"))
    }

    fn check_length(&self, length: usize) -> Result<()> {
        if length > self.max_length() {
            return Err(Error::OutOfRange {
                name: "length",
                requirement: "at most half the channel's capacity",
            });
        }
        Ok(())
    }

    fn run<T>(&self, work: impl FnOnce(&Ring<'_, Session<'_>>) -> Result<T>) -> Result<T> {
        let place = self.range.place();
        let session = Session { words: place.enter()?, participant: &self.participant };
        let ring = Ring {
            memory: &session,
            size: self.ring,
            me: self.participant.number,
            learned: &self.learned,
        };
        let result = work(&ring);
        // A fault explains whatever else went wrong.
        session.words.check()?;
        result
    }
}

/// Fills a message in that is not committed.
fn copy_in(ring: &Ring<'_, Session<'_>>, part: Part, bytes: &[u8]) {
    if let Some(to) = ring.memory.words.address(part.offset, part.length.min(bytes.len())) {
        // SAFETY: `to` has as many bytes, inside the range, whose faults are contained; `copy`
        // allows an overlap. No one should read them before the commit; a reader that does gets a
        // mixture of bytes.
        unsafe { std::ptr::copy(bytes.as_ptr(), to as *mut u8, part.length.min(bytes.len())) };
    }
}

/// Copies the first bytes of a message out, and fails where they could not be read.
fn copy_out(ring: &Ring<'_, Session<'_>>, part: Part, bytes: &mut [u8]) -> Result<()> {
    if let Some(from) = ring.memory.words.address(part.offset, bytes.len()) {
        // SAFETY: `from` has as many bytes, inside the range, whose faults are contained, and
        // `bytes` is not part of it, or else what arrives is a mixture; a sender who breaks the
        // rules changes it too. `copy` allows an overlap.
        unsafe { std::ptr::copy(from as *const u8, bytes.as_mut_ptr(), bytes.len()) };
    }
    ring.memory.words.check()
}

fn too_short() -> Error {
    Error::OutOfRange { name: "length", requirement: "at least 640 bytes" }
}

pub(crate) fn little_endian() -> Result<()> {
    if cfg!(target_endian = "little") {
        return Ok(());
    }
    Err(Error::Unsupported("channels and broadcasts are little-endian, and this processor is not"))
}
