//! SharedArrayBuffers over mapped memory, in one of two ways.
//!
//! If the runtime can make one over memory that it does not own, the mapping stays where it is, and its
//! addresses go when the finalizer runs: no thread can reach the buffer then. Otherwise the mapping is
//! put over the memory of a growable SharedArrayBuffer. The runtime takes that memory from the system in
//! whole pages, and gives it back without telling, so a second object of the same memory is held until
//! the mapping has left it.

use std::ffi::c_void;
use std::ptr;
use std::sync::atomic::AtomicU8;
use std::sync::{Arc, OnceLock};

use memory_map::{Error, RegionKey};
use napi::bindgen_prelude::*;
use napi::sys;
use napi_derive::napi;

use crate::array_buffer::{RawValue, Reference, Remote, add_finalizer, refused};
use crate::environment::Environment;
use crate::error::to_js;
use crate::mapping::Token;
use crate::platform;

/// `node_api_create_external_sharedarraybuffer` of Node-API, experimental: Node 22.23.3, 24.16 and
/// 26.1, Bun 1.4.
type CreateExternal = unsafe extern "C" fn(
    env: sys::napi_env,
    data: *mut c_void,
    length: usize,
    finalize: Option<unsafe extern "C" fn(data: *mut c_void, hint: *mut c_void)>,
    hint: *mut c_void,
    result: *mut sys::napi_value,
) -> sys::napi_status;

fn create_external() -> Option<CreateExternal> {
    static FUNCTION: OnceLock<Option<CreateExternal>> = OnceLock::new();
    *FUNCTION.get_or_init(|| {
        let address = platform::symbol(c"node_api_create_external_sharedarraybuffer")?;
        // SAFETY: the type is that of Node's js_native_api.h.
        Some(unsafe { std::mem::transmute::<*mut c_void, CreateExternal>(address) })
    })
}

/// Whether this runtime makes a SharedArrayBuffer over memory that it does not own. Some have the function
/// but refuse, so it is asked for one of a single byte.
#[napi]
pub fn can_share_external(env: Env) -> bool {
    static BYTE: AtomicU8 = AtomicU8::new(0);
    let Some(create) = create_external() else { return false };
    let (data, none) = (BYTE.as_ptr().cast(), ptr::null_mut());
    let mut value = ptr::null_mut();
    // SAFETY: the byte is there for as long as the process.
    let status = unsafe { create(env.raw(), data, 1, Some(leave), none, &raw mut value) };
    status == sys::Status::napi_ok
}

/// There is nothing to free.
unsafe extern "C" fn leave(_data: *mut c_void, _hint: *mut c_void) {}

/// No thread can reach the buffer any more; may be called on any thread.
unsafe extern "C" fn unreachable(_data: *mut c_void, hint: *mut c_void) {
    // SAFETY: `hint` came from `Box::into_raw`; the runtime calls this once.
    drop(unsafe { Box::from_raw(hint.cast::<RegionKey>()) });
}

/// Holds an object that keeps the runtime's memory where it is.
struct Held {
    object: Option<Reference>,
    remote: Arc<Remote>,
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(object) = self.object.take() {
            self.remote.release(object);
        }
    }
}

/// The object of `Held` has been collected: perhaps no other thread had the memory.
unsafe extern "C" fn collected(_env: sys::napi_env, data: *mut c_void, _hint: *mut c_void) {
    // SAFETY: `data` came from `Arc::into_raw`; the runtime calls this once.
    unsafe { Arc::from_raw(data.cast::<Remote>()) }.note_collected();
}

/// A view that JavaScript made: where its memory is, how long it is, and its buffer.
pub struct View {
    pub start: usize,
    pub length: usize,
    buffer: sys::napi_value,
}

impl View {
    pub fn of(env: &Env, bytes: &Unknown<'_>) -> Result<Self> {
        let mut view = Self { start: 0, length: 0, buffer: ptr::null_mut() };
        let mut data = ptr::null_mut();
        // SAFETY: `bytes` is a value of this environment; what is not asked for may be null.
        let status = unsafe {
            sys::napi_get_typedarray_info(
                env.raw(),
                bytes.raw(),
                ptr::null_mut(),
                &raw mut view.length,
                &raw mut data,
                &raw mut view.buffer,
                ptr::null_mut(),
            )
        };
        view.start = data as usize;
        if status == sys::Status::napi_ok { Ok(view) } else { Err(refused(env, status)) }
    }
}

/// A SharedArrayBuffer over `length` bytes from `start` bytes after the start of the first page.
#[napi(namespace = "mapping", ts_return_type = "SharedArrayBuffer")]
pub fn shared_array_buffer(env: Env, map: Token, start: f64, length: f64) -> Result<RawValue> {
    let (start, length) = map.check_range(&env, start, length)?;
    let Some(create) = create_external() else {
        let why = "this runtime makes no SharedArrayBuffer over memory that it does not own";
        return Err(to_js(&env, &Error::Unsupported(why)));
    };
    let key = map.mapping.key().map_err(|error| to_js(&env, &error))?;
    key.make_lasting();
    Environment::of(env.raw()).note_shared(length);
    let data = (key.start() + start) as *mut c_void;
    let hint = Box::into_raw(Box::new(key)).cast::<c_void>();
    let mut value = ptr::null_mut();
    // SAFETY: the range lies in the mapping, and stays mapped until `unreachable` has run, by
    // the key. The address is not null and `length` not 0.
    let status =
        unsafe { create(env.raw(), data, length, Some(unreachable), hint, &raw mut value) };
    if status != sys::Status::napi_ok {
        // The finalizer may still run, or not: the key is leaked, which is harmless.
        return Err(refused(&env, status));
    }
    Ok(RawValue(value))
}

/// Holds the buffer of a view of shared memory, which keeps the memory where it is.
fn hold_object(env: &Env, view: &View, remote: &Arc<Remote>) -> Result<Held> {
    let raw = env.raw();
    let mut object = ptr::null_mut();
    // SAFETY: `buffer` is an object of this environment; the count makes the reference strong.
    let status = unsafe { sys::napi_create_reference(raw, view.buffer, 1, &raw mut object) };
    if status != sys::Status::napi_ok {
        return Err(refused(env, status));
    }
    // SAFETY: `buffer` is an object of this environment, and `collected` takes what `Arc::into_raw` gives.
    unsafe { add_finalizer(raw, view.buffer, Arc::clone(remote), collected) };
    Ok(Held { object: Some(Reference(object)), remote: Arc::clone(remote) })
}

/// A view of all of a mapping's memory, if it is long enough for that.
fn whole_view(env: &Env, map: &Token, bytes: &Unknown<'_>) -> Result<View> {
    let view = View::of(env, bytes)?;
    if view.length < map.mapping.page_offset() + map.mapping.len() {
        let requirement = "a view of enough shared memory";
        return Err(to_js(env, &Error::OutOfRange { name: "bytes", requirement }));
    }
    Ok(view)
}

/// Puts the mapping over the memory of a growable SharedArrayBuffer. `bytes` is a view of all
/// of it, of an object of its own, which is held for as long as the mapping is there.
#[napi(namespace = "mapping")]
pub fn put_over(
    env: Env,
    map: Token,
    #[napi(ts_arg_type = "Uint8Array")] bytes: Unknown,
) -> Result<()> {
    let view = whole_view(&env, &map, &bytes)?;
    let environment = Environment::of(env.raw());
    environment.note_shared(view.length);
    let held = hold_object(&env, &view, &environment.remote)?;
    // SAFETY: the memory is that of a growable SharedArrayBuffer, which the caller made for
    // this and has given to no other code: whole pages, of the view's length at least, and no
    // allocator has a part in them. `held` keeps it there.
    unsafe { map.mapping.put_over(view.start, Box::new(held)) }
        .map_err(|error| to_js(&env, &error))?;
    environment.add_foreign(&map.mapping);
    Ok(())
}

/// Has closed mappings give back what they keep of the runtime's memory: there is none for another one. Says whether there
/// may be now.
#[napi(namespace = "mapping")]
pub fn give_back(env: Env) -> bool {
    Environment::of(env.raw()).give_back()
}

/// Keeps the memory that another thread has put the mapping over, for this thread's part. `bytes` is a view of all
/// of it, of an object of its own.
#[napi(namespace = "mapping")]
pub fn keep(
    env: Env,
    map: Token,
    #[napi(ts_arg_type = "Uint8Array")] bytes: Unknown,
) -> Result<()> {
    let view = whole_view(&env, &map, &bytes)?;
    let environment = Environment::of(env.raw());
    let held = hold_object(&env, &view, &environment.remote)?;
    map.mapping.keep(view.start, Box::new(held)).map_err(|error| to_js(&env, &error))?;
    environment.add_foreign(&map.mapping);
    Ok(())
}
