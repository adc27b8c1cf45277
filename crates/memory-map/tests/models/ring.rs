//! The ring of a channel.

use std::sync::atomic::Ordering::SeqCst;

use loom::sync::Arc;
use loom::thread;

use crate::ipc::atomic::fence;
use crate::ipc::eventcount;
use crate::ipc::lock;
use crate::ipc::park::{self, Patience};
use crate::ipc::ring::{Memory, Part, at};
use crate::ipc::spin::Spin;
use crate::{DEAD, check};

/// A channel in which messages of eight bytes are sent.
type Place = crate::place::Place<64>;

impl Place {
    fn fill(&self, part: Part, value: u64) {
        // SAFETY: loom checks that nobody else has the pointer now.
        self.cell(part).with_mut(|bytes| unsafe { *bytes = value });
    }

    fn send(&self, me: u64, value: u64) {
        let ring = self.ring(me);
        let part = ring.reserve(8, Some(&Patience::default())).unwrap().unwrap();
        self.fill(part, value);
        ring.commit(part, 8).unwrap();
    }

    fn receive(&self) -> u64 {
        let ring = self.ring(1);
        let (part, end) = ring.next(|| None, Some(&Patience::default())).unwrap().unwrap();
        // SAFETY: as above.
        let value = self.cell(part).with(|bytes| unsafe { *bytes });
        ring.release(end);
        value
    }
}

/// Receives what is there in one go, as `receive_ahead` and `lib/sync/ahead.ts` do: the first message, and
/// copies of those behind it, past which the tail goes one by one.
fn receive_ahead(place: &Place) -> Vec<u64> {
    let ring = place.ring(1);
    let copied = |part: Part| {
        // SAFETY: loom checks that nobody writes there now.
        place.cell(part).with(|bytes| unsafe { *bytes })
    };
    let (part, end) = ring.next(|| None, Some(&Patience::default())).unwrap().unwrap();
    let mut received = vec![copied(part)];
    ring.release(end);
    let (mut tail, mut ahead) = (end, Vec::new());
    while let Some((part, end)) = ring.peek(tail).unwrap() {
        ahead.push((copied(part), tail, end));
        tail = end;
    }
    for (value, from, to) in ahead {
        let word = ring.memory.word(at::TAIL);
        word.compare_exchange(from, to, SeqCst, SeqCst).unwrap();
        fence(SeqCst); // loom takes the order of the two accesses for less than JavaScript's is
        let is_last = || to == tail && ring.memory.word(at::HEAD).load(SeqCst) == to;
        let worth_it = ring.passes_eighth(from, to) || is_last();
        if worth_it && ring.memory.word(at::EMPTIED).load(SeqCst) & 1 == 1 {
            eventcount::signal(ring.memory.word(at::EMPTIED));
        }
        received.push(value);
    }
    received
}

#[test]
fn messages_that_are_copied_before_their_turn_come_once_and_in_order() {
    check(Some(3), || {
        let place = Place::new();
        let sender = Arc::clone(&place);
        let sending = thread::spawn(move || (1..=4).for_each(|i| sender.send(2, i)));
        let mut received = Vec::new();
        while received.len() < 4 {
            received.extend(receive_ahead(&place));
        }
        assert_eq!(received, [1, 2, 3, 4]);
        sending.join().unwrap();
    });
}

#[test]
fn messages_come_in_order_while_the_ring_fills_and_empties() {
    // Two fit at a time: the sender waits for room, and the fourth is where the first was.
    check(Some(3), || {
        let place = Place::new();
        let sender = Arc::clone(&place);
        let sending = thread::spawn(move || (1..=4).for_each(|i| sender.send(2, i)));
        let received: Vec<_> = (1..=4).map(|_| place.receive()).collect();
        assert_eq!(received, [1, 2, 3, 4]);
        sending.join().unwrap();
    });
}

#[test]
fn messages_that_are_sent_at_once_come_in_order_while_the_ring_fills_and_empties() {
    check(Some(3), || {
        let place = Place::new();
        let sender = Arc::clone(&place);
        let sending = thread::spawn(move || {
            let fill = |index: usize, part| sender.fill(part, index as u64 + 1);
            let patience = Patience::default();
            let sent = sender.ring(2).send_all([8; 4].into_iter(), Some(&patience), fill);
            assert_eq!(sent, Ok(4));
        });
        let received: Vec<_> = (1..=4).map(|_| place.receive()).collect();
        assert_eq!(received, [1, 2, 3, 4]);
        sending.join().unwrap();
    });
}

#[test]
fn the_messages_of_two_senders_all_come() {
    check(Some(3), || {
        let place = Place::new();
        let senders = [2, 3].map(|me| {
            let place = Arc::clone(&place);
            thread::spawn(move || place.send(me, me))
        });
        let mut received = [place.receive(), place.receive()];
        received.sort_unstable();
        assert_eq!(received, [2, 3]);
        senders.into_iter().for_each(|sender| sender.join().unwrap());
    });
}

#[test]
fn a_message_whose_sender_is_dead_is_skipped() {
    check(Some(3), || {
        let place = Place::new();
        place.ring(DEAD).reserve(8, None).unwrap().unwrap();
        let sender = Arc::clone(&place);
        let sending = thread::spawn(move || sender.send(2, 5));
        assert_eq!(place.receive(), 5);
        sending.join().unwrap();
    });
}

#[test]
fn a_message_that_was_committed_before_its_sender_died_comes() {
    check(Some(3), || {
        let place = Place::new();
        let sender = Arc::clone(&place);
        let sending = thread::spawn(move || {
            sender.send(2, 5);
            sender.life.dead.store(2, SeqCst);
            park::wake_all();
        });
        assert_eq!(place.receive(), 5);
        sending.join().unwrap();
    });
}

#[test]
fn a_sender_that_dies_with_the_lock_is_succeeded() {
    check(Some(3), || {
        let place = Place::new();
        let patience = Patience::default();
        let ring = place.ring(DEAD);
        lock::lock(ring.memory.word(at::SENDERS), DEAD, &Spin, &patience, &place.life).unwrap();
        let senders = [2, 3].map(|me| {
            let place = Arc::clone(&place);
            thread::spawn(move || place.send(me, me))
        });
        let mut received = [place.receive(), place.receive()];
        received.sort_unstable();
        assert_eq!(received, [2, 3]);
        senders.into_iter().for_each(|sender| sender.join().unwrap());
    });
}
