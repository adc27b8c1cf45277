//! Fuzz targets: functions that take any bytes and panic where the library breaks a promise.
//!
//! libFuzzer runs them (`npm run fuzz`), and so does `crates/memory-map/tests/fuzz.rs`, with the corpus.

mod broadcast;
mod channel;
mod latest;
mod locks;
mod options;
mod queue;
mod ranges;
mod search;

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use memory_map::{FileOptions, Mapping, Options, Source, page_size};

/// Takes any bytes.
pub type Target = fn(&[u8]);

/// All targets, by name.
pub const ALL: [(&str, Target); 8] = [
    ("broadcast", broadcast::run),
    ("channel", channel::run),
    ("latest", latest::run),
    ("locks", locks::run),
    ("options", options::run),
    ("queue", queue::run),
    ("ranges", ranges::run),
    ("search", search::run),
];

/// The bytes of an input, taken from the front; zeros once they are over.
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn is_over(&self) -> bool {
        self.0.is_empty()
    }

    fn take(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(count.min(self.0.len()));
        self.0 = rest;
        taken
    }

    fn byte(&mut self) -> u8 {
        self.take(1).first().copied().unwrap_or(0)
    }

    fn flag(&mut self) -> bool {
        self.byte() & 1 == 1
    }

    /// The damage that another thread does all the time, for one input in four.
    fn fire(&mut self) -> &'a [u8] {
        let length = self.byte();
        self.take(if length.is_multiple_of(4) { usize::from(length) / 4 } else { 0 })
    }

    fn word(&mut self) -> u64 {
        self.take(8).iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte))
    }

    fn below(&mut self, limit: usize) -> usize {
        (usize::from(self.byte()) | usize::from(self.byte()) << 8) % limit.max(1)
    }

    /// A number as they go wrong: about a page, a power of two, or the end of a type.
    fn number(&mut self) -> u64 {
        let (kind, detail) = (self.byte(), u64::from(self.byte()));
        match kind % 8 {
            0 => detail,
            1 => (page_size() as u64 * (detail >> 3)).wrapping_add(detail & 7).wrapping_sub(4),
            2 => detail << 8 | u64::from(self.byte()),
            3 => 1u64.wrapping_shl(detail as u32).wrapping_add(u64::from(self.byte())),
            4 => 1u64.wrapping_shl(detail as u32).wrapping_sub(u64::from(self.byte())),
            5 => u64::MAX - detail,
            6 => (i64::MAX as u64).wrapping_add(detail).wrapping_sub(128),
            _ => self.word(),
        }
    }

    fn size(&mut self) -> usize {
        self.number() as usize
    }
}

/// A file, or a folder, that is removed at the end.
struct Scratch(PathBuf);

impl Scratch {
    fn new(contents: &[u8]) -> Self {
        let new = Self::name();
        std::fs::write(&new.0, contents).expect("a file can be made");
        new
    }

    fn folder() -> Self {
        let new = Self::name();
        std::fs::create_dir(&new.0).expect("a folder can be made");
        new
    }

    fn name() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("memory-map-fuzz-{}-{number}.", std::process::id());
        Self(std::env::temp_dir().join(name))
    }

    fn shared(&self) -> Mapping {
        let whole = (FileOptions::default(), Options::default());
        Mapping::shared(Source::Path(&self.0), &whole.0, &whole.1).expect("it can be mapped")
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0).or_else(|_| std::fs::remove_dir_all(&self.0));
    }
}

/// Bytes before the ring of a channel or a queue.
const HEAD: usize = 512;

/// A byte that nothing of what is tested stores.
const UNTOUCHED: u8 = 0xa5;

/// Words in shared memory that others damage while they are in use.
struct Victim {
    map: Mapping,
    start: usize,
    words: usize,
    /// Where the words are that matter most now, by what they hold.
    hot: fn(&Self) -> usize,
    _file: Scratch,
}

impl Victim {
    /// `words` words of zeros, with a page that nothing may store to on either side.
    fn new(words: usize, hot: fn(&Self) -> usize) -> Self {
        let start = page_size();
        let mut bytes = vec![UNTOUCHED; (start + 8 * words).next_multiple_of(start) + start];
        bytes[start..start + 8 * words].fill(0);
        let file = Scratch::new(&bytes);
        Self { map: file.shared(), start, words, hot, _file: file }
    }

    fn word(&self, index: usize) -> &AtomicU64 {
        let start = self.map.address().expect("it is open") + self.start;
        // SAFETY: the word lies in the mapping, aligned; all who use it do so atomically, or copy
        // bytes and know that others change them.
        unsafe { AtomicU64::from_ptr((start + 8 * (index % self.words)) as *mut u64) }
    }

    /// Where the header of the oldest message of a channel or a queue is, by the words of the head.
    fn oldest_message(&self) -> usize {
        let [ring, tail] = [2, 24].map(|index| self.word(index).load(Ordering::Relaxed));
        HEAD / 8 + tail.checked_rem(ring).unwrap_or(0) as usize / 8
    }

    /// Damages a word in some way.
    fn damage(&self, input: &mut Input<'_>) {
        let (how, index) = (input.byte(), usize::from(input.byte()));
        let index = if how < 128 { index } else { (self.hot)(self) + index % 4 };
        let word = self.word(index);
        let old = word.load(Ordering::Relaxed);
        let new = match how % 6 {
            0 => input.number(),
            1 => old.wrapping_add((i64::from(input.byte() as i8) * 8) as u64),
            2 => old ^ 1 << (input.byte() % 64),
            3 => self.word(input.byte().into()).load(Ordering::Relaxed),
            4 => input.number() << 32 | input.number() & 0xffff_ffff,
            _ => input.number() << 2 | u64::from(input.byte() % 4),
        };
        word.store(new, Ordering::Relaxed);
    }

    /// Uses the words with `user` while another thread does `damages` to them, again and again.
    fn under_fire(&self, damages: &[u8], user: impl FnOnce()) {
        let over = AtomicBool::new(damages.is_empty());
        std::thread::scope(|scope| {
            let fire = scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    let mut input = Input(damages);
                    while !input.is_over() {
                        self.damage(&mut input);
                    }
                }
            });
            {
                let _over = SetAtEnd(&over);
                user();
            }
            // The scope waits until it has run only: what it has not freed by then looks like a leak.
            fire.join().expect("it does no harm to itself");
        });
    }

    /// Looks whether anything beside the words was stored to.
    fn check(&self) {
        let mut bytes = vec![0; self.map.len()];
        self.map.read(0, &mut bytes).expect("it can be read");
        let (before, rest) = bytes.split_at(self.start);
        let after = &rest[8 * self.words..];
        assert!(before.iter().chain(after).all(|byte| *byte == UNTOUCHED), "stored outside");
    }
}

/// Tells another thread to end, also where this one has failed.
struct SetAtEnd<'a>(&'a AtomicBool);

impl Drop for SetAtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
