//! The class behind `Latest`.

use memory_map::ipc::Latest;
use napi::bindgen_prelude::*;
use napi_derive::napi;

use super::in_mapping::{ByHandle, InMapping, code};
use super::waits::NativeWait;
use crate::mapping::Token;
use crate::tied::Tied;

#[napi]
pub struct NativeLatest(Tied<InMapping<Latest>>);

#[napi]
impl NativeLatest {
    #[napi(constructor)]
    pub fn new(env: Env, map: Token, offset: f64, length: f64) -> Result<Self> {
        InMapping::tied(&env, &map, |mapping| {
            Latest::new(mapping, offset as usize, length as usize)
        })
        .map(Self)
    }

    #[napi(getter)]
    pub fn max_length(&self, env: Env) -> Result<f64> {
        Ok(self.0.get(&env)?.object.max_length() as f64)
    }

    /// For the functions below, which are called often.
    #[napi(ts_return_type = "object")]
    pub fn handle(&self) -> External<Tied<InMapping<Latest>>> {
        External::new(self.0.clone())
    }

    /// How many values were written.
    #[napi]
    pub fn version(&self, env: Env) -> Result<f64> {
        self.0.call(&env, Latest::version).map(|version| version as f64)
    }

    /// Waits for another version: 0, or 2 if the time is up first.
    #[napi]
    pub fn wait(&self, env: Env, version: f64, timeout: f64) -> Result<u32> {
        self.0
            .block(&env, timeout, |latest, patience| latest.wait(version as u64, patience))
            .map(code)
    }

    #[napi(ts_return_type = "Promise<number>")]
    pub fn wait_async<'env>(
        &self,
        env: &'env Env,
        version: f64,
        timeout: f64,
        pending: &NativeWait,
    ) -> Result<Object<'env>> {
        self.0.get(env)?.start(env, timeout, pending, move |latest, patience| {
            latest.wait(version as u64, patience).map(code)
        })
    }
}

/// Writes a value; `false` if other writers are busy until the time is up.
#[napi]
pub fn latest_write(
    env: Env,
    #[napi(ts_arg_type = "object")] latest: ByHandle<Latest>,
    data: &[u8],
    timeout: f64,
) -> Result<bool> {
    latest.block(&env, timeout, |latest, patience| latest.write(data, patience))
}

/// Copies the newest value into `target`, from `offset` on, if there is room for it, and returns its length;
/// -1 if there is none yet.
#[napi]
pub fn latest_read(
    env: Env,
    #[napi(ts_arg_type = "object")] latest: ByHandle<Latest>,
    mut target: BufferSlice,
    offset: u32,
) -> Result<f64> {
    let target = target.get_mut(offset as usize..).unwrap_or_default();
    let read = latest.call(&env, |latest| latest.read(target))?;
    Ok(read.map_or(-1.0, |length| length as f64))
}
