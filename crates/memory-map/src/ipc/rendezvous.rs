//! Parties that wait until all of them have come: words of a barrier.
//!
//! | offset | word                                                                                |
//! | ------ | ----------------------------------------------------------------------------------- |
//! | 0      | a lock, which whoever changes the others holds                                      |
//! | 8      | the generation (half a word, which is slept on), the parties, whether it is broken  |
//! | 16     | the generation that was broken last, and how many were                              |
//! | 24     | for each party that has come: its participant, and the generation's last three bits |
//!
//! A generation ends by one store, to the second word. What a killed owner of the lock has left half
//! done, the next owner finishes: it clears names of earlier generations, and completes a break that was
//! begun. A party that has come and died is found by its name.

use super::atomic::Ordering;
use super::lock::{self, Locked};
use super::park::{self, Patience};
use super::ring::Memory;
use super::spin::Spin;
use crate::error::{Error, Result};

const LOCK: usize = 0;
const STATE: usize = 8;
const BREAKS: usize = 16;
const NAMES: usize = 24;

/// Parties, at most.
pub(crate) const MOST: u32 = 64;
/// Bytes of the words.
pub(crate) const SIZE: usize = NAMES + 8 * MOST as usize;

/// What every barrier has in the upper bits of its second word, with the version of the layout.
const MARK: u64 = 0x2b41 << 49;
const MARKED: u64 = 0x7fff << 49;
const BROKEN: u64 = 1 << 48;

#[derive(Clone, Copy, PartialEq, Eq)]
struct State {
    generation: u32,
    parties: u32,
    broken: bool,
}

impl State {
    /// `None` before the first use.
    fn of(word: u64) -> Result<Option<Self>> {
        let (generation, parties) = (word as u32, (word >> 32) as u16);
        let parties = u32::from(parties);
        match word {
            0 => Ok(None),
            _ if word & MARKED == MARK && (1..=MOST).contains(&parties) => {
                Ok(Some(Self { generation, parties, broken: word & BROKEN != 0 }))
            }
            _ => Err(Error::Invalid("there is no barrier here, or something has overwritten it")),
        }
    }

    fn word(self) -> u64 {
        let broken = if self.broken { BROKEN } else { 0 };
        u64::from(self.generation) | u64::from(self.parties) << 32 | broken | MARK
    }

    fn next(self, broken: bool) -> Self {
        Self { generation: self.generation.wrapping_add(1), broken, ..self }
    }

    /// What a party of this generation has for its name.
    fn name(self, participant: u64) -> u64 {
        participant << 3 | u64::from(self.generation & 7)
    }

    /// The participant of a name of this generation.
    fn participant(self, name: u64) -> Option<u64> {
        let participant = name >> 3;
        (participant != 0 && self.name(participant) == name).then_some(participant)
    }
}

/// A party that has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Arrival {
    /// Which of the parties it is.
    pub index: u32,
    generation: u32,
    /// How many generations were broken by then.
    breaks: u32,
}

/// The barrier, as one of its parties has it.
pub(crate) struct Party<'a, M> {
    pub memory: &'a M,
    /// Its participant.
    pub me: u64,
    pub spin: &'a Spin,
}

impl<M: Memory> Party<'_, M> {
    /// Sets the number of parties, where it is not set.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] if it is another one; [`Error::Invalid`].
    pub fn prepare(&self, parties: Option<u32>) -> Result<()> {
        let word = self.memory.word(STATE);
        let fresh = parties.map(|parties| State { generation: 0, parties, broken: false });
        if let Some(fresh) = fresh {
            let (new, order) = (fresh.word(), Ordering::SeqCst);
            let _ = word.compare_exchange(0, new, order, order);
        }
        let known = State::of(word.load(Ordering::SeqCst))?;
        let agree = known.zip(fresh).is_none_or(|(known, fresh)| known.parties == fresh.parties);
        agree.then_some(()).ok_or(Error::OutOfRange {
            name: "parties",
            requirement: "the number that the barrier was first used with",
        })
    }

    fn state(&self) -> Result<State> {
        State::of(self.memory.word(STATE).load(Ordering::SeqCst))?
            .ok_or(Error::Invalid("nobody has said how many parties the barrier has"))
    }

    /// How many parties there are, how many of them wait, and whether it is broken; nothing before the first
    /// use.
    pub fn look(&self) -> Result<(u32, u32, bool)> {
        let state = State::of(self.memory.word(STATE).load(Ordering::SeqCst))?;
        Ok(state.map_or((0, 0, false), |state| {
            (state.parties, self.present(state).count() as u32, state.broken)
        }))
    }

    fn names(&self, state: State) -> impl Iterator<Item = (u32, u64)> {
        let name = |i: u32| self.memory.word(NAMES + 8 * i as usize).load(Ordering::SeqCst);
        (0..state.parties).map(move |i| (i, name(i)))
    }

    /// The participants that have come.
    fn present(&self, state: State) -> impl Iterator<Item = u64> {
        self.names(state).filter_map(move |(_, name)| state.participant(name))
    }

    fn is_missed(&self, state: State) -> bool {
        self.present(state).any(|participant| !self.memory.is_alive(participant))
    }

    fn rename(&self, index: u32, name: u64) {
        self.memory.word(NAMES + 8 * index as usize).store(name, Ordering::SeqCst);
    }

    /// Runs `work` with the lock.
    fn locked<T>(
        &self,
        patience: &Patience<'_>,
        work: impl FnOnce(State) -> Result<T>,
    ) -> Result<T> {
        let lock = self.memory.word(LOCK);
        let how = loop {
            let locked = lock::lock(lock, self.me, self.spin, patience, self.memory);
            if let Some(how) = locked.inspect_err(|_| _ = patience.keep_turn())? {
                break how;
            }
        };
        patience.take_turn();
        self.and_unlock(how, work)
    }

    fn and_unlock<T>(&self, how: Locked, work: impl FnOnce(State) -> Result<T>) -> Result<T> {
        let result = self.repaired(how).and_then(work);
        lock::unlock(self.memory.word(LOCK), self.me)?;
        result
    }

    /// The state, after what a killed owner of the lock has left half done.
    fn repaired(&self, how: Locked) -> Result<State> {
        let state = self.state()?;
        if how == Locked::Acquired {
            return Ok(state);
        }
        if !state.broken && (self.breaks() >> 32) as u32 == state.generation && self.breaks() != 0 {
            self.end(state, true);
        }
        self.forget(self.state()?);
        self.state()
    }

    /// Clears the names of earlier generations.
    fn forget(&self, state: State) {
        for (i, name) in self.names(state) {
            if name != 0 && state.participant(name).is_none() {
                self.rename(i, 0);
            }
        }
    }

    fn breaks(&self) -> u64 {
        self.memory.word(BREAKS).load(Ordering::SeqCst)
    }

    /// Ends the generation, as broken where not all have come, and wakes all who wait.
    fn end(&self, state: State, broken: bool) {
        let next = state.next(broken);
        self.memory.word(STATE).store(next.word(), Ordering::SeqCst);
        park::wake(self.memory.word(STATE), u32::MAX);
        self.forget(next);
    }

    /// Ends the generation with an error for those who wait.
    fn fail(&self, state: State, broken: bool) {
        let count = (self.breaks() as u32).wrapping_add(1);
        let breaks = u64::from(state.generation) << 32 | u64::from(count);
        self.memory.word(BREAKS).store(breaks, Ordering::SeqCst);
        self.end(state, broken);
    }

    /// Comes to the barrier. The last one ends the generation.
    ///
    /// # Errors
    /// [`Error::Broken`], [`Error::Invalid`]; what the memory says; [`Error::Cancelled`].
    pub fn arrive(&self, patience: &Patience<'_>) -> Result<Arrival> {
        self.locked(&Patience { deadline: None, ..*patience }, |state| {
            if state.broken {
                return Err(Error::Broken);
            }
            let free = self.names(state).find(|(_, name)| state.participant(*name).is_none());
            let Some((index, _)) = free.filter(|_| !self.is_missed(state)) else {
                self.fail(state, true);
                return Err(Error::Broken);
            };
            let breaks = self.breaks() as u32;
            self.rename(index, state.name(self.me));
            if self.present(state).count() as u32 == state.parties {
                self.end(state, false);
            }
            Ok(Arrival { index, generation: state.generation, breaks })
        })
    }

    /// How a party's generation ended; `None` while it waits.
    fn outcome(&self, arrival: Arrival) -> Result<Option<u32>> {
        if self.state()?.generation == arrival.generation {
            return Ok(None);
        }
        let breaks = self.breaks();
        let since = (breaks as u32).wrapping_sub(arrival.breaks);
        // A break is counted before its generation ends. Of two or more it is not known which they were.
        if since == 0 || (since == 1 && (breaks >> 32) as u32 != arrival.generation) {
            return Ok(Some(arrival.index));
        }
        Err(Error::Broken)
    }

    /// Waits until all have come: which of them this is. `None` if the time is up first, and that breaks
    /// the barrier.
    ///
    /// # Errors
    /// As for `arrive`.
    pub fn wait(&self, arrival: Arrival, patience: &Patience<'_>) -> Result<Option<u32>> {
        let without_end = Patience { deadline: None, ..*patience };
        // It may have got the wake-up that is for one who wants the lock, and wakes the next with it.
        if patience.take_turn() {
            self.locked(&without_end, |_| Ok(()))?;
        }
        let over = || self.outcome(arrival).transpose();
        if let Some(result) = over().or_else(|| self.spin.until(over)) {
            self.memory.check()?;
            return result.map(Some);
        }
        let word = self.memory.word(STATE);
        for round in 0.. {
            let seen = word.load(Ordering::SeqCst);
            self.memory.check()?;
            if let Some(index) = self.outcome(arrival)? {
                return Ok(Some(index));
            }
            let is_over = patience.is_over()?;
            if is_over || self.is_missed(self.state()?) {
                let ended = self.locked(&without_end, |state| {
                    let is_open = state.generation == arrival.generation;
                    let failed = is_open && (is_over || self.is_missed(state));
                    if failed {
                        self.fail(state, true);
                    }
                    Ok(failed)
                })?;
                if ended {
                    return if is_over { Ok(None) } else { Err(Error::Broken) };
                }
                continue;
            }
            park::sleep(word, seen, lock::slice(round), patience)?;
        }
        Ok(None)
    }

    /// Takes an arrival back. If all have come by then, returns which party it was.
    ///
    /// # Errors
    /// As for `arrive`.
    pub fn withdraw(&self, arrival: Arrival) -> Result<Option<u32>> {
        self.locked(&Patience::default(), |state| self.take_back(arrival, state))
    }

    /// The same, if it gets the lock; it waits for that as `patience` says.
    ///
    /// # Errors
    /// As for `arrive`.
    pub fn try_withdraw(
        &self,
        arrival: Arrival,
        patience: Option<&Patience<'_>>,
    ) -> Result<Option<Option<u32>>> {
        let lock = self.memory.word(LOCK);
        let locked = lock::lock_or_try(lock, self.me, self.spin, patience, self.memory)?;
        locked.map(|how| self.and_unlock(how, |state| self.take_back(arrival, state))).transpose()
    }

    fn take_back(&self, arrival: Arrival, state: State) -> Result<Option<u32>> {
        if state.generation == arrival.generation {
            self.rename(arrival.index, 0);
        }
        self.outcome(arrival)
    }

    /// Breaks the barrier.
    ///
    /// # Errors
    /// [`Error::Invalid`]; what the memory says.
    pub fn abort(&self) -> Result<()> {
        self.locked(&Patience::default(), |state| {
            if !state.broken {
                self.fail(state, true);
            }
            Ok(())
        })
    }

    /// Makes it as it was at first. For those who wait it is broken.
    ///
    /// # Errors
    /// As for `abort`.
    pub fn reset(&self) -> Result<()> {
        self.locked(&Patience::default(), |state| {
            if state.broken || self.present(state).next().is_some() {
                self.fail(state, false);
            }
            Ok(())
        })
    }
}
