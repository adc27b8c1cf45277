//! The messages of a channel or a broadcast that a receiver has, and that are still in the ring.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard};

use crate::lock_anyway::LockAnyway;

/// Messages in the order in which they came. The ring takes its room back in that order only, so what
/// is released before its turn is remembered.
#[derive(Default)]
pub(crate) struct Borrowed {
    /// How many there are. Most receivers have none, and ask before each message.
    count: AtomicUsize,
    messages: Mutex<VecDeque<Entry>>,
}

struct Entry {
    end: u64,
    state: State,
}

#[derive(PartialEq, Eq)]
enum State {
    InUse,
    Released,
    /// To be received again, with what came after it.
    PutBack,
}

impl Borrowed {
    fn messages(&self) -> MutexGuard<'_, VecDeque<Entry>> {
        self.messages.lock_anyway()
    }

    pub fn is_empty(&self) -> bool {
        self.count.load(Ordering::Acquire) == 0
    }

    /// Where the last one ends; those that were put back and have none after them are forgotten. Whoever adds
    /// messages calls it.
    pub fn end(&self) -> Option<u64> {
        if self.is_empty() {
            return None;
        }
        let mut messages = self.messages();
        let last = Self::last(&mut messages);
        self.count.store(messages.len(), Ordering::Release);
        last
    }

    /// Adds the message that ends at `end` and comes after the one that ends at `last`, if that is still what `end()`
    /// says: else one was released or put back meanwhile.
    pub fn add_after(&self, last: Option<u64>, end: u64) -> bool {
        let mut messages = self.messages();
        let is_last = Self::last(&mut messages) == last;
        if is_last {
            messages.push_back(Entry { end, state: State::InUse });
        }
        self.count.store(messages.len(), Ordering::Release);
        is_last
    }

    /// Adds the message that ends there.
    pub fn add(&self, end: u64) {
        let mut messages = self.messages();
        messages.push_back(Entry { end, state: State::InUse });
        self.count.store(messages.len(), Ordering::Release);
    }

    fn last(messages: &mut VecDeque<Entry>) -> Option<u64> {
        while messages.back().is_some_and(|last| last.state == State::PutBack) {
            messages.pop_back();
        }
        messages.back().map(|last| last.end)
    }

    /// Notes that the message that ends at `end` is done with. Calls `give` with the end of what can go back. Says
    /// whether others, which were put back before, can be received again now.
    pub fn release(&self, end: u64, give: impl FnOnce(u64)) -> bool {
        self.settle(end, State::Released, give)
    }

    /// Has the message that ends at `end` be received again.
    pub fn put_back(&self, end: u64) {
        self.settle(end, State::PutBack, |_| {});
    }

    fn settle(&self, end: u64, state: State, give: impl FnOnce(u64)) -> bool {
        let mut messages = self.messages();
        if let Some(entry) = messages.iter_mut().find(|entry| entry.end == end) {
            entry.state = state;
        }
        let mut done = None;
        while messages.front().is_some_and(|first| first.state == State::Released) {
            done = messages.pop_front().map(|first| first.end);
        }
        let is_any = !messages.is_empty();
        let are_done = messages.iter().all(|entry| entry.state != State::InUse);
        if are_done {
            messages.clear();
        }
        if let Some(done) = done {
            give(done);
        }
        self.count.store(messages.len(), Ordering::Release);
        is_any && are_done
    }
}
