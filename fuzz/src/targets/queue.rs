//! Queues: each message comes to one receiver, whole, again if it was given up; and where something else
//! stores to their memory there are errors, and nothing outside of the queue is touched.

use std::cell::Cell;
use std::collections::HashMap;
use std::time::Duration;

use memory_map::ipc::{Delivery, Patience, Queue};
use memory_map::{Error, Result};

use super::{HEAD, Input, Victim};

/// Queues on the same memory, at most.
const MOST: usize = 4;

pub fn run(data: &[u8]) {
    let mut input = Input(data);
    let ring = 128 + 64 * (input.byte() as usize % 12);
    let fire = input.fire();
    let victim = Victim::new((HEAD + ring) / 8, Victim::oldest_message);
    let first = Queue::create(&victim.map, victim.start, HEAD + ring).expect("it can be made");
    let user = User {
        victim: &victim,
        queues: vec![first],
        damaged: Cell::new(!fire.is_empty()),
        taken: Vec::new(),
        sent: HashMap::new(),
        next: 0,
    };
    victim.under_fire(fire, || user.run(&mut input));
    victim.check();
}

struct User<'a> {
    victim: &'a Victim,
    queues: Vec<Queue>,
    /// Whether something else has stored to the memory: then there may be any message, and errors.
    damaged: Cell<bool>,
    /// Messages, their numbers, and who has them.
    taken: Vec<(usize, u64, Delivery)>,
    /// Lengths of the messages that are not done, and how often they were delivered.
    sent: HashMap<u64, (usize, u64)>,
    next: u64,
}

impl User<'_> {
    fn run(mut self, input: &mut Input<'_>) {
        for _ in 0..64 {
            if input.is_over() {
                break;
            }
            let (what, who) = (input.byte(), input.byte() as usize % self.queues.len());
            self.step(what, who, input);
        }
    }

    fn step(&mut self, what: u8, who: usize, input: &mut Input<'_>) {
        let timeout = Patience::of(Duration::from_micros(u64::from(input.byte())));
        let patience = if input.flag() { Some(&timeout) } else { None };
        match what % 10 {
            0 if self.queues.len() < MOST => {
                let (map, start) = (&self.victim.map, self.victim.start);
                let opened = match input.flag() {
                    true => Queue::open(map, start),
                    false => Queue::open_or_create(map, start, 8 * self.victim.words),
                };
                self.queues.extend(self.allow(opened));
            }
            0..=2 => self.send(who, input, patience),
            3 | 4 => {
                let most = if what >= 170 { Some(input.byte() as usize % 8) } else { None };
                let room = if what >= 85 { input.below(1024) } else { 0 };
                self.receive(who, most, room, patience);
            }
            5 | 6 if !self.taken.is_empty() => {
                let (who, number, message) = self.taken.swap_remove(input.below(self.taken.len()));
                let done = self.queues[who].release(message);
                self.allow(done);
                self.sent.remove(&number);
            }
            7 if !self.taken.is_empty() => {
                let (who, _, message) = self.taken.swap_remove(input.below(self.taken.len()));
                let given_up = self.queues[who].requeue(message);
                self.allow(given_up);
            }
            8 => {
                let ready = self.queues[who].wait_for_message(&timeout);
                let pending = self.queues[who].pending();
                if let (Some(ready), Some([there, taken])) =
                    (self.allow(ready), self.allow(pending))
                    && !self.damaged.get()
                {
                    assert_eq!(ready, there.0 > 0);
                    assert_eq!(taken.0, self.taken.len());
                    assert_eq!(there.0 + taken.0, self.sent.len());
                }
            }
            9 => {
                self.damaged.set(true);
                self.victim.damage(input);
            }
            _ => {}
        }
    }

    /// What a call gave, if it may have failed as it did.
    fn allow<T>(&self, result: Result<T>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(Error::OutOfRange { .. }) => None,
            Err(Error::Invalid(_) | Error::NotOwner | Error::Busy(_)) if self.damaged.get() => None,
            Err(error) => panic!("{error:?}"),
        }
    }

    fn send(&mut self, who: usize, input: &mut Input<'_>, patience: Option<&Patience<'_>>) {
        let bytes = message(self.next, 8 + input.below(8 * self.victim.words - HEAD));
        let sent = self.queues[who].send(&bytes, patience);
        let sent = self.allow(sent);
        assert!(sent.is_none() || bytes.len() <= self.queues[who].max_length());
        if sent == Some(true) {
            self.sent.insert(self.next, (bytes.len(), 0));
            self.next += 1;
        }
    }

    /// Receives at most so many messages, or one, into bytes for which there is so much room.
    fn receive(
        &mut self,
        who: usize,
        most: Option<usize>,
        room: usize,
        patience: Option<&Patience<'_>>,
    ) {
        let mut bytes = vec![0; room];
        let queue = &self.queues[who];
        let received = match most {
            Some(most) => queue.receive_many_into(most, &mut bytes, patience),
            None => queue.receive_into(&mut bytes, patience).map(|one| one.into_iter().collect()),
        };
        let Some(received) = self.allow(received) else { return };
        assert!(received.len() <= most.unwrap_or(1));
        if received.is_empty() && most != Some(0) {
            assert!(self.damaged.get() || self.taken.len() == self.sent.len(), "nothing comes");
        }
        let mut rest = &bytes[..];
        for delivery in received {
            let mut bytes = vec![0; delivery.length()];
            let read = self.queues[who].read(&delivery, &mut bytes);
            self.allow(read);
            if self.damaged.get() {
                self.taken.push((who, u64::MAX, delivery));
                continue;
            }
            rest = rest.get(..bytes.len()).map_or(&[], |copied| {
                assert_eq!(copied, bytes);
                rest.get(bytes.len().next_multiple_of(8)..).unwrap_or_default()
            });
            self.take(who, &bytes, delivery);
        }
        assert!(self.damaged.get() || rest.iter().all(|byte| *byte == 0), "copied too much");
    }

    /// Takes a message if it is as it was sent, and nobody else has it.
    fn take(&mut self, who: usize, bytes: &[u8], delivery: Delivery) {
        let number = bytes.first_chunk().map_or(u64::MAX, |first| u64::from_le_bytes(*first));
        assert!(self.taken.iter().all(|(_, taken, _)| *taken != number), "another one has it");
        let (length, times) = self.sent.get_mut(&number).expect("it was sent, and is not done");
        *times += 1;
        assert_eq!((bytes.len(), delivery.deliveries()), (*length, *times));
        assert_eq!(bytes, message(number, *length));
        self.taken.push((who, number, delivery));
    }
}

/// The bytes of a message: its number first.
fn message(number: u64, length: usize) -> Vec<u8> {
    let rest = (8..length as u64).map(|at| (number * 31 + at) as u8);
    number.to_le_bytes().into_iter().chain(rest).collect()
}
