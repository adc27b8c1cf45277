//! The senders' side of a feed.

use super::atomic::{Ordering, fence};
use super::blocks::{Blocks, copy_in};
use super::eventcount;
use super::feed::{Feed, PADDING, at, is_before, size_of};
use super::lock::{self, World};
use super::park::{self, Patience};
use crate::error::Result;

/// Messages that one holder of the senders' lock writes.
struct Batch {
    tail: u64,
    /// The head that others see, and where what was written behind it ends.
    head: u64,
    end: u64,
    /// Where the last message begins, and its number.
    last: u64,
    number: u64,
    written: usize,
    published: usize,
}

impl<M: Blocks + World> Feed<'_, M> {
    /// Sends messages of up to half the capacity each, and says how many: where that is not all, there
    /// was no room in time, or at once if `patience` has none, or an error that the next call tells.
    pub fn send<'m>(
        &self,
        messages: impl Iterator<Item = &'m [u8]> + Clone,
        patience: Option<&Patience<'_>>,
    ) -> Result<usize> {
        let mut sent = 0;
        loop {
            let mut rest = messages.clone().skip(sent).peekable();
            if rest.peek().is_none() {
                return Ok(sent);
            }
            match self.send_some(&rest, patience) {
                Err(error) if sent == 0 => return Err(error),
                Ok(0) | Err(_) => return Ok(sent),
                Ok(more) => sent += more,
            }
        }
    }

    /// The same of one message at least, and as many more as there is room for at once.
    fn send_some<'m>(
        &self,
        messages: &(impl Iterator<Item = &'m [u8]> + Clone),
        patience: Option<&Patience<'_>>,
    ) -> Result<usize> {
        for round in 0.. {
            let seen = self.slowest();
            let value = (round > 0).then(|| eventcount::prepare(self.word(at::EMPTIED)));
            match self.alone(patience, || self.append(messages.clone()))? {
                Some(0) => {}
                Some(sent) => {
                    self.wake_receivers();
                    return Ok(sent);
                }
                None => return Ok(0),
            }
            let Some(patience) = patience else { return Ok(0) };
            self.memory.check()?;
            if patience.is_over()? {
                return Ok(0);
            }
            match value {
                Some(value) => {
                    park::sleep(self.word(at::EMPTIED), value, lock::slice(round - 1), patience)?;
                }
                None => {
                    self.spins.emptied.until(|| (self.slowest() != seen).then_some(()));
                }
            }
        }
        Ok(0)
    }

    /// Writes messages behind the head, as many as there is room for, and publishes them: how many.
    fn append<'m>(&self, messages: impl Iterator<Item = &'m [u8]>) -> Result<usize> {
        let (tail, head) = self.span()?;
        let number = self.number_before(head);
        let mut batch =
            Batch { tail, head, end: head, last: head, number, written: 0, published: 0 };
        for bytes in messages {
            match self.write(&mut batch, bytes) {
                Ok(true) => {}
                Err(error) if batch.published == 0 => return Err(error),
                Err(_) => return Ok(batch.published),
                Ok(false) => break,
            }
        }
        match self.publish(&mut batch) {
            Err(error) if batch.published == 0 => Err(error),
            _ => Ok(batch.published),
        }
    }

    /// Writes a message behind those before it; `false` if there is no room.
    fn write(&self, batch: &mut Batch, bytes: &[u8]) -> Result<bool> {
        let need = size_of(bytes.len());
        let rest = self.rest(self.offset(batch.end));
        let padding = if need > rest { rest } else { 0 };
        let start = batch.end.wrapping_add(padding as u64);
        let end = start.wrapping_add(need as u64);
        let goal = end.wrapping_sub(self.size as u64);
        // Unpublished messages must take no room of each other, and must leave the number of the last published
        // message, from which the next sender goes on if this one dies.
        if batch.end != batch.head && is_before(batch.head.wrapping_sub(8), goal) {
            self.publish(batch)?;
        }
        let Some(tail) = self.make_room(batch.tail, batch.head, goal)? else { return Ok(false) };
        batch.tail = tail;
        // A receiver that sees any of what follows sees that the tail has moved.
        fence(Ordering::Release);
        if padding > 0 {
            self.word(self.offset(batch.end)).store(PADDING, Ordering::Relaxed);
        }
        let offset = self.offset(start);
        batch.number = batch.number.wrapping_add(1);
        self.word(offset).store(bytes.len() as u64, Ordering::Relaxed);
        copy_in(self.memory, offset + 8, bytes);
        self.word(offset + need - 8).store(batch.number, Ordering::Relaxed);
        (batch.end, batch.last, batch.written) = (end, start, batch.written + 1);
        Ok(true)
    }

    /// Lets others see what was written.
    fn publish(&self, batch: &mut Batch) -> Result<()> {
        if batch.end == batch.head {
            return Ok(());
        }
        self.memory.check()?;
        self.word(at::LAST).store(batch.last, Ordering::Relaxed);
        self.word(at::HEAD).store(batch.end, Ordering::Release);
        (batch.head, batch.published) = (batch.end, batch.written);
        Ok(())
    }

    /// Moves the tail past whole messages, to `goal` at least, and says where it is; `None` if that would
    /// pass a receiver that must lose nothing.
    fn make_room(&self, tail: u64, head: u64, goal: u64) -> Result<Option<u64>> {
        let mut new = tail;
        while is_before(new, goal) {
            let header = self.word(self.offset(new)).load(Ordering::Relaxed);
            new = self.after(new, header, head)?;
        }
        if new == tail {
            return Ok(Some(tail));
        }
        if self.is_lossless() && self.holds_back(tail, head, new) {
            return Ok(None);
        }
        self.word(at::TAIL).store(new, Ordering::Release);
        Ok(Some(new))
    }

    /// Whether a living receiver has not come as far as `to`. Dead ones lose their places.
    fn holds_back(&self, tail: u64, head: u64, to: u64) -> bool {
        let mut holds = false;
        for (place, owner) in self.places().filter(|(_, owner)| *owner != 0) {
            let position = self.word(place + 8).load(Ordering::Acquire);
            // An impossible position was stored by something else, and holds nobody back.
            let is_possible = !is_before(position, tail) && !is_before(head, position);
            if !is_possible || !is_before(position, to) {
                continue;
            }
            if self.memory.is_alive(owner) {
                holds = true;
            } else {
                self.vacate(place, owner);
            }
        }
        holds
    }

    /// The position of the slowest receiver, dead or alive.
    fn slowest(&self) -> Option<u64> {
        let positions = self.places().filter(|(_, owner)| *owner != 0);
        let positions = positions.map(|(place, _)| self.word(place + 8).load(Ordering::Relaxed));
        positions.reduce(|one, other| if is_before(one, other) { one } else { other })
    }
}
