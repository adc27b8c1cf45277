//! What is behind `Latest`.

use memory_map::ipc::Latest;
use napi::bindgen_prelude::*;
use napi_derive::napi;

use super::in_mapping::{Native, code};
use super::waits::NativeWait;
use crate::mapping::Token;

type NativeLatest = Native<Latest>;

#[napi]
pub fn latest_open(env: Env, map: Token, offset: f64, length: f64) -> Result<NativeLatest> {
    Native::new(&env, &map.mapping, |mapping| {
        Latest::new(mapping, offset as usize, length as usize)
    })
}

#[napi]
pub fn latest_max_length(env: Env, latest: NativeLatest) -> Result<f64> {
    Ok(latest.get(&env)?.object.max_length() as f64)
}

/// How many values were written.
#[napi]
pub fn latest_version(env: Env, latest: NativeLatest) -> Result<f64> {
    latest.call(&env, Latest::version).map(|version| version as f64)
}

/// Waits for another version: 0, or 2 if the time is up first.
#[napi]
pub fn latest_wait(env: Env, latest: NativeLatest, version: f64, timeout: f64) -> Result<u32> {
    latest.block(&env, timeout, |latest, patience| latest.wait(version as u64, patience)).map(code)
}

#[napi(ts_return_type = "Promise<number>")]
pub fn latest_wait_async<'env>(
    env: &'env Env,
    latest: NativeLatest,
    version: f64,
    timeout: f64,
    pending: &NativeWait,
) -> Result<Object<'env>> {
    latest.start(env, timeout, pending, move |latest, patience| {
        latest.wait(version as u64, patience).map(code)
    })
}

/// Writes a value; `false` if other writers are busy until the time is up.
#[napi]
pub fn latest_write(env: Env, latest: NativeLatest, data: &[u8], timeout: f64) -> Result<bool> {
    latest.block(&env, timeout, |latest, patience| latest.write(data, patience))
}

/// Copies the newest value into `target`, from `offset` on, if there is room for it, and returns its length;
/// -1 if there is none yet.
#[napi]
pub fn latest_read(
    env: Env,
    latest: NativeLatest,
    mut target: BufferSlice,
    offset: u32,
) -> Result<f64> {
    let target = target.get_mut(offset as usize..).unwrap_or_default();
    let read = latest.call(&env, |latest| latest.read(target))?;
    Ok(read.map_or(-1.0, |length| length as f64))
}
