//! An event.

use std::sync::PoisonError;
use std::time::Instant;

use memory_map::Mapping;
use memory_map::ipc::Event;

use crate::{ALONE, Child, LIMIT, Place, after_every_change, kills, run_until, some_time, soon};

fn event(map: &Mapping) -> Event {
    Event::new(map, 0).unwrap()
}

/// The event is set or not, and can be set, waited for and cleared.
fn usable(place: &Place, when: &str) {
    let event = event(&place.map);
    let start = Instant::now();
    std::thread::scope(|scope| {
        event.clear().unwrap();
        let began = event.begin().unwrap();
        let waiter = scope.spawn(move || self::event(&place.map).wait_since(began, &soon()));
        event.set().unwrap();
        event.clear().unwrap();
        assert!(waiter.join().unwrap().unwrap(), "{when}");
    });
    assert!(start.elapsed() < LIMIT, "{when}: {:?}", start.elapsed());
    assert!(!event.is_set().unwrap(), "{when}");
}

#[test]
#[cfg_attr(any(target_arch = "arm", target_arch = "riscv64"), ignore = "no single steps")]
fn whoever_is_killed_while_he_sets_and_clears_an_event_leaves_one_that_works() {
    after_every_change(
        |_| {},
        |place| {
            Child::start(place, event, |_, event| {
                for _ in 0..2 {
                    event.set().unwrap();
                    event.clear().unwrap();
                }
            })
        },
        |place, child, when| {
            child.kill();
            usable(place, when);
        },
    );
}

#[test]
#[cfg_attr(any(target_arch = "arm", target_arch = "riscv64"), ignore = "no single steps")]
fn whoever_is_killed_between_setting_and_waking_leaves_nobody_asleep() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let place = Place::new();
    let child = Child::start(&place, event, |_, event| event.set().unwrap());
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| event(&place.map).wait(&soon()).unwrap());
        // The word says when a thread is about to sleep.
        while crate::word(&place.map, 0).load(std::sync::atomic::Ordering::Acquire) & 1 == 0 {
            std::thread::yield_now();
        }
        run_until(&place, &child, 1).unwrap();
        let killed = Instant::now();
        child.kill();
        assert!(waiter.join().unwrap());
        assert!(killed.elapsed() < LIMIT);
    });
}

#[test]
fn many_that_are_killed_at_some_moment_leave_an_event_that_works() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let place = Place::new();
    for round in 0..kills() {
        let child = Child::run(&place, |map| {
            let event = event(map);
            for i in 0.. {
                match i % 3 {
                    0 => event.set().unwrap(),
                    1 => event.clear().unwrap(),
                    _ => drop(event.wait(&crate::Patience::of(std::time::Duration::ZERO)).unwrap()),
                }
            }
        });
        some_time();
        drop(child);
        usable(&place, &format!("round {round}"));
    }
}
