//! What is special about mappings on Windows.
#![cfg(windows)]
#![allow(missing_docs, clippy::panic, clippy::unwrap_used)]

mod common;

use common::{EACCES, PAGE, TempFile, View, WHOLE, is_mapped, options, private, query, shared};
use memory_map::{Error, FaultKind, FileOptions, Mapping, Protection, Source};
use windows_sys::Win32::Foundation::*;
use windows_sys::Win32::System::Diagnostics::Debug::RaiseException;
use windows_sys::Win32::System::Memory::*;

const GRANULARITY: usize = 64 << 10;

fn code(error: Option<Error>) -> u32 {
    match error {
        Some(Error::Os { errno, .. }) => errno as u32,
        other => panic!("{other:?}"),
    }
}

/// Has the handler see what the system raises when a page of a file cannot be read.
fn fail_to_read(address: usize) {
    const CONTINUABLE: u32 = 0;
    let parameters = [0, address, 0xC000_009C]; // a load; STATUS_DEVICE_DATA_ERROR
    // SAFETY: the parameters are as many as said. The guard has to swallow the exception.
    unsafe {
        RaiseException(EXCEPTION_IN_PAGE_ERROR as u32, CONTINUABLE, 3, parameters.as_ptr());
    }
}

#[test]
fn an_offset_inside_the_granularity_is_hidden() {
    let bytes: Vec<u8> = (0..3 * GRANULARITY).map(|i| (i % 251) as u8).collect();
    let file = TempFile::new(&bytes);
    let offset = 2 * GRANULARITY - 5;
    let part = FileOptions { offset: offset as u64, length: Some(100), ..WHOLE };
    let map = Mapping::shared(Source::Path(&file.0), &part, &options(Protection::Read)).unwrap();
    assert_eq!(
        (map.page_offset(), memory_map::allocation_granularity()),
        (GRANULARITY - 5, GRANULARITY)
    );
    let view = View::of(&map);
    assert!((0..100).all(|at| view.load(at) == bytes[offset + at]));
}

#[test]
fn every_protection_is_what_the_system_gets() {
    // The file is not open for execution, so only memory can have that.
    let file = TempFile::new(&[7; PAGE]);
    let cases = [
        (Protection::None, PAGE_NOACCESS),
        (Protection::Read, PAGE_READONLY),
        (Protection::ReadWrite, PAGE_READWRITE),
        (Protection::ReadExecute, PAGE_EXECUTE_READ),
        (Protection::ReadWriteExecute, PAGE_EXECUTE_READWRITE),
    ];
    for (protection, flags) in cases {
        let memory = Mapping::anonymous(PAGE as u64, false, &options(protection)).unwrap();
        assert_eq!(query(memory.address().unwrap()).Protect, flags);
        if protection.executable() {
            continue;
        }
        assert_eq!(query(shared(&file, protection).address().unwrap()).Protect, flags);
        let copy = private(&file, protection);
        let expected = if protection.writable() { PAGE_WRITECOPY } else { flags };
        assert_eq!(query(copy.address().unwrap()).Protect, expected);
        copy.protect(0..PAGE, Protection::ReadWrite).unwrap();
        View::of(&copy).store(0, 1);
        assert_eq!(file.contents()[0], 7);
        assert!(copy.collect().is_empty());
    }
}

#[test]
fn a_view_is_made_again_where_it_must_grant_more() {
    use std::os::windows::io::IntoRawHandle;
    let file = TempFile::new(&[7; 4 * PAGE]);
    let create = FileOptions { create: Some(0o666), ..WHOLE };
    // `create` opens the file for writing, whatever the protection.
    let map = Mapping::shared(Source::Path(&file.0), &create, &options(Protection::Read)).unwrap();
    let view = View::of(&map);
    map.protect(PAGE..2 * PAGE, Protection::ReadWrite).unwrap();
    view.store(PAGE, 1);
    assert!(map.collect().is_empty());
    assert_eq!((file.contents()[PAGE], view.load(0)), (1, 7));
    assert_eq!(query(map.address().unwrap()).Protect, PAGE_READONLY);
    // A handle that is open for reading only has nothing more to grant.
    let read_only = shared(&file, Protection::Read);
    let error = read_only.protect(0..PAGE, Protection::ReadWrite);
    assert!(
        matches!(error, Err(Error::Os { errno: EACCES, syscall: "mprotect", .. })),
        "{error:?}"
    );
    assert_eq!(View::of(&read_only).load(PAGE), 1);
    let _ = std::fs::File::open(&file.0).unwrap().into_raw_handle();
}

#[test]
fn what_cannot_be_mapped_says_why() {
    let try_path = |path: &str| {
        Mapping::shared(Source::Path(path.as_ref()), &WHOLE, &options(Protection::Read)).err()
    };
    assert_eq!(code(try_path("C:\\nonexistent")), ERROR_FILE_NOT_FOUND);
    assert_eq!(code(try_path("C:\\")), ERROR_DIRECTORY_NOT_SUPPORTED);
    assert_eq!(code(try_path("NUL")), ERROR_BAD_DEV_TYPE);
    assert_eq!(code(try_path("\\\\.\\pipe\\no-such-pipe")), ERROR_BAD_DEV_TYPE);
    let huge = Mapping::anonymous(1 << 62, false, &options(Protection::ReadWrite)).err();
    assert!(matches!(huge, Some(Error::Os { syscall: "mmap", .. })));
    // This program is not built on libuv, and nobody but it knows its descriptors.
    let by_fd = Mapping::shared(Source::Fd(0), &WHOLE, &options(Protection::Read)).err();
    assert!(matches!(by_fd, Some(Error::Unsupported(_))));
    let memory = Mapping::anonymous(1, true, &options(Protection::ReadWrite)).err();
    assert!(matches!(memory, Some(Error::Unsupported(_))));
}

#[test]
fn a_page_that_cannot_be_read_is_zeros_until_it_can() {
    let file = TempFile::new(&[7; 4 * PAGE + 10]);
    for protection in [Protection::Read, Protection::ReadWrite] {
        let map = shared(&file, protection);
        let view = View::of(&map);
        assert_eq!(view.load(2 * PAGE), 7);
        fail_to_read(map.address().unwrap() + 2 * PAGE);
        assert_eq!((map.faults(), view.load(2 * PAGE), view.load(4 * PAGE)), (1, 0, 0));
        view.store(2 * PAGE, 9);
        assert_eq!((map.faults(), view.load(2 * PAGE)), (1, 9));
        let faults = map.collect();
        assert_eq!(faults.len(), 1);
        assert_eq!((faults[0].kind, faults[0].contained), (FaultKind::Io, true));
        // Zeros lay over all of it: there is no view of a part.
        assert_eq!((faults[0].offset, faults[0].length), (0, 4 * PAGE + 10));
        assert_eq!((view.load(2 * PAGE), view.load(4 * PAGE + 9)), (7, 7));
    }
    assert!(file.contents().iter().all(|byte| *byte == 7));
}

#[test]
fn memory_that_is_granted_can_be_used() {
    // More than most machines can promise, and this system promises no more than it has.
    match Mapping::anonymous(1 << 40, false, &options(Protection::ReadWrite)) {
        Ok(map) => {
            assert_eq!(query(map.address().unwrap()).State, MEM_COMMIT);
            assert_eq!((View::of(&map).load(0), map.faults()), (0, 0));
        }
        error => {
            let codes = [ERROR_NOT_ENOUGH_MEMORY, ERROR_COMMITMENT_LIMIT];
            assert!(codes.contains(&code(error.err())));
        }
    }
}

#[test]
fn a_store_to_one_read_only_page_of_memory_is_undone() {
    let map = Mapping::anonymous(4 * PAGE as u64, false, &options(Protection::Read)).unwrap();
    let view = View::of(&map);
    view.store(PAGE, 1);
    assert_eq!((view.load(PAGE), map.faults()), (1, 1));
    assert!(map.collect()[0].contained);
    assert_eq!((view.load(PAGE), query(map.address().unwrap() + PAGE).Protect), (0, PAGE_READONLY));
}

#[test]
fn a_closed_file_is_free_while_a_key_is_out() {
    let file = TempFile::new(&[7; 4 * PAGE]);
    let map = shared(&file, Protection::ReadWrite);
    let (address, view) = (map.address().unwrap(), View::of(&map));
    let set_len =
        |size| std::fs::OpenOptions::new().write(true).open(&file.0).unwrap().set_len(size);
    assert_eq!(set_len(1).unwrap_err().raw_os_error(), Some(ERROR_USER_MAPPED_FILE as i32));
    let key = map.key().unwrap();
    map.close();
    set_len(1).unwrap();
    assert!(is_mapped(address) && is_mapped(address + 3 * PAGE));
    assert_eq!((view.load(0), view.load(3 * PAGE)), (0, 0));
    view.store(PAGE, 5);
    assert_eq!((view.load(PAGE), file.contents().len()), (5, 1));
    drop(key);
    assert!(!is_mapped(address));
}

#[test]
fn a_mapped_file_can_be_renamed_and_written_by_others() {
    let file = TempFile::new(&[7; PAGE]);
    let map = shared(&file, Protection::ReadWrite);
    std::fs::write(&file.0, [8; PAGE]).unwrap_err(); // it truncates first
    use std::os::windows::fs::FileExt;
    let other = std::fs::OpenOptions::new().write(true).open(&file.0).unwrap();
    other.seek_write(&[8; 3], 5).unwrap();
    assert_eq!((View::of(&map).load(5), View::of(&map).load(8)), (8, 7));
    let moved = file.0.with_extension("moved");
    std::fs::rename(&file.0, &moved).unwrap();
    std::fs::rename(&moved, &file.0).unwrap();
}

#[test]
fn a_load_while_pages_are_put_back_is_no_fault() {
    use std::sync::atomic::{AtomicBool, Ordering};
    let file = TempFile::new(&[7; 16 * PAGE]);
    let map = shared(&file, Protection::Read);
    let (view, stop) = (View::of(&map), AtomicBool::new(false));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let mut loads = (1..16).map(|page| view.load(page * PAGE));
                    // Wine lets zeros be read in a placeholder until the file is in it.
                    assert!(loads.all(|byte| byte == 7 || (byte == 0 && is_wine())));
                }
            });
        }
        let told = || {
            view.store(0, 1);
            (map.collect().len(), map.collect().len())
        };
        let wrong: Vec<_> = (0..500).map(|_| told()).filter(|told| *told != (1, 0)).collect();
        stop.store(true, Ordering::Relaxed);
        assert!(wrong.is_empty(), "{wrong:?}");
    });
}

/// Wine makes no part of a shared view copy-on-write: stores would reach the file.
fn is_wine() -> bool {
    use windows_sys::Win32::System::LibraryLoader::{GetModuleHandleW, GetProcAddress};
    // SAFETY: the strings end in 0, and the module is always loaded.
    unsafe {
        let module = GetModuleHandleW(windows_sys::w!("ntdll.dll"));
        GetProcAddress(module, c"wine_get_version".as_ptr().cast()).is_some()
    }
}

#[test]
fn a_store_to_a_read_only_page_among_writable_ones_is_undone() {
    if is_wine() {
        return;
    }
    let file = TempFile::new(&[7; 4 * PAGE]);
    for (protection, visible) in [(Protection::Read, 7), (Protection::None, 0)] {
        let map = shared(&file, Protection::ReadWrite);
        let view = View::of(&map);
        map.protect(PAGE..2 * PAGE, protection).unwrap();
        view.store(2 * PAGE, 1);
        view.store(PAGE, 9);
        assert_eq!((map.faults(), view.load(PAGE), view.load(PAGE + 1)), (1, 9, visible));
        let faults = map.collect();
        assert_eq!((faults.len(), faults[0].kind), (1, FaultKind::Protection));
        assert!(faults[0].contained);
        map.protect(PAGE..2 * PAGE, Protection::Read).unwrap();
        assert_eq!((view.load(PAGE), view.load(2 * PAGE)), (7, 1));
        assert_eq!((file.contents()[PAGE], file.contents()[2 * PAGE]), (7, 1));
    }
}

fn named(name: &str, exclusive: bool, length: u64, create: bool) -> Result<Mapping, Error> {
    let file =
        FileOptions { length: create.then_some(length), create: create.then_some(0o600), ..WHOLE };
    let source = Source::Memory { name, exclusive, temporary: false, length };
    Mapping::shared(source, &file, &options(Protection::ReadWrite))
}

#[test]
fn memory_with_a_name_is_everybodys_until_the_last_lets_go() {
    let name = format!("/mm-rust-{}", std::process::id());
    assert_eq!(code(named(&name, false, 0, false).err()), ERROR_FILE_NOT_FOUND);
    let one = named(&name, true, 100, true).unwrap();
    assert_eq!(code(named(&name, true, 100, true).err()), ERROR_ALREADY_EXISTS);
    let two = named(&name, false, 0, false).unwrap();
    assert_eq!((one.len(), two.len()), (100, PAGE));
    View::of(&one).store(5, 3);
    assert_eq!((View::of(&two).load(5), View::of(&two).load(6)), (3, 0));
    one.sync(0..100, false).unwrap().run().unwrap();
    memory_map::unlink_memory(&name).unwrap();
    one.close();
    let three = named(&name, false, 10, true).unwrap();
    assert_eq!((three.len(), View::of(&three).load(5)), (10, 3));
    two.close();
    three.close();
    assert_eq!(code(named(&name, false, 0, false).err()), ERROR_FILE_NOT_FOUND);
}

#[test]
fn memory_with_a_name_stays_as_long_as_it_was_made() {
    let name = format!("mm-rust-long-{}", std::process::id());
    let map = named(&name, true, 2 * PAGE as u64, true).unwrap();
    View::of(&map).store(2 * PAGE - 1, 7);
    let more = named(&name, false, 3 * PAGE as u64, true).err();
    assert!(matches!(more, Some(Error::Unsupported(_))), "{more:?}");
    let more = map.resize(3 * PAGE as u64);
    assert!(matches!(more, Err(Error::Unsupported(_))), "{more:?}");
    assert_eq!((map.len(), View::of(&map).load(2 * PAGE - 1)), (2 * PAGE, 7));
    map.resize(10).unwrap();
    map.resize(2 * PAGE as u64).unwrap();
    assert_eq!(View::of(&map).load(2 * PAGE - 1), 7);
}

#[test]
fn a_store_to_read_only_memory_with_a_name_is_undone() {
    let name = format!("mm-rust-read-{}", std::process::id());
    let map = named(&name, true, PAGE as u64, true).unwrap();
    View::of(&map).store(0, 7);
    let source = Source::Memory { name: &name, exclusive: false, temporary: false, length: 0 };
    let reader = Mapping::shared(source, &WHOLE, &options(Protection::Read)).unwrap();
    let view = View::of(&reader);
    view.store(0, 1);
    assert_eq!((view.load(0), View::of(&map).load(0), reader.faults()), (1, 7, 1));
    let faults = reader.collect();
    assert_eq!(
        (faults.len(), faults[0].kind, faults[0].contained),
        (1, FaultKind::Protection, true)
    );
    assert_eq!(view.load(0), 7);
    let stronger = reader.protect(0..PAGE, Protection::ReadWrite);
    assert!(matches!(stronger, Err(Error::Os { errno: EACCES, .. })), "{stronger:?}");
}

#[test]
fn a_name_of_something_else_is_taken() {
    use windows_sys::Win32::System::Threading::CreateEventW;
    let name = format!("mm-rust-event-{}", std::process::id());
    let wide: Vec<u16> = format!("Local\\{name}\0").encode_utf16().collect();
    // SAFETY: the name ends in 0. The event goes with the process.
    assert!(!unsafe { CreateEventW(std::ptr::null(), 1, 0, wide.as_ptr()) }.is_null());
    for create in [true, false] {
        assert_eq!(code(named(&name, false, 1, create).err()), ERROR_ALREADY_EXISTS);
    }
}
