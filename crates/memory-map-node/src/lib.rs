//! Node-API binding of `memory-map`: converts arguments, makes ArrayBuffers, runs tasks.
//!
//! What the arguments may be is checked by the TypeScript above, and what happens to memory is
//! decided by the crate below. Nothing here has a policy of its own.

mod advice;
mod array_buffer;
mod calls;
mod environment;
mod error;
mod handle;
mod held;
mod libuv;
mod mapping;
mod memory_names;
mod platform;
mod search;
mod shared_array_buffer;
mod sync;
mod task;
mod tied;
mod wasm;

use napi_derive::napi;

/// Bytes of one page of memory.
#[napi]
pub fn page_size() -> u32 {
    memory_map::page_size() as u32
}

/// What the start of a mapping is a multiple of, in bytes.
#[napi]
pub fn allocation_granularity() -> u32 {
    memory_map::allocation_granularity() as u32
}
