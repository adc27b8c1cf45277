//! Mappings that another thread of this process has made.

use memory_map::{Error, Handle, Kind, Mapping};
use napi::bindgen_prelude::*;
use napi_derive::napi;

use crate::environment::Environment;
use crate::error::{Outcome, to_js};
use crate::mapping::{Token, hold_mapping};

/// What another thread is to know of a mapping.
#[napi(object, object_from_js = false)]
pub struct NativeAdopted {
    pub token: f64,
    #[napi(ts_type = "'shared' | 'private' | 'anonymous'")]
    pub kind: &'static str,
    /// Where in the file it starts.
    pub offset: f64,
    /// What the first call of `handle` was given.
    pub note: String,
}

/// Names a mapping for `adopt`: 32 hexadecimal digits.
#[napi(namespace = "mapping")]
pub fn handle(map: Token, note: String) -> Outcome<String> {
    let handle = map.mapping.handle(&note);
    Outcome(handle.map(|Handle { mapping, seal }| format!("{mapping:016x}{seal:016x}")))
}

fn parse(handle: &str) -> Option<Handle> {
    let number = |digits| u64::from_str_radix(handle.get(digits)?, 16).ok();
    let (mapping, seal) = (number(0..16)?, number(16..32)?);
    (handle.len() == 32).then_some(Handle { mapping, seal })
}

/// A second token for the mapping of a handle, on any thread; null if this process has not made that handle.
#[napi]
pub fn adopt(env: Env, handle: String) -> Result<Option<NativeAdopted>> {
    let Some(handle) = parse(&handle) else { return Ok(None) };
    let environment = Environment::of(env.raw());
    environment.sweep();
    let (mapping, note) = match Mapping::from_handle(handle, environment.remote.owner) {
        Ok(found) => found,
        Err(Error::Invalid(_)) => return Ok(None),
        Err(error) => return Err(to_js(&env, &error)),
    };
    let kind = match mapping.kind() {
        Kind::Shared => "shared",
        Kind::Private => "private",
        Kind::Anonymous => "anonymous",
    };
    let offset = mapping.offset() as f64;
    Ok(Some(NativeAdopted {
        token: hold_mapping(&env, mapping),
        kind,
        offset,
        note: note.to_string(),
    }))
}
