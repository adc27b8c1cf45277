//! One mapping as several threads have it: what one holder is told, and leaves, while others have it open.
#![allow(missing_docs, clippy::panic, clippy::unwrap_used)]

mod common;

use common::{PAGE, View, options};
use memory_map::{Mapping, Protection};

/// Faults that are kept for a holder that does not collect them.
const MOST: usize = 1024;

/// Another holder of a mapping, of whose faults `owner` is told.
fn another(map: &Mapping, owner: u64) -> Mapping {
    Mapping::from_handle(map.handle("").unwrap(), owner).unwrap().0
}

fn memory(pages: usize) -> Mapping {
    Mapping::anonymous((pages * PAGE) as u64, false, &options(Protection::Read)).unwrap()
}

#[test]
fn a_holder_that_closes_gets_the_faults_until_then() {
    let map = memory(1);
    let other = another(&map, 0);
    View::of(&map).store(0, 1);
    assert_eq!((map.close().len(), map.faults()), (1, 1));
    assert_eq!(other.collect().len(), 1);
}

#[test]
fn a_fault_is_told_by_close_also_if_a_thread_has_ended_that_had_views() {
    let map = memory(1);
    let other = another(&map, 0);
    let key = other.key().unwrap();
    key.retire();
    other.let_go();
    View::of(&map).store(0, 1);
    assert_eq!((map.close().len(), map.faults()), (1, 1));
}

#[test]
fn a_holder_that_collects_nothing_has_all_faults_counted_and_some_kept() {
    let map = memory(MOST + 10);
    let other = another(&map, 0);
    for page in 0..MOST + 10 {
        View::of(&map).store(page * PAGE, 1);
        assert_eq!(map.collect().len(), 1);
    }
    assert_eq!((other.faults() as usize, other.collect().len()), (MOST + 10, MOST));
}

#[cfg(not(windows))] // it does not let a mapped file be truncated
#[test]
fn a_fault_that_one_holder_collects_wakes_the_others() {
    let (sender, receiver) = std::sync::mpsc::channel();
    memory_map::register_owner(78, move || sender.send(()).unwrap());
    let file = common::TempFile::sparse(PAGE as u64);
    let map = common::shared(&file, Protection::Read);
    let other = another(&map, 78);
    file.truncate(100);
    map.read(200, &mut [0]).unwrap_err(); // the page can be read still: there was no signal
    map.collect();
    receiver.recv_timeout(std::time::Duration::from_secs(120)).unwrap();
    assert_eq!(memory_map::take_faulted(78), [other.token()]);
    memory_map::forget_owner(78);
}

#[cfg(target_os = "linux")]
#[test]
fn a_temporary_name_goes_when_its_last_holder_has_closed() {
    use memory_map::{FileOptions, Source};
    let name = format!("/memory-map-holders-{}", std::process::id());
    let source = Source::Memory { name: &name, exclusive: true, temporary: true, length: 100 };
    let file = FileOptions { length: Some(100), create: Some(0o600), ..common::WHOLE };
    let map = Mapping::shared(source, &file, &options(Protection::ReadWrite)).unwrap();
    let other = another(&map, 0);
    let is_there = || std::path::Path::new("/dev/shm").join(&name[1..]).exists();
    map.close();
    assert!(is_there());
    other.close();
    assert!(!is_there());
}
