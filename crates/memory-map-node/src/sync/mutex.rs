//! What is behind `Mutex`.

use memory_map::ipc::{Mutex, Patience};
use napi::bindgen_prelude::*;
use napi_derive::napi;

use super::in_mapping::{Native, lock_code, locked};
use super::waits::NativeWait;
use crate::mapping::Token;

pub type NativeMutex = Native<Mutex>;

#[napi]
pub fn mutex_open(env: Env, map: Token, offset: f64) -> Result<NativeMutex> {
    Native::new(&env, &map.mapping, |mapping| Mutex::new(mapping, offset as usize))
}

/// The mutex's word while this mapping holds it and nobody waits for it.
#[napi]
pub fn mutex_held(env: Env, mutex: NativeMutex) -> Result<BigInt> {
    Ok(BigInt::from(mutex.get(&env)?.object.held()))
}

#[napi(ts_return_type = "Promise<number>")]
pub fn mutex_lock_async<'env>(
    env: &'env Env,
    mutex: NativeMutex,
    timeout: f64,
    pending: &NativeWait,
) -> Result<Object<'env>> {
    let wait = |mutex: &Mutex, patience: &Patience<'_>| mutex.lock_in_turn(patience).map(lock_code);
    mutex.start_giving_back(env, timeout, pending, wait, |mutex, code| {
        // It fails where the mapping is gone, and then the lock is given up with it.
        let _ = locked(code).map(|how| mutex.put_back(how));
    })
}

/// 0 acquired, 1 recovered, 2 timed out.
#[napi]
pub fn mutex_lock(env: Env, mutex: NativeMutex, timeout: f64) -> Result<u32> {
    mutex.block(&env, timeout, Mutex::lock).map(lock_code)
}

/// 0 acquired, 1 recovered, 2 held by another owner.
#[napi]
pub fn mutex_try_lock(env: Env, mutex: NativeMutex) -> Result<u32> {
    mutex.call(&env, Mutex::try_lock).map(lock_code)
}

#[napi]
pub fn mutex_unlock(env: Env, mutex: NativeMutex) -> Result<()> {
    mutex.call(&env, Mutex::unlock)
}

/// Whether the mutex's mapping holds it.
#[napi]
pub fn mutex_is_held(env: Env, mutex: NativeMutex) -> Result<bool> {
    mutex.call(&env, Mutex::is_held)
}
