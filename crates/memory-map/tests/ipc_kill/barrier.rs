//! A barrier.

use std::sync::PoisonError;
use std::time::{Duration, Instant};

use memory_map::ipc::{Barrier, Patience};
use memory_map::{Error, Mapping};

use crate::{ALONE, Child, LIMIT, Place, after_every_change, kills, some_time, soon};

fn barrier(map: &Mapping) -> Barrier {
    Barrier::new(map, 0, Some(2)).unwrap()
}

/// Two can meet, after a reset.
fn usable(place: &Place, when: &str) {
    let here = barrier(&place.map);
    here.reset().unwrap();
    std::thread::scope(|scope| {
        let map = place.open();
        let other = scope.spawn(move || barrier(&map).wait(&soon()).unwrap().unwrap());
        let index = here.wait(&soon()).unwrap().unwrap();
        assert_eq!(index + other.join().unwrap(), 1, "{when}");
    });
}

/// One that waits for another one which is killed is told, or meets it.
fn told(place: &Place, child: Child, when: &str) {
    let start = Instant::now();
    let here = barrier(&place.map);
    // One that was killed before it came is missed by nobody.
    let some = Duration::from_millis(700);
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| here.wait(&Patience::of(some)));
        child.kill();
        let result = waiter.join().unwrap();
        assert!(result.is_ok() || result == Err(Error::Broken), "{when}: {result:?}");
    });
    assert!(start.elapsed() < LIMIT, "{when}: {:?}", start.elapsed());
    usable(place, when);
}

#[test]
#[cfg_attr(any(target_arch = "arm", target_arch = "riscv64"), ignore = "no single steps")]
fn whoever_is_killed_while_he_comes_aborts_or_resets_leaves_a_barrier_that_works() {
    after_every_change(
        |place| drop(barrier(&place.map)),
        |place| {
            Child::start(place, barrier, |_, barrier| {
                assert_eq!(barrier.wait(&Patience::of(Duration::ZERO)), Ok(None));
                barrier.reset().unwrap();
                barrier.abort().unwrap();
                barrier.reset().unwrap();
            })
        },
        told,
    );
}

#[test]
#[cfg_attr(any(target_arch = "arm", target_arch = "riscv64"), ignore = "no single steps")]
fn whoever_is_killed_when_he_is_the_last_to_come_leaves_a_barrier_that_works() {
    after_every_change(
        |place| drop(Barrier::new(&place.map, 0, Some(1)).unwrap()),
        |place| {
            Child::start(
                place,
                |map| Barrier::new(map, 0, None).unwrap(),
                |_, barrier| {
                    for _ in 0..2 {
                        assert_eq!(barrier.wait(&soon()), Ok(Some(0)));
                    }
                },
            )
        },
        |place, child, when| {
            child.kill();
            let here = Barrier::new(&place.map, 0, Some(1)).unwrap();
            let result = here.wait(&soon());
            assert!(matches!(result, Ok(Some(0)) | Err(Error::Broken)), "{when}: {result:?}");
            here.reset().unwrap();
            assert_eq!(here.wait(&soon()), Ok(Some(0)), "{when}");
        },
    );
}

#[test]
fn who_waits_is_told_that_another_one_was_killed_and_not_by_a_timeout() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let place = Place::new();
    let here = Barrier::new(&place.map, 0, Some(3)).unwrap();
    let child = Child::run(&place, |map| {
        drop(Barrier::new(map, 0, Some(3)).unwrap().wait(&Patience::FOREVER));
    });
    while here.waiting().unwrap() == 0 {
        std::thread::yield_now();
    }
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| here.wait(&Patience::FOREVER));
        while here.waiting().unwrap() < 2 {
            std::thread::yield_now();
        }
        child.kill();
        assert_eq!(waiter.join().unwrap(), Err(Error::Broken));
    });
    assert!(here.is_broken().unwrap());
}

#[test]
fn many_that_are_killed_at_some_moment_leave_a_barrier_that_works() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let place = Place::new();
    for round in 0..kills() {
        let child = Child::run(&place, |map| {
            let barrier = barrier(map);
            loop {
                drop(barrier.wait(&Patience::of(Duration::from_micros(10))));
                barrier.reset().unwrap();
            }
        });
        some_time();
        drop(child);
        usable(&place, &format!("round {round}"));
    }
}
