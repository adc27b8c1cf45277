//! A condition.

use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::Instant;

use memory_map::Mapping;
use memory_map::ipc::{Condition, Mutex, Wakeup};

use crate::{ALONE, Child, LIMIT, Place, after_every_change, kills, some_time, soon, word};

const CONDITION: usize = 8;
/// What is waited for, under the mutex.
const JOBS: usize = 72;

fn both(map: &Mapping) -> (Mutex, Condition) {
    (Mutex::new(map, 0).unwrap(), Condition::new(map, CONDITION).unwrap())
}

fn take_job(map: &Mapping, (mutex, condition): &(Mutex, Condition)) {
    mutex.lock(&soon()).unwrap().unwrap();
    while word(map, JOBS).load(Ordering::Relaxed) == 0 {
        assert_ne!(condition.wait(mutex, &soon()).unwrap(), Wakeup::TimedOut);
    }
    word(map, JOBS).fetch_sub(1, Ordering::Relaxed);
    mutex.unlock().unwrap();
}

/// By the steps of one that may be killed between any two.
fn add_job(map: &Mapping, (mutex, condition): &(Mutex, Condition)) {
    mutex.lock(&soon()).unwrap().unwrap();
    word(map, JOBS).fetch_add(1, Ordering::Relaxed);
    mutex.unlock().unwrap();
    condition.notify(1).unwrap();
}

/// One who waits gets what another one adds, however many were killed before.
fn usable(place: &Place, when: &str) {
    let start = Instant::now();
    word(&place.map, JOBS).store(0, Ordering::Relaxed);
    std::thread::scope(|scope| {
        let map = place.open();
        let worker = scope.spawn(move || take_job(&map, &both(&map)));
        add_job(&place.map, &both(&place.map));
        worker.join().unwrap();
    });
    assert!(start.elapsed() < LIMIT, "{when}: {:?}", start.elapsed());
}

#[test]
#[cfg_attr(any(target_arch = "arm", target_arch = "riscv64"), ignore = "no single steps")]
fn whoever_is_killed_while_he_waits_or_notifies_takes_nothing_from_others() {
    after_every_change(
        |_| {},
        |place| {
            Child::start(place, both, |map, (mutex, condition)| {
                // It is its own notifier: what it does is the same each time.
                mutex.lock(&soon()).unwrap();
                let waiting = condition.begin(mutex).unwrap();
                condition.notify(1).unwrap();
                condition.wait_on(mutex, &waiting, &soon()).unwrap();
                word(map, JOBS).store(0, Ordering::Relaxed);
                mutex.unlock().unwrap();
            })
        },
        |place, child, when| {
            child.kill();
            usable(place, when);
        },
    );
}

#[test]
fn many_that_are_killed_at_some_moment_take_no_notification_with_them() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let place = Place::new();
    for round in 0..kills() {
        let child = Child::run(&place, |map| {
            let both = both(map);
            loop {
                add_job(map, &both);
                take_job(map, &both);
            }
        });
        some_time();
        drop(child);
        usable(&place, &format!("round {round}"));
    }
}
