//! Mutexes, semaphores, channels and waits between mappings of one file, each of which is a participant
//! of its own as another process would be.
#![cfg(not(target_os = "freebsd"))] // it has no mutex and no channel
#![allow(missing_docs, clippy::panic, clippy::unwrap_used)]

mod common;

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use common::{PAGE, TempFile, options, private, shared};
use memory_map::ipc::{
    Cancel, Channel, Locked, Mutex, Patience, Pending, Received, Semaphore, Wait, WaitResult, mark,
    notify, wait,
};
use memory_map::{Error, Mapping, Protection, changes};

fn open(file: &TempFile) -> Mapping {
    shared(file, Protection::ReadWrite)
}

fn word(map: &Mapping, offset: usize) -> &AtomicU32 {
    // SAFETY: the offset is inside the mapping, which lives as long as the reference.
    unsafe { AtomicU32::from_ptr((map.address().unwrap() + offset) as *mut u32) }
}

fn word64(map: &Mapping, offset: usize) -> &AtomicU64 {
    // SAFETY: as above.
    unsafe { AtomicU64::from_ptr((map.address().unwrap() + offset) as *mut u64) }
}

fn ms(time: u64) -> Patience<'static> {
    Patience::of(Duration::from_millis(time))
}

/// What a thing that must happen is waited for at most.
const HANG: u64 = 120_000;

fn receive(channel: &Channel) -> Option<Vec<u8>> {
    take(channel, Some(&ms(HANG)))
}

fn take(channel: &Channel, patience: Option<&Patience<'_>>) -> Option<Vec<u8>> {
    let mut bytes = vec![0; 3000];
    match channel.receive_into(&mut bytes, patience).unwrap() {
        Received::Nothing => return None,
        Received::Copied(length) => bytes.truncate(length),
        Received::TooLong(length) => panic!("{length}"),
    }
    Some(bytes)
}

#[test]
fn a_lock_that_is_taken_directly_is_one() {
    let file = TempFile::sparse(PAGE as u64);
    let (a, b) = (open(&file), open(&file));
    let (mutex, other) = (Mutex::new(&a, 8).unwrap(), Mutex::new(&b, 8).unwrap());
    let before = mark(&a, 8, 8).unwrap();
    let step = |from, to| word64(&a, 8).compare_exchange(from, to, ORDER, ORDER).is_ok();
    assert!(step(0, mutex.held()));
    assert_eq!(mutex.lock(&ms(HANG)), Err(Error::Deadlock));
    assert_eq!((other.try_lock(), other.unlock()), (Ok(None), Err(Error::NotOwner)));
    assert!(step(mutex.held(), 0));
    assert_eq!(mutex.unlock(), Err(Error::NotOwner));
    assert_eq!(other.try_lock(), Ok(Some(Locked::Acquired)));
    assert!(!step(0, mutex.held()) && !step(mutex.held(), 0));
    assert!(before.is_some_and(|mark| mark.address == word64(&a, 8).as_ptr() as usize));
    assert_eq!(mark(&a, 8, 8), Ok(before));
}

const ORDER: Ordering = Ordering::SeqCst;

#[test]
#[cfg(unix)] // Windows does not let a mapped file be truncated
fn a_step_that_was_taken_in_scratch_memory_is_known() {
    let file = TempFile::sparse(2 * PAGE as u64);
    let map = open(&file);
    let before = mark(&map, PAGE, 8).unwrap();
    let number = changes().load(ORDER);
    file.truncate(PAGE as u64);
    // Where it was not noticed two processes would have the lock.
    assert_eq!(word64(&map, PAGE).compare_exchange(0, 5, ORDER, ORDER), Ok(0));
    assert_ne!(changes().load(ORDER), number);
    assert_ne!(mark(&map, PAGE, 8), Ok(before));
    file.truncate(2 * PAGE as u64);
    assert_ne!(mark(&map, PAGE, 8), Ok(before));
    assert_eq!(word64(&map, PAGE).load(ORDER), 0);
}

#[test]
fn a_mapping_that_goes_or_moves_changes_the_number() {
    let file = TempFile::sparse(PAGE as u64);
    let map = open(&file);
    map.key().unwrap().make_lasting(); // or it may stay where it is
    let number = changes().load(ORDER);
    map.resize(100 * PAGE as u64).unwrap();
    let moved = changes().load(ORDER);
    assert_ne!(number, moved);
    let _key = map.key().unwrap();
    map.close();
    assert_ne!(moved, changes().load(ORDER));
}

#[test]
#[cfg(any(target_os = "linux", target_os = "android"))] // elsewhere only a change may end a wait
fn a_wait_ends_by_a_notify_through_another_mapping() {
    let file = TempFile::sparse(PAGE as u64);
    let (a, b) = (open(&file), open(&file));
    assert_eq!(wait(&a, 8, 1, &Patience::FOREVER).unwrap(), WaitResult::NotEqual);
    assert_eq!(wait(&a, 8, 0, &ms(0)).unwrap(), WaitResult::TimedOut);
    let start = Instant::now();
    assert_eq!(wait(&a, 8, 0, &ms(30)).unwrap(), WaitResult::TimedOut);
    assert!(start.elapsed() >= Duration::from_millis(30));
    assert_eq!(notify(&b, 8, 1).unwrap(), 0);
    std::thread::scope(|scope| {
        let waiters: Vec<_> =
            (0..3).map(|_| scope.spawn(|| wait(&a, 8, 0, &ms(HANG)).unwrap())).collect();
        let mut woken = 0;
        let end = Instant::now() + Duration::from_millis(HANG);
        while woken < 3 && Instant::now() < end {
            let now = notify(&b, 8, 1).unwrap();
            assert!(now <= 1);
            woken += now;
        }
        for waiter in waiters {
            assert_eq!(waiter.join().unwrap(), WaitResult::Ok);
        }
    });
    word(&b, 8).store(5, Ordering::SeqCst);
    assert_eq!(wait(&a, 8, 0, &Patience::FOREVER).unwrap(), WaitResult::NotEqual);
}

#[test]
fn a_wait_ends_when_the_word_changes() {
    let file = TempFile::sparse(PAGE as u64);
    let (a, b) = (open(&file), open(&file));
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| wait(&a, 8, 0, &ms(HANG)).unwrap());
        std::thread::sleep(Duration::from_millis(30));
        word(&b, 8).store(1, Ordering::SeqCst);
        notify(&b, 8, u32::MAX).unwrap();
        assert_ne!(waiter.join().unwrap(), WaitResult::TimedOut);
    });
}

#[test]
fn a_wait_can_be_cancelled_before_and_while_it_sleeps() {
    let file = TempFile::sparse(PAGE as u64);
    let map = open(&file);
    let cancel = Cancel::default();
    std::thread::scope(|scope| {
        let waiter =
            scope.spawn(|| wait(&map, 0, 0, &Patience::FOREVER.or_until(&cancel)).unwrap_err());
        std::thread::sleep(Duration::from_millis(30));
        cancel.cancel();
        assert_eq!(waiter.join().unwrap(), Error::Cancelled);
    });
    let again = wait(&map, 0, 0, &Patience::FOREVER.or_until(&cancel));
    assert_eq!(again.unwrap_err(), Error::Cancelled);
}

/// A lock that is waited for on another thread.
struct Locking(Mutex);

impl Wait for Locking {
    type Output = Locked;

    fn wait(&self, patience: &Patience<'_>) -> memory_map::Result<Locked> {
        Ok(self.0.lock_in_turn(patience)?.unwrap())
    }

    fn give_back(&self, how: Locked) -> Result<(), Locked> {
        self.0.put_back(how).map_err(|_| how)
    }
}

/// Begins to lock the mutex at 0 on another thread, and says when that is over.
fn locking(map: &Mapping) -> (Arc<Pending<Locking>>, mpsc::Receiver<()>) {
    let (settled, over) = mpsc::channel();
    let wait = Locking(Mutex::new(map, 0).unwrap());
    (Pending::start(map, None, wait, move |_| settled.send(()).unwrap()).unwrap(), over)
}

#[test]
fn a_pending_wait_that_is_ended_has_nothing() {
    let file = TempFile::sparse(PAGE as u64);
    let other = open(&file);
    let mutex = Mutex::new(&other, 0).unwrap();
    let ends: [fn(&Mapping, &Pending<Locking>); 3] =
        [|_, wait| wait.end(), |_, wait| wait.end_now(), |map, _| drop(map.close())];
    for end in ends {
        let map = open(&file);
        mutex.lock(&ms(HANG)).unwrap().unwrap();
        let (wait, over) = locking(&map);
        end(&map, &wait);
        over.recv().unwrap();
        assert_eq!(wait.result(), Err(Error::Cancelled));
        mutex.unlock().unwrap();
        assert_eq!(word(&other, 0).load(Ordering::SeqCst), 0);
    }
}

#[test]
fn what_a_pending_wait_has_and_nobody_was_told_of_is_given_back_as_it_was_had() {
    let file = TempFile::sparse(PAGE as u64);
    let other = open(&file);
    let mutex = Mutex::new(&other, 0).unwrap();
    let ends: [fn(&Mapping, &Pending<Locking>); 2] =
        [|_, wait| wait.end(), |map, _| drop(map.close())];
    for (end, dies) in ends.into_iter().flat_map(|end| [(end, false), (end, true)]) {
        let map = open(&file);
        if dies {
            Mutex::new(&open(&file), 0).unwrap().lock(&ms(HANG)).unwrap().unwrap();
        }
        let (wait, over) = locking(&map);
        over.recv().unwrap();
        assert!(mutex.try_lock().unwrap().is_none());
        end(&map, &wait);
        assert_eq!(wait.result(), Err(Error::Cancelled));
        let how = if dies { Locked::Recovered } else { Locked::Acquired };
        assert_eq!(mutex.try_lock().unwrap(), Some(how));
        mutex.unlock().unwrap();
    }
}

#[test]
fn a_pending_wait_is_out_of_the_memory_while_that_may_move() {
    let file = TempFile::sparse(PAGE as u64);
    let (map, other) = (open(&file), open(&file));
    let mutex = Mutex::new(&other, 0).unwrap();
    for round in 0..200u64 {
        mutex.lock(&ms(HANG)).unwrap().unwrap();
        let (wait, over) = locking(&map);
        std::thread::scope(|scope| {
            scope.spawn(|| mutex.unlock().unwrap());
            map.resize(0).unwrap();
        });
        map.resize(PAGE as u64).unwrap();
        over.recv().unwrap();
        match wait.result() {
            Ok(_) => Mutex::new(&map, 0).unwrap().unlock().unwrap(),
            Err(error) => assert_eq!(error, Error::Cancelled),
        }
        assert_eq!(word(&other, 0).load(Ordering::SeqCst), 0, "round {round}");
    }
}

#[test]
fn a_wait_on_the_thread_asks_now_and_then_whether_to_go_on() {
    let file = TempFile::sparse(PAGE as u64);
    let map = open(&file);
    let left = std::cell::Cell::new(3);
    let tick = || {
        left.set(left.get() - 1);
        left.get() > 0
    };
    let waited = wait(&map, 0, 0, &Patience::FOREVER.while_true(&tick));
    assert_eq!((waited, left.get()), (Err(Error::Cancelled), 0));
    let start = Instant::now();
    let waited = wait(&map, 0, 0, &ms(250).while_true(&|| true));
    assert_eq!(waited, Ok(WaitResult::TimedOut));
    assert!(start.elapsed() >= Duration::from_millis(250));
}

#[test]
fn memory_that_is_not_shared_writable_aligned_or_open_is_refused() {
    let file = TempFile::sparse(PAGE as u64);
    let alone = Mapping::anonymous(4096, false, &options(Protection::ReadWrite)).unwrap();
    let private = private(&file, Protection::ReadWrite);
    for map in [&alone, &private] {
        assert_eq!(wait(map, 0, 0, &ms(0)).unwrap_err(), Error::NotShared);
        assert_eq!(Mutex::new(map, 0).err(), Some(Error::NotShared));
    }
    let readable = shared(&file, Protection::Read);
    assert_eq!(Mutex::new(&readable, 0).err(), Some(Error::NotWritable));
    assert_eq!(wait(&readable, 0, 1, &ms(0)).unwrap(), WaitResult::NotEqual);
    let map = open(&file);
    for (offset, size) in [(4, "mutex"), (PAGE, "mutex"), (usize::MAX - 3, "mutex")] {
        assert!(
            matches!(Mutex::new(&map, offset), Err(Error::OutOfRange { .. })),
            "{size} at {offset}"
        );
    }
    let mutex = Mutex::new(&map, 0).unwrap();
    let semaphore = Semaphore::new(&map, 8, Some(1)).unwrap();
    let channel = Channel::create(&map, 1024, 1024).unwrap();
    map.close();
    assert_eq!(mutex.lock(&Patience::FOREVER).unwrap_err(), Error::Closed);
    assert_eq!(semaphore.try_acquire().unwrap_err(), Error::Closed);
    assert_eq!(channel.send(b"x", None).unwrap_err(), Error::Closed);
    assert_eq!(channel.receive(Some(&Patience::FOREVER)).unwrap_err(), Error::Closed);
}

#[test]
fn a_mutex_excludes_others_and_knows_its_owner() {
    let file = TempFile::sparse(PAGE as u64);
    let (a, b) = (open(&file), open(&file));
    let (first, second) = (Mutex::new(&a, 64).unwrap(), Mutex::new(&b, 64).unwrap());
    assert_eq!(first.lock(&Patience::FOREVER).unwrap(), Some(Locked::Acquired));
    assert_eq!(first.lock(&Patience::FOREVER).unwrap_err(), Error::Deadlock);
    assert_eq!(first.try_lock().unwrap(), None);
    assert_eq!(second.try_lock().unwrap(), None);
    assert_eq!(second.lock(&ms(50)).unwrap(), None);
    assert_eq!(second.unlock().unwrap_err(), Error::NotOwner);
    // Another object of the same mapping is the same owner.
    Mutex::new(&a, 64).unwrap().unlock().unwrap();
    assert_eq!(first.unlock().unwrap_err(), Error::NotOwner);
    assert_eq!(second.try_lock().unwrap(), Some(Locked::Acquired));
    second.unlock().unwrap();
}

#[test]
fn a_mutex_of_a_closed_mapping_is_recovered_at_once() {
    let file = TempFile::sparse(PAGE as u64);
    let (a, b) = (open(&file), open(&file));
    let (first, second) = (Mutex::new(&a, 0).unwrap(), Mutex::new(&b, 0).unwrap());
    first.try_lock().unwrap();
    a.close();
    assert_eq!(second.try_lock().unwrap(), Some(Locked::Recovered));
    second.unlock().unwrap();
    assert_eq!(second.lock(&ms(HANG)).unwrap(), Some(Locked::Acquired));
}

#[test]
fn what_is_in_a_mapping_goes_with_it_when_it_moves() {
    let file = TempFile::sparse(PAGE as u64);
    let (a, b) = (open(&file), open(&file));
    let (mutex, other) = (Mutex::new(&a, 8).unwrap(), Mutex::new(&b, 8).unwrap());
    let channel = Channel::create(&a, 1024, 2048).unwrap();
    assert!(channel.send(b"before", None).unwrap());
    assert_eq!(mutex.lock(&ms(HANG)).unwrap(), Some(Locked::Acquired));
    let before = a.address();
    let mut length = 1 << 20;
    while a.address() == before {
        a.resize(length).unwrap();
        length *= 2;
    }
    assert_eq!(other.try_lock().unwrap(), None);
    mutex.unlock().unwrap();
    assert_eq!(other.try_lock().unwrap(), Some(Locked::Acquired));
    assert_eq!(receive(&channel), Some(b"before".to_vec()));
    let again = Channel::open(&a, 1024).unwrap();
    a.resize(PAGE as u64).unwrap();
    assert!(again.send(b"after", None).unwrap());
    assert_eq!(receive(&channel), Some(b"after".to_vec()));
    a.resize(0).unwrap();
    assert_eq!(mutex.try_lock(), Err(Error::Closed));
    a.resize(4096).unwrap();
    assert_eq!(mutex.try_lock().unwrap(), None);
}

#[test]
fn many_threads_count_under_a_mutex_and_lose_nothing() {
    let file = TempFile::sparse(PAGE as u64);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let map = open(&file);
                let mutex = Mutex::new(&map, 0).unwrap();
                for _ in 0..5000 {
                    assert_eq!(mutex.lock(&ms(HANG)).unwrap(), Some(Locked::Acquired));
                    let count = word(&map, 128);
                    count.store(count.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
                    mutex.unlock().unwrap();
                }
            });
        }
    });
    assert_eq!(word(&open(&file), 128).load(Ordering::Relaxed), 20_000);
}

#[test]
fn a_semaphore_gives_out_what_it_has() {
    let file = TempFile::sparse(PAGE as u64);
    let (a, b) = (open(&file), open(&file));
    let first = Semaphore::new(&a, 0, Some(2)).unwrap();
    let second = Semaphore::new(&b, 0, Some(100)).unwrap();
    assert!(second.try_acquire().unwrap() && first.try_acquire().unwrap());
    assert!(!first.try_acquire().unwrap());
    assert!(!first.acquire(&ms(20)).unwrap());
    std::thread::scope(|scope| {
        let waiters: Vec<_> =
            (0..3).map(|_| scope.spawn(|| first.acquire(&ms(HANG)).unwrap())).collect();
        std::thread::sleep(Duration::from_millis(20));
        second.release(3).unwrap();
        assert!(waiters.into_iter().all(|waiter| waiter.join().unwrap()));
    });
    assert!(!second.try_acquire().unwrap());
    first.release(Semaphore::MAX).unwrap();
    assert!(matches!(first.release(1), Err(Error::OutOfRange { .. })));
}

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
fn a_sender_that_goes_loses_his_unfinished_message_only() {
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
fn what_is_not_a_channel_is_refused() {
    let file = TempFile::sparse(2 * PAGE as u64);
    let map = open(&file);
    let refused = |map: &Mapping, offset| match Channel::open(map, offset) {
        Err(Error::Invalid(why)) => why,
        other => panic!("{:?}", other.err()),
    };
    assert!(refused(&map, 0).contains("not made by"));
    Channel::create(&map, 0, 2 * PAGE).unwrap();
    assert!(refused(&map, 64).contains("not made by"));
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
#[cfg(unix)] // Windows does not let a mapped file be truncated
fn a_file_that_is_cut_off_ends_waits_with_a_fault() {
    let file = TempFile::sparse(4 * PAGE as u64);
    let map = open(&file);
    let mutex = Mutex::new(&map, 2 * PAGE).unwrap();
    let channel = Channel::create(&map, PAGE, 2 * PAGE).unwrap();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| channel.receive(Some(&Patience::FOREVER)));
        std::thread::sleep(Duration::from_millis(30));
        file.truncate(0);
        let start = Instant::now();
        assert!(matches!(waiting.join().unwrap(), Err(Error::Fault(_))));
        assert!(start.elapsed() < Duration::from_millis(HANG));
    });
    assert!(matches!(mutex.lock(&Patience::FOREVER), Err(Error::Fault(_))));
    assert!(matches!(mutex.unlock(), Err(Error::Fault(_))));
    assert!(matches!(wait(&map, 8, 0, &Patience::FOREVER), Err(Error::Fault(_))));
}
