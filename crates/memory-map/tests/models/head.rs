//! How a channel or a queue is made.

use std::sync::atomic::Ordering::SeqCst;

use loom::sync::Arc;
use loom::thread;

use crate::ipc::atomic::AtomicU64;
use crate::ipc::head::{self, Kind};
use crate::ipc::lock::{self, World};
use crate::ipc::park::{self, Patience};
use crate::ipc::ring::{Memory, at};
use crate::ipc::spin::Spin;
use crate::{DEAD, Life, check, everybody};

const KIND: Kind =
    Kind { magic: 77, version: 1, none: "", other_version: "", impossible: "", short: "" };
const WORDS: [usize; 11] = [
    at::MAGIC,
    at::VERSION,
    at::RING,
    at::SENDERS,
    at::HEAD,
    at::TAIL,
    at::RECEIVER,
    at::BEGUN,
    at::FILLED,
    at::EMPTIED,
    at::MAKER,
];

/// A head, and the words of it.
struct Place(Vec<AtomicU64>, Life);

impl World for Place {
    fn is_alive(&self, participant: u64) -> bool {
        self.1.is_alive(participant)
    }
    fn check(&self) -> memory_map::Result<()> {
        Ok(())
    }
}

impl Memory for Place {
    fn word(&self, offset: usize) -> &AtomicU64 {
        // Those of a queue are not used here.
        &self.0[WORDS.iter().position(|word| *word == offset).unwrap_or(WORDS.len())]
    }
}

impl Place {
    fn new() -> Arc<Self> {
        Arc::new(Self((0..=WORDS.len()).map(|_| AtomicU64::new(0)).collect(), everybody()))
    }

    fn look_or_make(&self, me: u64) -> u64 {
        head::look_or_make(self, &KIND, 64 * me, me, &Patience::default()).unwrap()
    }
}

#[test]
fn those_who_make_one_at_once_get_the_same_and_the_words_of_it() {
    check(Some(3), || {
        let place = Place::new();
        let make = |me| {
            let place = Arc::clone(&place);
            thread::spawn(move || {
                let ring = place.look_or_make(me);
                // What was sent before is not overwritten.
                (ring, place.word(at::HEAD).fetch_add(8, SeqCst))
            })
        };
        let found = [make(1), make(2)].map(|thread| thread.join().unwrap());
        assert_eq!(found[0].0, found[1].0);
        assert_ne!(found[0].1, found[1].1);
        assert_eq!(place.word(at::HEAD).load(SeqCst), 2 * found[0].0 + 16);
    });
}

#[test]
fn one_who_waits_for_it_sees_it_and_all_of_it() {
    check(Some(3), || {
        let place = Place::new();
        let other = Arc::clone(&place);
        let waiting = thread::spawn(move || {
            assert_eq!(head::wait(&*other, &KIND, &Patience::default()), Ok(true));
            assert_eq!(other.word(at::RING).load(std::sync::atomic::Ordering::Relaxed), 64);
        });
        place.look_or_make(1);
        waiting.join().unwrap();
    });
}

#[test]
fn one_who_dies_in_the_middle_is_succeeded() {
    check(Some(3), || {
        let place = Place::new();
        let patience = Patience::default();
        lock::lock(place.word(at::MAKER), DEAD, &Spin, &patience, &place.1).unwrap();
        place.word(at::HEAD).store(5, SeqCst);
        park::wake_all();
        let other = Arc::clone(&place);
        let making = thread::spawn(move || other.look_or_make(2));
        assert_eq!(place.look_or_make(1), making.join().unwrap());
    });
}
