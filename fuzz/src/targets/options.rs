//! What a mapping is asked to be, as the binding asks: what can be mapped is, as it was asked for; what
//! cannot be is refused, and leaves the file, the descriptors and the addresses as they were.

use std::ffi::OsString;
use std::path::PathBuf;

use memory_map::{
    Error, FileOptions, HugePages, Mapping, Options, Protection, Seals, ShareableOptions, Source,
    allocation_granularity, page_size, unlink_memory,
};

use super::{Input, Scratch};

/// More is not brought in and not reserved: the machine has other work.
const MOST: u64 = 4 << 20;

const PROTECTIONS: [Protection; 5] = [
    Protection::None,
    Protection::Read,
    Protection::ReadWrite,
    Protection::ReadExecute,
    Protection::ReadWriteExecute,
];

/// A number of JavaScript's.
fn number(input: &mut Input<'_>) -> f64 {
    match input.byte() % 8 {
        0 => f64::from_bits(input.word()),
        1 => -(input.number() as f64),
        2 => input.number() as f64 / 3.0,
        _ => input.number() as f64,
    }
}

pub fn run(data: &[u8]) {
    let mut input = Input(data);
    let (what, flags) = (input.byte(), input.byte());
    let (offset, length) = (number(&mut input), number(&mut input));
    let limited = |bytes: f64| bytes as u64 <= MOST;
    let mut options = Options {
        protection: PROTECTIONS[input.byte() as usize % PROTECTIONS.len()],
        populate: flags & 1 != 0 && limited(length),
        reserve: flags & 2 == 0,
        address: (flags & 4 != 0).then(|| input.size()),
        huge: HugePages::None,
        guard: flags & 8 == 0,
        owner: 0,
    };
    let seals = if flags & 128 == 0 { 0 } else { input.byte() };
    let seals = Seals { shrink: seals & 1 != 0, grow: seals & 2 != 0, write: seals & 4 != 0 };
    let file = FileOptions {
        offset: offset as u64,
        length: (length >= 0.0).then_some(length as u64),
        create: (flags & 16 != 0).then(|| input.number() as u32 & 0o777 | 0o600),
        allocate: flags & 32 != 0 && limited(offset) && limited(length),
        seals,
        close_file: flags & 64 != 0,
    };
    match what % 8 {
        0..4 => of_file(&mut input, what & 4 == 0, &file, &options),
        4 => of_odd_path(&mut input, &file, &options),
        5 => of_memory(&mut input, &file, &options),
        _ => {
            options.huge = match number(&mut input) as usize {
                0 => HugePages::None,
                1 => HugePages::Transparent,
                size => HugePages::Explicit(size),
            };
            let file = ShareableOptions { allocate: file.allocate, seals };
            without_file(length as u64, (what & 8 == 0).then_some(file), &options);
        }
    }
}

fn of_file(input: &mut Input<'_>, shared: bool, file: &FileOptions, options: &Options) {
    let before: Vec<u8> = (0..input.below(3 * page_size())).map(|at| at as u8).collect();
    let scratch = Scratch::new(&before);
    let size = before.len() as u64;
    let source = Source::Path(&scratch.0);
    let made = match shared {
        true => Mapping::shared(source, file, options),
        false => Mapping::private(source, file, options),
    };
    let end = file.length.map_or(Some(size), |length| file.offset.checked_add(length));
    let is_inside = file.offset <= size && end.is_some_and(|end| end <= size);
    let after = std::fs::metadata(&scratch.0).map_or(u64::MAX, |file| file.len());
    match made {
        Ok(map) => {
            let length = file.length.unwrap_or(size.saturating_sub(file.offset));
            assert!(is_inside || file.create.is_some(), "{size} {file:?}");
            assert_eq!(file.seals, Seals::default(), "a file has none");
            assert_eq!((map.len() as u64, map.offset()), (length, file.offset));
            let page_offset = file.offset % allocation_granularity() as u64;
            assert_eq!(map.page_offset() as u64, if length == 0 { 0 } else { page_offset });
            assert_eq!(map.protection(), options.protection);
            assert_eq!(after, if length == 0 { after } else { size.max(file.offset + length) });
            let mut bytes = vec![1; map.len().min(2 * page_size())];
            let read = map.read(0, &mut bytes);
            if options.protection.readable() {
                assert_eq!(read, Ok(()));
                let start =
                    usize::try_from(file.offset).map_or(before.len(), |at| at.min(before.len()));
                let mut expected = before[start..].to_vec();
                expected.resize(bytes.len(), 0);
                assert!(bytes == expected, "other bytes");
            }
        }
        Err(error) => {
            assert_eq!(after, size, "{error:?}");
            // Blocks are for a file that is open to be stored to.
            let stores = shared && (options.protection.writable() || file.create.is_some());
            let plain = !options.protection.executable()
                && (stores || !file.allocate)
                && file.seals == Seals::default();
            let needs_length =
                file.create.is_some() && file.length.is_none() && size <= file.offset;
            assert!(
                !(is_inside && plain) || needs_length,
                "{error:?} of {size} {file:?} {options:?}"
            );
        }
    }
    let name = scratch.0.file_name().expect("it has one").to_owned();
    drop(scratch);
    assert_eq!(held(&name), Vec::<PathBuf>::new());
}

/// Descriptors and areas of memory of this process that are of a file.
fn held(name: &OsString) -> Vec<PathBuf> {
    let is_it = |path: &PathBuf| path.to_string_lossy().contains(&*name.to_string_lossy());
    let open = std::fs::read_dir("/proc/self/fd").into_iter().flatten().flatten();
    let open = open.filter_map(|entry| std::fs::read_link(entry.path()).ok());
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
    open.chain(maps.lines().map(PathBuf::from)).filter(is_it).collect()
}

fn of_odd_path(input: &mut Input<'_>, file: &FileOptions, options: &Options) {
    let folder = Scratch::folder();
    let length = if input.flag() { input.below(6000) } else { usize::from(input.byte()) };
    let name: Vec<u8> =
        input.take(length).iter().map(|byte| if *byte == b'/' { 0 } else { *byte }).collect();
    let path = match String::from_utf8(name) {
        Ok(name) if name != ".." && !name.is_empty() => folder.0.join(name),
        Ok(_) => folder.0.join("new"),
        Err(_) => folder.0.join("x").join("y"),
    };
    // What is made is empty, or holes.
    let made = Mapping::shared(Source::Path(&path), file, options);
    let (is_made, may_be) = (path.is_file(), file.create.is_some() && file.length.is_some());
    assert_eq!(is_made, made.is_ok() && may_be, "{:?}", made.err());
}

fn of_memory(input: &mut Input<'_>, file: &FileOptions, options: &Options) {
    let exclusive = input.flag();
    let start = if input.flag() { format!("/fuzz-{}", std::process::id()) } else { String::new() };
    let length = input.below(300);
    let rest = String::from_utf8_lossy(input.take(length)).into_owned();
    // A name of others would wait for whoever made the memory.
    let file = FileOptions {
        offset: 0,
        create: if start.is_empty() { None } else { file.create },
        ..file.clone()
    };
    let name = start + &rest;
    let source = Source::Memory {
        name: &name,
        exclusive,
        temporary: false,
        length: file.length.unwrap_or(0),
    };
    let made = Mapping::shared(source, &file, options);
    if let Ok(map) = &made {
        assert!(
            name.starts_with('/') && !name[1..].contains('/') && !name.contains('\0'),
            "{name:?}"
        );
        assert_eq!(file.length.map_or(0, |length| length), map.len() as u64);
        assert!(unlink_memory(&name).is_ok());
    }
    assert!(unlink_memory(&name).is_err(), "{name:?} was left by {:?}", made.err());
}

fn without_file(length: u64, file: Option<ShareableOptions>, options: &Options) {
    let made = match &file {
        Some(file) => Mapping::shareable(length, file, options),
        None => Mapping::anonymous(length, false, options),
    };
    match made {
        Ok(map) => {
            assert_eq!(map.len() as u64, length);
            // Huge pages that are not reserved may be none, which is a fault.
            let may_be_none = matches!(options.huge, HugePages::Explicit(_)) && !options.reserve;
            if options.protection.readable() && length > 0 && !may_be_none {
                for at in [0, map.len() - 1] {
                    let mut byte = [1];
                    assert_eq!(map.read(at, &mut byte), Ok(()));
                    assert_eq!(byte, [0]);
                }
            }
        }
        Err(Error::Unsupported(_) | Error::TooLarge { .. } | Error::OutOfRange { .. }) => {}
        Err(error) => {
            assert!(matches!(error, Error::Os { .. }), "{error:?}");
            let plain = options.huge == HugePages::None && !options.protection.executable();
            let plain = plain && file.is_none_or(|file| file.seals == Seals::default());
            assert!(length > MOST || !plain, "{error:?} of {length} {options:?}");
        }
    }
}
