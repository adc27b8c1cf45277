//! Words of a mapping that other processes change too, reached with their faults contained.

use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use super::atomic::AtomicU64;
use super::party::Party;
use super::{lock::World, ring::Memory};
use crate::error::{Error, Result};
use crate::mapping::{Kind, Mapping};
use crate::region::RegionKey;
use crate::watched::Watch;

/// A range of a shared mapping.
pub(crate) struct Area {
    words: Arc<Words>,
    token: u64,
    /// Whether the mapping was closed.
    ended: Arc<AtomicBool>,
}

/// Where in the mapping the range is, and where that was in memory, and is.
pub(crate) struct Words {
    offset: usize,
    length: usize,
    first: Place,
}

/// Where the range is in memory, or was before the mapping moved. Who is using it there may go on:
/// the addresses stay.
struct Place {
    key: RegionKey,
    start: usize,
    next: OnceLock<Box<Place>>,
}

impl Words {
    fn place(&self) -> &Place {
        let mut place = &self.first;
        while let Some(next) = place.next.get() {
            place = next;
        }
        place
    }

    /// Finds the words where the mapping is now, unless it has them no more.
    pub fn follow(&self, mapping: &Mapping) {
        let Ok(key) = mapping.key() else { return };
        let place = self.place();
        let is_inside = self.offset + self.length <= mapping.len();
        if is_inside && !ptr::eq(key.region(), place.key.region()) {
            let _ = place.next.set(Box::new(Place::new(mapping, key, self.offset)));
        }
    }
}

impl Place {
    fn new(mapping: &Mapping, key: RegionKey, offset: usize) -> Self {
        let start = key.start() + mapping.lead() + offset;
        Self { key, start, next: OnceLock::new() }
    }
}

impl Area {
    /// The `length` bytes at `offset`, which must be aligned in memory to `alignment`.
    pub fn new(
        mapping: &Mapping,
        offset: usize,
        length: usize,
        alignment: usize,
        writable: bool,
    ) -> Result<Self> {
        let total = mapping.len();
        if offset.checked_add(length).is_none_or(|end| end > total) {
            return Err(Error::OutOfRange {
                name: "byteOffset",
                requirement: "so that all bytes of it lie inside the mapping",
            });
        }
        if mapping.kind() == Kind::Private || (mapping.file().is_none() && !mapping.is_closed()) {
            return Err(Error::NotShared);
        }
        let first = Place::new(mapping, mapping.key()?, offset);
        let start = first.start;
        if !start.is_multiple_of(alignment) {
            return Err(Error::OutOfRange {
                name: "byteOffset",
                requirement: "aligned in memory: to 4 bytes, or 8 for a mutex, or 64 for a channel",
            });
        }
        let ended = mapping.attached().ended();
        let forbidden = first
            .key
            .region()
            .lock()
            .runs_in(start..start + length)
            .any(|(_, protection)| writable && !protection.writable());
        if forbidden {
            return Err(Error::NotWritable);
        }
        let words = Arc::new(Words { offset, length, first });
        Ok(Self { words, token: mapping.token(), ended })
    }

    /// Goes with the mapping when that moves.
    pub fn following(self, mapping: &Mapping) -> Self {
        mapping.attached().note(&self.words);
        self.words.follow(mapping); // where it has moved since
        self
    }

    /// Begins to use the words. Faults are contained until the end, and told by `check`.
    pub fn enter(&self) -> Result<Access<'_>> {
        let (place, length) = (self.words.place(), self.words.length);
        let range = place.start..place.start + length;
        let watch = Watch::begin(place.key.region(), self.token, range)?;
        let access = Access { start: place.start, length, watch };
        if self.ended.load(Ordering::Acquire) {
            return Err(Error::Closed);
        }
        Ok(access)
    }
}

/// The words of an area, in use.
pub(crate) struct Access<'a> {
    start: usize,
    length: usize,
    watch: Watch<'a>,
}

impl Access<'_> {
    /// Address of the byte at `offset`; `length` bytes from there are inside the area.
    pub fn address(&self, offset: usize, length: usize) -> Option<usize> {
        let end = offset.checked_add(length)?;
        (end <= self.length).then_some(self.start + offset)
    }

    /// The word at a multiple of eight inside the area.
    pub fn word(&self, offset: usize) -> &AtomicU64 {
        // Callers stay inside; what they read in shared memory must not take them out of it.
        debug_assert!(offset.is_multiple_of(8) && offset + 8 <= self.length);
        let offset = offset.min(self.length - 8) & !7;
        let address = (self.start + offset) as *mut u64;
        // SAFETY: the word lies inside the area (which has 8 bytes, aligned, wherever words are
        // asked for), the key keeps the addresses from being unmapped as long as the area lives,
        // and faults are contained while there is an `Access`. Other processes change it by atomic
        // operations, or break their own promise: then the value is anything, which callers expect.
        unsafe { AtomicU64::from_ptr(address) }
    }

    /// Says whether everything since `enter` has reached the memory.
    ///
    /// # Errors
    /// [`Error::Fault`], [`Error::Closed`].
    pub fn check(&self) -> Result<()> {
        self.watch.check()
    }
}

impl Drop for Access<'_> {
    fn drop(&mut self) {
        self.watch.leave();
    }
}

/// The words of an area, in use by a party.
pub(crate) struct Session<'a> {
    pub access: Access<'a>,
    pub party: &'a Party,
}

impl World for Session<'_> {
    fn is_alive(&self, party: u64) -> bool {
        self.party.is_alive(party)
    }
    fn check(&self) -> Result<()> {
        self.access.check()
    }
}

impl Memory for Session<'_> {
    fn word(&self, offset: usize) -> &AtomicU64 {
        self.access.word(offset)
    }
}
