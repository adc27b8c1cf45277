//! Mappings laid over parts of WebAssembly memories. JavaScript knows each such place by its address.

use memory_map::Error;
use napi::bindgen_prelude::*;
use napi_derive::napi;

use crate::environment::Environment;
use crate::error::{Outcome, to_js};
use crate::mapping::Token;
use crate::shared_array_buffer::View;

/// A place where the mapping was laid over memory.
#[napi(object, object_from_js = false)]
pub struct NativeLaid {
    pub address: f64,
    /// Whether the guard finds out by itself that the memory is gone. Otherwise JavaScript has to keep it alive.
    pub watched: bool,
}

/// Lays the mapping over the pages of `bytes`, a view of a WebAssembly memory that does not move. When the memory is
/// gone, `forsake` must be called before anything else.
#[napi(namespace = "mapping")]
pub fn lay_over(
    env: Env,
    map: Token,
    #[napi(ts_arg_type = "Uint8Array")] bytes: Unknown,
) -> Result<NativeLaid> {
    let View { start, length, .. } = View::of(&env, &bytes)?;
    let pages = map.mapping.len().div_ceil(memory_map::page_size());
    if length < pages * memory_map::page_size() {
        let requirement = "a view of enough memory";
        return Err(to_js(&env, &Error::OutOfRange { name: "bytes", requirement }));
    }
    Environment::of(env.raw()).arm(); // so that the mapping ends before the memory
    // SAFETY: the view is of a WebAssembly memory, which the runtime takes from the system by whole pages, private and
    // writable up to its length, and which is there for as long as the caller has it. JavaScript forsakes it, before it
    // calls anything else of this mapping's, when it is not.
    let watched = unsafe { map.mapping.lay_over(start) }.map_err(|error| to_js(&env, &error))?;
    Ok(NativeLaid { address: start as f64, watched })
}

/// The address of a view's first byte.
#[napi]
pub fn address_of(env: Env, #[napi(ts_arg_type = "Uint8Array")] bytes: Unknown) -> Result<f64> {
    View::of(&env, &bytes).map(|view| view.start as f64)
}

/// Puts zeros in the mapping's place, in memory that is still there.
#[napi(namespace = "mapping")]
pub fn take_up(map: Token, address: f64) -> Outcome<()> {
    Outcome(map.mapping.take_up(address as usize))
}

/// Forgets a place whose memory is gone.
#[napi(namespace = "mapping")]
pub fn forsake(map: Token, address: f64) {
    map.mapping.forsake(address as usize);
}
