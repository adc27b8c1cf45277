//! Messages in a ring of bytes: many senders, one receiver. `docs/channel.md` has the layout.
//!
//! A sender takes the lock, writes a header with its number, moves the head, and gives the lock
//! back. Then it fills the message in without the lock and commits it by one store. If it dies
//! before the head has moved, nothing has happened; after that the receiver finds its number in the
//! header, and skips the message once the sender is known to be dead.

use std::sync::atomic as local;
use std::time::Duration;

use super::atomic::{AtomicU64, Ordering};
use super::eventcount;
use super::lock::{self, World};
use super::park::{self, Patience, SLICE};
use super::spin::Spin;
use crate::error::{Error, Result};

/// Where the words of the head lie, each in a cache line of its own, and where the ring begins.
pub(crate) mod at {
    pub const MAGIC: usize = 0;
    pub const VERSION: usize = 8;
    pub const RING: usize = 16;
    pub const SENDERS: usize = 64;
    pub const HEAD: usize = 128;
    pub const TAIL: usize = 192;
    pub const RECEIVER: usize = 256;
    /// Of a channel; a queue has the next two.
    pub const BEGUN: usize = 264;
    pub const NEXT: usize = 264;
    pub const RETURNED: usize = 272;
    pub const FILLED: usize = 320;
    pub const EMPTIED: usize = 384;
    pub const MAKER: usize = 448;
    pub const DATA: usize = 512;
}

/// Bytes of a message's header: its state and owner, then its lengths.
pub(crate) const HEADER: usize = 16;
/// Bytes of the ring beyond its capacity, so that two messages of half of that always fit.
pub(crate) const SLACK: usize = 64;

/// The states of a message, in the lowest bits of its first word; above them is its owner.
pub(crate) const RESERVED: u64 = 1;
pub(crate) const COMMITTED: u64 = 2;
pub(crate) const SKIPPED: u64 = 3;
pub(crate) const STATE: u64 = 3;
/// In place of a message: nothing from here to the end of the ring.
pub(crate) const PADDING: u64 = 4;

/// Memory that holds a channel.
pub(crate) trait Memory: World {
    /// The word at an offset from the channel's start, which must be inside it and aligned.
    fn word(&self, offset: usize) -> &AtomicU64;
}

/// What one user of a ring has learned: about waits, and how far the other side had come when it was
/// last asked. Asking each time would bounce a cache line between two cores for each message.
pub(crate) struct Learned {
    pub lock: Spin,
    pub filled: Spin,
    emptied: Spin,
    /// The head that the receiver saw last.
    pub head: local::AtomicU64,
    /// The tail that the holder of the senders' lock saw last.
    tail: local::AtomicU64,
    /// Where the last message that this user has reserved ends.
    pub sent: local::AtomicU64,
}

impl Learned {
    pub const fn new() -> Self {
        Self {
            lock: Spin::new(),
            filled: Spin::new(),
            emptied: Spin::new(),
            head: local::AtomicU64::new(0),
            tail: local::AtomicU64::new(0),
            sent: local::AtomicU64::new(0),
        }
    }
}

/// A part of the ring, by its offset from the channel's start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Part {
    pub offset: usize,
    pub length: usize,
}

/// What a receiver sees first.
enum Next {
    Message {
        part: Part,
        end: u64,
    },
    /// A message that is not committed: its header, what stands there, and where it ends.
    Pending {
        offset: usize,
        header: u64,
        end: u64,
    },
    Nothing,
}

/// What stands somewhere in the ring: a message, or padding.
pub(crate) struct Found {
    /// Where it begins, from the start of the memory.
    pub offset: usize,
    pub header: u64,
    pub length: usize,
    /// The position where it ends.
    pub end: u64,
}

/// A ring of `size` bytes in `memory`; `me` is the participant that uses it.
pub(crate) struct Ring<'a, M> {
    pub memory: &'a M,
    pub size: usize,
    pub me: u64,
    pub learned: &'a Learned,
}

impl<M: Memory> Ring<'_, M> {
    pub fn word(&self, offset: usize) -> &AtomicU64 {
        self.memory.word(offset)
    }

    /// The word of the ring at a position in the stream of bytes.
    fn offset(&self, position: u64) -> usize {
        at::DATA + (position % self.size as u64) as usize
    }

    /// How many bytes of the ring follow an offset.
    fn room(&self, offset: usize) -> usize {
        at::DATA + self.size - offset
    }

    /// The positions of the tail and the head, if they can be true.
    pub fn span(&self) -> Result<(u64, u64)> {
        let tail = self.word(at::TAIL).load(Ordering::Acquire);
        let head = self.word(at::HEAD).load(Ordering::Acquire);
        self.filled(tail, head).map(|_| (tail, head)).ok_or_else(damaged)
    }

    /// How many bytes are between a tail and a head, if both can be true.
    pub fn filled(&self, tail: u64, head: u64) -> Option<usize> {
        let filled = head.wrapping_sub(tail);
        let plausible = filled <= self.size as u64 && (head | tail).is_multiple_of(8);
        plausible.then_some(filled as usize)
    }

    /// Looks whether the positions can be true.
    pub fn verify(&self) -> Result<()> {
        // While others use the channel, the two may not be of the same moment.
        let attempts = (0..100).map(|_| self.span().map(drop));
        attempts.reduce(Result::or).unwrap_or(Ok(()))
    }

    /// Whether there is room for a message; where it would be, and what must be padded before it.
    /// Only the holder of the senders' lock may ask.
    fn fits(&self, length: usize) -> Result<Option<(u64, usize)>> {
        let head = self.word(at::HEAD).load(Ordering::Acquire);
        let before = self.learned.tail.load(Ordering::Relaxed);
        if let Some(place) = self.filled(before, head).and_then(|n| self.place(length, head, n)) {
            return Ok(Some(place));
        }
        let (tail, head) = self.span()?;
        self.learned.tail.store(tail, Ordering::Relaxed);
        Ok(self.place(length, head, head.wrapping_sub(tail) as usize))
    }

    /// The place of a message at a head, with so many bytes filled before it.
    fn place(&self, length: usize, head: u64, filled: usize) -> Option<(u64, usize)> {
        let need = HEADER + length.next_multiple_of(8);
        let room = self.room(self.offset(head));
        let padding = if need > room { room } else { 0 };
        (padding + need <= self.size - filled).then_some((head, padding))
    }

    /// Takes the senders' lock; `false` if another sender has it, now or until the time is up.
    fn lock_senders(&self, patience: Option<&Patience<'_>>) -> Result<bool> {
        let (senders, spin) = (self.word(at::SENDERS), &self.learned.lock);
        let locked = lock::lock_or_try(senders, self.me, spin, patience, self.memory)?;
        Ok(locked.is_some())
    }

    /// Takes room for a message; `None` if there is none in time, or at once if `patience` has
    /// none. `length` must be at most half the capacity.
    pub fn reserve(&self, length: usize, patience: Option<&Patience<'_>>) -> Result<Option<Part>> {
        let senders = self.word(at::SENDERS);
        let has_turn = patience.is_some_and(Patience::take_turn);
        if !has_turn && !self.lock_senders(patience)? {
            return Ok(None);
        }
        // A sender that waits for room keeps the lock, so that a long message gets its turn.
        let place = match patience {
            Some(patience) => self.wait_for_room(length, patience),
            None => self.fits(length),
        };
        if place.is_err() && patience.is_some_and(Patience::keep_turn) {
            return place.map(|_| None);
        }
        let part = place.map(|place| place.map(|place| self.claim(length, place)));
        lock::unlock_after(senders, self.me, part, damaged)
    }

    fn claim(&self, length: usize, (mut head, padding): (u64, usize)) -> Part {
        if padding > 0 {
            self.word(self.offset(head)).store(PADDING, Ordering::Relaxed);
            head = head.wrapping_add(padding as u64);
        }
        let offset = self.offset(head);
        self.word(offset + 8).store(lengths(length, length), Ordering::Relaxed);
        self.word(offset).store(self.me << 2 | RESERVED, Ordering::Relaxed);
        let end = head.wrapping_add((HEADER + length.next_multiple_of(8)) as u64);
        self.word(at::HEAD).store(end, Ordering::Release);
        self.learned.sent.store(end, Ordering::Relaxed);
        Part { offset: offset + HEADER, length }
    }

    fn wait_for_room(
        &self,
        length: usize,
        patience: &Patience<'_>,
    ) -> Result<Option<(u64, usize)>> {
        if let Some(place) = self.fits(length)? {
            return Ok(Some(place));
        }
        self.wait(at::EMPTIED, &self.learned.emptied, patience, |round| {
            Ok(self.fits(length)?.ok_or_else(|| lock::slice(round.unwrap_or(0))))
        })
    }

    /// Calls `look` until it finds something, and sleeps on the event in between, each time for as long as
    /// `look` says at most. `look` is told how many times this has slept; `None` asks for a quick look.
    pub fn wait<T>(
        &self,
        event: usize,
        spin: &Spin,
        patience: &Patience<'_>,
        mut look: impl FnMut(Option<usize>) -> Result<std::result::Result<T, Duration>>,
    ) -> Result<Option<T>> {
        let seen = spin.until(|| look(None).map(std::result::Result::ok).transpose());
        if let Some(found) = seen {
            return found.map(Some);
        }
        for round in 0.. {
            let value = eventcount::prepare(self.word(event));
            let slice = match look(Some(round))? {
                Ok(found) => return Ok(Some(found)),
                Err(slice) => slice,
            };
            self.memory.check()?;
            if patience.is_over()? {
                break;
            }
            park::sleep(self.word(event), value, slice, patience)?;
            // Usually it is there now, and no one needs to be told to wake us.
            if let Ok(found) = look(None)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// Hands a message to the receiver, the first `length` bytes of it.
    pub fn commit(&self, part: Part, length: usize) -> Result<()> {
        let header = part.offset - HEADER;
        if length < part.length {
            self.word(header + 8).store(lengths(part.length, length), Ordering::Relaxed);
        }
        self.finish(header, COMMITTED)?;
        self.wake_receiver();
        Ok(())
    }

    /// Sends messages of the given lengths, which `fill` fills in, with none of others between them. Returns how
    /// many there was room for in time, or at once without `patience`.
    pub fn send_all(
        &self,
        lengths: impl Iterator<Item = usize>,
        patience: Option<&Patience<'_>>,
        fill: impl FnMut(usize, Part),
    ) -> Result<usize> {
        let senders = self.word(at::SENDERS);
        if !self.lock_senders(patience)? {
            return Ok(0);
        }
        let sent = self.send_locked(lengths, patience, fill);
        self.wake_receiver();
        lock::unlock_after(senders, self.me, sent, damaged)
    }

    fn send_locked(
        &self,
        lengths: impl Iterator<Item = usize>,
        patience: Option<&Patience<'_>>,
        mut fill: impl FnMut(usize, Part),
    ) -> Result<usize> {
        let mut sent = 0;
        for length in lengths {
            let mut place = self.fits(length)?;
            if let (None, Some(patience)) = (place, patience) {
                self.wake_receiver(); // or the receiver makes no room
                place = self.wait_for_room(length, patience)?;
            }
            let Some(place) = place else { break };
            let part = self.claim(length, place);
            fill(sent, part);
            self.finish(part.offset - HEADER, COMMITTED)?;
            sent += 1;
        }
        Ok(sent)
    }

    /// Gives the room of a message up.
    pub fn abandon(&self, part: Part) -> Result<()> {
        self.finish(part.offset - HEADER, SKIPPED)?;
        self.wake_receiver();
        Ok(())
    }

    fn finish(&self, header: usize, state: u64) -> Result<()> {
        let (from, to) = (self.me << 2 | RESERVED, self.me << 2 | state);
        self.word(header)
            .compare_exchange(from, to, Ordering::Release, Ordering::Relaxed)
            .map(drop)
            .map_err(|_| damaged())
    }

    /// The oldest message that is there, or the first from the position that `after` gives on, where messages
    /// before it are in use; `None` if there is none in time, or now if `patience` has none. It stays
    /// there until `release`. Only the receiver may ask.
    pub fn next(
        &self,
        after: impl Fn() -> Option<u64>,
        patience: Option<&Patience<'_>>,
    ) -> Result<Option<(Part, u64)>> {
        let Some(patience) = patience else {
            return Ok(self.look(after(), true)?.ok());
        };
        if let Ok(found) = self.look(after(), false)? {
            return Ok(Some(found));
        }
        // Asking whether a sender is alive is a system call: before each sleep, not in a spin.
        self.wait(at::FILLED, &self.learned.filled, patience, |round| {
            let found = self.look(after(), round.is_some())?;
            Ok(found.map_err(|slept| match slept {
                true => lock::slice(round.unwrap_or(0)),
                false => SLICE,
            }))
        })
    }

    /// Has a receiver look again that waits for a message.
    pub fn wake_receiver(&self) {
        eventcount::signal(self.word(at::FILLED));
    }

    /// The message that is there behind a position; `None` if there is none yet.
    pub fn peek(&self, after: u64) -> Result<Option<(Part, u64)>> {
        Ok(self.look(Some(after), false)?.ok())
    }

    /// The oldest message and where it ends, or whether one is on its way. Goes past messages that
    /// will never be complete; of those whose sender may be dead only if `ask`.
    fn look(
        &self,
        mut after: Option<u64>,
        ask: bool,
    ) -> Result<std::result::Result<(Part, u64), bool>> {
        // Each turn goes past at least one word of the ring.
        for _ in 0..=self.size / 8 {
            match self.first(&mut after)? {
                Next::Message { part, end } => return Ok(Ok((part, end))),
                Next::Nothing => return Ok(Err(false)),
                Next::Pending { offset, header, end } => {
                    if !ask || self.memory.is_alive(header >> 2) {
                        return Ok(Err(true));
                    }
                    if self.skip(offset, header) {
                        self.pass(&mut after, end);
                    }
                }
            }
        }
        Ok(Err(false))
    }

    /// Has a message skipped whose sender has died; `false` if it was committed before.
    pub fn skip(&self, offset: usize, header: u64) -> bool {
        let skipped = header & !STATE | SKIPPED;
        let order = (Ordering::Acquire, Ordering::Relaxed);
        self.word(offset).compare_exchange(header, skipped, order.0, order.1).is_ok()
    }

    /// Goes past what will never be a message. Its room goes back with that of what is before it.
    fn pass(&self, after: &mut Option<u64>, end: u64) {
        match after {
            Some(after) => *after = end,
            None => self.release(end),
        }
    }

    /// The tail, or where to begin instead, and how many bytes are known to be filled behind it: none
    /// only if there are none.
    fn received(&self, after: Option<u64>) -> Result<(u64, usize)> {
        let start = after.unwrap_or_else(|| self.word(at::TAIL).load(Ordering::Acquire));
        let before = self.learned.head.load(Ordering::Relaxed);
        if let Some(filled) = self.filled(start, before).filter(|filled| *filled > 0) {
            return Ok((start, filled));
        }
        let (tail, head) = self.span()?;
        self.learned.head.store(head, Ordering::Relaxed);
        let start = after.unwrap_or(tail);
        Ok((start, self.filled(start, head).ok_or_else(damaged)?))
    }

    /// What stands first, after padding and messages that were given up.
    fn first(&self, after: &mut Option<u64>) -> Result<Next> {
        for _ in 0..=self.size / 8 {
            let (start, filled) = self.received(*after)?;
            if filled == 0 {
                return Ok(Next::Nothing);
            }
            let Found { offset, header, length, end } = self.at(start, filled)?;
            match header & STATE {
                _ if header == PADDING => self.pass(after, end),
                COMMITTED => {
                    let part = Part { offset: offset + HEADER, length };
                    return Ok(Next::Message { part, end });
                }
                RESERVED => return Ok(Next::Pending { offset, header, end }),
                SKIPPED => self.pass(after, end),
                _ => return Err(damaged()),
            }
        }
        Err(damaged())
    }

    /// What stands at a position, behind which so many bytes are filled.
    pub fn at(&self, position: u64, filled: usize) -> Result<Found> {
        let offset = self.offset(position);
        let room = self.room(offset).min(filled);
        let header = self.word(offset).load(Ordering::Acquire);
        if header == PADDING && room == self.room(offset) {
            return Ok(Found {
                offset,
                header,
                length: 0,
                end: position.wrapping_add(room as u64),
            });
        }
        if room < HEADER || header == PADDING {
            return Err(damaged());
        }
        let lengths = self.word(offset + 8).load(Ordering::Relaxed);
        let (reserved, length) = (lengths as u32 as usize, (lengths >> 32) as usize);
        if reserved > room - HEADER || length > reserved {
            return Err(damaged());
        }
        let size = HEADER + reserved.next_multiple_of(8); // as `room` is one of eight, too
        Ok(Found { offset, header, length, end: position.wrapping_add(size as u64) })
    }

    /// Gives the room of everything before a position back to the senders. Senders that wait for
    /// room are woken when it is worth it: for an eighth of the ring, or when the ring is empty.
    pub fn release(&self, end: u64) {
        let before = self.word(at::TAIL).load(Ordering::Relaxed);
        self.word(at::TAIL).store(end, Ordering::Release);
        let is_last = || {
            self.learned.head.load(Ordering::Relaxed) == end
                && self.word(at::HEAD).load(Ordering::Relaxed) == end
        };
        if self.passes_eighth(before, end) || is_last() {
            eventcount::signal(self.word(at::EMPTIED));
        }
    }

    /// Whether a tail that goes from one position to another passes an eighth of the ring.
    pub fn passes_eighth(&self, before: u64, end: u64) -> bool {
        let eighth = self.size as u64 / 8;
        before / eighth != end / eighth
    }
}

fn lengths(reserved: usize, length: usize) -> u64 {
    (length as u64) << 32 | reserved as u64
}

pub(crate) fn damaged() -> Error {
    Error::Invalid("the channel is damaged: something else has written to its memory")
}
