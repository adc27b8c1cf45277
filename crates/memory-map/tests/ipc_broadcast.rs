//! Broadcasts between mappings of one file.
#![cfg(not(target_os = "freebsd"))] // it has no mutex and no channel
#![allow(missing_docs, clippy::panic, clippy::unwrap_used)]

mod common;

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use common::ipc::{HANG, copied, ms, open, word64};
use common::{PAGE, TempFile};
use memory_map::ipc::{Broadcast, From, Patience, Received, Receiver};
use memory_map::{Error, Mapping, Protection};

fn take(receiver: &Receiver, patience: Option<&Patience<'_>>) -> Option<Vec<u8>> {
    copied(|bytes| receiver.receive_into(bytes, patience))
}

/// A message that says which it is of which sender, and is long or short.
fn message(sender: usize, i: usize) -> Vec<u8> {
    let mut bytes = vec![(sender + i) as u8; 16 + i * 7 % 490];
    bytes[..8].copy_from_slice(&(sender as u64).to_le_bytes());
    bytes[8..16].copy_from_slice(&(i as u64).to_le_bytes());
    bytes
}

/// Which it is, if it is whole.
fn parse(bytes: &[u8]) -> (usize, usize) {
    let number = |range| u64::from_le_bytes(<[u8; 8]>::try_from(&bytes[range]).unwrap()) as usize;
    let (sender, i) = (number(0..8), number(8..16));
    assert_eq!(bytes, message(sender, i));
    (sender, i)
}

/// Two send, four receive: what each receiver gets is whole and in order, and it knows how many it lost.
/// In a ring of a few messages they are written over while they are copied.
fn two_send_and_four_receive(count: usize, length: usize, is_lossless: bool) {
    let file = TempFile::sparse(16 * PAGE as u64);
    let maps: Vec<Mapping> = (0..6).map(|_| open(&file)).collect();
    let first = Broadcast::create(&maps[0], 64, length, is_lossless).unwrap();
    std::thread::scope(|scope| {
        for map in &maps[2..] {
            let broadcast = Broadcast::open(map, 64).unwrap();
            let receiver = broadcast.subscribe(map, From::Now).unwrap();
            scope.spawn(move || {
                let (mut next, mut received) = ([0; 2], 0);
                while next != [count; 2] {
                    let bytes = take(&receiver, Some(&ms(HANG))).unwrap();
                    if bytes == b"end" {
                        break;
                    }
                    let (sender, i) = parse(&bytes);
                    assert!(i >= next[sender], "{i} after {}", next[sender]);
                    assert!(!is_lossless || i == next[sender]);
                    next[sender] = i + 1;
                    received += 1;
                }
                assert_eq!(received + receiver.lost() as usize, 2 * count);
                assert!(!is_lossless || receiver.lost() == 0);
            });
        }
        let senders = [0, 1].map(|sender| {
            let broadcast = Broadcast::open(&maps[sender], 64).unwrap();
            scope.spawn(move || {
                for i in 0..count {
                    assert!(broadcast.send(&message(sender, i), Some(&ms(HANG))).unwrap());
                }
            })
        });
        senders.into_iter().for_each(|sender| sender.join().unwrap());
        assert!(first.send(b"end", Some(&ms(HANG))).unwrap());
    });
}

#[test]
fn all_receivers_get_all_messages_or_know_how_many_they_lost() {
    two_send_and_four_receive(80_000, 320 + 1088, false);
}

#[test]
fn no_receiver_loses_any_message_of_a_lossless_broadcast() {
    two_send_and_four_receive(20_000, 8192, true);
}

#[test]
fn a_receiver_begins_where_it_says() {
    let file = TempFile::sparse(4 * PAGE as u64);
    let map = open(&file);
    for is_lossless in [false, true] {
        let broadcast = Broadcast::create(&map, 0, 4544 + 512, is_lossless).unwrap();
        assert_eq!(broadcast.is_lossless(), is_lossless);
        let early = broadcast.subscribe(&map, From::Oldest).unwrap();
        assert!(broadcast.send(b"one", None).unwrap());
        let (now, oldest) =
            [From::Now, From::Oldest].map(|from| broadcast.subscribe(&map, from).unwrap()).into();
        assert!(broadcast.send(b"two", None).unwrap());
        for receiver in [&early, &oldest] {
            assert_eq!(take(receiver, None).unwrap(), b"one");
            assert_eq!(take(receiver, None).unwrap(), b"two");
            assert_eq!(take(receiver, None), None);
        }
        assert_eq!(take(&now, None).unwrap(), b"two");
        assert_eq!(take(&now, Some(&ms(5))), None);
        assert_eq!([early.lost(), now.lost(), oldest.lost()], [0; 3]);
    }
}

#[test]
fn a_slow_receiver_loses_the_oldest_and_is_told_how_many() {
    let file = TempFile::sparse(PAGE as u64);
    let map = open(&file);
    let broadcast = Broadcast::create(&map, 0, 320 + 512, false).unwrap();
    let receivers = [From::Now, From::Oldest].map(|from| broadcast.subscribe(&map, from).unwrap());
    for i in 0..100_u64 {
        assert!(broadcast.send(&[i as u8; 40], None).unwrap());
    }
    let late = broadcast.subscribe(&map, From::Oldest).unwrap();
    let mut there = Vec::new();
    while let Some(bytes) = take(&late, None) {
        there.push(bytes[0]);
    }
    assert!(there.len() >= 6 && late.lost() == 0, "{there:?}");
    let expected: Vec<u8> = (100 - there.len() as u8..100).collect();
    assert_eq!(there, expected);
    for receiver in &receivers {
        let got: Vec<u8> = std::iter::from_fn(|| take(receiver, None)).map(|b| b[0]).collect();
        assert_eq!(got, expected);
        assert_eq!(receiver.lost(), 100 - expected.len() as u64);
    }
}

#[test]
fn messages_of_the_greatest_length_fit_wherever_the_ring_stands() {
    let file = TempFile::sparse(4 * PAGE as u64);
    let map = open(&file);
    for is_lossless in [false, true] {
        let broadcast = Broadcast::create(&map, 0, 4416 + 512, is_lossless).unwrap();
        let receiver = broadcast.subscribe(&map, From::Now).unwrap();
        let most = broadcast.max_length();
        for i in 0..1000 {
            for length in [i * 13 % most, most] {
                assert!(broadcast.send(&vec![i as u8; length], None).unwrap(), "{i} {length}");
                assert_eq!(take(&receiver, None).unwrap(), vec![i as u8; length]);
            }
        }
        assert!(matches!(broadcast.send(&vec![0; most + 1], None), Err(Error::OutOfRange { .. })));
        assert_eq!(receiver.lost(), 0);
    }
}

#[test]
fn a_receiver_that_must_lose_nothing_holds_senders_back_until_it_goes() {
    let file = TempFile::sparse(4 * PAGE as u64);
    let (map, other) = (open(&file), open(&file));
    let broadcast = Broadcast::create(&map, 0, 4416 + 512, true).unwrap();
    // Nobody is held back by nobody.
    for _ in 0..100 {
        assert!(broadcast.send(&[0; 40], None).unwrap());
    }
    let receiver = Broadcast::open(&other, 0).unwrap().subscribe(&other, From::Now).unwrap();
    while broadcast.send(&[1; 40], None).unwrap() {}
    assert!(!broadcast.send(&[1; 40], Some(&ms(5))).unwrap());
    std::thread::scope(|scope| {
        let sending = scope.spawn(|| broadcast.send(&[2; 40], Some(&ms(HANG))));
        assert_eq!(take(&receiver, None).unwrap(), [1; 40]);
        while take(&receiver, None).is_some_and(|bytes| bytes != [2; 40]) {}
        assert_eq!(sending.join().unwrap(), Ok(true));
    });
    while broadcast.send(&[1; 40], None).unwrap() {}
    // Its mapping is closed, as if its process had died.
    drop(other);
    drop(receiver);
    assert!(broadcast.send(&[3; 40], Some(&ms(HANG))).unwrap());
    let receivers: Vec<Receiver> =
        (0..64).map(|_| broadcast.subscribe(&map, From::Now).unwrap()).collect();
    assert!(matches!(broadcast.subscribe(&map, From::Now), Err(Error::Busy(_))));
    receivers[5].close().unwrap();
    assert_eq!(receivers[5].receive_into(&mut [0; 8], None), Err(Error::Closed));
    broadcast.subscribe(&map, From::Now).unwrap();
}

#[test]
fn a_message_for_which_there_is_too_little_room_stays() {
    let file = TempFile::sparse(PAGE as u64);
    let map = open(&file);
    let broadcast = Broadcast::create(&map, 0, PAGE, false).unwrap();
    let receiver = broadcast.subscribe(&map, From::Now).unwrap();
    assert!(broadcast.send(b"hello", None).unwrap());
    assert_eq!(receiver.receive_into(&mut [0; 4], None), Ok(Received::TooLong(5)));
    assert_eq!(take(&receiver, None).unwrap(), b"hello");
}

#[test]
fn a_batch_with_a_message_that_is_too_long_is_not_begun() {
    let file = TempFile::sparse(PAGE as u64);
    let map = open(&file);
    let broadcast = Broadcast::create(&map, 0, PAGE, false).unwrap();
    let receiver = broadcast.subscribe(&map, From::Now).unwrap();
    let bytes = vec![0; 5 + broadcast.max_length() + 1];
    let error = broadcast.send_many(&bytes, &[5, bytes.len() as u32], None).err();
    assert!(matches!(error, Some(Error::OutOfRange { .. })), "{error:?}");
    assert_eq!(take(&receiver, None), None);
}

#[test]
fn receivers_of_a_broadcast_that_is_made_anew_go_on_with_that() {
    let file = TempFile::sparse(PAGE as u64);
    let map = open(&file);
    let broadcast = Broadcast::create(&map, 0, PAGE, false).unwrap();
    let receiver = broadcast.subscribe(&map, From::Now).unwrap();
    for i in 0..10 {
        assert!(broadcast.send(&[i; 100], None).unwrap());
    }
    let again = Broadcast::create(&map, 0, PAGE, false).unwrap();
    assert!(again.send(b"again", None).unwrap());
    assert_eq!(take(&receiver, None).unwrap(), b"again");
}

#[test]
fn memory_without_a_broadcast_is_not_opened_and_a_damaged_one_is_an_error() {
    let file = TempFile::sparse(PAGE as u64);
    let map = open(&file);
    assert!(matches!(Broadcast::open(&map, 0), Err(Error::Invalid(_))));
    assert!(matches!(Broadcast::create(&map, 0, 447, false), Err(Error::OutOfRange { .. })));
    assert!(matches!(Broadcast::create(&map, 0, 4543, true), Err(Error::OutOfRange { .. })));
    let broadcast = Broadcast::create(&map, 0, PAGE, false).unwrap();
    let receiver = broadcast.subscribe(&map, From::Now).unwrap();
    for (offset, value) in [(8, 2), (16, 100), (16, 1 << 40), (24, 2), (136, 1 << 50)] {
        let before = word64(&map, offset).swap(value, Ordering::Relaxed);
        assert!(matches!(Broadcast::open(&map, 0), Err(Error::Invalid(_))), "{offset}");
        word64(&map, offset).store(before, Ordering::Relaxed);
    }
    // Positions between words, at which no receiver can begin.
    let positions = [136, 128].map(|offset| word64(&map, offset).fetch_add(4, Ordering::Relaxed));
    for from in [From::Now, From::Oldest] {
        assert!(matches!(broadcast.subscribe(&map, from), Err(Error::Invalid(_))), "{from:?}");
    }
    [136, 128].into_iter().zip(positions).for_each(|(offset, before)| {
        word64(&map, offset).store(before, Ordering::Relaxed);
    });
    assert!(broadcast.send(b"hello", None).unwrap());
    word64(&map, 320).store(1 << 40, Ordering::Relaxed); // the length of the first message
    assert!(matches!(receiver.receive_into(&mut [0; 8], None), Err(Error::Invalid(_))));
    word64(&map, 128).fetch_add(8 << 40, Ordering::Relaxed); // the head
    assert!(matches!(broadcast.send(b"hello", None), Err(Error::Invalid(_))));
    let start = Instant::now();
    let waited = receiver.receive_into(&mut [0; 8], Some(&ms(HANG)));
    assert!(matches!(waited, Err(Error::Invalid(_))), "{waited:?}");
    assert!(start.elapsed() < Duration::from_millis(HANG));
}

#[test]
fn a_broadcast_can_be_sent_to_where_memory_after_it_is_read_only() {
    let length = 16 * PAGE;
    let file = TempFile::sparse(2 * length as u64);
    let maps = [open(&file), open(&file)];
    for is_lossless in [false, true] {
        Broadcast::create(&maps[0], 0, length, is_lossless).unwrap();
        maps[1].protect(length..2 * length, Protection::Read).unwrap();
        let broadcast = Broadcast::open(&maps[1], 0).unwrap();
        assert_eq!(broadcast.send(b"hello", None), Ok(true));
    }
}

#[test]
fn a_message_that_is_put_back_when_a_later_one_was_released_leaves_its_room_to_senders() {
    let file = TempFile::sparse(2 * PAGE as u64);
    let map = open(&file);
    let broadcast = Broadcast::create(&map, 0, 2 * PAGE, true).unwrap();
    let receiver = broadcast.subscribe(&map, From::Now).unwrap();
    let message = vec![1; broadcast.max_length() - 16];
    while broadcast.send(&message, None).unwrap() {}
    let [first, second] = [(); 2].map(|()| receiver.borrow(None).unwrap().unwrap());
    receiver.release(second).unwrap();
    receiver.put_back(first);
    assert_eq!(broadcast.send(&message, None), Ok(true));
}

#[test]
fn a_message_that_is_put_back_comes_to_a_thread_that_waits() {
    let file = TempFile::sparse(2 * PAGE as u64);
    let map = open(&file);
    let broadcast = Broadcast::create(&map, 0, 2 * PAGE, true).unwrap();
    let receiver = broadcast.subscribe(&map, From::Now).unwrap();
    broadcast.send(b"first", None).unwrap();
    let first = receiver.borrow(None).unwrap().unwrap();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| receiver.borrow(Some(&ms(HANG))).unwrap());
        std::thread::sleep(std::time::Duration::from_millis(50)); // until it sleeps
        receiver.put_back(first);
        let message = waiting.join().unwrap();
        assert_eq!(message.map(|message| message.length()), Some(5));
    });
}
