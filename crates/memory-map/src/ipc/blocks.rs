//! Bytes that are copied while others store to them: word by word, by relaxed atomic operations.
//!
//! The copy may be a mixture of before and after. The caller finds that out by looking again at a word
//! that others change.

use super::atomic::{AtomicU64, Ordering};

/// Memory of words, of which blocks are copied.
pub(crate) trait Blocks {
    /// The word at an offset, which must be inside and aligned.
    fn word(&self, offset: usize) -> &AtomicU64;
    /// `count` words from an offset on; none if they are not inside.
    fn words(&self, offset: usize, count: usize) -> &[AtomicU64];
}

/// How many words that many bytes take.
pub(crate) fn words_of(length: usize) -> usize {
    length.div_ceil(8)
}

/// Stores bytes to the words at `offset`, and zeros to the rest of the last word.
pub(crate) fn copy_in(memory: &impl Blocks, offset: usize, bytes: &[u8]) {
    let words = memory.words(offset, words_of(bytes.len()));
    let (whole, rest) = bytes.as_chunks::<8>();
    for (word, bytes) in words.iter().zip(whole) {
        word.store(u64::from_ne_bytes(*bytes), Ordering::Relaxed);
    }
    if let (false, Some(word)) = (rest.is_empty(), words.last()) {
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        word.store(u64::from_ne_bytes(last), Ordering::Relaxed);
    }
}

/// Loads bytes from the words at `offset`.
pub(crate) fn copy_out(memory: &impl Blocks, offset: usize, bytes: &mut [u8]) {
    let words = memory.words(offset, words_of(bytes.len()));
    let (whole, rest) = bytes.as_chunks_mut::<8>();
    for (word, bytes) in words.iter().zip(whole) {
        *bytes = word.load(Ordering::Relaxed).to_ne_bytes();
    }
    if let (false, Some(word)) = (rest.is_empty(), words.last()) {
        let last = word.load(Ordering::Relaxed).to_ne_bytes();
        rest.copy_from_slice(&last[..rest.len()]);
    }
}
