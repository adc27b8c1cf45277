//! Messages from many processes to many, each of which gets all. (Long: a third are examples.)

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use super::batch;
use super::borrowed::Borrowed;
use super::channel::{Message, Received};
use super::feed::{Cursor, Feed, PLACE, PLACES, SLACK, Spins, Taken, at, size_of};
use super::park::Patience;
use super::participant::Participant;
use super::shared_range::{Session, SharedRange};
use super::shared_ring::little_endian;
use crate::error::{Error, Result};
use crate::lock_anyway::LockAnyway;
use crate::mapping::Mapping;

const MAGIC: u64 = u64::from_le_bytes(*b"MMAPCAST");
const VERSION: u64 = 1;
/// Bytes of the smallest ring.
const SMALLEST: usize = 128;
/// How long a receiver waits to join, while a sender copies a message.
const JOIN: Duration = Duration::from_secs(10);

/// One user of a broadcast: it sends, and makes receivers.
///
/// Every method may be called from any thread.
///
/// ```
/// use memory_map::ipc::{Broadcast, From, Received};
/// use memory_map::{Mapping, Options};
///
/// let map = Mapping::anonymous(4096, true, &Options::default())?;
/// let broadcast = Broadcast::create(&map, 0, 4096, false)?;
/// let receivers = [broadcast.subscribe(&map, From::Now)?, broadcast.subscribe(&map, From::Now)?];
/// broadcast.send(b"hello", None)?;
/// let mut bytes = [0; 8];
/// for receiver in &receivers {
///     assert_eq!(receiver.receive_into(&mut bytes, None)?, Received::Copied(5));
/// }
/// # Ok::<(), memory_map::Error>(())
/// ```
pub struct Broadcast(Arc<Shared>);

struct Shared {
    range: Arc<SharedRange>,
    ring: usize,
    is_lossless: bool,
    /// Who sends, as the holder of the senders' lock; none if the mapping is not writable.
    participant: Option<Participant>,
    spins: Spins,
}

/// With which message a receiver begins.
///
/// ```
/// use memory_map::ipc::{Broadcast, From, Received};
/// use memory_map::{Mapping, Options};
///
/// let map = Mapping::anonymous(4096, true, &Options::default())?;
/// let broadcast = Broadcast::create(&map, 0, 4096, false)?;
/// broadcast.send(b"hello", None)?;
/// let (old, new) = (broadcast.subscribe(&map, From::Oldest)?, broadcast.subscribe(&map, From::Now)?);
/// assert_eq!(old.receive_into(&mut [0; 8], None)?, Received::Copied(5));
/// assert_eq!(new.receive_into(&mut [0; 8], None)?, Received::Nothing);
/// # Ok::<(), memory_map::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum From {
    /// The next one that is sent.
    Now,
    /// The oldest one that is still there.
    Oldest,
}

/// A receiver of all messages since it was made.
///
/// ```
/// use memory_map::ipc::{Broadcast, From};
/// use memory_map::{Mapping, Options};
///
/// let map = Mapping::anonymous(4096, true, &Options::default())?;
/// let broadcast = Broadcast::create(&map, 0, 704, false)?;
/// let receiver = broadcast.subscribe(&map, From::Now)?;
/// for _ in 0..100 {
///     broadcast.send(b"more than there is room for", None)?;
/// }
/// let mut received = 0;
/// while receiver.receive_into(&mut [0; 64], None)? != memory_map::ipc::Received::Nothing {
///     received += 1;
/// }
/// assert_eq!(received + receiver.lost(), 100);
/// # Ok::<(), memory_map::Error>(())
/// ```
pub struct Receiver {
    shared: Arc<Shared>,
    /// Who has the place in memory, where nothing may be lost.
    _participant: Option<Participant>,
    cursor: Mutex<Cursor>,
    /// Changes while `cursor` is locked.
    borrowed: Borrowed,
    closed: AtomicBool,
}

impl Broadcast {
    /// Makes a broadcast of the `length` bytes at `offset`, whatever they hold. Where it is lossless,
    /// senders wait for the slowest living receiver; else they write over what it has not received.
    ///
    /// # Errors
    /// As for [`crate::ipc::Mutex::new`]; [`Error::OutOfRange`] if that is too little.
    pub fn create(
        mapping: &Mapping,
        offset: usize,
        length: usize,
        is_lossless: bool,
    ) -> Result<Self> {
        little_endian()?;
        let ring = length.saturating_sub(data(is_lossless)) & !63;
        if ring < SMALLEST {
            let requirement = "at least 448 bytes, or 4544 if it is lossless";
            return Err(Error::OutOfRange { name: "length", requirement });
        }
        let range = SharedRange::new(mapping, offset, length, 64)?;
        // First what can fail: what is there stays then.
        let broadcast = Self::tie(mapping, range, ring, is_lossless, true)?;
        broadcast.0.run(|feed| {
            let word = |offset| feed.memory.words.word(offset);
            // Opening it now finds no broadcast. Receivers of the one that was here before must see
            // that they were overtaken.
            word(at::MAGIC).store(0, Ordering::SeqCst);
            let before = word(at::HEAD).load(Ordering::Relaxed) % (1 << 62);
            let start = (before / ring as u64 + 2) * ring as u64;
            for offset in (8..data(is_lossless)).step_by(8) {
                word(offset).store(0, Ordering::Relaxed);
            }
            word(at::VERSION).store(VERSION, Ordering::Relaxed);
            word(at::RING).store(ring as u64, Ordering::Relaxed);
            word(at::LOSSLESS).store(is_lossless.into(), Ordering::Relaxed);
            // The number of the message before the first.
            word(data(is_lossless) + ring - 8).store(0, Ordering::Relaxed);
            for position in [at::HEAD, at::TAIL, at::LAST] {
                word(position).store(start, Ordering::Relaxed);
            }
            word(at::MAGIC).store(MAGIC, Ordering::Release);
            Ok(())
        })?;
        Ok(broadcast)
    }

    /// Opens the broadcast at `offset`. If the mapping is not writable and receivers may lose messages, it
    /// can make receivers, which then look for messages every 10 ms while they wait; and nothing else.
    ///
    /// ```
    /// use memory_map::ipc::Broadcast;
    /// use memory_map::{Mapping, Options};
    ///
    /// let map = Mapping::anonymous(4096, true, &Options::default())?;
    /// let news = Broadcast::create(&map, 0, 4096, false)?;
    /// assert_eq!(Broadcast::open(&map, 0)?.capacity(), news.capacity());
    /// # Ok::<(), memory_map::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Invalid`] if there is none, or not all of it, or of another version; otherwise
    /// as for [`Broadcast::create`].
    pub fn open(mapping: &Mapping, offset: usize) -> Result<Self> {
        little_endian()?;
        let length = mapping.len().saturating_sub(offset);
        if length < at::PLACES {
            return Err(Error::Invalid("there is no broadcast: the mapping is too short for one"));
        }
        let (all, _) = SharedRange::to_read(mapping, offset, length, 64)?;
        let (ring, is_lossless) = {
            let place = all.place();
            let words = place.enter()?;
            let magic = words.word(at::MAGIC).load(Ordering::Acquire);
            let [version, ring, lossless] = [at::VERSION, at::RING, at::LOSSLESS]
                .map(|offset| words.word(offset).load(Ordering::Relaxed));
            words.check()?;
            if magic != MAGIC {
                return Err(Error::Invalid(
                    "there is no broadcast: `create` makes one, in the place of what is there",
                ));
            }
            if version != VERSION || lossless > 1 {
                return Err(Error::Invalid("the broadcast has another version of the layout"));
            }
            let room = length.saturating_sub(data(lossless == 1)) as u64;
            match usize::try_from(ring).ok().filter(|ring| *ring as u64 <= room) {
                Some(ring) if ring >= SMALLEST && ring.is_multiple_of(64) => (ring, lossless == 1),
                Some(_) => return Err(Error::Invalid("the broadcast has an impossible size")),
                None => return Err(Error::Invalid("the broadcast is cut short")),
            }
        };
        // The mapping may become shorter, and have all of the broadcast still.
        let length = data(is_lossless) + ring;
        let (range, is_writable) = SharedRange::to_read(mapping, offset, length, 64)?;
        if is_lossless && !is_writable {
            return Err(Error::NotWritable);
        }
        let broadcast = Self::tie(mapping, range, ring, is_lossless, is_writable)?;
        broadcast.0.run(|feed| feed.verify())?;
        Ok(broadcast)
    }

    fn tie(
        mapping: &Mapping,
        range: SharedRange,
        ring: usize,
        is_lossless: bool,
        is_writable: bool,
    ) -> Result<Self> {
        let participant = is_writable.then(|| Participant::another(mapping)).transpose()?;
        let range = range.following(mapping);
        Ok(Self(Arc::new(Shared { range, ring, is_lossless, participant, spins: Spins::new() })))
    }

    /// Bytes that messages share, with 16 more for each.
    pub fn capacity(&self) -> usize {
        self.0.ring - SLACK
    }

    /// Bytes of the longest message: half the capacity.
    pub fn max_length(&self) -> usize {
        (self.capacity() / 2).min(u32::MAX as usize)
    }

    /// Whether senders wait for the slowest receiver.
    pub fn is_lossless(&self) -> bool {
        self.0.is_lossless
    }

    /// Sends a message to all receivers. Without `patience` it does not wait; `false` if another sender
    /// was sending, or a receiver that must lose nothing had no room for it, until the time was up.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] for a length over [`Broadcast::max_length`]; [`Error::NotWritable`];
    /// [`Error::Invalid`] if the memory does not hold a broadcast any more; [`Error::Fault`],
    /// [`Error::Closed`], [`Error::Cancelled`].
    pub fn send(&self, bytes: &[u8], patience: Option<&Patience<'_>>) -> Result<bool> {
        self.send_all([bytes].into_iter(), patience).map(|sent| sent == 1)
    }

    /// Sends messages: they lie in `bytes` one behind the other, each up to its end in `ends`. How many
    /// there was room for in time. Receivers see those for which there is room at once all at once.
    ///
    /// ```
    /// use memory_map::ipc::{Broadcast, From, Received};
    /// use memory_map::{Mapping, Options};
    ///
    /// let map = Mapping::anonymous(4096, true, &Options::default())?;
    /// let broadcast = Broadcast::create(&map, 0, 4096, false)?;
    /// let receiver = broadcast.subscribe(&map, From::Now)?;
    /// assert_eq!(broadcast.send_many(b"onetwo", &[3, 6], None)?, 2);
    /// assert_eq!(receiver.receive_into(&mut [0; 8], None)?, Received::Copied(3));
    /// # Ok::<(), memory_map::Error>(())
    /// ```
    ///
    /// # Errors
    /// As for [`Broadcast::send`].
    pub fn send_many(
        &self,
        bytes: &[u8],
        ends: &[u32],
        patience: Option<&Patience<'_>>,
    ) -> Result<usize> {
        self.send_all(batch::messages(bytes, ends), patience)
    }

    fn send_all<'m>(
        &self,
        messages: impl Iterator<Item = &'m [u8]> + Clone,
        patience: Option<&Patience<'_>>,
    ) -> Result<usize> {
        if messages.clone().any(|message| message.len() > self.max_length()) {
            let requirement = "at most half the broadcast's capacity";
            return Err(Error::OutOfRange { name: "length", requirement });
        }
        if self.0.participant.is_none() {
            return Err(Error::NotWritable);
        }
        self.0.run(|feed| feed.send(messages, patience))
    }

    /// Makes a receiver.
    ///
    /// # Errors
    /// [`Error::Busy`] if it is lossless and has 64 receivers, or a sender is stopped in the middle of
    /// a message for seconds; otherwise as for [`Broadcast::send`].
    pub fn subscribe(&self, mapping: &Mapping, from: From) -> Result<Receiver> {
        let participant = self.0.is_lossless.then(|| Participant::another(mapping)).transpose()?;
        let number = participant.as_ref().map_or(0, |participant| participant.number);
        let patience = Patience::of(JOIN);
        let cursor = self.0.run(|feed| feed.join(from == From::Oldest, number, &patience))?;
        Ok(Receiver {
            shared: Arc::clone(&self.0),
            _participant: participant,
            cursor: Mutex::new(cursor),
            borrowed: Borrowed::default(),
            closed: AtomicBool::new(false),
        })
    }
}

impl Receiver {
    /// Receives the next message by copying it to the start of `bytes`, unless that is too short.
    /// Without `patience` it does not wait.
    ///
    /// # Errors
    /// [`Error::Busy`] while a message is borrowed; [`Error::Invalid`] if the memory does not hold a
    /// broadcast any more; [`Error::Fault`]; [`Error::Closed`], also after [`Receiver::close`];
    /// [`Error::Cancelled`].
    pub fn receive_into(
        &self,
        bytes: &mut [u8],
        patience: Option<&Patience<'_>>,
    ) -> Result<Received> {
        loop {
            let received = self.shared.run(|feed| {
                let mut cursor = self.cursor()?;
                if !self.borrowed.is_empty() {
                    return Err(Error::Busy("a message that was borrowed is not released"));
                }
                feed.take(&mut cursor, bytes)
            })?;
            match (received, patience) {
                (Taken::Copied(length), _) => return Ok(Received::Copied(length)),
                (Taken::TooLong(length), _) => return Ok(Received::TooLong(length)),
                (Taken::Nothing, None) => return Ok(Received::Nothing),
                (Taken::Nothing, Some(patience)) => {
                    if !self.wait_for_message(patience)? || patience.is_over()? {
                        return Ok(Received::Nothing);
                    }
                }
            }
        }
    }

    /// Receives messages by copying them to `bytes`, each at the next multiple of eight, and their ends
    /// to `ends`: those that are there, or the first that comes. [`Received::Copied`] says how many, and
    /// [`Received::TooLong`] how long the first is.
    ///
    /// ```
    /// use memory_map::ipc::{Broadcast, From, Received};
    /// use memory_map::{Mapping, Options};
    ///
    /// let map = Mapping::anonymous(4096, true, &Options::default())?;
    /// let broadcast = Broadcast::create(&map, 0, 4096, false)?;
    /// let receiver = broadcast.subscribe(&map, From::Now)?;
    /// broadcast.send_many(b"onetwo", &[3, 6], None)?;
    /// let (mut bytes, mut ends) = ([0; 64], [0; 8]);
    /// assert_eq!(receiver.receive_many_into(&mut bytes, &mut ends, None)?, Received::Copied(2));
    /// assert_eq!((&bytes[8..11], ends[1]), (&b"two"[..], 11));
    /// # Ok::<(), memory_map::Error>(())
    /// ```
    ///
    /// # Errors
    /// As for [`Receiver::receive_into`].
    pub fn receive_many_into(
        &self,
        bytes: &mut [u8],
        ends: &mut [u32],
        patience: Option<&Patience<'_>>,
    ) -> Result<Received> {
        let (mut count, mut start) = (0, 0);
        for end in ends {
            let Some(target) = bytes.get_mut(start..) else { break };
            match self.receive_into(target, patience.filter(|_| count == 0)) {
                Ok(Received::Copied(length)) => {
                    *end = (start + length) as u32;
                    start = (start + length).next_multiple_of(8);
                    count += 1;
                }
                // The next call says so.
                _ if count > 0 => break,
                other => return other,
            }
        }
        Ok(if count == 0 { Received::Nothing } else { Received::Copied(count) })
    }

    /// Receives a message and leaves it where it is, until [`Receiver::release`]: until then senders wait
    /// before it. The other receivers read the same bytes. Several can be borrowed at a time. Without
    /// `patience` it does not wait.
    ///
    /// ```
    /// use memory_map::ipc::{Broadcast, From};
    /// use memory_map::{Mapping, Options};
    ///
    /// let map = Mapping::anonymous(8192, true, &Options::default())?;
    /// let broadcast = Broadcast::create(&map, 0, 8192, true)?;
    /// let receiver = broadcast.subscribe(&map, From::Now)?;
    /// broadcast.send(b"hello", None)?;
    /// let message = receiver.borrow(None)?.unwrap();
    /// let mut bytes = [0; 5];
    /// map.read(message.offset(), &mut bytes)?;
    /// assert_eq!(&bytes, b"hello");
    /// receiver.release(message)?;
    /// # Ok::<(), memory_map::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Unsupported`] if the broadcast is not lossless: senders would write over the message;
    /// otherwise as for [`Receiver::receive_into`].
    pub fn borrow(&self, patience: Option<&Patience<'_>>) -> Result<Option<Message>> {
        if !self.shared.is_lossless {
            return Err(Error::Unsupported(
                "messages of a broadcast can be borrowed only if it is lossless: otherwise they are written over",
            ));
        }
        loop {
            if let Some(message) = self.try_borrow()? {
                return Ok(Some(message));
            }
            let Some(patience) = patience else { return Ok(None) };
            if !self.wait_for_message(patience)? || patience.is_over()? {
                return Ok(None);
            }
        }
    }

    fn try_borrow(&self) -> Result<Option<Message>> {
        let base = self.shared.range.offset();
        let mut found = None;
        let looked = self.shared.run(|feed| {
            let mut cursor = self.cursor()?;
            if let Some((part, end)) = feed.borrow(&mut cursor, self.borrowed.is_empty())? {
                self.borrowed.add(end);
                found = Some(Message { part, base, end });
            }
            Ok(())
        });
        if let Some(message) = found.take_if(|_| looked.is_err()) {
            self.put_back(message); // a fault
        }
        looked.map(|()| found)
    }

    /// Puts back the message that was borrowed last: it is received again. One that is not the last is as good as
    /// released.
    ///
    /// ```
    /// use memory_map::ipc::{Broadcast, From};
    /// use memory_map::{Mapping, Options};
    ///
    /// let map = Mapping::anonymous(8192, true, &Options::default())?;
    /// let broadcast = Broadcast::create(&map, 0, 8192, true)?;
    /// let receiver = broadcast.subscribe(&map, From::Now)?;
    /// broadcast.send(b"hello", None)?;
    /// let message = receiver.borrow(None)?.unwrap();
    /// receiver.put_back(message);
    /// assert_eq!(receiver.borrow(None)?.unwrap().length(), 5);
    /// # Ok::<(), memory_map::Error>(())
    /// ```
    pub fn put_back(&self, message: Message) {
        let mut cursor = self.cursor.lock_anyway();
        if cursor.position == message.end {
            self.borrowed.put_back(message.end);
            let start = message.end.wrapping_sub(size_of(message.length()) as u64);
            cursor.position = self.borrowed.end().unwrap_or(start);
            drop(cursor);
            let _ = self.shared.run(|feed| {
                feed.wake_receivers();
                Ok(())
            });
        } else {
            drop(cursor);
            let _ = self.release(message); // a fault, which the mapping tells
        }
    }

    /// Gives the room of a message back to senders, when that of those borrowed before it is.
    ///
    /// ```
    /// use memory_map::ipc::{Broadcast, From};
    /// use memory_map::{Mapping, Options};
    ///
    /// let map = Mapping::anonymous(8192, true, &Options::default())?;
    /// let broadcast = Broadcast::create(&map, 0, 8192, true)?;
    /// let receiver = broadcast.subscribe(&map, From::Now)?;
    /// while broadcast.send(b"hello", None)? {}
    /// let message = receiver.borrow(None)?.unwrap();
    /// assert!(!broadcast.send(b"hello", None)?);
    /// receiver.release(message)?;
    /// assert!(broadcast.send(b"hello", None)?);
    /// # Ok::<(), memory_map::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Fault`]; [`Error::Closed`], also after [`Receiver::close`], which releases all.
    pub fn release(&self, message: Message) -> Result<()> {
        let released = self.shared.run(|feed| {
            let cursor = self.cursor()?;
            self.borrowed.release(message.end, |end| feed.give_back(&cursor, end));
            Ok(())
        });
        if released.is_err() {
            self.borrowed.release(message.end, |_| {}); // a fault: its room goes back with that of the next
        }
        released
    }

    /// Waits until there is a message to receive, or to count as lost; `false` if the time is up first.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use memory_map::ipc::{Broadcast, From, Patience};
    /// use memory_map::{Mapping, Options};
    ///
    /// let map = Mapping::anonymous(4096, true, &Options::default())?;
    /// let broadcast = Broadcast::create(&map, 0, 4096, false)?;
    /// let receiver = broadcast.subscribe(&map, From::Now)?;
    /// assert!(!receiver.wait_for_message(&Patience::of(Duration::ZERO))?);
    /// broadcast.send(b"hello", None)?;
    /// assert!(receiver.wait_for_message(&Patience::FOREVER)?);
    /// # Ok::<(), memory_map::Error>(())
    /// ```
    ///
    /// # Errors
    /// As for [`Receiver::receive_into`].
    pub fn wait_for_message(&self, patience: &Patience<'_>) -> Result<bool> {
        drop(self.cursor()?);
        let position = || self.cursor.lock_anyway().position;
        self.shared.run(|feed| feed.wait(position, patience))
    }

    /// How many messages were lost: written over before this receiver had received them. It is known
    /// when the message after them is received.
    pub fn lost(&self) -> u64 {
        self.cursor.lock_anyway().lost
    }

    /// Stops receiving, and holds no sender back any more. What was borrowed is not to be used after it.
    ///
    /// ```
    /// use memory_map::ipc::{Broadcast, From};
    /// use memory_map::{Error, Mapping, Options};
    ///
    /// let map = Mapping::anonymous(8192, true, &Options::default())?;
    /// let broadcast = Broadcast::create(&map, 0, 8192, true)?;
    /// let receiver = broadcast.subscribe(&map, From::Now)?;
    /// while broadcast.send(b"hello", None)? {}
    /// receiver.close()?;
    /// assert!(broadcast.send(b"hello", None)?);
    /// assert_eq!(receiver.receive_into(&mut [0; 8], None), Err(Error::Closed));
    /// # Ok::<(), memory_map::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Fault`], [`Error::Closed`].
    pub fn close(&self) -> Result<()> {
        self.closed.store(true, Ordering::Release);
        self.shared.run(|feed| {
            feed.leave(&mut self.cursor.lock_anyway());
            Ok(())
        })
    }

    fn cursor(&self) -> Result<MutexGuard<'_, Cursor>> {
        if self.closed.load(Ordering::Acquire) {
            return Err(Error::Closed);
        }
        Ok(self.cursor.lock_anyway())
    }
}

impl Shared {
    fn run<T>(&self, work: impl FnOnce(&Feed<'_, Session<'_>>) -> Result<T>) -> Result<T> {
        self.range.run_as(self.participant.as_ref(), |session| {
            work(&Feed {
                memory: session,
                data: data(self.is_lossless),
                size: self.ring,
                me: self.participant.as_ref().map_or(0, |own| own.number),
                spins: &self.spins,
            })
        })
    }
}

/// Where the ring begins.
const fn data(is_lossless: bool) -> usize {
    at::PLACES + if is_lossless { PLACES * PLACE } else { 0 }
}
