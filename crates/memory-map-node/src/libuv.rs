//! What libuv, Node's event loop, says of itself.

use std::ffi::{c_uint, c_void};
use std::ptr;
use std::sync::OnceLock;

use napi::bindgen_prelude::*;
use napi::sys;
use napi_derive::napi;

use crate::platform;

/// The start of `uv_loop_t`, which is public and the same in all of libuv 1 (uv.h).
#[repr(C)]
struct LoopStart {
    data: *mut c_void,
    active_handles: c_uint,
    handle_queue: [*mut c_void; 2],
    active_requests: c_uint,
}

/// The loop of this thread; null where it has none.
fn own_loop(env: &Env) -> *mut LoopStart {
    let mut start: *mut LoopStart = ptr::null_mut();
    // SAFETY: `env` is alive, and this is its thread.
    let status = unsafe { sys::napi_get_uv_event_loop(env.raw(), (&raw mut start).cast()) };
    if status == sys::Status::napi_ok { start } else { ptr::null_mut() }
}

/// How many operations of this thread's loop are under way: on files and sockets, of zlib, of crypto and of
/// this library. Only for Node: other runtimes have another loop.
#[napi]
pub fn requests(env: Env) -> u32 {
    let start = own_loop(&env);
    if start.is_null() {
        return 0;
    }
    // SAFETY: the loop lives as long as `env`, and only its own thread changes it.
    unsafe { (*start).active_requests }
}

/// Whether this thread has the first loop of the process, which no worker has. Only for Node.
#[napi]
pub fn has_first_loop(env: Env) -> bool {
    type DefaultLoop = unsafe extern "C" fn() -> *mut LoopStart;
    static FIRST: OnceLock<Option<usize>> = OnceLock::new();
    let first = FIRST.get_or_init(|| {
        let address = platform::symbol(c"uv_default_loop")?;
        // SAFETY: the type is that of uv.h.
        let default_loop = unsafe { std::mem::transmute::<*mut c_void, DefaultLoop>(address) };
        // SAFETY: Node makes the loop before it runs anything, so this only tells where it is. A program that embeds
        // Node may have none: then the call makes one, once.
        Some(unsafe { default_loop() as usize })
    });
    let own = own_loop(&env);
    !own.is_null() && *first == Some(own as usize)
}
