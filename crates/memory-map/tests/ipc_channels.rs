//! Channels between mappings of one file.
#![cfg(not(target_os = "freebsd"))] // it has no mutex and no channel
#![allow(missing_docs, clippy::panic, clippy::unwrap_used)]

mod common;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use common::ipc::{HANG, ms, open, receive, take, word64};
use common::{PAGE, TempFile};
use memory_map::ipc::{Ahead, Channel, Received};
use memory_map::{Error, Mapping};

#[test]
fn messages_of_all_sizes_arrive_whole_and_in_order() {
    let file = TempFile::sparse(16 * PAGE as u64);
    let (a, b) = (open(&file), open(&file));
    let sender = Channel::create(&a, 64, 4096 + 512).unwrap();
    let receiver = Channel::open(&b, 64).unwrap();
    assert_eq!((receiver.capacity(), receiver.max_length()), (4096 - 64, 2016));
    assert!(matches!(sender.send(&[0; 2017], None), Err(Error::OutOfRange { .. })));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for i in 0..20_000usize {
                let bytes = vec![i as u8; i * 7 % 2017];
                assert!(sender.send(&bytes, Some(&ms(HANG))).unwrap());
            }
        });
        for i in 0..20_000usize {
            let bytes = receive(&receiver).unwrap();
            assert_eq!(bytes.len(), i * 7 % 2017);
            assert!(bytes.iter().all(|byte| *byte == i as u8), "message {i}");
        }
    });
    assert_eq!(take(&receiver, None), None);
    assert_eq!(take(&receiver, Some(&ms(10))), None);
}

#[test]
fn the_largest_message_fits_wherever_the_ring_stands() {
    let file = TempFile::sparse(PAGE as u64);
    let map = open(&file);
    let channel = Channel::create(&map, 0, 512 + 256).unwrap();
    let largest = vec![9; channel.max_length()];
    for i in 0..200 {
        let small = vec![1; i % 40];
        assert!(channel.send(&small, None).unwrap());
        assert_eq!(take(&channel, None).unwrap(), small);
        assert!(channel.send(&largest, None).unwrap(), "after {i}");
        assert_eq!(take(&channel, None).unwrap(), largest);
    }
}

#[test]
fn a_full_channel_makes_senders_wait() {
    let file = TempFile::sparse(PAGE as u64);
    let (a, b) = (open(&file), open(&file));
    let sender = Channel::create(&a, 0, 2048).unwrap();
    let receiver = Channel::open(&b, 0).unwrap();
    let mut sent = 0u64;
    while sender.send(&sent.to_le_bytes(), None).unwrap() {
        sent += 1;
    }
    assert_eq!(sent, 64);
    assert!(!sender.send(&[0; 8], Some(&ms(20))).unwrap());
    std::thread::scope(|scope| {
        let blocked = scope.spawn(|| sender.send(&sent.to_le_bytes(), Some(&ms(HANG))).unwrap());
        std::thread::sleep(Duration::from_millis(20));
        for i in 0..=sent {
            assert_eq!(receive(&receiver).unwrap(), i.to_le_bytes());
        }
        assert!(blocked.join().unwrap());
    });
}

#[test]
fn many_senders_each_keep_their_order() {
    let file = TempFile::sparse(16 * PAGE as u64);
    let map = open(&file);
    let receiver = Channel::create(&map, 0, 8192).unwrap();
    std::thread::scope(|scope| {
        for id in 0..4u32 {
            let file = &file;
            scope.spawn(move || {
                let map = open(file);
                let sender = Channel::open(&map, 0).unwrap();
                for i in 0..5000u32 {
                    let mut bytes = [id.to_le_bytes(), i.to_le_bytes()].concat();
                    bytes.resize(8 + (i % 300) as usize, id as u8);
                    assert!(sender.send(&bytes, Some(&ms(HANG))).unwrap());
                }
            });
        }
        let mut next = [0u32; 4];
        for _ in 0..20_000 {
            let bytes = receive(&receiver).unwrap();
            let id = bytes[0] as usize;
            assert_eq!(bytes[4..8], next[id].to_le_bytes());
            assert!(bytes[8..].iter().all(|byte| *byte as usize == id));
            next[id] += 1;
        }
    });
}

#[test]
fn a_reservation_is_filled_in_place_and_committed_or_not() {
    let file = TempFile::sparse(PAGE as u64);
    let (a, b) = (open(&file), open(&file));
    let sender = Channel::create(&a, 128, 2048).unwrap();
    let receiver = Channel::open(&b, 128).unwrap();
    let one = sender.reserve(100, None).unwrap().unwrap();
    let two = sender.reserve(10, None).unwrap().unwrap();
    let three = sender.reserve(8, None).unwrap().unwrap();
    a.write(b"three", three.offset()).unwrap();
    sender.commit(three, 5).unwrap();
    assert_eq!(take(&receiver, None), None); // the first two are still being made
    sender.abandon(two).unwrap();
    a.write(&[7; 100], one.offset()).unwrap();
    sender.commit(one, 100).unwrap();
    let too_small = receiver.receive_into(&mut [0; 99], None);
    assert_eq!(too_small, Ok(Received::TooLong(100)));
    let message = receiver.receive(None).unwrap().unwrap();
    let mut bytes = [0; 100];
    receiver.read(&message, &mut bytes).unwrap();
    assert_eq!(bytes, [7; 100]);
    b.read(message.offset(), &mut bytes).unwrap();
    assert_eq!(bytes, [7; 100]);
    assert!(matches!(receiver.receive(None), Err(Error::Busy(_))));
    receiver.release(message).unwrap();
    assert_eq!(take(&receiver, None).unwrap(), b"three");
}

#[test]
fn a_sender_that_goes_loses_its_unfinished_message_only() {
    let file = TempFile::sparse(PAGE as u64);
    let (a, b, c) = (open(&file), open(&file), open(&file));
    let receiver = Channel::create(&a, 0, 2048).unwrap();
    let dying = Channel::open(&b, 0).unwrap();
    let other = Channel::open(&c, 0).unwrap();
    dying.send(b"before", None).unwrap();
    dying.reserve(8, None).unwrap().unwrap();
    other.send(b"after", None).unwrap();
    assert_eq!(take(&receiver, None).unwrap(), b"before");
    assert_eq!(take(&receiver, None), None);
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| receive(&receiver));
        std::thread::sleep(Duration::from_millis(30));
        b.close();
        let start = Instant::now();
        assert_eq!(waiting.join().unwrap().unwrap(), b"after");
        assert!(start.elapsed() < Duration::from_millis(HANG));
    });
}

#[test]
fn there_is_one_receiver_until_it_goes() {
    let file = TempFile::sparse(PAGE as u64);
    let (a, b) = (open(&file), open(&file));
    let first = Channel::create(&a, 0, 2048).unwrap();
    let second = Channel::open(&b, 0).unwrap();
    for i in 0..4u8 {
        first.send(&[i], None).unwrap();
    }
    assert_eq!(take(&first, None).unwrap(), [0]);
    assert!(matches!(second.receive(None), Err(Error::Busy(_))));
    first.stop_receiving().unwrap();
    assert_eq!(take(&second, None).unwrap(), [1]);
    // What was received and not released comes again.
    let _held = second.receive(None).unwrap().unwrap();
    b.close();
    assert_eq!(take(&first, None).unwrap(), [2]);
    assert_eq!(take(&first, None).unwrap(), [3]);
}

#[test]
fn a_sender_knows_which_messages_a_receiver_had_that_is_gone() {
    let file = TempFile::sparse(PAGE as u64);
    let (a, b, c) = (open(&file), open(&file), open(&file));
    let sender = Channel::create(&a, 0, 2048).unwrap();
    let (first, second) = (Channel::open(&b, 0).unwrap(), Channel::open(&c, 0).unwrap());
    sender.send(b"one", None).unwrap();
    let one = sender.sent();
    sender.send(b"two", None).unwrap();
    let two = sender.sent();
    assert!(sender.gone().unwrap() < one && one < two);
    assert_eq!(sender.living_receiver().unwrap(), 0);
    assert_eq!(take(&first, None).unwrap(), b"one");
    assert!(sender.gone().unwrap() < one);
    assert_eq!(sender.living_receiver().unwrap(), first.receiver());
    b.close();
    assert_eq!(sender.living_receiver().unwrap(), 0);
    assert_eq!(sender.gone().unwrap(), one);
    assert_eq!(take(&second, None).unwrap(), b"two");
    assert_eq!(sender.gone().unwrap(), one); // the second one may answer
    second.stop_receiving().unwrap();
    assert_eq!(sender.gone().unwrap(), two);
}

#[test]
fn what_is_not_a_channel_is_refused() {
    let file = TempFile::sparse(2 * PAGE as u64);
    let map = open(&file);
    let refused = |map: &Mapping, offset| match Channel::open(map, offset) {
        Err(Error::Invalid(why)) => why,
        other => panic!("{:?}", other.err()),
    };
    assert!(refused(&map, 0).contains("there is no channel"));
    Channel::create(&map, 0, 2 * PAGE).unwrap();
    assert!(refused(&map, 64).contains("there is no channel"));
    assert!(refused(&map, 2 * PAGE - 64).contains("too short"));
    word64(&map, 8).store(2, Ordering::Relaxed);
    assert!(refused(&map, 0).contains("version"));
    word64(&map, 8).store(1, Ordering::Relaxed);
    for size in [0, 64, 129, 1 << 40, u64::MAX] {
        word64(&map, 16).store(size, Ordering::Relaxed);
        let why = refused(&map, 0);
        assert!(why.contains("size") || why.contains("short"), "{size}: {why}");
    }
    word64(&map, 16).store(7680, Ordering::Relaxed);
    Channel::open(&map, 0).unwrap();
    word64(&map, 128).store(7688, Ordering::Relaxed);
    assert!(refused(&map, 0).contains("damaged"));
    map.close();
    file.truncate(4096);
    assert!(refused(&open(&file), 0).contains("short"));
}

#[test]
fn a_message_of_an_impossible_length_is_damage() {
    let file = TempFile::sparse(PAGE as u64);
    let map = open(&file);
    let channel = Channel::create(&map, 0, 2048).unwrap();
    channel.send(b"hello", None).unwrap();
    let lengths = word64(&map, 512 + 8);
    let before = lengths.load(Ordering::Relaxed);
    // The room that the message takes, and its length: in 32 bits the greatest ones round up to 0.
    for (room, length) in [(u32::MAX, u32::MAX), (u32::MAX - 6, 5), (1497, 5), (5, 6)] {
        lengths.store(u64::from(length) << 32 | u64::from(room), Ordering::Relaxed);
        let why = channel.receive(None).err().map(|error| error.to_string()).unwrap_or_default();
        assert!(why.contains("damaged"), "{room} {length}: {why}");
    }
    lengths.store(before, Ordering::Relaxed);
    assert_eq!(take(&channel, None).unwrap(), b"hello");
}

#[test]
fn who_has_a_channel_that_is_created_anew_has_the_new_one() {
    let file = TempFile::sparse(PAGE as u64);
    let (a, b) = (open(&file), open(&file));
    let old = Channel::create(&a, 0, 2048).unwrap();
    let sender = Channel::open(&b, 0).unwrap();
    let texts = |texts: &[u8]| {
        texts.iter().for_each(|text| assert!(sender.send(&[*text; 40], None).unwrap()));
    };
    let receive = || match old.receive(None).unwrap() {
        Some(message) => {
            let mut bytes = [0; 40];
            old.read(&message, &mut bytes).unwrap();
            old.release(message).unwrap();
            Some(bytes[0])
        }
        None => None,
    };
    texts(&[1, 2, 3, 4, 5]);
    assert_eq!(receive(), Some(1));
    Channel::create(&a, 0, 2048).unwrap();
    assert_eq!(receive(), None, "what the old one had is gone");
    for round in 0..20 {
        texts(&[round; 20]);
        assert!((0..20).all(|_| receive() == Some(round)), "round {round}");
        assert_eq!(receive(), None);
    }
}

#[test]
fn random_bytes_in_a_channel_are_an_error_or_messages_and_nothing_worse() {
    let file = TempFile::sparse(PAGE as u64);
    let map = open(&file);
    let mut state = 1u64;
    let mut random = move || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        state >> 16
    };
    let (mut damaged, mut messages) = (0, 0);
    for round in 0..3000 {
        let channel = Channel::create(&map, 0, 1024).unwrap();
        for i in 0..random() % 20 {
            channel.send(&vec![i as u8; random() as usize % 100], None).unwrap();
        }
        for _ in 0..1 + random() % 8 {
            // Words that steer more often than others, and values that could be true.
            let places = [64, 128, 192, 256, 320, 384, 512, 520];
            let offset = match random() % 3 {
                0 => places[random() as usize % places.len()],
                _ => 24 + 8 * (random() as usize % 125),
            };
            let value = match random() % 4 {
                0 => (random() << 32) | random(),
                1 => random() % 1024,
                2 => ((random() % 100) << 32) | (random() % 1024),
                _ => 1 << (random() % 64),
            };
            word64(&map, offset).store(value, Ordering::Relaxed);
        }
        let start = Instant::now();
        for _ in 0..40 {
            match channel.receive(Some(&ms(0))) {
                Ok(Some(message)) => {
                    assert!(message.offset() >= 512 && message.offset() + message.length() <= 1024);
                    channel.release(message).unwrap();
                    messages += 1;
                }
                Ok(None) => break,
                Err(Error::Invalid(_) | Error::Busy(_)) => {
                    damaged += 1;
                    break;
                }
                Err(error) => panic!("{error}"),
            }
        }
        match channel.send(&[1; 20], Some(&ms(0))) {
            Ok(_) | Err(Error::Invalid(_)) => {}
            Err(error) => panic!("{error}"),
        }
        assert!(start.elapsed() < Duration::from_millis(HANG), "round {round}");
    }
    assert!(damaged > 100 && messages > 100, "{damaged} {messages}");
}

#[test]
fn messages_that_are_copied_before_their_turn_are_received_when_the_tail_goes_past_them() {
    let file = TempFile::sparse(PAGE as u64);
    let (a, b) = (open(&file), open(&file));
    let sender = Channel::create(&a, 0, 1536).unwrap();
    let receiver = Channel::open(&b, 0).unwrap();
    let (mut bytes, mut ahead) = ([0; 64], [Ahead::default(); 4]);
    let mut sent = 0u8;
    // Around the ring several times.
    for round in 0..100 {
        for _ in 0..4 {
            sent += 1;
            assert!(sender.send(&[sent; 13], None).unwrap());
        }
        let received = receiver.receive_ahead(&mut bytes, &mut ahead, None).unwrap();
        assert_eq!(received, Received::Copied(4));
        let ends = ahead.map(|place| place.end);
        assert_eq!(ends, [13, 29, 45, 61]);
        for (index, end) in ends.into_iter().enumerate() {
            let end = end as usize;
            assert_eq!(bytes[end - 13..end], [sent - 3 + index as u8; 13]);
        }
        assert_eq!(receiver.pending().unwrap(), (3, 39));
        // Some of them by the tail alone, the others again.
        let past = round % 4;
        word64(&b, 192).store(ahead[past].tail.into(), Ordering::SeqCst);
        for left in (past + 1)..4 {
            assert_eq!(receive(&receiver).unwrap(), [sent - 3 + left as u8; 13]);
        }
        assert_eq!(receiver.pending().unwrap(), (0, 0));
        sent %= 100;
    }
}

#[test]
fn no_message_is_copied_before_its_turn_that_does_not_fit_or_is_not_complete() {
    let file = TempFile::sparse(PAGE as u64);
    let map = open(&file);
    let channel = Channel::create(&map, 0, 2048).unwrap();
    let mut ahead = [Ahead::default(); 4];
    let mut ahead_of = |bytes: &mut [u8]| channel.receive_ahead(bytes, &mut ahead, None).unwrap();
    assert_eq!(ahead_of(&mut [0; 8]), Received::Nothing);
    assert_eq!(channel.send_many(b"onetwothree", &[3, 6, 11], None), Ok(3));
    assert_eq!(ahead_of(&mut [0; 2]), Received::TooLong(3));
    assert_eq!(ahead_of(&mut [0; 12]), Received::Copied(2));
    assert_eq!(ahead_of(&mut [0; 12]), Received::Copied(1)); // two once more, and three does not fit
    let room = channel.reserve(8, None).unwrap().unwrap();
    assert!(channel.send(b"four", None).unwrap());
    assert_eq!(ahead_of(&mut [0; 64]), Received::Copied(1));
    channel.commit(room, 8).unwrap();
    assert_eq!(ahead_of(&mut [0; 64]), Received::Copied(2));
}

#[test]
fn a_message_that_is_put_back_comes_to_a_thread_that_waits_and_before_later_ones() {
    let file = TempFile::sparse(PAGE as u64);
    let (map, other) = (open(&file), open(&file));
    let channel = Channel::create(&map, 0, PAGE).unwrap();
    let sender = Channel::open(&other, 0).unwrap();
    // With each way in which the message can come again: at once, or when a later one is released.
    for with_later in [false, true] {
        assert!(sender.send(b"first", None).unwrap());
        let first = channel.borrow(None).unwrap().unwrap();
        let later = with_later.then(|| {
            assert!(sender.send(b"later", None).unwrap());
            channel.borrow(None).unwrap().unwrap()
        });
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| channel.borrow(Some(&ms(HANG))).unwrap().unwrap());
            std::thread::sleep(Duration::from_millis(50)); // until it sleeps
            channel.put_back(first);
            if let Some(later) = later {
                channel.release(later).unwrap();
            }
            let woken = Instant::now();
            while !waiting.is_finished() && woken.elapsed() < Duration::from_secs(10) {
                std::thread::yield_now();
            }
            assert!(sender.send(b"next", None).unwrap()); // which wakes it in any case
            let message = waiting.join().unwrap();
            let mut bytes = vec![0; message.length()];
            channel.read(&message, &mut bytes).unwrap();
            channel.release(message).unwrap();
            assert_eq!(bytes, b"first");
        });
        let rest = if with_later { vec!["later", "next"] } else { vec!["next"] };
        for expected in rest {
            assert_eq!(receive(&channel).as_deref(), Some(expected.as_bytes()));
        }
    }
}

#[test]
fn no_message_is_lost_while_one_thread_borrows_and_another_puts_back() {
    const COUNT: u32 = 20_000;
    let file = TempFile::sparse(PAGE as u64);
    let (map, other) = (open(&file), open(&file));
    let channel = Channel::create(&map, 0, PAGE).unwrap();
    let sender = Channel::open(&other, 0).unwrap();
    let (borrowed, settles) = mpsc::sync_channel(4);
    let are_sent = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for i in 0..COUNT {
                assert!(sender.send(&i.to_ne_bytes(), Some(&ms(HANG))).unwrap());
            }
            are_sent.store(true, Ordering::SeqCst);
        });
        scope.spawn(|| {
            let borrowed = borrowed;
            while !are_sent.load(Ordering::SeqCst) || sender.pending() != Ok((0, 0)) {
                if let Some(message) = channel.borrow(Some(&ms(10))).unwrap() {
                    borrowed.send(message).unwrap();
                }
            }
        });
        let (mut is_released, mut times) = (vec![false; COUNT as usize], 0_u32);
        for message in settles {
            let mut bytes = [0; 4];
            channel.read(&message, &mut bytes).unwrap();
            times += 1;
            if times.is_multiple_of(3) {
                channel.put_back(message);
            } else {
                is_released[u32::from_ne_bytes(bytes) as usize] = true;
                channel.release(message).unwrap();
            }
        }
        assert_eq!(is_released.iter().filter(|is_so| !**is_so).count(), 0);
    });
}
