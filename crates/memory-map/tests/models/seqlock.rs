//! The newest value, in its slots.

use loom::sync::Arc;
use loom::thread;

use crate::check;
use crate::ipc::atomic::AtomicU64;
use crate::ipc::blocks::Blocks;
use crate::ipc::seqlock::{HEADER, SLOTS, Slots, at};

/// Bytes of a value: two words, so that a mixture is seen.
const MAX: usize = 16;

struct Place(Vec<AtomicU64>);

impl Blocks for Place {
    fn word(&self, offset: usize) -> &AtomicU64 {
        &self.words(offset, 1)[0]
    }
    fn words(&self, offset: usize, count: usize) -> &[AtomicU64] {
        // Of the head only what is used: loom cannot have as many atomics as there are words.
        let first = if offset < at::SLOTS { offset / 8 } else { (offset - at::SLOTS) / 8 + 4 };
        &self.0[first..first + count]
    }
}

impl Place {
    fn new() -> Arc<Self> {
        let words = 4 + SLOTS * (HEADER + MAX) / 8;
        let place = Self((0..words).map(|_| AtomicU64::new(0)).collect());
        place.slots().claim().unwrap();
        Arc::new(place)
    }

    fn slots(&self) -> Slots<'_, Self> {
        Slots { memory: self, max: MAX }
    }

    fn write(&self, value: u8) {
        self.slots().write(&[value; MAX], || Ok(())).unwrap();
    }

    /// The value, which must be whole.
    fn read(&self) -> u8 {
        let mut bytes = [0; MAX];
        assert_eq!(self.slots().read(&mut bytes), Ok(Some(MAX)));
        assert_eq!(bytes, [bytes[0]; MAX]);
        bytes[0]
    }
}

#[test]
fn a_value_is_whole_and_none_comes_before_an_older_one() {
    check(Some(3), || {
        let place = Place::new();
        place.write(1);
        let writer = Arc::clone(&place);
        let writing = thread::spawn(move || (2..=5).for_each(|value| writer.write(value)));
        let first = place.read();
        assert!(place.read() >= first);
        writing.join().unwrap();
        assert_eq!(place.read(), 5);
    });
}

#[test]
fn the_version_that_was_asked_for_first_is_no_later_one_than_the_value() {
    check(Some(3), || {
        let place = Place::new();
        place.write(1);
        let writer = Arc::clone(&place);
        let writing = thread::spawn(move || (2..=3).for_each(|value| writer.write(value)));
        let version = place.slots().version();
        assert!(u64::from(place.read()) >= version);
        writing.join().unwrap();
    });
}

#[test]
fn a_writer_that_dies_in_the_middle_leaves_the_value_before() {
    check(Some(3), || {
        let place = Place::new();
        place.write(1);
        let writer = Arc::clone(&place);
        let writing = thread::spawn(move || {
            let killed = || Err(memory_map::Error::Cancelled);
            writer.slots().write(&[9; MAX], killed).unwrap_err();
            writer.write(2);
        });
        assert!([1, 2].contains(&place.read()));
        writing.join().unwrap();
        assert_eq!(place.read(), 2);
    });
}
