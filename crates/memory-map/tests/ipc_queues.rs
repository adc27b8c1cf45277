//! Queues between mappings of one file, and how channels and queues are made.
#![cfg(not(target_os = "freebsd"))] // it has neither
#![allow(missing_docs, clippy::panic, clippy::unwrap_used)]

mod common;

use std::collections::BTreeSet;
use std::sync::Mutex;
#[cfg(not(windows))]
use std::sync::atomic::Ordering;

#[cfg(not(windows))]
use common::ipc::word64;
use common::ipc::{HANG, ms, open};
use common::{PAGE, TempFile};
use memory_map::ipc::{Channel, Delivery, Queue};
use memory_map::{Error, Mapping};

fn read(queue: &Queue, message: &Delivery) -> u64 {
    let mut bytes = [0; 8];
    queue.read(message, &mut bytes).unwrap();
    u64::from_le_bytes(bytes)
}

#[test]
fn each_message_comes_to_one_receiver_in_order_for_each() {
    let file = TempFile::sparse(PAGE as u64);
    let maps = [(); 4].map(|()| open(&file));
    Queue::create(&maps[0], 0, 2048).unwrap();
    let queue = |at: usize| Queue::open(&maps[at], 0).unwrap();
    let all = Mutex::new(BTreeSet::new());
    const EACH: u64 = 5000;
    std::thread::scope(|scope| {
        for sender in 0..2 {
            let queue = queue(sender as usize);
            scope.spawn(move || {
                for i in 0..EACH {
                    let bytes = (i * 2 + sender).to_le_bytes();
                    assert!(queue.send(&bytes, Some(&ms(HANG))).unwrap());
                }
            });
        }
        for receiver in 2..4 {
            let (queue, all) = (queue(receiver), &all);
            scope.spawn(move || {
                let mut last = [None; 2];
                while all.lock().unwrap().len() < 2 * EACH as usize {
                    let Some(message) = queue.receive(Some(&ms(20))).unwrap() else { continue };
                    let number = read(&queue, &message);
                    if message.deliveries() == 1 {
                        let last = &mut last[(number % 2) as usize];
                        assert!(last.replace(number) < Some(number), "{number}");
                    }
                    if number % 7 == 3 && message.deliveries() < 3 {
                        queue.requeue(message).unwrap();
                        continue;
                    }
                    assert!(all.lock().unwrap().insert(number), "{number} twice");
                    queue.release(message).unwrap();
                }
            });
        }
    });
    assert_eq!(queue(0).pending().unwrap(), [(0, 0); 2]);
}

#[test]
fn what_a_mapping_has_comes_again_when_it_is_closed_or_dropped() {
    let file = TempFile::sparse(PAGE as u64);
    let map = open(&file);
    let queue = Queue::create(&map, 0, 2048).unwrap();
    queue.send(&7u64.to_le_bytes(), None).unwrap();
    for deliveries in 1..10 {
        let other = open(&file);
        let there = Queue::open(&other, 0).unwrap();
        let message = there.receive(Some(&ms(HANG))).unwrap().unwrap();
        assert_eq!((message.deliveries(), read(&there, &message)), (deliveries, 7));
        match deliveries % 2 {
            0 => drop(other.close()),
            _ => drop((there, other)),
        }
    }
}

#[test]
fn those_who_open_or_create_at_once_get_one_and_the_same() {
    for _ in 0..50 {
        let file = TempFile::sparse(PAGE as u64);
        let maps = [(); 4].map(|()| open(&file));
        let lengths = [640, 1024, 2048, 4096];
        let make = |at: usize| Channel::open_or_create(&maps[at], 0, lengths[at]).unwrap();
        let channels = std::thread::scope(|scope| {
            let made = [0, 1, 2, 3].map(|at| scope.spawn(move || make(at)));
            made.map(|thread| thread.join().unwrap())
        });
        for channel in &channels {
            assert_eq!(channel.capacity(), channels[0].capacity());
            assert!(channel.send(b"from each", None).unwrap());
        }
        assert_eq!(channels[0].pending().unwrap(), (4, 36));
    }
}

#[test]
fn a_queue_is_made_only_of_zeros() {
    let file = TempFile::sparse(PAGE as u64);
    let map = open(&file);
    map.write(b"something", 0).unwrap();
    for result in [Queue::open(&map, 0), Queue::open_or_create(&map, 0, 1024)] {
        assert!(matches!(result, Err(Error::Invalid(_))));
    }
    assert!(matches!(Queue::open(&map, 1024), Err(Error::Invalid(_))));
    Queue::open_or_create(&map, 1024, 1024).unwrap();
    assert!(matches!(Channel::open(&map, 1024), Err(Error::Invalid(_))));
    assert!(matches!(Queue::open_or_create(&map, 2048, 600), Err(Error::OutOfRange { .. })));
    let private = Mapping::anonymous(4096, false, &memory_map::Options::default()).unwrap();
    assert!(matches!(Queue::open_or_create(&private, 0, 1024), Err(Error::NotShared)));
}

#[test]
fn a_message_that_another_receiver_has_cannot_be_released_or_requeued() {
    const CLAIM: usize = 512 + 16; // of the first message in the ring: docs/queue.md
    let file = TempFile::sparse(PAGE as u64);
    let maps = [(); 2].map(|()| open(&file));
    let first = Queue::create(&maps[0], 0, 2048).unwrap();
    let second = Queue::open(&maps[1], 0).unwrap();
    assert!(first.send(b"work", None).unwrap());
    for settle in [Queue::release, Queue::requeue] {
        let lost = first.receive(None).unwrap().unwrap();
        maps[1].write(&0_u64.to_le_bytes(), CLAIM).unwrap(); // something else has stored there
        let message = second.receive(Some(&ms(HANG))).unwrap().unwrap();
        assert_eq!(settle(&first, lost), Err(Error::NotOwner));
        assert_eq!(second.pending().unwrap(), [(0, 0), (1, 4)]);
        second.requeue(message).unwrap();
    }
}

#[test]
fn messages_are_copied_where_there_is_room_for_all_of_them() {
    let file = TempFile::sparse(PAGE as u64);
    let map = open(&file);
    let queue = Queue::create(&map, 0, PAGE).unwrap();
    let send = || assert_eq!(queue.send_many(b"onethreefive", &[3, 8, 12], None), Ok(3));
    send();
    let mut bytes = [b'-'; 4];
    let one = queue.receive_into(&mut bytes, None).unwrap().unwrap();
    assert_eq!((one.length(), &bytes), (3, b"one-"));
    let three = queue.receive_into(&mut bytes, Some(&ms(HANG))).unwrap().unwrap();
    assert_eq!((three.length(), &bytes), (5, b"one-"));
    let mut all = [0; 5];
    queue.read(&three, &mut all).unwrap();
    assert_eq!(&all, b"three");
    let five = queue.receive_many_into(9, &mut bytes, None).unwrap();
    assert_eq!((five.len(), &bytes), (1, b"five"));
    assert!(queue.receive_into(&mut bytes, None).unwrap().is_none());
    send();
    let mut bytes = [b'-'; 19];
    let lengths = |batch: Vec<Delivery>| batch.iter().map(Delivery::length).collect::<Vec<_>>();
    assert_eq!(lengths(queue.receive_many_into(9, &mut bytes, None).unwrap()), [3, 5, 4]);
    assert_eq!(&bytes, b"one-----three------");
}

#[test]
fn a_batch_begins_with_all_that_a_dead_receiver_has_left() {
    let file = TempFile::sparse(PAGE as u64);
    let maps = [(); 2].map(|()| open(&file));
    let first = Queue::create(&maps[0], 0, 2048).unwrap();
    let second = Queue::open(&maps[1], 0).unwrap();
    for number in 0..4_u64 {
        assert!(first.send(&number.to_le_bytes(), None).unwrap());
    }
    assert_eq!(first.receive_many(3, None).unwrap().len(), 3);
    maps[0].close();
    let batch = second.receive_many(9, None).unwrap();
    let seen: Vec<_> = batch.iter().map(|one| (read(&second, one), one.deliveries())).collect();
    assert_eq!(seen, [(0, 2), (1, 2), (2, 2), (3, 1)]);
}

#[test]
fn a_batch_of_at_most_no_message_takes_none() {
    let file = TempFile::sparse(PAGE as u64);
    let map = open(&file);
    let queue = Queue::create(&map, 0, PAGE).unwrap();
    assert!(queue.send(b"job", None).unwrap());
    assert!(queue.receive_many(0, None).unwrap().is_empty());
    assert_eq!(queue.receive_many(1, None).unwrap().len(), 1);
}

#[cfg(not(windows))] // it does not let a mapped file be truncated
#[test]
fn a_message_that_cannot_be_copied_is_given_up() {
    const HEADERS: usize = 32;
    let claim = PAGE - 16;
    let file = TempFile::sparse(2 * PAGE as u64);
    let maps = [(); 2].map(|()| open(&file));
    let first = Queue::create(&maps[0], 0, 2 * PAGE).unwrap();
    let second = Queue::open(&maps[1], 0).unwrap();
    // All but the bytes of the next ones are in the first page.
    assert!(first.send(&vec![0; PAGE - 512 - 2 * HEADERS], None).unwrap());
    first.release(first.receive(None).unwrap().unwrap()).unwrap();
    for (round, many) in [false, true].into_iter().enumerate() {
        if round == 0 {
            assert!(first.send(&[7; 100], None).unwrap());
        }
        file.truncate(PAGE as u64);
        let mut bytes = [0; 100];
        let error = match many {
            false => first.receive_into(&mut bytes, None).err(),
            true => first.receive_many_into(2, &mut bytes, None).err(),
        };
        assert!(matches!(error, Some(Error::Fault(_))), "{error:?}");
        assert_eq!(word64(&maps[1], claim).load(Ordering::SeqCst), 0, "it has it still");
        file.truncate(2 * PAGE as u64);
        let again = second.receive(Some(&ms(HANG))).unwrap().unwrap();
        assert_eq!((again.length(), again.deliveries()), (100, 2 * round as u64 + 2));
        second.requeue(again).unwrap();
    }
}

#[cfg(not(windows))] // as above
#[test]
fn a_batch_of_which_one_message_cannot_be_copied_is_given_up_whole() {
    const HEADERS: usize = 32;
    let file = TempFile::sparse(2 * PAGE as u64);
    let maps = [(); 2].map(|()| open(&file));
    let first = Queue::create(&maps[0], 0, 2 * PAGE).unwrap();
    let second = Queue::open(&maps[1], 0).unwrap();
    assert!(first.send(&vec![0; PAGE - 512 - 3 * HEADERS - 104], None).unwrap());
    first.release(first.receive(None).unwrap().unwrap()).unwrap();
    // All but the bytes of the last one are in the first page.
    assert_eq!(first.send_many(&[7; 204], &[104, 204], None), Ok(2));
    file.truncate(PAGE as u64);
    let error = first.receive_many_into(2, &mut [0; 204], None).err();
    assert!(matches!(error, Some(Error::Fault(_))), "{error:?}");
    file.truncate(2 * PAGE as u64);
    let batch = second.receive_many(9, None).unwrap();
    assert_eq!(batch.iter().map(Delivery::length).collect::<Vec<_>>(), [104, 100]);
}
