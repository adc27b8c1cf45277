//! The messages of a queue, and those who receive them.

use std::sync::atomic::Ordering::SeqCst;

use loom::sync::Arc;
use loom::thread;

use crate::ipc::deliveries::{Deliveries, ENVELOPE, Taken};
use crate::ipc::lock;
use crate::ipc::park::{self, Patience};
use crate::ipc::ring::{Memory, Part, at};
use crate::ipc::spin::Spin;
use crate::{DEAD, check};

/// A queue in which two messages of eight bytes fit, of 40 with all.
type Place = crate::place::Place<80>;

impl Place {
    fn send(&self, me: u64, value: u64) {
        let ring = self.ring(me);
        let part = ring.reserve(ENVELOPE + 8, Some(&Patience::default())).unwrap().unwrap();
        for word in [0, 8] {
            self.word(part.offset + word).store(0, std::sync::atomic::Ordering::Relaxed);
        }
        let own = Part { offset: part.offset + ENVELOPE, length: 8 };
        // SAFETY: loom checks that nobody else has the pointer now.
        self.cell(own).with_mut(|bytes| unsafe { *bytes = value });
        ring.commit(part, part.length).unwrap();
    }

    fn send_many(&self, me: u64, values: &[u64]) {
        let fill = |index: usize, part: Part| {
            for word in [0, 8] {
                self.word(part.offset + word).store(0, std::sync::atomic::Ordering::Relaxed);
            }
            let own = Part { offset: part.offset + ENVELOPE, length: 8 };
            // SAFETY: loom checks that nobody else has the pointer now.
            self.cell(own).with_mut(|bytes| unsafe { *bytes = values[index] });
        };
        let lengths = values.iter().map(|_| ENVELOPE + 8);
        let sent = self.ring(me).send_all(lengths, Some(&Patience::default()), fill);
        assert_eq!(sent, Ok(values.len()));
    }

    fn take(&self, me: u64) -> (Taken, u64) {
        let ring = self.ring(me);
        let taken = Deliveries(&ring).take(false, &Patience::default()).unwrap().unwrap();
        (taken, self.value(&taken))
    }

    /// Receives up to two, and releases them the last one first: what they were, and how often delivered.
    fn receive_two(&self, me: u64, waits: bool) -> Vec<(u64, u64)> {
        let ring = self.ring(me);
        let (deliveries, patience) = (Deliveries(&ring), Patience::default());
        let taken = match waits {
            true => deliveries.take_many(false, 2, &patience),
            false => deliveries.try_take_many(false, 2, &patience),
        };
        let taken = taken.unwrap().unwrap_or_default();
        let values = taken.iter().map(|taken| (self.value(taken), taken.deliveries)).collect();
        taken.into_iter().rev().for_each(|taken| self.release(me, taken));
        values
    }

    fn value(&self, taken: &Taken) -> u64 {
        // SAFETY: loom checks that nobody stores to it meanwhile.
        self.cell(taken.part).with(|bytes| unsafe { *bytes })
    }

    fn release(&self, me: u64, taken: Taken) {
        Deliveries(&self.ring(me)).release(taken, Patience::default).unwrap();
    }

    fn requeue(&self, me: u64, taken: Taken) {
        Deliveries(&self.ring(me)).requeue(taken).unwrap();
    }

    fn receive(&self, me: u64) -> u64 {
        let (taken, value) = self.take(me);
        self.release(me, taken);
        value
    }
}

#[test]
fn each_message_comes_to_one_receiver() {
    check(Some(2), || {
        let place = Place::new();
        place.send(3, 1);
        let receivers = [1, 2].map(|me| {
            let place = Arc::clone(&place);
            thread::spawn(move || place.receive(me))
        });
        place.send(3, 2);
        let mut received = receivers.map(|receiver| receiver.join().unwrap());
        received.sort_unstable();
        assert_eq!(received, [1, 2]);
        assert_eq!(place.word(at::TAIL).load(SeqCst), place.word(at::HEAD).load(SeqCst));
    });
}

#[test]
fn a_sender_gets_room_from_receivers() {
    check(Some(2), || {
        let place = Place::new();
        let sender = Arc::clone(&place);
        let sending = thread::spawn(move || (1..=4).for_each(|i| sender.send(2, i)));
        let received: Vec<_> = (1..=4).map(|_| place.receive(1)).collect();
        assert_eq!(received, [1, 2, 3, 4]);
        sending.join().unwrap();
    });
}

#[test]
fn a_message_that_is_given_up_comes_to_one_who_sleeps() {
    check(Some(3), || {
        let place = Place::new();
        place.send(3, 5);
        let (taken, _) = place.take(1);
        let other = Arc::clone(&place);
        let receiving = thread::spawn(move || {
            let (taken, value) = other.take(2);
            assert_eq!(taken.deliveries, 2);
            other.release(2, taken);
            value
        });
        place.requeue(1, taken);
        assert_eq!(receiving.join().unwrap(), 5);
    });
}

#[test]
fn messages_that_are_done_in_any_order_give_their_room_back() {
    check(Some(3), || {
        let place = Place::new();
        place.send(3, 1);
        place.send(3, 2);
        let (first, second) = (place.take(1).0, place.take(2).0);
        let other = Arc::clone(&place);
        let releasing = thread::spawn(move || other.release(2, second));
        place.release(1, first);
        releasing.join().unwrap();
        assert_eq!(place.word(at::TAIL).load(SeqCst), place.word(at::HEAD).load(SeqCst));
    });
}

#[test]
fn the_message_of_a_dead_receiver_comes_to_one_of_the_others() {
    check(Some(2), || {
        let place = Place::new();
        place.send(3, 1);
        place.take(DEAD);
        park::wake_all();
        place.send(3, 2);
        let receivers = [1, 2].map(|me| {
            let place = Arc::clone(&place);
            thread::spawn(move || place.receive(me))
        });
        let mut received = receivers.map(|receiver| receiver.join().unwrap());
        received.sort_unstable();
        assert_eq!(received, [1, 2]);
    });
}

#[test]
fn batches_come_in_order_while_the_ring_fills_and_empties() {
    check(Some(2), || {
        let place = Place::new();
        let sender = Arc::clone(&place);
        let sending = thread::spawn(move || sender.send_many(2, &[1, 2, 3, 4]));
        let mut received = Vec::new();
        while received.len() < 4 {
            received.extend(place.receive_two(1, true));
        }
        assert_eq!(received, [1, 2, 3, 4].map(|value| (value, 1)));
        sending.join().unwrap();
        assert_eq!(place.word(at::TAIL).load(SeqCst), place.word(at::HEAD).load(SeqCst));
    });
}

#[test]
fn each_message_of_a_batch_comes_to_one_receiver() {
    check(Some(2), || {
        let place = Place::new();
        place.send_many(3, &[1, 2]);
        let receivers = [1, 2].map(|me| {
            let place = Arc::clone(&place);
            thread::spawn(move || place.receive_two(me, false))
        });
        let received: Vec<_> =
            receivers.into_iter().flat_map(|receiver| receiver.join().unwrap()).collect();
        assert_eq!(received, [(1, 1), (2, 1)]);
        assert_eq!(place.word(at::TAIL).load(SeqCst), place.word(at::HEAD).load(SeqCst));
    });
}

#[test]
fn the_batch_of_a_dead_receiver_comes_to_the_others() {
    check(Some(2), || {
        let place = Place::new();
        place.send_many(3, &[1, 2]);
        let ring = place.ring(DEAD);
        let taken = Deliveries(&ring).try_take_many(false, 2, &Patience::default());
        assert_eq!(taken.unwrap().unwrap().len(), 2);
        park::wake_all();
        let other = Arc::clone(&place);
        let receiving = thread::spawn(move || other.receive_two(1, false));
        let mut received = place.receive_two(2, false);
        received.extend(receiving.join().unwrap());
        received.sort_unstable();
        assert_eq!(received, [(1, 2), (2, 2)]);
    });
}

#[test]
fn one_who_dies_while_it_looks_hides_no_message() {
    check(Some(3), || {
        let place = Place::new();
        place.send(3, 1);
        let (taken, _) = place.take(1);
        let (lock, patience) = (place.word(at::RECEIVER), Patience::default());
        lock::lock(lock, DEAD, &Spin, &patience, &place.life).unwrap();
        let other = Arc::clone(&place);
        let receiving = thread::spawn(move || other.receive(2));
        place.requeue(1, taken);
        // The dead one has seen that it was given up, or not.
        place.word(at::RETURNED).store(0, SeqCst);
        park::wake_all();
        assert_eq!(receiving.join().unwrap(), 1);
    });
}
