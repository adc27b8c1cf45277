//! Broadcasts: one in which receivers may lose messages, and one in which they may not.

use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::Instant;

use memory_map::Mapping;
use memory_map::ipc::{Broadcast, From, Received, Receiver};

use crate::{
    ALONE, BROADCAST, BUSY, Child, LIMIT, LOSSLESS, Place, after_every_change, kills, some_time,
    soon, word,
};

/// Where they are, and how long.
const BOTH: [(usize, usize); 2] = [(BROADCAST, 320 + 512), (LOSSLESS, 4416 + 512)];

fn create(place: &Place) {
    for (offset, length) in BOTH {
        Broadcast::create(&place.map, offset, length, offset == LOSSLESS).unwrap();
    }
}

fn open(map: &Mapping, offset: usize) -> Broadcast {
    Broadcast::open(map, offset).unwrap()
}

/// What there is to receive, within a second.
fn all(receiver: &Receiver, last: &[u8], when: &str) -> Vec<Vec<u8>> {
    let start = Instant::now();
    let mut messages: Vec<Vec<u8>> = Vec::new();
    while messages.last().is_none_or(|message| message != last) {
        let mut bytes = vec![0; 300];
        match receiver.receive_into(&mut bytes, Some(&soon())).unwrap() {
            Received::Copied(length) => bytes.truncate(length),
            other => panic!("{when}: {other:?}"),
        }
        messages.push(bytes);
    }
    assert!(start.elapsed() < LIMIT, "{when}: {:?}", start.elapsed());
    messages
}

#[test]
#[cfg_attr(any(target_arch = "arm", target_arch = "riscv64"), ignore = "no single steps")]
fn a_sender_that_is_killed_loses_that_message_only() {
    for (offset, _) in BOTH {
        after_every_change(
            |place| {
                create(place);
                // The ring is to wrap around in what the child sends, and messages are written over.
                let broadcast = open(&place.map, offset);
                for _ in 0..2 {
                    assert!(broadcast.send(&[0; 170], None).unwrap());
                }
                assert!(broadcast.send(b"before", None).unwrap());
            },
            |place| {
                let broadcast = |map: &Mapping| open(map, offset);
                Child::start(place, broadcast, |_, broadcast| {
                    assert!(broadcast.send(&[7; 150], Some(&soon())).unwrap());
                })
            },
            |place, child, when| {
                // Where messages may be lost, receivers begin without the lock that the child may have.
                if offset == LOSSLESS {
                    child.kill();
                }
                let receiver = open(&place.map, offset).subscribe(&place.map, From::Oldest);
                let receiver = receiver.unwrap_or_else(|error| panic!("{when}: {error:?}"));
                child.kill();
                let broadcast = open(&place.map, offset);
                let start = Instant::now();
                assert!(broadcast.send(b"after", Some(&soon())).unwrap());
                assert!(start.elapsed() < LIMIT, "{when}: {:?}", start.elapsed());
                let mut messages = all(&receiver, b"after", when);
                messages.retain(|message| *message != [0; 170]);
                let whole = [b"before".to_vec(), vec![7; 150], b"after".to_vec()];
                let without = [b"before".to_vec(), b"after".to_vec()];
                assert!(messages == whole || messages == without, "{when}: {messages:?}");
                assert_eq!(receiver.lost(), 0, "{when}");
            },
        );
    }
}

#[test]
#[cfg_attr(any(target_arch = "arm", target_arch = "riscv64"), ignore = "no single steps")]
fn a_sender_that_is_killed_in_a_batch_loses_the_end_of_it_only() {
    // The smallest ring has no room for all of them.
    const BATCH: [u8; 6 * 8] = *b"message1message2message3message4message5message6";
    const ENDS: [u32; 6] = [8, 16, 24, 32, 40, 48];
    after_every_change(
        |place| {
            let broadcast = Broadcast::create(&place.map, BROADCAST, 320 + 128, false).unwrap();
            assert!(broadcast.send(b"message0", None).unwrap());
        },
        |place| {
            let broadcast = |map: &Mapping| open(map, BROADCAST);
            Child::start(place, broadcast, |_, broadcast| {
                assert_eq!(broadcast.send_many(&BATCH, &ENDS, Some(&soon())).unwrap(), 6);
            })
        },
        |place, child, when| {
            let broadcast = open(&place.map, BROADCAST);
            let receiver = broadcast.subscribe(&place.map, From::Oldest).unwrap();
            child.kill();
            let (mut bytes, mut numbers) = ([0; 8], Vec::new());
            while receiver.receive_into(&mut bytes, None).unwrap() != Received::Nothing {
                assert_eq!(&bytes[..7], b"message", "{when}");
                numbers.push(bytes[7] - b'0');
            }
            assert!(numbers.windows(2).all(|two| two[1] == two[0] + 1), "{when}: {numbers:?}");
            let start = Instant::now();
            assert!(broadcast.send(b"after", Some(&soon())).unwrap());
            assert!(start.elapsed() < LIMIT, "{when}: {:?}", start.elapsed());
            assert_eq!(all(&receiver, b"after", when).len(), 1, "{when}");
            assert_eq!(receiver.lost(), 0, "{when}");
        },
    );
}

#[test]
#[cfg_attr(any(target_arch = "arm", target_arch = "riscv64"), ignore = "no single steps")]
fn a_receiver_that_is_killed_holds_no_sender_back_and_takes_nothing_from_others() {
    after_every_change(
        |place| {
            create(place);
            assert!(open(&place.map, LOSSLESS).send(b"before", None).unwrap());
        },
        |place| {
            let broadcast = |map: &Mapping| open(map, LOSSLESS);
            Child::start(place, broadcast, |map, broadcast| {
                let receiver = broadcast.subscribe(map, From::Oldest).unwrap();
                let received = receiver.receive_into(&mut [0; 8], None).unwrap();
                assert_eq!(received, Received::Copied(6));
                receiver.close().unwrap();
            })
        },
        |place, child, when| {
            child.kill();
            let broadcast = open(&place.map, LOSSLESS);
            let receiver = broadcast.subscribe(&place.map, From::Oldest).unwrap();
            let start = Instant::now();
            for i in 0..6 {
                assert!(broadcast.send(&[i; 30], Some(&soon())).unwrap(), "{when}");
            }
            assert_eq!(all(&receiver, &[5; 30], when).len(), 7, "{when}");
            for i in 6..30 {
                assert!(broadcast.send(&[i; 30], Some(&soon())).unwrap(), "{when}");
                assert_eq!(all(&receiver, &[i; 30], when).len(), 1, "{when}");
            }
            assert!(start.elapsed() < LIMIT, "{when}: {:?}", start.elapsed());
            assert_eq!(receiver.lost(), 0);
        },
    );
}

#[test]
#[cfg_attr(any(target_arch = "arm", target_arch = "riscv64"), ignore = "no single steps")]
fn what_a_receiver_borrows_stays_until_it_is_released_or_the_receiver_is_killed() {
    after_every_change(
        |place| {
            create(place);
            for i in 1..3 {
                assert!(open(&place.map, LOSSLESS).send(&[i; 100], None).unwrap());
            }
        },
        |place| {
            let subscribe =
                |map: &Mapping| open(map, LOSSLESS).subscribe(map, From::Oldest).unwrap();
            Child::start(place, subscribe, |map, receiver| {
                let first = receiver.borrow(None).unwrap().unwrap();
                word(map, BUSY).store(first.offset() as u64, Ordering::Release);
                let second = receiver.borrow(None).unwrap().unwrap();
                receiver.release(second).unwrap();
                word(map, BUSY).store(0, Ordering::Release);
                receiver.release(first).unwrap();
                receiver.close().unwrap();
            })
        },
        |place, child, when| {
            let broadcast = open(&place.map, LOSSLESS);
            let borrowed = word(&place.map, BUSY).load(Ordering::Acquire) as usize;
            if borrowed != 0 {
                while broadcast.send(&[3; 100], None).unwrap() {}
                let mut bytes = [0; 100];
                place.map.read(borrowed, &mut bytes).unwrap();
                assert_eq!(bytes, [1; 100], "{when}");
            }
            child.kill();
            let receiver = broadcast.subscribe(&place.map, From::Oldest).unwrap();
            while receiver.receive_into(&mut [0; 100], None).unwrap() != Received::Nothing {}
            let start = Instant::now();
            for i in 0..20 {
                assert!(broadcast.send(&[i; 30], Some(&soon())).unwrap(), "{when}");
                assert_eq!(all(&receiver, &[i; 30], when).len(), 1, "{when}");
            }
            assert!(start.elapsed() < LIMIT, "{when}: {:?}", start.elapsed());
            assert_eq!(receiver.lost(), 0, "{when}");
        },
    );
}

#[test]
fn many_that_are_killed_anywhere_stop_nobody() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let place = Place::new();
    create(&place);
    let mine = BOTH.map(|(offset, _)| open(&place.map, offset));
    let receivers =
        mine.each_ref().map(|broadcast| broadcast.subscribe(&place.map, From::Now).unwrap());
    let mut received = 0;
    for run in 0..20 * kills() {
        if run >= kills() && received > 100 {
            break;
        }
        let child = Child::run(&place, |map| {
            let all = BOTH.map(|(offset, _)| open(map, offset));
            let receivers =
                all.each_ref().map(|broadcast| broadcast.subscribe(map, From::Oldest).unwrap());
            for i in 0u64.. {
                for (broadcast, receiver) in all.iter().zip(&receivers) {
                    let mut bytes = vec![i as u8; 8 + (i % 90) as usize];
                    bytes[..8].copy_from_slice(&i.to_le_bytes());
                    while !broadcast.send(&bytes, None).unwrap() {
                        receiver.receive_into(&mut [0; 300], None).unwrap();
                    }
                    if broadcast.is_lossless() && i % 2 == 0 {
                        let borrowed = [(); 2].map(|()| receiver.borrow(None).unwrap());
                        for message in borrowed.into_iter().flatten() {
                            receiver.release(message).unwrap();
                        }
                    } else {
                        receiver.receive_into(&mut [0; 300], None).unwrap();
                    }
                }
                word(map, BUSY).fetch_add(1, Ordering::Relaxed);
            }
        });
        some_time();
        child.kill();
        let when = format!("run {run}");
        let start = Instant::now();
        for (broadcast, receiver) in mine.iter().zip(&receivers) {
            let mut next = None;
            let mut marked = false;
            loop {
                // The ring may be full of what the child has sent.
                marked = marked || broadcast.send(b"after", None).unwrap();
                assert!(start.elapsed() < LIMIT, "{when}: nothing comes");
                let mut bytes = vec![0; 300];
                let length = match receiver.receive_into(&mut bytes, None).unwrap() {
                    Received::Copied(length) => length,
                    _ => continue,
                };
                bytes.truncate(length);
                if bytes == b"after" {
                    break;
                }
                let number = u64::from_le_bytes(<[u8; 8]>::try_from(&bytes[..8]).unwrap());
                assert_eq!(length as u64, 8 + number % 90, "{when}");
                assert!(bytes[8..].iter().all(|byte| *byte == number as u8), "{when}");
                let lost = !broadcast.is_lossless();
                assert!(lost || next.is_none_or(|next| next == number), "{when}: {number}");
                next = Some(number + 1);
                received += 1;
            }
        }
        assert_eq!(receivers[1].lost(), 0, "{when}");
    }
    assert!(received > 100, "{received} of {}", word(&place.map, BUSY).load(Ordering::Relaxed));
}
