//! A queue, and how it and channels are made.

use std::collections::BTreeMap;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use memory_map::ipc::{Channel, Queue};
use memory_map::{Error, Mapping};

use crate::{
    ALONE, BUSY, Child, FRESH, LIMIT, Place, QUEUE, RECEIVED, after_every_change, kills, random,
    soon, word,
};

fn open(map: &Mapping) -> Queue {
    Queue::open(map, QUEUE).unwrap()
}

/// Receives and releases all that is in the queue, whoever had it: how often each was delivered.
fn drain(queue: &Queue, when: &str) -> BTreeMap<Vec<u8>, u64> {
    let start = Instant::now();
    let mut all = BTreeMap::new();
    while queue.pending().unwrap().iter().any(|(messages, _)| *messages > 0) {
        assert!(start.elapsed() < LIMIT, "{when}: {all:?} and nothing comes");
        let Some(message) = queue.receive(None).unwrap() else { continue };
        let mut bytes = vec![0; message.length()];
        queue.read(&message, &mut bytes).unwrap();
        assert_eq!(all.insert(bytes, message.deliveries()), None, "{when}: twice");
        queue.release(message).unwrap();
    }
    all
}

/// The ring is to wrap around in what the child sends.
fn near_the_end_of_the_ring(place: &Place) {
    let queue = open(&place.map);
    for _ in 0..2 {
        assert!(queue.send(&[0; 150], None).unwrap());
        let message = queue.receive(None).unwrap().unwrap();
        queue.release(message).unwrap();
    }
}

fn send_three(place: &Place) {
    for i in 0..3u8 {
        assert!(open(&place.map).send(&[i; 30], None).unwrap());
    }
}

#[test]
#[cfg_attr(any(target_arch = "arm", target_arch = "riscv64"), ignore = "no single steps")]
fn the_messages_of_a_receiver_that_is_killed_come_again() {
    after_every_change(
        send_three,
        |place| {
            Child::start(place, open, |map, queue| {
                let mut bytes = [9; 30];
                let message = queue.receive_into(&mut bytes, Some(&soon())).unwrap().unwrap();
                assert_eq!(bytes, [0; 30]);
                word(map, RECEIVED).store(1, Ordering::Release);
                queue.release(message).unwrap();
                word(map, RECEIVED).store(2, Ordering::Release);
            })
        },
        |place, child, when| {
            child.kill();
            let all = drain(&open(&place.map), when);
            let received = word(&place.map, RECEIVED).load(Ordering::Acquire);
            assert!(all.contains_key(&vec![1; 30]) && all.contains_key(&vec![2; 30]), "{when}");
            match all.get(&vec![0; 30]) {
                None => assert!(received > 0, "{when}: it was never received"),
                Some(deliveries) => {
                    assert!(received < 2, "{when}: it was released");
                    assert!(*deliveries > received, "{when}: a delivery was not counted");
                }
            }
        },
    );
}

#[test]
#[cfg_attr(any(target_arch = "arm", target_arch = "riscv64"), ignore = "no single steps")]
fn a_receiver_that_is_killed_while_it_gives_a_message_up_has_not_got_it() {
    after_every_change(
        send_three,
        |place| {
            Child::start(place, open, |_, queue| {
                let message = queue.receive(None).unwrap().unwrap();
                queue.requeue(message).unwrap();
                let message = queue.receive(None).unwrap().unwrap();
                let next = queue.receive(None).unwrap().unwrap();
                queue.release(next).unwrap();
                queue.requeue(message).unwrap();
            })
        },
        |place, child, when| {
            child.kill();
            let all = drain(&open(&place.map), when);
            assert!(all.contains_key(&vec![0; 30]) && all.contains_key(&vec![2; 30]), "{when}");
        },
    );
}

#[test]
#[cfg_attr(any(target_arch = "arm", target_arch = "riscv64"), ignore = "no single steps")]
fn a_sender_to_a_queue_that_is_killed_loses_that_message_only() {
    after_every_change(
        near_the_end_of_the_ring,
        |place| {
            Child::start(place, open, |_, queue| {
                assert!(queue.send(&[7; 150], Some(&soon())).unwrap());
            })
        },
        |place, child, when| {
            child.kill();
            let queue = open(&place.map);
            assert!(queue.send(&[9], Some(&soon())).unwrap());
            let message = queue.receive(Some(&soon())).unwrap().unwrap();
            let mut bytes = vec![0; message.length()];
            queue.read(&message, &mut bytes).unwrap();
            queue.release(message).unwrap();
            assert!(bytes == [7; 150] || bytes == [9], "{when}: {bytes:?}");
            if bytes != [9] {
                assert!(queue.receive(Some(&soon())).unwrap().is_some(), "{when}");
            }
        },
    );
}

#[test]
#[cfg_attr(any(target_arch = "arm", target_arch = "riscv64"), ignore = "no single steps")]
fn the_messages_of_a_receiver_that_is_killed_in_a_batch_come_again() {
    after_every_change(
        send_three,
        |place| {
            Child::start(place, open, |map, queue| {
                let mut bytes = [9; 96];
                let mut batch = queue.receive_many_into(3, &mut bytes, Some(&soon())).unwrap();
                assert_eq!(batch.len(), 3);
                assert_eq!((bytes[29], bytes[32], bytes[64]), (0, 1, 2));
                word(map, RECEIVED).store(1, Ordering::Release);
                // Their room cannot go back before that of the first.
                for _ in 0..2 {
                    queue.release(batch.remove(1)).unwrap();
                    word(map, BUSY).fetch_add(1, Ordering::AcqRel);
                }
                queue.requeue(batch.remove(0)).unwrap();
            })
        },
        |place, child, when| {
            child.kill();
            let all = drain(&open(&place.map), when);
            let received = word(&place.map, RECEIVED).load(Ordering::Acquire);
            let released = word(&place.map, BUSY).load(Ordering::Acquire);
            assert!(all.contains_key(&vec![0; 30]), "{when}: {all:?}");
            for (number, before) in [(1, 0), (2, 1)] {
                let deliveries = all.get(&vec![number; 30]);
                assert!(deliveries.is_some() || received > 0, "{when}: {number} is lost");
                assert!(deliveries.is_none() || released <= before, "{when}: {number} was done");
            }
            let counted = all.values().all(|deliveries| *deliveries > received);
            assert!(counted, "{when}: a delivery was not counted");
        },
    );
}

#[test]
#[cfg_attr(any(target_arch = "arm", target_arch = "riscv64"), ignore = "no single steps")]
fn a_sender_to_a_queue_that_is_killed_in_a_batch_loses_the_end_of_it_only() {
    after_every_change(
        near_the_end_of_the_ring,
        |place| {
            Child::start(place, open, |map, queue| {
                let batch = [[1; 40], [2; 40], [3; 40]].concat();
                assert_eq!(queue.send_many(&batch, &[40, 80, 120], Some(&soon())).unwrap(), 3);
                word(map, RECEIVED).store(1, Ordering::Release);
            })
        },
        |place, child, when| {
            child.kill();
            let queue = open(&place.map);
            assert!(queue.send(&[9; 40], Some(&soon())).unwrap());
            let mut numbers = Vec::new();
            while numbers.last() != Some(&9) {
                let message = queue.receive(Some(&soon())).unwrap().unwrap();
                assert_eq!((message.length(), message.deliveries()), (40, 1), "{when}");
                let mut bytes = vec![0; 40];
                queue.read(&message, &mut bytes).unwrap();
                assert!(bytes.iter().all(|byte| *byte == bytes[0]), "{when}: {bytes:?}");
                numbers.push(bytes[0]);
                queue.release(message).unwrap();
            }
            let sent = numbers.len() as u8 - 1;
            assert!(numbers.iter().copied().eq((1..=sent).chain([9])), "{when}: {numbers:?}");
            let is_sent = word(&place.map, RECEIVED).load(Ordering::Acquire) == 1;
            assert!(sent == 3 || !is_sent, "{when}: {numbers:?}");
        },
    );
}

#[test]
#[cfg_attr(any(target_arch = "arm", target_arch = "riscv64"), ignore = "no single steps")]
fn one_who_is_killed_while_it_makes_a_channel_or_a_queue_is_succeeded() {
    after_every_change(
        |_| {},
        |place| {
            Child::start(
                place,
                |_| {},
                |map, ()| {
                    let channel = Channel::open_or_create(map, FRESH, 1024).unwrap();
                    assert!(channel.send(b"first", None).unwrap());
                },
            )
        },
        |place, child, when| {
            child.kill();
            let start = Instant::now();
            let channel = Channel::open_or_create(&place.map, FRESH, 1024).unwrap();
            assert_eq!(channel.capacity(), 1024 - 512 - 64, "{when}");
            assert!(channel.send(b"second", Some(&soon())).unwrap(), "{when}");
            let message = channel.receive(Some(&soon())).unwrap().unwrap();
            assert!([5, 6].contains(&message.length()), "{when}");
            assert!(start.elapsed() < LIMIT, "{when}");
            let queue = Queue::open_or_create(&place.map, FRESH, 1024);
            assert!(matches!(queue, Err(Error::Invalid(_))), "{when}");
        },
    );
}

/// Does something for so many microseconds.
fn work(micros: u64) {
    let end = Instant::now() + Duration::from_micros(micros);
    while Instant::now() < end {
        std::hint::spin_loop();
    }
}

#[test]
fn receivers_that_are_killed_anywhere_lose_nothing() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let place = Place::new();
    let queue = open(&place.map);
    let (mut by_children, mut again) = (0, 0);
    for run in 0..20 * kills() {
        if run >= kills() && by_children > 100 && again > 10 {
            break;
        }
        word(&place.map, BUSY).store(0, Ordering::Release);
        word(&place.map, RECEIVED).store(0, Ordering::Release);
        // One bit for each message.
        let done = |map: &Mapping, number: u8, mask: usize| {
            word(map, mask).fetch_or(1 << number, Ordering::AcqRel);
        };
        let children = [(); 2].map(|()| {
            Child::run(&place, |map| {
                let queue = open(map);
                while let Ok(Some(message)) = queue.receive(Some(&soon())) {
                    let mut number = [0];
                    queue.read(&message, &mut number).unwrap();
                    done(map, number[0], RECEIVED);
                    work(20);
                    if (number[0] + message.deliveries() as u8).is_multiple_of(4) {
                        queue.requeue(message).unwrap();
                    } else {
                        queue.release(message).unwrap();
                        done(map, number[0], BUSY);
                    }
                }
            })
        });
        let start = Instant::now();
        let sent = 1 + random(50) as u8;
        for number in 0..sent {
            assert!(queue.send(&[number], Some(&soon())).unwrap(), "run {run}");
        }
        std::thread::sleep(Duration::from_micros(random(300)));
        children.iter().for_each(Child::kill);
        let all = drain(&queue, &format!("run {run}"));
        let [received, released] =
            [RECEIVED, BUSY].map(|mask| word(&place.map, mask).load(Ordering::Acquire));
        for number in 0..sent {
            let bit = 1 << number;
            match all.get(&vec![number]) {
                None => assert_ne!(received & bit, 0, "run {run}: {number} is lost"),
                Some(deliveries) => {
                    assert_eq!(released & bit, 0, "run {run}: {number} was done");
                    assert!(received & bit == 0 || *deliveries > 1, "run {run}: {number}");
                    again += u32::from(*deliveries > 1);
                }
            }
            by_children += u32::from(received & bit != 0);
        }
        assert!(start.elapsed() < LIMIT + Duration::from_secs(60), "run {run}");
    }
    assert!(by_children > 100 && again > 10, "{by_children} by children, {again} again");
}
