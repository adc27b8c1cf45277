//! What is behind a `MemoryMap`: a number, by which each environment knows its mappings. An object
//! that the collector tells of would cost more to make than the mapping.

use std::cell::{Cell, RefCell};
use std::ops::Deref;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use memory_map::{
    Error, FileOptions, HugePages, Mapping, Options, Protection, Seals, ShareableOptions, Source,
};
use napi::bindgen_prelude::*;
use napi_derive::napi;

use crate::array_buffer::{Export, RawValue};
use crate::environment::{self, Environment};
use crate::error::{NativeFault, Outcome, to_js};
use crate::held::Held;
use crate::platform;
use crate::task::{NativeStop, Work};

const POPULATE: u32 = 1;
const NO_RESERVE: u32 = 2;
const CREATE: u32 = 4;
const ALLOCATE: u32 = 8;
const GUARD: u32 = 16;
const CLOSE_FILE: u32 = 32;
const SEAL_SHRINK: u32 = 64;
const SEAL_GROW: u32 = 128;
const SEAL_WRITE: u32 = 256;
const TEMPORARY: u32 = 512;

/// The name of each protection. Its position is its number.
const PROTECTIONS: [(&str, Protection); 5] = [
    ("none", Protection::None),
    ("read", Protection::Read),
    ("read-write", Protection::ReadWrite),
    ("read-execute", Protection::ReadExecute),
    ("read-write-execute", Protection::ReadWriteExecute),
];

fn to_protection(index: u32) -> Protection {
    PROTECTIONS.get(index as usize).map_or(Protection::None, |&(_, protection)| protection)
}

/// The names of the protections, by number.
#[napi]
pub fn protection_names() -> Vec<&'static str> {
    PROTECTIONS.map(|(name, _)| name).to_vec()
}

/// The bits of the `flags` that the functions here take.
#[napi(object, object_from_js = false)]
pub struct MapFlags {
    pub populate: u32,
    pub no_reserve: u32,
    pub create: u32,
    pub allocate: u32,
    pub guard: u32,
    pub close_file: u32,
    pub seal_shrink: u32,
    pub seal_grow: u32,
    pub seal_write: u32,
    pub temporary: u32,
}

#[napi]
pub fn map_flags() -> MapFlags {
    MapFlags {
        populate: POPULATE,
        no_reserve: NO_RESERVE,
        create: CREATE,
        allocate: ALLOCATE,
        guard: GUARD,
        close_file: CLOSE_FILE,
        seal_shrink: SEAL_SHRINK,
        seal_grow: SEAL_GROW,
        seal_write: SEAL_WRITE,
        temporary: TEMPORARY,
    }
}

fn seals(flags: u32) -> Seals {
    Seals {
        shrink: flags & SEAL_SHRINK != 0,
        grow: flags & SEAL_GROW != 0,
        write: flags & SEAL_WRITE != 0,
    }
}

/// A mapping, which JavaScript knows by its token.
pub struct Token(Rc<Held>);

impl Deref for Token {
    type Target = Held;

    fn deref(&self) -> &Held {
        &self.0
    }
}

impl TypeName for Token {
    fn type_name() -> &'static str {
        "number"
    }

    fn value_type() -> ValueType {
        ValueType::Number
    }
}

impl ValidateNapiValue for Token {}

impl FromNapiValue for Token {
    unsafe fn from_napi_value(env: sys::napi_env, value: sys::napi_value) -> Result<Self> {
        // SAFETY: the caller vouches for both.
        let token = unsafe { f64::from_napi_value(env, value) }? as u64;
        let held = Environment::of(env).mapping(token);
        held.map(Self).ok_or_else(|| to_js(&Env::from_raw(env), &Error::Closed))
    }
}

fn options(env: &Env, index: u32, flags: u32, address: Option<BigInt>) -> Options {
    let environment = Environment::of(env.raw());
    environment.sweep();
    Options {
        protection: to_protection(index),
        populate: flags & POPULATE != 0,
        reserve: flags & NO_RESERVE == 0,
        // A hint that no pointer can hold is ignored.
        address: address.and_then(|address| usize::try_from(address.get_u64().1).ok()),
        huge: HugePages::None,
        guard: flags & GUARD != 0,
        owner: environment.remote.owner,
    }
}

/// A negative `length` is none.
fn file_options(offset: f64, length: f64, flags: u32, mode: u32) -> FileOptions {
    FileOptions {
        offset: offset as u64,
        length: (length >= 0.0).then_some(length as u64),
        create: (flags & CREATE != 0).then_some(mode),
        allocate: flags & ALLOCATE != 0,
        seals: seals(flags),
        close_file: flags & CLOSE_FILE != 0,
    }
}

/// The name of what `make` maps; `forget` ends it, or `close`.
fn hold(env: &Env, make: impl Fn() -> memory_map::Result<Mapping>) -> Outcome<f64> {
    let made = Environment::of(env.raw()).with_room(make);
    Outcome(made.map(|mapping| hold_mapping(env, mapping)))
}

pub fn hold_mapping(env: &Env, mapping: Mapping) -> f64 {
    let token = mapping.token();
    let held = Held {
        mapping: Arc::new(mapping),
        exports: RefCell::default(),
        is_orphan: Cell::new(false),
    };
    Environment::of(env.raw()).hold(token, held);
    token as f64
}

/// Maps a file. A negative `length` is "to the end of the file"; `flags` are those of
/// `lib/options.ts`.
#[napi]
#[allow(clippy::too_many_arguments)] // one call of many numbers is faster than an object of them
pub fn map_file(
    env: Env,
    shared: bool,
    #[napi(ts_arg_type = "string | Uint8Array | number")] source: Either3<String, &[u8], i32>,
    offset: f64,
    length: f64,
    protection: u32,
    flags: u32,
    mode: u32,
    address: Option<BigInt>,
) -> Outcome<f64> {
    let path;
    let source = match source {
        Either3::A(text) => {
            path = std::path::PathBuf::from(text);
            Source::Path(&path)
        }
        Either3::B(bytes) => {
            path = platform::path_from_bytes(bytes);
            Source::Path(&path)
        }
        Either3::C(fd) => Source::Fd(fd),
    };
    let file = file_options(offset, length, flags, mode);
    let options = options(&env, protection, flags, address);
    let make = if shared { Mapping::shared } else { Mapping::private };
    hold(&env, || make(source, &file, &options))
}

/// Maps memory that has a name. A negative `length` is all of it; `flags` are those of
/// `lib/options.ts`.
#[napi]
#[allow(clippy::too_many_arguments)] // as above
pub fn map_shared_memory(
    env: Env,
    name: String,
    length: f64,
    exclusive: bool,
    protection: u32,
    flags: u32,
    mode: u32,
    address: Option<BigInt>,
) -> Outcome<f64> {
    let file = file_options(0.0, length, flags, mode);
    let options = options(&env, protection, flags, address);
    let source = Source::Memory {
        name: &name,
        exclusive,
        temporary: flags & TEMPORARY != 0,
        length: file.length.unwrap_or(0),
    };
    hold(&env, || Mapping::shared(source, &file, &options))
}

/// Whether the system would grant `length` bytes of memory now.
#[napi]
pub fn has_memory(length: f64) -> bool {
    Mapping::anonymous(length as u64, false, &Options::default()).is_ok()
}

/// Maps memory without a file. `huge` is the size of its huge pages in bytes, 0 for none, 1 for
/// those that the system makes by itself.
#[napi]
#[allow(clippy::too_many_arguments)] // as above
pub fn map_anonymous(
    env: Env,
    length: f64,
    shareable: bool,
    protection: u32,
    flags: u32,
    address: Option<BigInt>,
    huge: f64,
) -> Outcome<f64> {
    let mut options = options(&env, protection, flags, address);
    options.huge = match huge as usize {
        0 => HugePages::None,
        1 => HugePages::Transparent,
        size => HugePages::Explicit(size),
    };
    let file = ShareableOptions { allocate: flags & ALLOCATE != 0, seals: seals(flags) };
    hold(&env, || match shareable {
        true => Mapping::shareable(length as u64, &file, &options),
        false => Mapping::anonymous(length as u64, false, &options),
    })
}

#[napi(namespace = "mapping")]
pub fn length(map: Token) -> f64 {
    map.mapping.len() as f64
}

/// Bytes between the start of the first page and the mapping's own first byte.
#[napi(namespace = "mapping")]
pub fn page_offset(map: Token) -> u32 {
    map.mapping.page_offset() as u32
}

#[napi(namespace = "mapping")]
pub fn protection(map: Token) -> u32 {
    let now = map.mapping.protection();
    PROTECTIONS.iter().position(|(_, protection)| *protection == now).unwrap_or(0) as u32
}

#[napi(namespace = "mapping")]
pub fn fd(map: Token) -> Option<i32> {
    map.mapping.file().and_then(|file| platform::descriptor(&file))
}

#[napi(namespace = "mapping")]
pub fn address(map: Token) -> BigInt {
    BigInt::from(map.mapping.address().unwrap_or(0) as u64)
}

/// How many faults there were; null if the token has ended.
#[napi(namespace = "mapping", ts_args_type = "map: Token")]
pub fn faults(env: Env, token: f64) -> Option<f64> {
    let held = Environment::of(env.raw()).mapping(token as u64)?;
    Some(held.mapping.faults() as f64)
}

/// What has happened to a mapping.
#[napi(object, object_from_js = false)]
pub struct NativeNews {
    /// How many faults there were in all.
    pub count: f64,
    /// Those since the last call.
    pub faults: Vec<NativeFault>,
}

/// Heals the pages that have faulted, and returns the faults since the last call; null if there were none,
/// or the token has ended.
#[napi(namespace = "mapping", ts_args_type = "map: Token")]
pub fn collect(env: Env, token: f64) -> Option<NativeNews> {
    let mapping = &Environment::of(env.raw()).mapping(token as u64)?.mapping;
    let faults: Vec<_> = mapping.collect().iter().map(NativeFault::from).collect();
    (!faults.is_empty()).then(|| NativeNews { count: mapping.faults() as f64, faults })
}

/// Heals memory that was transferred out of a mapping, and returns whether it had faulted. A mapping without
/// an ArrayBuffer keeps its faults for its next `collect`.
#[napi(namespace = "mapping", ts_args_type = "map: Token")]
pub fn collect_transferred(env: Env, token: f64) -> bool {
    let (environment, token) = (Environment::of(env.raw()), token as u64);
    environment
        .mapping(token)
        .filter(|held| held.is_orphan.get() || environment.has_exports(token))
        .is_some_and(|held| !held.mapping.collect().is_empty())
}

/// An ArrayBuffer over `length` bytes, which begins `start` bytes after the start of the first page.
/// One that is `lasting` is not detached by `close`: its first use after that is a fault.
#[napi(namespace = "mapping", ts_return_type = "ArrayBuffer")]
pub fn array_buffer(
    env: Env,
    map: Token,
    start: f64,
    length: f64,
    lasting: bool,
) -> Result<RawValue> {
    let (start, length) = map.check_range(&env, start, length)?;
    let environment = Environment::of(env.raw());
    let counts = !lasting && !map.exports.borrow().iter().any(|export| export.counts());
    let (value, export) =
        Export::new(&env, &environment.remote, &map.mapping, start, length, lasting, counts)?;
    environment.add(&export);
    if !lasting {
        let mut exports = map.exports.borrow_mut();
        if exports.len().is_power_of_two() {
            exports.retain(|export| !environment.is_unreachable(export)); // transferred, and gone
        }
        exports.push(export);
    }
    Ok(value)
}

/// Has the next `close` or `resize` leave copies of some ranges at the addresses that the mapping loses.
/// `ends` has the start and the end of each range in turn.
#[napi(namespace = "mapping")]
pub fn leave_snapshots(map: Token, ends: Vec<f64>) -> Outcome<()> {
    let ranges = ends.chunks_exact(2).map(|ends| ends[0] as usize..ends[1] as usize).collect();
    Outcome(map.mapping.leave_snapshots(ranges))
}

/// Loads from every page of a range.
#[napi(namespace = "mapping")]
pub fn touch(map: Token, start: f64, end: f64) -> Outcome<()> {
    Outcome(map.mapping.touch(start as usize..end as usize))
}

/// Copies bytes out, into all of `target`.
#[napi(namespace = "mapping")]
pub fn read(map: Token, mut target: BufferSlice, offset: f64) -> Outcome<()> {
    Outcome(map.mapping.read(offset as usize, &mut target))
}

/// Copies bytes in, which may be a view of this mapping.
#[napi(namespace = "mapping", ts_args_type = "map: Token, data: Uint8Array, offset: number")]
pub fn write(map: Token, data: Uint8ArraySlice, offset: f64) -> Outcome<()> {
    let bytes = std::ptr::slice_from_raw_parts(data.as_ptr(), data.len());
    // SAFETY: the bytes are those of an ArrayBuffer, which lives as long as this call.
    Outcome(unsafe { map.mapping.write_from(bytes, offset as usize) })
}

/// Makes a range durable, off this thread, unless `stop` comes before that has begun.
#[napi(namespace = "mapping", ts_return_type = "Promise<void>")]
pub fn sync(
    map: Token,
    start: f64,
    end: f64,
    invalidate: bool,
    stop: &NativeStop,
) -> Outcome<AsyncTask<Work<()>>> {
    let stop = stop.flag();
    Outcome(map.mapping.sync(start as usize..end as usize, invalidate).map(|sync| {
        Work::task(move || match stop.swap(true, Ordering::Relaxed) {
            false => sync.run(),
            true => Err(Error::Cancelled),
        })
    }))
}

/// Makes a range durable, and waits for it.
#[napi(namespace = "mapping")]
pub fn sync_sync(map: Token, start: f64, end: f64, invalidate: bool) -> Outcome<()> {
    let sync = map.mapping.sync(start as usize..end as usize, invalidate);
    Outcome(sync.and_then(|sync| sync.run()))
}

/// Changes the protection of a range.
#[napi(namespace = "mapping")]
pub fn protect(map: Token, index: u32, start: f64, end: f64) -> Outcome<()> {
    Outcome(map.mapping.protect(start as usize..end as usize, to_protection(index)))
}

/// Changes the length, and detaches every ArrayBuffer, unless `views_last` and not too many others stay attached
/// already. Does neither if it fails.
#[napi(namespace = "mapping")]
pub fn resize(env: Env, map: Token, length: f64, views_last: bool) -> Outcome<()> {
    let resized = Environment::of(env.raw()).with_room(|| map.mapping.resize(length as u64));
    Outcome(resized.map(|()| {
        if !(views_last && environment::leave_attached(&env, &map)) {
            environment::detach_all(&env, &map);
        }
    }))
}

/// How many bytes the file has from the mapping's start on; 0 without a file.
#[napi(namespace = "mapping")]
pub fn file_length(map: Token) -> Outcome<f64> {
    Outcome(map.mapping.file_length().map(|length| length.unwrap_or(0) as f64))
}

/// Where the last byte that is not zero ends in a part of the file, in bytes from the mapping's start; `start` if
/// there is none.
#[napi(namespace = "mapping")]
pub fn end_of_data(map: Token, start: f64, end: f64) -> Outcome<f64> {
    Outcome(map.mapping.end_of_data(start as u64, end as u64).map(|end| end as f64))
}

/// Cuts the file off at the mapping's end, but not before its first `kept` bytes from the mapping's start, if it
/// ends `length` bytes from there.
#[napi(namespace = "mapping")]
pub fn cut_file(map: Token, length: f64, kept: f64) -> Outcome<()> {
    Outcome(map.mapping.cut_file(length as u64, kept as u64))
}

/// Unmaps, and detaches every ArrayBuffer as `resize` does. Returns the faults since the last `collect`; null if
/// the token needs no `forget`, because it ends now or with the last ArrayBuffer.
#[napi(namespace = "mapping")]
pub fn close(env: Env, map: Token, views_last: bool) -> Option<Vec<NativeFault>> {
    if !(views_last && environment::leave_attached(&env, &map)) {
        environment::detach_all(&env, &map);
    }
    let faults = map.mapping.close();
    let (environment, token) = (Environment::of(env.raw()), map.mapping.token());
    if map.mapping.has_nothing_to_tell() {
        environment.forget(token);
        return None;
    }
    if map.mapping.faults() == 0 && environment.has_exports(token) {
        return None;
    }
    Some(faults.iter().map(NativeFault::from).collect())
}

/// Closes a mapping that turned out not to be needed, and removes the name of shared memory that was made for it.
#[napi(namespace = "mapping")]
pub fn discard(env: Env, map: Token) {
    environment::detach_all(&env, &map);
    map.mapping.discard();
}

/// Ends the token of a mapping whose object was collected: now, or with the last ArrayBuffer that has its
/// memory.
#[napi(namespace = "mapping")]
pub fn forget(env: Env, token: f64) {
    let (environment, token) = (Environment::of(env.raw()), token as u64);
    match environment.mapping(token) {
        Some(held) if environment.has_exports(token) => held.is_orphan.set(true),
        _ => environment.forget(token),
    }
}
