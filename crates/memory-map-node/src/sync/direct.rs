//! What JavaScript needs to change shared words with its own atomics.

use std::ffi::c_void;
use std::ptr;

use memory_map::ipc;
use napi::bindgen_prelude::*;
use napi::sys;
use napi_derive::napi;

use crate::array_buffer::RawValue;
use crate::error::to_js;
use crate::mapping::Token;

/// Four bytes with a number that grows whenever pages of a mapping are replaced; null if the runtime makes no
/// ArrayBuffer over our memory.
#[napi(ts_return_type = "ArrayBuffer | null")]
pub fn ipc_changes(env: Env) -> Option<RawValue> {
    let mut value = ptr::null_mut();
    // SAFETY: the number is static, and JavaScript only reads it. There is nothing to free.
    let status = unsafe {
        sys::napi_create_external_arraybuffer(
            env.raw(),
            memory_map::changes().as_ptr().cast::<c_void>(),
            size_of::<u32>(),
            Some(nothing),
            ptr::null_mut(),
            &raw mut value,
        )
    };
    (status == sys::Status::napi_ok).then_some(RawValue(value))
}

unsafe extern "C" fn nothing(_env: sys::napi_env, _data: *mut c_void, _hint: *mut c_void) {}

/// Makes sure that a range is in place, and returns its address and how many faults its mapping has had; null
/// if faults of JavaScript are not contained. If it returns the same twice, all stores in between have arrived.
#[napi]
pub fn ipc_mark(env: Env, map: Token, offset: f64, length: f64) -> Result<Option<Vec<f64>>> {
    ipc::mark(&map.mapping, offset as usize, length as usize)
        .map(|mark| mark.map(|mark| vec![mark.address as f64, mark.faults as f64]))
        .map_err(|error| to_js(&env, &error))
}
