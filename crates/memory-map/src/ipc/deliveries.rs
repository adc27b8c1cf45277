//! Messages in a ring that several receivers share. `docs/queue.md` has the layout.
//!
//! Each message begins with two words of its own: a claim, which is a robust lock that its receiver holds
//! until it is done, and how often it was delivered. A receiver looks for a message, claims it and
//! gives room back under the receivers' lock. It is done with a message, or gives it up, by one store
//! to the claim, without that lock. What a death leaves undone is found by looking at all messages that
//! were delivered and are not done: each receiver does so before it sleeps, when it takes the lock over
//! from a dead one, and now and then.

use std::time::Duration;

use super::atomic::{AtomicU64, Ordering};
use super::lock::{self, Locked};
use super::park::Patience;
use super::ring::{COMMITTED, HEADER, Memory, PADDING, Part, RESERVED, Ring, SKIPPED, STATE, at};
use super::ring::{Found, damaged};
use crate::error::{Error, Result};

/// Bytes of the two words before a message's own.
pub(crate) const ENVELOPE: usize = 16;
/// How many bytes are claimed at once, with the envelopes: more only in one message.
const BATCH: usize = 1 << 20;
/// The claim of a message that is done: no lock leaves this.
const DONE: u64 = 1;

/// A message that was delivered, and is this receiver's until it is done or given up.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Taken {
    pub part: Part,
    /// The offset of its claim.
    claim: usize,
    /// How often it was delivered, with this time.
    pub deliveries: u64,
}

/// A message that can be claimed.
struct Spot {
    found: Found,
    /// Whether it was never delivered.
    is_new: bool,
    /// Whether messages of dead receivers were looked for too.
    all: bool,
}

/// The receivers' side of a ring.
pub(crate) struct Deliveries<'a, M>(pub &'a Ring<'a, M>);

impl<M: Memory> Deliveries<'_, M> {
    fn word(&self, offset: usize) -> &AtomicU64 {
        self.0.word(offset)
    }

    /// Takes the first message that nobody has; `None` if there is none in time. `due` says whether to
    /// look for those of dead receivers although there are others.
    pub fn take(&self, due: bool, patience: &Patience<'_>) -> Result<Option<Taken>> {
        self.wait(due, patience, |spot| self.claim(spot))
    }

    /// The same, without a wait for a message; `patience` is for other receivers to look.
    pub fn try_take(&self, due: bool, patience: &Patience<'_>) -> Result<Option<Taken>> {
        self.attempt(due, true, patience, &|spot| self.claim(spot))
    }

    /// As `take`, of up to `most` messages that are there, with one look.
    pub fn take_many(
        &self,
        due: bool,
        most: usize,
        patience: &Patience<'_>,
    ) -> Result<Option<Vec<Taken>>> {
        self.wait(due, patience, |spot| self.claim_many(spot, most))
    }

    /// As `try_take`, of up to `most` messages.
    pub fn try_take_many(
        &self,
        due: bool,
        most: usize,
        patience: &Patience<'_>,
    ) -> Result<Option<Vec<Taken>>> {
        self.attempt(due, true, patience, &|spot| self.claim_many(spot, most))
    }

    /// Waits until there is a message that nobody has; `false` if there is none in time.
    pub fn ready(&self, patience: &Patience<'_>) -> Result<bool> {
        self.wait(true, patience, |_| Some(())).map(|found| found.is_some())
    }

    fn wait<T>(
        &self,
        due: bool,
        patience: &Patience<'_>,
        take: impl Fn(&Spot) -> Option<T>,
    ) -> Result<Option<T>> {
        if let Some(taken) = self.attempt(due, false, patience, &take)? {
            return Ok(Some(taken));
        }
        let Ring { learned, .. } = self.0;
        self.0.wait(at::FILLED, &learned.filled, patience, |round| {
            // Asking who is alive is a system call: before each sleep, not in a spin.
            let found = self.attempt(false, round.is_some(), patience, &take)?;
            Ok(found.ok_or_else(|| lock::slice(round.unwrap_or(0))))
        })
    }

    /// Takes a message that is there. Messages of dead receivers are looked for before others if `due`, and if
    /// there are no others if `ask`.
    fn attempt<T>(
        &self,
        due: bool,
        ask: bool,
        patience: &Patience<'_>,
        take: &impl Fn(&Spot) -> Option<T>,
    ) -> Result<Option<T>> {
        if !due && !ask && !self.may_have() {
            return Ok(None);
        }
        let (word, lock, me) = (self.word(at::RECEIVER), &self.0.learned.lock, self.0.me);
        let Some(locked) = lock::lock(word, me, lock, patience, self.0.memory)? else {
            return Ok(None);
        };
        let all = due || locked == Locked::Recovered;
        let mut found = self.find(all);
        if ask && !all && matches!(found, Ok(None)) {
            found = self.find(true);
        }
        let taken = found.map(|spot| spot.and_then(|spot| take(&spot)));
        lock::unlock_after(word, me, taken, damaged)
    }

    /// Whether to look at all: a hint, which may be wrong.
    fn may_have(&self) -> bool {
        let next = self.word(at::NEXT).load(Ordering::Relaxed);
        next != self.word(at::HEAD).load(Ordering::Acquire)
            || self.word(at::RETURNED).load(Ordering::Relaxed) != 0
    }

    /// The first message that can be claimed. Messages that were delivered before are looked at only if one was
    /// given up, or with `all`, which also asks whose receivers are alive. The caller holds the receivers' lock.
    fn find(&self, all: bool) -> Result<Option<Spot>> {
        let (tail, head) = self.advance()?;
        let next = self.word(at::NEXT).load(Ordering::Relaxed);
        // It may be behind the tail, or where a receiver that died left it.
        let is_inside =
            next.wrapping_sub(tail) <= head.wrapping_sub(tail) && next.is_multiple_of(8);
        let next = if is_inside { next } else { tail };
        // Whoever gives one up from now on says so again.
        if self.word(at::RETURNED).load(Ordering::Relaxed) != 0 || all {
            self.word(at::RETURNED).swap(0, Ordering::AcqRel);
            if let Some(found) = self.find_delivered(tail, next, head, all)? {
                // There may be more.
                self.word(at::RETURNED).store(1, Ordering::Relaxed);
                return Ok(Some(Spot { found, is_new: false, all }));
            }
        }
        self.find_new(next, head, all)
    }

    fn find_delivered(
        &self,
        mut position: u64,
        next: u64,
        head: u64,
        all: bool,
    ) -> Result<Option<Found>> {
        while self.filled(position, next) > 0 {
            let found = self.0.at(position, self.filled(position, head))?;
            if is_message(&found)? && self.is_free(&found, all) {
                return Ok(Some(found));
            }
            position = found.end;
        }
        Ok(None)
    }

    fn find_new(&self, mut position: u64, head: u64, all: bool) -> Result<Option<Spot>> {
        while self.filled(position, head) > 0 {
            let found = self.0.at(position, self.filled(position, head))?;
            if found.header & STATE == RESERVED {
                if !all || self.0.memory.is_alive(found.header >> 2) {
                    return Ok(None);
                }
                if !self.0.skip(found.offset, found.header) {
                    continue;
                }
            } else if is_message(&found)? && self.is_free(&found, all) {
                return Ok(Some(Spot { found, is_new: true, all }));
            }
            // A message that another receiver has here, it claimed before it died: `all` finds it.
            position = found.end;
            self.word(at::NEXT).store(position, Ordering::Relaxed);
        }
        Ok(None)
    }

    fn filled(&self, from: u64, to: u64) -> usize {
        self.0.filled(from, to).unwrap_or(0)
    }

    fn is_free(&self, found: &Found, ask: bool) -> bool {
        let claim = self.word(found.offset + HEADER).load(Ordering::Acquire);
        let owner = claim >> 2;
        claim == 0 || ask && claim != DONE && owner != self.0.me && !self.0.memory.is_alive(owner)
    }

    /// Claims a message, and then counts the delivery: if this receiver dies in between, there was none.
    fn claim(&self, spot: &Spot) -> Option<Taken> {
        let Spot { found, is_new, .. } = spot;
        let claim = found.offset + HEADER;
        lock::try_lock(self.word(claim), self.0.me, self.0.memory)?;
        let count = self.word(claim + 8);
        let deliveries = count.load(Ordering::Relaxed).saturating_add(1);
        count.store(deliveries, Ordering::Relaxed);
        if *is_new {
            self.word(at::NEXT).store(found.end, Ordering::Relaxed);
        }
        let length = found.length.saturating_sub(ENVELOPE);
        let part = Part { offset: claim + ENVELOPE, length };
        Some(Taken { part, claim, deliveries })
    }

    /// Claims a message, and those that come next, up to `most` and to a number of bytes.
    fn claim_many(&self, spot: &Spot, most: usize) -> Option<Vec<Taken>> {
        let first = self.claim(spot)?;
        let mut bytes = first.part.length;
        let mut taken = vec![first];
        while taken.len() < most {
            // If something is wrong there, the next call says so.
            let Ok(Some(spot)) = self.find(spot.all) else { break };
            bytes += spot.found.length;
            if bytes > BATCH {
                break;
            }
            let Some(next) = self.claim(&spot) else { break };
            taken.push(next);
        }
        Some(taken)
    }

    /// Gives the room of what is done back, up to the first that is not. The tail and the head.
    fn advance(&self) -> Result<(u64, u64)> {
        let (tail, head) = self.0.span()?;
        self.0.learned.head.store(head, Ordering::Relaxed);
        let mut position = tail;
        while self.filled(position, head) > 0 {
            let found = self.0.at(position, self.filled(position, head))?;
            let is_over = match is_message(&found)? {
                true => self.word(found.offset + HEADER).load(Ordering::Acquire) == DONE,
                false => found.header & STATE != RESERVED,
            };
            if !is_over {
                break;
            }
            position = found.end;
        }
        if position != tail {
            self.0.release(position);
        }
        Ok((position, head))
    }

    /// Notes that a message is done. `patience` says how long to wait for another receiver that is looking; if
    /// it runs out, the next receiver gives the room back.
    pub fn release<'p>(&self, taken: Taken, patience: impl Fn() -> Patience<'p>) -> Result<()> {
        self.settle(taken, DONE)?;
        let (word, spin, me) = (self.word(at::RECEIVER), &self.0.learned.lock, self.0.me);
        let is_locked = lock::take_free(word, me)
            || lock::lock(word, me, spin, &patience(), self.0.memory)?.is_some();
        if !is_locked {
            return Ok(());
        }
        lock::unlock_after(word, me, self.advance().map(drop), damaged)
    }

    /// Gives a message up, for any receiver.
    pub fn requeue(&self, taken: Taken) -> Result<()> {
        self.settle(taken, 0)?;
        self.word(at::RETURNED).store(1, Ordering::Release);
        self.0.wake_receiver();
        Ok(())
    }

    fn settle(&self, taken: Taken, to: u64) -> Result<()> {
        let word = self.word(taken.claim);
        let seen = word.load(Ordering::Relaxed);
        let is_ours = seen >> 2 == self.0.me && seen != DONE;
        let order = (Ordering::Release, Ordering::Relaxed);
        if is_ours && word.compare_exchange(seen, to, order.0, order.1).is_ok() {
            return Ok(());
        }
        Err(Error::NotOwner)
    }

    /// How many messages nobody has, and bytes in them; and the same of those that receivers have.
    pub fn pending(&self) -> Result<[(usize, usize); 2]> {
        let sums =
            self.0.pending(|offset| match self.word(offset + HEADER).load(Ordering::Relaxed) {
                0 => 0,
                DONE => 2,
                _ => 1,
            })?;
        Ok(sums.map(|(messages, bytes)| (messages, bytes.saturating_sub(messages * ENVELOPE))))
    }
}

/// Whether a message stands there, and not one that is not committed, or nothing.
fn is_message(found: &Found) -> Result<bool> {
    match found.header & STATE {
        COMMITTED if found.length < ENVELOPE => Err(damaged()),
        COMMITTED => Ok(true),
        RESERVED | SKIPPED => Ok(false),
        _ if found.header == PADDING => Ok(false),
        _ => Err(damaged()),
    }
}

/// How long a receiver may find messages without a look for those of dead ones.
pub(crate) const LOOK: Duration = Duration::from_millis(100);
