//! A channel: messages from many processes to one, through a ring in memory. (Long: a third are examples.)

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, Ordering};

use super::ahead::{self, Ahead};
use super::batch;
use super::borrowed::Borrowed;
use super::eventcount;
use super::head::Kind;
use super::lock::{self, World};
use super::park::Patience;
use super::ring::{Part, Ring, at};
use super::shared_range::Session;
use super::shared_ring::{SharedRing, copy_out};
use super::spin::Spin;
use crate::error::{Error, Result};
use crate::mapping::Mapping;

const KIND: Kind = Kind {
    magic: u64::from_le_bytes(*b"MMAPCHAN"),
    version: 1,
    none: "there is no channel: the memory is zero (`openOrCreate` makes one there), has something else in it, or is too short",
    other_version: "the channel has another version of the layout",
    impossible: "the channel has an impossible size",
    short: "the channel is cut short",
};

/// One end of a channel, or both: the first to receive is the receiver.
///
/// Every method may be called from any thread; only one message at a time is received.
///
/// ```
/// use memory_map::ipc::Channel;
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
    ring: SharedRing,
    receiving: AtomicBool,
    borrowed: Borrowed,
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
    pub(super) part: Part,
    pub(super) base: usize,
    pub(super) end: u64,
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
    /// As for [`crate::ipc::Mutex::new`]; [`Error::OutOfRange`] if that is too little; [`Error::Busy`]
    /// if another process is making one there and does not get on.
    pub fn create(mapping: &Mapping, offset: usize, length: usize) -> Result<Self> {
        SharedRing::create(mapping, offset, length, &KIND).map(Self::of)
    }

    /// Opens the channel at `offset`, or makes one of `length` bytes where the memory is zero. Of those
    /// that call it at once one makes it, and all get the same.
    ///
    /// ```
    /// use memory_map::ipc::Channel;
    /// use memory_map::{Mapping, Options};
    ///
    /// let map = Mapping::anonymous(4096, true, &Options::default())?;
    /// let one = Channel::open_or_create(&map, 0, 2048)?;
    /// let other = Channel::open_or_create(&map, 0, 4096)?; // opens it as it is
    /// assert_eq!(one.capacity(), other.capacity());
    /// # Ok::<(), memory_map::Error>(())
    /// ```
    ///
    /// # Errors
    /// As for [`Channel::create`] and [`Channel::open`].
    pub fn open_or_create(mapping: &Mapping, offset: usize, length: usize) -> Result<Self> {
        SharedRing::open_or_create(mapping, offset, length, &KIND).map(Self::of)
    }

    /// Opens the channel at `offset`.
    ///
    /// # Errors
    /// [`Error::Invalid`] if there is none, or not all of it, or of another version; otherwise
    /// as for [`Channel::create`].
    pub fn open(mapping: &Mapping, offset: usize) -> Result<Self> {
        SharedRing::open(mapping, offset, &KIND).map(Self::of)
    }

    /// Waits until [`Channel::open`] finds a channel at `offset`; `false` if the time is up first.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use memory_map::ipc::{Channel, Patience};
    /// use memory_map::{Mapping, Options};
    ///
    /// let map = Mapping::anonymous(4096, true, &Options::default())?;
    /// assert!(!Channel::wait_for_channel(&map, 0, &Patience::of(Duration::ZERO))?);
    /// Channel::create(&map, 0, 4096)?;
    /// assert!(Channel::wait_for_channel(&map, 0, &Patience::FOREVER)?);
    /// # Ok::<(), memory_map::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Invalid`] if something else is there; otherwise as for [`Channel::create`].
    pub fn wait_for_channel(
        mapping: &Mapping,
        offset: usize,
        patience: &Patience<'_>,
    ) -> Result<bool> {
        SharedRing::wait_for(mapping, offset, &KIND, patience)
    }

    fn of(ring: SharedRing) -> Self {
        Self { ring, receiving: AtomicBool::new(false), borrowed: Borrowed::default() }
    }

    /// Bytes that messages and their headers, of 16 bytes each, share.
    pub fn capacity(&self) -> usize {
        self.ring.capacity()
    }

    /// The receiver's word while this is the receiver.
    pub fn receiver(&self) -> u64 {
        lock::held(self.ring.participant.number)
    }

    /// What [`Channel::receiver`] returns for the receiver, if it is alive; otherwise 0.
    ///
    /// ```
    /// use memory_map::ipc::Channel;
    /// use memory_map::{Mapping, Options};
    ///
    /// let map = Mapping::anonymous(4096, true, &Options::default())?;
    /// let sender = Channel::create(&map, 0, 4096)?;
    /// assert_eq!(sender.living_receiver()?, 0);
    /// let receiver = Channel::open(&map, 0)?;
    /// receiver.receive(None)?;
    /// assert_eq!(sender.living_receiver()?, receiver.receiver());
    /// # Ok::<(), memory_map::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Fault`], [`Error::Closed`].
    pub fn living_receiver(&self) -> Result<u64> {
        self.ring.run(|ring| Ok(living_receiver(ring)))
    }

    /// Where the last message that this has sent ends in the stream of bytes.
    pub fn sent(&self) -> u64 {
        self.ring.sent()
    }

    /// Up to where in the stream of bytes receivers that are gone have received: those before the present
    /// receiver, or all of them if no receiver is alive.
    ///
    /// ```
    /// use memory_map::ipc::Channel;
    /// use memory_map::{Mapping, Options};
    ///
    /// let map = Mapping::anonymous(4096, true, &Options::default())?;
    /// let sender = Channel::create(&map, 0, 4096)?;
    /// sender.send(b"request", None)?;
    /// let receiver = Channel::open(&map, 0)?;
    /// let message = receiver.receive(None)?.unwrap();
    /// receiver.release(message)?;
    /// assert!(sender.gone()? < sender.sent()); // the receiver may answer
    /// receiver.stop_receiving()?;
    /// assert!(sender.gone()? >= sender.sent()); // it will not
    /// # Ok::<(), memory_map::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Fault`], [`Error::Closed`].
    pub fn gone(&self) -> Result<u64> {
        self.ring.run(|ring| {
            // In this order: a receiver that comes meanwhile has none of what is before this tail.
            let tail = ring.word(at::TAIL).load(Ordering::Acquire);
            let begun = ring.word(at::BEGUN).load(Ordering::Acquire);
            Ok(if living_receiver(ring) == 0 { tail } else { begun })
        })
    }

    /// Bytes of the longest message: half the capacity.
    pub fn max_length(&self) -> usize {
        self.ring.max_length()
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
        let part = self.ring.run(|ring| ring.reserve(length, patience))?;
        Ok(part.map(|part| Reservation(part, self.ring.offset())))
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
        self.ring.run(|ring| ring.commit(reservation.0, length))
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
        self.ring.run(|ring| ring.abandon(reservation.0))
    }

    /// Sends a message; `false` if there is no room for it in time.
    ///
    /// # Errors
    /// As for [`Channel::reserve`].
    pub fn send(&self, bytes: &[u8], patience: Option<&Patience<'_>>) -> Result<bool> {
        self.check_length(bytes.len())?;
        self.ring.send::<0>(bytes, patience)
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
        batch::messages(bytes, ends).try_for_each(|message| self.check_length(message.len()))?;
        self.ring.send_many::<0>(bytes, ends, patience)
    }

    /// Receives a message and leaves it where it is, until [`Channel::release`]. Without
    /// `patience` it does not wait; `None` if none comes in time.
    ///
    /// # Errors
    /// [`Error::Busy`] if another living participant receives, or a message is not released yet;
    /// otherwise as for [`Channel::reserve`].
    pub fn receive(&self, patience: Option<&Patience<'_>>) -> Result<Option<Message>> {
        self.alone(|| {
            self.check_returned()?;
            self.take(patience)
        })
    }

    /// As [`Channel::receive`], also while earlier messages are not released yet.
    ///
    /// The ring takes its room back in the order of the messages: that of one that is released before
    /// its turn, when those before it are.
    ///
    /// ```
    /// use memory_map::ipc::Channel;
    /// use memory_map::{Mapping, Options};
    ///
    /// let map = Mapping::anonymous(4096, true, &Options::default())?;
    /// let channel = Channel::create(&map, 0, 4096)?;
    /// channel.send_many(b"onetwo", &[3, 6], None)?;
    /// let (one, two) = (channel.borrow(None)?.unwrap(), channel.borrow(None)?.unwrap());
    /// channel.release(two)?;
    /// channel.release(one)?;
    /// assert_eq!(channel.pending()?, (0, 0));
    /// # Ok::<(), memory_map::Error>(())
    /// ```
    ///
    /// # Errors
    /// As for [`Channel::receive`], but [`Error::Busy`] for unreleased messages.
    pub fn borrow(&self, patience: Option<&Patience<'_>>) -> Result<Option<Message>> {
        self.alone(|| self.take(patience))
    }

    fn take(&self, patience: Option<&Patience<'_>>) -> Result<Option<Message>> {
        loop {
            let Some((message, last)) = self.next(patience)? else { return Ok(None) };
            if self.borrowed.add_after(last, message.end) {
                return Ok(Some(message));
            }
        }
    }

    /// How many messages there are that were sent and not released, and how many bytes are in them. It
    /// goes over all of them, while others go on.
    ///
    /// ```
    /// use memory_map::ipc::Channel;
    /// use memory_map::{Mapping, Options};
    ///
    /// let map = Mapping::anonymous(4096, true, &Options::default())?;
    /// let channel = Channel::create(&map, 0, 4096)?;
    /// channel.send_many(b"onetwo", &[3, 6], None)?;
    /// assert_eq!(channel.pending()?, (2, 6));
    /// # Ok::<(), memory_map::Error>(())
    /// ```
    ///
    /// # Errors
    /// As for [`Channel::reserve`].
    pub fn pending(&self) -> Result<(usize, usize)> {
        self.ring.run(|ring| ring.pending(|_| 0)).map(|[there, _]| there)
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
        self.alone(|| {
            self.check_returned()?;
            self.ring
                .run(|ring| self.copy_next(ring, bytes, patience))
                .map(|(received, _)| received)
        })
    }

    /// As [`Channel::receive_into`], and copies messages that come next, if they are there, each to the
    /// next multiple of eight of `bytes`. Those are received one by one, when the tail that `places` has for
    /// them is stored; until then they stay in the ring.
    ///
    /// [`Received::Copied`] says how many `places` there are then.
    ///
    /// ```
    /// use memory_map::ipc::{Ahead, Channel, Received};
    /// use memory_map::{Mapping, Options};
    ///
    /// let map = Mapping::anonymous(4096, true, &Options::default())?;
    /// let channel = Channel::create(&map, 0, 4096)?;
    /// channel.send_many(b"onetwo", &[3, 6], None)?;
    /// let (mut bytes, mut places) = ([0; 64], [Ahead::default(); 8]);
    /// assert_eq!(channel.receive_ahead(&mut bytes, &mut places, None)?, Received::Copied(2));
    /// assert_eq!((&bytes[..3], places[0].end), (&b"one"[..], 3));
    /// assert_eq!((&bytes[8..11], places[1].end), (&b"two"[..], 11));
    /// assert_eq!(channel.pending()?, (1, 3)); // the second one
    /// # Ok::<(), memory_map::Error>(())
    /// ```
    ///
    /// # Errors
    /// As for [`Channel::receive`].
    pub fn receive_ahead(
        &self,
        bytes: &mut [u8],
        places: &mut [Ahead],
        patience: Option<&Patience<'_>>,
    ) -> Result<Received> {
        self.alone(|| {
            self.check_returned()?;
            let (received, tail) = self.ring.run(|ring| self.copy_next(ring, bytes, patience))?;
            let Received::Copied(length) = received else { return Ok(received) };
            let Some((first, others)) = places.split_first_mut() else { return Ok(received) };
            *first = Ahead { end: length as u32, tail: tail as u32, passes_eighth: false };
            // If something is wrong there, the next call says so.
            let more = self.ring.run(|ring| ahead::copy(ring, tail, bytes, length, others));
            Ok(Received::Copied(1 + more.unwrap_or(0)))
        })
    }

    /// Wakes senders that wait for room.
    ///
    /// ```
    /// use memory_map::ipc::Channel;
    /// use memory_map::{Mapping, Options};
    ///
    /// let map = Mapping::anonymous(4096, true, &Options::default())?;
    /// Channel::create(&map, 0, 4096)?.wake_senders()?;
    /// # Ok::<(), memory_map::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Fault`], [`Error::Closed`].
    pub fn wake_senders(&self) -> Result<()> {
        self.ring.run(|ring| {
            eventcount::signal(ring.word(at::EMPTIED));
            Ok(())
        })
    }

    /// Copies the next message, and gives its room back. Also returns where it ended.
    fn copy_next(
        &self,
        ring: &Ring<'_, Session<'_>>,
        bytes: &mut [u8],
        patience: Option<&Patience<'_>>,
    ) -> Result<(Received, u64)> {
        self.become_receiver(ring)?;
        let Some((part, end)) = ring.next(|| None, patience)? else {
            return Ok((Received::Nothing, 0));
        };
        let Some(bytes) = bytes.get_mut(..part.length) else {
            return Ok((Received::TooLong(part.length), 0));
        };
        copy_out(ring, part, bytes)?;
        ring.release(end);
        Ok((Received::Copied(part.length), end))
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
        let receive = |ring: &Ring<'_, Session<'_>>| {
            self.become_receiver(ring)?;
            let (mut count, mut start) = (0, 0);
            for end in ends {
                let next = match ring.next(|| None, patience.filter(|_| count == 0)) {
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
        };
        self.alone(|| {
            self.check_returned()?;
            self.ring.run(receive)
        })
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
        self.alone(|| self.next(Some(patience))).map(|message| message.is_some())
    }

    /// Becomes the receiver as soon as no other one is alive; `false` if one is until the time is up.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use memory_map::ipc::{Channel, Patience};
    /// use memory_map::{Mapping, Options};
    ///
    /// let map = Mapping::anonymous(4096, true, &Options::default())?;
    /// let first = Channel::create(&map, 0, 4096)?;
    /// let second = Channel::open(&map, 0)?;
    /// assert!(first.wait_to_receive(&Patience::FOREVER)?);
    /// assert!(!second.wait_to_receive(&Patience::of(Duration::ZERO))?);
    /// first.stop_receiving()?;
    /// assert!(second.wait_to_receive(&Patience::FOREVER)?);
    /// # Ok::<(), memory_map::Error>(())
    /// ```
    ///
    /// # Errors
    /// As for [`Channel::receive`].
    pub fn wait_to_receive(&self, patience: &Patience<'_>) -> Result<bool> {
        let me = self.ring.participant.number;
        let wait = |ring: &Ring<'_, Session<'_>>| {
            let word = ring.word(at::RECEIVER);
            if lock::owner(word) == me {
                return Ok(true);
            }
            if lock::lock(word, me, &Spin::new(), patience, ring.memory)?.is_none() {
                return Ok(false);
            }
            begin(ring);
            Ok(true)
        };
        self.alone(|| self.ring.run(wait))
    }

    /// Receives, if no other thread does.
    fn alone<T>(&self, receive: impl FnOnce() -> Result<T>) -> Result<T> {
        if self.receiving.swap(true, Ordering::Acquire) {
            return Err(Error::Busy("a message is already being received"));
        }
        let received = receive();
        self.receiving.store(false, Ordering::Release);
        received
    }

    fn check_returned(&self) -> Result<()> {
        if self.borrowed.is_empty() {
            return Ok(());
        }
        Err(Error::Busy("a message that was received or borrowed is not released"))
    }

    /// The next message, and where the last one that is in use ended then.
    fn next(&self, patience: Option<&Patience<'_>>) -> Result<Option<(Message, Option<u64>)>> {
        let last = Cell::new(None);
        let found = self.ring.run(|ring| {
            self.become_receiver(ring)?;
            let after = || {
                last.set(self.borrowed.end());
                last.get()
            };
            ring.next(after, patience)
        })?;
        let message = |(part, end)| (Message { part, base: self.ring.offset(), end }, last.get());
        Ok(found.map(message))
    }

    /// Puts a message back: it is received again. If others were received after it, that is so as soon as none is in
    /// use, and they come again too.
    ///
    /// ```
    /// use memory_map::ipc::Channel;
    /// use memory_map::{Mapping, Options};
    ///
    /// let map = Mapping::anonymous(4096, true, &Options::default())?;
    /// let channel = Channel::create(&map, 0, 4096)?;
    /// channel.send(b"hello", None)?;
    /// let message = channel.receive(None)?.unwrap();
    /// channel.put_back(message);
    /// assert_eq!(channel.receive(None)?.unwrap().length(), 5);
    /// # Ok::<(), memory_map::Error>(())
    /// ```
    pub fn put_back(&self, message: Message) {
        self.borrowed.put_back(message.end);
        self.wake_receiver();
    }

    fn wake_receiver(&self) {
        let _ = self.ring.run(|ring| {
            ring.wake_receiver();
            Ok(())
        });
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
        self.ring.run(|ring| copy_out(ring, message.part, bytes))
    }

    /// Gives the room of a message back, when that of those before it is.
    ///
    /// # Errors
    /// [`Error::Fault`], [`Error::Closed`].
    pub fn release(&self, message: Message) -> Result<()> {
        let released = self.ring.run(|ring| {
            if self.borrowed.release(message.end, |end| ring.release(end)) {
                ring.wake_receiver(); // for those that were put back
            }
            Ok(())
        });
        if released.is_err() {
            self.borrowed.release(message.end, |_| {}); // a fault: its room goes back with that of the next
        }
        released
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
        let stop = |ring: &Ring<'_, Session<'_>>| match lock::unlock(
            ring.memory.words.word(at::RECEIVER),
            self.ring.participant.number,
        ) {
            Ok(()) | Err(Error::NotOwner) => Ok(()),
            Err(error) => Err(error),
        };
        self.alone(|| {
            self.check_returned()?;
            self.ring.run(stop)
        })
    }

    fn become_receiver(&self, ring: &Ring<'_, Session<'_>>) -> Result<()> {
        let word = ring.word(at::RECEIVER);
        if lock::owner(word) == self.ring.participant.number {
            return Ok(());
        }
        if lock::try_lock(word, self.ring.participant.number, ring.memory).is_some() {
            begin(ring);
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
}

/// Says where this receiver begins.
fn begin(ring: &Ring<'_, Session<'_>>) {
    let tail = ring.word(at::TAIL).load(Ordering::Relaxed);
    ring.word(at::BEGUN).store(tail, Ordering::Release);
}

fn living_receiver(ring: &Ring<'_, Session<'_>>) -> u64 {
    let owner = lock::owner(ring.word(at::RECEIVER));
    if owner != 0 && ring.memory.is_alive(owner) { lock::held(owner) } else { 0 }
}
