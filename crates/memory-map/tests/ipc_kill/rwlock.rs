//! A lock that readers share.

use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::Instant;

use memory_map::Mapping;
use memory_map::ipc::{Locked, RwLock};

use crate::{
    ALONE, BUSY, Child, LIMIT, Place, RWLOCK, after_every_change, kills, random, run_until,
    some_time, soon, word,
};

/// The event that a writer waits for.
const LEFT: usize = RWLOCK + 16;

type Act = fn(&Mapping, &RwLock);

/// What the child does, and whether after a dead reader.
const WAYS: [(bool, Act); 2] = [(true, write), (false, read)];

fn lock_of(map: &Mapping) -> RwLock {
    RwLock::new(map, RWLOCK).unwrap()
}

/// Shares the lock and has it alone, within a second; both are told if it was left half changed.
fn take(place: &Place, when: &str) {
    let start = Instant::now();
    let lock = lock_of(&place.map);
    let busy = word(&place.map, BUSY).load(Ordering::Acquire) == 1;
    let reads_first = random(2) == 0;
    if reads_first {
        let shared = lock.lock_shared(&soon()).unwrap();
        assert!(shared.is_some() && (!busy || shared == Some(Locked::Recovered)), "{when}");
        lock.unlock().unwrap();
    }
    let alone = lock.lock_exclusive(&soon()).unwrap();
    assert!(alone.is_some() && (!busy || alone == Some(Locked::Recovered)), "{when}");
    word(&place.map, BUSY).store(0, Ordering::Release);
    lock.unlock().unwrap();
    assert_eq!(lock.lock_shared(&soon()).unwrap(), Some(Locked::Acquired), "{when}");
    lock.unlock().unwrap();
    assert_eq!(lock.try_lock_exclusive().unwrap(), Some(Locked::Acquired), "{when}");
    lock.unlock().unwrap();
    assert!(start.elapsed() < LIMIT, "{when}: {:?}", start.elapsed());
}

/// Moves the one reader to the slot where those who look for readers begin: they make fewer steps.
fn to_the_first_slot(map: &Mapping) {
    let slots = (RWLOCK + 32..RWLOCK + RwLock::SIZE).step_by(8);
    let readers = slots.map(|slot| word(map, slot).swap(0, Ordering::AcqRel));
    let reader = readers.reduce(|one, other| one | other).unwrap();
    word(map, RWLOCK + 32).store(reader, Ordering::Release);
}

fn write(map: &Mapping, lock: &RwLock) {
    lock.lock_exclusive(&soon()).unwrap();
    word(map, BUSY).store(1, Ordering::Release);
    word(map, BUSY).store(0, Ordering::Release);
    lock.unlock().unwrap();
}

fn read(map: &Mapping, lock: &RwLock) {
    let how = lock.lock_shared(&soon()).unwrap();
    let busy = word(map, BUSY).load(Ordering::Acquire);
    assert!(busy == 0 || how == Some(Locked::Recovered));
    lock.unlock().unwrap();
}

#[test]
#[cfg_attr(any(target_arch = "arm", target_arch = "riscv64"), ignore = "no single steps")]
fn whoever_is_killed_with_the_lock_leaves_it_to_the_next() {
    for (_, act) in WAYS {
        after_every_change(
            |_| {},
            |place| Child::start(place, lock_of, act),
            |place, child, when| {
                child.kill();
                take(place, when);
            },
        );
    }
}

/// The child finds a dead writer in, and then a dead reader in a slot.
#[test]
#[cfg_attr(any(target_arch = "arm", target_arch = "riscv64"), ignore = "no single steps")]
fn whoever_is_killed_while_he_takes_over_leaves_it_to_the_next() {
    for (with_reader, act) in WAYS {
        after_every_change(
            |place| {
                let dead = place.open();
                lock_of(&dead).lock_exclusive(&soon()).unwrap();
                dead.close();
                if with_reader {
                    let dead = place.open();
                    let found = lock_of(&dead).lock_shared(&soon()).unwrap();
                    assert_eq!(found, Some(Locked::Recovered));
                    dead.close();
                    to_the_first_slot(&place.map);
                }
                word(&place.map, BUSY).store(1, Ordering::Release);
            },
            |place| Child::start(place, lock_of, act),
            |place, child, when| {
                child.kill();
                take(place, when);
            },
        );
    }
}

#[test]
#[cfg_attr(any(target_arch = "arm", target_arch = "riscv64"), ignore = "no single steps")]
fn whoever_is_killed_while_he_unlocks_leaves_nobody_asleep() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let hold = |map: &Mapping, shared: bool| {
        let lock = lock_of(map);
        let locked = if shared { lock.lock_shared(&soon()) } else { lock.lock_exclusive(&soon()) };
        assert_eq!(locked.unwrap(), Some(Locked::Acquired));
        lock
    };
    // One reader leaves while a writer waits; one writer while a reader or a writer waits.
    for (leaves_shared, waits_shared) in [(true, false), (false, true), (false, false)] {
        for changes in 0..=2 {
            let place = Place::new();
            let child = Child::start(
                &place,
                |map| hold(map, leaves_shared),
                |_, lock| lock.unlock().unwrap(),
            );
            std::thread::scope(|scope| {
                let waiter = scope.spawn(|| {
                    let lock = lock_of(&place.map);
                    let locked = if waits_shared {
                        lock.lock_shared(&soon())
                    } else {
                        lock.lock_exclusive(&soon())
                    };
                    (locked.unwrap(), Instant::now())
                });
                // The word says when a thread is about to sleep.
                let asleep = if leaves_shared { LEFT } else { RWLOCK };
                while word(&place.map, asleep).load(Ordering::Acquire) & 1 == 0 {
                    std::thread::yield_now();
                }
                if run_until(&place, &child, changes).is_none() {
                    std::mem::forget(child); // it has ended
                    waiter.join().unwrap();
                    return;
                }
                let killed = Instant::now();
                child.kill();
                let (locked, at) = waiter.join().unwrap();
                let how = if changes == 0 && !leaves_shared {
                    Locked::Recovered
                } else {
                    Locked::Acquired
                };
                assert_eq!(locked, Some(how), "{leaves_shared} {waits_shared} {changes}");
                assert!(at.saturating_duration_since(killed) < LIMIT);
            });
        }
    }
}

#[test]
fn after_many_deaths_at_some_moment_the_lock_is_free() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let place = Place::new();
    for round in 0..kills() / 4 {
        let children: Vec<_> = (0..4)
            .map(|i| {
                Child::run(&place, move |map| {
                    let lock = lock_of(map);
                    for turn in 0.. {
                        if (turn + i) % 4 == 0 { write(map, &lock) } else { read(map, &lock) }
                    }
                })
            })
            .collect();
        some_time();
        for child in children {
            child.kill();
            some_time();
        }
        take(&place, &format!("in round {round}"));
    }
}
