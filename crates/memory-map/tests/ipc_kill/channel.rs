//! A channel, and a mutex beside it.

use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use memory_map::Mapping;
use memory_map::ipc::{Ahead, Channel, Mutex, Received};

use crate::mutex::take;
use crate::{
    ALONE, BUSY, CHANNEL, Child, LIMIT, Place, RECEIVED, after_every_change, kills, random,
    some_time, soon, word,
};

/// Where a channel has its tail (docs/channel.md).
const TAIL: usize = 192;

#[test]
#[cfg_attr(any(target_arch = "arm", target_arch = "riscv64"), ignore = "no single steps")]
fn a_sender_that_is_killed_loses_that_message_only() {
    after_every_change(
        |place| {
            // The ring is to wrap around in what the child sends.
            let channel = Channel::open(&place.map, CHANNEL).unwrap();
            assert!(channel.send(&[0; 200], None).unwrap());
            assert!(channel.send(&[0; 200], None).unwrap());
            for _ in 0..2 {
                let message = channel.receive(None).unwrap().unwrap();
                channel.release(message).unwrap();
            }
            assert!(channel.send(b"before", None).unwrap());
        },
        |place| {
            let channel = |map: &Mapping| Channel::open(map, CHANNEL).unwrap();
            Child::start(place, channel, |_, channel| {
                assert!(channel.send(&[7; 150], Some(&soon())).unwrap());
            })
        },
        |place, child, when| {
            child.kill();
            let start = Instant::now();
            let channel = Channel::open(&place.map, CHANNEL).unwrap();
            assert!(channel.send(b"after", Some(&soon())).unwrap());
            let mut messages = Vec::new();
            while messages.last().is_none_or(|last| last != b"after") {
                let message = channel.receive(Some(&soon())).unwrap();
                let message = message.unwrap_or_else(|| panic!("{when}: nothing comes"));
                let mut bytes = vec![0; message.length()];
                channel.read(&message, &mut bytes).unwrap();
                channel.release(message).unwrap();
                messages.push(bytes);
            }
            assert!(start.elapsed() < LIMIT, "{when}");
            let whole = [b"before".to_vec(), vec![7; 150], b"after".to_vec()];
            let without = [b"before".to_vec(), b"after".to_vec()];
            assert!(messages == whole || messages == without, "{when}: {messages:?}");
        },
    );
}

#[test]
#[cfg_attr(any(target_arch = "arm", target_arch = "riscv64"), ignore = "no single steps")]
fn a_receiver_that_is_killed_is_replaced() {
    after_every_change(
        |place| {
            let channel = Channel::open(&place.map, CHANNEL).unwrap();
            for i in 0..3u8 {
                assert!(channel.send(&[i; 30], None).unwrap());
            }
        },
        |place| {
            let channel = |map: &Mapping| Channel::open(map, CHANNEL).unwrap();
            Child::start(place, channel, |map, channel| {
                let message = channel.receive(Some(&soon())).unwrap().unwrap();
                word(map, RECEIVED).store(1, Ordering::Release);
                channel.release(message).unwrap();
            })
        },
        |place, child, when| {
            child.kill();
            let start = Instant::now();
            let channel = Channel::open(&place.map, CHANNEL).unwrap();
            let mut next = None;
            loop {
                // The system needs a moment to end the process.
                let message = match channel.receive(None) {
                    Err(memory_map::Error::Busy(_)) if start.elapsed() < LIMIT => continue,
                    result => result.unwrap(),
                };
                let Some(message) = message else { break };
                let mut bytes = vec![0; message.length()];
                channel.read(&message, &mut bytes).unwrap();
                channel.release(message).unwrap();
                assert!(bytes.len() == 30 && bytes.iter().all(|byte| *byte == bytes[0]));
                assert!(next.is_none_or(|next| next == bytes[0]), "{when}");
                next = Some(bytes[0] + 1);
                let taken = word(&place.map, RECEIVED).load(Ordering::Acquire) == 1;
                assert!(bytes[0] <= u8::from(taken) || next > Some(1), "{when}: one is missing");
            }
            assert_eq!(next, Some(3), "{when}");
            assert!(start.elapsed() < LIMIT, "{when}");
        },
    );
}

#[test]
#[cfg_attr(any(target_arch = "arm", target_arch = "riscv64"), ignore = "no single steps")]
fn a_receiver_that_is_killed_has_not_received_what_it_copied_before_its_turn() {
    after_every_change(
        |place| {
            let channel = Channel::open(&place.map, CHANNEL).unwrap();
            for i in 0..4u8 {
                assert!(channel.send(&[i; 30], None).unwrap());
            }
        },
        |place| {
            let channel = |map: &Mapping| Channel::open(map, CHANNEL).unwrap();
            Child::start(place, channel, |map, channel| {
                let (mut bytes, mut ahead) = ([0; 128], [Ahead::default(); 3]);
                let received =
                    channel.receive_ahead(&mut bytes, &mut ahead, Some(&soon())).unwrap();
                assert_eq!(received, Received::Copied(3));
                for places in ahead.windows(2) {
                    // As JavaScript does.
                    let tail = word(map, CHANNEL + TAIL);
                    let (from, to) = (u64::from(places[0].tail), u64::from(places[1].tail));
                    tail.compare_exchange(from, to, Ordering::SeqCst, Ordering::SeqCst).unwrap();
                    word(map, RECEIVED).fetch_add(1, Ordering::SeqCst);
                }
            })
        },
        |place, child, when| {
            child.kill();
            let start = Instant::now();
            let channel = Channel::open(&place.map, CHANNEL).unwrap();
            let mut bytes = Vec::new();
            while bytes.last() != Some(&3) {
                assert!(start.elapsed() < LIMIT, "{when}");
                let message = match channel.receive(None) {
                    Err(memory_map::Error::Busy(_)) => continue,
                    result => result.unwrap().unwrap_or_else(|| panic!("{when}: one is missing")),
                };
                let mut one = [0; 30];
                channel.read(&message, &mut one).unwrap();
                channel.release(message).unwrap();
                assert_eq!(one, [one[0]; 30], "{when}");
                bytes.push(one[0]);
            }
            // All from one on: what it had counted is gone, and at most one more.
            let first = u64::from(bytes[0]);
            assert_eq!(bytes, (bytes[0]..4).collect::<Vec<_>>(), "{when}");
            let counted = word(&place.map, RECEIVED).load(Ordering::SeqCst);
            let least = if counted == 0 { 0 } else { counted + 1 };
            assert!((least..=counted + 2).contains(&first), "{when}: {first}, of {counted}");
        },
    );
}

#[test]
fn many_that_are_killed_anywhere_stop_nobody() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let place = Place::new();
    let channel = Channel::open(&place.map, CHANNEL).unwrap();
    let (mut received, mut sent) = (0, 0);
    for run in 0..20 * kills() {
        if run >= kills() && sent > 100 {
            break;
        }
        word(&place.map, BUSY).store(0, Ordering::Release);
        let child = Child::run(&place, |map| {
            let mutex = Mutex::new(map, 0).unwrap();
            let channel = Channel::open(map, CHANNEL).unwrap();
            for i in 0u64.. {
                mutex.lock(&soon()).unwrap();
                word(map, BUSY).store(1, Ordering::Release);
                word(map, BUSY).store(0, Ordering::Release);
                mutex.unlock().unwrap();
                let mut bytes = vec![i as u8; 8 + (i % 90) as usize];
                bytes[..8].copy_from_slice(&i.to_le_bytes());
                channel.send(&bytes, Some(&soon())).unwrap();
            }
        });
        some_time();
        child.kill();
        let start = Instant::now();
        take(&place, &format!("run {run}"));
        let mut next = 0u64;
        // The ring may be full of what the child has sent.
        let mut marked = false;
        loop {
            marked = marked || channel.send(b"after", None).unwrap();
            assert!(start.elapsed() < Duration::from_secs(120), "run {run}: nothing comes");
            let Some(message) = channel.receive(None).unwrap() else { continue };
            let mut bytes = vec![0; message.length()];
            channel.read(&message, &mut bytes).unwrap();
            channel.release(message).unwrap();
            received += 1;
            if bytes == b"after" {
                break;
            }
            assert_eq!(bytes[..8], next.to_le_bytes(), "run {run}");
            assert!(bytes[8..].iter().all(|byte| *byte == next as u8), "run {run}");
            next += 1;
        }
        assert!(start.elapsed() < LIMIT, "run {run}: {:?}", start.elapsed());
        sent += next;
    }
    assert!(sent > 100, "{sent} messages of {received} were the children's");
}

#[test]
fn receivers_that_are_killed_anywhere_lose_nothing() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let place = Place::new();
    let channel = Channel::open(&place.map, CHANNEL).unwrap();
    let mut sent = 0u64;
    for run in 0..20 * kills() {
        if run >= 2 * kills() && word(&place.map, RECEIVED).load(Ordering::Acquire) > 0 {
            break;
        }
        let child = Child::run(&place, |map| {
            let channel = Channel::open(map, CHANNEL).unwrap();
            while let Ok(message) = channel.receive(Some(&soon())) {
                let message = message.unwrap();
                let mut bytes = [0; 8];
                channel.read(&message, &mut bytes).unwrap();
                let expected = word(map, RECEIVED).load(Ordering::Acquire);
                // The previous owner may have died after it counted and before it released.
                let number = u64::from_le_bytes(bytes);
                assert!(number == expected || number + 1 == expected);
                word(map, RECEIVED).store(number + 1, Ordering::Release);
                channel.release(message).unwrap();
            }
            // Busy: the one before is not gone yet.
        });
        let end = Instant::now() + Duration::from_micros(random(2000));
        while Instant::now() < end {
            sent += u64::from(channel.send(&sent.to_le_bytes(), None).unwrap());
        }
        child.kill();
    }
    let start = Instant::now();
    let mut next = word(&place.map, RECEIVED).load(Ordering::Acquire);
    assert!(next > 0, "the children received nothing");
    let first = next;
    while next < sent {
        let message = match channel.receive(Some(&soon())) {
            Err(memory_map::Error::Busy(_)) if start.elapsed() < LIMIT => continue,
            result => result.unwrap().unwrap(),
        };
        let mut bytes = [0; 8];
        channel.read(&message, &mut bytes).unwrap();
        channel.release(message).unwrap();
        let number = u64::from_le_bytes(bytes);
        assert!(number == next || (next == first && number + 1 == next), "{number}, not {next}");
        next = number + 1;
    }
}
