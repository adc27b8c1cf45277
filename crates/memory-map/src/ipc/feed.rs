//! Messages in a ring of bytes, each for all receivers: many senders, many receivers.
//! `docs/broadcast.md` has the layout.
//!
//! A sender takes the lock, makes room by moving the tail, writes its message behind the head, and
//! publishes it by moving the head, which is one store. If it dies before that, nothing was sent. A
//! receiver copies a message and looks at the tail once more: if that has passed the message, others may
//! have been written over it, and what was copied is thrown away.
//!
//! Where nothing may be lost each receiver has a place in memory that says how far it has come, and the
//! tail does not pass the slowest of those that are alive.

use super::atomic::{AtomicU64, Ordering, fence};
use super::blocks::{Blocks, copy_out};
use super::eventcount;
use super::lock::{self, World};
use super::park::{self, LOOK, Patience, SLICE};
use super::ring::Part;
use super::spin::Spin;
use crate::error::{Error, Result};

/// Where the words of the head lie.
pub(crate) mod at {
    pub const MAGIC: usize = 0;
    pub const VERSION: usize = 8;
    pub const RING: usize = 16;
    pub const LOSSLESS: usize = 24;
    pub const SENDERS: usize = 64;
    pub const HEAD: usize = 128;
    pub const TAIL: usize = 136;
    pub const LAST: usize = 144;
    pub const FILLED: usize = 192;
    pub const EMPTIED: usize = 256;
    /// The places of receivers; the ring, where there are none.
    pub const PLACES: usize = 320;
}

/// How many receivers there may be where nothing is lost.
pub(crate) const PLACES: usize = 64;
/// Bytes of a receiver's place: who it is, and how far it has come.
pub(crate) const PLACE: usize = 64;

/// Bytes that a message takes besides its own: its length before them, and its number after them.
const AROUND: usize = 16;
/// Bytes of the ring beyond its capacity, so that two messages of half of that always fit.
pub(crate) const SLACK: usize = 64;
/// In place of a length: nothing from here to the end of the ring.
pub(crate) const PADDING: u64 = u64::MAX;

/// How often a receiver looks for a message that is not being written over.
const ATTEMPTS: usize = 100;

/// What the waits of one user have learned.
pub(crate) struct Spins {
    pub lock: Spin,
    pub filled: Spin,
    pub emptied: Spin,
}

impl Spins {
    pub const fn new() -> Self {
        Self { lock: Spin::new(), filled: Spin::new(), emptied: Spin::new() }
    }
}

/// Where a receiver is.
#[derive(Default, Clone, Copy)]
pub(crate) struct Cursor {
    pub position: u64,
    /// The number of the next message, if none is lost; 0 if that is not known.
    expected: u64,
    /// How many messages were lost.
    pub lost: u64,
    /// Its place in memory, and who it is there.
    pub place: Option<(usize, u64)>,
}

/// What a receiver gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Taken {
    Nothing,
    /// A message of so many bytes.
    Copied(usize),
    /// One for which the target is too short.
    TooLong(usize),
}

/// What stands at a position.
enum Look {
    Nothing,
    /// A message, or padding; where it ends.
    Message {
        length: usize,
        number: u64,
        end: u64,
    },
    Padding {
        end: u64,
    },
    Overtaken,
}

/// A ring of `size` bytes at `data` in `memory`; `me` is the participant that sends, or 0 where the
/// memory is only read.
pub(crate) struct Feed<'a, M> {
    pub memory: &'a M,
    pub data: usize,
    pub size: usize,
    pub me: u64,
    pub spins: &'a Spins,
}

/// Whether a position comes before another one.
pub(crate) fn is_before(one: u64, other: u64) -> bool {
    (one.wrapping_sub(other) as i64) < 0
}

pub(crate) fn size_of(length: usize) -> usize {
    AROUND + length.next_multiple_of(8)
}

impl<M: Blocks + World> Feed<'_, M> {
    pub fn word(&self, offset: usize) -> &AtomicU64 {
        self.memory.word(offset)
    }

    pub fn offset(&self, position: u64) -> usize {
        self.data + (position % self.size as u64) as usize
    }

    /// How many bytes of the ring follow an offset.
    pub fn rest(&self, offset: usize) -> usize {
        self.data + self.size - offset
    }

    fn max(&self) -> usize {
        (self.size - SLACK) / 2
    }

    pub fn is_lossless(&self) -> bool {
        self.data > at::PLACES
    }

    /// The tail and the head, of which only the holder of the senders' lock can be sure.
    pub fn span(&self) -> Result<(u64, u64)> {
        let tail = self.word(at::TAIL).load(Ordering::Acquire);
        let head = self.word(at::HEAD).load(Ordering::Acquire);
        let is_possible =
            head.wrapping_sub(tail) <= self.size as u64 && (head | tail).is_multiple_of(8);
        is_possible.then_some((tail, head)).ok_or_else(damaged)
    }

    /// The number of the message that ends at a position. It is not written over before the head is
    /// moved.
    pub fn number_before(&self, position: u64) -> u64 {
        self.word(self.offset(position.wrapping_sub(8))).load(Ordering::Relaxed)
    }

    /// Does `work` as the holder of the senders' lock; `None` if that is not to be had in time.
    pub fn alone<T>(
        &self,
        patience: Option<&Patience<'_>>,
        work: impl FnOnce() -> Result<T>,
    ) -> Result<Option<T>> {
        let (senders, spin) = (self.word(at::SENDERS), &self.spins.lock);
        // What a dead sender leaves is in order.
        if lock::lock_or_try(senders, self.me, spin, patience, self.memory)?.is_none() {
            return Ok(None);
        }
        lock::unlock_after(senders, self.me, work(), damaged).map(Some)
    }

    /// Where the message or padding at a position before the head ends, which has this header.
    pub fn after(&self, position: u64, header: u64, head: u64) -> Result<u64> {
        let offset = self.offset(position);
        let room = (self.rest(offset) as u64).min(head.wrapping_sub(position));
        let size = match header {
            PADDING => self.rest(offset) as u64,
            length if length <= self.max() as u64 => size_of(length as usize) as u64,
            _ => return Err(damaged()),
        };
        if size > room {
            return Err(damaged());
        }
        Ok(position.wrapping_add(size))
    }

    pub fn places(&self) -> impl Iterator<Item = (usize, u64)> {
        let count = (self.data - at::PLACES) / PLACE;
        let places = (0..count).map(|index| at::PLACES + index * PLACE);
        places.map(|place| (place, self.word(place).load(Ordering::Acquire)))
    }

    pub fn vacate(&self, place: usize, owner: u64) {
        let order = (Ordering::Release, Ordering::Relaxed);
        let _ = self.word(place).compare_exchange(owner, 0, order.0, order.1);
    }

    /// Where a receiver begins: at the oldest message, or after the newest.
    fn start(&self, oldest: bool) -> Result<Cursor> {
        for _ in 0..ATTEMPTS {
            let from = if oldest { at::TAIL } else { at::HEAD };
            let mut position = self.word(from).load(Ordering::Acquire);
            if !position.is_multiple_of(8) {
                return Err(damaged());
            }
            if !oldest {
                let expected = self.number_before(position).wrapping_add(1);
                fence(Ordering::Acquire);
                if self.word(at::HEAD).load(Ordering::Relaxed) == position {
                    return Ok(Cursor { position, expected, ..Cursor::default() });
                }
                continue;
            }
            if let Look::Padding { end } = self.look(position, &mut [])? {
                position = end;
            }
            let expected = match self.look(position, &mut [])? {
                Look::Message { number, .. } => number,
                Look::Nothing => self.number_before(position).wrapping_add(1),
                _ => continue,
            };
            return Ok(Cursor { position, expected, ..Cursor::default() });
        }
        // Senders are fast: what is lost is counted from the first message on.
        let position = self.word(at::HEAD).load(Ordering::Acquire);
        Ok(Cursor { position, ..Cursor::default() })
    }

    /// Lets a receiver begin. Where nothing may be lost, it gets a place as the participant `receiver`.
    ///
    /// # Errors
    /// [`Error::Busy`] if there is no place, or a sender keeps the lock until `patience` is over.
    pub fn join(&self, oldest: bool, receiver: u64, patience: &Patience<'_>) -> Result<Cursor> {
        if !self.is_lossless() {
            return self.start(oldest);
        }
        let joined = self.alone(Some(patience), || {
            let free = self.places().find(|(place, owner)| {
                let is_dead = *owner != 0 && !self.memory.is_alive(*owner);
                if is_dead {
                    self.vacate(*place, *owner);
                }
                *owner == 0 || is_dead
            });
            let Some((place, _)) = free else {
                return Err(Error::Busy("there are 64 receivers, the most that can be"));
            };
            let cursor = self.start(oldest)?;
            self.word(place + 8).store(cursor.position, Ordering::Relaxed);
            self.word(place).store(receiver, Ordering::Release);
            Ok(Cursor { place: Some((place, receiver)), ..cursor })
        })?;
        joined.ok_or(Error::Busy("a sender is stopped in the middle of a message"))
    }

    /// Gives a receiver's place up.
    pub fn leave(&self, cursor: &mut Cursor) {
        if let Some((place, receiver)) = cursor.place.take() {
            self.vacate(place, receiver);
            eventcount::signal(self.word(at::EMPTIED));
        }
    }

    /// Copies the next message to the start of `target`, unless that is too short, and goes past it.
    pub fn take(&self, cursor: &mut Cursor, target: &mut [u8]) -> Result<Taken> {
        let mut overtaken = 0;
        for _ in 0..ATTEMPTS {
            match self.look(cursor.position, target)? {
                Look::Nothing => break,
                Look::Padding { end } => cursor.position = end,
                Look::Overtaken => {
                    cursor.position = self.rejoin(overtaken);
                    overtaken += 1;
                }
                Look::Message { length, .. } if length > target.len() => {
                    return Ok(Taken::TooLong(length));
                }
                Look::Message { length, number, end } => {
                    let lost = number.wrapping_sub(cursor.expected);
                    if cursor.expected != 0 && lost < 1 << 53 {
                        cursor.lost = cursor.lost.saturating_add(lost);
                    }
                    cursor.expected = number.wrapping_add(1);
                    cursor.position = end;
                    self.give_back(cursor, end);
                    return Ok(Taken::Copied(length));
                }
            }
        }
        Ok(Taken::Nothing)
    }

    /// Goes past the next message and leaves it in the ring: where it is, and where it ends. Nothing may be
    /// lost here: the place of the receiver in memory stays before it, until `give_back`. `is_first` says
    /// that nothing before it is still in use.
    pub fn borrow(&self, cursor: &mut Cursor, is_first: bool) -> Result<Option<(Part, u64)>> {
        for _ in 0..ATTEMPTS {
            let start = cursor.position;
            match self.look(start, &mut [])? {
                Look::Nothing => break,
                Look::Padding { end } => cursor.position = end,
                // Something else has stored to its place, and senders write where it reads.
                Look::Overtaken => return Err(damaged()),
                Look::Message { length, number, end } => {
                    if is_first {
                        self.give_back(cursor, start);
                    }
                    cursor.expected = number.wrapping_add(1);
                    cursor.position = end;
                    let part = Part { offset: self.offset(start) + 8, length };
                    return Ok(Some((part, end)));
                }
            }
        }
        Ok(None)
    }

    /// Where a receiver goes on that was overtaken: at the oldest message, or if it cannot even copy
    /// that one in time, at the newest.
    fn rejoin(&self, before: usize) -> u64 {
        let tail = self.word(at::TAIL).load(Ordering::Acquire);
        let head = self.word(at::HEAD).load(Ordering::Acquire);
        let last = self.word(at::LAST).load(Ordering::Relaxed);
        let is_there = !is_before(last, tail) && is_before(last, head);
        if before > 0 && is_there { last } else { tail }
    }

    /// Says in memory that a receiver is done with everything up to `end`. Senders that wait for room are
    /// woken when it is worth it: for an eighth of the ring, or when that is everything.
    pub fn give_back(&self, cursor: &Cursor, end: u64) {
        let Some((place, receiver)) = cursor.place else { return };
        if self.word(place).load(Ordering::Relaxed) != receiver {
            return; // something else has stored to it
        }
        let word = self.word(place + 8);
        let before = word.load(Ordering::Relaxed);
        word.store(end, Ordering::Release);
        let eighth = self.size as u64 / 8;
        if before / eighth != end / eighth || self.word(at::HEAD).load(Ordering::Relaxed) == end {
            eventcount::signal(self.word(at::EMPTIED));
        }
    }

    /// What stands at a position; copies a message to the start of `target`, unless that is too short.
    fn look(&self, position: u64, target: &mut [u8]) -> Result<Look> {
        let head = self.word(at::HEAD).load(Ordering::Acquire);
        if head == position {
            return Ok(Look::Nothing);
        }
        if is_before(position, self.word(at::TAIL).load(Ordering::Acquire)) {
            return Ok(Look::Overtaken);
        }
        if head.wrapping_sub(position) > self.size as u64 || !(head | position).is_multiple_of(8) {
            return Err(damaged());
        }
        let offset = self.offset(position);
        let header = self.word(offset).load(Ordering::Relaxed);
        // What is found counts only if it has not been written over.
        let found = self.after(position, header, head).map(|end| {
            let length = header as usize;
            if header == PADDING {
                return Look::Padding { end };
            }
            if let Some(bytes) = target.get_mut(..length) {
                copy_out(self.memory, offset + 8, bytes);
            }
            Look::Message { length, number: self.number_before(end), end }
        });
        // All loads above come before the one below.
        fence(Ordering::Acquire);
        if is_before(position, self.word(at::TAIL).load(Ordering::Relaxed)) {
            return Ok(Look::Overtaken);
        }
        found
    }

    /// Waits until there is something behind the position that `position` gives, which is asked again before each sleep;
    /// `false` if the time is up first.
    pub fn wait(&self, position: impl Fn() -> u64, patience: &Patience<'_>) -> Result<bool> {
        let head = self.word(at::HEAD);
        let behind = |position| (head.load(Ordering::Acquire) != position).then_some(());
        let first = position();
        let there = || behind(first);
        if there().or_else(|| self.spins.filled.until(there)).is_some() {
            return Ok(true);
        }
        // A receiver that cannot write that it sleeps waits on the head itself.
        let may_write = self.me != 0;
        loop {
            let value = match may_write {
                true => eventcount::prepare(self.word(at::FILLED)),
                false => head.load(Ordering::SeqCst),
            };
            let is_there = behind(position()).is_some();
            self.memory.check()?;
            if is_there {
                return Ok(true);
            }
            if patience.is_over()? {
                return Ok(false);
            }
            match may_write {
                true => park::sleep(self.word(at::FILLED), value, SLICE, patience)?,
                false => park::sleep(head, value, LOOK, patience)?,
            }
        }
    }

    /// Has the receivers look again that wait for a message.
    pub fn wake_receivers(&self) {
        eventcount::signal(self.word(at::FILLED));
    }

    /// Looks whether the positions can be true.
    pub fn verify(&self) -> Result<()> {
        // While others send, the two may not be of the same moment.
        let attempts = (0..100).map(|_| self.span().map(drop));
        attempts.reduce(Result::or).unwrap_or(Ok(()))
    }
}

fn damaged() -> Error {
    Error::Invalid("the broadcast is damaged: something else has written to its memory")
}
