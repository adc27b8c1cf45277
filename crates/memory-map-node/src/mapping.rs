//! The class behind `MemoryMap`.

use std::cell::RefCell;
use std::sync::Arc;

use memory_map::{Error, FileOptions, HugePages, Mapping, Options, Protection, Source};
use napi::bindgen_prelude::*;
use napi_derive::napi;

use crate::array_buffer::{Export, RawValue};
use crate::environment::Environment;
use crate::error::{NativeFault, to_js};
use crate::platform;
use crate::sync::SyncTask;

const POPULATE: u32 = 1;
const NO_RESERVE: u32 = 2;
const CREATE: u32 = 4;
const ALLOCATE: u32 = 8;
const GUARD: u32 = 16;

/// By their position in `lib/options.ts`.
const PROTECTIONS: [Protection; 5] = [
    Protection::None,
    Protection::Read,
    Protection::ReadWrite,
    Protection::ReadExecute,
    Protection::ReadWriteExecute,
];

fn protection(index: u32) -> Protection {
    PROTECTIONS.get(index as usize).copied().unwrap_or(Protection::None)
}

/// Pages that were mapped.
#[napi]
pub struct NativeMapping {
    pub(crate) mapping: Arc<Mapping>,
    exports: RefCell<Vec<Arc<Export>>>,
}

impl NativeMapping {
    /// The mapping, for what stands in it.
    pub fn mapping(&self) -> &Arc<Mapping> {
        &self.mapping
    }
}

fn options(env: &Env, index: u32, flags: u32, address: Option<BigInt>) -> Options {
    let environment = Environment::of(env.raw());
    environment.sweep();
    Options {
        protection: protection(index),
        populate: flags & POPULATE != 0,
        reserve: flags & NO_RESERVE == 0,
        address: address.map(|address| address.get_u64().1 as usize),
        huge: HugePages::None,
        guard: flags & GUARD != 0,
        owner: environment.remote.owner,
    }
}

fn wrap(env: &Env, result: memory_map::Result<Mapping>) -> Result<NativeMapping> {
    match result {
        Ok(mapping) => {
            Ok(NativeMapping { mapping: Arc::new(mapping), exports: RefCell::default() })
        }
        Err(error) => Err(to_js(env, &error)),
    }
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
) -> Result<NativeMapping> {
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
    let file = FileOptions {
        offset: offset as u64,
        length: (length >= 0.0).then_some(length as u64),
        create: (flags & CREATE != 0).then_some(mode),
        allocate: flags & ALLOCATE != 0,
    };
    let options = options(&env, protection, flags, address);
    let make = if shared { Mapping::shared } else { Mapping::private };
    wrap(&env, make(source, &file, &options))
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
) -> Result<NativeMapping> {
    let file = FileOptions {
        offset: 0,
        length: (length >= 0.0).then_some(length as u64),
        create: (flags & CREATE != 0).then_some(mode),
        allocate: false,
    };
    let options = options(&env, protection, flags, address);
    let source = Source::Memory { name: &name, exclusive, length: file.length.unwrap_or(0) };
    wrap(&env, Mapping::shared(source, &file, &options))
}

/// Takes the name of shared memory away.
#[napi]
pub fn unlink_shared_memory(env: Env, name: String) -> Result<()> {
    memory_map::unlink_memory(&name).map_err(|error| to_js(&env, &error))
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
) -> Result<NativeMapping> {
    let mut options = options(&env, protection, flags, address);
    options.huge = match huge as usize {
        0 => HugePages::None,
        1 => HugePages::Transparent,
        size => HugePages::Explicit(size),
    };
    wrap(&env, Mapping::anonymous(length as u64, shareable, &options))
}

#[napi]
impl NativeMapping {
    #[napi(getter)]
    pub fn length(&self) -> f64 {
        self.mapping.len() as f64
    }

    #[napi(getter)]
    pub fn lead(&self) -> u32 {
        self.mapping.lead() as u32
    }

    #[napi(getter)]
    pub fn protection(&self) -> u32 {
        let now = self.mapping.protection();
        PROTECTIONS.iter().position(|protection| *protection == now).unwrap_or(0) as u32
    }

    #[napi(getter)]
    pub fn fd(&self) -> Option<i32> {
        self.mapping.file().and_then(|file| platform::descriptor(&file))
    }

    #[napi(getter)]
    pub fn address(&self) -> BigInt {
        BigInt::from(self.mapping.address().unwrap_or(0) as u64)
    }

    #[napi(getter)]
    pub fn faults(&self) -> f64 {
        self.mapping.faults() as f64
    }

    /// Heals what has faulted, and says what has happened since the last call.
    #[napi]
    pub fn collect(&self) -> Vec<NativeFault> {
        self.mapping.collect().iter().map(NativeFault::from).collect()
    }

    /// An ArrayBuffer over `length` bytes from `start` bytes after the start of the first page.
    /// With `lasting` it is not detached: after `close` its first use is a fault.
    #[napi(ts_return_type = "ArrayBuffer")]
    pub fn array_buffer(
        &self,
        env: Env,
        start: f64,
        length: f64,
        lasting: bool,
    ) -> Result<RawValue> {
        let (start, length) = self.check_range(&env, start, length)?;
        let (value, export) = Export::new(&env, &self.mapping, start, length, lasting)?;
        if !lasting {
            self.exports.borrow_mut().push(export);
        }
        Ok(value)
    }

    /// Leaves copies of ranges, given by their ends in turn, at the addresses that the next
    /// `close` or `resize` takes from the mapping.
    #[napi]
    pub fn keep(&self, env: Env, ends: Vec<f64>) -> Result<()> {
        let ranges = ends.chunks_exact(2).map(|ends| ends[0] as usize..ends[1] as usize).collect();
        self.mapping.keep(ranges).map_err(|error| to_js(&env, &error))
    }

    /// Loads from every page of a range.
    #[napi]
    pub fn touch(&self, env: Env, start: f64, end: f64) -> Result<()> {
        self.mapping.touch(start as usize..end as usize).map_err(|error| to_js(&env, &error))
    }

    /// A range that is counted from the start of the first page, if it lies in the mapping.
    pub(crate) fn check_range(&self, env: &Env, start: f64, length: f64) -> Result<(usize, usize)> {
        let (start, length) = (start as usize, length as usize);
        let total = self.mapping.lead() + self.mapping.len();
        if start.checked_add(length).is_none_or(|end| end > total) {
            let name = "range";
            let error = Error::OutOfRange { name, requirement: "inside the mapping" };
            return Err(to_js(env, &error));
        }
        Ok((start, length))
    }

    /// Copies bytes out, into all of `target`.
    #[napi]
    pub fn read(&self, env: Env, mut target: BufferSlice, offset: f64) -> Result<()> {
        self.mapping.read(offset as usize, &mut target).map_err(|error| to_js(&env, &error))
    }

    /// Copies bytes in, which may be a view of this mapping.
    #[napi(ts_args_type = "data: Uint8Array, offset: number")]
    pub fn write(&self, env: Env, data: Uint8ArraySlice, offset: f64) -> Result<()> {
        let bytes = std::ptr::slice_from_raw_parts(data.as_ptr(), data.len());
        // SAFETY: the bytes are those of an ArrayBuffer, which lives as long as this call.
        unsafe { self.mapping.write_from(bytes, offset as usize) }
            .map_err(|error| to_js(&env, &error))
    }

    /// Makes a range durable, off this thread. `cancel` gets a method `onabort` that gives the
    /// task up if it still waits for a thread.
    #[napi(ts_return_type = "Promise<void>")]
    pub fn sync(
        &self,
        env: Env,
        start: f64,
        end: f64,
        invalidate: bool,
        #[napi(ts_arg_type = "object")] cancel: Option<AbortSignal>,
    ) -> Result<AsyncTask<SyncTask>> {
        let sync = self.prepare_sync(&env, start, end, invalidate)?;
        Ok(AsyncTask::with_optional_signal(SyncTask(sync), cancel))
    }

    /// Makes a range durable, and waits for it.
    #[napi]
    pub fn sync_sync(&self, env: Env, start: f64, end: f64, invalidate: bool) -> Result<()> {
        let sync = self.prepare_sync(&env, start, end, invalidate)?;
        sync.run().map_err(|error| to_js(&env, &error))
    }

    fn prepare_sync(
        &self,
        env: &Env,
        start: f64,
        end: f64,
        invalidate: bool,
    ) -> Result<memory_map::Sync> {
        self.mapping
            .sync(start as usize..end as usize, invalidate)
            .map_err(|error| to_js(env, &error))
    }

    /// Changes the protection of a range.
    #[napi]
    pub fn protect(&self, env: Env, index: u32, start: f64, end: f64) -> Result<()> {
        self.mapping
            .protect(start as usize..end as usize, protection(index))
            .map_err(|error| to_js(&env, &error))
    }

    /// Changes the length and detaches every ArrayBuffer; does neither where it fails.
    #[napi]
    pub fn resize(&self, env: Env, length: f64) -> Result<()> {
        self.mapping.resize(length as u64).map_err(|error| to_js(&env, &error))?;
        self.detach_all(&env);
        Ok(())
    }

    fn detach_all(&self, env: &Env) {
        for export in self.exports.take() {
            export.detach(env.raw());
        }
    }

    /// Detaches every ArrayBuffer and unmaps; says what had happened since the last `collect`, if
    /// anything had.
    #[napi]
    pub fn close(&self, env: Env) -> Option<Vec<NativeFault>> {
        self.detach_all(&env);
        let faults = self.mapping.close();
        (!faults.is_empty()).then(|| faults.iter().map(NativeFault::from).collect())
    }
}
