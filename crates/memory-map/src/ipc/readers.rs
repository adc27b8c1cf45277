//! A lock that many readers share or one writer has alone, and that survives the death of each of them
//! at any instruction.
//!
//! A counter of readers would keep counting those who died. So each participant that shares the lock has a
//! slot, a word with its number, and counts by itself how many times it shares it.
//!
//! The gate is a lock of its own (`lock.rs`). A writer holds it from when it begins to wait for the
//! readers to leave until it unlocks. A reader who finds the gate locked waits for it too, and holds it
//! while it enters. Each gets the gate in its turn, so neither writers nor readers starve.
//! While the gate is free, readers enter without it: they take a slot and then look at the gate, and a
//! writer takes the gate and then looks at the slots, so that at least one of two sees the other.
//!
//! The state is not 0 while a writer is in, and stays so if the writer dies: until a writer has
//! unlocked again, everybody who locks is told so.

use super::atomic::{AtomicU64, Mutex, MutexGuard, Ordering, PoisonError, fence};
use super::eventcount;
use super::lock::{self, Locked, World, slice};
use super::park::{self, Patience};
use super::ring::Memory;
use super::spin::Spin;
use crate::error::{Error, Result};

/// Where the words are.
pub(crate) mod at {
    pub(crate) const GATE: usize = 0;
    /// The writer that is in, or that died in it, as the word of a lock would have it.
    pub(crate) const STATE: usize = 8;
    /// An eventcount: somebody has left.
    pub(crate) const LEFT: usize = 16;
    pub(crate) const SLOTS: usize = 32;
}

/// In the state: no writer is in, and what the last one left has not been repaired.
const UNREPAIRED: u64 = 2;

/// How a participant shares a lock.
pub(crate) struct Hold {
    /// The slot that it has, or had last.
    slot: usize,
    /// How often; 0 if it does not.
    count: u64,
}

impl Hold {
    /// Not shared yet. The slot to try first is one that few others begin with.
    pub(crate) fn none(me: u64, slots: usize) -> Self {
        Self { slot: (me % slots as u64) as usize, count: 0 }
    }
}

/// A participant's use of a lock with so many slots.
pub(crate) struct User<'a, M> {
    pub memory: &'a M,
    pub slots: usize,
    pub me: u64,
    pub hold: &'a Mutex<Hold>,
    pub spin: &'a Spin,
    /// Whether to wait also for what this participant holds itself.
    pub in_turn: bool,
}

impl<M: Memory> World for User<'_, M> {
    fn is_alive(&self, participant: u64) -> bool {
        participant == self.me || (participant != 0 && self.memory.is_alive(participant))
    }

    fn check(&self) -> Result<()> {
        self.memory.check()?;
        if !self.in_turn && (self.is_writer() || self.hold().count > 0) {
            return Err(Error::Deadlock);
        }
        Ok(())
    }
}

impl<M: Memory> User<'_, M> {
    /// Waits for a shared hold and takes it; `None` if the time is up first.
    ///
    /// # Errors
    /// [`Error::Deadlock`] if only this participant could end the wait; those of [`lock::lock`].
    pub(crate) fn lock_shared(&self, patience: &Patience<'_>) -> Result<Option<Locked>> {
        loop {
            // Whoever has slept may have got the wake-up that is for one who wants the gate: it takes the gate, and wakes
            // the next with it.
            let may_enter = !patience.has_slept();
            // Whoever shares the lock and blocks cannot give it back: it must not wait for a writer that waits
            // for that.
            if (may_enter && self.enter()) || (!self.in_turn && self.enter_again()) {
                return Ok(Some(self.found()));
            }
            match lock::lock(self.gate(), self.me, self.spin, patience, self) {
                Ok(Some(_)) => break,
                // It has come to share it on another thread.
                Err(Error::Deadlock) if !self.is_writer() => {}
                other => return other,
            }
        }
        let entered = self.wait_until(patience, || self.enter_with_gate());
        self.open_gate();
        Ok(entered?.then(|| self.found()))
    }

    /// Takes a shared hold if no living writer has the lock or waits for it.
    pub(crate) fn try_lock_shared(&self) -> Option<Locked> {
        if self.enter() {
            return Some(self.found());
        }
        lock::try_lock(self.gate(), self.me, self)?;
        let mut entered = self.enter_with_gate();
        if !entered {
            self.remove_dead();
            entered = self.enter_with_gate();
        }
        self.open_gate();
        entered.then(|| self.found())
    }

    /// Gives a shared hold back.
    ///
    /// # Errors
    /// [`Error::NotOwner`].
    pub(crate) fn unlock_shared(&self) -> Result<()> {
        let mut hold = self.hold();
        if hold.count == 0 {
            return Err(Error::NotOwner);
        }
        hold.count -= 1;
        if hold.count > 0 {
            return Ok(());
        }
        let _ = swap(self.slot(hold.slot), self.me, 0);
        drop(hold);
        eventcount::signal(self.left());
        Ok(())
    }

    /// Waits for the lock and takes it; `None` if the time is up first. With `gate` it has the gate already, and
    /// keeps it where it is cancelled.
    ///
    /// # Errors
    /// As for [`User::lock_shared`].
    pub(crate) fn lock_exclusive(
        &self,
        gate: &mut bool,
        patience: &Patience<'_>,
    ) -> Result<Option<Locked>> {
        if !*gate && lock::lock(self.gate(), self.me, self.spin, patience, self)?.is_none() {
            return Ok(None);
        }
        *gate = true;
        fence(Ordering::SeqCst);
        let empty = match self.wait_until(patience, || self.is_empty()) {
            Err(Error::Cancelled) => return Err(Error::Cancelled),
            result => result,
        };
        *gate = false;
        if empty != Ok(true) {
            self.open_gate();
            return empty.map(|_| None);
        }
        Ok(Some(self.begin()))
    }

    /// Takes the lock if no living participant has it or waits for it alone.
    pub(crate) fn try_lock_exclusive(&self) -> Option<Locked> {
        lock::try_lock(self.gate(), self.me, self)?;
        fence(Ordering::SeqCst);
        self.remove_dead();
        if self.is_empty() {
            return Some(self.begin());
        }
        self.open_gate();
        None
    }

    /// Gives the lock back, if this participant has it alone; else a shared hold.
    ///
    /// # Errors
    /// [`Error::NotOwner`].
    pub(crate) fn unlock(&self) -> Result<()> {
        if self.is_writer() { self.end(Locked::Acquired) } else { self.unlock_shared() }
    }

    /// Gives the lock back that it has alone: after [`Locked::Recovered`], as if nothing was repaired.
    ///
    /// # Errors
    /// [`Error::NotOwner`].
    pub(crate) fn end(&self, how: Locked) -> Result<()> {
        if !self.is_writer() {
            return Err(Error::NotOwner);
        }
        let state = if how == Locked::Recovered { UNREPAIRED } else { 0 };
        self.state().store(state, Ordering::Release);
        lock::unlock(self.gate(), self.me)
    }

    /// Gives the gate back, where it did not come to more.
    pub(crate) fn open_gate(&self) {
        // It fails where others have stored to the word, and then there is nothing to give back.
        let _ = lock::unlock(self.gate(), self.me);
    }

    fn gate(&self) -> &AtomicU64 {
        self.memory.word(at::GATE)
    }

    fn state(&self) -> &AtomicU64 {
        self.memory.word(at::STATE)
    }

    fn left(&self) -> &AtomicU64 {
        self.memory.word(at::LEFT)
    }

    fn slot(&self, index: usize) -> &AtomicU64 {
        self.memory.word(at::SLOTS + 8 * index)
    }

    fn slots(&self) -> impl Iterator<Item = &AtomicU64> {
        (0..self.slots).map(|index| self.slot(index))
    }

    /// How this participant shares the lock, which only the slot proves: it may have been overwritten.
    fn hold(&self) -> MutexGuard<'_, Hold> {
        let mut hold = self.hold.lock().unwrap_or_else(PoisonError::into_inner);
        if hold.count > 0 && self.slot(hold.slot).load(Ordering::Relaxed) != self.me {
            hold.count = 0;
        }
        hold
    }

    fn is_writer(&self) -> bool {
        self.state().load(Ordering::Relaxed) == lock::held(self.me)
    }

    fn is_empty(&self) -> bool {
        self.slots().all(|slot| slot.load(Ordering::Acquire) == 0)
    }

    fn found(&self) -> Locked {
        let clean = self.state().load(Ordering::Acquire) == 0;
        if clean { Locked::Acquired } else { Locked::Recovered }
    }

    /// Enters alone: the gate is locked, and nobody is in.
    fn begin(&self) -> Locked {
        let state = self.state().swap(lock::held(self.me), Ordering::AcqRel);
        if state == 0 { Locked::Acquired } else { Locked::Recovered }
    }

    /// Takes a shared hold if the gate is free, and a slot.
    fn enter(&self) -> bool {
        let is_free = || self.gate().load(Ordering::Acquire) == 0;
        let mut hold = self.hold();
        if !is_free() || !self.take_slot(&mut hold) {
            return false;
        }
        if hold.count == 0 {
            fence(Ordering::SeqCst);
            if !is_free() {
                let _ = swap(self.slot(hold.slot), self.me, 0);
                eventcount::signal(self.left());
                return false;
            }
        }
        hold.count += 1;
        true
    }

    /// Takes another shared hold, where this participant has one: then no writer is in.
    fn enter_again(&self) -> bool {
        let mut hold = self.hold();
        let can = hold.count > 0;
        hold.count += u64::from(can);
        can
    }

    /// Takes a shared hold, if there is a slot, while this participant has the gate.
    fn enter_with_gate(&self) -> bool {
        let mut hold = self.hold();
        let can = self.take_slot(&mut hold);
        hold.count += u64::from(can);
        can
    }

    /// Takes a slot, if it has none and there is one: the one that it had last, if that is free.
    fn take_slot(&self, hold: &mut Hold) -> bool {
        let slots = (hold.slot..self.slots).chain(0..hold.slot);
        let mut free = slots.filter(|index| swap(self.slot(*index), 0, self.me).is_ok());
        hold.count > 0 || free.next().map(|index| hold.slot = index).is_some()
    }

    /// Empties the slots of participants that have died.
    fn remove_dead(&self) {
        for slot in self.slots() {
            let word = slot.load(Ordering::Acquire);
            if word != 0 && !self.is_alive(word) {
                let _ = swap(slot, word, 0);
            }
        }
    }

    /// Waits for others to leave until `ready`; `false` if the time is up first.
    fn wait_until(&self, patience: &Patience<'_>, ready: impl Fn() -> bool) -> Result<bool> {
        if ready() {
            return Ok(true);
        }
        World::check(self)?;
        if patience.is_over()? {
            self.remove_dead();
            return Ok(ready()); // it will not sleep, so those who leave need not wake it
        }
        if self.spin.until(|| ready().then_some(())).is_some() {
            return Ok(true);
        }
        for round in 0.. {
            let value = eventcount::prepare(self.left());
            self.remove_dead();
            if ready() {
                return Ok(true);
            }
            World::check(self)?;
            if patience.is_over()? {
                break;
            }
            park::sleep(self.left(), value, slice(round), patience)?;
        }
        Ok(false)
    }
}

fn swap(word: &AtomicU64, from: u64, to: u64) -> std::result::Result<u64, u64> {
    word.compare_exchange(from, to, Ordering::SeqCst, Ordering::Relaxed)
}
