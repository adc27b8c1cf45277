//! The ring of a broadcast.

use std::sync::atomic::Ordering::SeqCst;

use loom::sync::Arc;
use loom::thread;

use crate::ipc::atomic::AtomicU64;
use crate::ipc::blocks::Blocks;
use crate::ipc::feed::{Cursor, Feed, PLACE, Spins, Taken, at};
use crate::ipc::lock::{self, World};
use crate::ipc::park::{self, Patience};
use crate::ipc::ring::Part;
use crate::ipc::spin::Spin;
use crate::{DEAD, Life, check, everybody};

/// Three messages of a word fit, and a part of another.
const RING: usize = 80;
/// Places for two receivers, where nothing is lost.
const LOSSLESS: usize = at::PLACES + 2 * PLACE;

const HEADS: [usize; 6] = [at::SENDERS, at::HEAD, at::TAIL, at::LAST, at::FILLED, at::EMPTIED];

/// The words that are used: loom cannot have as many as there are bytes.
struct Place {
    words: Vec<AtomicU64>,
    life: Life,
    spins: Spins,
    data: usize,
}

impl World for Place {
    fn is_alive(&self, participant: u64) -> bool {
        self.life.is_alive(participant)
    }
    fn check(&self) -> memory_map::Result<()> {
        Ok(())
    }
}

impl Blocks for Place {
    fn word(&self, offset: usize) -> &AtomicU64 {
        &self.words(offset, 1)[0]
    }
    fn words(&self, offset: usize, count: usize) -> &[AtomicU64] {
        let first = match HEADS.iter().position(|head| *head == offset) {
            Some(index) => index,
            None if offset >= self.data => HEADS.len() + 4 + (offset - self.data) / 8,
            None => {
                let (place, word) = ((offset - at::PLACES) / PLACE, offset % PLACE / 8);
                HEADS.len() + 2 * place + word
            }
        };
        &self.words[first..first + count]
    }
}

impl Place {
    fn new(data: usize) -> Arc<Self> {
        let words = (0..HEADS.len() + 4 + RING / 8).map(|_| AtomicU64::new(0)).collect();
        Arc::new(Self { words, life: everybody(), spins: Spins::new(), data })
    }

    fn feed(&self, me: u64) -> Feed<'_, Self> {
        Feed { memory: self, data: self.data, size: RING, me, spins: &self.spins }
    }

    fn send(&self, me: u64, value: u64) {
        let bytes = value.to_ne_bytes();
        self.send_all(me, &[&bytes]);
    }

    fn send_all(&self, me: u64, messages: &[&[u8]]) {
        let sent = self.feed(me).send(messages.iter().copied(), Some(&Patience::default()));
        assert_eq!(sent, Ok(messages.len()));
    }

    fn join(&self, receiver: u64) -> Cursor {
        self.feed(receiver).join(false, receiver, &Patience::default()).unwrap()
    }

    fn borrow(&self, cursor: &mut Cursor, is_first: bool) -> (Part, u64) {
        loop {
            if let Some(found) = self.feed(1).borrow(cursor, is_first).unwrap() {
                return found;
            }
            self.feed(1).wait(|| cursor.position, &Patience::default()).unwrap();
        }
    }

    fn receive(&self, cursor: &mut Cursor) -> u64 {
        let mut bytes = [0; 8];
        loop {
            match self.feed(1).take(cursor, &mut bytes).unwrap() {
                Taken::Copied(8) => return u64::from_ne_bytes(bytes),
                Taken::Nothing => {
                    self.feed(1).wait(|| cursor.position, &Patience::default()).unwrap();
                }
                taken => assert_eq!(taken, Taken::Copied(8)),
            }
        }
    }
}

#[test]
fn messages_that_are_borrowed_stay_until_they_are_given_back() {
    check(Some(2), || {
        let place = Place::new(LOSSLESS);
        let mut cursor = place.join(1);
        let sender = Arc::clone(&place);
        let sending = thread::spawn(move || (1..=4).for_each(|i| sender.send(2, i)));
        for two in [[1, 2], [3, 4]] {
            let (first, _) = place.borrow(&mut cursor, true);
            let (second, end) = place.borrow(&mut cursor, false);
            let values = [first, second].map(|part| place.word(part.offset).load(SeqCst));
            assert_eq!(values, two.map(u64::to_le));
            place.feed(1).give_back(&cursor, end);
        }
        assert_eq!(cursor.lost, 0);
        sending.join().unwrap();
    });
}

#[test]
fn a_receiver_that_is_overtaken_gets_whole_messages_and_knows_how_many_it_lost() {
    // Messages are their numbers.
    check(Some(2), || {
        let place = Place::new(at::PLACES);
        let mut cursor = place.join(1);
        let sender = Arc::clone(&place);
        let sending = thread::spawn(move || (1..=4).for_each(|i| sender.send(2, i)));
        let (mut received, mut last) = (0, 0);
        while last < 4 {
            let value = place.receive(&mut cursor);
            assert!(value > last);
            last = value;
            received += 1;
        }
        assert_eq!((received + cursor.lost, last), (4, 4));
        sending.join().unwrap();
    });
}

#[test]
fn a_receiver_that_must_lose_nothing_gets_all_while_the_ring_fills_and_empties() {
    check(Some(2), || {
        let place = Place::new(LOSSLESS);
        let mut cursor = place.join(1);
        let sender = Arc::clone(&place);
        let sending = thread::spawn(move || (1..=4).for_each(|i| sender.send(2, i)));
        let received: Vec<_> = (1..=4).map(|_| place.receive(&mut cursor)).collect();
        assert_eq!((received, cursor.lost), (vec![1, 2, 3, 4], 0));
        sending.join().unwrap();
    });
}

#[test]
fn a_batch_that_is_longer_than_the_ring_comes_in_order_or_is_counted_as_lost() {
    for data in [at::PLACES, LOSSLESS] {
        check(Some(2), move || {
            let place = Place::new(data);
            let mut cursor = place.join(1);
            let sender = Arc::clone(&place);
            let sending = thread::spawn(move || {
                let messages = [1_u64, 2, 3, 4].map(u64::to_ne_bytes);
                sender.send_all(2, &messages.each_ref().map(<[u8; 8]>::as_slice));
            });
            let (mut received, mut last) = (0, 0);
            while last < 4 {
                let value = place.receive(&mut cursor);
                assert!(value > last);
                last = value;
                received += 1;
            }
            assert_eq!((received + cursor.lost, last), (4, 4));
            assert!(data == at::PLACES || cursor.lost == 0);
            sending.join().unwrap();
        });
    }
}

#[test]
fn the_messages_of_two_senders_all_come() {
    check(Some(2), || {
        let place = Place::new(at::PLACES);
        let mut cursor = place.join(1);
        let senders = [2, 3].map(|me| {
            let place = Arc::clone(&place);
            thread::spawn(move || place.send(me, me))
        });
        let mut received = [place.receive(&mut cursor), place.receive(&mut cursor)];
        received.sort_unstable();
        assert_eq!(received, [2, 3]);
        senders.into_iter().for_each(|sender| sender.join().unwrap());
    });
}

#[test]
fn a_receiver_that_is_dead_holds_no_sender_back() {
    check(Some(3), || {
        let place = Place::new(LOSSLESS);
        place.join(DEAD);
        let mut cursor = place.join(1);
        let sender = Arc::clone(&place);
        let sending = thread::spawn(move || (1..=4).for_each(|i| sender.send(2, i)));
        let received: Vec<_> = (1..=4).map(|_| place.receive(&mut cursor)).collect();
        assert_eq!(received, [1, 2, 3, 4]);
        sending.join().unwrap();
    });
}

#[test]
fn a_receiver_that_leaves_holds_no_sender_back() {
    check(Some(3), || {
        let place = Place::new(LOSSLESS);
        let mut cursor = place.join(1);
        let sender = Arc::clone(&place);
        let sending = thread::spawn(move || (1..=4).for_each(|i| sender.send(2, i)));
        place.feed(1).leave(&mut cursor);
        sending.join().unwrap();
    });
}

#[test]
fn a_receiver_that_joins_while_others_send_gets_all_that_follow() {
    check(Some(2), || {
        let place = Place::new(LOSSLESS);
        let sender = Arc::clone(&place);
        let sending = thread::spawn(move || (1..=4).for_each(|i| sender.send(2, i)));
        let mut cursor = place.join(1);
        place.feed(1);
        let mut last = 0;
        for _ in 0..3 {
            let mut bytes = [0; 8];
            if place.feed(1).take(&mut cursor, &mut bytes).unwrap() == Taken::Copied(8) {
                let value = u64::from_ne_bytes(bytes);
                assert!(last == 0 || value == last + 1);
                last = value;
            }
        }
        assert_eq!(cursor.lost, 0);
        place.feed(1).leave(&mut cursor);
        sending.join().unwrap();
    });
}

#[test]
fn a_sender_that_dies_with_the_lock_is_succeeded() {
    check(Some(3), || {
        let place = Place::new(at::PLACES);
        let mut cursor = place.join(1);
        let patience = Patience::default();
        lock::lock(place.word(at::SENDERS), DEAD, &Spin, &patience, &place.life).unwrap();
        // Half a message.
        place.word(place.data).store(8, SeqCst);
        let sender = Arc::clone(&place);
        let sending = thread::spawn(move || {
            sender.send(2, 5);
            park::wake_all();
        });
        assert_eq!(place.receive(&mut cursor), 5);
        sending.join().unwrap();
    });
}
