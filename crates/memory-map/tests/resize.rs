//! Changing the length of a mapping.
#![allow(missing_docs, clippy::panic, clippy::unwrap_used)]

mod common;

use common::{PAGE, TempFile, View, WHOLE, is_mapped, options, private, shared};
use memory_map::{Error, FaultKind, FileOptions, HugePages, Mapping, Options, Protection, Source};

fn anonymous(length: usize) -> Mapping {
    Mapping::anonymous(length as u64, false, &options(Protection::ReadWrite)).unwrap()
}

/// The same bytes for the same position, and never 0.
fn pattern(at: usize) -> u8 {
    (at % 251) as u8 + 1
}

fn fill(map: &Mapping) {
    let bytes: Vec<u8> = (0..map.len()).map(pattern).collect();
    map.write(&bytes, 0).unwrap();
}

fn assert_pattern(map: &Mapping, length: usize) {
    let mut bytes = vec![0; length];
    map.read(0, &mut bytes).unwrap();
    assert!(bytes.iter().enumerate().all(|(at, byte)| *byte == pattern(at)));
}

/// Every kind of mapping that can be stored to, of `length` bytes; each holds the pattern.
fn each_kind(length: usize, test: impl Fn(&str, Mapping)) {
    let bytes: Vec<u8> = (0..4 * length).map(pattern).collect();
    let file = TempFile::new(&bytes);
    let part = FileOptions { offset: 0, length: Some(length as u64), ..WHOLE };
    let rw = options(Protection::ReadWrite);
    for (name, map) in [
        ("shared", Mapping::shared(Source::Path(&file.0), &part, &rw)),
        ("private", Mapping::private(Source::Path(&file.0), &part, &rw)),
        ("anonymous", Mapping::anonymous(length as u64, false, &rw)),
        ("memfd", Mapping::anonymous(length as u64, true, &rw)),
    ] {
        if cfg!(windows) && name == "memfd" {
            continue;
        }
        let map = map.unwrap();
        fill(&map);
        test(name, map);
    }
}

#[test]
fn contents_up_to_the_smaller_length_are_kept() {
    for length in [1, 100, PAGE, PAGE + 1, 10 * PAGE] {
        each_kind(length, |name, map| {
            let mut kept = length;
            for next in [2 * length, length / 2 + 1, 5 * PAGE, 3 * length, 1, 70 * PAGE] {
                let needs_file = matches!(name, "private");
                if needs_file && next > 4 * length {
                    continue;
                }
                map.resize(next as u64).unwrap();
                assert_eq!(map.len(), next);
                kept = kept.min(next);
                assert_pattern(&map, kept);
                View::of(&map).store(next - 1, pattern(next - 1));
                assert_eq!(View::of(&map).load(next - 1), pattern(next - 1));
            }
        });
    }
}

#[test]
fn what_anonymous_memory_grows_by_is_zero() {
    let map = anonymous(3 * PAGE + 100);
    fill(&map);
    for (shorter, longer) in [(PAGE + 10, 4 * PAGE), (10, PAGE), (100, 50 * PAGE)] {
        map.resize(shorter as u64).unwrap();
        map.resize(longer as u64).unwrap();
        let mut bytes = vec![1; longer];
        map.read(0, &mut bytes).unwrap();
        assert!(bytes[shorter..].iter().all(|byte| *byte == 0), "{shorter} {longer}");
        fill(&map);
    }
}

#[test]
fn what_is_cut_off_from_pages_that_are_not_for_stores_does_not_come_back() {
    for protection in [Protection::Read, Protection::None] {
        let map = anonymous(2 * PAGE);
        fill(&map);
        map.protect(0..map.len(), protection).unwrap();
        map.resize(PAGE as u64 / 2).unwrap();
        assert_eq!(map.protection(), protection);
        assert_eq!(map.write(&[1], 0), Err(Error::NotWritable));
        map.resize(2 * PAGE as u64).unwrap();
        map.protect(0..map.len(), Protection::ReadWrite).unwrap();
        assert_pattern(&map, PAGE / 2);
        let mut rest = vec![1; 2 * PAGE - PAGE / 2];
        map.read(PAGE / 2, &mut rest).unwrap();
        assert!(rest.iter().all(|byte| *byte == 0), "{protection:?}");
    }
}

#[test]
fn the_file_of_a_shared_mapping_grows_and_never_shrinks() {
    let file = TempFile::new(&[7; 100]);
    let map = shared(&file, Protection::ReadWrite);
    map.resize(3 * PAGE as u64).unwrap();
    assert_eq!(file.contents().len(), 3 * PAGE);
    map.write(&[9], 3 * PAGE - 1).unwrap();
    map.resize(50).unwrap();
    assert_eq!((file.contents().len(), file.contents()[3 * PAGE - 1]), (3 * PAGE, 9));
    map.resize(3 * PAGE as u64).unwrap();
    assert_eq!(View::of(&map).load(3 * PAGE - 1), 9);
}

#[test]
fn a_mapping_at_an_offset_inside_a_page_can_be_resized() {
    let file = TempFile::new(&(0..10 * PAGE).map(pattern).collect::<Vec<_>>());
    let part = FileOptions { offset: 5000, length: Some(10), ..WHOLE };
    let map =
        Mapping::shared(Source::Path(&file.0), &part, &options(Protection::ReadWrite)).unwrap();
    for length in [10 * PAGE - 5000, 1, 20 * PAGE, 0, 3] {
        map.resize(length as u64).unwrap();
        for at in [0, length.min(5 * PAGE).saturating_sub(1)].into_iter().filter(|at| *at < length)
        {
            assert_eq!(View::of(&map).load(at), pattern(5000 + at), "{at} of {length}");
        }
    }
    assert_eq!(file.contents().len(), 5000 + 20 * PAGE);
}

#[test]
fn a_mapping_that_is_not_for_stores_does_not_extend_its_file() {
    let file = TempFile::new(&[1; 100]);
    let beyond = Err(Error::BeyondEnd { end: 101, size: 100 });
    for map in [shared(&file, Protection::Read), private(&file, Protection::ReadWrite)] {
        assert_eq!(map.resize(101), beyond);
        assert_eq!((map.len(), View::of(&map).load(99)), (100, 1));
        map.resize(60).unwrap();
        map.resize(100).unwrap();
        assert_eq!(View::of(&map).load(99), 1);
    }
    assert_eq!(file.contents().len(), 100);
}

#[test]
fn an_empty_mapping_grows_and_one_can_become_empty() {
    let file = TempFile::new(b"");
    let map = shared(&file, Protection::ReadWrite);
    map.resize(5).unwrap();
    map.write(b"hello", 0).unwrap();
    map.resize(0).unwrap();
    assert!(map.is_empty() && map.address().is_none());
    map.resize(5).unwrap();
    let mut bytes = [0; 5];
    map.read(0, &mut bytes).unwrap();
    assert_eq!((&bytes, file.contents().as_slice()), (b"hello", b"hello".as_slice()));
}

#[test]
fn former_addresses_stay_for_as_long_as_there_is_a_key() {
    each_kind(64 * PAGE, |name, map| {
        let (key, before) = (map.key().unwrap(), View::of(&map));
        let address = map.address().unwrap();
        map.resize(200 * PAGE as u64).unwrap();
        assert_ne!(map.address().unwrap(), address, "{name}: the first growth moves");
        let (_second, between) = (map.key().unwrap(), View::of(&map));
        for at in (0..64 * PAGE).step_by(PAGE) {
            assert_eq!(before.load(at), 0, "{name}: zeros are left");
            before.store(at, 255);
        }
        assert_pattern(&map, 64 * PAGE);
        map.resize(32 * PAGE as u64).unwrap();
        between.store(150 * PAGE, 255);
        map.resize(200 * PAGE as u64).unwrap();
        if matches!(name, "anonymous") {
            assert_eq!(View::of(&map).load(150 * PAGE), 0, "{name}: nothing comes back");
        }
        assert_pattern(&map, 32 * PAGE);
        map.close();
        assert!(is_mapped(address), "{name}");
        drop(key);
    });
}

#[test]
fn protections_are_kept_and_new_pages_have_that_of_the_whole() {
    each_kind(8 * PAGE, |name, map| {
        map.protect(2 * PAGE..3 * PAGE, Protection::None).unwrap();
        map.protect(5 * PAGE..6 * PAGE, Protection::Read).unwrap();
        map.resize(20 * PAGE as u64).unwrap();
        let check = || {
            assert!(matches!(map.read(2 * PAGE, &mut [0]), Err(Error::Fault(_))), "{name}");
            assert_eq!(map.write(&[1], 5 * PAGE), Err(Error::NotWritable), "{name}");
            map.write(&[pattern(6 * PAGE)], 6 * PAGE).unwrap();
            map.write(&[1], 20 * PAGE - 1).unwrap();
        };
        check();
        map.resize(7 * PAGE as u64).unwrap();
        map.resize(20 * PAGE as u64).unwrap();
        check();
        map.protect(0..20 * PAGE, Protection::Read).unwrap();
        map.resize(100 * PAGE as u64).unwrap();
        assert_eq!(map.write(&[1], 99 * PAGE), Err(Error::NotWritable), "{name}");
        assert_pattern(&map, 2 * PAGE);
    });
}

#[test]
#[cfg(not(target_os = "freebsd"))] // there, what is stored to private pages stays
fn faults_are_contained_and_counted_across_a_move() {
    let map = anonymous(4 * PAGE);
    fill(&map);
    map.protect(0..PAGE, Protection::Read).unwrap();
    View::of(&map).store(3, 99);
    map.resize(40 * PAGE as u64).unwrap();
    assert_eq!(map.faults(), 1);
    View::of(&map).store(3, 99);
    View::of(&map).store(39 * PAGE, 1);
    assert_eq!(map.faults(), 2);
    let kinds: Vec<_> = map.collect().iter().map(|fault| (fault.kind, fault.offset)).collect();
    assert_eq!(kinds, [(FaultKind::Protection, 0), (FaultKind::Protection, 0)]);
    assert_pattern(&map, 4 * PAGE);
}

#[test]
#[cfg(unix)] // Windows does not let a mapped file be truncated
fn a_file_that_has_shrunk_is_noticed_after_a_move() {
    let file = TempFile::new(&[5; 10 * PAGE]);
    let map = shared(&file, Protection::ReadWrite);
    map.resize(20 * PAGE as u64).unwrap();
    file.truncate(PAGE as u64);
    assert_eq!((View::of(&map).load(0), View::of(&map).load(15 * PAGE)), (5, 0));
    assert_eq!(map.collect()[0].kind, FaultKind::BeyondEnd);
}

#[test]
fn a_mapping_near_the_last_address_grows_elsewhere() {
    // Of a program of 32 bits on a kernel of 64, the system maps the first ones there.
    let map = Mapping::anonymous(PAGE as u64, false, &options(Protection::ReadWrite)).unwrap();
    View::of(&map).store(0, 7);
    map.resize(1 << 28).unwrap();
    assert_eq!((View::of(&map).load(0), View::of(&map).load((1 << 28) - 1)), (7, 0));
}

/// What no system has the addresses for.
const TOO_LONG: u64 = if usize::BITS < 64 { isize::MAX as u64 } else { isize::MAX as u64 / 2 };

#[test]
fn an_attempt_that_cannot_succeed_leaves_everything_as_it_was() {
    each_kind(3 * PAGE, |name, map| {
        let address = map.address();
        for huge in [TOO_LONG, i64::MAX as u64, u64::MAX] {
            assert!(map.resize(huge).is_err(), "{name}");
        }
        assert_eq!((map.len(), map.address()), (3 * PAGE, address));
        assert_pattern(&map, 3 * PAGE);
        map.close();
        assert_eq!(map.resize(1), Err(Error::Closed));
    });
}

#[test]
#[cfg(target_os = "linux")]
fn a_sync_under_way_writes_what_a_resize_cuts_off() {
    use std::os::fd::AsRawFd;
    let file = TempFile::new(&[5; 10 * PAGE]);
    let map = shared(&file, Protection::ReadWrite);
    let sync = map.sync(0..10 * PAGE, false).unwrap();
    map.resize(5 * PAGE as u64).unwrap();
    // What msync does not find any more is the file's, which must be asked, as a pipe refuses.
    let fd = map.file().unwrap().as_raw_fd();
    let mut pipe = [0; 2];
    // SAFETY: `pipe` has room for two descriptors.
    assert_eq!(unsafe { libc::pipe(pipe.as_mut_ptr()) }, 0);
    // SAFETY: the mapping's descriptor is replaced by one that it may close too.
    assert_eq!(unsafe { libc::dup2(pipe[0], fd) }, fd);
    assert!(matches!(sync.run(), Err(Error::Os { syscall: "fsync", .. })));
    for end in pipe {
        // SAFETY: the descriptors were made above.
        unsafe { libc::close(end) };
    }
}

#[test]
fn many_small_steps_need_few_memory_areas() {
    each_kind(PAGE, |name, map| {
        if name == "private" {
            return;
        }
        let keys: Vec<_> = (2..=5000usize)
            .map(|pages| {
                map.resize((pages * PAGE) as u64).unwrap();
                View::of(&map).store(pages * PAGE - 1, pattern(pages * PAGE - 1));
                map.key().unwrap()
            })
            .collect();
        for pages in 2..=5000usize {
            assert_eq!(View::of(&map).load(pages * PAGE - 1), pattern(pages * PAGE - 1), "{name}");
        }
        #[cfg(target_os = "linux")]
        {
            let (start, end) = (map.address().unwrap(), map.address().unwrap() + map.len());
            let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
            let areas = maps.lines().filter(|line| {
                let first = line.split('-').next().unwrap();
                (start..end).contains(&usize::from_str_radix(first, 16).unwrap())
            });
            assert!(areas.count() < 40, "{name}");
        }
        drop(keys);
    });
}

#[test]
fn huge_pages_are_had_or_refused_with_a_reason() {
    let huge = |size| Options { huge: HugePages::Explicit(size), ..options(Protection::ReadWrite) };
    for size in [0, 1, PAGE, 3 << 20] {
        assert!(Mapping::anonymous(1, false, &huge(size)).is_err(), "{size}");
    }
    match Mapping::anonymous(100, false, &huge(2 << 20)) {
        Ok(map) => {
            fill(&map);
            assert_pattern(&map, 100);
            assert!(matches!(map.resize(200), Err(Error::Unsupported(_))));
        }
        Err(Error::Os { detail: Some(why), .. }) => assert!(why.contains("huge pages"), "{why}"),
        Err(Error::Unsupported(_)) if cfg!(not(target_os = "linux")) => {}
        Err(other) => assert_eq!(other.to_string(), ""),
    }
    let options = Options { huge: HugePages::Transparent, ..options(Protection::ReadWrite) };
    let map = Mapping::anonymous(4 << 20, false, &options).unwrap();
    fill(&map);
    assert_pattern(&map, 4 << 20);
}

#[test]
#[cfg(target_os = "linux")]
fn what_a_mapping_loses_is_not_protected_by_another_thread_at_that_moment() {
    let long = 64 * PAGE;
    let map = anonymous(long);
    let start = map.address().unwrap();
    let is_over = std::sync::atomic::AtomicBool::new(false);
    let over = || is_over.load(std::sync::atomic::Ordering::Relaxed);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over() {
                let protected = map.protect(0..long, Protection::ReadWrite);
                assert!(
                    matches!(protected, Ok(()) | Err(Error::OutOfRange { .. })),
                    "{protected:?}"
                );
                std::thread::yield_now(); // or this thread has the lock all the time
            }
        });
        let mut readable = 0;
        let begun = std::time::Instant::now();
        while begun.elapsed() < std::time::Duration::from_secs(1) {
            map.resize(long as u64).unwrap();
            map.resize(PAGE as u64).unwrap();
            std::thread::yield_now();
            let mut byte = 0u8;
            let local = libc::iovec { iov_base: (&raw mut byte).cast(), iov_len: 1 };
            let remote = libc::iovec { iov_base: (start + 2 * PAGE) as *mut _, iov_len: 1 };
            let own = std::process::id() as i32;
            // SAFETY: `byte` is one; what cannot be read is an error return.
            readable += unsafe { libc::process_vm_readv(own, &local, 1, &remote, 1, 0) }.max(0);
        }
        is_over.store(true, std::sync::atomic::Ordering::Relaxed);
        assert_eq!(readable, 0);
    });
    assert_eq!(map.address(), Some(start));
}
