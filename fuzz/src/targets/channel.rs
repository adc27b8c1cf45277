//! Channels: what is sent arrives, in order; and where something else stores to their memory, now and
//! then or all the time, there are errors, and nothing outside of the channel is touched.

use std::cell::Cell;
use std::collections::VecDeque;
use std::time::Duration;

use memory_map::ipc::{Channel, Message, Patience, Received, Reservation};
use memory_map::{Error, Result};

use super::{HEAD, Input, Victim};

/// Channels on the same memory, at most.
const MOST: usize = 4;

pub fn run(data: &[u8]) {
    let mut input = Input(data);
    let ring = 128 + 64 * (input.byte() as usize % 12);
    let fire = input.fire();
    let victim = Victim::new((HEAD + ring) / 8, Victim::oldest_message);
    let first = Channel::create(&victim.map, victim.start, HEAD + ring).expect("it can be made");
    let user = User {
        victim: &victim,
        channels: vec![first],
        damaged: Cell::new(!fire.is_empty()),
        reserved: Vec::new(),
        received: None,
        queue: VecDeque::new(),
        next: 0,
    };
    victim.under_fire(fire, || user.run(&mut input));
    victim.check();
}

/// A message that was sent, or is to be.
struct Sent {
    id: u64,
    /// What it holds; nothing while it is not committed, and nothing in it if it was given up.
    bytes: Option<Option<Vec<u8>>>,
}

struct User<'a> {
    victim: &'a Victim,
    channels: Vec<Channel>,
    /// Whether something else has stored to the memory: then there may be any message, and errors.
    damaged: Cell<bool>,
    reserved: Vec<(usize, u64, Reservation)>,
    received: Option<(usize, Message)>,
    queue: VecDeque<Sent>,
    next: u64,
}

impl User<'_> {
    fn run(mut self, input: &mut Input<'_>) {
        for _ in 0..64 {
            if input.is_over() {
                break;
            }
            let (what, who) = (input.byte(), input.byte() as usize % self.channels.len());
            self.step(what, who, input);
        }
    }

    fn step(&mut self, what: u8, who: usize, input: &mut Input<'_>) {
        let timeout = Patience::of(Duration::from_micros(u64::from(input.byte())));
        let patience = if input.flag() { Some(&timeout) } else { None };
        match what % 13 {
            0 if self.channels.len() < MOST => {
                let opened = Channel::open(&self.victim.map, self.victim.start);
                self.channels.extend(self.allow(opened));
            }
            0 | 1 => self.send(who, input, patience),
            2 => self.send_many(who, input, patience),
            3 => self.reserve(who, input, patience),
            4 if !self.reserved.is_empty() => {
                let (who, id, reservation) =
                    self.reserved.swap_remove(input.below(self.reserved.len()));
                let bytes = self.bytes(input.below(reservation.length() + 2));
                let place = reservation.offset();
                if bytes.len() <= reservation.length() {
                    self.victim.map.write(&bytes, place).expect("it can be stored to");
                    let done = self.channels[who].commit(reservation, bytes.len());
                    self.allow(done);
                    self.finish(id, Some(bytes));
                } else {
                    let error = self.channels[who].commit(reservation, bytes.len());
                    assert!(matches!(error, Err(Error::OutOfRange { .. })), "{error:?}");
                    self.damaged.set(true); // it stays reserved for ever
                }
            }
            5 if !self.reserved.is_empty() => {
                let (who, id, reservation) = self.reserved.swap_remove(0);
                let done = self.channels[who].abandon(reservation);
                self.allow(done);
                self.finish(id, None);
            }
            6 => self.receive(who, patience),
            7 => {
                if let Some((who, message)) = self.received.take() {
                    if input.flag() {
                        self.channels[who].put_back(message);
                    } else {
                        let done = self.channels[who].release(message);
                        self.allow(done);
                        self.queue.pop_front();
                    }
                }
            }
            8 => {
                let mut bytes = vec![0; input.below(1024)];
                let received = self.channels[who].receive_into(&mut bytes, patience);
                match self.allow(received) {
                    Some(Received::Copied(length)) => {
                        self.expect(Some(&bytes[..length]));
                        self.queue.pop_front();
                    }
                    Some(Received::Nothing) => self.expect(None),
                    Some(Received::TooLong(length)) => {
                        assert!(length > bytes.len() && length <= self.most());
                    }
                    None => {}
                }
            }
            9 => self.receive_many(who, input, patience),
            10 => {
                let there = self.channels[who].wait_for_message(&timeout);
                self.allow(there);
            }
            11 => {
                let stopped = self.channels[who].stop_receiving();
                self.allow(stopped);
            }
            12 => {
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
            Err(Error::Busy(_) | Error::OutOfRange { .. }) => None,
            Err(Error::Invalid(_)) if self.damaged.get() => None,
            Err(error) => panic!("{error:?}"),
        }
    }

    /// Bytes of the longest message that there can be in memory.
    fn most(&self) -> usize {
        8 * self.victim.words - HEAD
    }

    fn bytes(&mut self, length: usize) -> Vec<u8> {
        self.next += 1;
        let first = self.next;
        (0..length as u64).map(|at| (first * 31 + at) as u8).collect()
    }

    fn sent(&mut self, bytes: Vec<u8>) {
        self.next += 1;
        self.queue.push_back(Sent { id: self.next, bytes: Some(Some(bytes)) });
    }

    fn finish(&mut self, id: u64, bytes: Option<Vec<u8>>) {
        if let Some(sent) = self.queue.iter_mut().find(|sent| sent.id == id) {
            sent.bytes = Some(bytes);
        }
    }

    fn send(&mut self, who: usize, input: &mut Input<'_>, patience: Option<&Patience<'_>>) {
        let bytes = self.bytes(input.below(self.most()));
        let sent = self.channels[who].send(&bytes, patience);
        let sent = self.allow(sent);
        assert!(sent.is_none() || bytes.len() <= self.channels[who].max_length());
        match sent {
            Some(true) => self.sent(bytes),
            Some(false) => assert!(self.damaged.get() || !self.queue.is_empty(), "no room"),
            None => {}
        }
    }

    fn send_many(&mut self, who: usize, input: &mut Input<'_>, patience: Option<&Patience<'_>>) {
        let (mut bytes, mut ends) = (Vec::new(), Vec::new());
        for _ in 0..input.byte() % 8 {
            let length = input.below(100);
            bytes.extend(self.bytes(length));
            ends.push(bytes.len() as u32);
        }
        let honest = !input.byte().is_multiple_of(8);
        if !honest {
            // What no caller should do.
            ends.push(input.number() as u32);
            self.damaged.set(true);
        }
        let sent = self.channels[who].send_many(&bytes, &ends, patience);
        let Some(sent) = self.allow(sent) else { return };
        assert!(sent <= ends.len());
        let mut start = 0;
        for end in ends.iter().take(sent).take_while(|_| honest) {
            self.sent(bytes[start..*end as usize].to_vec());
            start = *end as usize;
        }
    }

    fn reserve(&mut self, who: usize, input: &mut Input<'_>, patience: Option<&Patience<'_>>) {
        let length = if input.flag() { input.size() } else { input.below(self.most()) };
        let reservation = self.channels[who].reserve(length, patience);
        if let Some(Some(reservation)) = self.allow(reservation) {
            assert_eq!(reservation.length(), length);
            self.check_place(reservation.offset(), length);
            self.next += 1;
            self.queue.push_back(Sent { id: self.next, bytes: None });
            self.reserved.push((who, self.next, reservation));
        }
    }

    fn receive(&mut self, who: usize, patience: Option<&Patience<'_>>) {
        let received = self.channels[who].receive(patience);
        let Some(received) = self.allow(received) else { return };
        let Some(message) = received else { return self.expect(None) };
        self.check_place(message.offset(), message.length());
        let mut bytes = vec![0; message.length()];
        self.channels[who].read(&message, &mut bytes).expect("it can be read");
        self.expect(Some(&bytes));
        bytes.push(0);
        let error = self.channels[who].read(&message, &mut bytes);
        assert!(matches!(error, Err(Error::OutOfRange { .. })), "{error:?}");
        self.received = Some((who, message));
    }

    fn receive_many(&mut self, who: usize, input: &mut Input<'_>, patience: Option<&Patience<'_>>) {
        let mut bytes = vec![0; input.below(1024)];
        let mut ends = vec![0; input.byte() as usize % 8];
        let received = self.channels[who].receive_many_into(&mut bytes, &mut ends, patience);
        match self.allow(received) {
            Some(Received::Copied(count)) => {
                assert!(count <= ends.len());
                let mut start = 0;
                for end in &ends[..count] {
                    let end = *end as usize;
                    self.expect(Some(&bytes[start..end]));
                    self.queue.pop_front();
                    start = end.next_multiple_of(8);
                }
            }
            Some(Received::Nothing) if !ends.is_empty() => self.expect(None),
            Some(Received::TooLong(length)) => {
                assert!(length > bytes.len() && length <= self.most())
            }
            _ => {}
        }
    }

    /// Looks whether what was received is what was sent first.
    fn expect(&mut self, received: Option<&[u8]>) {
        if self.damaged.get() {
            return;
        }
        while self.queue.front().is_some_and(|sent| sent.bytes == Some(None)) {
            self.queue.pop_front(); // it was given up
        }
        let first = self.queue.front().and_then(|sent| sent.bytes.clone().flatten());
        assert_eq!(received, first.as_deref());
    }

    fn check_place(&self, offset: usize, length: usize) {
        let ring = self.victim.start + HEAD..self.victim.start + 8 * self.victim.words;
        assert!(ring.contains(&offset) || length == 0 && offset == ring.end, "{offset} {length}");
        assert!(offset + length <= ring.end, "{offset} {length}");
    }
}
