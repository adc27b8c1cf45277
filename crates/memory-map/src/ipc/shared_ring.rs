//! A ring in a mapping, with its head: what channels and queues are made of.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::batch;
use super::head::{self, Kind, SMALLEST};
use super::park::Patience;
use super::participant::Participant;
use super::ring::{Learned, Part, Ring, SLACK, at};
use super::shared_range::{Session, SharedRange};
use crate::error::{Error, Result};
use crate::mapping::Mapping;

/// How long another process may take to make a ring that this one wants too.
const MAKING: Duration = Duration::from_secs(5);

pub(crate) struct SharedRing {
    range: Arc<SharedRange>,
    size: usize,
    pub participant: Participant,
    learned: Learned,
}

impl SharedRing {
    /// Makes one of the `length` bytes at `offset`, whatever they hold.
    pub fn create(mapping: &Mapping, offset: usize, length: usize, kind: &Kind) -> Result<Self> {
        // First what can fail: what is there stays then.
        let new = Self::tie(mapping, offset, length, ring_of(length)?)?;
        new.run(|ring| {
            head::make(ring.memory, kind, ring.size as u64, ring.me, &Patience::of(MAKING))
        })?;
        Ok(new)
    }

    /// Opens the one at `offset`, or makes one of `length` bytes where the memory is zero.
    pub fn open_or_create(
        mapping: &Mapping,
        offset: usize,
        length: usize,
        kind: &Kind,
    ) -> Result<Self> {
        let new = Self::tie(mapping, offset, length, ring_of(length)?)?;
        let found = new.run(|ring| {
            let patience = Patience::of(MAKING);
            head::look_or_make(ring.memory, kind, ring.size as u64, ring.me, &patience)
        })?;
        if found == new.size as u64 { Ok(new) } else { Self::open(mapping, offset, kind) }
    }

    /// Opens the one at `offset`.
    pub fn open(mapping: &Mapping, offset: usize, kind: &Kind) -> Result<Self> {
        let head = Self::head(mapping, offset, kind)?;
        let size = head.run(|ring| head::look(ring.memory, kind))?;
        let size = size.ok_or(Error::Invalid(kind.none))?;
        let room = mapping.len().saturating_sub(offset).saturating_sub(at::DATA);
        let size = match usize::try_from(size).ok().filter(|size| *size <= room) {
            Some(size) if size >= SMALLEST && size.is_multiple_of(64) => size,
            Some(_) => return Err(Error::Invalid(kind.impossible)),
            None => return Err(Error::Invalid(kind.short)),
        };
        // The mapping may become shorter, and have all of it still.
        let range = SharedRange::new(mapping, offset, at::DATA + size, 64)?;
        let found = Self { range: range.following(mapping), size, ..head };
        found.run(|ring| ring.verify())?;
        Ok(found)
    }

    /// Waits until `open` finds one; `false` if the time is up first.
    pub fn wait_for(
        mapping: &Mapping,
        offset: usize,
        kind: &Kind,
        patience: &Patience<'_>,
    ) -> Result<bool> {
        let head = Self::head(mapping, offset, kind)?;
        head.run(|ring| head::wait(ring.memory, kind, patience))
    }

    /// A head without a ring.
    fn head(mapping: &Mapping, offset: usize, kind: &Kind) -> Result<Self> {
        little_endian()?;
        if mapping.len().saturating_sub(offset) < at::DATA {
            return Err(Error::Invalid(kind.none));
        }
        Self::tie(mapping, offset, at::DATA, 0)
    }

    fn tie(mapping: &Mapping, offset: usize, length: usize, size: usize) -> Result<Self> {
        let range = SharedRange::new(mapping, offset, length, 64)?;
        let participant = Participant::another(mapping)?;
        let range = range.following(mapping);
        Ok(Self { range, size, participant, learned: Learned::new() })
    }

    /// Where in the mapping it begins.
    pub fn offset(&self) -> usize {
        self.range.offset()
    }

    /// Bytes that messages and their headers share.
    pub fn capacity(&self) -> usize {
        self.size - SLACK
    }

    /// Where the message ends that this has reserved last.
    pub fn sent(&self) -> u64 {
        self.learned.sent.load(Ordering::Relaxed)
    }

    /// Bytes of the longest message: half the capacity.
    pub fn max_length(&self) -> usize {
        (self.capacity() / 2).min(u32::MAX as usize)
    }

    /// Sends a message, with so many zeros before its bytes; `false` if there is no room for it in time.
    pub fn send<const ZEROS: usize>(
        &self,
        bytes: &[u8],
        patience: Option<&Patience<'_>>,
    ) -> Result<bool> {
        self.run(|ring| {
            let Some(part) = ring.reserve(ZEROS + bytes.len(), patience)? else { return Ok(false) };
            fill::<ZEROS>(ring, part, bytes);
            ring.commit(part, part.length)?;
            Ok(true)
        })
    }

    /// Sends messages as `send` does, with none of others between them: they lie in `bytes` one behind
    /// the other, each up to its end in `ends`. How many there was room for in time.
    pub fn send_many<const ZEROS: usize>(
        &self,
        bytes: &[u8],
        ends: &[u32],
        patience: Option<&Patience<'_>>,
    ) -> Result<usize> {
        self.run(|ring| {
            let lengths = batch::messages(bytes, ends).map(|message| ZEROS + message.len());
            ring.send_all(lengths, patience, |index, part| {
                fill::<ZEROS>(ring, part, batch::message(bytes, ends, index));
            })
        })
    }

    pub fn run<T>(&self, work: impl FnOnce(&Ring<'_, Session<'_>>) -> Result<T>) -> Result<T> {
        self.run_or(work, |_, _| ())
    }

    /// The same; `undo` gets what the work came to, where a fault makes it an error.
    pub fn run_or<T>(
        &self,
        work: impl FnOnce(&Ring<'_, Session<'_>>) -> Result<T>,
        undo: impl FnOnce(&Ring<'_, Session<'_>>, T),
    ) -> Result<T> {
        let place = self.range.place();
        let session = Session { words: place.enter()?, participant: Some(&self.participant) };
        let ring = Ring {
            memory: &session,
            size: self.size,
            me: self.participant.number,
            learned: &self.learned,
        };
        let result = work(&ring);
        // A fault explains whatever else went wrong.
        if let Err(error) = session.words.check() {
            if let Ok(done) = result {
                undo(&ring, done);
            }
            return Err(error);
        }
        result
    }
}

/// Fills a message in that is not committed: so many zeros, then the bytes.
fn fill<const ZEROS: usize>(ring: &Ring<'_, Session<'_>>, part: Part, bytes: &[u8]) {
    if ZEROS > 0 {
        copy_in(ring, Part { length: ZEROS, ..part }, &[0; ZEROS]);
    }
    let length = part.length.saturating_sub(ZEROS);
    copy_in(ring, Part { offset: part.offset + ZEROS, length }, bytes);
}

/// Copies bytes into a message that is not committed.
fn copy_in(ring: &Ring<'_, Session<'_>>, part: Part, bytes: &[u8]) {
    if let Some(to) = ring.memory.words.address(part.offset, part.length.min(bytes.len())) {
        // SAFETY: `to` has as many bytes, inside the range, whose faults are contained; `copy`
        // allows an overlap. No one should read them before the commit; a reader that does gets a
        // mixture of bytes.
        unsafe { std::ptr::copy(bytes.as_ptr(), to as *mut u8, part.length.min(bytes.len())) };
    }
}

/// Copies the first bytes of a message out, and fails where they could not be read.
pub(crate) fn copy_out(ring: &Ring<'_, Session<'_>>, part: Part, bytes: &mut [u8]) -> Result<()> {
    copy_unchecked(ring, part, bytes);
    ring.memory.words.check()
}

/// The same; whether they could be read is for the caller to ask.
pub(crate) fn copy_unchecked(ring: &Ring<'_, Session<'_>>, part: Part, bytes: &mut [u8]) {
    if let Some(from) = ring.memory.words.address(part.offset, bytes.len()) {
        // SAFETY: `from` has as many bytes, inside the range, whose faults are contained, and
        // `bytes` is not part of it, or else what arrives is a mixture; a sender who breaks the
        // rules changes it too. `copy` allows an overlap.
        unsafe { std::ptr::copy(from as *const u8, bytes.as_mut_ptr(), bytes.len()) };
    }
}

/// The bytes of the ring in `length` bytes.
fn ring_of(length: usize) -> Result<usize> {
    little_endian()?;
    let ring = length.checked_sub(at::DATA).map(|ring| ring & !63);
    ring.filter(|ring| *ring >= SMALLEST)
        .ok_or(Error::OutOfRange { name: "length", requirement: "at least 640 bytes" })
}

pub(crate) fn little_endian() -> Result<()> {
    if cfg!(target_endian = "little") {
        return Ok(());
    }
    Err(Error::Unsupported(
        "channels, queues and broadcasts are little-endian, and this processor is not",
    ))
}
