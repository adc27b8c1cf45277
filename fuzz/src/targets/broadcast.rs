//! Broadcasts: what is sent arrives at all receivers, in order, or is counted as lost; and where
//! something else stores to their memory, now and then or all the time, there are errors or wrong
//! messages, and nothing outside is touched.

use std::cell::Cell;
use std::sync::atomic::Ordering;
use std::time::Duration;

use memory_map::ipc::{Broadcast, From, Patience, Received, Receiver};
use memory_map::{Error, Result};

use super::{Input, Victim};

/// Bytes before the ring, without and with the places of receivers.
const HEAD: [usize; 2] = [320, 4416];
/// Users of the same memory, at most.
const MOST: usize = 4;

pub fn run(data: &[u8]) {
    let mut input = Input(data);
    let what = input.byte();
    let is_lossless = what & 1 == 1;
    let length = HEAD[usize::from(is_lossless)] + 128 + 64 * (usize::from(what) / 2 % 12);
    let fire = input.fire();
    let victim = Victim::new(length / 8, oldest);
    let first = Broadcast::create(&victim.map, victim.start, length, is_lossless);
    let user = User {
        victim: &victim,
        broadcasts: vec![first.expect("it can be made")],
        damaged: Cell::new(!fire.is_empty()),
        receivers: Vec::new(),
        sent: Vec::new(),
    };
    victim.under_fire(fire, || user.run(&mut input));
    victim.check();
}

/// The oldest message, by the words of the head.
fn oldest(victim: &Victim) -> usize {
    let [ring, lossless, tail] = [2, 3, 17].map(|i| victim.word(i).load(Ordering::Relaxed));
    HEAD[usize::from(lossless == 1)] / 8 + tail.checked_rem(ring).unwrap_or(0) as usize / 8
}

struct User<'a> {
    victim: &'a Victim,
    broadcasts: Vec<Broadcast>,
    /// Whether something else has stored to the memory: then there may be any message, and errors.
    damaged: Cell<bool>,
    /// Receivers, and which of the messages is next if none is lost.
    receivers: Vec<(Receiver, Option<usize>)>,
    /// All messages.
    sent: Vec<Vec<u8>>,
}

impl User<'_> {
    fn run(mut self, input: &mut Input<'_>) {
        for _ in 0..64 {
            if input.is_over() {
                break;
            }
            self.step(input);
        }
    }

    fn step(&mut self, input: &mut Input<'_>) {
        let (what, who) = (input.byte(), input.byte() as usize);
        let timeout = Patience::of(Duration::from_micros(u64::from(input.byte())));
        let patience = if input.flag() { Some(&timeout) } else { None };
        let broadcast = &self.broadcasts[who % self.broadcasts.len()];
        match what % 8 {
            0 if self.broadcasts.len() < MOST => {
                let opened = Broadcast::open(&self.victim.map, self.victim.start);
                let opened = self.allow(opened);
                // By what its words say it may have more of the mapping, or another head.
                let size = |it: &Broadcast| (it.is_lossless(), it.capacity());
                let first = size(&self.broadcasts[0]);
                self.broadcasts.extend(opened.filter(|opened| size(opened) == first));
            }
            2 if what >= 128 => {
                let lengths: Vec<usize> =
                    (0..=who % 8).map(|_| input.below(broadcast.max_length() + 2)).collect();
                let first = self.sent.len();
                let messages: Vec<Vec<u8>> = (first..).zip(&lengths).map(message).collect();
                let ends = messages.iter().scan(0, |end, message| {
                    *end += message.len() as u32;
                    Some(*end)
                });
                let ends: Vec<u32> = ends.collect();
                let sent = self.allow(broadcast.send_many(&messages.concat(), &ends, patience));
                let Some(sent) = sent else { return };
                let may = broadcast.is_lossless() && !self.receivers.is_empty();
                assert!(sent == messages.len() || may || self.damaged.get(), "no room");
                self.sent.extend(messages.into_iter().take(sent));
            }
            0..=2 => {
                let length = input.below(broadcast.max_length() + 2);
                let bytes = message((self.sent.len(), &length));
                match self.allow(broadcast.send(&bytes, patience)) {
                    Some(true) => {
                        assert!(length <= broadcast.max_length());
                        self.sent.push(bytes);
                    }
                    Some(false) => {
                        let may = broadcast.is_lossless() && !self.receivers.is_empty();
                        assert!(may || self.damaged.get(), "no room");
                    }
                    None => {}
                }
            }
            3 if self.receivers.len() < MOST
                && !(self.damaged.get() && broadcast.is_lossless()) =>
            {
                let from = if input.flag() { From::Oldest } else { From::Now };
                let receiver = broadcast.subscribe(&self.victim.map, from);
                if let Some(receiver) = self.allow(receiver) {
                    let next = (from == From::Now).then_some(self.sent.len());
                    self.receivers.push((receiver, next));
                }
            }
            4 | 5 if !self.receivers.is_empty() => {
                let index = who % self.receivers.len();
                if broadcast.is_lossless() && what & 64 != 0 {
                    return self.borrow_two(index, patience);
                }
                let mut bytes = vec![0; input.below(1024)];
                if what >= 128 {
                    return self.receive_many(index, &mut bytes, patience);
                }
                let before = self.receivers[index].0.lost();
                let received = self.receivers[index].0.receive_into(&mut bytes, patience);
                let Some(received) = self.allow(received) else { return };
                let lost = (self.receivers[index].0.lost() - before) as usize;
                self.received(index, received, &bytes, lost);
            }
            6 if !self.receivers.is_empty() => {
                let index = who % self.receivers.len();
                if input.flag() {
                    let (receiver, _) = self.receivers.swap_remove(index);
                    self.allow(receiver.close());
                    let again = receiver.receive_into(&mut [], None);
                    assert!(again == Err(Error::Closed), "{again:?}");
                } else {
                    let there = self.receivers[index].0.wait_for_message(&timeout);
                    self.allow(there);
                }
            }
            7 => {
                self.damaged.set(true);
                self.victim.damage(input);
            }
            _ => {}
        }
    }

    fn receive_many(&mut self, index: usize, bytes: &mut [u8], patience: Option<&Patience<'_>>) {
        let (mut ends, before) = ([0; 8], self.receivers[index].0.lost());
        let received = self.receivers[index].0.receive_many_into(bytes, &mut ends, patience);
        let Some(received) = self.allow(received) else { return };
        let mut lost = (self.receivers[index].0.lost() - before) as usize;
        let Received::Copied(count) = received else {
            return self.received(index, received, bytes, lost);
        };
        let mut start = 0;
        for end in ends.into_iter().take(count).map(|end| end as usize) {
            // Nobody sends meanwhile: what is lost is lost before the first.
            self.received(index, Received::Copied(end - start), &bytes[start..end], lost);
            (start, lost) = (end.next_multiple_of(8), 0);
        }
    }

    /// Borrows up to two messages, and gives the last one back first.
    fn borrow_two(&mut self, index: usize, patience: Option<&Patience<'_>>) {
        let mut borrowed = Vec::new();
        for _ in 0..2 {
            let found = self.receivers[index].0.borrow(patience);
            let Some(found) = self.allow(found) else { break };
            let Some(message) = found else {
                self.received(index, Received::Nothing, &[], 0);
                break;
            };
            let mut bytes = vec![0; message.length()];
            self.victim.map.read(message.offset(), &mut bytes).expect("it is inside");
            self.received(index, Received::Copied(bytes.len()), &bytes, 0);
            borrowed.push(message);
        }
        let (receiver, _) = &self.receivers[index];
        let again = receiver.receive_into(&mut [], None);
        assert_eq!(matches!(again, Err(Error::Busy(_))), !borrowed.is_empty(), "{again:?}");
        for message in borrowed.into_iter().rev() {
            self.allow(receiver.release(message));
        }
    }

    /// Looks whether what was received is what was sent.
    fn received(&mut self, index: usize, received: Received, bytes: &[u8], lost: usize) {
        if self.damaged.get() {
            return;
        }
        let next = &mut self.receivers[index].1;
        match received {
            Received::Copied(length) => {
                let bytes = &bytes[..length];
                // The oldest message is any of them.
                let at = next.map(|next| next + lost);
                let at = at.or_else(|| self.sent.iter().position(|sent| sent == bytes));
                assert_eq!(
                    self.sent.get(at.unwrap_or(usize::MAX)).map(|sent| &sent[..]),
                    Some(bytes)
                );
                // Two may be the same, if they are short: then it is not known which it was.
                let is_known = next.is_some() || length > 8;
                *next = at.filter(|_| is_known).map(|at| at + 1);
            }
            Received::Nothing => {
                assert!(next.is_none_or(|next| next == self.sent.len()), "nothing")
            }
            Received::TooLong(length) => assert!(length > bytes.len()),
        }
    }

    /// What a call gave, if it may have failed as it did.
    fn allow<T>(&self, result: Result<T>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(Error::OutOfRange { .. }) => None,
            Err(Error::Invalid(_) | Error::Busy(_)) if self.damaged.get() => None,
            Err(error) => panic!("{error:?}"),
        }
    }
}

/// The bytes of a message of that number and length.
fn message((number, length): (usize, &usize)) -> Vec<u8> {
    let first = number as u64 * 31;
    (first..first + *length as u64).map(|byte| byte as u8).collect()
}
