//! What goes with a mapping, and is told when the mapping moves or is closed.

use std::any::Any;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering, fence};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, Weak};

use crate::error::Result;
use crate::lock_anyway::LockAnyway;
use crate::region::{Addresses, Region};

/// What is told of changes of its mapping.
pub(crate) trait Attachment: Any + Send + Sync {
    /// The mapping may move: nothing may be done in its memory until `resume`, from the end of
    /// `leave` on.
    fn pause(&self) {}

    /// Comes after `pause` or `end`, and returns when nothing is done in the memory any more.
    fn leave(&self) {}

    /// What was paused may go on.
    fn resume(&self) {}

    /// The mapping has moved; `None` if it is empty or closed.
    fn follow(&self, _to: Option<&Whereabouts>) {}

    /// The mapping is about to be closed.
    fn end(&self) {}
}

/// Where a mapping is in memory.
pub(crate) struct Whereabouts {
    pub region: Arc<Region>,
    /// Address of the mapping's first byte.
    pub first: usize,
    pub length: usize,
}

impl Whereabouts {
    /// The addresses of a range of the mapping, which is counted from its first byte.
    pub fn addresses(&self, range: &Range<usize>) -> Addresses {
        Addresses(self.first + range.start..self.first + range.end)
    }
}

/// What is attached to a mapping.
#[derive(Default)]
pub(crate) struct Attached {
    state: Mutex<Members>,
    /// Whether the mapping was closed, and the same for those who have asked.
    is_over: AtomicBool,
    ended: OnceLock<Arc<AtomicBool>>,
}

#[derive(Default)]
struct Members {
    attachments: Vec<Weak<dyn Attachment>>,
    /// What all of them share, until the end.
    shared: Option<Arc<dyn Attachment>>,
}

impl Attached {
    fn state(&self) -> MutexGuard<'_, Members> {
        self.state.lock_anyway()
    }

    /// Whether the mapping was closed.
    pub fn ended(&self) -> Arc<AtomicBool> {
        let ended = self.ended.get_or_init(Arc::default);
        fence(Ordering::SeqCst); // here it is found over, or `end` finds this
        if self.is_over.load(Ordering::Relaxed) {
            ended.store(true, Ordering::Release);
        }
        Arc::clone(ended)
    }

    /// What the attachments of the mapping share, made when it is first asked for.
    pub fn shared<T: Attachment>(&self, make: impl FnOnce() -> Result<T>) -> Result<Arc<T>> {
        let mut state = self.state();
        let shared = state.shared.clone().map(|shared| shared as Arc<dyn Any + Send + Sync>);
        if let Some(Ok(shared)) = shared.map(Arc::downcast) {
            return Ok(shared);
        }
        let made = Arc::new(make()?);
        state.shared = Some(Arc::clone(&made) as Arc<dyn Attachment>);
        Ok(made)
    }

    /// Has `attachment` told of changes, for as long as it lives.
    pub fn attach<T: Attachment>(&self, attachment: &Arc<T>) {
        let attachments = &mut self.state().attachments;
        if attachments.len().is_power_of_two() {
            attachments.retain(|attachment| attachment.strong_count() > 0);
        }
        let attachment: Weak<T> = Arc::downgrade(attachment);
        attachments.push(attachment);
    }

    /// Keeps what is attached from the memory, for as long as what this returns lives.
    pub fn pause(&self) -> Paused {
        let attachments: Vec<_> =
            self.state().attachments.iter().filter_map(Weak::upgrade).collect();
        attachments.iter().for_each(|attachment| attachment.pause());
        attachments.iter().for_each(|attachment| attachment.leave());
        Paused(attachments)
    }

    /// Tells that the mapping has moved. `find` says where it is at last, should several threads
    /// have moved it.
    pub fn follow(&self, find: impl FnOnce() -> Option<Whereabouts>) {
        let state = self.state();
        let to = find();
        for attachment in state.attachments.iter().filter_map(Weak::upgrade) {
            attachment.follow(to.as_ref());
        }
    }

    /// Tells that the mapping is about to be closed.
    pub fn end(&self) {
        let Members { attachments, shared } = std::mem::take(&mut *self.state());
        let attachments: Vec<_> = attachments.iter().filter_map(Weak::upgrade).collect();
        attachments.iter().for_each(|attachment| attachment.end());
        attachments.iter().for_each(|attachment| attachment.leave());
        self.is_over.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        if let Some(ended) = self.ended.get() {
            ended.store(true, Ordering::Release);
        }
        if let Some(shared) = shared {
            shared.end();
        }
    }
}

/// What stays away from the memory of a mapping that may move.
pub(crate) struct Paused(Vec<Arc<dyn Attachment>>);

impl Drop for Paused {
    fn drop(&mut self) {
        self.0.iter().for_each(|attachment| attachment.resume());
    }
}
