//! Which participants a shared mapping has, and whether each is still alive.
//!
//! A participant is a number of 61 random bits, and a lock that the operating system holds for it. The
//! system drops the lock when the process ends, however it ends. That works even if the parent has not
//! noticed yet, if another process gets the same pid, and between containers. See `docs/memory-model.md`.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::SystemTime;

use super::readers::Hold;
use crate::error::{Error, Result};
use crate::lock_anyway::LockAnyway;
use crate::mapping::{Attachment, Mapping};
use crate::sys;

/// The participants of one mapping in this process.
struct Participants {
    registry: Arc<Registry>,
    /// The owner of the mutexes that are locked through this mapping.
    owner: Mutex<Option<Arc<Participant>>>,
}

impl Participants {
    fn of(mapping: &Mapping) -> Result<Arc<Self>> {
        mapping.attached().shared(|| {
            let opened = mapping.opened(&mapping.state())?.ok_or(Error::NotShared)?;
            let liveness = sys::Liveness::of(&opened.file)?;
            let members = Members { liveness, numbers: HashSet::new() };
            let registry = Arc::new(Registry(Mutex::new(Some(members))));
            Ok(Self { registry, owner: Mutex::default() })
        })
    }
}

impl Attachment for Participants {
    /// Abandons what is locked, as if the process had died.
    fn end(&self) {
        self.registry.lock().take();
    }
}

/// Which participants are alive, until the mapping is closed.
struct Registry(Mutex<Option<Members>>);

struct Members {
    liveness: sys::Liveness,
    /// Their numbers: the system does not tell a process of its own locks.
    numbers: HashSet<u64>,
}

impl Registry {
    fn lock(&self) -> MutexGuard<'_, Option<Members>> {
        self.0.lock_anyway()
    }
}

/// A participant, which can hold a lock or a message until this is dropped or its mapping closed.
pub(crate) struct Participant {
    registry: Arc<Registry>,
    pub number: u64,
    /// How it shares the locks that it has used, by their offset.
    holds: Mutex<HashMap<usize, Arc<Mutex<Hold>>>>,
}

/// Bits of a participant's number.
const BITS: u32 = 61;

impl Participant {
    /// The participant that locks the mutexes of `mapping`.
    pub fn of(mapping: &Mapping) -> Result<Arc<Self>> {
        let participants = Participants::of(mapping)?;
        let mut owner = participants.owner.lock_anyway();
        if let Some(owner) = &*owner {
            return Ok(Arc::clone(owner));
        }
        let participant = Arc::new(Self::join(Arc::clone(&participants.registry))?);
        Ok(Arc::clone(owner.insert(participant)))
    }

    /// A participant of its own.
    pub fn another(mapping: &Mapping) -> Result<Self> {
        Self::join(Arc::clone(&Participants::of(mapping)?.registry))
    }

    fn join(registry: Arc<Registry>) -> Result<Self> {
        for attempt in 0..16u32 {
            // The standard library's hasher has keys from the system's source of random numbers; those of a
            // process that was forked go on as its parent's and its siblings' do.
            let here_and_now = (attempt, std::process::id(), SystemTime::now());
            let number = RandomState::new().hash_one(here_and_now) >> (u64::BITS - BITS);
            let mut members = registry.lock();
            let Some(Members { liveness, numbers }) = &mut *members else {
                return Err(Error::Closed);
            };
            if number != 0 && liveness.claim(number)? {
                numbers.insert(number);
                drop(members);
                return Ok(Self { registry, number, holds: Mutex::default() });
            }
        }
        Err(Error::Busy(
            "another program has locked the whole file, so locks and channels cannot use it",
        ))
    }

    /// How it shares the lock at `offset`, which has so many slots.
    pub fn hold(&self, offset: usize, slots: usize) -> Arc<Mutex<Hold>> {
        let new = || Arc::new(Mutex::new(Hold::none(self.number, slots)));
        Arc::clone(self.holds.lock_anyway().entry(offset).or_insert_with(new))
    }

    /// Whether the participant of that number still exists, in any process; yes if that is unknown.
    pub fn is_alive(&self, number: u64) -> bool {
        self.registry.lock().as_ref().is_none_or(|Members { liveness, numbers }| {
            numbers.contains(&number) || (number >> BITS == 0 && liveness.is_claimed(number))
        })
    }
}

impl Drop for Participant {
    fn drop(&mut self) {
        if let Some(Members { liveness, numbers }) = &mut *self.registry.lock() {
            numbers.remove(&self.number);
            liveness.disclaim(self.number);
        }
    }
}
