//! A ring in memory, in which every message has a cell for its bytes: of the models of channels and queues.

use loom::cell::UnsafeCell;
use loom::sync::Arc;

use crate::ipc::atomic::AtomicU64;
use crate::ipc::lock::World;
use crate::ipc::ring::{Learned, Memory, Part, Ring, at};
use crate::{DEAD, Life, everybody};

/// The words of a head that are used: loom cannot have as many as there are bytes.
const HEADS: [usize; 8] = [
    at::SENDERS,
    at::HEAD,
    at::TAIL,
    at::RECEIVER,
    at::NEXT,
    at::RETURNED,
    at::FILLED,
    at::EMPTIED,
];

/// A ring of `RING` bytes, and its head.
pub struct Place<const RING: usize> {
    words: Vec<AtomicU64>,
    bytes: Vec<UnsafeCell<u64>>,
    pub life: Life,
    /// Of each participant.
    learned: [Learned; DEAD as usize + 1],
}

// SAFETY: as for `Locking`.
unsafe impl<const RING: usize> Sync for Place<RING> {}

impl<const RING: usize> World for Place<RING> {
    fn is_alive(&self, participant: u64) -> bool {
        self.life.is_alive(participant)
    }
    fn check(&self) -> memory_map::Result<()> {
        Ok(())
    }
}

impl<const RING: usize> Memory for Place<RING> {
    fn word(&self, offset: usize) -> &AtomicU64 {
        match HEADS.iter().position(|head| *head == offset) {
            Some(index) => &self.words[index],
            None => &self.words[HEADS.len() + (offset - at::DATA) / 8],
        }
    }
}

impl<const RING: usize> Place<RING> {
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            words: (0..HEADS.len() + RING / 8).map(|_| AtomicU64::new(0)).collect(),
            bytes: (0..RING / 8).map(|_| UnsafeCell::new(0)).collect(),
            life: everybody(),
            learned: std::array::from_fn(|_| Learned::new()),
        })
    }

    pub(crate) fn ring(&self, me: u64) -> Ring<'_, Self> {
        Ring { memory: self, size: RING, me, learned: &self.learned[me as usize] }
    }

    pub(crate) fn cell(&self, part: Part) -> &UnsafeCell<u64> {
        &self.bytes[(part.offset - at::DATA) / 8]
    }
}
