//! Words of a mapping that other processes change too, reached with their faults contained.

use std::ops::Deref;
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use super::atomic::AtomicU64;
use super::blocks::Blocks;
use super::participant::Participant;
use super::{lock::World, ring::Memory};
use crate::error::{Error, Result};
use crate::lock_anyway::LockAnyway;
use crate::mapping::{Attachment, Mapping, Whereabouts};
use crate::options::Kind;
use crate::region::access::Access;
use crate::region::{Addresses, RegionKey};

/// A range of a shared mapping, and where that is in memory now.
pub(crate) struct SharedRange {
    offset: usize,
    length: usize,
    /// Most mappings never move: this is found without a lock.
    first: Place,
    moved: AtomicBool,
    later: Mutex<Option<Arc<Place>>>,
}

/// Where the range is in memory, or was before the mapping moved: users of the old
/// place may go on there.
pub(crate) struct Place {
    key: RegionKey,
    addresses: Addresses,
    /// Whether the mapping was closed.
    ended: Arc<AtomicBool>,
}

/// A place that stays while it is used.
pub(crate) enum Here<'a> {
    First(&'a Place),
    Later(Arc<Place>),
}

impl Deref for Here<'_> {
    type Target = Place;

    fn deref(&self) -> &Place {
        match self {
            Self::First(place) => place,
            Self::Later(place) => place,
        }
    }
}

impl Attachment for SharedRange {
    /// Finds the words where the mapping is now, if it still has them.
    fn follow(&self, to: Option<&Whereabouts>) {
        let Some(to) = to else { return };
        let here = self.place();
        let is_here = ptr::eq(here.key.region(), &raw const *to.region);
        if !is_here && self.offset + self.length <= to.length {
            let place = Place::new(to, self.offset, self.length, Arc::clone(&here.ended));
            *self.later() = Some(Arc::new(place));
            self.moved.store(true, Ordering::Release);
        }
    }
}

impl Place {
    /// Where the bytes at `offset` are in a mapping that is there.
    fn new(there: &Whereabouts, offset: usize, length: usize, ended: Arc<AtomicBool>) -> Self {
        let key = RegionKey::new(Arc::clone(&there.region));
        let addresses = there.addresses(&(offset..offset + length));
        Self { key, addresses, ended }
    }

    /// Begins to use the words. Faults are contained until the end, and told by `check`.
    pub fn enter(&self) -> Result<Words<'_>> {
        let access = Access::begin(self.key.region(), self.addresses.clone())?;
        let words = Words { addresses: &self.addresses, access };
        if self.ended.load(Ordering::Acquire) {
            return Err(Error::Closed);
        }
        Ok(words)
    }

    /// Whether the guard contains faults of code that is not ours.
    pub fn is_guarded(&self) -> bool {
        self.key.region().lock().can_fail()
    }
}

/// Where the `length` bytes at `offset` of a shared mapping are, which must be aligned in memory to `alignment`.
pub(crate) fn locate(
    mapping: &Mapping,
    offset: usize,
    length: usize,
    alignment: usize,
) -> Result<(Whereabouts, Addresses)> {
    let total = mapping.len();
    if offset.checked_add(length).is_none_or(|end| end > total) {
        return Err(Error::OutOfRange {
            name: "offset",
            requirement: "such that all of its bytes lie inside the mapping",
        });
    }
    let there = mapping.whereabouts()?;
    let is_shared = match mapping.kind() {
        Kind::Shared => true,
        Kind::Private => false,
        Kind::Anonymous => there.region.file().is_some(),
    };
    if !is_shared {
        return Err(Error::NotShared);
    }
    let addresses = there.addresses(&(offset..offset + length));
    if !addresses.start.is_multiple_of(alignment) {
        return Err(Error::OutOfRange {
            name: "offset",
            requirement: match alignment {
                4 => "a multiple of 4 in memory",
                8 => "a multiple of 8 in memory",
                _ => "a multiple of 64 in memory",
            },
        });
    }
    Ok((there, addresses))
}

impl SharedRange {
    /// The `length` bytes at `offset`, which must be aligned in memory to `alignment`, and writable.
    pub fn new(mapping: &Mapping, offset: usize, length: usize, alignment: usize) -> Result<Self> {
        let (range, is_writable) = Self::to_read(mapping, offset, length, alignment)?;
        is_writable.then_some(range).ok_or(Error::NotWritable)
    }

    /// The same, also where they are not writable; and whether they are.
    pub fn to_read(
        mapping: &Mapping,
        offset: usize,
        length: usize,
        alignment: usize,
    ) -> Result<(Self, bool)> {
        let (there, addresses) = locate(mapping, offset, length, alignment)?;
        let ended = mapping.attached().ended();
        let place = Place { key: RegionKey::new(there.region), addresses, ended };
        let is_writable = place
            .key
            .region()
            .lock()
            .runs_in(place.addresses.0.clone())
            .all(|(_, protection)| protection.writable());
        let (moved, later) = (AtomicBool::new(false), Mutex::default());
        Ok((Self { offset, length, first: place, moved, later }, is_writable))
    }

    /// Where in the mapping it begins.
    pub fn offset(&self) -> usize {
        self.offset
    }

    /// Has the range follow the mapping when that moves.
    pub fn following(self, mapping: &Mapping) -> Arc<Self> {
        let range = Arc::new(self);
        mapping.attached().attach(&range);
        range.follow(mapping.whereabouts().ok().as_ref()); // where it has moved since
        range
    }

    /// Where it is now.
    pub fn place(&self) -> Here<'_> {
        let later = self.moved.load(Ordering::Acquire).then(|| self.later().clone()).flatten();
        later.map_or(Here::First(&self.first), Here::Later)
    }

    /// Uses the words.
    ///
    /// # Errors
    /// Those of `work`, unless a fault explains them; [`Error::Fault`], [`Error::Closed`].
    pub fn run<T>(&self, work: impl FnOnce(&Words<'_>) -> Result<T>) -> Result<T> {
        self.run_as(None, |session| work(&session.words))
    }

    /// The same, as a participant.
    pub fn run_as<T>(
        &self,
        participant: Option<&Participant>,
        work: impl FnOnce(&Session<'_>) -> Result<T>,
    ) -> Result<T> {
        let place = self.place();
        let session = Session { words: place.enter()?, participant };
        let result = work(&session);
        // A fault explains whatever else went wrong.
        session.words.check()?;
        result
    }

    fn later(&self) -> MutexGuard<'_, Option<Arc<Place>>> {
        self.later.lock_anyway()
    }
}

/// Where words are, and how much has happened in their mapping.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// The address of the first one.
    pub address: usize,
    /// Faults so far.
    pub faults: u64,
}

/// The words of a range, in use.
pub(crate) struct Words<'a> {
    addresses: &'a Addresses,
    access: Access<'a>,
}

impl Words<'_> {
    /// Address of the byte at `offset`; `length` bytes from there are inside the range.
    pub fn address(&self, offset: usize, length: usize) -> Option<usize> {
        let end = offset.checked_add(length)?;
        (end <= self.addresses.len()).then_some(self.addresses.start + offset)
    }

    /// The word at a multiple of eight inside the range.
    pub fn word(&self, offset: usize) -> &AtomicU64 {
        // Callers stay inside; what they read in shared memory must not take them out of it.
        debug_assert!(offset.is_multiple_of(8) && offset + 8 <= self.addresses.len());
        let offset = offset.min(self.addresses.len() - 8) & !7;
        let address = (self.addresses.start + offset) as *mut u64;
        // SAFETY: the word lies inside the range (which has 8 bytes, aligned, wherever words are
        // asked for), the place's key keeps the addresses from being unmapped as long as it lives,
        // and faults are contained while there are `Words`. Other processes change it by atomic
        // operations, or break their own promise: then the value is anything, which callers expect.
        unsafe { AtomicU64::from_ptr(address) }
    }

    /// `count` words from an offset on; none if they are not all inside the range.
    fn words(&self, offset: usize, count: usize) -> &[AtomicU64] {
        let length = count.checked_mul(8).filter(|_| offset.is_multiple_of(8));
        let Some(address) = length.and_then(|length| self.address(offset, length)) else {
            return &[];
        };
        // SAFETY: as for `word`, of words that all lie inside the range, which begins at a multiple of
        // eight (what is no multiple of it in memory has no words).
        unsafe { std::slice::from_raw_parts(address as *const AtomicU64, count) }
    }

    /// Where the words are, and how many faults there were when they were entered.
    pub fn mark(&self) -> Mark {
        Mark { address: self.addresses.start, faults: self.access.faults_before() }
    }

    /// Says whether everything since `enter` has reached the memory.
    ///
    /// # Errors
    /// [`Error::Fault`], [`Error::Closed`].
    pub fn check(&self) -> Result<()> {
        self.access.check()
    }
}

impl Drop for Words<'_> {
    fn drop(&mut self) {
        self.access.stop();
    }
}

/// The words of a range, in use by a participant; by none where they are only read.
pub(crate) struct Session<'a> {
    pub words: Words<'a>,
    pub participant: Option<&'a Participant>,
}

impl Blocks for Session<'_> {
    fn word(&self, offset: usize) -> &AtomicU64 {
        self.words.word(offset)
    }
    fn words(&self, offset: usize, count: usize) -> &[AtomicU64] {
        self.words.words(offset, count)
    }
}

impl World for Session<'_> {
    fn is_alive(&self, participant: u64) -> bool {
        self.participant.is_none_or(|own| own.is_alive(participant))
    }
    fn check(&self) -> Result<()> {
        self.words.check()
    }
}

impl Memory for Session<'_> {
    fn word(&self, offset: usize) -> &AtomicU64 {
        self.words.word(offset)
    }
}
