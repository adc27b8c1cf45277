//! What shows only in a process of its own: the limits that the system sets it, and its handlers.
#![cfg(target_os = "linux")]
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::ExitStatus;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Instant;

use common::{
    CHILD, LONG, PAGE, TempFile, View, WHOLE, alone, in_child, in_children, is_mapped, options,
    private, shared,
};
use memory_map::{Error, Fault, FaultKind, FileOptions, Mapping, Options, Protection, Source};

/// A figure of proc_pid_status(5) in bytes.
fn status(name: &str) -> usize {
    let text = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = text.lines().find(|line| line.starts_with(name)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() << 10
}

#[test]
fn storing_everywhere_takes_little_memory() {
    alone("storing_everywhere_takes_little_memory", || {
        for (truncated, size) in [(true, LONG), (false, LONG / 8)] {
            let file = TempFile::sparse(size as u64);
            let protection = if truncated { Protection::ReadWrite } else { Protection::Read };
            let map = shared(&file, protection);
            if truncated {
                file.truncate(0);
            }
            let pages = map.address().unwrap() as *mut u8;
            // SAFETY: this is all of the mapping, and the guard contains what fails.
            unsafe { pages.write_bytes(1, size) };
            assert_eq!(map.faults(), 1);
            assert!(map.collect().iter().all(|fault| fault.contained));
        }
        let most = status("VmHWM");
        assert!(most < 256 << 20, "{most} bytes at most");
    });
}

/// Takes all memory areas that the system grants; where most of them are.
fn take_all_vmas() -> Range<usize> {
    let length = (1 << 18) * PAGE;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANON | libc::MAP_NORESERVE;
    // SAFETY: without MAP_FIXED no existing memory changes.
    let start = unsafe { libc::mmap(std::ptr::null_mut(), length, 0, flags, -1, 0) } as usize;
    let mut pages = (start + PAGE..start + length).step_by(2 * PAGE);
    // SAFETY: the pages lie in what was mapped above, which nobody uses.
    let refused =
        pages.find(|page| unsafe { libc::mprotect(*page as _, PAGE, libc::PROT_READ) } != 0);
    assert!(refused.is_some());
    // What replaces an area is refused only where there are even more.
    let flags = libc::MAP_SHARED | libc::MAP_ANON;
    // SAFETY: as above.
    let map = || unsafe { libc::mmap(std::ptr::null_mut(), PAGE, 0, flags, -1, 0) };
    while map() != libc::MAP_FAILED {}
    start..start + length
}

/// Whether the areas are few enough to take them all.
fn vmas_are_limited() -> bool {
    let limit = std::fs::read_to_string("/proc/sys/vm/max_map_count").unwrap();
    let is_low = limit.trim().parse::<usize>().unwrap() <= 1 << 17;
    if !is_low {
        println!("not tried: this system has no such limit");
    }
    is_low
}

#[test]
fn faults_are_contained_where_no_memory_area_is_left() {
    if !vmas_are_limited() {
        return;
    }
    let name = "faults_are_contained_where_no_memory_area_is_left";
    let ends = in_children(name, 0..3, |case| {
        // Larger than a window of scratch memory, which is two areas more in the middle.
        let file = TempFile::new(&vec![7; 8192 * PAGE]);
        let map = match case {
            0 => shared(&file, Protection::Read),
            1 => private(&file, Protection::Read),
            _ => shared(&file, Protection::ReadWrite),
        };
        let view = View::of(&map);
        let beyond = if case == 2 { 0 } else { 7 };
        if case == 2 {
            file.truncate(10 * PAGE as u64);
            view.load(5000 * PAGE);
        }
        take_all_vmas();
        for page in [4000, 4001, 20, 8191] {
            view.store(page * PAGE, 1);
            assert_eq!((view.load(page * PAGE), map.faults()), (1, 1));
        }
        assert!(map.collect().iter().map(|fault| fault.contained).eq([true]));
        assert_eq!((view.load(9 * PAGE), view.load(4000 * PAGE)), (7, beyond));
        assert!(map.collect().iter().all(|fault| fault.contained));
        if case != 1 {
            map.sync(0..PAGE, false).unwrap().run().unwrap();
        }
        assert!(file.contents().iter().all(|byte| *byte == 7));
    });
    assert!(ends.iter().all(ExitStatus::success), "{ends:?}");
}

#[test]
fn what_is_closed_where_no_memory_area_is_left_goes_when_there_are_some() {
    if !vmas_are_limited() {
        return;
    }
    alone("what_is_closed_where_no_memory_area_is_left_goes_when_there_are_some", || {
        let size = 64 * PAGE as u64;
        let memory = || Mapping::anonymous(size, false, &options(Protection::ReadWrite)).unwrap();
        let maps: Vec<_> = (0..100).map(|_| memory()).collect(); // neighbours, and so one area
        let addresses: Vec<_> = maps.iter().map(|map| map.address().unwrap()).collect();
        let are_mapped = || addresses.iter().filter(|address| is_mapped(**address)).count();
        let areas = take_all_vmas();
        maps.iter().step_by(2).for_each(|map| drop(map.close()));
        assert!(are_mapped() > 50);
        // SAFETY: nobody uses them.
        assert_eq!(unsafe { libc::munmap(areas.start as _, areas.len()) }, 0);
        maps[1].close();
        assert_eq!(are_mapped(), 49);
    });
}

#[test]
fn faults_of_many_mappings_are_contained_where_no_memory_area_is_left() {
    if !vmas_are_limited() {
        return;
    }
    let name = "faults_of_many_mappings_are_contained_where_no_memory_area_is_left";
    let ends = in_children(name, 0..4, |case| {
        let file = TempFile::new(&[7; 4 * PAGE]);
        let maps: Vec<_> = (0..if case == 0 { 1000 } else { 20 })
            .map(|_| {
                let memory =
                    || Mapping::anonymous(4 * PAGE as u64, false, &options(Protection::ReadWrite));
                let map = if case == 0 {
                    shared(&file, Protection::ReadWrite)
                } else {
                    memory().unwrap()
                };
                map.write(&[7; 4 * PAGE], 0).unwrap();
                let protection = if case == 1 { Protection::Read } else { Protection::None };
                if case != 0 {
                    map.protect(PAGE..4 * PAGE, protection).unwrap();
                }
                map
            })
            .collect();
        let keys: Vec<_> = maps.iter().map(|map| map.key().unwrap()).collect();
        let views: Vec<_> = maps.iter().map(View::of).collect();
        if case == 0 {
            file.truncate(2 * PAGE as u64);
        }
        take_all_vmas();
        if case == 3 {
            keys.iter().for_each(|key| key.make_lasting());
            maps.iter().for_each(|map| drop(map.close()));
        }
        for round in 1..4 {
            for view in &views {
                view.store(2 * PAGE, 1);
                assert_eq!(view.load(2 * PAGE), 1);
            }
            for (map, view) in maps.iter().zip(&views) {
                let faults = map.collect();
                if case == 3 {
                    assert_eq!(faults.len(), if round == 1 { 1 } else { 0 });
                    assert_eq!((view.load(0), view.load(2 * PAGE)), (0, 1));
                    continue;
                }
                assert!(faults.len() == 1 && faults[0].contained, "{faults:?}");
                assert!(
                    (faults[0].offset..faults[0].offset + faults[0].length).contains(&(2 * PAGE))
                );
                assert_eq!((view.load(0), view.load(PAGE)), (7, if case == 2 { 0 } else { 7 }));
                map.collect();
            }
        }
    });
    assert!(ends.iter().all(ExitStatus::success), "{ends:?}");
}

#[test]
#[cfg_attr(target_arch = "riscv64", ignore = "a store across two pages is several there")]
fn faults_are_contained_where_the_system_grants_no_more_writable_memory() {
    let name = "faults_are_contained_where_the_system_grants_no_more_writable_memory";
    alone(name, || {
        let size = 32 << 20;
        let file = TempFile::new(&vec![7; size]);
        // At round addresses, where no window of scratch memory is a small one that is granted.
        let at = |slot: usize, protection| Options {
            address: Some((1 << if usize::BITS < 64 { 30 } else { 45 }) + (slot << 26)),
            ..options(protection)
        };
        let of = |file: &TempFile, options| {
            Mapping::shared(Source::Path(&file.0), &WHOLE, &options).unwrap()
        };
        let inaccessible = of(&file, at(0, Protection::None));
        let cut = TempFile::new(&vec![7; size]);
        let truncated = of(&cut, at(1, Protection::ReadWrite));
        cut.truncate(PAGE as u64);

        // Private memory that can be stored to is what RLIMIT_DATA counts (getrlimit(2)).
        let most = (status("VmData") + (1 << 20)) as u64;
        let most = libc::rlim_t::try_from(most).unwrap();
        let limit = libc::rlimit { rlim_cur: most, rlim_max: most };
        // SAFETY: `limit` is complete.
        assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_DATA, &raw const limit) }, 0);
        let refused = Mapping::anonymous(4 << 20, false, &options(Protection::ReadWrite)).err();
        assert!(matches!(refused, Some(Error::Os { errno: libc::ENOMEM, .. })), "{refused:?}");

        for map in [&truncated, &inaccessible] {
            let view = View::of(map);
            for at in (2 * PAGE..size).step_by(31 * PAGE) {
                view.store_across(at);
                assert_eq!((view.load(at), map.faults()), (255, 1));
            }
            let faults = map.collect();
            assert!(faults.len() == 1 && faults[0].contained, "{faults:?}");
            assert_eq!(view.load(2 * PAGE), 0);
            map.collect();
        }
    });
}

#[test]
fn every_fault_is_told_where_the_system_grants_no_more_addresses() {
    let name = "every_fault_is_told_where_the_system_grants_no_more_addresses";
    alone(name, || {
        const PAGES: usize = 20;
        let maps = [Protection::Read, Protection::None].map(|protection| {
            let size = (PAGES * PAGE) as u64;
            let map = Mapping::anonymous(size, false, &options(Protection::ReadWrite)).unwrap();
            map.write(&[7; PAGES * PAGE], 0).unwrap();
            map.protect(0..map.len(), protection).unwrap();
            map
        });
        // The thread that tells faults takes memory until it has told one.
        let (sender, told) = std::sync::mpsc::channel();
        memory_map::register_owner(0, move || sender.send(()).unwrap());
        View::of(&maps[0]).store(0, 1);
        told.recv().unwrap();
        memory_map::forget_owner(0);
        maps[0].collect();
        let limit = libc::rlimit { rlim_cur: 0, rlim_max: libc::RLIM_INFINITY };
        // SAFETY: `limit` is complete.
        let set = |limit: &libc::rlimit| unsafe { libc::setrlimit(libc::RLIMIT_AS, limit) };
        let was_set = set(&limit);
        for map in &maps {
            for page in (0..PAGES).step_by(3) {
                View::of(map).store(page * PAGE, 1);
            }
        }
        set(&libc::rlimit { rlim_cur: libc::RLIM_INFINITY, rlim_max: libc::RLIM_INFINITY });
        assert_eq!(was_set, 0);
        for map in &maps {
            let faults = map.collect();
            for page in (0..PAGES).step_by(3) {
                let tells = |fault: &Fault| {
                    !fault.contained
                        && (fault.offset..fault.offset + fault.length).contains(&(page * PAGE))
                };
                assert!(faults.iter().any(tells), "{page}: {faults:?}");
            }
            let before = map.faults();
            View::of(map).store(0, 2);
            assert_eq!(map.faults(), before + 1, "the pages are as they should be");
            map.collect();
        }
    });
}

/// Whether the handler of these tests has run.
static CALLS: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);

/// A page of the tests' own, whose faults their handler mends.
static OWN: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);

extern "C" fn mend_own(_signal: i32) {
    use std::sync::atomic::Ordering::Relaxed;
    CALLS.fetch_add(1, Relaxed);
    // SAFETY: the page is the tests' own; mprotect is a bare system call.
    unsafe { libc::mprotect(OWN.load(Relaxed) as *mut _, PAGE, libc::PROT_READ) };
}

fn install(handler: usize, flags: i32) {
    // SAFETY: all-zero bytes are a valid `sigaction`.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = handler;
    action.sa_flags = flags;
    // SAFETY: `action` is complete, and its handler makes only calls that it may.
    let status = unsafe { libc::sigaction(libc::SIGSEGV, &raw const action, std::ptr::null_mut()) };
    assert_eq!(status, 0);
}

/// Makes the guard install its handler, and shows that it works.
fn fault_once() {
    let map = Mapping::anonymous(PAGE as u64, false, &options(Protection::Read)).unwrap();
    View::of(&map).store(0, 1);
    let faults = map.collect();
    assert!(faults.len() == 1 && faults[0].kind == FaultKind::Protection);
}

/// A load from the tests' own page, which nobody may access before it is mended.
fn touch_own() {
    use std::sync::atomic::Ordering::Relaxed;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANON;
    // SAFETY: without MAP_FIXED no existing memory changes.
    let page = unsafe { libc::mmap(std::ptr::null_mut(), PAGE, 0, flags, -1, 0) };
    OWN.store(page as usize, Relaxed);
    // SAFETY: the page is mapped; the handler makes it readable, or the process ends.
    assert_eq!(unsafe { page.cast::<u8>().read_volatile() }, 0);
}

#[test]
fn a_handler_for_one_fault_gets_one_and_the_next_ends_the_process() {
    let name = "a_handler_for_one_fault_gets_one_and_the_next_ends_the_process";
    let end = in_child(name, || {
        let handler: extern "C" fn(i32) = mend_own;
        install(handler as usize, libc::SA_RESETHAND);
        fault_once();
        touch_own();
        assert_eq!(CALLS.load(std::sync::atomic::Ordering::Relaxed), 1);
        touch_own();
    });
    assert_eq!(end.signal(), Some(libc::SIGSEGV), "{end}");
}

#[test]
fn a_handler_that_stays_gets_every_fault_that_is_not_ours() {
    alone("a_handler_that_stays_gets_every_fault_that_is_not_ours", || {
        let handler: extern "C" fn(i32) = mend_own;
        install(handler as usize, 0);
        for calls in 1..=3 {
            fault_once();
            touch_own();
            assert_eq!(CALLS.load(std::sync::atomic::Ordering::Relaxed), calls);
        }
    });
}

#[test]
fn an_ignored_signal_is_still_ignored_when_a_process_sends_it() {
    alone("an_ignored_signal_is_still_ignored_when_a_process_sends_it", || {
        install(libc::SIG_IGN, 0);
        fault_once();
        for _ in 0..3 {
            // SAFETY: sends a signal to this process.
            assert_eq!(unsafe { libc::kill(libc::getpid(), libc::SIGSEGV) }, 0);
            fault_once();
        }
    });
}

#[test]
fn a_fault_ends_the_process_although_the_signal_is_ignored() {
    let end = in_child("a_fault_ends_the_process_although_the_signal_is_ignored", || {
        install(libc::SIG_IGN, 0);
        fault_once();
        touch_own();
    });
    assert_eq!(end.signal(), Some(libc::SIGSEGV), "{end}");
}

/// A page that a test and its children have in common; the test removes the file.
fn common_file() -> TempFile {
    let is_child = std::env::var_os(CHILD).is_some();
    let owner = if is_child { std::os::unix::process::parent_id() } else { std::process::id() };
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("common-{owner}"));
    if !is_child {
        std::fs::write(&path, [0; PAGE]).unwrap();
    }
    TempFile(path)
}

/// Waits until so many processes have come to it, as often as it is called.
fn meet(arrived: &AtomicUsize, all: usize) {
    let goal = (arrived.fetch_add(1, SeqCst) / all + 1) * all;
    let start = Instant::now();
    while arrived.load(SeqCst) < goal {
        assert!(start.elapsed().as_secs() < 300, "another process has not come");
        std::thread::yield_now();
    }
}

#[test]
fn processes_that_create_a_file_at_the_same_time_never_make_it_shorter() {
    const ROUNDS: usize = 3000;
    const PROCESSES: usize = 3;
    let name = "processes_that_create_a_file_at_the_same_time_never_make_it_shorter";
    let common = common_file();
    let ends = in_children(name, 0..PROCESSES, |number| {
        let meeting = shared(&common, Protection::ReadWrite);
        // SAFETY: the mapping outlives the reference, begins at a page, and nobody truncates it.
        let arrived = unsafe { &*(meeting.address().unwrap() as *const AtomicUsize) };
        for round in 0..ROUNDS {
            let path = common.0.with_extension(round.to_string());
            let lengths = [0, 1, 2].map(|n| ((round * 31 + n * 17) % 97 * 1000 + n + 1) as u64);
            let (length, most) = (lengths[number], *lengths.iter().max().unwrap());
            let part = FileOptions {
                length: Some(length),
                create: Some(0o600),
                allocate: (round + number).is_multiple_of(3),
                ..WHOLE
            };
            meet(arrived, PROCESSES);
            let map = Mapping::shared(Source::Path(&path), &part, &options(Protection::ReadWrite))
                .unwrap();
            View::of(&map).store(length as usize - 1, 1 + number as u8);
            meet(arrived, PROCESSES);
            assert_eq!((std::fs::metadata(&path).unwrap().len(), map.faults()), (most, 0));
            let mut byte = [0];
            let file = std::fs::File::open(&path).unwrap();
            file.read_exact_at(&mut byte, length - 1).unwrap();
            assert_eq!(byte, [1 + number as u8], "round {round}");
            meet(arrived, PROCESSES);
            if number == 0 {
                std::fs::remove_file(&path).unwrap();
            }
        }
    });
    assert!(ends.iter().all(ExitStatus::success), "{ends:?}");
}
