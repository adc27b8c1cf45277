//! What a mapping is: where its bytes come from and go to, and when its addresses are given back.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

#[cfg(unix)]
use std::os::fd::AsRawFd;

use common::{
    EACCES, PAGE, TempFile, View, WHOLE, alone, is_mapped, options, private, shared, try_shared,
};
use memory_map::{Error, FileOptions, Kind, Mapping, Options, Protection, Result, Source};

/// Large enough that memory which the process allocates meanwhile, and the system puts at the top of a gap, does not use
/// its first page again.
const LARGE: u64 = 1 << if usize::BITS < 64 { 28 } else { 30 };
/// What no system has the memory or the addresses for four times, although a `usize` can count it.
#[cfg(unix)]
const TOO_LONG: u64 = 1 << (usize::BITS - 2);

#[test]
fn shared_stores_reach_the_file_and_private_ones_do_not() {
    let file = TempFile::new(&[1; 3 * PAGE]);
    let (a, b) = (shared(&file, Protection::ReadWrite), private(&file, Protection::ReadWrite));
    View::of(&b).store(5, 3);
    View::of(&a).store(6, 2);
    assert_eq!((file.contents()[5], file.contents()[6]), (1, 2));
    assert_eq!((View::of(&a).load(5), View::of(&b).load(5)), (1, 3));
    assert_eq!((a.kind(), b.kind()), (Kind::Shared, Kind::Private));
}

#[test]
fn any_offset_and_length_is_exact() {
    let bytes: Vec<u8> = (0..5 * PAGE).map(|i| (i % 251) as u8).collect();
    let file = TempFile::new(&bytes);
    for (offset, length) in [(0, 1), (1, PAGE), (PAGE - 1, 2), (PAGE, 4 * PAGE), (12345, 777)] {
        let part = FileOptions { offset: offset as u64, length: Some(length as u64), ..WHOLE };
        let map =
            Mapping::shared(Source::Path(&file.0), &part, &options(Protection::Read)).unwrap();
        assert_eq!((map.len(), map.offset()), (length, offset as u64));
        let mut copy = vec![0; length];
        map.read(0, &mut copy).unwrap();
        assert_eq!(copy, bytes[offset..][..length]);
        assert_eq!(View::of(&map).load(length - 1), bytes[offset + length - 1]);
        assert!(matches!(map.read(1, &mut copy), Err(Error::OutOfRange { .. })));
    }
}

#[test]
fn empty_files_map_and_longer_ones_do_not() {
    let file = TempFile::new(b"");
    let map = shared(&file, Protection::Read);
    assert!(map.is_empty() && map.file().is_some() && map.address().is_none());
    map.read(0, &mut []).unwrap();
    map.protect(0..0, Protection::None).unwrap();
    map.sync(0..0, false).unwrap().run().unwrap();
    let part = FileOptions { length: Some(1), ..WHOLE };
    let beyond = Mapping::shared(Source::Path(&file.0), &part, &options(Protection::Read)).err();
    assert_eq!(beyond, Some(Error::BeyondEnd { end: 1, size: 0 }));
    let part = FileOptions { offset: 1, ..WHOLE };
    let beyond = Mapping::shared(Source::Path(&file.0), &part, &options(Protection::Read)).err();
    assert_eq!(beyond, Some(Error::BeyondEnd { end: 1, size: 0 }));
}

#[test]
fn create_extends_and_never_shrinks() {
    let file = TempFile::new(&[1; 100]);
    for (offset, length, size) in [(0, 10, 100), (50, 100, 150), (5000, 1, 5001)] {
        let part = FileOptions {
            offset,
            length: Some(length),
            create: Some(0o600),
            allocate: true,
            ..FileOptions::default()
        };
        let map =
            Mapping::shared(Source::Path(&file.0), &part, &options(Protection::ReadWrite)).unwrap();
        assert_eq!((file.contents().len(), map.len() as u64), (size, length));
    }
    assert_eq!(file.contents()[..100], [1; 100]);
}

#[test]
fn what_no_address_can_reach_is_refused_before_the_file_grows() {
    let file = TempFile::new(&[1; 100]);
    let length = isize::MAX as u64;
    let part = FileOptions { length: Some(length), create: Some(0o600), ..WHOLE };
    let write = options(Protection::ReadWrite);
    let is_too_large = |error| matches!(error, Some(Error::TooLarge { .. }));
    assert!(is_too_large(Mapping::shared(Source::Path(&file.0), &part, &write).err()));
    assert!(is_too_large(Mapping::anonymous(length, false, &write).err()));
    assert_eq!(file.contents(), [1; 100]);
    let map = shared(&file, Protection::ReadWrite);
    assert!(is_too_large(map.resize(length).err()));
    assert_eq!(file.contents(), [1; 100]);
}

#[test]
#[cfg(unix)] // see windows.rs
fn what_cannot_be_mapped_says_why() {
    let errno = |error: Option<Error>| match error {
        Some(Error::Os { errno, .. }) => errno,
        _ => 0,
    };
    let try_path = |path: &str| {
        Mapping::shared(Source::Path(path.as_ref()), &WHOLE, &options(Protection::Read)).err()
    };
    let try_fd = |fd| Mapping::shared(Source::Fd(fd), &WHOLE, &options(Protection::Read)).err();
    assert_eq!(errno(try_path("/nonexistent")), libc::ENOENT);
    assert_eq!(errno(try_path("/")), libc::EISDIR);
    assert_eq!(errno(try_fd(-1)), libc::EBADF);
    assert_eq!(errno(try_fd(999_999)), libc::EBADF);
    let (pipe, _other_end) = nix::unistd::pipe().unwrap();
    assert_eq!(errno(try_fd(pipe.as_raw_fd())), libc::ENODEV);
    assert_eq!(errno(try_path("/dev/null")), libc::ENODEV);
    assert!(matches!(try_path("/dev/zero"), Some(Error::Missing { name: "length", .. })));
    let map_huge = |_| Mapping::anonymous(TOO_LONG, false, &options(Protection::ReadWrite));
    let huge: Result<Vec<_>> = (0..4).map(map_huge).collect();
    assert_eq!(errno(huge.err()), libc::ENOMEM);
}

#[test]
#[cfg(unix)] // see windows.rs
fn a_descriptor_stays_the_callers() {
    let file = TempFile::new(&[7; PAGE]);
    let open = std::fs::File::open(&file.0).unwrap();
    let map =
        Mapping::shared(Source::Fd(open.as_raw_fd()), &WHOLE, &options(Protection::Read)).unwrap();
    assert_ne!(map.file().unwrap().as_raw_fd(), open.as_raw_fd());
    drop(open);
    assert_eq!(View::of(&map).load(0), 7);
}

#[test]
#[cfg(target_os = "linux")] // see windows.rs
fn every_protection_is_what_the_system_gets() {
    let file = TempFile::new(&[7; PAGE]);
    let cases = [
        (Protection::None, "---"),
        (Protection::Read, "r--"),
        (Protection::ReadWrite, "rw-"),
        (Protection::ReadExecute, "r-x"),
        (Protection::ReadWriteExecute, "rwx"),
    ];
    for (protection, bits) in cases {
        for map in [
            shared(&file, protection),
            private(&file, protection),
            Mapping::anonymous(PAGE as u64, false, &options(protection)).unwrap(),
            Mapping::anonymous(PAGE as u64, true, &options(protection)).unwrap(),
        ] {
            let sharing = match map.kind() {
                Kind::Private => 'p',
                Kind::Anonymous if map.file().is_none() => 'p',
                _ => 's',
            };
            let start = format!("{:x}-", map.address().unwrap());
            let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
            let line = maps.lines().find(|line| line.starts_with(&start));
            // A neighbour of the same kind is shown as one area with it.
            if let Some(line) = line {
                assert_eq!(line.split(' ').nth(1).unwrap(), format!("{bits}{sharing}"), "{line}");
            }
            assert_eq!(map.protection(), protection);
        }
    }
}

#[test]
fn write_asks_the_protection_of_every_page() {
    let map = Mapping::anonymous(3 * PAGE as u64, false, &options(Protection::ReadWrite)).unwrap();
    map.protect(PAGE..2 * PAGE, Protection::Read).unwrap();
    map.write(&[1; 10], PAGE - 10).unwrap();
    assert_eq!(map.write(&[1; 11], PAGE - 10), Err(Error::NotWritable));
    assert_eq!(map.write(&[1], 2 * PAGE - 1), Err(Error::NotWritable));
    map.write(&[1], 2 * PAGE).unwrap();
    assert!(matches!(map.protect(1..PAGE, Protection::Read), Err(Error::OutOfRange { .. })));
    assert!(matches!(map.protect(0..PAGE + 1, Protection::Read), Err(Error::OutOfRange { .. })));
    assert_eq!(map.faults(), 0);
}

#[test]
fn a_file_that_is_not_open_for_writing_cannot_be_made_writable() {
    let file = TempFile::new(&[7; PAGE]);
    let map = shared(&file, Protection::Read);
    let error = map.protect(0..PAGE, Protection::ReadWrite);
    assert!(matches!(error, Err(Error::Os { errno: EACCES, syscall: "mprotect", .. })));
    assert_eq!(map.protection(), Protection::Read);
    assert_eq!(map.write(&[1], 0), Err(Error::NotWritable));
}

#[test]
fn closing_gives_the_addresses_back_only_without_keys() {
    alone("closing_gives_the_addresses_back_only_without_keys", || {
        let file = TempFile::sparse(LARGE);
        let map = shared(&file, Protection::ReadWrite);
        let address = map.address().unwrap();
        let (first, second) = (map.key().unwrap(), map.key().unwrap());
        let view = View::of(&map);
        map.close();
        map.close();
        assert!(map.is_closed() && map.file().is_none() && map.address().is_none());
        assert!(is_mapped(address));
        drop(first);
        assert!(is_mapped(address));
        assert_eq!(view.load(0), 0);
        drop(second);
        assert!(!is_mapped(address));
        assert_eq!(map.key().err(), Some(Error::Closed));
    });
}

#[test]
fn addresses_can_be_given_back_together_and_not_before() {
    alone("addresses_can_be_given_back_together_and_not_before", || {
        let maps = [0, 1, 2].map(|_| shared(&TempFile::sparse(LARGE), Protection::Read));
        let addresses = maps.each_ref().map(|map| map.address().unwrap());
        let keys = maps.each_ref().map(|map| map.key().unwrap());
        maps.iter().for_each(|map| drop(map.close()));
        memory_map::unmap_together(|| {
            memory_map::unmap_together(|| drop(keys));
            assert!(addresses.iter().all(|address| is_mapped(*address)));
        });
        assert!(!addresses.iter().any(|address| is_mapped(*address)));
    });
}

#[test]
fn a_key_kept_for_good_keeps_the_addresses_and_nothing_else() {
    let file = TempFile::new(&[7; 4 * PAGE]);
    let map = shared(&file, Protection::ReadWrite);
    let view = View::of(&map);
    map.key().unwrap().keep_for_good();
    assert_eq!(view.load(0), 7); // another thread may have the mapping
    map.close();
    assert_eq!(view.load(0), 0);
    view.store(3 * PAGE, 1);
    assert_eq!((view.load(3 * PAGE), file.contents()[3 * PAGE]), (1, 7));
}

#[test]
#[cfg(unix)]
fn a_key_takes_pages_out_of_a_closed_mapping_only_if_its_addresses_were_used() {
    let map = shared(&TempFile::new(&[7; 4 * PAGE]), Protection::ReadWrite);
    let (view, key) = (View::of(&map), map.key().unwrap());
    map.close();
    let (start, writable) = (key.start() as *mut _, libc::PROT_READ | libc::PROT_WRITE);
    // SAFETY: the key keeps the addresses, and no one uses them.
    assert_eq!(unsafe { libc::mprotect(start, PAGE, writable) }, 0);
    view.store(0, 1); // which the guard does not see
    key.retire();
    assert_eq!(view.load(0), 1);
    assert_eq!(view.load(PAGE), 0);
    key.retire();
    assert_eq!(view.load(0), 0);
}

#[test]
fn sync_reaches_the_file_also_after_close() {
    let file = TempFile::new(&[7; 4 * PAGE]);
    let map = shared(&file, Protection::ReadWrite);
    View::of(&map).store(PAGE, 1);
    let sync = map.sync(0..map.len(), false).unwrap();
    map.close();
    sync.run().unwrap();
    assert_eq!(file.contents()[PAGE], 1);
    assert_eq!(map.sync(0..0, false).err(), Some(Error::Closed));
    let copy = private(&file, Protection::ReadWrite);
    assert_eq!(copy.sync(0..PAGE, false).err(), Some(Error::NotShared));
}

/// What proc_pid_smaps(5) says of the mapping's pages under names that begin so, in bytes.
#[cfg(target_os = "linux")]
fn smaps(map: &Mapping, names: &[&str]) -> usize {
    let smaps = std::fs::read_to_string("/proc/self/smaps").unwrap();
    let area = format!("{:x}-", map.address().unwrap());
    let lines = smaps.lines().skip_while(|line| !line.starts_with(&area)).skip(1);
    lines
        .take_while(|line| !line.starts_with("VmFlags"))
        .filter(|line| names.iter().any(|name| line.starts_with(name)))
        .map(|line| line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() << 10)
        .sum()
}

/// Bytes of the mapping's loaded pages that are not on disk yet.
#[cfg(target_os = "linux")]
fn dirty(map: &Mapping) -> usize {
    smaps(map, &["Shared_Dirty", "Private_Dirty"])
}

fn byte(map: &Mapping, at: usize) -> Result<u8> {
    let mut bytes = [0];
    map.read(at, &mut bytes).map(|()| bytes[0])
}

/// More reads than are made of the file before the pages are loaded.
const MANY_READS: u8 = 20;

#[test]
#[cfg(target_os = "linux")]
fn pages_are_loaded_only_where_more_is_read_than_a_little() {
    let file = TempFile::new(&[7; 3 * PAGE]);
    let device = std::os::unix::fs::MetadataExt::dev(&std::fs::metadata(&file.0).unwrap());
    if libc::major(device as libc::dev_t) == 0 {
        return; // no file is read where its file system is on no block device
    }
    for map in [shared(&file, Protection::Read), private(&file, Protection::Read)] {
        let loaded = || smaps(&map, &["Rss"]);
        assert_eq!(byte(&map, PAGE), Ok(7));
        assert_eq!(loaded(), 0);
        (0..MANY_READS).for_each(|_| assert_eq!(byte(&map, PAGE), Ok(7)));
        assert_ne!(loaded(), 0);
    }
    let filled = Options { populate: true, ..options(Protection::Read) };
    let map = Mapping::shared(Source::Path(&file.0), &WHOLE, &filled).unwrap();
    assert_ne!(smaps(&map, &["Rss"]), 0);
}

#[test]
fn each_read_sees_what_was_stored_before_it() {
    let file = TempFile::new(&[0; 2 * PAGE]);
    let from = FileOptions { offset: 100, ..WHOLE };
    let map = Mapping::shared(Source::Path(&file.0), &from, &options(Protection::Read)).unwrap();
    let writer = shared(&file, Protection::ReadWrite);
    let own = private(&file, Protection::ReadWrite);
    for stored in 1..MANY_READS {
        View::of(&writer).store(PAGE, stored);
        assert_eq!(byte(&map, PAGE - 100), Ok(stored));
        View::of(&own).store(PAGE, 100 + stored);
        assert_eq!(byte(&own, PAGE), Ok(100 + stored));
    }
}

#[test]
#[cfg(unix)] // Windows truncates no file that is mapped, and in Wine a part of a view cannot be forbidden.
fn a_first_read_has_what_only_the_pages_have() {
    let file = TempFile::new(&[1; 2 * PAGE]);
    let map = private(&file, Protection::Read);
    map.protect(0..PAGE, Protection::ReadWrite).unwrap();
    View::of(&map).store(5, 2);
    map.protect(0..PAGE, Protection::Read).unwrap();
    assert_eq!(byte(&map, 5), Ok(2));

    let map = shared(&file, Protection::Read);
    map.protect(PAGE..2 * PAGE, Protection::None).unwrap();
    assert!(matches!(byte(&map, PAGE), Err(Error::Fault(_))));
    assert_eq!(byte(&map, 0), Ok(1));

    let map = shared(&file, Protection::Read);
    file.truncate(PAGE as u64);
    assert!(matches!(byte(&map, PAGE), Err(Error::Fault(_))));
    assert_eq!(byte(&map, PAGE - 1), Ok(1));
}

#[test]
#[cfg(unix)]
fn a_read_is_of_the_file_that_was_mapped_whatever_became_of_the_descriptor() {
    let (file, other) = (TempFile::new(&[1; PAGE]), TempFile::new(&[2; PAGE]));
    let (map, other) = (shared(&file, Protection::Read), shared(&other, Protection::Read));
    let descriptors = [&other, &map].map(|map| map.file().unwrap().as_raw_fd());
    // SAFETY: both are open, and the mapping's stays so.
    assert!(unsafe { libc::dup2(descriptors[0], descriptors[1]) } >= 0);
    assert_eq!(byte(&map, 0), Ok(1));
}

#[test]
#[cfg(target_os = "linux")]
fn sync_after_close_writes_the_pages_that_are_dirty() {
    // The system writes by itself, too, at times.
    let was_first = (0..100).any(|_| {
        let file = TempFile::sparse(LARGE);
        let map = shared(&file, Protection::ReadWrite);
        View::of(&map).store(PAGE, 1);
        let sync = map.sync(0..map.len(), false).unwrap();
        map.close();

        let dirty_bytes = || {
            let map = shared(&file, Protection::Read);
            assert_eq!(View::of(&map).load(PAGE), 1);
            dirty(&map)
        };
        let before = dirty_bytes();
        sync.run().unwrap();
        assert_eq!(dirty_bytes(), 0);
        before == PAGE
    });
    assert!(was_first);
}

#[test]
fn a_hint_is_followed_where_it_can_be() {
    let spare = Mapping::anonymous(16 * PAGE as u64, false, &options(Protection::None)).unwrap();
    let address = spare.address();
    spare.close();
    let near = Options { address, populate: true, ..options(Protection::ReadWrite) };
    let map = Mapping::anonymous(4 * PAGE as u64, false, &near).unwrap();
    View::of(&map).store(4 * PAGE - 1, 1);
    assert!(try_shared(&TempFile::new(&[7; 10]), Protection::Read).is_ok());
}
