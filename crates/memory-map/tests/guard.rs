//! (Long: a test for each way to fault.) No load or store to a mapping ends the process, and nothing that
//! was lost goes unreported.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

#[cfg(unix)]
use common::LONG;
#[cfg(all(unix, not(target_os = "freebsd")))]
use common::alone;
#[cfg(not(target_os = "freebsd"))]
use common::private;
use common::{PAGE, TempFile, View, options, shared};
use memory_map::{Error, Fault, FaultKind, Mapping, Protection};

/// What a call has thrown.
#[cfg(unix)]
fn fault_of(result: memory_map::Result<()>) -> Option<Fault> {
    match result {
        Err(Error::Fault(fault)) => Some(fault),
        _ => None,
    }
}

fn kinds(faults: &[Fault]) -> Vec<FaultKind> {
    faults.iter().map(|fault| fault.kind).collect()
}

#[test]
#[cfg(unix)] // Windows does not let a mapped file be truncated
fn a_load_beyond_the_end_of_a_truncated_file_reads_zeros() {
    let file = TempFile::new(&[7; 10 * PAGE]);
    let map = shared(&file, Protection::ReadWrite);
    let view = View::of(&map);
    assert_eq!(view.load(5 * PAGE), 7);
    file.truncate(2 * PAGE as u64);
    assert_eq!(map.faults(), 0);
    assert_eq!(view.load(5 * PAGE + 3), 0);
    assert_eq!(map.faults(), 1);
    view.store(9 * PAGE, 1);
    assert_eq!((view.load(PAGE), map.faults()), (7, 1));
    let faults = map.collect();
    assert_eq!(kinds(&faults), [FaultKind::BeyondEnd]);
    let fault = &faults[0];
    assert_eq!((fault.offset, fault.length, fault.contained), (5 * PAGE, 5 * PAGE, true));
    assert!(map.collect().is_empty());

    // Healed, not overlaid for good: the file is seen again when it has grown.
    file.truncate(10 * PAGE as u64);
    assert_eq!((view.load(9 * PAGE), map.faults()), (0, 1));
    view.store(9 * PAGE, 5);
    assert_eq!(file.contents()[9 * PAGE], 5);
}

#[test]
fn a_store_to_a_read_only_file_mapping_leaves_no_trace() {
    let file = TempFile::new(&[7; 10 * PAGE]);
    let map = shared(&file, Protection::Read);
    let view = View::of(&map);
    view.store(3 * PAGE + 5, 1);
    view.store(9 * PAGE, 2);
    assert_eq!(map.faults(), 1);
    assert_eq!((view.load(3 * PAGE + 4), view.load(3 * PAGE + 5)), (7, 1));
    let faults = map.collect();
    assert_eq!(kinds(&faults), [FaultKind::Protection]);
    assert_eq!((faults[0].offset, faults[0].length, faults[0].contained), (3 * PAGE, PAGE, true));
    assert_eq!((view.load(3 * PAGE + 5), view.load(9 * PAGE)), (7, 7));
    assert!(file.contents().iter().all(|byte| *byte == 7));
    view.store(0, 1);
    assert_eq!(map.faults(), 2);
}

#[test]
#[cfg(not(target_os = "freebsd"))] // there, what is stored to private pages stays
fn protected_memory_gets_its_own_contents_back() {
    let file = TempFile::new(&[7; 10 * PAGE]);
    for map in [
        Mapping::anonymous(10 * PAGE as u64, false, &options(Protection::ReadWrite)).unwrap(),
        Mapping::anonymous(10 * PAGE as u64, cfg!(unix), &options(Protection::ReadWrite)).unwrap(),
        private(&file, Protection::ReadWrite),
        shared(&file, Protection::ReadWrite),
    ] {
        let view = View::of(&map);
        view.store(4 * PAGE, 42);
        for protection in [Protection::Read, Protection::None] {
            map.protect(0..10 * PAGE, protection).unwrap();
            let (visible, kind) =
                if protection == Protection::Read { (42, "read") } else { (0, "none") };
            assert_eq!(view.load(4 * PAGE), visible, "{:?} {kind}", map.kind());
            view.store(4 * PAGE, 1);
            view.store(5 * PAGE + 1, 1);
            assert_eq!(view.load(4 * PAGE), 1);
            let faults = map.collect();
            assert!(!faults.is_empty() && faults.iter().all(|f| f.contained), "{faults:?}");
            assert!(faults.iter().all(|f| f.kind == FaultKind::Protection));
            if protection == Protection::Read {
                assert_eq!(view.load(4 * PAGE), 42, "{:?} {kind}", map.kind());
            } else {
                assert_eq!(view.load(4 * PAGE), 0);
                map.collect();
            }
            map.protect(0..10 * PAGE, Protection::ReadWrite).unwrap();
            assert_eq!(view.load(4 * PAGE), 42, "{:?} {kind}", map.kind());
            assert_ne!(view.load(5 * PAGE + 1), 1);
            assert!(map.collect().is_empty());
        }
    }
}

#[test]
#[cfg(not(target_os = "freebsd"))] // there, what is stored to private pages stays
fn a_page_of_its_own_protection_is_contained_alone() {
    let map = Mapping::anonymous(10 * PAGE as u64, false, &options(Protection::ReadWrite)).unwrap();
    let view = View::of(&map);
    map.protect(2 * PAGE..3 * PAGE, Protection::Read).unwrap();
    view.store(2 * PAGE, 1);
    view.store(3 * PAGE, 2);
    view.store(PAGE, 3);
    assert_eq!(map.faults(), 1);
    map.collect();
    assert_eq!((view.load(PAGE), view.load(2 * PAGE), view.load(3 * PAGE)), (3, 0, 2));
}

#[test]
#[cfg(unix)] // Windows does not let a mapped file be truncated
fn read_and_write_return_their_own_faults() {
    let file = TempFile::new(&[7; 4 * PAGE]);
    for guard in [true, false] {
        file.truncate(4 * PAGE as u64);
        let map = Mapping::shared(
            memory_map::Source::Path(&file.0),
            &common::WHOLE,
            &memory_map::Options { guard, ..options(Protection::ReadWrite) },
        )
        .unwrap();
        file.truncate(PAGE as u64);
        let mut bytes = [1; 8];
        map.read(0, &mut bytes).unwrap();
        assert_eq!(bytes, [7; 8]);
        let mut thrown = vec![fault_of(map.read(2 * PAGE, &mut bytes)).unwrap()];
        assert_eq!(thrown[0].kind, FaultKind::BeyondEnd);
        thrown.push(fault_of(map.write(&bytes, 3 * PAGE)).unwrap());
        // What was overlaid for an earlier fault is no reason to succeed.
        if guard {
            View::of(&map).load(2 * PAGE);
        }
        thrown.push(fault_of(map.read(3 * PAGE, &mut bytes)).unwrap());
        let told = map.collect();
        assert!(thrown.iter().all(|fault| told.contains(fault)), "{thrown:?}, told: {told:?}");
        assert_eq!(told.len(), if guard { 4 } else { 3 });
    }
}

#[test]
#[cfg(unix)] // Windows does not let a mapped file be truncated
fn a_million_random_pages_of_a_truncated_file_are_one_fault() {
    let file = TempFile::sparse(LONG as u64);
    let map = shared(&file, Protection::Read);
    let view = View::of(&map);
    file.truncate(0);
    let mut state = 1u64;
    for _ in 0..1_000_000 {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        assert_eq!(view.load((state >> 33) as usize % LONG), 0);
    }
    assert!(map.faults() < 30, "{}", map.faults());
    map.collect();
    assert_eq!(view.load(LONG / 8), 0);
}

#[test]
#[cfg(all(unix, not(target_os = "freebsd")))] // as above; areas are what Linux counts
fn stores_to_200_000_read_only_pages_stay_few_areas() {
    alone("stores_to_200_000_read_only_pages_stay_few_areas", store_to_200_000_read_only_pages);
}

#[cfg(all(unix, not(target_os = "freebsd")))]
fn store_to_200_000_read_only_pages() {
    let areas =
        || std::fs::read_to_string("/proc/self/maps").map_or(0, |maps| maps.lines().count());
    for private_memory in [false, true] {
        let file = TempFile::sparse(LONG as u64);
        let map = if private_memory {
            let map = Mapping::anonymous(LONG as u64 / 8, false, &options(Protection::ReadWrite))
                .unwrap();
            map.protect(0..LONG / 8, Protection::Read).unwrap();
            map
        } else {
            shared(&file, Protection::Read)
        };
        let view = View::of(&map);
        let before = areas();
        let mut state = 1u64;
        let mut random = || {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (state >> 33) as usize % map.len()
        };
        let places: Vec<usize> = (0..200_000).map(|_| random()).collect();
        for place in &places {
            view.store(*place, 1);
        }
        assert!(areas() < before + 5000, "{} areas more", areas() - before);
        let faults = map.collect();
        assert!(faults.iter().all(|fault| fault.contained));
        assert!(areas() < before + 100, "{} areas more after healing", areas() - before);
        assert!(places.iter().all(|place| view.load(*place) == 0));
    }
}

#[cfg(all(unix, not(target_os = "freebsd")))]
fn random(state: &mut u64, below: usize) -> usize {
    *state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
    (*state >> 33) as usize % below
}

#[test]
#[cfg(all(unix, not(target_os = "freebsd"), target_pointer_width = "64"))] // as above
fn stores_to_more_memory_than_can_be_saved_are_rolled_back_where_little_is_in_it() {
    let file = TempFile::sparse(LONG as u64);
    for (length, stores, of_file) in
        [(1_200 << 20, 5_000, false), (1_200 << 20, 5_000, true), (LONG, 20_000, false)]
    {
        let map = if of_file {
            Mapping::private(
                memory_map::Source::Path(&file.0),
                &common::WHOLE,
                &memory_map::Options { reserve: false, ..options(Protection::ReadWrite) },
            )
            .unwrap()
        } else {
            let options = memory_map::Options { reserve: false, ..options(Protection::ReadWrite) };
            Mapping::anonymous(length as u64, false, &options).unwrap()
        };
        let view = View::of(&map);
        let mut state = 1;
        let own: Vec<usize> = (0..50).map(|_| random(&mut state, length)).collect();
        own.iter().for_each(|place| view.store(*place, 7));
        map.protect(0..length, Protection::Read).unwrap();
        let places: Vec<usize> = (0..stores).map(|_| random(&mut state, length)).collect();
        places.iter().for_each(|place| view.store(*place, 1));
        let faults = map.collect();
        assert!(faults.iter().all(|fault| fault.contained), "{length} {of_file}");
        for place in own {
            assert_eq!(view.load(place), 7);
        }
        assert!(places.iter().all(|place| view.load(*place) != 1));
    }
}

#[test]
#[cfg(all(unix, not(target_os = "freebsd"), target_pointer_width = "64"))] // as above
fn where_it_cannot_be_asked_which_pages_there_are_no_more_are_looked_at_than_can_be_saved() {
    let name =
        "where_it_cannot_be_asked_which_pages_there_are_no_more_are_looked_at_than_can_be_saved";
    let end = common::case_in_child(name, 0, |_| {
        let length = 3 << 30;
        let reserved = options(Protection::ReadWrite);
        let options = memory_map::Options { reserve: false, ..reserved };
        let map = Mapping::anonymous(length as u64, false, &options).unwrap();
        map.protect(0..length, Protection::Read).unwrap();
        let (view, mut state) = (View::of(&map), 1);
        assert!(limit_descriptors(false));
        (0..5_000).for_each(|_| view.store(random(&mut state, length), 1));
        assert!(limit_descriptors(true));
        let faults = map.collect();
        assert!(faults.iter().any(|fault| fault.contained));
        assert!(faults.iter().any(|fault| !fault.contained));
    });
    assert!(end.success(), "{end:?}");
}

#[test]
#[cfg(all(unix, not(target_os = "freebsd")))] // as above
fn pages_of_all_kinds_get_back_what_they_had() {
    let ends = common::in_children("pages_of_all_kinds_get_back_what_they_had", 0..2, |case| {
        // Without a descriptor it cannot be asked which pages there are.
        pages_get_back_what_they_had(|open| case == 0 || limit_descriptors(open));
    });
    assert!(ends.iter().all(std::process::ExitStatus::success), "{ends:?}");
}

/// Lets the process open descriptors, or none.
#[cfg(all(unix, not(target_os = "freebsd")))]
fn limit_descriptors(open: bool) -> bool {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is one.
    assert_eq!(unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) }, 0);
    limit.rlim_cur = if open { limit.rlim_max.min(256) } else { 0 };
    // SAFETY: as above.
    unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) == 0 }
}

#[cfg(all(unix, not(target_os = "freebsd")))]
fn pages_get_back_what_they_had(limit: impl Fn(bool) -> bool) {
    const PAGES: usize = 1 << 12;
    let contents: Vec<u8> = (0..PAGES * PAGE).map(|at| (at / PAGE % 3) as u8).collect();
    let file = TempFile::new(&contents);
    for round in 0..6 {
        let map = match round % 3 {
            0 => Mapping::anonymous((PAGES * PAGE) as u64, false, &options(Protection::ReadWrite)),
            1 => Ok(private(&file, Protection::ReadWrite)),
            _ => {
                let whole = memory_map::FileOptions { close_file: true, ..common::WHOLE };
                let source = memory_map::Source::Path(&file.0);
                Mapping::private(source, &whole, &options(Protection::ReadWrite))
            }
        }
        .unwrap();
        let protection = if round < 3 { Protection::Read } else { Protection::None };
        let view = View::of(&map);
        let mut model = if round % 3 == 0 { vec![0; PAGES * PAGE] } else { contents.clone() };
        let mut state = round as u64;
        for step in 0..PAGES {
            // Loads of pages that are stored to later, stores of zeros, and of more.
            let at = random(&mut state, PAGES * PAGE);
            match step % 4 {
                0 => assert_eq!(view.load(at), model[at]),
                1 => {
                    view.store(at, 0);
                    model[at] = 0;
                }
                2 => {
                    view.store(at, 9);
                    model[at] = 9;
                }
                _ => {}
            }
        }
        for _ in 0..2 {
            map.protect(0..PAGES * PAGE, protection).unwrap();
            assert!(limit(false));
            for _ in 0..3_000 {
                view.store(random(&mut state, PAGES * PAGE), 200);
            }
            assert!(limit(true));
            let faults = map.collect();
            assert!(faults.len() > 500 && faults.iter().all(|fault| fault.contained));
            map.protect(0..PAGES * PAGE, Protection::ReadWrite).unwrap();
            let mut bytes = vec![1; PAGES * PAGE];
            map.read(0, &mut bytes).unwrap();
            assert!(bytes == model, "{round}");
            // A store to the file is seen where the page is still the file's.
            let place = random(&mut state, PAGES) * PAGE;
            view.store(place, 77);
            model[place] = 77;
        }
        assert!(map.collect().is_empty());
    }
}

#[test]
fn many_threads_fault_at_once() {
    let file = TempFile::new(&vec![7; 256 * PAGE]);
    let map = shared(&file, Protection::Read);
    let memory = Mapping::anonymous(256 * PAGE as u64, false, &options(Protection::Read)).unwrap();
    for round in 0..50 {
        if round == 25 && cfg!(unix) {
            file.truncate(3 * PAGE as u64);
        }
        let (a, b) = (View::of(&map), View::of(&memory));
        std::thread::scope(|scope| {
            for thread in 0..8 {
                scope.spawn(move || {
                    for page in 0..256 {
                        let at = (page * 7 + thread * 31) % 256 * PAGE;
                        a.store(at, 9);
                        b.store(at, 9);
                    }
                });
            }
            scope.spawn(|| {
                for _ in 0..20 {
                    map.collect();
                    memory.collect();
                }
            });
        });
        map.collect();
        memory.collect();
        assert_eq!((a.load(0), b.load(0), b.load(255 * PAGE)), (7, 0, 0));
    }
    assert!(file.contents().iter().all(|byte| *byte == 7));
}

#[test]
fn closing_while_others_read_is_safe_with_a_key() {
    for _ in 0..200 {
        let file = TempFile::new(&[7; 16 * PAGE]);
        let map = shared(&file, Protection::Read);
        let key = map.key().unwrap();
        let view = View::of(&map);
        let stop = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                        for page in 0..16 {
                            assert!([0, 1, 7].contains(&view.load(page * PAGE)));
                            view.store(page * PAGE, 1);
                        }
                    }
                });
            }
            std::thread::yield_now();
            if cfg!(unix) {
                file.truncate(0);
            }
            map.close();
            assert_eq!(map.read(0, &mut [0]), Err(Error::Closed));
            std::thread::yield_now();
            stop.store(true, std::sync::atomic::Ordering::Relaxed);
        });
        drop(key);
    }
}

#[test]
fn the_owner_is_woken_once_and_told_which_mapping() {
    let (sender, receiver) = std::sync::mpsc::channel();
    memory_map::register_owner(77, move || sender.send(()).unwrap());
    let file = TempFile::new(&[7; 4 * PAGE]);
    let with_owner = memory_map::Options { owner: 77, ..options(Protection::Read) };
    let map =
        Mapping::shared(memory_map::Source::Path(&file.0), &common::WHOLE, &with_owner).unwrap();
    View::of(&map).store(0, 1);
    receiver.recv_timeout(std::time::Duration::from_secs(120)).unwrap();
    assert_eq!(memory_map::take_faulted(77), [map.token()]);
    assert!(memory_map::take_faulted(77).is_empty());
    assert_eq!(map.collect().len(), 1);
    View::of(&map).store(0, 1);
    receiver.recv_timeout(std::time::Duration::from_secs(120)).unwrap();
    assert_eq!(memory_map::take_faulted(77), [map.token()]);
    memory_map::forget_owner(77);
}

#[test]
#[cfg(unix)] // Windows commits the memory of overlays page by page
fn scratch_memory_moves_along_with_the_stores() {
    // More than all windows of a region together.
    let size = 200 << 20;
    for truncated in [true, false] {
        let file = TempFile::sparse(size as u64);
        let protection = if truncated { Protection::ReadWrite } else { Protection::Read };
        let map = shared(&file, protection);
        let view = View::of(&map);
        if truncated {
            file.truncate(0);
        }
        for at in (0..size).step_by(PAGE) {
            view.store(at, 1);
        }
        assert_eq!((view.load(0), view.load(size - PAGE), map.faults()), (0, 1, 1));
        // An earlier part is opened again, as often as it is asked for.
        view.store(PAGE, 2);
        assert_eq!((view.load(0), view.load(PAGE), map.faults()), (0, 2, 1));
        let faults = map.collect();
        assert!(faults.len() == 1 && faults[0].contained, "{faults:?}");
        file.truncate(size as u64);
        assert!((0..size).step_by(PAGE).all(|at| view.load(at) == 0));
        assert!(map.collect().is_empty());
    }
}

#[test]
#[cfg(unix)] // Windows does not let a mapped file be truncated
fn a_store_across_any_two_pages_is_made() {
    let size = 64 << 20;
    let file = TempFile::sparse(size as u64);
    let (gone, read_only) = (shared(&file, Protection::ReadWrite), shared(&file, Protection::Read));
    file.truncate(0);
    for map in [&gone, &read_only] {
        let view = View::of(map);
        for at in (PAGE..size).step_by(1 << 20).map(|edge| edge / (1 << 20) * (1 << 20)).skip(1) {
            view.store_across(at);
            assert_eq!((view.load(at - 1), view.load(at)), (255, 255));
        }
        assert!((1..=2).contains(&map.faults()), "{}", map.faults());
        assert!(map.collect().iter().all(|fault| fault.contained));
    }
}

#[test]
#[cfg(unix)] // Windows does not let a mapped file be truncated
fn overlays_of_both_kinds_keep_apart() {
    let (size, end) = (40 << 20, (18 << 20) + 3 * PAGE);
    let file = TempFile::new(&vec![7; size]);
    let map = shared(&file, Protection::Read);
    let view = View::of(&map);
    for round in 0..5 {
        // A window of the file's own pages reaches over what is cut off next.
        view.store(end - PAGE, 1);
        view.store(end + PAGE, 1);
        file.truncate(end as u64);
        assert_eq!(view.load(end + 5 * PAGE), 0);
        for step in 0..20 {
            let inside = (step * 977 + round) % (end / PAGE) * PAGE;
            let beyond = end + (step * 853 + round) % ((size - end) / PAGE) * PAGE;
            view.store(inside, 2);
            view.store(beyond, 2);
            assert_eq!((view.load(inside), view.load(inside + 1)), (2, 7));
            assert_eq!((view.load(beyond), view.load(beyond + 1)), (2, 0));
        }
        assert_eq!(view.load(end - 1), 7);
        assert_eq!(kinds(&map.collect()), [FaultKind::Protection, FaultKind::BeyondEnd]);
        assert!((0..end).step_by(PAGE).all(|at| view.load(at) == 7));
        assert_eq!(map.faults(), 2 * (round as u64 + 1));
        std::fs::write(&file.0, vec![7; size]).unwrap();
    }
    map.collect();
}

#[test]
#[cfg(unix)] // as above
fn more_threads_than_windows_get_on() {
    let (threads, part) = (40, 9 << 20);
    let file = TempFile::sparse((threads * part) as u64);
    let (gone, read_only) = (shared(&file, Protection::ReadWrite), shared(&file, Protection::Read));
    file.truncate(0);
    let (a, b) = (View::of(&gone), View::of(&read_only));
    std::thread::scope(|scope| {
        for thread in 0..threads {
            scope.spawn(move || {
                for page in 0..500 {
                    a.store_across(thread * part + (page + 1) * PAGE);
                    b.store(thread * part + page * PAGE, 1);
                }
            });
        }
    });
    assert_eq!(gone.faults(), 1);
    assert!(gone.collect().iter().chain(&read_only.collect()).all(|fault| fault.contained));
}

#[test]
#[cfg(target_os = "linux")]
fn an_overlay_that_cannot_be_taken_away_stays_and_is_told_once() {
    use nix::sys::memfd::{MFdFlags, memfd_create};
    use std::os::fd::AsRawFd;

    let file = std::fs::File::from(memfd_create("sealed", MFdFlags::MFD_ALLOW_SEALING).unwrap());
    file.set_len(10 * PAGE as u64).unwrap();
    let source = memory_map::Source::Fd(file.as_raw_fd());
    let map = Mapping::shared(source, &common::WHOLE, &options(Protection::ReadWrite)).unwrap();
    let view = View::of(&map);
    view.store(2 * PAGE, 7);
    file.set_len(5 * PAGE as u64).unwrap();
    // From here on the system maps the file for no more stores (F_SEAL_FUTURE_WRITE of fcntl(2)).
    let seal = nix::fcntl::FcntlArg::F_ADD_SEALS(nix::fcntl::SealFlag::F_SEAL_FUTURE_WRITE);
    nix::fcntl::fcntl(&file, seal).unwrap();
    view.store(8 * PAGE, 1);
    assert_eq!(map.faults(), 1);

    let faults = map.collect();
    assert_eq!(kinds(&faults), [FaultKind::BeyondEnd]);
    assert!(!faults[0].contained);
    for round in 0..3 {
        // The pages are still there, of whatever memory, and what is stored there is not safe.
        view.store(9 * PAGE, 1);
        assert_eq!(view.load(9 * PAGE), 1, "round {round}");
        assert!(map.collect().is_empty(), "it was told before");
        assert!(matches!(map.sync(0..10 * PAGE, false).err(), Some(Error::Fault(_))));
        assert!(matches!(map.read(8 * PAGE, &mut [0]), Err(Error::Fault(_))));
        assert_eq!((map.faults(), view.load(2 * PAGE)), (1, 7));
    }
    let mut byte = [0];
    map.read(2 * PAGE, &mut byte).unwrap();
    assert_eq!(byte, [7]);
}

#[test]
#[cfg(unix)]
fn a_file_that_is_not_the_one_that_was_mapped_is_never_mapped() {
    use std::os::fd::AsRawFd;
    let (file, other) = (TempFile::new(&[7; 10 * PAGE]), TempFile::new(&[9; 10 * PAGE]));
    let map = shared(&file, Protection::Read);
    let view = View::of(&map);
    view.store(0, 1);
    // As a user does who closes the mapping's own descriptor and opens something.
    let own = map.file().unwrap();
    let stranger = std::fs::File::open(&other.0).unwrap();
    // SAFETY: both descriptors are open; the mapping's own stays so, and its owner closes it.
    assert!(unsafe { libc::dup2(stranger.as_raw_fd(), own.as_raw_fd()) } >= 0);
    let faults = map.collect();
    assert!(faults.len() == 1 && !faults[0].contained, "{faults:?}");
    for page in 0..10 {
        view.store(page * PAGE, 1);
        assert!([0, 7].contains(&view.load(page * PAGE + 1)));
    }
    assert!(matches!(map.read(0, &mut [0]), Err(Error::Fault(_))));
    assert!(map.collect().is_empty());
    assert!(file.contents().iter().all(|byte| *byte == 7));
    assert!(other.contents().iter().all(|byte| *byte == 9));
}

#[test]
#[cfg(target_os = "linux")]
fn a_file_that_is_not_the_one_that_was_mapped_is_given_no_blocks() {
    use std::os::fd::AsRawFd;
    use std::os::unix::fs::MetadataExt;
    let (file, other) = (TempFile::new(&[7; 10 * PAGE]), TempFile::sparse(10 * PAGE as u64));
    let map = shared(&file, Protection::ReadWrite);
    let own = map.file().unwrap();
    let stranger = std::fs::OpenOptions::new().write(true).open(&other.0).unwrap();
    // SAFETY: both descriptors are open; the mapping's own stays so, and its owner closes it.
    assert!(unsafe { libc::dup2(stranger.as_raw_fd(), own.as_raw_fd()) } >= 0);
    file.truncate(0);
    assert_eq!(View::of(&map).load(5 * PAGE), 0);
    assert_eq!(kinds(&map.collect()), [FaultKind::Io]);
    assert_eq!(stranger.metadata().unwrap().blocks(), 0);
}

#[test]
#[cfg(not(target_os = "freebsd"))] // there, what is stored to private pages stays
fn a_copy_is_not_to_blame_for_a_fault_elsewhere() {
    let file = TempFile::new(&[7; 10 * PAGE]);
    let memory = Mapping::anonymous(10 * PAGE as u64, false, &options(Protection::ReadWrite));
    let writable = [shared(&file, Protection::ReadWrite), memory.unwrap()];
    for map in &writable {
        map.write(&[7; 10 * PAGE], 0).unwrap();
        map.protect(5 * PAGE..6 * PAGE, Protection::Read).unwrap();
    }
    // The overlay of a page of this one is over all pages.
    for map in writable.into_iter().chain([shared(&file, Protection::Read)]) {
        let stop = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            let stores = scope.spawn(|| {
                let mut told = Vec::new();
                while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                    View::of(&map).store(5 * PAGE, 1);
                    told.extend(map.collect());
                }
                told
            });
            let mut bytes = [0; 4 * PAGE];
            while map.faults() < 2000 {
                assert_eq!(map.read(PAGE, &mut bytes), Ok(()));
                assert_eq!(bytes, [7; 4 * PAGE]);
                if map.protection().writable() {
                    assert_eq!(map.write(&[7; PAGE], 6 * PAGE), Ok(()));
                }
            }
            stop.store(true, std::sync::atomic::Ordering::Relaxed);
            let mut told = stores.join().unwrap();
            told.extend(map.collect());
            assert_eq!(told.len() as u64, map.faults());
            assert!(told.iter().all(|fault| fault.contained), "{told:?}");
        });
    }
}
