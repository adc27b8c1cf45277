//! Who takes part in a shared mapping, and who is gone.
//!
//! A party is a number of 61 random bits, and a lock that the operating system holds for it and
//! drops when the process ends, however it ends: before its parent has seen that, whatever process
//! gets its pid next, and in other containers too. See `docs/memory-model.md`.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::area::Words;
use super::park::Cancel;
use crate::error::{Error, Result};
use crate::mapping::Mapping;
use crate::os;

/// What a mapping keeps for the objects in it.
#[derive(Default)]
pub struct Attached {
    state: Mutex<State>,
    ended: Arc<AtomicBool>,
}

#[derive(Default)]
struct State {
    registry: Option<Arc<Registry>>,
    /// Who holds the mutexes that are locked through this mapping.
    party: Option<Arc<Party>>,
    waits: Vec<Weak<Cancel>>,
    /// What goes with the mapping when that moves.
    words: Vec<Weak<Words>>,
}

impl Attached {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the mapping was closed.
    pub(crate) fn ended(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.ended)
    }

    /// The party that locks the mapping's mutexes.
    pub(crate) fn party(&self, mapping: &Mapping) -> Result<Arc<Party>> {
        let mut state = self.state();
        if let Some(party) = &state.party {
            return Ok(Arc::clone(party));
        }
        let party = Arc::new(Party::join(state.registry(mapping)?)?);
        state.party = Some(Arc::clone(&party));
        Ok(party)
    }

    /// A party of its own.
    pub(crate) fn another(&self, mapping: &Mapping) -> Result<Party> {
        let registry = self.state().registry(mapping)?;
        Party::join(registry)
    }

    /// Has `close` end the wait that `cancel` belongs to.
    pub fn watch(&self, cancel: &Arc<Cancel>) {
        let mut state = self.state();
        if state.waits.len().is_power_of_two() {
            state.waits.retain(|wait| wait.strong_count() > 0);
        }
        state.waits.push(Arc::downgrade(cancel));
    }

    /// Has `follow` tell `words`.
    pub(crate) fn note(&self, words: &Arc<Words>) {
        let mut state = self.state();
        if state.words.len().is_power_of_two() {
            state.words.retain(|words| words.strong_count() > 0);
        }
        state.words.push(Arc::downgrade(words));
    }

    /// Has what is in the mapping found where that has moved, and ends the waits where it was.
    pub(crate) fn follow(&self, mapping: &Mapping) {
        let mut state = self.state();
        for wait in state.waits.drain(..).filter_map(|wait| wait.upgrade()) {
            wait.cancel();
        }
        for words in state.words.iter().filter_map(Weak::upgrade) {
            words.follow(mapping);
        }
    }

    /// Ends all waits, and gives up what is locked as if the process had died.
    pub(crate) fn end(&self) {
        self.ended.store(true, Ordering::Release);
        let State { waits, registry, .. } = std::mem::take(&mut *self.state());
        for wait in waits.iter().filter_map(Weak::upgrade) {
            wait.cancel();
        }
        if let Some(registry) = registry {
            registry.lock().take();
        }
    }
}

impl State {
    fn registry(&mut self, mapping: &Mapping) -> Result<Arc<Registry>> {
        if let Some(registry) = &self.registry {
            return Ok(Arc::clone(registry));
        }
        let file = mapping.file().ok_or(Error::NotShared)?;
        let members = Members { witness: os::Witness::of(&file)?, numbers: HashSet::new() };
        let registry = Arc::new(Registry(Mutex::new(Some(members))));
        self.registry = Some(Arc::clone(&registry));
        Ok(registry)
    }
}

/// The parties of one mapping in this process, until the mapping is closed.
struct Registry(Mutex<Option<Members>>);

struct Members {
    witness: os::Witness,
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
