//! Who takes part in a shared mapping, and who is gone.
//!
//! A party is a number of 61 random bits, and a lock that the operating system holds for it and
//! drops when the process ends, however it ends: before its parent has seen that, whatever process
//! gets its pid next, and in other containers too. See `docs/memory-model.md`.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::error::{Error, Result};
use crate::mapping::{Attachment, Mapping};
use crate::sys;

/// The parties of one mapping in this process.
struct Parties {
    registry: Arc<Registry>,
    /// Who holds the mutexes that are locked through this mapping.
    owner: Mutex<Option<Arc<Party>>>,
}

impl Parties {
    fn of(mapping: &Mapping) -> Result<Arc<Self>> {
        mapping.attached().shared(|| {
            let file = mapping.file().ok_or(Error::NotShared)?;
            let members = Members { witness: sys::Witness::of(&file)?, numbers: HashSet::new() };
            let registry = Arc::new(Registry(Mutex::new(Some(members))));
            Ok(Self { registry, owner: Mutex::default() })
        })
    }
}

impl Attachment for Parties {
    /// Gives up what is locked, as if the process had died.
    fn end(&self) {
        self.registry.lock().take();
    }
}

/// Who is alive, until the mapping is closed.
struct Registry(Mutex<Option<Members>>);

struct Members {
    witness: sys::Witness,
    /// Their numbers: the system does not tell us of locks that we hold ourselves.
    numbers: HashSet<u64>,
}

impl Registry {
    fn lock(&self) -> MutexGuard<'_, Option<Members>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Somebody who can hold a lock or a message, until this is dropped or its mapping closed.
pub(crate) struct Party {
    registry: Arc<Registry>,
    pub number: u64,
}

/// Bits of a party's number.
const BITS: u32 = 61;

impl Party {
    /// The party that locks the mutexes of `mapping`.
    pub fn of(mapping: &Mapping) -> Result<Arc<Self>> {
        let parties = Parties::of(mapping)?;
        let mut owner = parties.owner.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(owner) = &*owner {
            return Ok(Arc::clone(owner));
        }
        let party = Arc::new(Self::join(Arc::clone(&parties.registry))?);
        Ok(Arc::clone(owner.insert(party)))
    }

    /// A party of its own.
    pub fn another(mapping: &Mapping) -> Result<Self> {
        Self::join(Arc::clone(&Parties::of(mapping)?.registry))
    }

    fn join(registry: Arc<Registry>) -> Result<Self> {
        for attempt in 0..16u32 {
            // The standard library's hasher has keys from the system's source of random numbers.
            let number = RandomState::new().hash_one(attempt) >> (u64::BITS - BITS);
            let mut members = registry.lock();
            let Some(Members { witness, numbers }) = &mut *members else {
                return Err(Error::Closed);
            };
            if number != 0 && witness.claim(number)? {
                numbers.insert(number);
                drop(members);
                return Ok(Self { registry, number });
            }
        }
        Err(Error::Busy("another program has locked the whole file, so that nobody can join"))
    }

    /// Whether the party of that number exists still, in any process; yes where that is not known.
    pub fn is_alive(&self, number: u64) -> bool {
        self.registry.lock().as_ref().is_none_or(|Members { witness, numbers }| {
            numbers.contains(&number) || (number >> BITS == 0 && witness.is_claimed(number))
        })
    }
}

impl Drop for Party {
    fn drop(&mut self) {
        if let Some(Members { witness, numbers }) = &mut *self.registry.lock() {
            numbers.remove(&self.number);
            witness.disclaim(self.number);
        }
    }
}
