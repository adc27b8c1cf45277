//! The newest value.

use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::Instant;

use memory_map::Mapping;
use memory_map::ipc::Latest;

use crate::{
    ALONE, BUSY, Child, LATEST, LIMIT, Place, after_every_change, kills, some_time, soon, word,
};

const LENGTH: usize = Latest::size_for(64);

fn latest(map: &Mapping) -> Latest {
    Latest::new(map, LATEST, LENGTH).unwrap()
}

/// The newest value, whose bytes must all be the same.
fn read(latest: &Latest, when: &str) -> u8 {
    let mut bytes = [0; 64];
    let length = latest.read(&mut bytes).unwrap().unwrap();
    assert!(length == 64 && bytes == [bytes[0]; 64], "{when}: {length} {bytes:?}");
    bytes[0]
}

#[test]
#[cfg_attr(any(target_arch = "arm", target_arch = "riscv64"), ignore = "no single steps")]
fn a_writer_that_is_killed_leaves_the_value_before_or_its_own() {
    after_every_change(
        |place| {
            for i in 1..=5 {
                assert!(latest(&place.map).write(&[i; 64], &soon()).unwrap());
            }
        },
        |place| {
            Child::start(place, latest, |_, latest| {
                assert!(latest.write(&[6; 64], &soon()).unwrap());
            })
        },
        |place, child, when| {
            let latest = latest(&place.map);
            // It is stopped: nobody waits for it.
            let before = read(&latest, when);
            assert!([5, 6].contains(&before), "{when}: {before}");
            child.kill();
            assert_eq!(read(&latest, when), before, "{when}");
            let start = Instant::now();
            assert!(latest.write(&[7; 64], &soon()).unwrap());
            assert!(start.elapsed() < LIMIT, "{when}: {:?}", start.elapsed());
            assert_eq!(read(&latest, when), 7, "{when}");
            assert_eq!(latest.version(), Ok(u64::from(before) + 1), "{when}");
        },
    );
}

#[test]
fn writers_that_are_killed_anywhere_leave_whole_values() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let place = Place::new();
    let mine = latest(&place.map);
    assert!(mine.write(&[0; 64], &soon()).unwrap());
    let written = || word(&place.map, BUSY).load(Ordering::Relaxed);
    for run in 0..20 * kills() {
        if run >= kills() && written() > 100 {
            break;
        }
        let child = Child::run(&place, |map| {
            let latest = latest(map);
            for i in (0..=u8::MAX).cycle() {
                assert!(latest.write(&[i; 64], &soon()).unwrap());
                word(map, BUSY).fetch_add(1, Ordering::Relaxed);
            }
        });
        some_time();
        child.kill();
        let when = format!("run {run}");
        read(&mine, &when);
        let start = Instant::now();
        assert!(mine.write(&[run as u8; 64], &soon()).unwrap());
        assert!(start.elapsed() < LIMIT, "{when}: {:?}", start.elapsed());
        drop(child);
        assert_eq!(read(&mine, &when), run as u8, "{when}");
    }
    assert!(written() > 100);
}
