//! The class behind `Mutex`.

use std::sync::Arc;

use memory_map::ipc::{Mutex, Patience};
use napi::bindgen_prelude::*;
use napi_derive::napi;

use super::in_mapping::{ByHandle, InMapping, lock_code, locked};
use super::waits::{Job, NativeWait};
use crate::mapping::Token;
use crate::tied::Tied;

#[napi]
pub struct NativeMutex(Tied<InMapping<Mutex>>);

#[napi]
impl NativeMutex {
    #[napi(constructor)]
    pub fn new(env: Env, map: Token, offset: f64) -> Result<Self> {
        InMapping::tied(&env, &map, |mapping| Mutex::new(mapping, offset as usize)).map(Self)
    }

    /// For the functions below, which are called often.
    #[napi(ts_return_type = "object")]
    pub fn handle(&self) -> External<Tied<InMapping<Mutex>>> {
        External::new(self.0.clone())
    }

    /// The mutex's word while this mapping holds it and nobody waits for it.
    #[napi]
    pub fn held(&self, env: Env) -> Result<BigInt> {
        Ok(BigInt::from(self.0.get(&env)?.object.held()))
    }

    #[napi(ts_return_type = "Promise<number>")]
    pub fn lock_async<'env>(
        &self,
        env: &'env Env,
        timeout: f64,
        pending: &NativeWait,
    ) -> Result<Object<'env>> {
        let InMapping { mapping, object } = &*self.0.get(env)?;
        let (mutex, taken) = (Arc::clone(object), Arc::clone(object));
        let wait = move |patience: &Patience<'_>| mutex.lock_in_turn(patience).map(lock_code);
        let job = Job::new(wait).giving_back(move |code| {
            // It fails where the mapping is gone, and then the lock is given up with it.
            let _ = locked(code).map(|how| taken.put_back(how));
        });
        pending.start(env, mapping, timeout, job)
    }
}

/// 0 acquired, 1 recovered, 2 timed out.
#[napi]
pub fn mutex_lock(
    env: Env,
    #[napi(ts_arg_type = "object")] mutex: ByHandle<Mutex>,
    timeout: f64,
) -> Result<u32> {
    mutex.block(&env, timeout, Mutex::lock).map(lock_code)
}

/// 0 acquired, 1 recovered, 2 held by another owner.
#[napi]
pub fn mutex_try_lock(
    env: Env,
    #[napi(ts_arg_type = "object")] mutex: ByHandle<Mutex>,
) -> Result<u32> {
    mutex.call(&env, Mutex::try_lock).map(lock_code)
}

#[napi]
pub fn mutex_unlock(
    env: Env,
    #[napi(ts_arg_type = "object")] mutex: ByHandle<Mutex>,
) -> Result<()> {
    mutex.call(&env, Mutex::unlock)
}
