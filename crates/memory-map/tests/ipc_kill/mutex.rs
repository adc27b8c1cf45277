//! A mutex.

use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use memory_map::Mapping;
use memory_map::ipc::{Locked, Mutex};

use crate::{
    ALONE, BUSY, Child, LIMIT, Place, RECEIVED, after_every_change, run_until, soon, word,
};

/// Takes the lock, within a second; `busy` must be clear unless the owner died.
pub fn take(place: &Place, when: &str) {
    let start = Instant::now();
    let mutex = Mutex::new(&place.map, 0).unwrap();
    let locked = mutex.lock(&soon()).unwrap();
    assert!(start.elapsed() < LIMIT, "{when}: {:?}", start.elapsed());
    if word(&place.map, BUSY).load(Ordering::Acquire) == 1 {
        assert_eq!(locked, Some(Locked::Recovered), "{when}");
    }
    mutex.unlock().unwrap();
    assert_eq!(mutex.lock(&soon()).unwrap(), Some(Locked::Acquired), "{when}");
    mutex.unlock().unwrap();
}

#[test]
#[cfg_attr(any(target_arch = "arm", target_arch = "riscv64"), ignore = "no single steps")]
fn whoever_is_killed_with_a_lock_leaves_it_to_the_next() {
    after_every_change(
        |_| {},
        |place| {
            let mutex = |map: &Mapping| Mutex::new(map, 0).unwrap();
            Child::start(place, mutex, |map, mutex| {
                mutex.lock(&soon()).unwrap();
                word(map, BUSY).store(1, Ordering::Release);
                word(map, BUSY).store(0, Ordering::Release);
                mutex.unlock().unwrap();
            })
        },
        |place, child, when| {
            child.kill();
            take(place, when);
        },
    );
}

#[test]
#[cfg_attr(any(target_arch = "arm", target_arch = "riscv64"), ignore = "no single steps")]
fn whoever_is_killed_with_a_lock_that_was_taken_directly_leaves_it_to_the_next() {
    after_every_change(
        |_| {},
        |place| {
            let mutex = |map: &Mapping| Mutex::new(map, 0).unwrap();
            Child::start(place, mutex, |map, mutex| {
                // As lib/sync/words.ts does it.
                let step = |from, to| {
                    let seen =
                        word(map, 0).compare_exchange(from, to, Ordering::SeqCst, Ordering::SeqCst);
                    assert_eq!(seen, Ok(from));
                };
                step(0, mutex.held());
                word(map, BUSY).store(1, Ordering::Release);
                word(map, BUSY).store(0, Ordering::Release);
                step(mutex.held(), 0);
            })
        },
        |place, child, when| {
            child.kill();
            take(place, when);
        },
    );
}

#[test]
#[cfg_attr(any(target_arch = "arm", target_arch = "riscv64"), ignore = "no single steps")]
fn whoever_is_killed_while_he_unlocks_leaves_nobody_asleep() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    for changes in 0..=1 {
        let place = Place::new();
        let child = Child::start(
            &place,
            |map| {
                let mutex = Mutex::new(map, 0).unwrap();
                mutex.lock(&soon()).unwrap();
                mutex
            },
            |_, mutex| mutex.unlock().unwrap(),
        );
        std::thread::scope(|scope| {
            let waiter = scope.spawn(|| {
                let mutex = Mutex::new(&place.map, 0).unwrap();
                (mutex.lock(&soon()).unwrap(), Instant::now())
            });
            // The word says when a thread is about to sleep.
            while word(&place.map, 0).load(Ordering::Acquire) & 1 == 0 {
                std::thread::yield_now();
            }
            std::thread::sleep(Duration::from_millis(2));
            run_until(&place, &child, changes).unwrap();
            let killed = Instant::now();
            child.kill();
            let (locked, at) = waiter.join().unwrap();
            // Before the change the lock is held, after it nobody has been woken.
            let how = if changes == 0 { Locked::Recovered } else { Locked::Acquired };
            assert_eq!(locked, Some(how));
            assert!(at.saturating_duration_since(killed) < LIMIT);
        });
    }
}

#[test]
fn of_processes_forked_one_after_the_other_each_has_a_number_of_its_own() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let place = Place::new();
    let held = [(); 2].map(|()| {
        let child = Child::run(&place, |map| {
            let held = Mutex::new(map, 0).unwrap().held();
            word(map, RECEIVED).store(held, Ordering::Release);
        });
        assert_eq!(child.wait_for_stop(), None);
        std::mem::forget(child); // it has ended
        word(&place.map, RECEIVED).load(Ordering::Acquire)
    });
    assert!(held[0] != 0 && held[0] != held[1], "{held:?}");
}
