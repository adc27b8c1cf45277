//! Waits between mappings of one file, on the thread that calls and on others.
#![cfg(not(target_os = "freebsd"))] // it has no mutex and no channel
#![allow(missing_docs, clippy::panic, clippy::unwrap_used)]

mod common;

use std::sync::atomic::Ordering;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use common::ipc::{HANG, ms, open, word};
use common::{PAGE, TempFile};
use memory_map::ipc::{Cancel, Locked, Mutex, Patience, Pending, Wait, WaitResult, notify, wait};
use memory_map::{Error, Mapping};

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

/// Has this thread run on one processor only.
#[cfg(target_os = "linux")]
fn stay_on(processor: usize) {
    // SAFETY: integers, of which all may be 0.
    let mut one: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: it is a number that the system has just given, and the set has a bit for it.
    unsafe { libc::CPU_SET(processor, &mut one) };
    // SAFETY: the set has that size.
    assert_eq!(unsafe { libc::sched_setaffinity(0, size_of_val(&one), &raw const one) }, 0);
}

#[test]
#[cfg(target_os = "linux")]
fn a_wait_that_spins_lets_the_other_side_have_the_processor() {
    let several = std::thread::available_parallelism().is_ok_and(|several| several.get() > 1);
    let file = TempFile::sparse(PAGE as u64);
    let map = open(&file);
    // Before this thread has only one processor, and would find no use in spinning.
    assert_eq!(wait(&map, 8, 0, &ms(1)).unwrap(), WaitResult::TimedOut);
    // SAFETY: it takes nothing.
    let Ok(processor) = usize::try_from(unsafe { libc::sched_getcpu() }) else { return };
    let rounds = 1000;
    let seen = std::thread::scope(|scope| {
        scope.spawn(|| {
            stay_on(processor);
            for round in 0..rounds {
                while word(&map, 8).load(Ordering::SeqCst) != 2 * round + 1 {
                    std::thread::yield_now();
                }
                word(&map, 8).store(2 * round + 2, Ordering::SeqCst);
                notify(&map, 8, 1).unwrap();
            }
        });
        let waiter = scope.spawn(|| {
            stay_on(processor);
            let one = |round| {
                word(&map, 8).store(2 * round + 1, Ordering::SeqCst);
                loop {
                    let result = wait(&map, 8, 2 * round + 1, &ms(HANG)).unwrap();
                    // The notification of the round before may come only now.
                    if word(&map, 8).load(Ordering::SeqCst) != 2 * round + 1 {
                        break result == WaitResult::NotEqual;
                    }
                }
            };
            (0..rounds).filter(|round| one(*round)).count()
        });
        waiter.join().unwrap()
    });
    assert!(!several || seen > 0, "each of {rounds} waits has slept");
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
    let (done, over) = mpsc::channel();
    let wait = Locking(Mutex::new(map, 0).unwrap());
    (Pending::start(map, None, wait, move |_| done.send(()).unwrap()).unwrap(), over)
}

#[test]
fn a_pending_wait_that_is_ended_has_nothing() {
    let file = TempFile::sparse(PAGE as u64);
    let other = open(&file);
    let mutex = Mutex::new(&other, 0).unwrap();
    let ends: [fn(&Mapping, &Pending<Locking>); 2] =
        [|_, wait| wait.end(), |map, _| drop(map.close())];
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
