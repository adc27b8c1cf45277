//! Mappings over foreign memory, and mappings whose views cannot be taken away.
#![cfg(target_os = "linux")]
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use std::os::fd::AsRawFd;
use std::os::unix::process::ExitStatusExt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier};

use common::{PAGE, TempFile, View, alone, case_in_child, is_mapped, options, private, shared};
use memory_map::{Error, FaultKind, Mapping, Protection};

const LENGTH: usize = 16 * PAGE;

/// Memory with another owner.
struct Owner {
    start: usize,
    /// Whether the memory must stay.
    asked_to_keep: Arc<AtomicBool>,
}

struct Keeper(Arc<AtomicBool>);

impl Drop for Keeper {
    fn drop(&mut self) {
        self.0.store(false, Ordering::SeqCst);
    }
}

fn map_at(start: usize, protection: i32) -> usize {
    let fixed = if start == 0 { 0 } else { libc::MAP_FIXED };
    let flags = libc::MAP_PRIVATE | libc::MAP_ANON | fixed;
    // SAFETY: what is replaced is the test's, and not needed any more.
    let pointer = unsafe { libc::mmap(start as *mut _, LENGTH, protection, flags, -1, 0) };
    assert_ne!(pointer, libc::MAP_FAILED);
    pointer as usize
}

impl Owner {
    fn new() -> Self {
        let start = map_at(0, libc::PROT_READ | libc::PROT_WRITE);
        Self { start, asked_to_keep: Arc::new(AtomicBool::new(false)) }
    }

    fn take(&self, map: &Mapping) {
        self.asked_to_keep.store(true, Ordering::SeqCst);
        let keeper = Box::new(Keeper(Arc::clone(&self.asked_to_keep)));
        // SAFETY: the memory is this test's, which uses it as it would the mapping.
        unsafe { map.put_over(self.start, keeper) }.unwrap();
        assert_eq!(map.address(), Some(self.start));
    }

    fn must_keep(&self) -> bool {
        self.asked_to_keep.load(Ordering::SeqCst)
    }

    fn view(&self) -> View {
        View::at(self.start)
    }

    fn give_back(&self) {
        assert!(!self.must_keep());
        // SAFETY: the memory is this test's, and not needed any more.
        unsafe { libc::munmap(self.start as *mut _, LENGTH) };
    }
}

fn is_open(file: &TempFile) -> bool {
    let links = std::fs::read_dir("/proc/self/fd").unwrap().map(|entry| entry.unwrap().path());
    links.into_iter().any(|link| std::fs::read_link(link).is_ok_and(|path| path == file.0))
}

#[test]
fn pages_of_a_file_stay_guarded_until_their_owner_gives_the_memory_back() {
    alone("pages_of_a_file_stay_guarded_until_their_owner_gives_the_memory_back", || {
        let file = TempFile::new(&[7; LENGTH]);
        let owner = Owner::new();
        let map = shared(&file, Protection::ReadWrite);
        owner.take(&map);
        owner.view().store(0, 1);
        assert!(owner.must_keep());
        drop(map);
        assert!(!owner.must_keep() && memory_map::has_leftovers() && is_open(&file));
        owner.view().store(1, 2);
        assert_eq!(file.contents()[..3], [1, 2, 7]);
        file.truncate(PAGE as u64);
        assert_eq!(owner.view().load(5 * PAGE), 0);
        for page in 1..16 {
            owner.view().store(page * PAGE, 3);
        }
        assert_eq!((owner.view().load(0), owner.view().load(5 * PAGE)), (1, 3));
        memory_map::sweep_leftovers();
        assert!(memory_map::has_leftovers() && is_open(&file));
        owner.give_back();
        memory_map::sweep_leftovers();
        assert!(!memory_map::has_leftovers() && !is_open(&file));
    });
}

#[test]
fn a_file_is_closed_once_its_disowned_memory_has_gone_although_nothing_says_so() {
    let file = TempFile::new(&[7; LENGTH]);
    for _ in 0..2 {
        let owner = Owner::new();
        let map = shared(&file, Protection::Read);
        owner.take(&map);
        drop(map);
        assert!(is_open(&file));
        owner.give_back();
        let looks = (0..600).map(|_| std::thread::sleep(std::time::Duration::from_millis(100)));
        assert!(looks.take_while(|()| is_open(&file)).count() < 600);
    }
}

#[test]
fn disowned_pages_stay_guarded_where_descriptors_run_out() {
    alone("disowned_pages_stay_guarded_where_descriptors_run_out", || {
        let file = TempFile::new(&[7; LENGTH]);
        let owner = Owner::new();
        let map = shared(&file, Protection::ReadWrite);
        owner.take(&map);
        drop(map);
        file.truncate(PAGE as u64);
        let limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        // SAFETY: `limit` is complete.
        assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) }, 0);
        assert_eq!(owner.view().load(5 * PAGE), 0);
        owner.view().store(6 * PAGE, 3);
        assert_eq!((owner.view().load(0), owner.view().load(6 * PAGE)), (7, 3));
    });
}

#[test]
fn stores_to_disowned_read_only_pages_are_thrown_away() {
    for make in [shared, private] {
        let file = TempFile::new(&[7; LENGTH]);
        let owner = Owner::new();
        let map = make(&file, Protection::Read);
        owner.take(&map);
        drop(map);
        for page in [3, 9, 9, 4] {
            owner.view().store(page * PAGE, 1);
        }
        assert_eq!((owner.view().load(3 * PAGE + 1), owner.view().load(15 * PAGE)), (7, 7));
        file.truncate(0);
        assert!([0, 1].contains(&owner.view().load(9 * PAGE)));
        assert_eq!(owner.view().load(14 * PAGE), 0);
        owner.view().store(14 * PAGE, 1);
        assert!(file.contents().is_empty());
        owner.give_back();
    }
}

#[test]
fn memory_that_was_given_back_is_somebody_elses() {
    const ENDS: [fn(Mapping); 3] = [
        drop,
        |map| {
            map.disown();
            std::mem::forget(map);
        },
        |map| {
            map.close();
        },
    ];
    for case in 0..ENDS.len() {
        let name = "memory_that_was_given_back_is_somebody_elses";
        let end = case_in_child(name, case, |case| use_given_back(ENDS[case]));
        assert_eq!(end.signal(), Some(libc::SIGSEGV), "{case}: {end}");
    }
}

/// Stores to pages that nobody may access, where a mapping was until `end`.
fn use_given_back(end: fn(Mapping)) {
    let file = TempFile::new(&[7; LENGTH]);
    let owner = Owner::new();
    let map = shared(&file, Protection::Read);
    owner.take(&map);
    owner.view().store(0, 1);
    end(map);
    assert!(!owner.must_keep());
    // In one step: another thread may get what is unmapped.
    map_at(owner.start, libc::PROT_NONE);
    drop(file);
    owner.view().store(PAGE, 1);
}

#[test]
fn no_access_to_disowned_memory_without_a_file_fails() {
    let owner = Owner::new();
    let map = Mapping::anonymous(LENGTH as u64, false, &options(Protection::ReadWrite)).unwrap();
    owner.take(&map);
    owner.view().store(0, 1);
    map.protect(0..PAGE, Protection::None).unwrap();
    map.protect(PAGE..2 * PAGE, Protection::Read).unwrap();
    drop(map);
    assert!(!owner.must_keep());
    for page in 0..3 {
        owner.view().store(page * PAGE + 1, 2);
        assert_eq!(owner.view().load(page * PAGE + 1), 2);
    }
    assert_eq!(owner.view().load(0), 1);
    owner.give_back();
}

#[test]
fn a_closed_mapping_keeps_the_memory_until_it_is_gone_itself() {
    let file = TempFile::new(&[7; LENGTH]);
    for used in [false, true] {
        let owner = Owner::new();
        let map = shared(&file, Protection::ReadWrite);
        owner.take(&map);
        map.close();
        assert!(owner.must_keep());
        if used {
            assert_eq!(owner.view().load(PAGE), 0);
            owner.view().store(2 * PAGE, 1);
            let kinds: Vec<_> = map.collect().into_iter().map(|fault| fault.kind).collect();
            assert_eq!((kinds, map.faults()), (vec![FaultKind::Closed], 1));
        }
        drop(map);
        assert_eq!(owner.view().load(3 * PAGE), 0);
        owner.view().store(3 * PAGE, 1);
        assert_eq!(file.contents(), [7; LENGTH]);
        owner.give_back();
    }
}

#[test]
fn the_oldest_of_many_closed_mappings_are_let_go() {
    let owners: Vec<_> = (0..1200).map(|_| Owner::new()).collect();
    let maps: Vec<_> = owners
        .iter()
        .map(|owner| {
            let rw = options(Protection::ReadWrite);
            let map = Mapping::anonymous(LENGTH as u64, false, &rw).unwrap();
            owner.take(&map);
            map.close();
            map
        })
        .collect();
    let kept = owners.iter().filter(|owner| owner.must_keep()).count();
    assert!((900..1100).contains(&kept), "{kept}");
    for (owner, map) in owners.iter().zip(&maps) {
        let is_told = owner.must_keep();
        assert_eq!(owner.view().load(0), 0);
        owner.view().store(PAGE, 1);
        assert_eq!(map.collect().len(), usize::from(is_told));
    }
    drop(maps);
    owners.iter().for_each(Owner::give_back);
}

#[test]
fn views_from_before_a_resize_read_zeros_and_their_first_use_is_told() {
    let file = TempFile::new(&[7; LENGTH]);
    for (foreign, length) in [(false, 2), (false, 40), (true, 2), (true, 40)] {
        let map = shared(&file, Protection::ReadWrite);
        let owner = Owner::new();
        let key = (!foreign).then(|| map.key().unwrap());
        if let Some(key) = &key {
            key.make_lasting();
        } else {
            owner.take(&map);
        }
        let view = View::of(&map);
        map.resize((length * PAGE) as u64).unwrap();
        assert_eq!((view.load(PAGE), map.faults()), (0, 1));
        view.store(0, 1);
        map.write(&[8], 0).unwrap();
        let kinds: Vec<_> = map.collect().into_iter().map(|fault| fault.kind).collect();
        assert_eq!((kinds, map.faults()), (vec![FaultKind::Closed], 1));
        map.close();
        assert_eq!((view.load(0), map.faults(), file.contents()[0]), (1, 1, 8));
        file.truncate(LENGTH as u64);
    }
}

#[test]
fn addresses_go_back_with_the_last_key_although_the_closed_mapping_is_still_asked() {
    alone("addresses_go_back_with_the_last_key_although_the_closed_mapping_is_still_asked", || {
        let file = TempFile::new(&[7; LENGTH]);
        let map = shared(&file, Protection::ReadWrite);
        let keys = [map.key().unwrap(), map.key().unwrap()];
        keys[0].make_lasting();
        let address = map.address().unwrap();
        let view = View::of(&map);
        map.close();
        assert_eq!(view.load(0), 0);
        let [first, second] = keys;
        drop(first);
        assert!(is_mapped(address));
        drop(second);
        assert!(!is_mapped(address));
        assert_eq!((map.faults(), map.collect().len(), map.faults()), (1, 1, 1));
    });
}

#[test]
fn faults_from_before_the_mapping_was_put_over_count() {
    let file = TempFile::new(&[7; LENGTH]);
    let map = shared(&file, Protection::Read);
    View::of(&map).store(0, 1);
    let owner = Owner::new();
    owner.take(&map);
    assert_eq!((map.faults(), map.collect().len()), (1, 1));
}

#[test]
fn what_was_stored_and_protected_is_there_when_the_mapping_is_put_over_other_memory() {
    let by_pointer = |map: &Mapping| View::of(map).store(PAGE, 7);
    let by_copy = |map: &Mapping| map.write(&[7], PAGE).unwrap();
    for store in [by_pointer as fn(&Mapping), by_copy] {
        let map =
            Mapping::anonymous(LENGTH as u64, false, &options(Protection::ReadWrite)).unwrap();
        store(&map);
        map.protect(2 * PAGE..3 * PAGE, Protection::Read).unwrap();
        let owner = Owner::new();
        owner.take(&map);
        assert_eq!([0, 1, 2].map(|page| owner.view().load(page * PAGE)), [0, 7, 0]);
        assert_eq!(map.write(&[1], 2 * PAGE), Err(Error::NotWritable));
        assert_eq!(map.write(&[1], 3 * PAGE), Ok(()));
    }
}

#[test]
fn pages_that_nothing_was_stored_to_are_not_copied_to_other_memory() {
    let map = Mapping::anonymous(LENGTH as u64, false, &options(Protection::ReadWrite)).unwrap();
    let owner = Owner::new();
    owner.take(&map);
    assert_eq!(map.residency(0..LENGTH, false).unwrap().resident, 0);
}

/// Runs `round`, in a process of its own, so often that each fault in it meets every step of the
/// other thread once; the process ends if the guard takes a fault for a foreign one.
fn survives_rounds(name: &str, round: fn()) {
    alone(name, || (0..1000).for_each(|_| round()));
}

#[test]
fn threads_may_fault_at_once_in_disowned_memory() {
    survives_rounds("threads_may_fault_at_once_in_disowned_memory", || {
        let file = TempFile::new(&[7; LENGTH]);
        let owner = Owner::new();
        let map = shared(&file, Protection::ReadWrite);
        owner.take(&map);
        drop(map);
        file.truncate(0);
        let (view, ready) = (owner.view(), Barrier::new(2));
        std::thread::scope(|scope| {
            for at in [0, 1] {
                let ready = &ready;
                scope.spawn(move || {
                    ready.wait();
                    view.store(PAGE + at, 1);
                });
            }
        });
        assert_eq!((view.load(PAGE), view.load(PAGE + 1)), (1, 1));
        owner.give_back();
    });
}

#[test]
fn memory_may_be_used_while_a_closed_mapping_leaves_it() {
    survives_rounds("memory_may_be_used_while_a_closed_mapping_leaves_it", || {
        let file = TempFile::new(&[7; LENGTH]);
        let owner = Owner::new();
        let map = shared(&file, Protection::ReadWrite);
        owner.take(&map);
        map.close();
        let (view, ready) = (owner.view(), Barrier::new(2));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                ready.wait();
                view.store(PAGE, 1);
            });
            ready.wait();
            drop(map);
        });
        owner.give_back();
    });
}

#[test]
fn a_sync_may_come_when_the_addresses_have_gone_back() {
    alone("a_sync_may_come_when_the_addresses_have_gone_back", || {
        let file = TempFile::new(&[7; LENGTH]);
        let map = shared(&file, Protection::ReadWrite);
        let key = map.key().unwrap();
        key.make_lasting();
        let address = map.address().unwrap();
        let sync = map.sync(0..LENGTH, false).unwrap();
        map.close();
        drop(key);
        assert_eq!((is_mapped(address), sync.run()), (false, Ok(())));
    });
}

#[test]
fn disowned_memory_stays_guarded_where_the_system_does_not_show_it() {
    let name = "disowned_memory_stays_guarded_where_the_system_does_not_show_it";
    alone(name, || {
        let file = TempFile::new(&[7; LENGTH]);
        let owner = Owner::new();
        let map = shared(&file, Protection::ReadWrite);
        owner.take(&map);
        drop(map);
        let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        // SAFETY: `limit` is valid for one `rlimit`.
        assert_eq!(unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) }, 0);
        for now in [0, limit.rlim_cur] {
            let limit = libc::rlimit { rlim_cur: now, ..limit };
            // SAFETY: as above.
            assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) }, 0);
            memory_map::sweep_leftovers();
        }
        file.truncate(0);
        assert_eq!(owner.view().load(PAGE), 0);
    });
}

#[test]
fn a_mapping_that_has_left_its_memory_does_not_touch_it_again() {
    let owner = Owner::new();
    for file in [TempFile::new(&[7; LENGTH]), TempFile::new(&[8; LENGTH])] {
        let map = shared(&file, Protection::ReadWrite);
        owner.take(&map);
        map.disown();
        let expected = owner.view().load(0);
        assert!(map.protect(0..LENGTH, Protection::None).is_err());
        map.close();
        assert_eq!((owner.view().load(0), map.collect()), (expected, Vec::new()));
    }
    owner.give_back();
}

#[test]
fn addresses_without_a_key_go_back_at_once_although_a_sync_is_still_to_come() {
    alone("addresses_without_a_key_go_back_at_once_although_a_sync_is_still_to_come", || {
        let file = TempFile::new(&[7; LENGTH]);
        let map = shared(&file, Protection::ReadWrite);
        map.key().unwrap().make_lasting();
        let address = map.address().unwrap();
        let sync = map.sync(0..LENGTH, false).unwrap();
        map.close();
        assert_eq!((is_mapped(address), sync.run()), (false, Ok(())));
    });
}

#[test]
fn a_file_that_is_not_the_one_that_was_mapped_is_put_over_no_memory() {
    let (file, other) = (TempFile::new(&[7; LENGTH]), TempFile::new(&[9; LENGTH]));
    let (map, owner) = (shared(&file, Protection::ReadWrite), Owner::new());
    let own = map.file().unwrap();
    let stranger = std::fs::OpenOptions::new().read(true).write(true).open(&other.0).unwrap();
    // SAFETY: both descriptors are open; the mapping's own stays so, and its owner closes it.
    assert!(unsafe { libc::dup2(stranger.as_raw_fd(), own.as_raw_fd()) } >= 0);
    // SAFETY: the memory is this test's, and stays.
    let put = unsafe { map.put_over(owner.start, Box::new(())) };
    // SAFETY: as above.
    let laid = unsafe { map.lay_over(owner.start) }.map(drop);
    for refused in [put, laid] {
        assert!(matches!(refused, Err(Error::Os { errno: libc::EBADF, .. })), "{refused:?}");
    }
    assert_eq!((View::of(&map).load(0), owner.view().load(0)), (7, 0));
    owner.give_back();
}
